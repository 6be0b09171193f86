"""Ranges of nights, both ends included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta

Range = tuple[date, date]
_DAY = timedelta(days=1)


def merged(ranges: Iterable[Range], *, at_most: int | None = None) -> list[Range]:
    """The same nights in as few ranges as can be, in order: overlapping and adjoining ones become
    one. More than `at_most` of them become the one that spans all."""
    found: list[Range] = []
    for first, last in sorted(ranges):
        if last < first:
            raise ValueError(f"{last} is before {first}")
        if found and first <= found[-1][1] + _DAY:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    if at_most is not None and len(found) > at_most:
        return [(found[0][0], found[-1][1])]
    return found


def clipped(ranges: Iterable[Range], first: date, last: date) -> list[Range]:
    """What of the ranges lies between `first` and `last`, both included."""
    return [(max(a, first), min(b, last)) for a, b in ranges if a <= last and b >= first]


def nights(ranges: Sequence[Range]) -> Iterator[date]:
    """Every night of the ranges."""
    for first, last in ranges:
        for offset in range((last - first).days + 1):
            yield first + timedelta(days=offset)
