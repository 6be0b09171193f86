"""InventoryHold and MaintenanceBlock: units kept aside, and units nobody can sleep in."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.columns import Key, Moment, Stamped, one_of

HOLD_STATUSES = ("active", "confirmed", "released", "expired")


class InventoryHold(Stamped, Base):
    """Units of a room type kept for a reservation until its channel has answered (HOLD-01…12).

    Nights are `check_in` up to and without `check_out`, at the property.
    """

    __tablename__ = "inventory_holds"

    id: Mapped[Key]
    reservation_id: Mapped[UUID] = mapped_column(
        ForeignKey("reservations.id", ondelete="CASCADE"), index=True
    )
    room_type_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("room_types.id", ondelete="CASCADE")
    )
    check_in: Mapped[date]
    check_out: Mapped[date]
    units_held: Mapped[int] = mapped_column(server_default=text("1"))
    hold_expires_at: Mapped[Moment]
    status: Mapped[str] = mapped_column(String(20), server_default=text("'active'"))

    __table_args__ = (
        one_of("status", HOLD_STATUSES),
        CheckConstraint("check_out > check_in", name="nights"),
        CheckConstraint("units_held > 0", name="units_held"),
        Index(
            "ix_inventory_holds_expiry",
            "hold_expires_at",
            "status",
            postgresql_where=text("status = 'active'"),
        ),
        Index("ix_inventory_holds_nights", "room_type_id", "check_in", "check_out"),
        Index("ix_inventory_holds_created_at_id", "created_at", "id"),
    )


class MaintenanceBlock(Stamped, Base):
    """Units of a room type that cannot be sold, `start_date` up to and without `end_date`.

    One that came from a channel (`black` at Beds24) carries its id there and follows it.
    """

    __tablename__ = "maintenance_blocks"

    id: Mapped[Key]
    room_type_id: Mapped[UUID] = mapped_column(ForeignKey("room_types.id", ondelete="CASCADE"))
    accommodation_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("accommodations.id", ondelete="CASCADE"), index=True
    )
    start_date: Mapped[date]
    end_date: Mapped[date]
    units: Mapped[int] = mapped_column(server_default=text("1"))
    reason: Mapped[str | None]
    channel: Mapped[str | None]
    external_id: Mapped[str | None]
    source_modified_at: Mapped[Moment | None]

    __table_args__ = (
        CheckConstraint("end_date > start_date", name="nights"),
        CheckConstraint("units > 0", name="units"),
        CheckConstraint("accommodation_id IS NULL OR units = 1", name="one_unit"),
        Index("ix_maintenance_blocks_nights", "room_type_id", "start_date", "end_date"),
        Index(
            "uq_maintenance_blocks_channel_external_id",
            "channel",
            "external_id",
            unique=True,
            postgresql_where=text("external_id IS NOT NULL"),
        ),
    )
