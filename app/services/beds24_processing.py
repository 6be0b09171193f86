"""Take in what Beds24 says: bookings in the order of their changes, calendars read again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from app import clock
from app.errors import Unavailable
from app.integrations.channels import beds24_wire
from app.integrations.channels.beds24_calendar import Nights
from app.integrations.channels.beds24_events import AVAILABILITY, ENDS, Beds24Event, parse_event
from app.integrations.channels.stays_payloads import first
from app.integrations.errors import NotFound, Unreadable
from app.models import Reservation
from app.services import (
    beds24_bookings,
    channel_calendars,
    channel_places,
    event_rows,
    leases,
    vendors,
)
from app.services.beds24_bookings import Version
from app.services.channel_places import NoPlace
from app.services.channel_properties import BEDS24
from app.services.event_outcomes import Malformed, Outcome, Refused, normalised
from app.services.event_rows import Work
from app.transaction import transaction

NO_TOKEN = "there is no token to read the booking by its id"  # noqa: S105 - a sentence


@dataclass(frozen=True, slots=True)
class Calendar:
    """A room's calendar as it was read just now; None `ranges`: it was not, and `note` says why."""

    room_ref: str
    first: date
    last: date
    asked_at: datetime
    ranges: tuple[Nights, ...] | None = None
    note: str | None = None


Finding: TypeAlias = Version | Calendar


def look_into(work: Work) -> Finding:
    """Find out what the event means: the booking it carries, or the one that Beds24 has now when
    the event is too short to be applied (contracts/beds24.md §8.1).

    Raises Malformed, Refused, IntegrationError or Unavailable.
    """
    event = _open(work)
    if event.type == AVAILABILITY:
        return _look_at_room(work, event)
    booking_id = event.booking_id or ""
    moment = event.modified_at or event.sent_at or work.received_at
    if event.reservation is not None:
        return Version(booking_id, moment, event.reservation)
    cancels = event.status == "cancelled"
    if cancels and _is_stored(booking_id):
        return Version(booking_id, moment)
    missing = _missing(work.payload["booking"])
    if missing is None and not cancels:
        raise Malformed(f"booking.{event.problem}")
    return _read_again(work, event, moment, missing)


def at_once(work: Work) -> Version | None:
    """The version of a stay that the message carries whole; None when anything else has to be
    known or asked first. Raises Malformed."""
    event = _open(work)
    if event.type == AVAILABILITY or event.reservation is None:
        return None
    moment = event.modified_at or event.sent_at or work.received_at
    version = Version(event.booking_id or "", moment, event.reservation)
    return None if version.cancels or event.reservation.kind != "stay" else version


def apply_many(
    session: Session, found: Sequence[tuple[Work, Version]]
) -> list[tuple[Work, Outcome]]:
    """`apply` for bookings that all differ; those that need a closer look are missing."""
    outcomes: list[tuple[Work, Outcome]] = []
    by_connection: dict[UUID, list[tuple[Work, Version]]] = {}
    for work, version in found:
        by_connection.setdefault(work.channel_property_id, []).append((work, version))
    beds24_bookings.take_turns(session, [version.booking_id for _, version in found])
    for connection, pairs in by_connection.items():
        settled = beds24_bookings.take_in_many(
            session, [version for _, version in pairs], channel_property_id=connection
        )
        outcomes += [
            (work, settled[version.booking_id])
            for work, version in pairs
            if version.booking_id in settled
        ]
    return outcomes


def apply(session: Session, work: Work, finding: Finding) -> Outcome:
    """Make our rows say the same. Raises Refused for what cannot be stored as it is."""
    if isinstance(finding, Version):
        return beds24_bookings.take_in(
            session, finding, channel_property_id=work.channel_property_id
        )
    return _keep_calendar(session, work, finding)


def _open(work: Work) -> Beds24Event:
    """The stored message, read; a field that breaks the reader is named."""
    booking = work.payload.get("booking")
    try:
        if not isinstance(booking, Mapping):
            return normalised(parse_event, work.payload, "body")
        return normalised(
            lambda item: parse_event({**work.payload, "booking": item}), booking, "booking"
        )
    except Unreadable as error:
        raise Malformed(error.message) from None


