"""Change a stay that was sold: what its owner allows, while nobody else has changed it (RES-12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from app import clock
from app.domain import availability as nightly
from app.domain.booking_rules import Booking, against_changing
from app.domain.states import ReservationStatus as Status
from app.domain.stay_times import End, Said, settle
from app.errors import Conflict, FieldError, Invalid, NotFound, Stale
from app.models import Accommodation, Property, Reservation, RoomType
from app.services import (
    audit,
    availability,
    booking_inputs,
    booking_notices,
    booking_outcomes,
    channel_places,
    contention,
    direct_bookings,
    edits,
    front_desk,
    holds,
    listing,
    outbound,
    pin_plan,
    room_status,
)
from app.services.audit import Actor
from app.services.booking_inputs import BookingChanges
from app.services.booking_notices import Span, span_of
from app.transaction import transaction

log = structlog.get_logger(__name__)

#: a booking of several units has these once; the rest is each unit's own
SHARED = (
    "room_type_id",
    "check_in",
    "check_out",
    "guest_name",
    "guest_email",
    "guest_phone",
    "adults",
    "children",
    "currency",
)
#: what changes which nights of which room type a stay takes
PLACED = frozenset({"room_type_id", "accommodation_id", "check_in", "check_out"})


@dataclass(frozen=True, slots=True)
class Changed:
    """The stay as it is now, and the further units that were booked with it."""

    reservation: Reservation
    added: Sequence[Reservation] = ()


def change(reservation_id: UUID, changes: BookingChanges, *, actor: Actor) -> Changed:
    """Change a stay; its PIN, its room, its hold and its channel follow.

    New nights are counted under the room type's lock, as for a booking. Raises NotFound; Stale when
    somebody has changed it since `version`; Invalid naming fields; Conflict with every reason why
    the owner, the status or the house does not allow it (DECISIONS 17).
    """
    return contention.patient(lambda: _change(reservation_id, changes, actor))


def lock_booking(
    session: Session, reservation_id: UUID, *further: UUID | None
) -> tuple[Reservation, list[Reservation]]:
    """A stay and all rows of its booking, locked after their room types and those in `further`.

    Raises NotFound.
    """
    seen = session.get(Reservation, reservation_id, populate_existing=True)
    if seen is None:
        raise NotFound("no such reservation")
    spans = [span_of(session, row) for row in outbound.units_of(session, reservation_id)]
    kinds = {span.room_type_id for span in spans if span} | {seen.room_type_id, *further}
    availability.lock(session, {kind for kind in kinds if kind is not None})
    ids = [row.id for row in outbound.units_of(session, reservation_id)]
    rows = session.scalars(
        select(Reservation)
        .where(Reservation.id.in_(ids))
        .order_by(Reservation.unit_no, Reservation.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).all()
    by_id = {row.id: row for row in rows}
    if reservation_id not in by_id:
        raise NotFound("no such reservation")
    return by_id[reservation_id], list(rows)


def as_booking(row: Reservation) -> Booking:
    """What the rules look at."""
    return Booking(row.source, row.partner, row.status, row.check_in_on)


def _change(reservation_id: UUID, changes: BookingChanges, actor: Actor) -> Changed:
    given = changes.given()
    with transaction() as session:
        row, rows = lock_booking(session, reservation_id, *_kinds_of(session, given))
        if row.version != changes.version:
            raise Stale(f"somebody has changed the stay: it is at version {row.version} by now")
        house = session.get_one(Property, row.property_id)
        wanted = _wanted(session, row, given)
        if not wanted:
            return Changed(row)
        reasons = against_changing(as_booking(row), wanted.keys())
        if reasons:
            raise Conflict(
                "; ".join(reason.message for reason in reasons),
                [FieldError(reason.field, reason.message) for reason in reasons],
            )
        _check_dates(row, wanted, house)
        more = wanted.pop("units", 1) - 1
        _check_units(session, row, wanted, more + 1)
        if more and len(rows) > 1:
            raise Conflict("the units of this booking are its channel's: change them there")
        touched = _touched(row, rows, wanted)
        before = [span_of(session, each) for each in touched]
        _make_room(session, row, touched, wanted, more)
        had = {each.id: each.accommodation_id for each in touched}
        left = {room for room in had.values() if room is not None}
        for each in touched:
            _apply(session, each, wanted, house, actor, own=each.id == row.id)
        session.flush()
        vacated = {
            room
            for each in touched
            if each.status == Status.CHECKED_IN
            and (room := had[each.id]) is not None
            and room != each.accommodation_id
        }
        added = _add(session, row, more, actor)
        _tell(session, row, touched, before, placed=not PLACED.isdisjoint(wanted))
        ids = [each.id for each in (*touched, *added)]
        pin_plan.plan(session, reservations=ids, accommodations=left)
        room_status.follow(session, reservations=ids, rooms=left, left=vacated, actor=actor.label)
        if not PLACED.isdisjoint(wanted):
            booking_outcomes.forget_alerts(session, row, overbooked_only=True)
        for each in (*touched, *added):
            session.refresh(each)
    log.info("stay_changed", reservation_id=str(row.id), fields=sorted(wanted), added=more)
    return Changed(row, added)


def _kinds_of(session: Session, given: dict[str, Any]) -> list[UUID | None]:
    """Room types the change may lead to."""
    kinds: list[UUID | None] = [given.get("room_type_id")]
    if given.get("accommodation_id") is not None:
        room = session.get(Accommodation, given["accommodation_id"])
        kinds.append(room.room_type_id if room else None)
    return kinds


def _wanted(session: Session, row: Reservation, given: dict[str, Any]) -> dict[str, Any]:
    """What differs from the stay as it is. Raises Invalid for what fits no stay."""
    for name in ("room_type_id", "check_in", "check_out", "guest_name", "property_id", "units"):
        if name in given and given[name] is None:
            raise Invalid.field(name, "must not be null")
    if given.pop("property_id", row.property_id) != row.property_id:
        raise Invalid.field("property_id", "a stay does not change its property: book it anew")
    stored = _stored(row)
    wanted = {name: value for name, value in given.items() if value != stored[name]}
    if "room_type_id" in wanted:
        kind = session.get(RoomType, wanted["room_type_id"])
        if kind is None:
            raise listing.unknown("room_type_id", "room type")
        if kind.property_id != row.property_id:
            raise Invalid.field("room_type_id", "belongs to another property")
        # The room it had is of the old type, unless another one is named.
        had = session.get(Accommodation, row.accommodation_id) if row.accommodation_id else None
        if had is not None and had.room_type_id != kind.id:
            wanted.setdefault("accommodation_id", None)
    elif wanted.get("accommodation_id") is not None:
        room = session.get(Accommodation, wanted["accommodation_id"])
        if room is None or room.property_id != row.property_id:
            raise listing.unknown("accommodation_id", "accommodation")
        # A room of another type means that type is what the guest gets.
        if room.room_type_id is not None and room.room_type_id != row.room_type_id:
            wanted["room_type_id"] = room.room_type_id
    return wanted


def _stored(row: Reservation) -> dict[str, Any]:
    names = (*SHARED, "accommodation_id", "amount")
    columns = {"check_in": "check_in_on", "check_out": "check_out_on"}
    return {name: getattr(row, columns.get(name, name)) for name in names} | {"units": 1}


def _check_dates(row: Reservation, wanted: dict[str, Any], house: Property) -> None:
    if not {"check_in", "check_out"} & wanted.keys():
        return
    booking_inputs.refuse(
        booking_inputs.check_nights(
            wanted.get("check_in", row.check_in_on),
            wanted.get("check_out", row.check_out_on),
            clock.local_today(house.timezone),
            arrival_moved="check_in" in wanted,
        )
    )


def _check_units(session: Session, row: Reservation, wanted: dict[str, Any], units: int) -> None:
    kind = session.get(RoomType, wanted.get("room_type_id", row.room_type_id) or UUID(int=0))
    if kind is not None and units > kind.total_units:
        raise Invalid.field("units", f"{kind.name} has {kind.total_units} units in all")


def _touched(
    row: Reservation, rows: Sequence[Reservation], wanted: dict[str, Any]
) -> list[Reservation]:
    """The stay, and the other units of its booking when they share what changes."""
    if not set(SHARED).intersection(wanted):
        return [row]
    over = (Status.CANCELLED, Status.FAILED)
    return [each for each in rows if each.id == row.id or each.status not in over]


def _make_room(
    session: Session,
    row: Reservation,
    touched: Sequence[Reservation],
    wanted: dict[str, Any],
    more: int,
) -> None:
    """Count the nights that the stays do not have yet, and look at the room. Raises Conflict."""
    first = wanted.get("check_in", row.check_in_on)
    last = wanted.get("check_out", row.check_out_on)
    room_type_id = wanted.get("room_type_id", row.room_type_id)
    moves = not PLACED.isdisjoint(wanted)
    if room_type_id is not None and (moves or more):
        _require(session, touched, room_type_id, (first, last), more)
    if not moves:
        return
    if row.status == Status.CHECKED_IN and "accommodation_id" in wanted:
        _require_fit(session, row, wanted["accommodation_id"])
    if wanted.get("accommodation_id") is not None:
        direct_bookings.take_room(
            session, wanted["accommodation_id"], room_type_id, (first, last), but=row.id
        )
    for each in touched:
        stays = each.accommodation_id
        if stays is None or (each.id == row.id and "accommodation_id" in wanted):
            continue
        if "room_type_id" in wanted:
            continue  # it leaves the room with the type
        if not availability.is_free(session, stays, first, last, but=each.id):
            room = session.get_one(Accommodation, stays)
            message = f"{room.name} is taken on some of these nights: name another room, or none"
            raise Conflict(message, [FieldError("accommodation_id", message)])


def _require_fit(session: Session, row: Reservation, room_id: UUID | None) -> None:
    """A guest who is here moves now: raises Conflict with every reason why not into this room."""
    room = room_status.lock(session, [room_id]).get(room_id) if room_id is not None else None
    if room is None:
        found = ["the guest has arrived: name the room they move to"]
    else:
        found = front_desk.against_room(session, row, room)
    if found:
        raise Conflict("; ".join(found), [FieldError("accommodation_id", each) for each in found])


def _require(
    session: Session,
    touched: Sequence[Reservation],
    room_type_id: UUID,
    nights: tuple[date, date],
    more: int,
) -> None:
    """Raises Conflict naming the nights that have no unit for what the stays do not take yet."""
    taken = [
        Span(room_type_id, span.first, span.last)
        for each in touched
        if (span := span_of(session, each)) and span.room_type_id == room_type_id
        if _counts(session, each)
    ]
    needed = len(touched) + more
    found = availability.nights(session, [room_type_id], *nights)[room_type_id]
    short = [
        night.date
        for night in found
        if (lacking := needed - sum(each.first <= night.date < each.last for each in taken)) > 0
        and night.date in nightly.full([night], lacking)
    ]
    availability.refuse_full(session.get_one(RoomType, room_type_id), short)


def _counts(session: Session, row: Reservation) -> bool:
    """Whether the stay is among the units that are taken."""
    if row.status == Status.PENDING_SYNC:
        return holds.counts(session, row.id)
    return row.status in availability.RESERVED


def _apply(
    session: Session,
    row: Reservation,
    wanted: dict[str, Any],
    house: Property,
    actor: Actor,
    *,
    own: bool,
) -> None:
    """Write one row; what is each unit's own goes to the stay that was asked for alone."""
    values = {name: value for name, value in wanted.items() if own or name in SHARED}
    if "room_type_id" in values and not own and row.accommodation_id is not None:
        values["accommodation_id"] = None
    _retime(row, values, house)
    before, after = edits.apply(row, values)
    if not before:
        return
    session.flush()
    row.version += 1
    row.search_text = _search_text(session, row)
    holds.follow(session, row)
    audit.record(session, actor, "update", "reservation", row.id, _plain(before), _plain(after))


