"""A verdict on nights: units are taken off sale here, or the channel is told what we have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from app.domain.findings import Side
from app.errors import Conflict
from app.models import ChannelCalendarDay, Discrepancy, Property, RoomType
from app.services import availability, discrepancy_sides, maintenance_blocks, outbound, rates
from app.services.audit import Actor
from app.services.discrepancy_sides import UNSEEN
from app.services.maintenance_blocks import NewBlock
from app.services.outbound_places import connected
from app.services.rates import NewRate

KINDS = ("availability", "rate")
NIGHT = timedelta(days=1)
UNSOLD = "the channel has as many units left or more: what is sold or blocked here cannot be unsold"
NO_PRICE = "we have no price for the night to tell"
NO_PRICE_THERE = "the channel has no price for the night: there is none to take"
#: nights of one decision, in order
Run = Sequence[Discrepancy]


def runs(rows: Sequence[Discrepancy]) -> list[list[Discrepancy]]:
    """Nights that follow one another in one room type and differ by the same: one decision."""
    found: list[list[Discrepancy]] = []
    for row in sorted(rows, key=_order):
        last = found[-1][-1] if found else None
        if last is not None and _alike(last, row) and _day(row) - _day(last) == NIGHT:
            found[-1].append(row)
        else:
            found.append([row])
    return found


def accept_channel(session: Session, run: Run, actor: Actor) -> None:
    """Ours becomes theirs: a maintenance block for the units they have fewer, their price for ours.

    Raises Moved for the first night that is not as it was shown, Conflict when what they have
    cannot be taken.
    """
    room_type_id = _room_type(run)
    availability.lock(session, [room_type_id])
    check(session, run)
    first, last = _day(run[0]), _day(run[-1])
    if run[0].kind == "rate":
        theirs = run[0].theirs or {}
        if theirs.get("price") is None:
            raise Conflict(NO_PRICE_THERE)
        rates.put(
            NewRate(
                room_type_id=room_type_id,
                price=Decimal(str(theirs["price"])),
                min_stay=theirs.get("min_stay"),
                **{"from": first, "to": last + NIGHT},
            ),
            actor=actor,
        )
        return
    missing = fewer(run[0].ours, run[0].theirs)
    if missing <= 0:
        raise Conflict(UNSOLD)
    maintenance_blocks.create(
        NewBlock(
            room_type_id=room_type_id,
            start_date=first,
            end_date=last + NIGHT,
            units=missing,
            reason=f"Discrepancy {str(run[0].id)[:8]}: the channel has {missing} fewer to sell",
        ),
        actor=actor,
    )


def accept_pms(session: Session, run: Run) -> None:
    """Owe the channel our units, or our prices, of these nights. Raises Moved, Conflict."""
    room_type_id = _room_type(run)
    availability.lock(session, [room_type_id])
    check(session, run, theirs=False)
    room = next(iter(connected(session, [room_type_id])), None)
    if room is None or room.channel_property_id is None or room.room_ref is None:
        raise Conflict(
            "the channel cannot be told: the room type is not mapped to one of its rooms"
        )
    first, last = _day(run[0]), _day(run[-1])
    if run[0].kind == "availability":
        outbound.availability_changed(session, [room_type_id], first, last)
        return
    if (run[0].ours or {}).get("price") is None:
        raise Conflict(NO_PRICE)
    outbound.rates_changed(session, room_type_id, first, last)


def check(session: Session, run: Run, *, theirs: bool = True) -> None:
    """Raises Moved when a night is not as it was shown: counted anew here, and there as it was
    last read."""
    room_type_id, first, last = _room_type(run), _day(run[0]), _day(run[-1])
    here = _ours(session, run[0].kind, room_type_id, first, last + NIGHT)
    there = _theirs(session, run) if theirs else {}
    for row in run:
        day = _day(row)
        discrepancy_sides.check(row, ours=here.get(day), theirs=there.get(row.subject, UNSEEN))


def fewer(ours: Side | None, theirs: Side | None) -> int:
    """How many units less the channel has to sell; negative when it has more."""
    here, there = (ours or {}).get("available"), (theirs or {}).get("available")
    if here is None or there is None:
        return 0
    return max(int(here), 0) - max(int(there), 0)


def _ours(
    session: Session, kind: str, room_type_id: UUID, first: date, last: date
) -> Mapping[date, Side]:
    if kind == "availability":
        counted = availability.nights(session, [room_type_id], first, last)
        return {night.date: {"available": night.available} for night in counted[room_type_id]}
    house = session.scalar(
        select(Property.currency)
        .join(RoomType, RoomType.property_id == Property.id)
        .where(RoomType.id == room_type_id)
    )
    return {
        day: {"price": str(rate.price), "min_stay": rate.min_stay, "currency": house}
        for day, rate in rates.of_nights(session, room_type_id, first, last).items()
    }


def _theirs(session: Session, run: Run) -> dict[str, Side]:
    """The units that were read of these nights after they were found to differ, by subject. Which
    of a room's prices is ours is the comparison's to know: they are not looked at here."""
    if run[0].kind != "availability":
        return {}
    seen = {(row.subject.rpartition(" ")[0], _day(row)): row for row in run}
    key = tuple_(ChannelCalendarDay.external_id, ChannelCalendarDay.day)
    nights = session.scalars(
        select(ChannelCalendarDay).where(
            ChannelCalendarDay.channel_property_id == run[0].channel_property_id,
            key.in_(list(seen)),
        )
    )
    found: dict[str, Side] = {}
    for night in nights:
        row = seen[(night.external_id, night.day)]
        if night.read_at > row.last_seen_at:
            found[row.subject] = {"available": night.available}
    return found


def _room_type(run: Run) -> UUID:
    room_type_id = run[0].room_type_id
    if room_type_id is None:
        raise Conflict("the room type is not known any more: dismiss it, or compare again")
    return room_type_id


def _day(row: Discrepancy) -> date:
    if row.first_day is None:
        raise Conflict("the night is not known any more: dismiss it, or compare again")
    return row.first_day


def _order(row: Discrepancy) -> tuple[str, str, str, date]:
    return (
        row.kind,
        str(row.channel_property_id),
        str(row.room_type_id),
        row.first_day or date.min,
    )


def _alike(one: Discrepancy, other: Discrepancy) -> bool:
    if (one.kind, one.channel_property_id, one.room_type_id, one.status) != (
        other.kind,
        other.channel_property_id,
        other.room_type_id,
        other.status,
    ):
        return False
    if one.kind == "availability":
        return fewer(one.ours, one.theirs) == fewer(other.ours, other.theirs) and (
            one.severity == other.severity
        )
    return one.fingerprint == other.fingerprint
