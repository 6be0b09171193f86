"""Nights counted from spans, against counting each night by hand (C-29)."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.domain.availability import Night, Taken, count, fewest, full

FIRST = date(2026, 3, 10)


def day(n: int) -> date:
    return FIRST + timedelta(days=n)


def test_a_stay_takes_its_nights_and_not_the_day_it_leaves() -> None:
    nights = count(2, day(0), day(4), reserved=[Taken(day(1), day(3))])
    assert [night.available for night in nights] == [2, 1, 1, 2]


def test_the_parts_stand_apart_and_add_up() -> None:
    (night,) = count(
        5,
        day(0),
        day(1),
        reserved=[Taken(day(-3), day(2), 2)],
        maintenance=[Taken(day(0), day(1))],
        held=[Taken(day(0), day(9))],
    )
    assert night == Night(day(0), 5, 2, 1, 1)
    assert night.available == 1


def test_overbooking_is_below_zero_not_hidden() -> None:
    nights = count(1, day(0), day(2), reserved=[Taken(day(0), day(2), 2), Taken(day(1), day(2))])
    assert [night.available for night in nights] == [-1, -2]
    assert full(nights) == [day(0), day(1)]
    assert fewest(nights) == -2


def test_full_asks_for_as_many_as_are_wanted() -> None:
    nights = count(3, day(0), day(3), held=[Taken(day(1), day(2), 2)])
    assert full(nights, 1) == []
    assert full(nights, 2) == [day(1)]
    assert fewest(nights) == 1


def test_no_nights_no_units() -> None:
    assert count(3, day(2), day(2)) == []
    assert count(3, day(2), day(1)) == []
    assert fewest([]) == 0


spans = st.lists(
    st.builds(
        lambda start, length, units: Taken(day(start), day(start + length), units),
        st.integers(-5, 15),
        st.integers(0, 8),
        st.integers(1, 3),
    ),
    max_size=12,
)


@given(spans, spans, spans)
def test_as_if_each_night_were_counted_by_hand(
    reserved: list[Taken], maintenance: list[Taken], held: list[Taken]
) -> None:
    def by_hand(taken: list[Taken], night: date) -> int:
        return sum(span.units for span in taken if span.first <= night < span.last)

    found = count(4, day(0), day(10), reserved=reserved, maintenance=maintenance, held=held)
    assert [night.date for night in found] == [day(n) for n in range(10)]
    for night in found:
        assert night.reserved == by_hand(reserved, night.date)
        assert night.maintenance == by_hand(maintenance, night.date)
        assert night.held == by_hand(held, night.date)