def _is_stored(booking_id: str) -> bool:
    ours = exists().where(Reservation.channel == BEDS24, Reservation.external_id == booking_id)
    with transaction() as session:
        return bool(session.scalar(select(ours)))


def _missing(booking: Mapping[str, Any]) -> str | None:
    """The field for want of which the body is no booking; None when it has them all."""
    if beds24_wire.room_of(booking) is None and not first(booking, beds24_wire.ROOM):
        return "roomId"
    if first(booking, beds24_wire.ARRIVAL) is None:
        return "arrival"
    return "departure" if beds24_wire.is_without_days(booking) else None


def _read_again(work: Work, event: Beds24Event, moment: datetime, missing: str | None) -> Version:
    """The booking as Beds24 has it now.

    A cancellation of something that nobody can tell us more about is kept as just that. Another
    event is not: an account that may not see the booking says "not found" too (§2), and must not
    cancel a guest's stay.
    """
    booking_id = event.booking_id or ""
    cancels = event.status == "cancelled"
    gone = Version(booking_id, moment)
    try:
        client = vendors.beds24_client(work.channel_property_id)
    except Unavailable:
        if cancels:
            return gone
        raise Malformed(f"booking.{missing}: missing, and {NO_TOKEN}") from None
    with leases.renewed(lambda: event_rows.renew(work)):
        asked = clock.utcnow()
        try:
            copy = client.get(booking_id)
        except NotFound as error:
            if cancels:
                return gone
            reason = f"booking.{missing}: missing, and {error.message}"
            raise Refused(reason, error.kind) from None
    vendors.note_ok(BEDS24)
    if event.type in ENDS and (copy.modified_at is None or copy.modified_at <= moment):
        copy = replace(copy, status="cancelled", kind="stay")
    return Version(booking_id, copy.modified_at or asked, copy)


def _look_at_room(work: Work, event: Beds24Event) -> Calendar:
    """Read the room's calendar, unless that was done after this event came.

    Without a token the event is noted and done: no retry would heal it, and nothing is lost, since
    the reconciliation of availability reads every calendar as soon as there is one.
    """
    room_ref = event.room_ref or ""
    with transaction() as session:
        place = channel_places.find(
            session, BEDS24, [room_ref], channel_property_id=work.channel_property_id, create=False
        )[room_ref]
        read_at = channel_calendars.read_at(session, work.channel_property_id, room_ref)
    if isinstance(place, NoPlace):
        raise Refused(place.reason, place.kind, place.waiting_for, ref=room_ref)
    asked = clock.utcnow()
    today, last = channel_calendars.horizon(asked.astimezone(place.house.zone).date())
    if read_at is not None and read_at >= work.received_at:
        return Calendar(room_ref, today, last, asked, note="read since")
    try:
        client = vendors.beds24_client(work.channel_property_id)
    except Unavailable:
        return Calendar(room_ref, today, last, asked, note="there is no token to read it with")
    with leases.renewed(lambda: event_rows.renew(work)):
        ranges = client.calendar([room_ref], today, last)
    vendors.note_ok(BEDS24)
    own = tuple(each for each in ranges if each.room_ref == room_ref)
    return Calendar(room_ref, today, last, asked, own)


def _keep_calendar(session: Session, work: Work, calendar: Calendar) -> Outcome:
    summary = {
        "room": calendar.room_ref,
        "from": calendar.first.isoformat(),
        "to": calendar.last.isoformat(),
    }
    if calendar.ranges is None:
        return Outcome("noted", summary | {"outcome": "noted", "note": calendar.note})
    nights = channel_calendars.store(
        session,
        work.channel_property_id,
        calendar.room_ref,
        calendar.ranges,
        first=calendar.first,
        last=calendar.last,
        read_at=calendar.asked_at,
    )
    left = [night.available for night in nights.values() if night.available is not None]
    counted = {
        "nights": len(nights),
        "sold_out": sum(number <= 0 for number in left),
        "overbooked": sum(number < 0 for number in left),
    }
    return Outcome("done", summary | counted | {"outcome": "done"}, modified_at=calendar.asked_at)
