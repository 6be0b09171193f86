"""Prices and shortest stays of the coming year, as Beds24's calendar has them and as we do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import calendar_comparison
from app.domain.calendar_comparison import Price
from app.domain.findings import Finding
from app.models import Rate
from app.models.columns import among
from app.services import (
    calendar_motion,
    calendar_plans,
    calendar_readings,
    channel_calendars,
    outbound,
    vendors,
)
from app.services.calendar_motion import Told
from app.services.calendar_plans import Compared, Differing, Draft
from app.services.calendar_readings import MIN_STAY, PRICE, SOURCE, Calendars, House, Room
from app.services.outbound_places import CHANNEL
from app.services.reconciliation_kinds import Plan, Tally
from app.services.reconciliation_rows import Work
from app.transaction import transaction

KIND, CURRENCY = "rate", "currency"
VALUES = (PRICE, MIN_STAY)
NOTHING = Price()
#: room type -> night -> its price
Prices = Mapping[UUID, Mapping[date, Price]]


@dataclass(frozen=True, slots=True)
class Reading:
    """Beds24's calendars, the prices that we had before they were read, and the currency that
    Beds24 sells the property in; None when it does not say."""

    calendars: Calendars
    priced: Prices
    currency: str | None


class RateComparison:
    """The mapped rooms of one property for 365 nights (B24R-15).

    A room type that has no price of ours in all that time is priced at Beds24 and not compared.
    """

    channel = CHANNEL

    def read(self, work: Work) -> Reading:
        """The calendars, and the currency. Raises IntegrationError, Unavailable."""
        house = calendar_readings.house_of(work)
        client = vendors.beds24_client(house.connection)
        with transaction() as session:
            priced = _priced(session, house)
        calendars = calendar_readings.read(client, house)
        return Reading(calendars, priced, client.currency(house.property_ref))

    def plan(self, work: Work, reading: Reading) -> Plan:
        """What is told again, what a person has to look at, and what is left to the next run; the
        same few statements however many rooms and nights."""
        calendars = reading.calendars
        house = calendars.house
        draft = Draft(outbound.RATES, KIND, calendars, other_kinds=(CURRENCY,))
        draft.subjects.append(_subject(house))
        if reading.currency not in (None, house.currency):
            draft.findings.append(_currencies_differ(reading))
            return calendar_plans.make(draft)
        with transaction() as session:
            draft.waiting |= calendar_motion.prices_in_motion(session, calendars)
            priced = _priced(session, house)
            told = calendar_motion.told_lately(session, house, outbound.RATES, calendars.asked_at)
        draft.errors += calendars.errors(VALUES)
        for room in house.rooms:
            ours = priced[room.room_type_id]
            if room.room_type_id in draft.waiting or not ours:
                continue
            days = _comparable(reading, room, ours)
            differing = _differing(room, days, house.currency, told)
            draft.rooms.append(Compared(room, list(days), differing))
        return calendar_plans.make(draft)

    def apply(self, work: Work, plan: Plan, keep: Callable[..., None]) -> Tally:
        """Keep the calendars, tell room by room, write down what is left to people."""
        return calendar_plans.apply(work, plan, keep, calendar_motion.prices_in_motion)


def _priced(session: Session, house: House) -> dict[UUID, dict[date, Price]]:
    first, last = channel_calendars.horizon(house.today)
    found: dict[UUID, dict[date, Price]] = {id_: {} for id_ in house.room_type_ids}
    rows = session.execute(
        select(Rate.room_type_id, Rate.date, Rate.price, Rate.min_stay).where(
            among(Rate.room_type_id, house.room_type_ids), Rate.date.between(first, last)
        )
    )
    for id_, day, amount, min_stay in rows:
        found[id_][day] = Price(amount, min_stay)
    return found


def _comparable(
    reading: Reading, room: Room, ours: Mapping[date, Price]
) -> dict[date, tuple[Price, Price]]:
    """Ours and theirs of the nights that can be compared: theirs could be read, and ours has not
    changed while that was done."""
    calendars, before = reading.calendars, reading.priced[room.room_type_id]
    unread = calendars.unread(room, VALUES)
    theirs = calendars.nights[room.room_ref]
    found: dict[date, tuple[Price, Price]] = {}
    for day in calendars.days:
        if day not in unread and ours.get(day) == before.get(day):
            said = theirs.get(day)
            there = NOTHING if said is None else Price(said.price, said.min_stay)
            found[day] = ours.get(day, NOTHING), there
    return found


def _differing(
    room: Room, days: Mapping[date, tuple[Price, Price]], currency: str, told: Told
) -> dict[date, Differing]:
    found: dict[date, Differing] = {}
    for day, (ours, theirs) in days.items():
        decision = calendar_comparison.price(ours, theirs)
        if decision.agrees:
            continue
        if decision.tell:
            lately = calendar_motion.times(told, room.room_type_id, day, _sent(room, ours))
            decision = calendar_comparison.patient(decision, lately)
        found[day] = Differing(decision, _plain(ours, currency), _plain(theirs, currency))
    return found


def _sent(room: Room, ours: Price) -> dict[str, Any]:
    values: dict[str, Any] = {f"price{room.price_no}": float(ours.amount or Decimal(0))}
    if ours.min_stay is not None:
        values["minStay"] = ours.min_stay
    return values


def _plain(price: Price, currency: str) -> dict[str, Any] | None:
    """A side as plain values; None when it has neither."""
    if price == NOTHING:
        return None
    amount = None if price.amount is None else str(price.amount.quantize(calendar_comparison.CENT))
    return {"price": amount, "currency": currency, "min_stay": price.min_stay}


def _subject(house: House) -> str:
    """The property itself; a booking's id is a number alone."""
    return f"property {house.property_ref}"


def _currencies_differ(reading: Reading) -> Finding:
    """Amounts in two currencies are never compared (C-32)."""
    house = reading.calendars.house
    return Finding(
        kind=CURRENCY,
        subject=_subject(house),
        severity="high",
        reason="The channel sells this property in another currency: no price can be compared",
        ours={"currency": house.currency, "source": "turnkey"},
        theirs={
            "currency": reading.currency,
            "as_of": reading.calendars.asked_at.isoformat(timespec="seconds"),
            "source": SOURCE,
        },
    )
