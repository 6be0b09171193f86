"""Accommodation: the unit a guest sleeps in, and its room status."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.columns import Key, Moment, Stamped, one_of

ROOM_STATUSES = (
    "AVAILABLE",
    "RESERVED",
    "OCCUPIED",
    "DIRTY",
    "CLEAN",
    "MAINTENANCE",
    "OUT_OF_SERVICE",
)
HOUSEKEEPING = ("clean", "dirty", "in_progress", "inspected")


class Accommodation(Stamped, Base):
    """A room or flat; a placeholder made for an unknown channel id is inactive (DECISIONS 19).

    `absent_since` is when its channel stopped listing it: a unit that a sync made inactive comes
    back with its listing, one that a person made inactive does not.
    """

    __tablename__ = "accommodations"

    id: Mapped[Key]
    property_id: Mapped[UUID] = mapped_column(ForeignKey("properties.id", ondelete="RESTRICT"))
    room_type_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("room_types.id", ondelete="RESTRICT"), index=True
    )
    name: Mapped[str]
    number: Mapped[str | None]
    description: Mapped[str | None]
    stays_id: Mapped[str | None]
    beds24_room_id: Mapped[str | None]
    beds24_unit_id: Mapped[str | None]
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    absent_since: Mapped[Moment | None]
    status: Mapped[str] = mapped_column(server_default=text("'AVAILABLE'"))
    housekeeping: Mapped[str] = mapped_column(server_default=text("'clean'"))

    __table_args__ = (
        UniqueConstraint("stays_id"),
        Index("ix_accommodations_property_id_name", "property_id", "name"),
        Index(
            "uq_accommodations_beds24_unit",
            "beds24_room_id",
            text("coalesce(beds24_unit_id, '1')"),
            unique=True,
            postgresql_where=text("beds24_room_id IS NOT NULL"),
        ),
        one_of("status", ROOM_STATUSES),
        one_of("housekeeping", HOUSEKEEPING),
    )
