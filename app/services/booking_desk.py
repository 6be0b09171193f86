"""What the desk can sell: a room type's nights, its free rooms, and who would be told of a sale."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import String, cast, func, select
from sqlalchemy.orm import Session

from app import clock
from app.domain import availability as nightly
from app.domain.availability import Night
from app.domain.states import ReservationStatus as Status
from app.domain.stay_times import Said, settle
from app.errors import FieldError
from app.models import Accommodation, ChannelProperty, Property, Reservation, RoomType
from app.services import (
    availability,
    booking_inputs,
    booking_notices,
    channel_places,
    holds,
    rates,
)
from app.services.list_search import natural
from app.services.outbound_places import CHANNEL, connected
from app.transaction import transaction


@dataclass(frozen=True, slots=True)
class Kind:
    """A room type and the property it is sold in."""

    room_type: RoomType
    house: Property


@dataclass(frozen=True, slots=True)
class Offer:
    """A room type on some nights, `check_in` up to and without `check_out`.

    `problems` name what is wrong with the dates; there are no nights then. `rooms` are free on all
    nights. `told` is the channel that hears of a sale, `untold` are channels the house is sold on
    that do not. The PIN would work from `pin_from` on. `price` is that of all nights of one unit,
    None unless each has one.
    """

    kind: Kind
    check_in: date
    check_out: date
    units: int = 1
    nights: Sequence[Night] = ()
    rooms: Sequence[Accommodation] = ()
    told: str | None = None
    untold: tuple[str, ...] = ()
    pin_from: datetime | None = None
    price: Decimal | None = None
    problems: tuple[FieldError, ...] = ()

    @property
    def full(self) -> list[date]:
        """The nights that cannot take the units asked for."""
        return nightly.full(self.nights, self.units)


def kinds(property_id: UUID | None = None) -> list[Kind]:
    """What can be sold, by property and name."""
    statement = select(RoomType, Property).join(Property, Property.id == RoomType.property_id)
    if property_id is not None:
        statement = statement.where(RoomType.property_id == property_id)
    with transaction() as session:
        rows = session.execute(
            statement.order_by(Property.name, *natural(RoomType.name), RoomType.id)
        ).all()
    return [Kind(room_type, house) for room_type, house in rows]


def offer(
    room_type_id: UUID, check_in: date, check_out: date, units: int = 1, *, but: UUID | None = None
) -> Offer | None:
    """What is free of a room type, read and not reserved; None when it does not exist.

    `but` is a stay that is to be changed: the unit it has counts as free for it.
    """
    with transaction() as session:
        row = session.execute(
            select(RoomType, Property)
            .join(Property, Property.id == RoomType.property_id)
            .where(RoomType.id == room_type_id)
        ).first()
        if row is None:
            return None
        kind = Kind(*row)
        stay = session.get(Reservation, but) if but is not None else None
        moved = stay is None or stay.check_in_on != check_in
        today = clock.local_today(kind.house.timezone)
        problems = booking_inputs.check_nights(check_in, check_out, today, arrival_moved=moved)
        told, untold = _channels(session, kind)
        found = Offer(kind, check_in, check_out, units, told=told, untold=untold)
        if problems:
            return replace(found, problems=tuple(problems))
        nights = availability.nights(session, [room_type_id], check_in, check_out)[room_type_id]
        return replace(
            found,
            nights=nights if stay is None else _without(session, nights, stay, room_type_id),
            rooms=_free_rooms(session, room_type_id, check_in, check_out, stay),
            pin_from=_pin_from(kind.house, check_in),
            price=_price(session, room_type_id, check_in, check_out),
        )


def names(ids: Collection[str]) -> dict[str, str]:
    """What room types and rooms are called, by their ids as text; what is none is left out."""
    with transaction() as session:
        types = session.execute(
            select(RoomType.id, RoomType.name).where(cast(RoomType.id, String).in_(ids))
        )
        rooms = session.scalars(
            select(Accommodation).where(cast(Accommodation.id, String).in_(ids))
        )
        return {str(id_): name for id_, name in types} | {
            str(room.id): _called(room) for room in rooms
        }


def _called(room: Accommodation) -> str:
    """203 Coral, unless the name has the number already."""
    number = room.number if room.number and room.number not in room.name else ""
    return f"{number} {room.name}".strip()


def _without(
    session: Session, nights: Sequence[Night], stay: Reservation, room_type_id: UUID
) -> list[Night]:
    """The nights as they would be if the stay were not there."""
    span = booking_notices.span_of(session, stay)
    if span is None or span.room_type_id != room_type_id:
        return list(nights)
    if stay.status == Status.PENDING_SYNC:
        column = "held" if holds.counts(session, stay.id) else ""
    else:
        column = "reserved" if stay.status in availability.RESERVED else ""
    if not column:
        return list(nights)
    return [
        replace(night, **{column: getattr(night, column) - 1})
        if span.first <= night.date < span.last
        else night
        for night in nights
    ]


def _free_rooms(
    session: Session, room_type_id: UUID, first: date, last: date, stay: Reservation | None
) -> list[Accommodation]:
    """The rooms in use; the one a stay has is offered to it whatever became of it."""
    offered = (Accommodation.room_type_id == room_type_id) & Accommodation.is_active
    if stay is not None and stay.room_type_id == room_type_id:
        offered |= Accommodation.id == stay.accommodation_id
    rooms = session.scalars(
        select(Accommodation)
        .where(offered)
        .order_by(
            *natural(func.coalesce(Accommodation.number, Accommodation.name)), Accommodation.id
        )
    ).all()
    ids = [room.id for room in rooms]
    but = stay.id if stay is not None else None
    free = set(availability.free_rooms(session, ids, first, last, but=but))
    return [room for room in rooms if room.id in free]


def _price(session: Session, room_type_id: UUID, first: date, last: date) -> Decimal | None:
    known = rates.of_nights(session, room_type_id, first, last)
    if len(known) < (last - first).days:
        return None
    return sum((rate.price for rate in known.values()), Decimal(0))


def _channels(session: Session, kind: Kind) -> tuple[str | None, tuple[str, ...]]:
    """The channel that hears of our bookings, and those that sell the house and do not."""
    place = next(iter(connected(session, [kind.room_type.id])), None)
    told = CHANNEL if place and place.channel_property_id and place.room_ref else None
    others = session.scalars(
        select(ChannelProperty.channel_name)
        .where(ChannelProperty.property_id == kind.house.id, ChannelProperty.status != "inactive")
        .order_by(ChannelProperty.channel_name)
    )
    return told, tuple(name for name in others if name != told)


def _pin_from(house: Property, check_in: date) -> datetime:
    arrival = settle(Said(check_in), channel_places.house_of(house), check_out=False)
    return arrival.at - timedelta(hours=house.pin_lead_hours)
