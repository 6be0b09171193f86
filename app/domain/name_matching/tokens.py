"""Cutting a name into words and numbers, each as what it stands for."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from app.domain.name_matching import vocabulary as v

APOSTROPHES = re.compile(r"['’‘`´ʼ]")
#: "nº 12", "n. 12": the sign says nothing that the number does not
NUMBER_SIGN = re.compile(r"\bn\s?[ºª°.]\s*(?=\d)", re.IGNORECASE)
#: "2 quartos", "4 guests": how large, not which one
COUNT = r"""
    \d+\s?(?:quartos|su[ií]tes|dormit[oó]rios|bedrooms?|br|habitaciones|camas|beds?|pessoas|personas
    |pax|h[oó]spedes|guests|banheiros|ba[nñ]os|baths?|m2|m²)(?![^\W_])
"""
TOKEN = re.compile(
    rf"""
    ({COUNT})
    | (\d+)
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
LABELS = (BUILDING, FLOOR)
ROLES = (*DESIGNATORS, WORD, KIND, BUILDING, FLOOR)


@dataclass(slots=True)
class Token:
    """One word or number of a name; `surface` is how it was written. Never changed once made."""

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
    text = _tidied(text)
    found: list[Token] = []
    is_device = False
    for count, digits, ordinal, word in TOKEN.findall(text):
        if digits:
            found.append(_number(digits, ordinal))
            continue
        if count:
            found.append(_count(count))
            continue
        token, depends, of_device = _known(word)
        if depends:
            return _read_with_care(text)
        is_device = is_device or of_device
        if token is not None:
            found.append(token)
    return Text(tuple(found), is_device)


def _tidied(text: str) -> str:
    """Without apostrophes and number signs, every letter and digit in its plain form."""
    if "'" in text or not text.isascii():
        text = APOSTROPHES.sub("", text)
    if "º" in text or "°" in text or "ª" in text or "." in text:
        text = NUMBER_SIGN.sub("", text)
    if text.isascii():
        return text
    marked = re.sub(r"(?<=\d)\s?[ºª°]", "º", text)
    return "º".join(unicodedata.normalize("NFKC", part) for part in marked.split("º"))


def _number(digits: str, ordinal: str, *, attached: bool = False) -> Token:
    if not digits.isascii():
        digits = "".join(str(unicodedata.decimal(char)) for char in digits)
    return Token(NUMBER, digits.lstrip("0") or "0", digits, attached, bool(ordinal))


def _count(text: str) -> Token:
    return Token(WORD, "".join(fold(text).split()), text)


@lru_cache(maxsize=16_384)
def _known(word: str) -> tuple[Token | None, bool, bool]:
    """What the word stands for, whether its place decides that, and whether it means a device."""
    value = fold(word)
    of_device = value in v.DEVICES
    if not value or value in v.STOP:
        return None, value in v.PHRASE_STARTS, of_device
    if value in v.DEPENDING:
        return None, True, of_device
    if len(value) == 1 and "a" <= value <= "z":
        return Token(LETTER, value, word), False, False
    return _word(Token(WORD, value, word), None), False, of_device


def _read_with_care(text: str) -> Text:
    """The same for a text in which the place of a word decides what it means."""
    found: list[Token] = []
    end = -1
    for match in TOKEN.finditer(text):
        count, digits, ordinal, word = match.groups()
        attached = match.start() == end
        end = match.end()
        if count is not None:
            found.append(_count(count))
        elif digits is not None:
            found.append(_number(digits, ordinal, attached=attached))
        elif value := fold(word):
            role = LETTER if len(value) == 1 and "a" <= value <= "z" else WORD
            found.append(Token(role, value, word, attached))
    is_device = any(token.value in v.DEVICES for token in found)
    return Text(tuple(_meant(_joined(found))), is_device)


def _joined(found: list[Token]) -> list[Token]:
    """Phrases as one word."""
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
