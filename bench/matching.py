"""A thousand rooms against a thousand locks, by name.

Floor of `match_1000`: RapidFuzz's own `cdist` of the same two lists, one thread, which only fills
the matrix: it neither reads the names nor decides. Ours starts from names never seen before.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterator
from typing import Any

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from app.domain.name_matching import Confidence, Door, Room, houses, match, names, tokens
from app.services.matching import similar
from bench.house import House, result, seconds

FULL = 1000
ROUNDS = 5
HOUSES = ("Pousada do Sol", "Edifício Copacabana", "Harbour Inn", "Torres del Mar")
FIRST = (
    *("Garça", "Martim", "Jasmim", "Hortênsia", "Girassol", "Bromélia", "Manacá", "Ipê", "Jade"),
    *("Orquídea", "Violeta", "Camélia", "Begônia", "Magnólia", "Gardênia", "Lavanda", "Alecrim"),
    *("Coral", "Pérola", "Safira", "Topázio", "Ametista", "Turmalina", "Âmbar", "Tucano", "Arara"),
    *("Sabiá", "Canário", "Andorinha", "Falcão", "Gaivota", "Pelicano", "Harpia", "Colibri"),
)
SECOND = ("Serra", "Vale", "Ilha", "Porto", "Farol", "Mata", "Lagoa", "Cerrado")


def run(house: House | None = None) -> Iterator[dict[str, Any]]:
    count = house.rows(FULL) if house is not None else FULL
    rooms, doors = _names(count)
    ours, floors = [], []
    for _ in range(ROUNDS):
        floors.append(seconds(lambda: _floor(rooms, doors)))
        ours.append(seconds(lambda: _match(rooms, doors)))
    found = match(rooms, doors, similar).pairs()
    wrong = [pair for pair in found if pair.room != count - 1 - pair.door]
    if any(pair.confidence is Confidence.HIGH for pair in wrong):
        raise RuntimeError("a wrong pair was of high confidence")
    if len(found) - len(wrong) < 0.95 * count:
        raise RuntimeError(f"{len(found) - len(wrong)} of {count} pairs found")
    yield result("match_1000", statistics.median(ours), "s", statistics.median(floors), count)


def _names(count: int) -> tuple[list[Room], list[Door]]:
    """Four houses: three of four rooms are numbered, the others have names only."""
    rng = random.Random(20261121)
    words = [f"Suíte {first} da {second}" for first in FIRST for second in SECOND]
    named = iter(rng.sample(words, len(words)))
    rooms, doors = [], []
    for number in range(count):
        place = HOUSES[number % 4]
        if number % 4 == 3:
            name = next(named)
            rooms.append(Room(name, None, place))
            doors.append(Door(f"Fechadura {name.upper()}"))
        else:
            label = 100 + number
            rooms.append(Room(f"Apto {label}", str(label), place))
            doors.append(Door(f"Fechadura Apartamento {label} - {place}"))
    return rooms, doors[::-1]


def _match(rooms: list[Room], doors: list[Door]) -> None:
    for cache in (names.read, tokens.tokens, tokens._known, houses.house):
        cache.cache_clear()
    match(rooms, doors, similar).pairs()


def _floor(rooms: list[Room], doors: list[Door]) -> None:
    process.cdist(
        [each.name for each in rooms],
        [each.name for each in doors],
        scorer=Levenshtein.normalized_similarity,
        workers=1,
    )
