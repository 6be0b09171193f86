"""Invented houses whose locks were named by somebody in a hurry (C-51)."""

from __future__ import annotations

import random
import unicodedata

import pytest

from app.domain.name_matching import Confidence, Door, Room, match
from tests.domain.matching_bench import plain

SPELLINGS = {
    "Apto": ("Apartamento", "AP", "apt.", "Apto", "Departamento"),
    "Quarto": ("Qto", "Room", "Habitación", "quarto", "Hab."),
    "Suíte": ("Suite", "SUITE", "suíte", "Ste"),
    "Chalé": ("Chalet", "Chale", "CHALÉ"),
    "Bloco": ("Bl", "BLOCO", "Block", "Bloque"),
}
FLOWERS = ("Jasmim", "Girassol", "Hortênsia", "Bromélia", "Ipê", "Camélia", "Violeta", "Orquídea")
DEVICES = ("Fechadura", "Lock", "Cerradura", "Smart Lock", "Porta", "Door -", "")
HOUSES = ("Pousada do Sol", "Casa do Rio", "Edifício Aurora")


def rooms_of(rng: random.Random, house: str) -> list[str]:
    """The names of a house's rooms, no two alike."""
    flats = [f"Apto {floor}{door:02}" for floor in range(1, 5) for door in range(1, 4)]
    blocks = [f"Bloco {block} Apto {door}" for block in "ABC" for door in (1, 2, 11, 12)]
    named = [f"Suíte {flower}" for flower in FLOWERS] + ["Suíte Master", "Suíte Master 2"]
    chalets = [f"Chalé {number}" for number in (1, 2, 3, 10, 11, 12)]
    halves = [f"Quarto {number}{letter}" for number in (5, 6) for letter in "AB"]
    names = [*flats, *blocks, *named, *chalets, *halves]
    return rng.sample(names, rng.randint(8, len(names)))


def renamed(rng: random.Random, name: str, house: str) -> str:
    """The same room as somebody else writes it on its lock."""
    words = []
    for word in name.split():
        word = rng.choice(SPELLINGS.get(word, (word,)))
        if word.isdigit() and rng.random() < 0.3:
            word = word.zfill(4)
        words.append(word)
    if words[0].lower().startswith("bl") and rng.random() < 0.5:
        words = words[2:] + words[:2]
    text = " ".join([rng.choice(DEVICES), *words])
    if rng.random() < 0.3:
        text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    if rng.random() < 0.3:
        text = text.upper()
    if rng.random() < 0.2:
        text = text.replace(" ", "-")
    return f"{text} - {house}"


@pytest.mark.parametrize("seed", range(40))
def test_no_sure_pair_is_wrong_and_few_are_missed(seed: int) -> None:
    """A third of the locks is missing, so that neighbours' locks tempt."""
    rng = random.Random(seed)
    rooms: list[Room] = []
    doors: list[Door] = []
    truth: dict[int, int] = {}
    for house in HOUSES[: rng.randint(1, 3)]:
        for name in rooms_of(rng, house):
            has_room, has_lock = rng.random() < 0.8, rng.random() < 0.67
            if has_room and has_lock:
                truth[len(rooms)] = len(doors)
            if has_room:
                rooms.append(Room(name, None, house))
            if has_lock:
                doors.append(Door(renamed(rng, name, house)))
    shuffled = rng.sample(range(len(doors)), len(doors))
    found = match(rooms, [doors[at] for at in shuffled], plain, threshold=0.5).pairs()
    for pair in found:
        is_right = truth.get(pair.room) == shuffled[pair.door]
        if pair.confidence is Confidence.HIGH:
            assert is_right, (rooms[pair.room], doors[shuffled[pair.door]])
    right = sum(truth.get(pair.room) == shuffled[pair.door] for pair in found)
    assert right >= 0.95 * len(truth)
