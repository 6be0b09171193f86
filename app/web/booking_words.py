"""What bookings, nights, blocks and prices are refused for, as a person at a form reads it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Any

from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from app.domain.booking_rules import Reason, Why
from app.errors import Conflict
from app.web import dates
from app.web.dates import gettext as _

#: nights named one by one; more are counted
NAMED = 10
FULL = re.compile(r"(?P<day>\d{4}-\d{2}-\d{2}) is full")

WORDS: dict[str, Any] = {
    "must be a day written YYYY-MM-DD": _l("Choose a day"),
    "must not be in the past": _l("Choose today or a later day"),
    "must be within the next three years": _l("Choose a day within the next three years"),
    "must be after check_in": _l("Choose a day after the check-in"),
    "must be after start_date": _l("Choose a day after the first night"),
    "must be after from": _l("Choose a day after the first night"),
    "is of another room type": _l("This room is of another type"),
    "is not in use": _l("This room is not in use"),
    "a room is one unit": _l("A room is one unit: write 1"),
    "the stay begins later than today": _l("The stay begins later than today"),
    "must be an e-mail address": _l("Write an e-mail address, such as ana@example.com"),
    "must be a telephone number such as +55 48 99999-0000": _l(
        "Write a phone number, such as +55 48 99999-0000"
    ),
    "must be an amount such as 450.00": _l("Write an amount, such as 450.00"),
    "must be an amount from 0 to below 1000000000000": _l("Write an amount, such as 450.00"),
    "must have at most two digits after the point": _l("Write at most two digits for the cents"),
    "is not a currency of ISO 4217": _l("Choose one of the list"),
    "must not be null": _l("Fill this in"),
}
SHAPES: tuple[tuple[re.Pattern[str], Any], ...] = (
    (
        re.compile(r"must be at most (?P<n>\d+) nights after \w+"),
        _l("Choose at most %(n)s nights"),
    ),
    (
        re.compile(r"(?P<kind>.+) has (?P<n>\d+) units in all"),
        _l("%(kind)s has %(n)s in all"),
    ),
    (
        re.compile(r"the room type has (?P<n>\d+) units in all"),
        _l("The room type has %(n)s in all"),
    ),
    (
        re.compile(r"(?P<room>.+) is taken on some of these nights(?:: .*)?"),
        _l("%(room)s is taken on some of these nights. Choose another one, or none yet."),
    ),
)


#: why a booking is not changed any more, by what became of it
ENDED: dict[str, Any] = {
    "cancelled": _l("The booking is cancelled."),
    "failed": _l("The channel did not take the booking."),
    "no_show": _l("The guest did not come."),
}


def full_nights(error: Conflict) -> list[date]:
    """The nights that a refusal names as full; empty when it is about something else."""
    found = (FULL.fullmatch(each.message) for each in error.errors)
    return [date.fromisoformat(each["day"]) for each in found if each is not None]


def days(nights: Sequence[date]) -> str:
    """Thu 12 Mar, Fri 13 Mar and 4 more nights."""
    shown = ", ".join(dates.weekday(day) for day in nights[:NAMED])
    more = len(nights) - NAMED
    if more < 1:
        return shown
    rest = ngettext("%(num)d more night", "%(num)d more nights", more)
    return _("%(days)s and %(rest)s", days=shown, rest=rest)


def locked(reason: Reason) -> str:
    """Why a field of a booking cannot be changed here, and where it can."""
    if reason.why == Why.OWNER:
        return _("From %(who)s: change it there.", who=reason.who)
    if reason.why == Why.ARRIVED:
        return _("The guest has arrived.")
    if reason.why == Why.ENDED:
        return str(ENDED.get(reason.status or "", _("The stay has ended.")))
    return _("This cannot be changed any more.")


#: how the services say that what was sent may have come through
_LOST = re.compile(
    r"; what was sent (?:had no answer|may have arrived), so look for the booking in .*"
)
_LATE = re.compile(r"its channel had not taken it after (?P<n>\d+) minutes")
_RELEASED = re.compile(r"its hold was released by (?P<who>.+)")


def sync_error(text: str, fact: str = "") -> str:
    """Why a channel does not have a booking, as sentences; its own words where we have none.

    `fact` says the same in the language of the page, when what went wrong has a name.
    """
    said, lost = _LOST.subn("", text.strip())
    if (found := _LATE.fullmatch(said)) is not None:
        sentence = _("It had not taken the booking after %(n)s minutes.", n=found["n"])
    elif (found := _RELEASED.fullmatch(said)) is not None:
        sentence = _("%(who)s released its hold.", who=found["who"])
    elif fact and said:
        sentence = f"{fact.rstrip('.')}."
    else:
        sentence = f"{said[:1].upper()}{said[1:].rstrip('.')}." if said else ""
    if lost:
        sentence += " " + _("What was sent had no answer: look for the booking there as well.")
    return sentence
