"""MatchDismissal: a lock and an accommodation that are not to be proposed again."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.columns import Key


class MatchDismissal(Base):
    """Somebody looked and said no. Undone by deleting the row; the audit log remembers both."""

    __tablename__ = "match_dismissals"

    id: Mapped[Key]
    accommodation_id: Mapped[UUID] = mapped_column(
        ForeignKey("accommodations.id", ondelete="CASCADE")
    )
    lock_id: Mapped[UUID] = mapped_column(ForeignKey("locks.id", ondelete="CASCADE"), index=True)
    dismissed_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    __table_args__ = (UniqueConstraint("accommodation_id", "lock_id"),)
