"""Which house a name speaks of, and what it says besides."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache

from app.domain.name_matching.names import Name, parse, read
from app.domain.name_matching.tokens import DESIGNATORS, KIND, WORD, Text, tokens

#: a house's name as its values in order: "Pousada 7 Mares" is ("7", "mares")
House = tuple[str, ...]


@lru_cache(maxsize=4096)
def house(text: str) -> House:
    """The values a name must hold in a row to speak of this house; empty when too common."""
    found = tokens(text).tokens
    tells = any(token.role is WORD and len(token.value) >= 3 for token in found) or (
        len(found) > 1 and any(token.role is KIND for token in found)
    )
    return tuple(token.value for token in found) if tells else ()


def spoken_of(text: str, houses: Collection[House]) -> House:
    """The house that the text names, the longest when one's name holds another's."""
    values = [token.value for token in tokens(text).tokens]
    best: House = ()
    for each in houses:
        if len(each) > len(best) and _place(values, each) is not None:
            best = each
    return best


def without(text: str, named: House) -> Name | None:
    """The name without the house's; None when it is not in it, or nothing would be left."""
    if not named:
        return None
    whole = tokens(text)
    at = _place([token.value for token in whole.tokens], named)
    if at is None:
        return None
    rest = whole.tokens[:at] + whole.tokens[at + len(named) :]
    if not any(token.role is WORD or token.role in DESIGNATORS for token in rest):
        return None
    return parse(Text(rest, whole.is_device))


def own(text: str, named: House) -> Name:
    """The name as one says it inside the house."""
    return without(text, named) or read(text)


def _place(values: Sequence[str], part: House) -> int | None:
    if part[0] not in values:
        return None
    length = len(part)
    for at in range(len(values) - length + 1):
        if tuple(values[at : at + length]) == part:
            return at
    return None