def _retime(row: Reservation, values: dict[str, Any], house: Property) -> None:
    """Days to instants: the house's hours, or those the channel has named (C-02)."""
    clockwork = channel_places.house_of(house)
    if (arrives := values.pop("check_in", None)) is not None:
        stored = End(row.check_in_at, row.check_in_on, row.check_in_time_known)
        end = settle(Said(arrives), clockwork, check_out=False, stored=stored)
        values |= {"check_in_at": end.at, "check_in_on": end.day}
    if (leaves := values.pop("check_out", None)) is not None:
        stored = End(row.check_out_at, row.check_out_on, row.check_out_time_known)
        end = settle(Said(leaves), clockwork, check_out=True, stored=stored)
        values |= {"check_out_at": end.at, "check_out_on": end.day}


def _add(session: Session, row: Reservation, more: int, actor: Actor) -> list[Reservation]:
    """Book the further units: each a stay of its own beside this one."""
    if not more:
        return []
    row.group_ref = row.group_ref or row.api_reference or direct_bookings.new_reference()
    added = direct_bookings.copies_of(row, more, direct_bookings.new_reference())
    session.add_all(added)
    session.flush()
    direct_bookings.tell_channel(session, added)
    for each in added:
        after = {"api_reference": each.api_reference, "beside": str(row.id)}
        audit.record(session, actor, "create", "reservation", each.id, after=after)
    return added


def _tell(
    session: Session,
    row: Reservation,
    touched: Sequence[Reservation],
    before: Sequence[Span | None],
    *,
    placed: bool,
) -> None:
    told = outbound.booking_changed(session, row.id, "update") is not None
    if placed:
        after = [span_of(session, each) for each in touched]
        booking_notices.nights_changed(session, [*before, *after], told=told)


def _search_text(session: Session, row: Reservation) -> str:
    if row.accommodation_id is not None:
        return direct_bookings.search_text(
            row, session.get_one(Accommodation, row.accommodation_id).name
        )
    kind = session.get(RoomType, row.room_type_id) if row.room_type_id else None
    return direct_bookings.search_text(row, kind.name if kind else "")


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Amounts as text; everything else is JSON already."""
    return {k: str(v) if isinstance(v, Decimal) else v for k, v in values.items()}
