"""Reading a name: which building, which kind of room, which words, which number (C-51)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from app.domain.name_matching import vocabulary as v
from app.domain.name_matching.tokens import (
    BUILDING,
    DESIGNATORS,
    FLOOR,
    KIND,
    LABELS,
    NUMBER,
    ROLES,
    WORD,
    Text,
    Token,
    fold,
    tokens,
)


class Name(NamedTuple):
    """What a name says, part by part. Two names are compared part by part, never as a heap."""

    buildings: tuple[tuple[str, str], ...]
    floor: str | None
    kinds: tuple[str, ...]
    words: tuple[str, ...]
    units: tuple[str, ...]
    #: the numbers and letters in order, from the outside in: what must be equal (the veto)
    key: tuple[str, ...]
    is_device: bool
    #: nothing but kinds ("Studio"), which then stand as its words
    is_bare: bool
    #: a floor that stands where the room's own number would
    floor_is_unit: bool
    #: how each part was spelled
    surfaces: Mapping[str, str]

    @property
    def says_something(self) -> bool:
        """Whether there is anything to tell this door from another by."""
        return bool(self.words or self.key)

    @property
    def core(self) -> str:
        """The words and the numbers without kinds and labels: what the distance is taken of."""
        return " ".join((*self.words, *self.key))

    def surface(self, value: str) -> str:
        """How the name spelled that part."""
        return self.surfaces.get(value, value)

    @property
    def spelled(self) -> str:
        """The words as they were written, together: "Ocean Front" and "Oceanfront" meet here."""
        return "".join("".join(fold(self.surface(word)).split()) for word in self.words)

    def __str__(self) -> str:
        parts = [f"{label} {value}" for label, value in self.buildings]
        floors = self.units if self.floor_is_unit else (self.floor or "").split()
        parts += [f"{v.FLOOR} {each}" for each in floors]
        units = () if self.floor_is_unit else self.units
        return " ".join((*parts, *self.kinds, *self.words, *units))


def normalise(text: str) -> str:
    """The one spelling that all ways of writing the same name share. Idempotent."""
    return str(read(text))


@lru_cache(maxsize=16_384)
def read(text: str) -> Name:
    """The name in parts. Never fails: a name without any part is an empty one."""
    return parse(tokens(text))


def parse(text: Text) -> Name:
    """Give every number and letter to the building, the floor or the room it belongs to."""
    found = text.tokens
    owner = _owners(found)
    labelled = {label: number for number, label in owner.items()}
    buildings: list[tuple[str, str]] = []
    floors: list[str] = []
    kinds: list[str] = []
    words: list[str] = []
    units: list[str] = []
    for at, token in enumerate(found):
        role = token.role
        if role is WORD:
            words.append(token.value)
        elif role is KIND:
            kinds.append(token.value)
        elif role in DESIGNATORS:
            if at not in owner:
                units.append(token.value)
        elif at not in labelled:
            if role is BUILDING:
                words.append(token.value)
            # "último andar": a floor without a number says nothing
        elif role is FLOOR:
            floors.append(found[labelled[at]].value)
        else:
            buildings.append((token.value, found[labelled[at]].value))
    if len(buildings) > 1:
        buildings.sort(key=lambda each: v.BUILDING_RANK[each[0]])
    floor_is_unit = len(floors) == 1 and not units and not buildings
    if floor_is_unit:
        units, floors = floors, []
    sorts = tuple(sorted(set(kinds))) if len(kinds) > 1 else tuple(kinds)
    bare = not (words or units or buildings)
    return Name(
        buildings=tuple(buildings),
        floor=" ".join(floors) or None,
        kinds=() if bare else sorts,
        words=sorts if bare else tuple(words),
        units=tuple(units),
        key=(*(value for _, value in buildings), *units) if buildings else tuple(units),
        is_device=text.is_device,
        is_bare=bare,
        floor_is_unit=floor_is_unit,
        surfaces={token.value: token.surface for token in found},
    )


def _owners(found: Sequence[Token]) -> dict[int, int]:
    """The place of each number that is a building's or a floor's -> the place of that word."""
    labels = [at for at, token in enumerate(found) if token.role in LABELS]
    owner: dict[int, int] = {}
    # Floors choose first: they are the ones that may say nothing.
    for at in sorted(labels, key=lambda at: found[at].role is not FLOOR):
        claimed = _claim(found, at, owner)
        if claimed is not None:
            owner[claimed] = at
    return owner


def _claim(found: Sequence[Token], at: int, owner: dict[int, int]) -> int | None:
    """The place of the number that the floor or building at `at` means: "1º andar", "Bloco A"."""

    def nearest(places: Iterable[int], roles: Sequence[str], across: Sequence[str]) -> int | None:
        for place in places:
            if found[place].role in roles and place not in owner:
                return place
            if found[place].role not in across:
                return None
        return None

    ahead, back = range(at + 1, len(found)), range(at - 1, -1, -1)
    if found[at].role is FLOOR:
        if at and found[at - 1].ordinal and at - 1 not in owner:
            return at - 1
        roles: Sequence[str] = (NUMBER,)
        across: Sequence[str] = DESIGNATORS
    else:
        if at + 1 < len(found) and found[at + 1].role is WORD:
            return None  # a building with a name: "Torre Norte"
        roles, across = DESIGNATORS, ROLES
        directly = nearest(ahead[:1], roles, across)
        if directly is not None:
            return directly
        place = nearest(back, roles, across)
        return place if place is not None else nearest(ahead, roles, across)
    place = nearest(ahead, roles, across)
    return place if place is not None else nearest(back, roles, across)
