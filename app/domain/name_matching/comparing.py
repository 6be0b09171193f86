"""How alike two names are, and when they must not meet however alike they look (C-51)."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.name_matching import vocabulary as v
from app.domain.name_matching.names import Name

#: the lowest score that is worth a look, whatever the threshold
WORTH_A_LOOK = 0.5
#: names whose words differ by more than a slip of the pen stay below the usual threshold
DOUBTFUL = 0.75
#: a word shorter than this has no room for a slip: "Ana" and "Ane" are two people
LONG_ENOUGH = 5
SLIP = 0.8

# What is taken off for what one name leaves unsaid or says otherwise.
KIND_UNSAID = 0.03
KIND_EXTRA = 0.02
KIND_DIFFERS = 0.12
LABEL_UNSAID = 0.02
LABEL_DIFFERS = 0.1
FLOOR_UNSAID = 0.03
WORDS_UNSAID = 0.14
WORDS_EXTRA = 0.1
OTHER_ORDER = 0.03


@dataclass(frozen=True, slots=True)
class Note:
    """One reason, as a code to translate and the parts it quotes."""

    code: str
    ours: str = ""
    theirs: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How alike, whether that is beyond doubt, and why."""

    score: float
    certain: bool
    notes: tuple[Note, ...]


def veto(ours: Name, theirs: Name) -> str | None:
    """Why these two are different doors; None when they may be the same. Symmetric.

    The numbers and letters are compared in order, from the building in: "Bloco 1 Apto 12" is
    not "Bloco 12 Apto 1".
    """
    if ours.key != theirs.key:
        return "numbers"
    if not (ours.says_something and theirs.says_something):
        return "nothing"
    floors = (_floor(ours), _floor(theirs))
    if None not in floors and floors[0] != floors[1]:
        return "floors"
    if ours.words != theirs.words:
        mine, other = set(ours.words), set(theirs.words)
        if (mine ^ other) & v.COMMON:
            return "common"
        if not _marks_agree(mine & v.MARKS, other & v.MARKS, numbered=bool(ours.key)):
            return "marks"
    if ours.kinds != theirs.kinds and _are_other_kinds(set(ours.kinds), set(theirs.kinds)):
        return "kinds"
    return None


def _floor(name: Name) -> str | None:
    return "0" if v.GROUND in name.words else name.floor


def _marks_agree(ours: set[str], theirs: set[str], *, numbered: bool) -> bool:
    if ours == theirs:
        return True
    # Numbered doors may leave "Luxo" or "Azul" unsaid; without a number it is all there is.
    return numbered and (ours <= theirs or theirs <= ours)


def _are_other_kinds(ours: set[str], theirs: set[str]) -> bool:
    """A chalet is not a suite; a room, a flat and a suite may be the same door."""
    ours, theirs = ours - v.ANY_KIND, theirs - v.ANY_KIND
    if not ours or not theirs or ours & theirs:
        return False
    return not (ours <= v.LOOSE_KINDS and theirs <= v.LOOSE_KINDS)


def compare(ours: Name, theirs: Name, similarity: float) -> Verdict:
    """The verdict on two names that `veto` lets meet.

    `similarity` is the normalised Levenshtein similarity of their cores.
    """
    notes: list[Note] = []
    score, certain = _words(ours, theirs, similarity, notes)
    if ours.key:
        notes.append(Note("same_number", " ".join(ours.key).upper()))
    for taken, sure in (_kinds(ours, theirs, notes), _labels(ours, theirs, notes)):
        score -= taken
        certain = certain and sure
    notes += _synonyms(ours, theirs)
    if ours.is_device != theirs.is_device and _is_a_count(ours if ours.is_device else theirs):
        certain = False
        notes.append(Note("counted_device"))
    return Verdict(max(0.0, min(1.0, score)), certain, tuple(notes))


