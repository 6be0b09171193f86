"""Local days and times become UTC instants, also when the clocks change (C-02, OPS-18)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.stay_times import End, House, Said, instant, local_day, settle

ROME = ZoneInfo("Europe/Rome")
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
#: clocks that jump by an hour, by half an hour, at midnight, across a day, and never
ZONES = [
    ZoneInfo(name)
    for name in (
        "Europe/Rome",
        "America/New_York",
        "America/Sao_Paulo",  # until 2019 at midnight
        "Australia/Lord_Howe",  # half an hour
        "Africa/Cairo",  # at midnight
        "Pacific/Apia",  # left out 30 December 2011
        "Asia/Kathmandu",
        "UTC",
    )
]
DAYS = st.dates(date(2008, 1, 1), date(2037, 12, 31))
TIMES = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 29, 30, 31, 45, 59]))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("day", "at", "zone", "later", "expected"),
    [
        (date(2026, 3, 20), time(15), SAO_PAULO, False, utc(2026, 3, 20, 18)),
        (date(2026, 1, 20), time(15), ROME, False, utc(2026, 1, 20, 14)),
        (date(2026, 7, 20), time(15), ROME, False, utc(2026, 7, 20, 13)),
        # 02:30 does not exist on 29 March 2026: 03:30 summer time
        (date(2026, 3, 29), time(2, 30), ROME, False, utc(2026, 3, 29, 1, 30)),
        (date(2026, 3, 29), time(2, 30), ROME, True, utc(2026, 3, 29, 1, 30)),
        (date(2026, 3, 29), time(3), ROME, False, utc(2026, 3, 29, 1)),
        # 02:30 comes twice on 25 October 2026
        (date(2026, 10, 25), time(2, 30), ROME, False, utc(2026, 10, 25, 0, 30)),
        (date(2026, 10, 25), time(2, 30), ROME, True, utc(2026, 10, 25, 1, 30)),
        (date(2026, 10, 25), time(3), ROME, False, utc(2026, 10, 25, 2)),
        # midnight did not exist in São Paulo on 4 November 2018
        (date(2018, 11, 4), time(0), SAO_PAULO, False, utc(2018, 11, 4, 3)),
        (date(2018, 2, 17), time(23, 30), SAO_PAULO, False, utc(2018, 2, 18, 1, 30)),
        (date(2018, 2, 17), time(23, 30), SAO_PAULO, True, utc(2018, 2, 18, 2, 30)),
    ],
)
def test_instants(day: date, at: time, zone: ZoneInfo, later: bool, expected: datetime) -> None:
    assert instant(day, at, zone, later=later) == expected


@given(DAYS, TIMES, st.sampled_from(ZONES))
def test_clocks_show_the_time_unless_they_skip_it(day: date, at: time, zone: ZoneInfo) -> None:
    for later in (False, True):
        shown = instant(day, at, zone, later=later).astimezone(zone)
        if shown.replace(tzinfo=None) != datetime.combine(day, at):
            skipped = shown.replace(tzinfo=None) - datetime.combine(day, at)
            assert timedelta(0) < skipped <= timedelta(days=1)
            # Nothing shows that time: a second before, clocks were still behind it.
            before = shown.astimezone(UTC) - skipped
            assert before.astimezone(zone).replace(tzinfo=None) != datetime.combine(day, at)


@given(DAYS, TIMES, st.sampled_from(ZONES))
def test_the_later_one_is_later_only_when_the_time_comes_twice(
    day: date, at: time, zone: ZoneInfo
) -> None:
    first, second = instant(day, at, zone), instant(day, at, zone, later=True)
    assert first <= second <= first + timedelta(hours=2)
    if first != second:
        for moment in (first, second):
            assert moment.astimezone(zone).replace(tzinfo=None) == datetime.combine(day, at)


@given(DAYS, st.integers(1, 60), st.sampled_from(ZONES), TIMES, TIMES)
def test_a_stay_of_nights_never_ends_before_it_begins(
    day: date, nights: int, zone: ZoneInfo, arrival: time, departure: time
) -> None:
    """One night from 15:00 to 11:00 or the other way round, across any change of the clocks."""
    house = House(zone, arrival, departure)
    begin = settle(Said(day), house, check_out=False)
    end = settle(Said(day + timedelta(days=nights)), house, check_out=True)
    if nights > 1 or departure >= arrival:
        # Apia alone has left out a whole day, and with it one night.
        assert begin.at < end.at or zone.key == "Pacific/Apia"
    assert (begin.day, end.day) == (day, day + timedelta(days=nights))
    assert begin.at.tzinfo is UTC


@given(DAYS, st.integers(1, 30), st.sampled_from(ZONES))
def test_consecutive_stays_do_not_overlap(day: date, nights: int, zone: ZoneInfo) -> None:
    house = House(zone, time(15), time(11))
    changeover = day + timedelta(days=nights)
    leaves = settle(Said(changeover), house, check_out=True)
    comes = settle(Said(changeover), house, check_out=False)
    assert leaves.at < comes.at or zone.key == "Pacific/Apia"


class TestSettling:
    HOUSE = House(SAO_PAULO, time(15), time(11))

    def test_a_time_that_is_said_counts(self) -> None:
        end = settle(Said(date(2026, 3, 20), time(13)), self.HOUSE, check_out=False)
        assert end == End(utc(2026, 3, 20, 16), date(2026, 3, 20), True)

    def test_the_house_has_its_hours(self) -> None:
        end = settle(Said(date(2026, 3, 22)), self.HOUSE, check_out=True)
        assert end == End(utc(2026, 3, 22, 14), date(2026, 3, 22), False)

    def test_an_instant_has_the_propertys_day(self) -> None:
        at = datetime(2026, 3, 21, 3, 30, tzinfo=ROME)
        end = settle(Said(date(2026, 3, 21), None, at), self.HOUSE, check_out=False)
        assert end == End(utc(2026, 3, 21, 2, 30), date(2026, 3, 20), True)
        assert end.at.tzinfo is UTC

    def test_a_known_time_of_day_moves_along(self) -> None:
        stored = End(utc(2026, 3, 20, 16), date(2026, 3, 20), True)
        end = settle(Said(date(2026, 3, 25)), self.HOUSE, check_out=False, stored=stored)
        assert end == End(utc(2026, 3, 25, 16), date(2026, 3, 25), True)

    def test_it_is_the_local_time_that_moves_along(self) -> None:
        house = House(ROME, time(15), time(11))
        winter = settle(Said(date(2026, 3, 28), time(13)), house, check_out=False)
        summer = settle(Said(date(2026, 3, 30)), house, check_out=False, stored=winter)
        assert (winter.at.hour, summer.at.hour) == (12, 11)

    def test_the_same_day_keeps_the_very_instant(self) -> None:
        """A changed house rule does not move the stays that are sold already."""
        stored = End(utc(2026, 3, 20, 17), date(2026, 3, 20), False)
        assert settle(Said(stored.day), self.HOUSE, check_out=False, stored=stored) is stored

    def test_a_default_does_not_move_along(self) -> None:
        stored = End(utc(2026, 3, 20, 17), date(2026, 3, 20), False)
        end = settle(Said(date(2026, 3, 21)), self.HOUSE, check_out=False, stored=stored)
        assert end == End(utc(2026, 3, 21, 18), date(2026, 3, 21), False)

    def test_a_move_to_a_house_in_another_zone_keeps_the_time_on_the_wall(self) -> None:
        stored = End(utc(2026, 3, 20, 16), date(2026, 3, 20), True)
        there = House(ROME, time(15), time(11))
        end = settle(Said(stored.day), there, check_out=False, stored=stored, stored_zone=SAO_PAULO)
        assert end == End(utc(2026, 3, 20, 12), date(2026, 3, 20), True)


def test_the_day_at_the_property() -> None:
    assert local_day(utc(2026, 3, 21, 2), SAO_PAULO) == date(2026, 3, 20)
    assert local_day(utc(2026, 3, 21, 2), ROME) == date(2026, 3, 21)
