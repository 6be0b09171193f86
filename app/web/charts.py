"""Bars for the charts of a page: heights, a round top, and the same in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

#: round tops a duration axis may have, in seconds
_SECONDS = (0.5, 1, 2, 4, 10, 20, 30, 60, 120, 180, 240, 360, 600, 900, 1800, 3600, 7200)


@dataclass(frozen=True, slots=True)
class Bar:
    """One column: its parts from the bottom up, (value, kind), kind "", "ok", "warn" or "bad"."""

    parts: tuple[tuple[float, str], ...]
    title: str

    @property
    def total(self) -> float:
        return sum(value for value, _ in self.parts)


@dataclass(frozen=True, slots=True)
class Rect:
    """A part of a bar in the units of the drawing: 100 high, 10 wide per bar."""

    x: float
    y: float
    height: float
    kind: str
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars on one scale. `slots` leaves room at the left when there are fewer bars."""

    bars: Sequence[Bar]
    top: float
    ticks: tuple[str, str, str]
    ends: tuple[str, ...]
    sentence: str
    slots: int
    limit: float | None = None

    @property
    def width(self) -> int:
        return max(self.slots, len(self.bars), 1) * 10

    @property
    def limit_y(self) -> float | None:
        """Where the line lies; None when it is far above everything drawn."""
        if self.limit is None or self.limit > self.top:
            return None
        return round(100 - self.limit / self.top * 100, 2)

    def rects(self) -> list[Rect]:
        """Every part, placed."""
        first = max(self.slots, len(self.bars)) - len(self.bars)
        placed = []
        for index, bar in enumerate(self.bars):
            base = 0.0
            for value, kind in bar.parts:
                height = round(min(value / self.top * 100, 100 - base), 2)
                if value > 0:
                    height = max(height, 1.0)  # a value that is there can be seen
                x = (first + index) * 10 + 1.5
                placed.append(Rect(x, round(100 - base - height, 2), height, kind, bar.title))
                base += height
        return placed


def round_top(value: float) -> int:
    """The next of 2, 4, 6, 10, 20, 40 …: halves of it are round too."""
    power = 1
    while value > 10 * power:
        power *= 10
    return next(n * power for n in (2, 4, 6, 10) if n * power >= value)


def round_seconds(span: timedelta) -> float:
    """The next round duration, in seconds."""
    seconds = span.total_seconds()
    return next((step for step in _SECONDS if step >= seconds), seconds)
