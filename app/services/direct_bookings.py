"""Sell a stay at the desk: counted, written, held and owed to the channel in one transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID, uuid4

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import clock
from app.domain.states import ReservationStatus
from app.domain.stay_times import Said, settle
from app.errors import Conflict, FieldError, Invalid
from app.models import (
    Accommodation,
    AuditEntry,
    InventoryHold,
    Property,
    Reservation,
    RoomType,
)
from app.services import (
    audit,
    availability,
    booking_inputs,
    booking_notices,
    channel_places,
    contention,
    front_desk,
    holds,
    listing,
    outbound,
    pin_plan,
    reservation_copies,
    room_status,
)
from app.services.audit import Actor
from app.services.booking_inputs import NewBooking
from app.services.booking_outcomes import confirmed, failed
from app.services.inputs import conflicts
from app.transaction import transaction

#: `confirmed` and `failed` are how a booking made here ends
__all__ = ["Booked", "NewBooking", "confirmed", "copies_of", "create", "failed", "take_room"]

log = structlog.get_logger(__name__)

CENT = Decimal("0.01")
KEY_USED = "this Idempotency-Key was used for another booking"


@dataclass(frozen=True, slots=True)
class Booked:
    """What was sold: a reservation per unit, and their holds, none when no channel is to be told.

    `again` says that the same request had been answered before (`Idempotency-Key`).
    """

    reservations: Sequence[Reservation]
    holds: Sequence[InventoryHold]
    again: bool = False


def create(new: NewBooking, *, actor: Actor, key: str | None = None) -> Booked:
    """Book a stay; each unit is a reservation of its own (DECISIONS 18), with its own PIN.

    They are `pending_sync` with a hold until the channel has answered, or `confirmed` when there is
    none to tell (DECISIONS 4). Raises Invalid naming fields; Conflict naming the full nights, for a
    room that is taken, for a walk-in that cannot move in, or for a `key` used for something else.
    Nothing is written then.
    """
    # A twin with the same key for another room type is not kept waiting by the type's lock.
    with conflicts({"uq_reservations_api_reference": (None, KEY_USED)}):
        return contention.patient(lambda: _create(new, actor, key))


def _create(new: NewBooking, actor: Actor, key: str | None) -> Booked:
    with transaction() as session:
        house, room_type = _place(session, new)
        reference = _reference(actor, key)
        if key is not None and (before := _answered(session, reference, new)):
            return before
        _check(new, house, room_type)
        availability.require(session, room_type, new.check_in, new.check_out, new.units)
        room = _room(session, new)
        rows = _write(session, new, house, room_type, room, reference)
        kept = tell_channel(session, rows)
        ids = [row.id for row in rows]
        _audit(session, rows, new, actor)
        if room is not None:
            pin_plan.plan(session, reservations=ids)
        if new.check_in_now:
            for id_ in ids:
                front_desk.check_in(id_, actor=actor)
        elif room is not None:
            room_status.follow(session, rooms=[room.id], actor=actor.label)
        for row in rows:
            session.refresh(row)
    log.info("stay_booked", reservation_id=str(ids[0]), units=len(ids), held=bool(kept))
    return Booked(rows, kept)


def tell_channel(session: Session, rows: Sequence[Reservation]) -> list[InventoryHold]:
    """Owe the channel new stays, each with a hold until it has answered; those it is not to hear
    of are confirmed at once, and it is told of the nights instead."""
    kept, untold = [], []
    for row in rows:
        if outbound.booking_made(session, row) is not None:
            kept.append(holds.place(session, row))
        else:
            row.status = ReservationStatus.CONFIRMED
            untold.append(booking_notices.span_of(session, row))
    session.flush()
    booking_notices.nights_changed(session, untold)
    return kept


def copies_of(row: Reservation, number: int, reference: str) -> list[Reservation]:
    """`number` more stays like this one, in its group, without a room or a price of their own."""
    same = ("property_id", "room_type_id", "guest_name", "guest_email", "guest_phone", "currency")
    when = ("check_in_at", "check_out_at", "check_in_on", "check_out_on")
    known = ("check_in_time_known", "check_out_time_known", "adults", "children", "search_text")
    return [
        Reservation(
            source="direct",
            status=ReservationStatus.PENDING_SYNC,
            booked_at=clock.utcnow(),
            api_reference=name,
            group_ref=row.group_ref,
            **{column: getattr(row, column) for column in (*same, *when, *known)},
        )
        for name in _further(reference, number)
    ]


def _further(reference: str, number: int) -> list[str]:
    return [f"{reference}-{n}" for n in range(2, number + 2)]


def new_reference() -> str:
    """How a booking of ours is found again at its channel, whatever became of the answer (C-23)."""
    return f"turnkey-{uuid4().hex[:16]}"


def _place(session: Session, new: NewBooking) -> tuple[Property, RoomType]:
    house = session.get(Property, new.property_id)
    if house is None:
        raise listing.unknown("property_id", "property")
    room_type = availability.lock(session, [new.room_type_id]).get(new.room_type_id)
    if room_type is None:
        raise listing.unknown("room_type_id", "room type")
    if room_type.property_id != house.id:
        raise Invalid.field("room_type_id", "belongs to another property")
    return house, room_type


def _check(new: NewBooking, house: Property, room_type: RoomType) -> None:
    today = clock.local_today(house.timezone)
    found = booking_inputs.check_nights(new.check_in, new.check_out, today)
    if new.units > room_type.total_units:
        total = room_type.total_units
        found.append(FieldError("units", f"{room_type.name} has {total} units in all"))
    if new.check_in_now and new.check_in > today:
        found.append(FieldError("check_in_now", "the stay begins later than today"))
    booking_inputs.refuse(found)


def _room(session: Session, new: NewBooking) -> Accommodation | None:
    if new.accommodation_id is None:
        return None
    return take_room(session, new.accommodation_id, new.room_type_id, (new.check_in, new.check_out))


def take_room(
    session: Session,
    accommodation_id: UUID,
    room_type_id: UUID | None,
    nights: tuple[date, date],
    *,
    but: UUID | None = None,
) -> Accommodation:
    """The room, locked, when it is one of the type, in use, and free on all the nights.

    Raises Invalid, Conflict. `but` is the stay that asks.
    """
    room = session.get(
        Accommodation, accommodation_id, with_for_update={"key_share": True}, populate_existing=True
    )
    if room is None:
        raise listing.unknown("accommodation_id", "accommodation")
    if room.room_type_id != room_type_id:
        raise Invalid.field("accommodation_id", "is of another room type")
    if not room.is_active:
        raise Invalid.field("accommodation_id", "is not in use")
    if not availability.is_free(session, room.id, *nights, but=but):
        message = f"{room.name} is taken on some of these nights"
        raise Conflict(message, [FieldError("accommodation_id", message)])
    return room


def _write(
    session: Session,
    new: NewBooking,
    house: Property,
    room_type: RoomType,
    room: Accommodation | None,
    reference: str,
) -> list[Reservation]:
    clockwork = channel_places.house_of(house)
    arrival = settle(Said(new.check_in), clockwork, check_out=False)
    departure = settle(Said(new.check_out), clockwork, check_out=True)
    now = clock.utcnow()
    first = Reservation(
        property_id=house.id,
        room_type_id=room_type.id,
        accommodation_id=room.id if room else None,
        source="direct",
        status=ReservationStatus.PENDING_SYNC,
        api_reference=reference,
        group_ref=reference if new.units > 1 else None,
        guest_name=new.guest_name,
        guest_email=new.guest_email,
        guest_phone=new.guest_phone,
        adults=new.adults,
        children=new.children,
        check_in_at=arrival.at,
        check_out_at=departure.at,
        check_in_on=arrival.day,
        check_out_on=departure.day,
        check_in_time_known=False,
        check_out_time_known=False,
        currency=new.currency or house.currency,
        booked_at=now,
    )
    first.search_text = search_text(first, room.name if room else room_type.name)
    rows = [first, *copies_of(first, new.units - 1, reference)]
    for row, amount in zip(rows, _shares(new.amount, new.units), strict=True):
        row.amount = amount
    session.add_all(rows)
    session.flush()
    return rows


def search_text(row: Reservation, place_name: str) -> str:
    """The words a stay is found by."""
    names = ("guest_name", "guest_email", "guest_phone", "external_id", "external_code")
    known = {name: getattr(row, name) for name in (*names, "partner_ref")}
    return reservation_copies.search_text(known, place_name)


def _shares(amount: Decimal | None, units: int) -> list[Decimal | None]:
    """The price of each unit; cents that cannot be divided go to the first."""
    if amount is None:
        return [None] * units
    share = (amount / units).quantize(CENT, rounding="ROUND_DOWN")
    return [amount - share * (units - 1), *[share] * (units - 1)]


def _audit(session: Session, rows: Sequence[Reservation], new: NewBooking, actor: Actor) -> None:
    said = new.model_dump(mode="json", exclude_none=True)
    for row in rows:
        after = said | {"api_reference": row.api_reference, "request": _digest(new)}
        audit.record(session, actor, "create", "reservation", row.id, after=after)


def _reference(actor: Actor, key: str | None) -> str:
    """A new name; with a key always the same one for the same person, so that it is found."""
    if key is None:
        return new_reference()
    return "turnkey-" + hashlib.sha256(f"{actor.label}\n{key}".encode()).hexdigest()[:16]


def _answered(session: Session, reference: str, new: NewBooking) -> Booked | None:
    """What was booked under the same key before; the room type's lock keeps a twin waiting."""
    names = [reference, *_further(reference, new.units - 1)]
    rows = session.scalars(
        select(Reservation)
        .where(Reservation.api_reference.in_(names))
        .order_by(func.length(Reservation.api_reference), Reservation.api_reference)
    ).all()
    if not rows:
        return None
    request = session.scalar(
        select(AuditEntry.after["request"].astext).where(
            AuditEntry.entity == "reservation",
            AuditEntry.entity_id == str(rows[0].id),
            AuditEntry.action == "create",
        )
    )
    if request != _digest(new):
        raise Conflict(KEY_USED)
    ids = [row.id for row in rows]
    kept = session.scalars(
        select(InventoryHold)
        .where(InventoryHold.reservation_id.in_(ids))
        .order_by(InventoryHold.created_at, InventoryHold.id)
    ).all()
    return Booked(rows, kept, again=True)


def _digest(new: NewBooking) -> str:
    text = json.dumps(new.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
