"""What we promise of ourselves, and how near the figures come to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final


class Verdict(StrEnum):
    """`near` is below the target and still bearable; `unknown`: there was nothing to measure."""

    MET = "met"
    NEAR = "near"
    MISSED = "missed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Share:
    """At least `target` of all; below `bearable` the promise is broken."""

    target: float
    bearable: float

    def verdict(self, share: float | None) -> Verdict:
        if share is None:
            return Verdict.UNKNOWN
        if share >= self.target:
            return Verdict.MET
        return Verdict.NEAR if share >= self.bearable else Verdict.MISSED


#: below 95 of 100 events an alert opens as well (MON-10)
PINS: Final = Share(0.99, 0.95)
EVENTS: Final = Share(0.99, 0.95)
RUNS: Final = Share(0.99, 0.95)
#: an event should not wait longer than the first, and must not wait longer than the second
OLDEST: Final = (timedelta(minutes=5), timedelta(minutes=15))


def left_behind(number: int) -> Verdict:
    """PINs on a lock past their end: none, ever."""
    return Verdict.MISSED if number else Verdict.MET


def oldest(age: timedelta | None) -> Verdict:
    """The age of the oldest event nobody has dealt with; None when none waits."""
    if age is None or age <= OLDEST[0]:
        return Verdict.MET
    return Verdict.NEAR if age <= OLDEST[1] else Verdict.MISSED


def worst(*verdicts: Verdict) -> Verdict:
    """One word for several promises; what is unknown says nothing."""
    order = (Verdict.MISSED, Verdict.NEAR, Verdict.MET, Verdict.UNKNOWN)
    return min(verdicts, key=order.index)
