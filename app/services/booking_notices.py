"""Tell the channel that other nights are free than before, unless the booking itself tells it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from app.models import Accommodation, Reservation
from app.services import outbound
from app.services.outbound_places import CHANNEL

NIGHT = timedelta(days=1)


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
