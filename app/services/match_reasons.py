"""Why a match is proposed, in a sentence: the codes of the matcher put into words."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.name_matching import Note

#: code -> words; a page translates the code and fills in the same parts
SENTENCES = {
    "same_words": "same name {ours!r}",
    "same_number": "same number {ours}",
    "synonym": "{ours!r} = {theirs!r}",
    "other_order": "same words in another order: {ours!r}, {theirs!r}",
    "spelling": "spelled differently: {ours!r}, {theirs!r}",
    "other_words": "the words differ: {ours!r}, {theirs!r}",
    "words_unsaid": "only one name says {ours!r}",
    "words_extra": "only one name says {ours!r}",
    "kind_differs": "{ours!r} is not {theirs!r}, but may be the same door",
    "label_differs": "{ours!r} in one name, {theirs!r} in the other",
    "floor_unsaid": "only one name says the floor ({ours})",
    "number_field": "the number {ours} is the accommodation's own",
    "number_differs": "the accommodation's number is {ours}",
    "location_field": "the lock's location says {ours!r}",
    "location_differs": "the lock's location says otherwise: {ours!r}",
    "same_house": "the lock names the house",
    "served_twin": "another accommodation of that name has a lock or is inactive",
    "counted_device": "the lock's number may only count locks",
}


def sentence(
    notes: Sequence[Note], rival_locks: Sequence[str] = (), rival_rooms: Sequence[str] = ()
) -> str:
    """For example: same number 101, 'Apto' = 'Apartamento'."""
    parts = [SENTENCES[note.code].format(ours=note.ours, theirs=note.theirs) for note in notes]
    if rival_locks:
        parts.append(f"as likely: {_some(rival_locks)}")
    if rival_rooms:
        parts.append(f"fits {_some(rival_rooms)} as well")
    return ", ".join(parts)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