def _words(ours: Name, theirs: Name, similarity: float, notes: list[Note]) -> tuple[float, bool]:
    mine, other = ours.words, theirs.words
    if mine == other:
        if mine:
            notes.append(Note("same_words", _said(ours), _said(theirs)))
        return 1.0, True
    if not mine or not other:
        notes.append(Note("words_unsaid", _said(ours) or _said(theirs)))
        return 1.0 - WORDS_UNSAID, False
    if "".join(mine) == "".join(other) or ours.spelled == theirs.spelled:
        notes.append(Note("same_words", _said(ours), _said(theirs)))
        return 1.0, True
    if sorted(mine) == sorted(other):
        notes.append(Note("other_order", _said(ours), _said(theirs)))
        return 1.0 - OTHER_ORDER, True
    if ours.key and (set(mine) < set(other) or set(other) < set(mine)):
        extra = [word for word in (*mine, *other) if word not in set(mine) & set(other)]
        notes.append(Note("words_extra", " ".join(dict.fromkeys(extra))))
        return max(similarity, 1.0 - WORDS_EXTRA), False
    if _is_a_slip(mine, other):
        notes.append(Note("spelling", _said(ours), _said(theirs)))
        return similarity, False
    notes.append(Note("other_words", _said(ours), _said(theirs)))
    return min(similarity, DOUBTFUL), False


def _is_a_slip(ours: tuple[str, ...], theirs: tuple[str, ...]) -> bool:
    """Whether the words differ as misspellings do: inside long words, not in their endings."""
    if len(ours) != len(theirs):
        return min(len("".join(ours)), len("".join(theirs))) >= 2 * LONG_ENOUGH
    for mine, other in zip(ours, theirs, strict=True):
        if mine == other:
            continue
        if min(len(mine), len(other)) < LONG_ENOUGH or not (mine.isalpha() and other.isalpha()):
            return False
        if mine[:-1] == other[:-1] or mine == other[:-1] or other == mine[:-1]:
            return False  # "Mario" and "Maria", "Jardim" and "Jardins"
        if distance(mine, other) > (1 if min(len(mine), len(other)) < 2 * LONG_ENOUGH else 2):
            return False
    return True


def distance(ours: str, theirs: str) -> int:
    """Levenshtein distance, for the one pair of words that decides."""
    row = list(range(len(theirs) + 1))
    for i, mine in enumerate(ours, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(theirs, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (mine != other))
    return row[-1]


def _kinds(ours: Name, theirs: Name, notes: list[Note]) -> tuple[float, bool]:
    mine, other = set(ours.kinds), set(theirs.kinds)
    if mine == other:
        return 0.0, True
    mine, other = mine - v.ANY_KIND, other - v.ANY_KIND
    if not mine or not other:
        return KIND_UNSAID, True
    if mine & other:
        return KIND_EXTRA, True
    notes.append(Note("kind_differs", _spelled(ours, ours.kinds), _spelled(theirs, theirs.kinds)))
    return KIND_DIFFERS, False


def _labels(ours: Name, theirs: Name, notes: list[Note]) -> tuple[float, bool]:
    """What the numbers are called: block, tower, floor."""
    taken, sure = 0.0, True
    mine, other = dict(ours.buildings), dict(theirs.buildings)
    if mine != other:
        shared = mine.keys() & other.keys()
        if (mine and other and not shared) or any(mine[each] != other[each] for each in shared):
            notes.append(
                Note("label_differs", _spelled(ours, tuple(mine)), _spelled(theirs, tuple(other)))
            )
            taken, sure = LABEL_DIFFERS, False
        else:
            taken = LABEL_UNSAID
    if ours.floor != theirs.floor:
        taken += FLOOR_UNSAID
        notes.append(Note("floor_unsaid", ours.floor or theirs.floor or ""))
    if ours.floor_is_unit != theirs.floor_is_unit:
        taken += FLOOR_UNSAID
        sure = False
    return taken, sure


def _is_a_count(device: Name) -> bool:
    """ "Smart Lock 3": the third lock, which need not be on the third door."""
    return (
        not device.words
        and not device.kinds
        and not device.buildings
        and len(device.units) == 1
        and len(device.units[0]) == 1
    )


def _synonyms(ours: Name, theirs: Name) -> list[Note]:
    """The parts that are the same but spelled otherwise: 'Apto' = 'Apartamento'."""
    found = []
    for part in (*dict(ours.buildings), *ours.kinds, *ours.words):
        mine, other = ours.surfaces.get(part), theirs.surfaces.get(part)
        if mine and other and mine != other and mine.casefold() != other.casefold():
            found.append(Note("synonym", mine, other))
    return found


def _said(name: Name) -> str:
    return _spelled(name, name.words)


def _spelled(name: Name, parts: tuple[str, ...]) -> str:
    return " ".join(name.surface(part) for part in parts)
