"""When a stay begins and ends: local days and times of a property as UTC instants (C-02)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo


@lru_cache(maxsize=4096)  # a batch names the same days over and over
def instant(day: date, at: time, zone: ZoneInfo, *, later: bool = False) -> datetime:
    """The UTC moment at which clocks in `zone` show `at` on `day`.

    A time that the clocks skip is moved on by what they skipped. A time that comes twice is the
    first of the two, or the second with `later`: a check-in takes the first and a check-out the
    second, so that the doubled hour is always the guest's.
    """
    local = datetime.combine(day, at.replace(tzinfo=None, fold=0), zone)
    first = local.astimezone(UTC)
    if not later:
        return first
    second = local.replace(fold=1).astimezone(UTC)
    return max(first, second)


def local_day(moment: datetime, zone: ZoneInfo) -> date:
    """The calendar day at the property."""
    return moment.astimezone(zone).date()


@dataclass(frozen=True, slots=True)
class House:
    """The clock of a property and the hours it keeps."""

    zone: ZoneInfo
    check_in_time: time
    check_out_time: time


@dataclass(frozen=True, slots=True)
class Said:
    """What a channel says about one end of a stay: always a day; a local time or an instant if it
    knows one."""

    day: date
    time: time | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class End:
    """One end of a stay as it is stored; `known` says that the channel named the time of day."""

    at: datetime
    day: date
    known: bool


def settle(
    said: Said,
    house: House,
    *,
    check_out: bool,
    stored: End | None = None,
    stored_zone: ZoneInfo | None = None,
) -> End:
    """One end of a stay from what the channel says and what we know.

    A day without a time keeps the stored time of day when that one was known, and the stored
    instant when the day is the same too; otherwise the house's own hour applies. `stored_zone` is
    the zone the stored end was made in, when the stay moves to another property.
    """
    if said.at is not None:
        return End(said.at.astimezone(UTC), local_day(said.at, house.zone), True)
    if said.time is not None:
        return End(instant(said.day, said.time, house.zone, later=check_out), said.day, True)
    zone = stored_zone or house.zone
    if stored is not None and stored.day == said.day and zone.key == house.zone.key:
        return stored
    if stored is not None and stored.known:
        at = stored.at.astimezone(zone).time()
        return End(instant(said.day, at, house.zone, later=check_out), said.day, True)
    default = house.check_out_time if check_out else house.check_in_time
    return End(instant(said.day, default, house.zone, later=check_out), said.day, False)
