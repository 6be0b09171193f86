"""The sentences of a mapping test in the language of the page, as they are when new to us."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from flask_babel import lazy_gettext as _l

from app.domain import channel_rooms

_UNMAPPED = re.compile(
    r"(?:unit \d+ of )?room (?P<whole>\d+) of property \S+ is not mapped.*"
    r"|unit (?P<unit>\d+) of room (?P<room>\d+) is not mapped: .*"
)
#: what is said, by its shape
_SHAPES: tuple[tuple[re.Pattern[str], Any], ...] = tuple(
    (re.compile(shape), words)
    for shape, words in (
        (
            r"room (?P<room>\d+) of property (?P<house>\S+) is not mapped",
            _l("Room %(room)s of Beds24 property %(house)s is not mapped."),
        ),
        (
            r"unit (?P<unit>\d+) of room (?P<room>\d+) of property (?P<house>\S+) is not mapped",
            _l("Unit %(unit)s of room %(room)s of Beds24 property %(house)s is not mapped."),
        ),
        (
            r"room (?P<room>\d+) of property (?P<house>\S+) is not mapped to a room type",
            _l("Room %(room)s of Beds24 property %(house)s is not mapped to a room type."),
        ),
        (
            r"unit (?P<unit>\d+) of room (?P<room>\d+) is not mapped: the stay has no room yet",
            _l("Unit %(unit)s of room %(room)s is not mapped: the stay has no room yet."),
        ),
        (
            r"it names no unit: the stay has a room type and no room yet",
            _l("It names no unit: the stay has a room type and no room yet."),
        ),
        (
            r"(?P<ref>\S+) was mapped to (?P<name>.+); that mapping was taken away",
            _l("%(ref)s was mapped to %(name)s; that mapping was removed."),
        ),
        (
            r"the connection of property \S+ is inactive",
            _l("This connection is switched off: such a message is refused."),
        ),
        (r"(?P<name>.+) is inactive", _l("%(name)s is inactive.")),
        (
            r"the booking has no id: such a message is refused",
            _l("The booking has no id: such a message is refused."),
        ),
        (r"it names no room", _l("It names no room.")),
        (
            r"it names no property: such a message is refused",
            _l("It names no property: such a message is refused."),
        ),
        (
            r"property (?P<ref>\S+) is not connected: such a message is refused",
            _l("Beds24 property %(ref)s is not connected: such a message is refused."),
        ),
        (
            r"(?P<name>.+) has no room type, which a block needs",
            _l("%(name)s has no room type, which a block of the calendar needs."),
        ),
        (
            r"it is about property (?P<ref>\S+), not (?P<own>\S+)",
            _l("It is about Beds24 property %(ref)s; this connection is %(own)s."),
        ),
        (
            r"the connection of property \S+ is in error.*",
            _l("Beds24 refuses our access at present: connect it again."),
        ),
        (
            r"only the first of (?P<n>\d+) events is looked at",
            _l("Only the first of %(n)s events is looked at."),
        ),
        (
            r"body: expected an event, an array of one, or a booking",
            _l("This is neither an event nor a booking."),
        ),
        (
            r"this tells of a room's calendar, not of a booking: no stay comes of it",
            _l("This tells of a room’s calendar, not of a booking: no stay comes of it."),
        ),
        (
            r"black is a block of the calendar and makes no stay",
            _l("“black” closes the room in the calendar; no stay comes of it."),
        ),
        (r"an inquiry makes no stay", _l("No stay comes of an inquiry.")),
        (
            r"a request waits for a decision: the stay is pending and gets no PIN yet",
            _l("A request waits for a decision: the stay is pending and gets no PIN yet."),
        ),
        (r"it cancels the stay", _l("It cancels the stay.")),
        (
            r"status (?P<word>.+) is not known: a known stay keeps its own, a new one is pending",
            _l("Status “%(word)s” is not known: a stay we have keeps its own, a new one waits."),
        ),
        (
            r"it takes (?P<n>\d+) units: one stay for each",
            _l("It takes %(n)s units: there is one stay for each."),
        ),
        (
            r"(?P<what>.+): it is read from Beds24 by its id",
            _l("The dates are missing: the booking is read from Beds24 by its id."),
        ),
        (
            r"price: expected an amount; the stay has none",
            _l("The price is no amount: the stay has none."),
        ),
        (
            r"currency: expected a code of three letters; (?P<ours>.+) is taken",
            _l("The currency is not a code of three letters: %(ours)s is taken."),
        ),
        (
            r"the price is in (?P<theirs>\S+), the property counts in (?P<ours>\S+)",
            _l("The price is in %(theirs)s, the property counts in %(ours)s."),
        ),
    )
)


def said(sentence: str) -> str:
    """One finding as a person reads it."""
    for shape, words in _SHAPES:
        if (found := shape.fullmatch(sentence)) is not None:
            return str(words) % found.groupdict()
    return f"{sentence[:1].upper()}{sentence[1:].rstrip('.')}."


def unmapped_room(sentences: Sequence[str]) -> str | None:
    """The room of the channel, or its unit, that asks to be mapped; None when none does."""
    for sentence in sentences:
        if (found := _UNMAPPED.fullmatch(sentence)) is not None:
            return found["whole"] or channel_rooms.unit_id(found["room"], found["unit"])
    return None
