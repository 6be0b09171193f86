"""Tell the channel that other nights are free than before, unless the booking itself tells it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app import clock
from app.domain.date_ranges import Range, merged
from app.models import Accommodation, Reservation
from app.services import availability, outbound
from app.services.outbound_places import CHANNEL, connected

NIGHT = timedelta(days=1)
#: a batch that touches more separate ranges of one room type tells of all nights between
MAX_RANGES = 3


@dataclass(frozen=True, slots=True)
class Span:
    """Nights of a room type, `first` up to and without `last`."""

    room_type_id: UUID
    first: date
    last: date


def span_of(session: Session, row: Reservation) -> Span | None:
    """The nights in which a stay takes a unit, where it sleeps; None where it takes none."""
    room_type_id = row.room_type_id
    if row.accommodation_id is not None:
        room = session.get_one(Accommodation, row.accommodation_id)
        room_type_id = room.room_type_id or room_type_id
    if room_type_id is None or row.check_in_on >= row.check_out_on:
        return None
    return Span(room_type_id, row.check_in_on, row.check_out_on)


def nights_changed(session: Session, spans: Iterable[Span | None], *, told: bool = False) -> None:
    """Owe the channel the free units of these nights. `told`: it hears of the booking itself, and
    what that does to its calendar is its own consequence (C-29)."""
    for span in sorted(
        {each for each in spans if each is not None},
        key=lambda each: (each.room_type_id, each.first, each.last),
    ):
        outbound.availability_changed(
            session,
            [span.room_type_id],
            span.first,
            span.last - NIGHT,
            except_channel=CHANNEL if told else None,
        )


def everything_changed(session: Session, room_type_ids: Iterable[UUID | None]) -> None:
    """Owe the channel every night it is told of: there are other units than before."""
    outbound.availability_changed(
        session, {id_ for id_ in room_type_ids if id_ is not None}, date.min, date.max
    )


def copies_changed(session: Session, channel: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Owe the other channel the nights of stays that `channel` has brought or changed: each row as
    it was and as it is. One question when nobody else sells these room types."""
    if channel == CHANNEL:
        return
    taken: dict[UUID, list[Range]] = {}
    yesterday = clock.utcnow().date() - NIGHT  # nobody's today is before it
    for row in rows:
        first, last = row["check_in_on"], row["check_out_on"]
        sleeps = row["room_type_id"] is not None and row["status"] in availability.RESERVED
        if sleeps and yesterday < last and first < last:
            taken.setdefault(row["room_type_id"], []).append((first, last - NIGHT))
    if not taken:
        return
    for kind in connected(session, taken):
        if kind.channel_property_id is None or kind.room_ref is None:
            continue
        for first, last in merged(taken[kind.room_type_id], at_most=MAX_RANGES):
            outbound.availability_changed(session, [kind.room_type_id], first, last)
