"""Property and RoomType: the building, and what is sold in it."""

from __future__ import annotations

from datetime import time
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.columns import Key, Stamped, one_of

CONTINGENCIES = ("spare_card", "key", "master_code", "nothing")


class Property(Stamped, Base):
    """A building with one clock, one currency and its own PIN hours."""

    __tablename__ = "properties"

    id: Mapped[Key]
    name: Mapped[str]
    timezone: Mapped[str]
    currency: Mapped[str]
    check_in_time: Mapped[time] = mapped_column(server_default=text("'15:00'"))
    check_out_time: Mapped[time] = mapped_column(server_default=text("'11:00'"))
    pin_lead_hours: Mapped[int] = mapped_column(server_default=text("2"))
    pin_grace_hours: Mapped[int] = mapped_column(server_default=text("24"))
    pin_preload_hours: Mapped[int] = mapped_column(server_default=text("0"))
    reserved_horizon_days: Mapped[int | None]
    contingency: Mapped[str] = mapped_column(server_default=text("'nothing'"))
    contact: Mapped[str | None]

    __table_args__ = (
        CheckConstraint("length(trim(name)) > 0", name="name"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
        CheckConstraint("pin_lead_hours BETWEEN 0 AND 72", name="pin_lead_hours"),
        CheckConstraint("pin_grace_hours BETWEEN 0 AND 168", name="pin_grace_hours"),
        CheckConstraint("pin_preload_hours BETWEEN 0 AND 168", name="pin_preload_hours"),
        CheckConstraint("reserved_horizon_days >= 0", name="reserved_horizon_days"),
        one_of("contingency", CONTINGENCIES),
    )


class RoomType(Stamped, Base):
    """What is sold: a kind of room and how many of it there are (HOLD-13)."""

    __tablename__ = "room_types"

    id: Mapped[Key]
    property_id: Mapped[UUID] = mapped_column(ForeignKey("properties.id", ondelete="RESTRICT"))
    name: Mapped[str]
    total_units: Mapped[int]

    __table_args__ = (
        UniqueConstraint("property_id", "name"),
        CheckConstraint("total_units BETWEEN 0 AND 9999", name="total_units"),
    )
