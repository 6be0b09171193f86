"""Who wants to come: drawn from the figures of real bookings, or read from a file of them."""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import TypeVar

from app.sandbox import demo_figures as figures

T = TypeVar("T")

#: changes of a booking that was kept -> bookings; of the same 7,469 as app/sandbox/demo_figures.py
CHANGES = {0: 2798, 1: 599, 2: 145, 3: 36, 4: 14, 5: 6}
NO_SHOW_SHARE = 112 / 3598
DIRECT_SHARE = 1048 / 7469
#: the share of all nights that is asked for; what finds no room is turned away
OCCUPANCY = 0.85
#: mean nights of a booking that is kept, and the share that is
_NIGHTS = sum(n * count for n, count in figures.NIGHTS.items()) / sum(figures.NIGHTS.values())
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


@dataclass(frozen=True, slots=True)
class Demand:
    """One booking as somebody wants it. `cancelled_at` None: they come, or do not show up."""

    booked_at: datetime
    arrival: date
    nights: int
    cancelled_at: datetime | None
    no_show: bool
    changes: int
    adults: int
    children: int
    nightly: int
    direct: bool

    @property
    def departure(self) -> date:
        return self.arrival + timedelta(days=self.nights)


def drawn(
    dice: Random,
    first: date,
    days: int,
    rooms: int,
    *,
    asked: float = OCCUPANCY,
    ahead: float = 1.0,
) -> list[Demand]:
    """Bookings for a season of `days` from `first`, in the order they were made. `asked` is the
    share of all nights that is asked for; they book `ahead` times as early as in life."""
    kept_share = 1 - figures.CANCELLED_SHARE
    count = round(rooms * (days + 6) * asked / _NIGHTS / kept_share)
    weights = [
        figures.ARRIVAL_WEEKDAY[(first + timedelta(days=n)).weekday()] for n in range(-6, days)
    ]
    found = []
    for offset in dice.choices(range(-6, days), weights, k=count):
        arrival = first + timedelta(days=offset)
        cancelled = dice.random() < figures.CANCELLED_SHARE
        lead = quantile(dice, figures.LEAD_TIME_CANCELLED if cancelled else figures.LEAD_TIME_KEPT)
        lead = round(lead * ahead)
        before = min(round(quantile(dice, figures.CANCELLED_BEFORE) * ahead), lead)
        adults, children = weighted(dice, figures.PARTY)
        booked_at = _some_time(dice, arrival - timedelta(days=lead), arrival)
        found.append(
            Demand(
                booked_at=booked_at,
                arrival=arrival,
                nights=weighted(dice, figures.NIGHTS),
                cancelled_at=_cancelled(dice, booked_at, arrival, before) if cancelled else None,
                no_show=not cancelled and dice.random() < NO_SHOW_SHARE,
                changes=weighted(dice, CHANGES),
                adults=adults,
                children=children,
                nightly=quantile(dice, figures.DAILY_RATE),
                direct=dice.random() < DIRECT_SHARE,
            )
        )
    return sorted(found, key=lambda demand: demand.booked_at)


def read(
    path: Path, dice: Random, first: date, days: int, *, nights_asked: float = math.inf
) -> list[Demand]:
    """Bookings of a file of the "Hotel booking demand" shape, shifted by whole weeks so that their
    arrivals fall into the season: years lie on top of each other, weekdays stay weekdays. Of more
    than `nights_asked` nights that are not cancelled, so many are left, by chance."""
    weeks = timedelta(days=-(-days // 7) * 7)
    found = []
    for row in _rows(path):
        nights = int(row["stays_in_weekend_nights"]) + int(row["stays_in_week_nights"])
        if not 0 < nights <= 28:
            continue
        arrived = date(
            int(row["arrival_date_year"]),
            MONTHS.index(row["arrival_date_month"]) + 1,
            int(row["arrival_date_day_of_month"]),
        )
        monday = first - timedelta(days=first.weekday())
        arrival = monday + (arrived - monday) % weeks
        if arrival >= first + timedelta(days=days):
            continue
        status = row["reservation_status"]
        booked_at = _some_time(dice, arrival - timedelta(days=int(row["lead_time"])), arrival)
        month, day, year = (int(part) for part in row["reservation_status_date"].split("/"))
        before = max((arrived - date(year, month, day)).days, 0)
        cancelled = status == "Canceled"
        found.append(
            Demand(
                booked_at=booked_at,
                arrival=arrival,
                nights=nights,
                cancelled_at=_cancelled(dice, booked_at, arrival, before) if cancelled else None,
                no_show=status == "No-Show",
                changes=int(row["booking_changes"]),
                adults=min(_number(row["adults"]), 50),
                children=min(_number(row["children"]), 50),
                nightly=max(round(float(row["adr"])), 0),
                direct=row["distribution_channel"] == "Direct",
            )
        )
    return sorted(_thinned(dice, found, nights_asked), key=lambda demand: demand.booked_at)


def _number(text: str) -> int:
    """Of a cell that may say "NA" or "NULL"."""
    return 0 if text in ("", "NA", "NULL") else int(float(text))


def _thinned(dice: Random, demands: list[Demand], nights: float) -> list[Demand]:
    asked = sum(each.nights for each in demands if each.cancelled_at is None)
    if asked <= nights:
        return demands
    return dice.sample(demands, round(len(demands) * nights / asked))


def _rows(path: Path) -> Iterator[Mapping[str, str]]:
    raw = path.read_bytes()
    text = gzip.decompress(raw) if path.suffix == ".gz" else raw
    yield from csv.DictReader(io.StringIO(text.decode("utf-8-sig")))


def _some_time(dice: Random, day: date, arrival: date) -> datetime:
    """A moment of a day at which people book; who books for today does so before the evening."""
    hour = dice.triangular(6, 18.5 if day == arrival else 23, 14)
    return datetime.combine(day, time(0), UTC) + timedelta(hours=hour)


def _cancelled(dice: Random, booked_at: datetime, arrival: date, before: int) -> datetime:
    moment = datetime.combine(arrival - timedelta(days=before), time(0), UTC)
    # On the day itself they cancel before noon: later it would be a guest who has arrived.
    moment += timedelta(hours=dice.uniform(6, 12 if before == 0 else 22))
    return max(moment, booked_at + timedelta(minutes=dice.uniform(2, 90)))


def weighted(dice: Random, counts: Mapping[T, int]) -> T:
    """A key, as likely as its count."""
    return dice.choices(list(counts), list(counts.values()))[0]


def quantile(dice: Random, twentieths: Sequence[int]) -> int:
    """A value between two neighbouring twentieths, each as likely."""
    bounds = (0, *twentieths, twentieths[-1] * 1.3)
    place = dice.randrange(len(bounds) - 1)
    return round(dice.uniform(bounds[place], bounds[place + 1]))
