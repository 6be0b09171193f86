"""Demo data around today: the same for everybody on the same day, like real bookings in shape.

A handful of stays is arranged so that, once the product has read them, its PINs stand in every
state; the rest is drawn from the figures of real hotels (demo_figures.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random
from typing import TypeVar
from zoneinfo import ZoneInfo

from app.sandbox import beds24_demo, demo_guests
from app.sandbox import demo_figures as figures
from app.sandbox.places import KYOTO, LISBON, PARATY, PLACES, Place, Unit
from app.sandbox.records import Booking, Code, DeviceCode, Fault, Listing, Lock, World

AHEAD_DAYS = 13
BEHIND_DAYS = 4
#: the rooms of the arranged stays are free of drawn ones until then
ARRANGED_DAYS = 8
YEAR = 365 * 86400
T = TypeVar("T")


@dataclass
class _Day:
    """The moment the demo is made for, and where its bookings go."""

    world: World
    now: datetime
    key: str  # the day in UTC

    def add(
        self,
        place: Place,
        unit: Unit,
        arrival: date,
        departure: date,
        *,
        type: str = "booked",
        label: str = "",
        lead: int = 12,
        party: tuple[int, int] = (2, 0),
        partner: str | None = "API booking.com",
        rate: float = 90.0,
        story: str = "",
        check_out_time: str | None = None,
    ) -> Booking:
        key = f"{self.key}:{place.key}{unit.number}:{arrival}:{type}:{label}"
        digest = hashlib.sha256(key.encode())
        seed = Random(key)
        # The channel re-sends everything it touched lately, so that a first reading finds it all.
        updated_at = self.now.timestamp() - seed.uniform(60, 6 * 3600)
        total = rate * place.euro_rate * (departure - arrival).days
        booking = Booking(
            code=_code(digest.digest()),
            long_id=digest.hexdigest()[:24],
            type=type,
            listing=place.listing_code(unit),
            guest=demo_guests.make(key, len(self.world.bookings)),
            check_in=arrival.isoformat(),
            check_out=departure.isoformat(),
            created_at=min(_local(place, arrival, "09:30").timestamp() - lead * 86400, updated_at),
            updated_at=updated_at,
            check_out_time=check_out_time,
            adults=party[0],
            children=party[1],
            amount=f"{total:.0f}.00",
            currency=place.currency,
            partner=partner,
            partner_code=str(4_000_000_000 + int(digest.hexdigest()[:7], 16)) if partner else None,
            story=story,
        )
        self.world.bookings[booking.code] = booking
        return booking


def _code(seed: bytes) -> str:
    alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
    return "".join(alphabet[byte % len(alphabet)] for byte in seed[:6])


def _local(place: Place, day: date, clock: str) -> datetime:
    return datetime.combine(day, time.fromisoformat(clock), ZoneInfo(place.time_zone))


def build(now: datetime) -> World:
    """A fresh world as of `now` (aware). Equal moments give equal worlds, down to the ids."""
    world = World(demo_day=now.strftime("%Y-%m-%d"))
    for place in PLACES:
        world.gateways[place.gateway_id] = place.time_zone
        for unit in place.units:
            _add_unit(world, place, unit)
    day = _Day(world, now, world.demo_day)
    arranged = _arrange(day)
    for place in PLACES:
        for unit in place.units:
            _draw(day, place, unit, busy=place.listing_code(unit) in arranged)
    for place, number in ((PARATY, "101"), (LISBON, "22"), (KYOTO, "05")):
        _add_foreign_code(world, place, _unit(place, number), now.timestamp())
    beds24_demo.add(world, now.timestamp(), now.date())
    return world


def roll_forward(world: World, fresh: World) -> None:
    """Bring an older demo to today: what the doors hold and what was booked stays, new bookings
    join where the room is free."""
    for device_id, lock in fresh.locks.items():
        known = world.locks.setdefault(device_id, lock)
        known.awake_until = max(known.awake_until, lock.awake_until)
    world.listings |= {k: v for k, v in fresh.listings.items() if k not in world.listings}
    world.gateways |= fresh.gateways
    for booking in fresh.bookings.values():
        if not any(_clash(booking, other) for other in world.bookings.values()):
            world.bookings.setdefault(booking.code, booking)
    known_faults = {(f.scope, f.kind) for f in world.faults}
    world.faults += [f for f in fresh.faults if (f.scope, f.kind) not in known_faults]
    world.demo_day = fresh.demo_day


def _clash(new: Booking, old: Booking) -> bool:
    if "canceled" in (new.type, old.type) or old.deleted or new.listing != old.listing:
        return False
    return new.check_in < old.check_out and old.check_in < new.check_out


def _unit(place: Place, number: str) -> Unit:
    return next(unit for unit in place.units if unit.number == number)


def _add_unit(world: World, place: Place, unit: Unit) -> None:
    code, device_id = place.listing_code(unit), place.device_id(unit)
    world.listings[code] = Listing(
        code=code,
        long_id=place.listing_id(unit),
        name=unit.name,
        property_name=place.name,
        property_id=place.property_id,
        time_zone=place.time_zone,
        currency=place.currency,
        check_in_time=place.check_in_time,
        check_out_time=place.check_out_time,
        device_id=device_id if unit.mapped else None,
    )
    world.locks[device_id] = Lock(
        device_id=device_id,
        name=f"{place.name} {unit.number}" if unit.mapped else f"Spare keypad {place.key}",
        category=unit.category,
        radio=unit.radio,
        power=unit.power,
        time_zone=place.time_zone,
        property_id=place.property_id,
        battery=unit.battery,
        pin_length=unit.pin_length,
        capacity=unit.capacity,
        hex_case=unit.hex_case,
        gateway_id=place.gateway_id if unit.radio == "zigbee" else None,
    )


def _add_foreign_code(world: World, place: Place, unit: Unit, now: float) -> None:
    """A code that the house gave to its cleaners; the product must leave it alone."""
    lock = world.locks[place.device_id(unit)]
    digest = hashlib.sha256(f"foreign:{lock.device_id}".encode()).hexdigest()
    effective, invalid = int(now) - YEAR, int(now) + YEAR
    code = Code(
        id=world.take_id(),
        sn=lock.next_sn,
        name="Housekeeping",
        effective=effective,
        invalid=invalid,
        digest=digest,
        last2=f"{int(digest[:4], 16) % 89 + 11}",
        phase=2,
        created_at=now,
        delivery=2 if lock.radio == "zigbee" else None,
        device=DeviceCode(digest, effective, invalid),
        foreign=True,
    )
    lock.next_sn += 1
    lock.codes[code.id] = code


def _latest_arrival(place: Place, now: datetime, *, before: timedelta) -> date:
    """The last day whose check-in, less `before`, has passed at the property."""
    today = now.astimezone(ZoneInfo(place.time_zone)).date()
    passed = now >= _local(place, today, place.check_in_time) - before
    return today if passed else today - timedelta(days=1)


def _next_arrival(place: Place, now: datetime, *, after: timedelta) -> date:
    """The first day whose check-in is more than `after` away."""
    today = now.astimezone(ZoneInfo(place.time_zone)).date()
    ahead = _local(place, today, place.check_in_time) - now > after
    return today if ahead else today + timedelta(days=1)


def _arrange(day: _Day) -> set[str]:
    """One stay for every PIN state; the codes of the rooms they use."""
    now = day.now
    used: set[str] = set()

    def days(number: int) -> timedelta:
        return timedelta(days=number)

    def room(place: Place, number: str) -> Unit:
        unit = _unit(place, number)
        used.add(place.listing_code(unit))
        return unit

    opened = {p.key: _latest_arrival(p, now, before=timedelta(hours=2)) for p in PLACES}
    today = {p.key: now.astimezone(ZoneInfo(p.time_zone)).date() for p in PLACES}

    # active: in the house, and the lock answers
    arrival = opened["PJ"]
    day.add(PARATY, room(PARATY, "101"), arrival, arrival + days(3), label="active")
    # turnover: one leaves today, the next comes today
    unit = room(PARATY, "102")
    start = today["PJ"]
    day.add(PARATY, unit, start - days(3), start, label="leaving", party=(1, 0), partner=None)
    day.add(PARATY, unit, start, start + days(2), label="arriving", partner="API airbnb")
    # delivering: the PIN is due (the house sends a day early) and the lock is asleep
    arrival = _next_arrival(PARATY, now, after=timedelta(minutes=75))
    day.add(PARATY, room(PARATY, "103"), arrival, arrival + days(2), label="delivering")
    # no_mapping: nobody has said which lock is on this door
    arrival = opened["PJ"]
    day.add(PARATY, room(PARATY, "104"), arrival, arrival + days(2), label="unmapped")
    # failed: the guest arrives, and the lock is offline
    unit = room(LISBON, "11")
    arrival = _latest_arrival(LISBON, now, before=timedelta(minutes=60))
    day.add(LISBON, unit, arrival, arrival + days(2), label="failed", partner="API airbnb")
    day.world.faults.append(Fault(day.world.take_id(), LISBON.device_id(unit), "offline"))
    # revoked: cancelled a moment after its PIN has reached the lock
    arrival = opened["MA"]
    unit = room(LISBON, "12")
    day.add(LISBON, unit, arrival, arrival + days(3), label="revoked", story="cancel")
    # not_needed: cancelled before anything was due
    unit = room(LISBON, "13")
    arrival = today["MA"] + days(2)
    day.add(LISBON, unit, arrival, arrival + days(2), type="canceled", label="cancelled")
    # awaiting: booked, and not due for days
    unit = room(LISBON, "14")
    arrival = today["MA"] + days(3)
    day.add(LISBON, unit, arrival, arrival + days(4), label="awaiting", lead=40)
    # revoking: its lock takes the PIN, falls asleep, and only then the guest cancels
    unit = room(KYOTO, "01")
    arrival = opened["KM"]
    day.add(KYOTO, unit, arrival, arrival + days(2), label="revoking", story="sleep_and_cancel")
    day.world.locks[KYOTO.device_id(unit)].awake_until = now.timestamp() + 6 * 3600
    # expired: the window of a guest who left a day ago ends a few minutes from now
    unit = room(KYOTO, "02")
    _add_ending(day, KYOTO, unit)
    return used


def _add_ending(day: _Day, place: Place, unit: Unit) -> None:
    end = (day.now + timedelta(minutes=5)).replace(second=0, microsecond=0)
    left = (end - timedelta(hours=place.grace_hours)).astimezone(ZoneInfo(place.time_zone))
    day.add(
        place,
        unit,
        left.date() - timedelta(days=2),
        left.date(),
        label="expired",
        check_out_time=left.strftime("%H:%M"),
    )


def _draw(day: _Day, place: Place, unit: Unit, *, busy: bool) -> None:
    """Bookings of one room from shortly ago to a fortnight ahead, as far as made by now."""
    seed = Random(f"{day.key}:{place.key}:{unit.number}")
    today = day.now.astimezone(ZoneInfo(place.time_zone)).date()
    free_from = today + timedelta(days=ARRANGED_DAYS if busy else -BEHIND_DAYS)
    while free_from < today + timedelta(days=AHEAD_DAYS):
        arrival = _arrival(seed, free_from)
        nights = _weighted(seed, figures.NIGHTS)
        departure = arrival + timedelta(days=nights)
        cancelled = seed.random() < figures.CANCELLED_SHARE
        lead = _quantile(seed, figures.LEAD_TIME_CANCELLED if cancelled else figures.LEAD_TIME_KEPT)
        before = min(_quantile(seed, figures.CANCELLED_BEFORE), lead)
        party = _weighted(seed, figures.PARTY)
        partner = _weighted(seed, figures.SOLD_THROUGH)
        rate = float(_quantile(seed, figures.DAILY_RATE))
        direct_unpaid = partner is None and seed.random() < 0.4
        if arrival - timedelta(days=lead) > today:
            free_from = arrival + timedelta(days=1)  # nobody has booked it yet
            continue
        cancelled_on = arrival - timedelta(days=before)
        if cancelled and cancelled_on <= today:
            kind = "canceled"
            if cancelled_on < today - timedelta(days=7):
                continue  # too long ago for the channel to speak of it
        else:
            kind = "reserved" if direct_unpaid and arrival > today else "booked"
            free_from = departure + timedelta(days=seed.choice((0, 0, 1, 2, 4)))
        day.add(
            place,
            unit,
            arrival,
            departure,
            type=kind,
            lead=lead,
            party=party,
            partner=partner,
            rate=rate,
            label=str(len(day.world.bookings)),
        )


def _arrival(seed: Random, earliest: date) -> date:
    """A day within the next two weeks, likelier soon and on the weekdays guests prefer."""
    days = [earliest + timedelta(days=n) for n in range(14)]
    weights = [figures.ARRIVAL_WEEKDAY[d.weekday()] * 0.72**n for n, d in enumerate(days)]
    return seed.choices(days, weights)[0]


def _weighted(seed: Random, counts: Mapping[T, int]) -> T:
    return seed.choices(list(counts), list(counts.values()))[0]


def _quantile(seed: Random, twentieths: tuple[int, ...]) -> int:
    """A value between two neighbouring twentieths, each as likely."""
    bounds = (0, *twentieths, twentieths[-1] * 1.3)
    place = seed.randrange(len(bounds) - 1)
    return round(seed.uniform(bounds[place], bounds[place + 1]))
