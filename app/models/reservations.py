"""Reservation: the booking as sold, whoever sold it."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, Computed, ForeignKey, Index, Numeric, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.states import ReservationStatus
from app.extensions import Base
from app.models.columns import Key, Moment, Stamped, a_name, one_of


class Reservation(Stamped, Base):
    """One stay in one accommodation.

    `check_in_at`/`check_out_at` are UTC instants; `check_in_on`/`check_out_on` the same days at the
    property (C-02). `*_time_known` says that the channel named the time of day, so that an update
    without one does not put the default back. `content_hash` is what the channel last said.
    """

    __tablename__ = "reservations"

    id: Mapped[Key]
    property_id: Mapped[UUID] = mapped_column(ForeignKey("properties.id", ondelete="RESTRICT"))
    accommodation_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("accommodations.id", ondelete="RESTRICT")
    )
    room_type_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("room_types.id", ondelete="RESTRICT")
    )
    given_room_id: Mapped[UUID | None]  # the room that we chose for it; compared, never followed
    source: Mapped[str]
    channel: Mapped[str | None]  # where external_id is known; None for a direct one not delivered
    external_id: Mapped[str | None]
    unit_no: Mapped[int] = mapped_column(server_default=text("1"))
    group_ref: Mapped[str | None]  # the channel's master booking of a stay in several rooms
    channel_room_ref: Mapped[str | None]  # the room or unit the channel named, mapped or not
    api_reference: Mapped[str | None]  # how a booking of ours is found again at its channel
    sync_error: Mapped[str | None]  # why the channel does not have our latest change
    external_code: Mapped[str | None]
    status: Mapped[str]
    unknown_status: Mapped[str | None]  # the channel's word we could not translate (C-20)
    guest_name: Mapped[str | None]
    guest_email: Mapped[str | None]
    guest_phone: Mapped[str | None]
    adults: Mapped[int | None]
    children: Mapped[int | None]
    units: Mapped[int] = mapped_column(server_default=text("1"))
    check_in_at: Mapped[Moment]
    check_out_at: Mapped[Moment]
    check_in_on: Mapped[date]
    check_out_on: Mapped[date]
    check_in_time_known: Mapped[bool] = mapped_column(server_default=text("false"))
    check_out_time_known: Mapped[bool] = mapped_column(server_default=text("false"))
    amount: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))
    currency: Mapped[str | None]
    partner: Mapped[str | None]
    partner_ref: Mapped[str | None]
    booked_at: Mapped[Moment | None]
    source_modified_at: Mapped[Moment | None]
    content_hash: Mapped[str | None]
    sweep_hash: Mapped[str | None]
    version: Mapped[int] = mapped_column(server_default=text("1"))
    hold_expires_at: Mapped[Moment | None]
    processed_at: Mapped[Moment | None]  # last reprocess by a person (RES-08)
    cancelled_at: Mapped[Moment | None]
    checked_in_at: Mapped[Moment | None]
    checked_out_at: Mapped[Moment | None]
    anonymised_at: Mapped[Moment | None]  # the guest was forgotten; no copy brings one back
    search_text: Mapped[str] = mapped_column(server_default=text("''"))  # folded: no accents, lower
    search: Mapped[str] = mapped_column(
        TSVECTOR, Computed("to_tsvector('simple', search_text)", persisted=True), deferred=True
    )

    __table_args__ = (
        one_of("status", ReservationStatus),
        a_name("source"),
        CheckConstraint("check_out_at > check_in_at", name="window"),
        CheckConstraint("units > 0", name="units"),
        Index(
            "uq_reservations_channel_external_id",
            "channel",
            "external_id",
            "unit_no",
            unique=True,
            postgresql_where=text("external_id IS NOT NULL"),
        ),
        Index(
            "uq_reservations_api_reference",
            "api_reference",
            "unit_no",
            unique=True,
            postgresql_where=text("api_reference IS NOT NULL"),
        ),
        Index(
            "ix_reservations_group_ref",
            "channel",
            "group_ref",
            postgresql_where=text("group_ref IS NOT NULL"),
        ),
        Index(
            "ix_reservations_unassigned",
            "room_type_id",
            "check_in_at",
            postgresql_where=text("accommodation_id IS NULL"),
        ),
        Index("ix_reservations_accommodation_id_check_in_at", "accommodation_id", "check_in_at"),
        Index("ix_reservations_property_id_check_in_at_id", "property_id", "check_in_at", "id"),
        Index("ix_reservations_check_in_at_id", "check_in_at", "id"),
        Index("ix_reservations_status_check_in_at", "status", "check_in_at"),
        Index("ix_reservations_check_out_at", "check_out_at"),
        # What the front desk looks at all day is found and counted without a look at the rows.
        Index(
            "ix_reservations_open",
            "check_in_at",
            "id",
            postgresql_include=[
                "property_id",
                "status",
                "check_out_at",
                "check_in_on",
                "check_out_on",
            ],
            postgresql_where=text(
                "status IN ('pending', 'pending_sync', 'confirmed', 'checked_in')"
            ),
        ),
        Index("ix_reservations_created_at_id", "created_at", "id"),
        Index("ix_reservations_updated_at", "updated_at"),
        Index("ix_reservations_room_type_id", "room_type_id"),
        Index("ix_reservations_search", "search", postgresql_using="gin"),
        Index(
            "ix_reservations_to_forget",
            "check_out_at",
            postgresql_where=text(
                "guest_name IS NOT NULL OR guest_email IS NOT NULL OR guest_phone IS NOT NULL"
            ),
        ),
    )

    @property
    def ref(self) -> str:
        """The number people read aloud."""
        return self.external_code or self.external_id or str(self.id)[:8]

    def staying(self, at: datetime) -> bool:
        """Whether `at` lies between arrival and departure."""
        return self.check_in_at <= at < self.check_out_at
