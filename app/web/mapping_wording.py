"""Why a lock was not connected or disconnected: the log's reasons in the language of the page."""

from __future__ import annotations

import re
from typing import Any

from flask_babel import lazy_gettext as _l

REASONS: tuple[tuple[re.Pattern[str], Any], ...] = (
    (
        re.compile(r"(?P<lock>.+) already opens (?P<room>.+): a lock serves one accommodation"),
        _l("%(lock)s already opens %(room)s"),
    ),
    (
        re.compile(r"this change takes PINs off a door; send confirm to go on"),
        _l("Guests had a PIN, and nobody had confirmed"),
    ),
    (re.compile(r"(?P<room>.+) has another lock already"), _l("%(room)s has another lock already")),
    (re.compile(r"this accommodation has another lock by now"), _l("The lock was another by then")),
    (re.compile(r"this accommodation has no lock"), _l("There was no lock to disconnect")),
    (re.compile(r"(?P<room>.+) is inactive"), _l("%(room)s is inactive")),
    (
        re.compile(r"(?P<room>.+) and (?P<lock>.+) do not match by name; .*"),
        _l("%(room)s and %(lock)s do not match by name"),
    ),
    (re.compile(r"no such accommodation"), _l("The room does not exist any more")),
    (re.compile(r"no such lock"), _l("The lock does not exist any more")),
)


def reason_of(message: str | None) -> str:
    """The reason as a sentence without its full stop; its own words when it is new to us."""
    for shape, said in REASONS:
        if (found := shape.fullmatch(message or "")) is not None:
            return str(said) % found.groupdict()
    return (message or "")[:1].upper() + (message or "")[1:]
