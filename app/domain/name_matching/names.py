"""Reading a name: which building, which kind of room, which words, which number (C-51)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from app.domain.name_matching import vocabulary as v

APOSTROPHES = re.compile(r"['’‘`´ʼ]")
#: "nº 12", "n. 12": the sign says nothing that the number does not
NUMBER_SIGN = re.compile(r"\bn\s?[ºª°.]\s*(?=\d)", re.IGNORECASE)
TOKEN = re.compile(
    r"""
    (\d+)
    ( [ºª°] | (?:st|nd|rd|th)(?![^\W\d_]) | [oa](?=\s+(?:andar|piso|pav|pavimento|planta)\b) )?
    | ([^\W\d_]+)
    """,
    re.IGNORECASE | re.VERBOSE,
)

NUMBER, LETTER, WORD, KIND, BUILDING, FLOOR = (
    "number",
    "letter",
    "word",
    "kind",
    "building",
    "floor",
)
DESIGNATORS = (NUMBER, LETTER)
ROLES = (*DESIGNATORS, WORD, KIND, BUILDING, FLOOR)


@dataclass(frozen=True, slots=True)
class Token:
    """One word or number of a name; `surface` is how it was written."""

    role: str
    value: str
    surface: str
    #: no blank between it and the one before
    attached: bool = False
    ordinal: bool = False
    #: what a number word counts to
    counted: int | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """The tokens of a name without those that say nothing."""

    tokens: tuple[Token, ...]
    #: "Smart Lock 3" counts locks, not rooms
    is_device: bool


@dataclass(frozen=True, slots=True)
class Name:
    """What a name says, part by part. Two names are compared part by part, never as a heap."""

    buildings: tuple[tuple[str, str], ...] = ()
    floor: str | None = None
    kinds: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    is_device: bool = False
    #: nothing but kinds ("Studio"), which then stand as its words
    is_bare: bool = False
    #: a floor that stands where the room's own number would
    floor_is_unit: bool = False
    surfaces: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    @property
    def key(self) -> tuple[str, ...]:
        """The numbers and letters in order, from the outside in: what must be equal (the veto)."""
        return tuple(value for _, value in self.buildings) + self.units

    @property
    def says_something(self) -> bool:
        """Whether there is anything to tell this door from another by."""
        return bool(self.words or self.units or self.buildings)

    @property
    def core(self) -> str:
        """The words and the numbers without kinds and labels: what the distance is taken of."""
        return " ".join((*self.words, *self.key))

    def surface(self, value: str) -> str:
        """How the name spelled that part."""
        return next((written for part, written in self.surfaces if part == value), value)

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


def fold(word: str) -> str:
    """Without accents, in lower case."""
    if word.isascii():
        return word.lower()
    for _ in range(2):  # case folding may bring out new accents
        decomposed = unicodedata.normalize("NFKD", word.casefold())
        word = "".join(char for char in decomposed if not unicodedata.combining(char))
    return word


@lru_cache(maxsize=16_384)
def tokens(text: str) -> Text:
    """The words and numbers in order, those that say nothing left out."""
    text = APOSTROPHES.sub("", text)
    text = NUMBER_SIGN.sub("", text)
    if not text.isascii():
        marked = re.sub(r"(?<=\d)\s?[ºª°]", "º", text)
        text = "º".join(unicodedata.normalize("NFKC", part) for part in marked.split("º"))
    found: list[Token] = []
    end = -1
    for match in TOKEN.finditer(text):
        digits, ordinal, word = match.groups()
        attached = match.start() == end
        end = match.end()
        if digits is not None:
            if not digits.isascii():
                digits = "".join(str(unicodedata.decimal(char)) for char in digits)
            value = digits.lstrip("0") or "0"
            found.append(Token(NUMBER, value, digits, attached, bool(ordinal)))
        elif value := fold(word):
            role = LETTER if len(value) == 1 and "a" <= value <= "z" else WORD
            found.append(Token(role, value, word, attached))
    is_device = any(token.value in v.DEVICES for token in found)
    return Text(tuple(_meant(_joined(found))), is_device)


def _joined(found: list[Token]) -> list[Token]:
    """Phrases as one word."""
    if not any(token.value in v.PHRASE_STARTS for token in found):
        return found
    joined: list[Token] = []
    at = 0
    while at < len(found):
        for phrase, word in v.PHRASES.items():
            part = found[at : at + len(phrase)]
            if tuple(token.value for token in part) == phrase:
                joined.append(Token(WORD, word, " ".join(token.surface for token in part)))
                at += len(phrase)
                break
        else:
            joined.append(found[at])
            at += 1
    return joined


def _meant(found: list[Token]) -> list[Token]:
    """Each word as what it stands for. Read from the end: a number word is told by what follows."""
    kept: list[Token] = []  # in reverse
    for at in range(len(found) - 1, -1, -1):
        token = found[at]
        after = kept[-1] if kept else None
        before = found[at - 1] if at else None
        if token.role is WORD:
            if token.value in v.STOP:
                continue
            meant = _word(token, after)
            if meant is not None:
                _keep(kept, meant)
        elif not _is_little_word(token, before, after):
            kept.append(token)
    kept.reverse()
    return kept


def _keep(kept: list[Token], token: Token) -> None:
    """Add the token before the others; "twenty" before "one" is one number."""
    after = kept[-1] if kept else None
    if (
        token.counted in (20, 30, 40, 50)
        and after is not None
        and after.counted is not None
        and 1 <= after.counted <= 9
    ):
        kept.pop()
        whole = str((token.counted or 0) + after.counted)
        kept.append(Token(NUMBER, whole, f"{token.surface} {after.surface}", counted=None))
        return
    kept.append(token)


def _word(token: Token, after: Token | None) -> Token | None:
    """What a word stands for before `after`; None when it stands for nothing."""
    value, surface = token.value, token.surface
    if value in v.ORDINAL_WORDS and after is not None and after.role is FLOOR:
        return Token(NUMBER, str(v.ORDINAL_WORDS[value]), surface, ordinal=True)
    if value in v.UNIT_KINDS:
        return Token(KIND, v.UNIT_KINDS[value], surface)
    if value in v.BUILDINGS:
        return Token(BUILDING, v.BUILDINGS[value], surface)
    if value in v.FLOORS:
        return Token(FLOOR, v.FLOOR, surface)
    if value in v.NUMBER_WORDS:
        if after is None or after.role is not WORD:
            number = v.NUMBER_WORDS[value]
            return Token(NUMBER, str(number), surface, counted=number)
        return None if value in v.ARTICLES else token
    if value in v.ROMAN:
        return Token(NUMBER, str(v.ROMAN[value]), surface)
    return Token(WORD, v.SAME.get(value, value), surface)


def _is_little_word(token: Token, before: Token | None, after: Token | None) -> bool:
    """Whether "a", "e", "o" or "y" is grammar here, and not the letter of a door."""
    if token.value not in v.LITTLE or token.attached or after is None:
        return False
    if before is not None:
        if before.value in v.NUMBER_WORDS and after.counted is not None:
            return token.value in "ey"  # "vinte e um"
        if before.role is NUMBER or before.value in v.BUILDINGS:
            return False
    return after.role is WORD or (after.role is KIND and token.value in "ey")


def parse(text: Text) -> Name:
    """Give every number and letter to the building, the floor or the room it belongs to."""
    found = text.tokens
    owner: dict[int, int] = {}  # the number's place -> the place of the word it belongs to
    for role in (FLOOR, BUILDING):
        for at, token in enumerate(found):
            if token.role is role:
                claimed = _claim(found, at, owner)
                if claimed is not None:
                    owner[claimed] = at
    labelled = {label: number for number, label in owner.items()}
    buildings: list[tuple[str, str]] = []
    floors: list[str] = []
    kinds: set[str] = set()
    words: list[str] = []
    units: list[str] = []
    for at, token in enumerate(found):
        if token.role in DESIGNATORS:
            if at not in owner:
                units.append(token.value)
        elif at in labelled:
            value = found[labelled[at]].value
            if token.role is FLOOR:
                floors.append(value)
            else:
                buildings.append((token.value, value))
        elif token.role is KIND:
            kinds.add(token.value)
        elif token.role is not FLOOR:  # "último andar": a floor without a number says nothing
            words.append(token.value)
    buildings.sort(key=lambda each: v.BUILDING_RANK[each[0]])
    floor_is_unit = len(floors) == 1 and not units and not buildings
    if floor_is_unit:
        units, floors = floors, []
    bare = not (words or units or buildings)
    return Name(
        buildings=tuple(buildings),
        floor=" ".join(floors) or None,
        kinds=() if bare else tuple(sorted(kinds)),
        words=tuple(sorted(kinds)) if bare else tuple(words),
        units=tuple(units),
        is_device=text.is_device,
        is_bare=bare,
        floor_is_unit=floor_is_unit,
        surfaces=tuple((token.value, token.surface) for token in found),
    )


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
