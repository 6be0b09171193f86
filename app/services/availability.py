"""What is left to sell, from the rows; bookings, pushes and comparisons all ask here (C-29)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import and_, exists, func, literal, or_, select, union_all
from sqlalchemy.orm import Session

from app.domain import availability
from app.domain.availability import Night, Taken
from app.domain.states import ReservationStatus
from app.errors import Conflict, FieldError, Invalid, NotFound
from app.models import Accommodation, InventoryHold, MaintenanceBlock, Reservation, RoomType
from app.models.columns import among
from app.transaction import transaction

#: a stay in one of these has a unit of its own; `pending_sync` has its hold instead (DECISIONS 18)
RESERVED = (
    ReservationStatus.PENDING,
    ReservationStatus.CONFIRMED,
    ReservationStatus.CHECKED_IN,
)
#: a stay in one of these needs the very room it was given
OCCUPIES = (*RESERVED, ReservationStatus.PENDING_SYNC)
#: nights one may ask for at once
MAX_NIGHTS = 731
#: an instant and its day at the property are never further apart
SLACK = timedelta(days=2)
UTC = ZoneInfo("UTC")


def nights(
    session: Session, room_type_ids: Collection[UUID], first: date, last: date
) -> dict[UUID, list[Night]]:
    """Every night from `first` up to and without `last`, of each room type that exists.

    Two statements, however many room types, stays and nights. A stay counts where it sleeps: its
    accommodation's room type, or its own while it has no room. `held` are active holds of
    `pending_sync` stays only, so that no stay counts twice (HOLD-28). `maintenance` are blocks with
    dates; a room's status MAINTENANCE or OUT_OF_SERVICE has none and is not counted. A stay in a
    blocked room counts beside its block: below zero is an overbooking.
    """
    kinds = session.execute(
        select(RoomType.id, RoomType.total_units).where(among(RoomType.id, room_type_ids))
    )
    return _nights(session, {kind.id: kind.total_units for kind in kinds}, first, last)


def show(room_type_id: UUID, first: date, last: date) -> list[Night]:
    """The nights of one room type, for people. Raises NotFound, Invalid for an odd range."""
    if not first < last:
        raise Invalid.field("to", "must be after from")
    if (last - first).days > MAX_NIGHTS:
        raise Invalid.field("to", f"must be at most {MAX_NIGHTS} nights after from")
    with transaction() as session:
        found = nights(session, [room_type_id], first, last)
    if room_type_id not in found:
        raise NotFound("no such room type")
    return found[room_type_id]


def lock(session: Session, room_type_ids: Collection[UUID]) -> dict[UUID, RoomType]:
    """Lock the room types for the rest of the transaction, always in the same order (C-30).

    Whoever sells, moves or blocks units holds these rows first. What a channel reports only refers
    to them, which the weaker lock lets pass: it is a fact and waits for nobody.
    """
    rows = session.scalars(
        select(RoomType)
        .where(among(RoomType.id, set(room_type_ids)))
        .order_by(RoomType.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return {row.id: row for row in rows}


def require(
    session: Session, room_type: RoomType, first: date, last: date, units: int = 1
) -> list[Night]:
    """The nights, when each can take `units` more; the room type has to be locked.

    Raises Conflict naming the nights that are full (HOLD-22).
    """
    found = _nights(session, {room_type.id: room_type.total_units}, first, last)[room_type.id]
    refuse_full(room_type, availability.full(found, units))
    return found


def refuse_full(room_type: RoomType, short: Sequence[date]) -> None:
    """Raises Conflict naming the nights, when there are any."""
    if short:
        raise Conflict(
            f"{room_type.name} is full on {_named(short)}",
            [FieldError("check_in", f"{day.isoformat()} is full") for day in short],
        )


def is_free(
    session: Session,
    accommodation_id: UUID,
    first: date,
    last: date,
    *,
    but: UUID | None = None,
) -> bool:
    """Whether nobody else has this very room on any night, and nothing is done in it then.

    `but` is the stay that asks.
    """
    return accommodation_id in free_rooms(session, [accommodation_id], first, last, but=but)


def free_rooms(
    session: Session,
    accommodation_ids: Sequence[UUID],
    first: date,
    last: date,
    *,
    but: UUID | None = None,
) -> list[UUID]:
    """Those of the rooms that are free on all the nights, in the order given; one statement."""
    stay = exists().where(
        Reservation.accommodation_id == Accommodation.id,
        Reservation.status.in_(OCCUPIES),
        *overlaps(first, last),
        Reservation.id != (but or UUID(int=0)),
    )
    block = exists().where(
        MaintenanceBlock.accommodation_id == Accommodation.id,
        MaintenanceBlock.start_date < last,
        MaintenanceBlock.end_date > first,
    )
    free = set(
        session.scalars(
            select(Accommodation.id).where(
                among(Accommodation.id, accommodation_ids), ~stay, ~block
            )
        )
    )
    return [id_ for id_ in accommodation_ids if id_ in free]


def _nights(
    session: Session, totals: Mapping[UUID, int], first: date, last: date
) -> dict[UUID, list[Night]]:
    taken: dict[tuple[UUID, str], list[Taken]] = {}
    if totals:
        for room_type_id, kind, begin, end, units in session.execute(_taken(totals, first, last)):
            taken.setdefault((room_type_id, kind), []).append(Taken(begin, end, units))
    return {
        room_type_id: availability.count(
            total,
            first,
            last,
            reserved=taken.get((room_type_id, "reserved"), ()),
            maintenance=taken.get((room_type_id, "maintenance"), ()),
            held=taken.get((room_type_id, "held"), ()),
        )
        for room_type_id, total in totals.items()
    }


def overlaps(first: date, last: date) -> tuple[Any, ...]:
    """Stays with a night in the range; the instants have an index, the days have none."""
    return (
        Reservation.check_in_on < last,
        Reservation.check_out_on > first,
        Reservation.check_in_at < datetime.combine(last, time(0), UTC) + SLACK,
        Reservation.check_out_at > datetime.combine(first, time(0), UTC) - SLACK,
    )


def _taken(room_type_ids: Collection[UUID], first: date, last: date) -> Any:
    """(room type, kind, first, last, units) of all that takes units in the range, summed up."""
    kind = func.coalesce(Accommodation.room_type_id, Reservation.room_type_id)
    in_a_room = Reservation.accommodation_id.in_(
        select(Accommodation.id).where(among(Accommodation.room_type_id, room_type_ids))
    )
    reserved = (
        select(
            kind,
            literal("reserved"),
            Reservation.check_in_on,
            Reservation.check_out_on,
            func.count(),
        )
        .outerjoin(Accommodation, Accommodation.id == Reservation.accommodation_id)
        .where(
            Reservation.status.in_(RESERVED),
            *overlaps(first, last),
            or_(
                in_a_room,
                and_(
                    among(Reservation.room_type_id, room_type_ids),
                    Accommodation.room_type_id.is_(None),
                ),
            ),
        )
        .group_by(kind, Reservation.check_in_on, Reservation.check_out_on)
    )
    blocked = select(
        MaintenanceBlock.room_type_id,
        literal("maintenance"),
        MaintenanceBlock.start_date,
        MaintenanceBlock.end_date,
        MaintenanceBlock.units,
    ).where(
        among(MaintenanceBlock.room_type_id, room_type_ids),
        MaintenanceBlock.start_date < last,
        MaintenanceBlock.end_date > first,
    )
    held = (
        select(
            InventoryHold.room_type_id,
            literal("held"),
            InventoryHold.check_in,
            InventoryHold.check_out,
            InventoryHold.units_held,
        )
        .join(Reservation, Reservation.id == InventoryHold.reservation_id)
        .where(
            among(InventoryHold.room_type_id, room_type_ids),
            InventoryHold.status == "active",
            Reservation.status == ReservationStatus.PENDING_SYNC,
            InventoryHold.check_in < last,
            InventoryHold.check_out > first,
        )
    )
    return union_all(reserved, blocked, held)


def _named(days: Sequence[date]) -> str:
    """The days in one phrase; a long list is cut short, the errors name each."""
    shown = ", ".join(day.isoformat() for day in days[:10])
    return shown if len(days) <= 10 else f"{shown} and {len(days) - 10} more nights"
