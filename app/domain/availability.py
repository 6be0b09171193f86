"""How many units of a room type are left, night by night: the one calculation (C-29)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate


@dataclass(frozen=True, slots=True)
class Taken:
    """Units that cannot be sold, `first` up to and without `last`."""

    first: date
    last: date
    units: int = 1


@dataclass(frozen=True, slots=True)
class Night:
    """One night of a room type and what its units are taken by."""

    date: date
    total: int
    reserved: int
    maintenance: int
    held: int

    @property
    def available(self) -> int:
        """What is left to sell; below zero the night is overbooked, which is said, not hidden."""
        return self.total - self.reserved - self.maintenance - self.held


def count(
    total: int,
    first: date,
    last: date,
    *,
    reserved: Iterable[Taken] = (),
    maintenance: Iterable[Taken] = (),
    held: Iterable[Taken] = (),
) -> list[Night]:
    """The nights from `first` up to and without `last`. A stay takes the night it arrives on and
    not the one it leaves on, so a room turns over on one day."""
    nights = max(0, (last - first).days)
    taken = zip(
        _per_night(reserved, first, nights),
        _per_night(maintenance, first, nights),
        _per_night(held, first, nights),
        strict=True,
    )
    return [
        Night(first + timedelta(days=n), total, stays, blocks, holds)
        for n, (stays, blocks, holds) in enumerate(taken)
    ]


def full(nights: Iterable[Night], units: int = 1) -> list[date]:
    """The nights that cannot take `units` more."""
    return [night.date for night in nights if night.available < units]


def fewest(nights: Sequence[Night]) -> int:
    """Units free for the whole time (HOLD-17): those of the fullest night; 0 for no nights."""
    return min((night.available for night in nights), default=0)


def _per_night(spans: Iterable[Taken], first: date, nights: int) -> list[int]:
    """Units taken in each night, in one pass over the spans and one over the nights."""
    steps = [0] * (nights + 1)
    for span in spans:
        begin = max(0, (span.first - first).days)
        end = min(nights, (span.last - first).days)
        if begin < end:
            steps[begin] += span.units
            steps[end] -= span.units
    return list(accumulate(steps[:nights]))
