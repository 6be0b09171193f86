"""What the tests of the matcher share: plain Levenshtein similarity, and the corpus."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.domain.name_matching import Door, Room
from app.domain.name_matching.comparing import distance

CORPUS = Path(__file__).with_name("name_pairs.csv")


def similarity(ours: str, theirs: str) -> float:
    """1 minus the distance over the longer length; two empty texts are equal."""
    longest = max(len(ours), len(theirs))
    return 1.0 - distance(ours, theirs) / longest if longest else 1.0


def plain(query: str, choices: Sequence[str], cutoff: float) -> list[tuple[int, float]]:
    """The places of the choices that are alike enough, compared one by one."""
    found = ((at, similarity(query, each)) for at, each in enumerate(choices))
    return [(at, score) for at, score in found if score >= cutoff]


@dataclass(frozen=True, slots=True)
class Row:
    """A pair of the corpus and whether it is one door."""

    house: str
    language: str
    room: Room
    door: Door
    is_same: bool
    remark: str


def corpus() -> list[Row]:
    with CORPUS.open(encoding="utf-8", newline="") as file:
        return [
            Row(
                line["house"],
                line["language"],
                Room(line["room"], line["number"] or None, line["house"] or None),
                Door(line["lock"], line["location"] or None),
                {"same": True, "different": False}[line["verdict"]],
                line["remark"],
            )
            for line in csv.DictReader(file)
        ]
