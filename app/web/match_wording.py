"""Why two names are taken for one door: the matcher's codes in the language of the page."""

from __future__ import annotations

from typing import NamedTuple

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from app.domain.folding import fold
from app.domain.name_matching import Note


class Reason(NamedTuple):
    """One reason; `kind` is ok for what speaks for it, no for what does not."""

    kind: str
    icon: str
    said: str


_FOR = ("ok", "check")
_AGAINST = ("no", "dash")

NOTES: dict[str, tuple[tuple[str, str], LazyString]] = {
    "same_words": (_FOR, _l("Same name “%(ours)s”")),
    "same_number": (_FOR, _l("Same number %(ours)s")),
    "synonym": (_FOR, _l("“%(ours)s” = “%(theirs)s”")),
    "other_order": (_FOR, _l("Same words in another order")),
    "spelling": (_FOR, _l("Spelled differently: “%(ours)s”, “%(theirs)s”")),
    "other_words": (_AGAINST, _l("The words differ: “%(ours)s”, “%(theirs)s”")),
    "words_unsaid": (_AGAINST, _l("Only one name says “%(ours)s”")),
    "words_extra": (_AGAINST, _l("Only one name says “%(ours)s”")),
    "kind_differs": (_AGAINST, _l("“%(ours)s” is not “%(theirs)s”, but may be the same door")),
    "label_differs": (_AGAINST, _l("“%(ours)s” in one name, “%(theirs)s” in the other")),
    "floor_unsaid": (_AGAINST, _l("Only one name says the floor (%(ours)s)")),
    "number_field": (_FOR, _l("%(ours)s is the number of the room")),
    "number_differs": (_AGAINST, _l("The number of the room is %(ours)s")),
    "location_field": (_FOR, _l("The location of the lock says “%(ours)s”")),
    "location_differs": (_AGAINST, _l("The location of the lock says otherwise: “%(ours)s”")),
    "same_house": (_FOR, _l("The lock names the house")),
    "served_twin": (_AGAINST, _l("Another room of that name has a lock or is inactive")),
    "counted_device": (_AGAINST, _l("The number of the lock may only count locks")),
}


def reasons(notes: tuple[Note, ...]) -> list[Reason]:
    """What speaks for the pair, then what does not; nothing is said twice."""
    codes = {note.code for note in notes}
    found = []
    for note in notes:
        if note.code == "number_field" and "same_number" in codes:
            continue
        if note.code == "synonym" and fold(note.ours) == fold(note.theirs):
            continue  # only the accents differ
        (kind, icon), words = NOTES[note.code]
        said = str(words) % {"ours": note.ours, "theirs": note.theirs}
        found.append(Reason(kind, icon, said))
    return sorted(found, key=lambda each: each.kind == "no")
