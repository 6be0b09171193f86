"""Bars on a tape chart: two columns per day, from the afternoon of arrival to the morning of
departure, so that guests who share a day stand side by side without touching."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bar(Generic[T]):
    """What stands in a row, `first` (arrival) to `last` (departure).

    A bar that ends on the day it began takes the afternoon.
    """

    first: date
    last: date
    what: T

    def halves(self, origin: date) -> tuple[int, int]:
        """Half-day columns from the first up to and without the second; column 0 is the morning of
        `origin`."""
        begin = 2 * (self.first - origin).days + 1
        return begin, max(begin + 1, 2 * (self.last - origin).days + 1)

    def meets(self, other: Bar[T]) -> bool:
        """Whether both cannot stand in one row."""
        begin, end = self.halves(self.first)
        other_begin, other_end = other.halves(self.first)
        return begin < other_end and other_begin < end


class Part(StrEnum):
    """What a cell of the table is."""

    DAY = "day"  # nothing, both halves
    MORNING = "am"
    AFTERNOON = "pm"
    BAR = "bar"


@dataclass(frozen=True, slots=True)
class Cell(Generic[T]):
    """One `<td>` of `span` columns. `day` is where it begins; `from_before` and `to_after` say that
    its bar goes on beyond the edge of the view."""

    part: Part
    span: int
    day: date
    bar: Bar[T] | None = None
    from_before: bool = False
    to_after: bool = False


def lanes(bars: Iterable[Bar[T]]) -> list[list[Bar[T]]]:
    """As few rows as hold all bars without an overlap, each in the order of arrival; at least one.

    The bar that came first keeps the first row, so that what was there before stays in its place.
    """
    found: list[list[Bar[T]]] = [[]]
    for bar in sorted(bars, key=lambda each: (each.first, each.last)):
        for lane in found:
            if not lane or not lane[-1].meets(bar):
                lane.append(bar)
                break
        else:
            found.append([bar])
    return found


def clashing(bars: Collection[Bar[T]]) -> list[Bar[T]]:
    """Those bars that meet another one."""
    return [bar for bar in bars if any(other is not bar and bar.meets(other) for other in bars)]


def cells(lane: Sequence[Bar[T]], origin: date, days: int) -> list[Cell[T]]:
    """The cells of one row, two columns for each of `days` days from `origin`; bars of a lane do
    not overlap and come in order. What lies outside the view is left out."""
    end = 2 * days
    found: list[Cell[T]] = []
    at = 0
    for bar in lane:
        begin, stop = bar.halves(origin)
        if stop <= 0 or begin >= end:
            continue
        shown, till = max(begin, 0), min(stop, end)
        found += _empty(at, shown, origin)
        found.append(Cell(Part.BAR, till - shown, _day(origin, shown), bar, begin < 0, stop > end))
        at = till
    return found + _empty(at, end, origin)


def _empty(begin: int, end: int, origin: date) -> list[Cell[T]]:
    """Empty cells day by day; halves where a bar has the other half."""
    found: list[Cell[T]] = []
    while begin < end:
        if begin % 2:
            part, span = Part.AFTERNOON, 1
        elif begin + 1 < end:
            part, span = Part.DAY, 2
        else:
            part, span = Part.MORNING, 1
        found.append(Cell(part, span, _day(origin, begin)))
        begin += span
    return found


def _day(origin: date, half: int) -> date:
    return origin + timedelta(days=half // 2)
