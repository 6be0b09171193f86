"""What each verdict would change, said before anybody decides: PINs, amounts, units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import clock
from app.domain.findings import Side
from app.domain.states import FRONT_DESK, ReservationStatus
from app.domain.stay_times import End, Said, settle
from app.domain.stay_windows import Window, plan_windows
from app.models import LockMapping, Property, Reservation
from app.models.columns import among
from app.services import channel_places, discrepancy_bookings, discrepancy_nights
from app.services.discrepancy_bookings import Against
from app.services.discrepancy_cards import Card
from app.services.pin_doors import claims, policy_of, stays_at
from app.transaction import transaction


@dataclass(frozen=True, slots=True)
class Door:
    """When a stay's PIN opens its door: as planned now, and if the channel's side is taken. Both
    None: nobody owes it one; only `then` None: the PIN is removed."""

    now: Window | None = None
    then: Window | None = None

    @property
    def moves(self) -> bool:
        return (
            self.now is not None and self.then is not None and _ends(self.now) != _ends(self.then)
        )

    @property
    def removed(self) -> bool:
        return self.now is not None and self.then is None


@dataclass(frozen=True, slots=True)
class Consequences:
    """Of one card: why either side cannot be taken (empty: it can), and what becomes of the PIN."""

    against_ours: tuple[Against, ...] = ()
    against_theirs: tuple[Against, ...] = ()
    door: Door = Door()


def of(cards: Sequence[Card]) -> dict[UUID, Consequences]:
    """By discrepancy; two statements however many cards there are, and nothing is locked."""
    with transaction() as session:
        doors = _doors(session, [card for card in cards if card.stay is not None])
    return {card.row.id: _consequences(card, doors.get(card.row.id, Door())) for card in cards}


def ends(card: Card) -> bool:
    """Whether taking the channel's side would end our stay."""
    row = card.row
    return row.kind == "missing" or (
        row.kind == "status" and (row.theirs or {}).get("status") == ReservationStatus.CANCELLED
    )


def _consequences(card: Card, door: Door) -> Consequences:
    row = card.row
    if row.kind in discrepancy_nights.KINDS:
        return _of_nights(card)
    if not discrepancy_bookings.is_booking(row):
        where = (Against("setup", discrepancy_bookings.SETUP),)
        return Consequences(where, where)
    ours: tuple[Against, ...] = (Against("no_stay", "there is no stay of ours to tell"),)
    theirs: tuple[Against, ...] = ()
    if card.stay is not None:
        ours = tuple(
            discrepancy_bookings.against_telling(
                row.kind, row.theirs, [card.stay], card.house.currency
            )
        )
        if ends(card) and card.stay.status in FRONT_DESK:
            said = "what the front desk has recorded is not undone"
            theirs = (Against("front_desk", said),)
    return Consequences(ours, theirs, door)


def _of_nights(card: Card) -> Consequences:
    row = card.row
    ours: tuple[Against, ...] = ()
    theirs: tuple[Against, ...] = ()
    if row.kind == "availability":
        if discrepancy_nights.fewer(row.ours, row.theirs) <= 0:
            theirs = (Against("sold", discrepancy_nights.UNSOLD),)
    else:
        if (row.ours or {}).get("price") is None:
            ours = (Against("no_price", discrepancy_nights.NO_PRICE),)
        if (row.theirs or {}).get("price") is None:
            theirs = (Against("no_price_there", discrepancy_nights.NO_PRICE_THERE),)
    return Consequences(ours, theirs)


def _doors(session: Session, cards: Sequence[Card]) -> dict[UUID, Door]:
    """The windows at the doors of the cards' stays, now and with the channel's dates."""
    rooms = {card.stay.accommodation_id for card in cards if card.stay is not None} - {None}
    if not rooms:
        return {}
    locked = set(
        session.scalars(
            select(LockMapping.accommodation_id).where(among(LockMapping.accommodation_id, rooms))
        )
    )
    at_door: dict[UUID, list[Any]] = {}
    for stay in stays_at(session, [room for room in rooms if room], (), clock.utcnow()):
        at_door.setdefault(stay.accommodation_id, []).append(stay)
    found = {}
    for card in cards:
        stay = card.stay
        assert stay is not None
        if stay.accommodation_id is None or stay.accommodation_id not in locked:
            continue
        here = at_door.get(stay.accommodation_id, [])
        policy = policy_of(card.house)
        now = plan_windows(claims(here), policy).get(stay.id)
        then = now
        if ends(card):
            then = None
        elif card.row.kind == "dates":
            moved = _moved(stay, card.house, card.row.theirs)
            others = [each for each in here if each.id != stay.id]
            then = plan_windows(claims([*others, moved]), policy).get(stay.id)
        found[card.row.id] = Door(now, then)
    return found


def _moved(stay: Reservation, house: Property, theirs: Side | None) -> Any:
    """The stay as it would be with the channel's dates, by the house's hours."""
    hours = channel_places.house_of(house)
    arrival = End(stay.check_in_at, stay.check_in_on, stay.check_in_time_known)
    departure = End(stay.check_out_at, stay.check_out_on, stay.check_out_time_known)
    return SimpleNamespace(
        id=stay.id,
        status=stay.status,
        check_in_at=_at(theirs, "check_in", arrival, hours, check_out=False),
        check_out_at=_at(theirs, "check_out", departure, hours, check_out=True),
        checked_out_at=stay.checked_out_at,
        booked_at=stay.booked_at,
        created_at=stay.created_at,
    )


def _at(theirs: Side | None, name: str, stored: End, hours: Any, *, check_out: bool) -> datetime:
    try:
        day = date.fromisoformat(str((theirs or {}).get(name)))
    except ValueError:
        return stored.at
    return settle(Said(day), hours, check_out=check_out, stored=stored).at


def _ends(window: Window | None) -> tuple[datetime, datetime] | None:
    return None if window is None else (window.opens_at, window.closes_at)
