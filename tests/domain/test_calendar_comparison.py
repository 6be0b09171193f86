"""Every rule and boundary of comparing a night: units, prices, shortest stays (B24R-11…15)."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.calendar_comparison import (
    AGREED,
    Decision,
    Price,
    patient,
    price,
    ranges,
    runs,
    units,
)

DAY = timedelta(days=1)
FIRST = date(2026, 12, 30)


def word(found: Decision) -> str:
    """`tell`, `raise`, a severity, or two of them."""
    told = "raise" if found.raises else "tell" if found.tell else None
    return "+".join(part for part in (told, found.severity) if part) or "agree"


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (2, 2, "agree"),
        (0, 0, "agree"),
        (3, 2, "raise"),
        (1, 0, "raise"),
        (2, 3, "tell"),
        (0, 1, "tell"),
        (4, 2, "high"),
        (2, 4, "high"),
        (0, 2, "high"),
        (400, 0, "high"),
        # never said there: it is told ours
        (2, None, "raise"),
        (0, None, "tell"),
        # overbooked here: nobody is told less than none, and a person looks in any case
        (-1, 0, "high"),
        (-1, 1, "tell+high"),
        (-1, 2, "high"),
        (-1, -1, "high"),
        (-2, -1, "high"),
        (-3, None, "tell+high"),
        # overbooked there alone: a booking of it may be missing here
        (0, -1, "high"),
        (1, -1, "high"),
        (5, -4, "high"),
    ],
)
def test_units(ours: int, theirs: int | None, expected: str) -> None:
    assert word(units(ours, theirs)) == expected


@pytest.mark.parametrize(
    ("ours", "theirs", "unseen", "expected"),
    [
        (3, 2, 1, "high"),
        (3, 2, None, "high"),
        (2, None, 1, "high"),
        (2, None, None, "high"),
        # what takes units away can sell nothing twice
        (2, 3, 1, "tell"),
        (2, 3, None, "tell"),
        (0, None, None, "tell"),
        (-1, 1, None, "tell+high"),
        (2, 2, 3, "agree"),
    ],
)
def test_nothing_is_raised_over_a_booking_that_we_do_not_count(
    ours: int, theirs: int | None, unseen: int | None, expected: str
) -> None:
    assert word(units(ours, theirs, unseen=unseen)) == expected


@given(
    st.integers(-5, 9),
    st.one_of(st.none(), st.integers(-5, 9)),
    st.one_of(st.none(), st.integers(0, 3)),
)
def test_what_is_told_is_at_most_one_off_and_settles_the_night(
    ours: int, theirs: int | None, unseen: int | None
) -> None:
    found = units(ours, theirs, unseen=unseen)
    told = max(ours, 0)
    if found.tell:
        assert theirs is None or abs(told - theirs) == 1
        assert found.raises == (told > (theirs or 0))
        assert not found.raises or unseen == 0
        again = units(ours, told, unseen=unseen)
        assert not again.tell
        assert again.severity == ("high" if ours < 0 else None)
    if ours < 0:
        assert found.severity == "high"
    assert (found.severity is None) == (found.reason is None)


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ("100", "100", "agree"),
        ("100.00", "100.004", "agree"),  # not a cent
        ("100", "100.005", "tell"),
        ("100", "105", "tell"),
        ("100", "95", "tell"),
        ("100", "105.01", "high"),
        ("100", "94.99", "high"),
        ("0.01", "0.02", "high"),
        ("0.20", "0.21", "tell"),
        # 5 % of ours, not of theirs
        ("95", "100", "high"),
        ("95.24", "100", "tell"),
        ("0", "0", "agree"),
        ("0", "0.01", "high"),
        ("0", None, "high"),
        ("0.001", "5", "high"),
        ("100", "0", "high"),
        ("100", "-100", "high"),
        ("100", None, "tell"),
        (None, "100", "low"),
        (None, "0", "low"),
        (None, None, "agree"),
    ],
)
def test_prices(ours: str | None, theirs: str | None, expected: str) -> None:
    mine = None if ours is None else Price(Decimal(ours))
    assert word(price(mine, Price(None if theirs is None else Decimal(theirs)))) == expected


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (None, None, "agree"),
        (None, 3, "agree"),  # a shortest stay that was taken away here is not taken back there
        (2, 2, "agree"),
        (2, 3, "tell"),
        (2, None, "tell"),
    ],
)
def test_shortest_stays(ours: int | None, theirs: int | None, expected: str) -> None:
    night = Decimal(100)
    assert word(price(Price(night, ours), Price(night, theirs))) == expected
    # It is told with the price, which waits for a person.
    assert word(price(Price(night, ours), Price(night * 2, theirs))) == "high"


@given(
    st.decimals(0, 5000, places=2),
    st.one_of(st.none(), st.decimals(0, 5000, places=2)),
    st.one_of(st.none(), st.integers(1, 30)),
    st.one_of(st.none(), st.integers(1, 30)),
)
def test_a_price_that_is_told_settles_the_night(
    ours: Decimal, theirs: Decimal | None, stay: int | None, their_stay: int | None
) -> None:
    found = price(Price(ours, stay), Price(theirs, their_stay))
    if found.tell:
        told = Price(ours, their_stay if stay is None else stay)
        assert price(Price(ours, stay), told) == AGREED
        assert theirs is None or abs(ours - theirs) * 20 <= ours


@pytest.mark.parametrize(
    ("decision", "told", "expected"),
    [
        (Decision(tell=True), 0, "tell"),
        (Decision(tell=True), 2, "tell"),
        (Decision(tell=True), 3, "medium"),
        (Decision(tell=True, severity="high", reason="Overbooked by 1"), 3, "high"),
        (AGREED, 9, "agree"),
        (Decision(severity="low", reason="It is so"), 9, "low"),
    ],
)
def test_patience(decision: Decision, told: int, expected: str) -> None:
    found = patient(decision, told)
    assert word(found) == expected
    if decision.reason is not None:
        assert found.reason == decision.reason


def test_nights_in_a_row_are_one_range() -> None:
    nights = {FIRST + n * DAY: value for n, value in enumerate((1, 1, 2, 2, 2))}
    nights[FIRST + 9 * DAY] = 2
    assert runs(dict(reversed(nights.items()))) == [
        (FIRST, FIRST + DAY, 1),
        (FIRST + 2 * DAY, FIRST + 4 * DAY, 2),
        (FIRST + 9 * DAY, FIRST + 9 * DAY, 2),
    ]
    assert ranges(nights) == [
        (FIRST, FIRST + 4 * DAY),
        (FIRST + 9 * DAY, FIRST + 9 * DAY),
    ]
    assert runs({}) == []
