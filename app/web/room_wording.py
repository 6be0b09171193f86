"""The words for rooms, and the front desk's refusals, as people read them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date

from flask_babel import lazy_gettext as _l

from app.domain.booking_rules import Reason, Why
from app.errors import ServiceError
from app.services.lock_health import Trouble
from app.services.room_board import Show
from app.services.room_calendar import Look
from app.web import dates
from app.web.dates import gettext as _
from app.web.forms import words_for

#: status: colour, icon, word (design/UI.md §5)
STATUSES = {
    "AVAILABLE": ("", "door", _l("Available")),
    "RESERVED": ("info", "enter", _l("Reserved")),
    "OCCUPIED": ("ok", "bed", _l("Occupied")),
    "DIRTY": ("", "door", _l("Available")),  # cleanliness is said beside it
    "CLEAN": ("", "door", _l("Available")),
    "MAINTENANCE": ("hold", "tool", _l("Maintenance")),
    "OUT_OF_SERVICE": ("hold", "ban", _l("Out of service")),
}
#: housekeeping: class, icon, word; in the order of the menu
HOUSEKEEPING = {
    "clean": ("clean", "check", _l("Clean")),
    "inspected": ("inspected", "okc", _l("Inspected")),
    "dirty": ("dirty", "broom", _l("Dirty")),
    "in_progress": ("progress", "clock", _l("Being cleaned")),
}
TABS = {
    Show.ALL: _l("All"),
    Show.URGENT: _l("Arriving and dirty"),
    Show.READY: _l("Arriving and clean"),
    Show.DIRTY: _l("Dirty"),
    Show.OCCUPIED: _l("Occupied"),
    Show.FREE: _l("Free tonight"),
    Show.LATE: _l("Late"),
    Show.CLOSED: _l("Closed"),
    Show.LOCKS: _l("Lock trouble"),
}
#: what is wrong with a lock: colour, icon, words
TROUBLES = {
    Trouble.GONE: ("bad", "unlink", _l("Lock gone from its account")),
    Trouble.SILENT: ("bad", "off", _l("Lock not answering")),
    Trouble.LOW_BATTERY: ("warn", "batt", _l("Battery of the lock is low")),
}
#: a bar of the calendar: class, icon, words
LOOKS = {
    Look.ARRIVING: ("arriving", "", _l("arrives today")),
    Look.HOUSE: ("house", "", _l("in house")),
    Look.LEAVING: ("leaving", "", _l("leaves today")),
    Look.OVER: ("over", "clock", _l("late check-out")),
    Look.LATE: ("over", "clock", _l("late check-in")),
    Look.BOOKED: ("booked", "", _l("booked")),
    Look.OUT: ("out", "", _l("gone")),
    Look.HOLD: ("hold", "hold", _l("on hold")),
    Look.CLOSED: ("closed", "tool", _l("closed")),
}
LEGEND = (
    ("arriving", _l("Arrives today")),
    ("house", _l("In house")),
    ("leaving", _l("Leaves today")),
    ("booked", _l("Booked")),
    ("out", _l("Gone")),
    ("hold", _l("On hold")),
    ("closed", _l("Closed")),
)
_STAY = {
    "pending": _l("pending"),
    "confirmed": _l("confirmed"),
    "pending sync": _l("on its way to its channel"),
    "on its way to its channel": _l("on its way to its channel"),
    "checked in": _l("checked in"),
    "checked out": _l("checked out"),
    "cancelled": _l("cancelled"),
    "a no-show": _l("a no-show"),
    "failed": _l("not accepted by its channel"),
    "not accepted by its channel": _l("not accepted by its channel"),
}
#: what the services say, and what the page says for it
_SENTENCES: tuple[tuple[str, Callable[..., str]], ...] = (
    (r"the guest is checked in already", lambda: _("The guest is checked in already.")),
    (
        r"the stay begins on (?P<day>\S+)",
        lambda day: _("The stay begins on %(day)s.", day=_day(day)),
    ),
    (
        r"the stay ended on (?P<day>\S+)",
        lambda day: _("The stay ended on %(day)s.", day=_day(day)),
    ),
    (
        r"no room is assigned, and none of its type is free for the whole stay",
        lambda: _("No room is assigned, and none of its type is free for the whole stay."),
    ),
    (
        r"room (?P<room>.+) is out of service",
        lambda room: _("Room %(room)s is out of service.", room=room),
    ),
    (
        r"room (?P<room>.+) is under maintenance until (?P<day>\S+)",
        lambda room, day: _(
            "Room %(room)s is under maintenance until %(day)s.", room=room, day=_day(day)
        ),
    ),
    (
        r"room (?P<room>.+) is under maintenance",
        lambda room: _("Room %(room)s is under maintenance.", room=room),
    ),
    (
        r"room (?P<room>.+) is occupied by (?P<guest>.+)",
        lambda room, guest: _("Room %(room)s is occupied by %(guest)s.", room=room, guest=guest),
    ),
    (
        r"room (?P<room>.+) is reserved for another stay in these nights",
        lambda room: _("Room %(room)s is reserved for another stay in these nights.", room=room),
    ),
    (
        r"room (?P<room>.+) is not in use",
        lambda room: _("Room %(room)s is not in use.", room=room),
    ),
    (r"the stay has no room", lambda: _("The stay has no room.")),
    (
        r"no guest is checked in: the stay is (?P<status>.+)",
        lambda status: _("No guest is checked in: the stay is %(status)s.", status=_stay(status)),
    ),
    (
        r"the stay is (?P<status>.+?)(?: already)?",
        lambda status: _("The stay is %(status)s.", status=_stay(status)),
    ),
    (
        r"a guest is checked in: check out or move the guest first",
        lambda: _("A guest is checked in. Check out or move the guest first."),
    ),
    (
        r"the room is reserved: move or cancel the reservation first",
        lambda: _("The room is reserved. Move or cancel the reservation first."),
    ),
    (r"the room is dirty: mark it clean", lambda: _("The room is dirty: mark it clean.")),
    (
        r"the guest has arrived: name the room they move to",
        lambda: _("Choose the room the guest moves to."),
    ),
    (
        r"(?:the room|the room type) of a booking from (?P<who>.+) is theirs: .*",
        lambda who: _("The room of a booking from %(who)s is changed in %(who)s.", who=who),
    ),
    (
        r"(?P<room>.+) is taken on some of these nights.*",
        lambda room: _("%(room)s is taken on some of these nights.", room=room),
    ),
    (
        r"the maintenance is from (?P<who>\S+): .*",
        lambda who: _("The maintenance is from %(who)s: end it in %(who)s.", who=who),
    ),
    (
        r"the room has no type, so no nights to close: .*",
        lambda: _("The room has no type, so no nights can be closed. Take it out of service."),
    ),
    (
        r"somebody has changed the stay: .*",
        lambda: _("Somebody changed this meanwhile. Below is what is so now."),
    ),
    (r"must not be in the past", lambda: _("Choose today or a later day")),
    (r"must be after start_date", lambda: _("Choose a day after the first one")),
)
_PATTERNS = tuple((re.compile(pattern), said) for pattern, said in _SENTENCES)


def sentence(said: str) -> str:
    """A refusal of a service in the language of the page; its own words when it is new to us."""
    for pattern, words in _PATTERNS:
        if (found := pattern.fullmatch(said)) is not None:
            return words(**found.groupdict())
    return words_for(said)


def sentences(found: Iterable[str]) -> list[str]:
    return [sentence(each) for each in found]


def refusal(error: ServiceError) -> list[str]:
    """Every reason of a refusal, each a sentence."""
    return sentences([each.message for each in error.errors] or [error.message])


def reason(found: Reason) -> str:
    """Why a booking cannot be cancelled, changed or noted as a no-show."""
    if found.why == Why.OWNER:
        return _("The booking is from %(who)s: do it in %(who)s.", who=found.who)
    if found.why == Why.ARRIVED:
        return _("The guest has arrived: check out instead.")
    if found.why == Why.NOT_ARRIVED and found.day is not None:
        return _("The guest is not expected before %(day)s.", day=dates.weekday(found.day))
    return _("The stay is %(status)s.", status=_stay(found.status or ""))


def _day(text: str) -> str:
    try:
        return dates.weekday(date.fromisoformat(text))
    except ValueError:
        return text


def _stay(status: str) -> str:
    word = status.replace("_", " ").replace("no show", "a no-show")
    return str(_STAY.get(word, word))
