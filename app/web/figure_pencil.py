"""Draws what was measured over the slots of a span, and says the same in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flask_babel import lazy_gettext as _l

from app.services.figure_readings import Readings, Span, Values
from app.web import dates
from app.web.charts import round_top
from app.web.dates import gettext as _
from app.web.plots import Plot, Series

#: round tops of an axis of durations, in seconds
_TOPS: Final = (
    *(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60),
    *(120, 180, 240, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400),
)
_MARKS: Final = 4


@dataclass(frozen=True, slots=True)
class Figure:
    """One chart. `say` writes its numbers; `labels` are its slots, as its table calls them."""

    id: str
    title: str
    plot: Plot
    sentence: str
    say: Callable[[float], str]
    labels: Sequence[str]
    note: str = ""

    def rows(self) -> Iterator[tuple[str, list[str]]]:
        """The numbers, the latest slot first; a dash where nothing was measured."""
        for slot in range(len(self.labels) - 1, -1, -1):
            values = [each.values[slot] for each in self.plot.series]
            said = ["—" if value is None else self.say(value) for value in values]
            yield self.labels[slot], said


def _seconds(value: float) -> str:
    """2 min 5 s; below ten milliseconds with one decimal."""
    if 0 < value < 0.01:
        return _("%(n)s ms", n=dates.number(round(value * 1000, 1)))
    return dates.duration(value * 1000)


class Pencil:
    """Draws series of one span: the same slots, the same axis of time."""

    def __init__(self, found: Readings) -> None:
        self.found = found
        self.zeros: Values = tuple(0.0 if known else None for known in found.known)
        begins = found.edges[:-1]
        self.labels = [self._label(begin) for begin in begins]
        marks = [begins[len(begins) * number // _MARKS] for number in range(_MARKS)]
        self.ends = [*(self._mark(mark) for mark in marks), _("Now")]

    def times(
        self, id_: str, title: str, series: Sequence[Series], limit: float | None = None
    ) -> Figure:
        """Lines of seconds."""
        highest = _highest(series)
        top = next((step for step in _TOPS if step >= highest), highest)
        note = _("The limit is %(limit)s.", limit=_seconds(limit)) if limit else ""
        said = _at_most(series, _seconds)
        return self._figure(id_, title, series, top, said, _seconds, limit=limit, note=note)

    def counts(
        self,
        id_: str,
        title: str,
        series: Sequence[Series],
        say: Callable[[float], str] = dates.number,
        *,
        lowest: bool = False,
    ) -> Figure:
        """Lines of what there was."""
        said = _at_least(series, say) if lowest else _at_most(series, say)
        return self._figure(id_, title, series, round_top(_highest(series)), said, say)

    def bars(
        self,
        id_: str,
        title: str,
        series: Sequence[Series],
        *,
        summed: bool = True,
        measured: bool = True,
    ) -> Figure:
        """Stacked bars of what happened, or with `summed` off of what there was; with `measured`
        off from rows of ours, which know of no gap."""
        columns = zip(*(each.values for each in series), strict=True)
        highest = max((sum(value or 0 for value in column) for column in columns), default=0)
        said = _in_all(series) if summed else _at_most(series, dates.number)
        known = self.found.known if measured else [True] * len(self.labels)
        return self._figure(
            id_, title, series, round_top(highest), said, dates.number, stacked=True, known=known
        )

    def _figure(
        self,
        id_: str,
        title: str,
        series: Sequence[Series],
        top: float,
        sentence: str,
        say: Callable[[float], str],
        *,
        stacked: bool = False,
        known: Sequence[bool] | None = None,
        limit: float | None = None,
        note: str = "",
    ) -> Figure:
        titles, nothing = [], _("nothing measured")
        for slot, label in enumerate(self.labels):
            values = [(each.label, each.values[slot]) for each in series]
            parts = [f"{name} {say(value)}" for name, value in values if value is not None]
            titles.append(f"{label}: {', '.join(parts) or nothing}")
        plot = Plot(
            series,
            stacked,
            top,
            (say(top), say(top / 2), "0"),
            self.ends,
            titles,
            self.found.known if known is None else known,
            limit,
        )
        return Figure(id_, title, plot, sentence, say, self.labels, note)

    def _label(self, begin: datetime) -> str:
        if self.found.span is Span.DAY:
            return dates.moment(begin, self.found.timezone)
        there = dates.local(begin, self.found.timezone)
        day = dates.weekday(there.date())
        return day if self.found.span is Span.MONTH else f"{day} {there:%H:%M}"

    def _mark(self, begin: datetime) -> str:
        if self.found.span is Span.DAY:
            return dates.clock_time(begin, self.found.timezone)
        return dates.day_month(dates.local(begin, self.found.timezone).date())


def _highest(series: Sequence[Series]) -> float:
    return max((value for each in series for value in each.values if value is not None), default=0)


def _in_all(series: Sequence[Series]) -> str:
    return _joined(
        _("%(what)s %(n)s", what=each.label, n=dates.number(sum(v or 0 for v in each.values)))
        for each in series
    )


def _at_most(series: Sequence[Series], say: Callable[[float], str]) -> str:
    return _extremes(series, say, max, _l("%(what)s at most %(n)s"))


def _at_least(series: Sequence[Series], say: Callable[[float], str]) -> str:
    return _extremes(series, say, min, _l("%(what)s at least %(n)s"))


def _extremes(
    series: Sequence[Series],
    say: Callable[[float], str],
    pick: Callable[[list[float]], float],
    words: object,
) -> str:
    found = []
    for each in series:
        values = [value for value in each.values if value is not None]
        if values:
            found.append(str(words) % {"what": each.label, "n": say(pick(values))})
    return _joined(found)


def _joined(parts: Iterable[str]) -> str:
    text = "; ".join(parts)
    return f"{text}." if text else ""
