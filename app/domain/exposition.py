"""Prometheus' text format, version 0.0.4, for measures of ours.

Written here because a scrape has thousands of lines and fifty milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final

from app.domain.measures import BOUNDS, Measure

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_ENDS: Final = tuple(f'le="{bound}"}} ' for bound in (*BOUNDS, "+Inf"))


def head(measure: Measure) -> str:
    """What the measure is, before its values."""
    meaning = measure.meaning.replace("\\", "\\\\").replace("\n", "\\n")
    return f"# HELP {measure.name} {meaning}\n# TYPE {measure.name} {measure.kind}\n"


def values(measure: Measure, found: Iterable[tuple[Sequence[str], float]]) -> Iterator[str]:
    """One line per value of a counter or a gauge, by the values of its labels."""
    for labels, value in found:
        inside = _labels(measure, labels)
        yield f"{measure.name}{{{inside}}} {value}\n" if inside else f"{measure.name} {value}\n"


def durations(
    measure: Measure, found: Iterable[tuple[Sequence[str], float, Sequence[int]]]
) -> Iterator[str]:
    """The lines of a histogram: per labels the sum in seconds and how many fell in each bucket."""
    name = measure.name
    for labels, total, buckets in found:
        inside = _labels(measure, labels)
        start = f"{name}_bucket{{{inside}," if inside else f"{name}_bucket{{"
        plain = f"{{{inside}}}" if inside else ""
        reached = list(accumulate(buckets))
        yield "".join(
            [f"{start}{end}{number}\n" for end, number in zip(_ENDS, reached, strict=True)]
        )
        yield f"{name}_count{plain} {reached[-1]}\n{name}_sum{plain} {total}\n"


def _labels(measure: Measure, given: Sequence[str]) -> str:
    pairs = zip(measure.labels, given, strict=True)
    return ",".join([f'{name}="{_escaped(value)}"' for name, value in pairs])


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
