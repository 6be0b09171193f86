"""Nights that Beds24 has blocked, compared with ours: no guest is concerned, so ours follow."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.findings import Finding
from app.domain.states import ReservationStatus
from app.integrations.channels import ChannelReservation, ItemError
from app.models import MaintenanceBlock, Reservation
from app.models.columns import among
from app.services import beds24_bookings, booking_rows, maintenance_blocks
from app.services.beds24_bookings import NO_TYPE, Version
from app.services.booking_reading import Reading
from app.services.booking_rows import Stored
from app.services.channel_accounts import BEDS24
from app.services.channel_places import Found, NoPlace, Place

NO_MORE = "We have these nights blocked and Beds24 does not"


@dataclass(frozen=True, slots=True)
class Nights:
    """A block: units of a room type, up to and without `last`."""

    room_type_id: UUID
    first: date
    last: date
    units: int

    def plain(self) -> dict[str, Any]:
        return {
            "status": "block",
            "room_type_id": str(self.room_type_id),
            "check_in": self.first.isoformat(),
            "check_out": self.last.isoformat(),
            "units": self.units,
        }


@dataclass(frozen=True, slots=True)
class BlockAction:
    """Make our block say what theirs does; without a `copy` it is lifted."""

    external_id: str
    copy: ChannelReservation | None
    ours: Nights | None
    theirs: Nights | None

    @property
    def fingerprint(self) -> str:
        return f"block {self.external_id} {self.ours} {self.theirs}"

    def item(self) -> dict[str, Any]:
        """As a plan lists it."""
        return {
            "action": "block",
            "external_id": self.external_id,
            "reservation_id": None,
            "reason": "The blocked nights differ",
            "from": self.ours and self.ours.plain(),
            "to": self.theirs and self.theirs.plain(),
        }


@dataclass(frozen=True, slots=True)
class Blocks:
    """What follows from a reading for the blocked nights."""

    actions: list[BlockAction]
    errors: list[ItemError]
    findings: list[Finding]


def plan(
    session: Session,
    reading: Reading,
    places: Found,
    stays: Mapping[str, Stored],
    moving: Collection[str],
) -> Blocks:
    """Compare the blocks that were read, and ours, leaving out what is in motion; writes nothing.
    One that stands as a stay here is a matter of the bookings."""
    found = Blocks([], [], [])
    here = _stored(session, reading.blocks.keys() | booking_rows.blocks(session, reading.span))
    kept = stays.keys() | _slept_in(session, reading.blocks)
    for external_id, copy in sorted(reading.blocks.items()):
        if external_id in moving or external_id in kept or copy.status == "cancelled":
            continue
        place = places.get(copy.accommodation_ref)
        if isinstance(place, NoPlace):
            error = ItemError(external_id, place.reason, place.kind, place.waiting_for)
            found.errors.append(error)
        elif isinstance(place, Place) and place.room_type_id is None:
            reason = f"{copy.accommodation_ref}: {NO_TYPE}"
            found.errors.append(ItemError(external_id, reason, "no_room_type"))
        elif isinstance(place, Place) and place.room_type_id is not None:
            units = 1 if place.accommodation_id is not None else copy.units
            theirs = Nights(place.room_type_id, copy.check_in_on, copy.check_out_on, units)
            if here.get(external_id) != theirs:
                ours = here.get(external_id)
                found.actions.append(BlockAction(external_id, copy, ours, theirs))
    for external_id, nights in sorted(here.items()):
        if external_id in moving or external_id in reading.blocks:
            continue
        if external_id in reading.lost:
            found.findings.append(_missing(external_id, nights))
        elif external_id in reading.compared:  # it is over there, or a stay by now
            found.actions.append(BlockAction(external_id, None, nights, None))
    return found


def apply(session: Session, action: BlockAction, reading: Reading) -> None:
    """Carry it out in the caller's transaction, the booking's turn. Raises Refused."""
    if action.copy is None:
        beds24_bookings.take_turns(session, [action.external_id])
        maintenance_blocks.remove_channel_block(session, BEDS24, action.external_id, reading.as_of)
        return
    version = Version(action.external_id, reading.as_of, action.copy)
    beds24_bookings.take_in(session, version, channel_property_id=reading.connection.id)


def _slept_in(session: Session, external_ids: Collection[str]) -> set[str]:
    """Those that are stays here which were not cancelled: a block takes no night from them."""
    found = session.scalars(
        select(Reservation.external_id).where(
            Reservation.channel == BEDS24,
            among(Reservation.external_id, external_ids),
            Reservation.status != ReservationStatus.CANCELLED,
        )
    )
    return {external_id for external_id in found if external_id}


def _stored(session: Session, external_ids: Collection[str]) -> dict[str, Nights]:
    rows = session.scalars(
        select(MaintenanceBlock).where(
            MaintenanceBlock.channel == BEDS24, among(MaintenanceBlock.external_id, external_ids)
        )
    )
    return {
        row.external_id or "": Nights(row.room_type_id, row.start_date, row.end_date, row.units)
        for row in rows
    }


def _missing(external_id: str, nights: Nights) -> Finding:
    return Finding(
        kind="missing",
        subject=external_id,
        severity="medium",
        reason=NO_MORE,
        ours=nights.plain() | {"source": "webhook"},
        theirs=None,
        external_id=external_id,
        room_type_id=nights.room_type_id,
        first_day=nights.first,
        last_day=nights.last,
    )
