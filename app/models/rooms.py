"""RoomStatusChange: who or what moved a room's status, and why."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.columns import Key, one_of


class RoomStatusChange(Base):
    """One change of a room's status or housekeeping, by a person, a booking or a repair.

    `axis` is `status` or `housekeeping`; `actor` a person's address, a channel's name or `system`.
    """

    __tablename__ = "room_status_changes"

    id: Mapped[Key]
    accommodation_id: Mapped[UUID] = mapped_column(
        ForeignKey("accommodations.id", ondelete="CASCADE")
    )
    axis: Mapped[str]
    from_status: Mapped[str | None]
    to_status: Mapped[str]
    reason: Mapped[str]
    actor: Mapped[str]
    reservation_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("reservations.id", ondelete="SET NULL")
    )
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    __table_args__ = (
        one_of("axis", ("status", "housekeeping")),
        Index("ix_room_status_changes_room", "accommodation_id", "created_at"),
        Index(
            "ix_room_status_changes_reservation_id",
            "reservation_id",
            postgresql_where=text("reservation_id IS NOT NULL"),
        ),
    )
