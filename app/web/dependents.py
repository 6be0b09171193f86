"""What still needs a thing that somebody wants to delete, in the words of the page."""

from __future__ import annotations

import re

from flask_babel import ngettext

from app.errors import Conflict

COUNTED = re.compile(r"(\d+) (.+)")


def still_needed(error: Conflict | None) -> list[str]:
    """ "2 reservations", "1 lock", from a refusal; empty without one."""
    if error is None:
        return []
    return [_said(each.message) for each in error.errors] or [error.message]


def _said(message: str) -> str:
    found = COUNTED.fullmatch(message)
    if found is None:
        return message
    n, noun = int(found[1]), found[2].removesuffix("s")
    words = {
        "reservation": ngettext("%(num)d reservation", "%(num)d reservations", n),
        "lock": ngettext("%(num)d lock", "%(num)d locks", n),
        "accommodation": ngettext("%(num)d accommodation", "%(num)d accommodations", n),
        "room type": ngettext("%(num)d room type", "%(num)d room types", n),
        "channel connection": ngettext(
            "%(num)d channel connection", "%(num)d channel connections", n
        ),
        "channel mapping": ngettext("%(num)d channel mapping", "%(num)d channel mappings", n),
        "channel event": ngettext("%(num)d channel event", "%(num)d channel events", n),
        "PIN": ngettext("%(num)d PIN", "%(num)d PINs", n),
    }
    return str(words.get(noun, message))
