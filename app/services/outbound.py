"""Record what we owe a channel, in the transaction that made it so; delivery comes later.

A change waits in one event. Later changes of the same thing join the one that is still waiting, so
a burst is one message, and a delivery always sends what is true at that moment (OUT-01…03).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

import structlog
from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from app import clock
from app.domain.date_ranges import Range, merged
from app.domain.states import ReservationStatus
from app.models import ChannelEvent, Reservation
from app.runtime import settings
from app.services import outbound_rows
from app.services.event_rows import OUTBOUND, WAITING
from app.services.outbound_places import CHANNEL, Connected, connected, connection_of, place_of

log = structlog.get_logger(__name__)

CREATE, UPDATE, CANCEL = "pms.booking.create", "pms.booking.update", "pms.booking.cancel"
AVAILABILITY, RATES = "pms.availability.update", "pms.rate.update"
BOOKINGS = (CREATE, UPDATE, CANCEL)
Verb = Literal["create", "update", "cancel"]

#: lowest first; a cancellation and a near arrival may also use the last credits, and a new booking
#: goes before changes, since its hold runs out
URGENT, NEW, BOOKING, NIGHTS, PRICES = 0, 5, 10, 20, 30
NEAR = timedelta(hours=48)
#: prices can wait longer for company than free units
RATES_GATHER = 4
#: what a channel is told about: today and the 365 days after it
HORIZON_DAYS = 365
#: more separate ranges than this are sent as one from the first to the last
MAX_RANGES = 60
#: why an event of `tell_again` is owed, in its payload
COMPARED = "reconciliation"
GONE = (ReservationStatus.CANCELLED, ReservationStatus.NO_SHOW, ReservationStatus.FAILED)


def booking_changed(session: Session, reservation_id: UUID, verb: Verb) -> UUID | None:
    """Owe the channel a booking of ours, or what changed of one of its own; the event that waits.

    None when nothing is owed as a booking: the property has no connection, the room is not mapped,
    the stay is another channel's, the channel has never heard of it, or it was cancelled before it
    was sent. The nights are then told by `availability_changed` alone. `reservation_id` may be any
    unit of a booking; the caller has counted up `version` (C-23).
    """
    session.flush()
    rows = units_of(session, reservation_id)
    if not rows:
        return None
    first = rows[0]
    connection = None
    if first.channel in (None, CHANNEL):
        connection = connection_of(session, first.property_id)
    if connection is None:
        _say_nothing("not_connected", first, verb)
        return None
    if verb == "cancel" and any(row.status not in GONE for row in rows):
        verb = "update"  # one unit of several: the booking lives on with fewer
    waiting = outbound_rows.waiting_for(session, connection, first.id)
    if verb == "cancel":
        return _cancel(session, connection, first, rows, waiting)
    return _put(session, connection, first, rows, waiting, verb)


def booking_made(session: Session, row: Reservation) -> UUID | None:
    """Owe the channel a stay that this transaction has written: what `booking_changed` does for
    "create", without looking for what cannot be there yet."""
    session.flush()
    connection = connection_of(session, row.property_id)
    if connection is None:
        _say_nothing("not_connected", row, "create")
        return None
    if place_of(session, connection, row.room_type_id, row.accommodation_id) is None:
        _say_nothing("not_mapped", row, "create")
        return None
    _give_reference(session, [row])
    key, now = _version_key(row, CREATE), clock.utcnow()
    return outbound_rows.record(session, _event(connection, CREATE, row, describe([row]), key, now))


def availability_changed(
    session: Session,
    room_type_ids: Collection[UUID],
    first: date,
    last: date,
    *,
    except_channel: str | None = None,
) -> None:
    """Owe the channel the free units of these room types in the nights `first` to `last`, both
    included. A change that came from that channel is its own consequence and is not echoed."""
    if except_channel != CHANNEL:
        for room_type_id in sorted(set(room_type_ids)):
            _nights_changed(session, AVAILABILITY, room_type_id, first, last)


def rates_changed(session: Session, room_type_id: UUID, first: date, last: date) -> None:
    """Owe the channel the prices of a room type in the nights `first` to `last`, both included."""
    _nights_changed(session, RATES, room_type_id, first, last)


def tell_again(
    session: Session, kind: str, room_type_id: UUID, ranges: Sequence[Range]
) -> UUID | None:
    """Owe the channel the free units (AVAILABILITY) or prices (RATES) of exactly these nights; the
    event. Nothing joins it, so that no night between them is told: it may be one that waits for a
    person. None when the room type is not sold there."""
    room = next(iter(connected(session, [room_type_id])), None)
    if room is None or room.channel_property_id is None or room.room_ref is None:
        return None
    payload = _nights_payload(room, [[a.isoformat(), b.isoformat()] for a, b in merged(ranges)])
    return _record_nights(session, kind, room, payload | {"why": COMPARED})


def units_of(session: Session, reservation_id: UUID) -> list[Reservation]:
    """The rows of one booking, a row per unit, by unit number; empty when it is gone."""
    found = session.get(Reservation, reservation_id)
    if found is None:
        return []
    same: list[ColumnElement[bool]] = []
    if found.external_id is not None:
        same.append(
            (Reservation.channel == found.channel) & (Reservation.external_id == found.external_id)
        )
    if found.api_reference is not None:
        same.append(Reservation.api_reference == found.api_reference)
    if not same:
        return [found]
    order = select(Reservation).where(or_(*same)).order_by(Reservation.unit_no, Reservation.id)
    return list(session.scalars(order))


def describe(rows: Sequence[Reservation]) -> dict[str, Any]:
    """A booking in our words, as its event shows it."""
    first = rows[0]
    return {
        "reservation_id": str(first.id),
        "version": first.version,
        "status": first.status,
        "check_in": first.check_in_on.isoformat(),
        "check_out": first.check_out_on.isoformat(),
        "units": sum(row.status not in GONE for row in rows),
        "room_type_id": _text(first.room_type_id),
        "accommodation_id": _text(first.accommodation_id),
        "guest_name": first.guest_name,
        "guest_email": first.guest_email,
        "guest_phone": first.guest_phone,
        "adults": first.adults,
        "children": first.children,
        "amount": _text(first.amount),
        "currency": first.currency,
        "api_reference": first.api_reference,
    }


def _put(
    session: Session,
    connection: UUID,
    first: Reservation,
    rows: Sequence[Reservation],
    waiting: Sequence[ChannelEvent],
    verb: Verb,
) -> UUID | None:
    """A booking that the channel is to have as it is now."""
    if first.external_id is None:
        if place_of(session, connection, first.room_type_id, first.accommodation_id) is None:
            _say_nothing("not_mapped", first, verb)
            return None
        if verb == "update" and not outbound_rows.ever_owed(session, connection, first.id):
            _say_nothing("not_at_channel", first, verb)
            return None
        _give_reference(session, rows)
    # One that went out without an answer stays as it was: it is looked for first, and then changed.
    for event in waiting:
        if event.event_type != CANCEL and event.sent_at is None:
            event.payload = describe(rows)
            outbound_rows.hurry(event, _priority(event.event_type, first))
            return event.id
    kind = CREATE if verb == "create" else UPDATE
    return _record_booking(session, connection, kind, first, rows)


def _cancel(
    session: Session,
    connection: UUID,
    first: Reservation,
    rows: Sequence[Reservation],
    waiting: Sequence[ChannelEvent],
) -> UUID | None:
    """A booking that the channel is not to have any more."""
    for event in waiting:
        if event.event_type == CANCEL:
            event.payload = describe(rows)
            return event.id
    for event in waiting:
        if event.sent_at is None:
            outbound_rows.close(event, "the booking was cancelled before this was sent")
        else:
            outbound_rows.hurry(event, URGENT)  # the cancellation waits for it
    if first.external_id is None and not outbound_rows.may_be_there(session, connection, first.id):
        outbound_rows.close_failed(session, connection, first.id)
        _say_nothing("never_sent", first, "cancel")
        return None
    return _record_booking(session, connection, CANCEL, first, rows)


def _record_booking(
    session: Session,
    connection: UUID,
    kind: str,
    first: Reservation,
    rows: Sequence[Reservation],
) -> UUID:
    now = clock.utcnow()
    latest = session.scalar(
        select(ChannelEvent.received_at)
        .where(*outbound_rows.of(connection, "booking", first.id))
        .order_by(ChannelEvent.received_at.desc())
        .limit(1)
    )
    # The order of a booking's events is their moment: two of one instant must not tie.
    at = now if latest is None or latest < now else latest + timedelta(microseconds=1)
    payload = describe(rows)
    key = _booking_key(session, first, kind, payload)
    return outbound_rows.record(session, _event(connection, kind, first, payload, key, at))


def _event(
    connection: UUID,
    kind: str,
    first: Reservation,
    payload: dict[str, Any],
    key: str,
    at: datetime,
) -> dict[str, Any]:
    return {
        "channel_property_id": connection,
        "event_type": kind,
        "entity_type": "booking",
        "entity_internal_id": first.id,
        "entity_external_id": first.external_id,
        "idempotency_key": key,
        "payload": payload,
        "coalesce_key": f"booking:{first.id}",
        "priority": _priority(kind, first),
        "next_attempt_at": clock.utcnow(),
        "received_at": at,
    }


def _version_key(first: Reservation, kind: str) -> str:
    version = f"{first.version}-cancel" if kind == CANCEL else str(first.version)
    return f"outbound:{first.property_id}-booking-{first.id}-{version}"


def _booking_key(session: Session, first: Reservation, kind: str, payload: dict[str, Any]) -> str:
    """Made from the version, so that the same change recorded twice is one event (C-23). A change
    that no version tells from the one before it still is a change."""
    key = _version_key(first, kind)
    known = session.scalar(select(ChannelEvent.payload).where(ChannelEvent.idempotency_key == key))
    if known is None or known == payload:
        return key
    return f"{key}-{hashlib.sha256(json.dumps(payload).encode()).hexdigest()[:12]}"


def _nights_changed(
    session: Session, kind: str, room_type_id: UUID, first: date, last: date
) -> None:
    """One waiting event per room type, which takes further nights up until it is claimed."""
    room = next(iter(connected(session, [room_type_id])), None)
    if room is None or room.channel_property_id is None or room.room_ref is None:
        reason = "not_mapped" if room and room.channel_property_id else "not_connected"
        log.info("outbound_not_owed", kind=kind, room_type_id=str(room_type_id), reason=reason)
        return
    today = clock.local_today(room.timezone)
    first, last = max(first, today), min(last, today + timedelta(days=HORIZON_DAYS))
    if last < first:
        return
    key = f"{_word(kind)}:{room_type_id}"
    # A row that another transaction has in hand is passed by: two messages do no harm, and nobody
    # waits here for a lock.
    waiting = session.scalars(
        select(ChannelEvent)
        .where(
            ChannelEvent.channel_property_id == room.channel_property_id,
            ChannelEvent.coalesce_key == key,
            ChannelEvent.direction == OUTBOUND,
            ChannelEvent.status.in_(WAITING),
            ChannelEvent.processed_at.is_(None),
        )
        .order_by(ChannelEvent.received_at, ChannelEvent.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).first()
    if waiting is not None:
        ranges = [*ranges_of(waiting.payload), (first, last)]
        waiting.payload = waiting.payload | {"ranges": _written(ranges)}
        return
    payload = _nights_payload(room, _written([(first, last)]))
    _record_nights(session, kind, room, payload, key)


def _nights_payload(room: Connected, ranges: list[list[str]]) -> dict[str, Any]:
    return {"room_type_id": str(room.room_type_id), "room_type": room.name, "ranges": ranges}


def _record_nights(
    session: Session, kind: str, room: Connected, payload: dict[str, Any], key: str | None = None
) -> UUID:
    """An event that tells nights of a room type; with a `key` later ones can join it."""
    now = clock.utcnow()
    event_id = uuid4()
    version = f"{now:%Y%m%dT%H%M%S%fZ}-{event_id.hex[:8]}"
    return outbound_rows.record(
        session,
        {
            "id": event_id,
            "channel_property_id": room.channel_property_id,
            "event_type": kind,
            "entity_type": "room_type",
            "entity_internal_id": room.room_type_id,
            "entity_external_id": room.room_ref,
            "idempotency_key": (
                f"outbound:{room.property_id}-{_word(kind)}-{room.room_type_id}-{version}"
            ),
            "payload": payload,
            "coalesce_key": key,
            "priority": NIGHTS if kind == AVAILABILITY else PRICES,
            "next_attempt_at": now + gathering(kind),
            "received_at": now,
        },
    )


def _word(kind: str) -> str:
    return "availability" if kind == AVAILABILITY else "rates"


def gathering(kind: str) -> timedelta:
    """How long nights and prices wait for company: a burst of changes is one message."""
    seconds = settings().outbound_gather_seconds
    return timedelta(seconds=seconds if kind == AVAILABILITY else seconds * RATES_GATHER)


def ranges_of(payload: dict[str, Any]) -> list[Range]:
    """The nights an event tells of, both ends included."""
    return [
        (date.fromisoformat(first), date.fromisoformat(last)) for first, last in payload["ranges"]
    ]


def _written(ranges: Sequence[Range]) -> list[list[str]]:
    return [[a.isoformat(), b.isoformat()] for a, b in merged(ranges, at_most=MAX_RANGES)]


def _give_reference(session: Session, rows: Sequence[Reservation]) -> None:
    """The name under which the booking can be found at a channel that lost its answer (C-23)."""
    reference = rows[0].api_reference or f"tk-{rows[0].id.hex}"
    for row in rows:
        row.api_reference = reference
    session.flush()


def _priority(kind: str, first: Reservation) -> int:
    if kind == CANCEL or first.check_in_at - clock.utcnow() <= NEAR:
        return URGENT
    return NEW if kind == CREATE else BOOKING


def _say_nothing(reason: str, first: Reservation, verb: Verb) -> None:
    log.info(
        "outbound_not_owed",
        kind=f"pms.booking.{verb}",
        reservation_id=str(first.id),
        reason=reason,
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
