"""Bars never overlap in a row, every row fills its columns, nothing is lost (UI.md §4)."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.domain.tape_chart import Bar, Part, cells, clashing, lanes

ORIGIN = date(2026, 11, 18)


def bar(first: int, nights: int, what: str = "") -> Bar[str]:
    begin = ORIGIN + timedelta(days=first)
    return Bar(begin, begin + timedelta(days=nights), what)


bars = st.lists(st.builds(bar, st.integers(-10, 40), st.integers(0, 14)), max_size=12)


@given(bars, st.sampled_from([7, 14, 28]))
def test_the_columns_of_every_row_add_up(given_bars: list[Bar[str]], days: int) -> None:
    for lane in lanes(given_bars):
        row = cells(lane, ORIGIN, days)
        assert sum(cell.span for cell in row) == 2 * days
        assert all(cell.span > 0 for cell in row)


@given(bars)
def test_no_bar_is_lost_and_none_meets_another(given_bars: list[Bar[str]]) -> None:
    found = lanes(given_bars)
    assert sorted(map(id, given_bars)) == sorted(id(each) for lane in found for each in lane)
    for lane in found:
        assert clashing(lane) == []
    if len(found) > 1:
        assert clashing(given_bars)


@given(bars, st.sampled_from([7, 28]))
def test_each_bar_stands_where_its_days_are(given_bars: list[Bar[str]], days: int) -> None:
    end = 2 * days
    for lane in lanes(given_bars):
        at = 0
        shown = []
        for cell in cells(lane, ORIGIN, days):
            if cell.bar is not None:
                begin, stop = cell.bar.halves(ORIGIN)
                assert at == max(begin, 0)
                assert at + cell.span == min(stop, end)
                assert (cell.from_before, cell.to_after) == (begin < 0, stop > end)
                shown.append(cell.bar)
            else:
                assert cell.span == (2 if cell.part == Part.DAY else 1)
                assert at % 2 == (1 if cell.part == Part.AFTERNOON else 0)
            assert cell.day == ORIGIN + timedelta(days=at // 2)
            at += cell.span
        visible = [b for b in lane if b.halves(ORIGIN)[1] > 0 and b.halves(ORIGIN)[0] < end]
        assert shown == visible


@given(bars)
def test_stays_meet_exactly_when_they_share_a_night(given_bars: list[Bar[str]]) -> None:
    real = [each for each in given_bars if each.first < each.last]
    for one in real:
        for other in real:
            assert one.meets(other) == (one.first < other.last and other.first < one.last)


def test_a_turnover_shares_the_day() -> None:
    row = cells([bar(0, 2, "Ana"), bar(2, 2, "Bea")], ORIGIN, 7)
    assert [(cell.part, cell.span) for cell in row] == [
        ("am", 1),
        ("bar", 4),
        ("bar", 4),
        ("pm", 1),
        ("day", 2),
        ("day", 2),
    ]


def test_two_in_one_room_get_a_row_each_the_first_the_first() -> None:
    first, second, third = bar(0, 4, "Ana"), bar(1, 1, "Bea"), bar(4, 1, "Cleo")
    assert lanes([second, third, first]) == [[first, third], [second]]
    assert clashing([first, second, third]) == [first, second]
    assert lanes([]) == [[]]
