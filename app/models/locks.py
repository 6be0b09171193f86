"""Lock, LockMapping and MappingValidationLog: the device, its door, every attempt to pair."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.columns import Key, Moment, Stamped, a_name, one_of

RADIOS = ("wifi", "zigbee", "bluetooth")


class Lock(Stamped, Base):
    """A device on a door. `online` False is normal for a battery Wi-Fi lock (contracts/tuya.md §7).

    `next_read_at` is when its list of PINs is read next; None when nothing on it is moving.
    """

    __tablename__ = "locks"

    id: Mapped[Key]
    name: Mapped[str]
    vendor: Mapped[str]
    device_id: Mapped[str]
    radio: Mapped[str] = mapped_column(server_default=text("'wifi'"))
    pin_length: Mapped[int] = mapped_column(server_default=text("7"))
    hex_case: Mapped[str] = mapped_column(server_default=text("'lower'"))
    capacity: Mapped[int | None]
    location: Mapped[str | None]
    category: Mapped[str | None]
    online: Mapped[bool | None]
    battery: Mapped[int | None]
    low_battery: Mapped[bool] = mapped_column(server_default=text("false"))
    last_seen_at: Mapped[Moment | None]
    offline_since: Mapped[Moment | None]
    gone_since: Mapped[Moment | None]  # the vendor's account no longer lists it
    refreshed_at: Mapped[Moment | None]
    # reading back what is on the lock
    next_read_at: Mapped[Moment | None]
    reads: Mapped[int] = mapped_column(server_default=text("0"))
    read_lease_until: Mapped[Moment | None]
    last_read_at: Mapped[Moment | None]
    silent_since: Mapped[Moment | None]
    last_error: Mapped[str | None]

    __table_args__ = (
        UniqueConstraint("vendor", "device_id"),
        Index(
            "ix_locks_next_read_at",
            "next_read_at",
            postgresql_where=text("next_read_at IS NOT NULL"),
        ),
        a_name("vendor"),
        one_of("radio", RADIOS),
        one_of("hex_case", ("lower", "upper")),
        CheckConstraint("pin_length BETWEEN 4 AND 10", name="pin_length"),
        CheckConstraint("capacity > 0", name="capacity"),
        CheckConstraint("battery BETWEEN 0 AND 100", name="battery"),
    )


class LockMapping(Stamped, Base):
    """One accommodation, one lock: unique on each side (LOCK-05…07, C-19)."""

    __tablename__ = "lock_mappings"

    id: Mapped[Key]
    accommodation_id: Mapped[UUID] = mapped_column(
        ForeignKey("accommodations.id", ondelete="CASCADE"), unique=True
    )
    lock_id: Mapped[UUID] = mapped_column(ForeignKey("locks.id", ondelete="CASCADE"), unique=True)
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))


class MappingValidationLog(Base):
    """One attempt to pair or part, whatever came of it (LOCK-04). Ids only, so it outlives both."""

    __tablename__ = "mapping_validation_logs"

    id: Mapped[Key]
    action: Mapped[str]
    accommodation_id: Mapped[UUID | None] = mapped_column(index=True)
    lock_id: Mapped[UUID | None] = mapped_column(index=True)
    user_id: Mapped[UUID | None]
    result: Mapped[str]
    reason: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), index=True
    )

    __table_args__ = (
        one_of("action", ("map", "remap", "unmap")),
        one_of("result", ("accepted", "rejected", "unchanged")),
    )
