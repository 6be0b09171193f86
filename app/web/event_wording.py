"""Events in words: what happened, why it failed, and what helps (design/UI.md §4, §13)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from app.domain.event_causes import Cause
from app.models import ChannelEvent, Reservation
from app.services import list_args
from app.services.event_lists import EventFilter
from app.services.event_views import PIN_ORDERS
from app.web import dates, lock_wording
from app.web.dates import gettext as _

SOURCES = {"stays": "Stays", "beds24": "Beds24", "pms": "Turnkey"}
STATUSES = {
    "received": ("", "clock", _l("Received")),
    "processing": ("info", "sync", _l("In progress")),
    "retrying": ("info", "sync", _l("Trying again")),
    "failed": ("bad", "bad", _l("Failed")),
    "ignored": ("plain", "ban", _l("Ignored")),
    "done": ("plain", "check", _l("Done")),
}
DIRECTIONS = {"inbound": _l("In"), "outbound": _l("Out")}
BOOKINGS = ("reservation", "booking")
VERBS = {
    "created": _l("Booking created"),
    "updated": _l("Booking changed"),
    "modified": _l("Booking changed"),
    "reactivated": _l("Booking revived"),
    "cancelled": _l("Booking cancelled"),
    "canceled": _l("Booking cancelled"),
    "deleted": _l("Booking deleted"),
}
ORDERS = {"generate": _l("Put PIN on lock"), "revoke": _l("Remove PIN")}


class Why(NamedTuple):
    """The fact in the heading of a cause, and what helps."""

    fact: LazyString
    helps: LazyString | None = None


_AGAIN = _l("Nothing was lost. Retry once it answers again.")
CAUSES: dict[str, Why] = {
    "invalid": Why(
        _l("%(channel)s sent something that cannot be used"),
        _l("Retrying alone will not help: correct the booking in %(channel)s, then retry."),
    ),
    "rejected": Why(_l("%(channel)s refused our question"), _l("Retrying alone will not help.")),
    "unreachable": Why(_l("%(channel)s could not be reached"), _AGAIN),
    "unreadable": Why(_l("%(channel)s gave an answer we cannot read"), _AGAIN),
    "rate_limited": Why(_l("%(channel)s asked us to slow down"), _l("Retry in a few minutes.")),
    "quota": Why(_l("The plan at %(channel)s is used up"), _l("Renew it there, then retry.")),
    "unauthorized": Why(
        _l("%(channel)s refuses our access"),
        _l("Check the credentials on the server, then retry."),
    ),
    "unavailable": Why(_l("%(channel)s is not set up"), _l("Set it up on the server, then retry.")),
    "contention": Why(
        _l("The reservation was being changed elsewhere"), _l("A retry will most likely do.")
    ),
    "out_of_time": Why(_l("It took longer than it may"), _l("A retry will most likely do.")),
    "worker_died": Why(
        _l("The worker ended while it had this event"),
        _l("Retry one first: if it ends again, the log of the worker says why."),
    ),
    "internal": Why(
        _l("Something went wrong on our side"),
        _l("The log of the worker says what. Nothing was applied."),
    ),
}
_UNKNOWN = Why(_l("It failed for a reason we have no word for"))
#: kinds whose own text says more than our sentence
SPEAKING = frozenset({"invalid", "rejected", "internal", "unreadable"})


def channel(source: str) -> str:
    """Stays, for stays."""
    return SOURCES.get(source, source.capitalize())


def title(event: ChannelEvent) -> str:
    """Booking changed; the bare type for what we have no words for."""
    noun, _dot, verb = event.event_type.rpartition(".")
    if noun in BOOKINGS and verb in VERBS:
        return str(VERBS[verb])
    return event.event_type


def fact(cause: Cause) -> str:
    """The heading of a cause: a plain sentence."""
    if cause.source == PIN_ORDERS:
        return lock_wording.cause_of(cause.kind).rstrip(".")
    if cause.kind.startswith("unmapped"):
        return _capital(cause.text)
    return str(CAUSES.get(cause.kind, _UNKNOWN).fact) % {"channel": channel(cause.source)}


def detail(cause: Cause) -> str:
    """The vendor's or the code's own words where they add something."""
    known = cause.kind in CAUSES
    return _capital(cause.text) if cause.kind in SPEAKING or not known else ""


def helps(cause: Cause) -> str:
    """What to do about it; empty when we do not know."""
    found = CAUSES.get(cause.kind, _UNKNOWN).helps
    return "" if found is None else str(found) % {"channel": channel(cause.source)}


def sentence(text: str) -> str:
    """Somebody's words with a capital and a full stop."""
    return f"{_capital(text).rstrip('.')}."


def _capital(text: str) -> str:
    """With a capital, unless it begins with the name of a field."""
    first = text.partition(" ")[0]
    return text if "." in first or "_" in first else text[:1].upper() + text[1:]


def kind_of(kind: str | None, source: str) -> str:
    """What a try ended with, short: for the timeline."""
    return fact(Cause(source, kind or "unknown", ""))


def tags(filters: EventFilter, zone: str) -> list[tuple[str, str]]:
    """The filters in words, each with the parameter that takes it away."""
    found: list[tuple[str, str]] = []
    if filters.q:
        found.append((f"“{filters.q}”", "q"))
    if filters.type:
        found.append((_("Type: %(value)s", value=filters.type), "type"))
    if filters.direction:
        value = str(DIRECTIONS[filters.direction])
        found.append((_("Direction: %(value)s", value=value), "direction"))
    if filters.from_:
        day = dates.local(filters.from_, zone).date()
        found.append((_("From %(day)s", day=dates.day_month(day)), "from"))
    if filters.to:
        day = dates.local(filters.to - timedelta(seconds=1), zone).date()
        found.append((_("To %(day)s", day=dates.day_month(day)), "to"))
    return found


class Side(NamedTuple):
    """One line of the comparison of a reservation with what the event says."""

    label: str
    here: str
    there: str

    @property
    def differs(self) -> bool:
        return self.here != self.there


def differences(
    stay: Reservation, said: Mapping[str, Any], statuses: Mapping[str, Any]
) -> list[Side]:
    """The stored reservation beside the normalised event, for what the event says."""
    fields: list[tuple[str, str, Any]] = [
        ("check_in_on", _("Check-in"), stay.check_in_on),
        ("check_out_on", _("Check-out"), stay.check_out_on),
        ("status", _("Status"), stay.status),
        ("adults", _("Adults"), stay.adults),
        ("children", _("Children"), stay.children),
        ("amount", _("Amount"), stay.amount),
    ]
    return [
        Side(label, _side(here, statuses), _side(said[name], statuses))
        for name, label, here in fields
        if said.get(name) is not None
    ]


def _side(value: Any, statuses: Mapping[str, Any]) -> str:
    if value is None:
        return "—"
    text = str(value)
    if list_args.DAY.fullmatch(text):
        return dates.weekday(date.fromisoformat(text))
    if text.replace(".", "", 1).isdecimal() and "." in text:
        text = text.rstrip("0").rstrip(".")
    return str(statuses.get(text, text))
