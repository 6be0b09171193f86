"""Events in words: what happened, why it failed, and what helps (design/UI.md §4, §13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from flask_babel.speaklater import LazyString

from app.domain.event_causes import Cause
from app.integrations import channels
from app.models import ChannelEvent, EventBatch, Reservation
from app.services import list_args
from app.services.event_desk import EMPTIED
from app.services.event_filters import EventFilter
from app.services.event_plans import PARTNER
from app.services.event_views import PIN_ORDERS
from app.web import dates, lock_wording
from app.web.dates import gettext as _

SOURCES = {name: one.title for name, one in channels.KNOWN.items()} | {"pms": "Turnkey"}
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
TYPES = {
    "availability.updated": _l("Availability changed"),
    "rate.updated": _l("Prices changed"),
    "pms.booking.create": _l("Send the new booking"),
    "pms.booking.update": _l("Send the changed booking"),
    "pms.booking.cancel": _l("Send the cancellation"),
    "pms.availability.update": _l("Send the free units"),
    "pms.rate.update": _l("Send the prices"),
}
#: what a try ended with when nothing went wrong
OUTCOMES = {
    "done": _l("applied"),
    "stale": _l("older than what we knew; nothing changed"),
    "ignored": _l("nothing to apply"),
    "noted": _l("noted; no reservation is concerned"),
    "handed_back": _l("handed back, the worker was stopped"),
    "postponed": _l("put off: the channel's allowance is spent"),
}
#: the same of what we sent
SENT = {
    "done": _l("accepted by the channel"),
    "found": _l("found at the channel: an earlier try had arrived"),
    "partial": _l("taken by the channel, but not all of it"),
    "ignored": _l("nothing was owed any more"),
}
TRY_MARKS = {
    "failed": ("is-bad", "x"),
    "retrying": ("is-bad", "x"),
    "lost": ("is-bad", "x"),
    "done": ("is-ok", "check"),
    "found": ("is-ok", "check"),
    "partial": ("is-ok", "check"),
    "stale": ("is-ok", "check"),
    "ignored": ("is-ok", "check"),
    "noted": ("is-ok", "check"),
}
DEEDS = {"retry": _l("Retried"), "ignore": _l("Ignored"), "replay": _l("Replayed")}
PIN_STATES = {
    "scheduled": ("info", "sync", _l("Trying again")),
    "queued": ("info", "sync", _l("Trying again")),
    "running": ("info", "sync", _l("Trying again")),
    "failed": ("bad", "bad", _l("Failed")),
    "done": ("plain", "check", _l("Done")),
    "cancelled": ("plain", "dash", _l("Not needed any more")),
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
    "no_credits": Why(
        _l("The call allowance at %(channel)s is spent"), _l("Retry in a few minutes.")
    ),
    "unconfirmed": Why(
        _l("%(channel)s did not say whether it took our change"),
        _l("A retry looks there first and sends nothing twice."),
    ),
    "not_found": Why(
        _l("%(channel)s does not know this booking"),
        _l("Look it up there: it may have been removed. Then retry or ignore."),
    ),
    "unmapped": Why(_l("A room of %(channel)s is not mapped")),
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
#: what the same means for a change of ours
CAUSES_OUT: dict[str, Why] = {
    "rejected": Why(
        _l("%(channel)s refused our change"),
        _l("Retrying alone will not help: compare both sides, mend one, then retry."),
    ),
    "invalid": Why(
        _l("Our change cannot be written the way %(channel)s wants it"),
        _l("Correct the booking here, then retry."),
    ),
}
_UNKNOWN = Why(_l("It failed for a reason we have no word for"))
#: kinds whose own text says more than our sentence
SPEAKING = frozenset({"invalid", "rejected", "internal", "unreadable"})
#: kinds that our sentence says in full
NAMED = frozenset(CAUSES) - SPEAKING


def channel(source: str) -> str:
    """Stays, for stays."""
    return SOURCES.get(source, source.capitalize())


def partner(source: str) -> str:
    """The channel at the other end: who sent it, or who is owed what we changed."""
    return channel(PARTNER.get(source, source))


def title(event: ChannelEvent) -> str:
    """Booking changed; the bare type for what we have no words for."""
    if event.event_type in TYPES:
        return str(TYPES[event.event_type])
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
    return str(_why(cause).fact) % {"channel": partner(cause.source)}


def detail(cause: Cause) -> str:
    """The vendor's or the code's own words where they add something."""
    known = cause.kind in CAUSES
    return _capital(cause.text) if cause.kind in SPEAKING or not known else ""


def helps(cause: Cause) -> str:
    """What to do about it; empty when we do not know."""
    found = _why(cause).helps
    return "" if found is None else str(found) % {"channel": partner(cause.source)}


def _why(cause: Cause) -> Why:
    if cause.source in PARTNER and cause.kind in CAUSES_OUT:
        return CAUSES_OUT[cause.kind]
    return CAUSES.get(cause.kind, _UNKNOWN)


def try_outcome(outcome: str | None, direction: str) -> str:
    """What a try came to when nothing went wrong; an open one is under way."""
    if direction == "outbound" and outcome in SENT:
        return str(SENT[outcome])
    return str(OUTCOMES[outcome]) if outcome in OUTCOMES else _("under way")


def outcome(batch: EventBatch) -> str:
    """What a repair of many did."""
    n = batch.done
    if batch.verb == "ignore":
        said = ngettext("%(num)d event is ignored", "%(num)d events are ignored", n)
    elif batch.verb == "replay":
        said = ngettext("%(num)d event is processed again", "%(num)d events are processed again", n)
    elif batch.order_ids:
        said = ngettext(
            "%(num)d failed one is tried again", "%(num)d failed ones are tried again", n
        )
    else:
        said = ngettext("%(num)d event is tried again", "%(num)d events are tried again", n)
    return str(said)


def left_out(reason: str) -> str:
    """Why one of many was left as it is, in the language of the page."""
    if reason.startswith("no such"):
        return _("it is not there any more")
    if reason == EMPTIED:
        return _("what it carried was removed to protect the guest")
    return _("somebody was faster, or it went on by itself")


def houses(hit: Sequence[tuple[str, int]]) -> str:
    """Vila Jasmim 7, Solar 2 and 3 more."""
    said = ", ".join(f"{name} {count}" for name, count in hit[:3])
    more = len(hit) - 3
    if more < 1:
        return said
    return _("%(names)s and %(n)s more", names=said, n=more)


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


def of_ours(payload: Mapping[str, Any]) -> dict[str, Any]:
    """What an event of ours says about its booking, by the names of the comparison."""
    days = {"check_in_on": payload.get("check_in"), "check_out_on": payload.get("check_out")}
    return days | {name: payload.get(name) for name in ("status", "adults", "children", "amount")}


def _side(value: Any, statuses: Mapping[str, Any]) -> str:
    if value is None:
        return "—"
    text = str(value)
    if list_args.DAY.fullmatch(text):
        return dates.weekday(date.fromisoformat(text))
    if text.replace(".", "", 1).isdecimal() and "." in text:
        text = text.rstrip("0").rstrip(".")
    return str(statuses.get(text, text))
