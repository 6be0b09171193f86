"""Give stays the hours of their house again, after the house has changed or they changed houses."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, select, text, update
from sqlalchemy.orm import Session

from app import clock
from app.domain.states import ReservationStatus
from app.domain.stay_times import End, House, Said, settle
from app.models import Accommodation, Property, Reservation
from app.services import channel_places

#: a row of `_STAY`
StayRow: TypeAlias = Any

_STAY = (
    Reservation.id,
    Reservation.check_in_at,
    Reservation.check_out_at,
    Reservation.check_in_on,
    Reservation.check_out_on,
    Reservation.check_in_time_known,
    Reservation.check_out_time_known,
)
_UPDATE = text(
    """
    UPDATE reservations AS r
    SET check_in_at = new.check_in_at, check_out_at = new.check_out_at,
        version = r.version + 1, updated_at = CAST(:now AS timestamptz)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:ins AS timestamptz[]), CAST(:outs AS timestamptz[]))
         AS new (id, check_in_at, check_out_at)
    WHERE r.id = new.id
    """
)


def refresh(session: Session, property_: Property, *, zone_before: str) -> int:
    """Settle the times of all coming stays of a house by its present clock and hours (C-02)."""
    return _settle(
        session,
        Reservation.property_id == property_.id,
        channel_places.house_of(property_),
        ZoneInfo(zone_before),
    )


def hold(session: Session, units: ColumnElement[bool]) -> None:
    """Lock the coming stays of accommodations that may move to another house, before these are
    locked: whoever changes stays has them first and then locks the rooms."""
    session.execute(
        select(Reservation.id)
        .join(Accommodation, Accommodation.id == Reservation.accommodation_id)
        .where(units, _coming())
        .order_by(Reservation.external_id, Reservation.id)
        .with_for_update(of=Reservation, key_share=True)
    ).all()


def move(session: Session, accommodation_id: UUID, old: Property, new: Property) -> int:
    """Let the coming stays of a unit follow it into another house, and its kind of room there.

    The caller has locked them with `hold` before the unit.
    """
    here = Reservation.accommodation_id == accommodation_id
    retimed = _settle(session, here, channel_places.house_of(new), ZoneInfo(old.timezone))
    kind = select(Accommodation.room_type_id).where(Accommodation.id == accommodation_id)
    session.execute(
        update(Reservation)
        .where(here, _coming())
        .values(property_id=new.id, room_type_id=kind.scalar_subquery())
        .execution_options(synchronize_session=False)
    )
    return retimed


def _coming() -> ColumnElement[bool]:
    """Stays that are not over; cancelled ones too, for their channel may bring them back."""
    return (Reservation.check_out_at > clock.utcnow()) & (
        Reservation.status != ReservationStatus.CHECKED_OUT
    )


def _settle(
    session: Session, where: ColumnElement[bool], house: House, zone_before: ZoneInfo
) -> int:
    """One read and one write, however many stays there are; how many changed."""
    now = clock.utcnow()
    rows = session.execute(
        select(*_STAY)
        .where(where, _coming())
        # The order in which a channel's copies lock them too.
        .order_by(Reservation.external_id, Reservation.id)
        .with_for_update(key_share=True)  # a worker may hold the key share
    ).all()
    changed: list[tuple[UUID, datetime, datetime]] = []
    for row in rows:
        arrives, leaves = _times(row, house, zone_before, now)
        differs = (arrives, leaves) != (row.check_in_at, row.check_out_at)
        if differs and arrives < leaves:
            changed.append((row.id, arrives, leaves))
    if changed:
        ids, ins, outs = (list(column) for column in zip(*changed, strict=True))
        session.execute(_UPDATE, {"ids": ids, "ins": ins, "outs": outs, "now": now})
    return len(changed)


def _times(
    row: StayRow, house: House, zone_before: ZoneInfo, now: datetime
) -> tuple[datetime, datetime]:
    """A time of day that the channel named keeps its place on the clock; the house's own moves. An
    arrival that has been is history."""

    def end(at: datetime, day: Any, known: bool, check_out: bool) -> datetime:
        stored = End(at, day, known) if known else None
        zone = zone_before if known else None
        return settle(Said(day), house, check_out=check_out, stored=stored, stored_zone=zone).at

    arrives = row.check_in_at
    if arrives > now:
        arrives = end(arrives, row.check_in_on, row.check_in_time_known, False)
    return arrives, end(row.check_out_at, row.check_out_on, row.check_out_time_known, True)
