"""Lines and stacked bars over the slots of a span, placed for the drawing, with gaps as gaps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from app.services.figure_readings import Values
from app.web.charts import Rect

#: how wide a slot is in the units of the drawing, which is 100 high
SLOT: Final = 10


@dataclass(frozen=True, slots=True)
class Series:
    """One line, or one part of each bar: `kind` is "", "ok", "warn", "bad", "soft" or "faint"."""

    label: str
    values: Values
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Plot:
    """Series on one scale. `titles` say what is in each slot; `known` where anybody measured."""

    series: Sequence[Series]
    stacked: bool
    top: float
    ticks: tuple[str, str, str]
    ends: Sequence[str]
    titles: Sequence[str]
    known: Sequence[bool]
    limit: float | None = None

    @property
    def width(self) -> int:
        return len(self.known) * SLOT

    @property
    def limit_y(self) -> float | None:
        """Where the line of the limit lies; None when it is far above everything drawn."""
        if self.limit is None or self.limit > self.top:
            return None
        return self._y(self.limit)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw at all."""
        return all(value is None for each in self.series for value in each.values)

    def rects(self) -> Iterator[Rect]:
        """Every part of every bar, from the bottom up."""
        for slot in range(len(self.known)):
            base = 0.0
            for each in self.series:
                value = each.values[slot]
                if not value:
                    continue
                # A value that is there can be seen.
                height = round(min(max(value / self.top * 100, 1.0), 100 - base), 2)
                y = round(100 - base - height, 2)
                yield Rect(slot * SLOT + 1.5, y, height, each.kind, "")
                base += height

    def paths(self) -> Iterator[tuple[str, str]]:
        """Each unbroken run of a line as (kind, points); one value alone is a short stroke."""
        for each in self.series:
            for runs in _runs(each.values):
                points = [(slot * SLOT + SLOT / 2, self._y(value)) for slot, value in runs]
                if len(points) == 1:
                    (x, y) = points[0]
                    points = [(x - SLOT * 0.4, y), (x + SLOT * 0.4, y)]
                yield each.kind, " ".join(f"{x:g},{y:g}" for x, y in points)

    def gaps(self) -> Iterator[tuple[int, int]]:
        """Where nobody measured: (x, width)."""
        place = 0
        for known, slots in groupby(self.known):
            length = len(list(slots))
            if not known:
                yield place * SLOT, length * SLOT
            place += length

    def _y(self, value: float) -> float:
        return round(100 - min(value / self.top, 1) * 100, 2)


def _runs(values: Values) -> Iterator[list[tuple[int, float]]]:
    run: list[tuple[int, float]] = []
    for slot, value in enumerate(values):
        if value is not None:
            run.append((slot, value))
        elif run:
            yield run
            run = []
    if run:
        yield run
