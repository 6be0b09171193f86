"""The words of the weekly report: what was compared, what differs, and how it was a week before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from app.integrations import channels
from app.models.reconciliation import RUN_KINDS
from app.services.comparison_reports import Report
from app.web import dates, reconciliation_wording
from app.web.dates import gettext as _
from app.web.reservations import STATUSES

#: the kinds of a difference, as a column of counts says them
KINDS = {
    "only_here": _l("Only here"),
    "only_there": _l("Only at the channel"),
    "status": _l("Status"),
    "dates": _l("Dates"),
    "room": _l("Room"),
    "currency": _l("Currency"),
    "amount": _l("Price"),
    "guest": _l("Guest"),
}
REASONS = {
    "unreadable": _l("The channel's copy could not be read"),
    "unmapped": _l("Their room is not mapped to one of ours"),
    "moving": _l("Changing at that moment; the next run has them"),
    "not_asked": _l("Not in the channel's list, and too many to ask for one by one"),
    "unsent": _l("Ours, and the channel has not been told yet"),
}
MONEY = {
    "more": _l("The channel says more"),
    "less": _l("The channel says less"),
    "only_here": _l("Bookings only here"),
    "only_there": _l("Bookings only at the channel"),
}
#: what stands open, and where it is decided
OPEN = {
    "missing": _l("Only here"),
    "dates": _l("Dates"),
    "room": _l("Room"),
    "status": _l("Status"),
    "amount": _l("Price"),
    "currency": _l("Currency"),
    "guest": _l("Guest"),
    "availability": _l("Free units, nights"),
    "rate": _l("Prices, nights"),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One thing in which a booking differs; a booking that is on one side alone has one cell."""

    label: str
    here: str
    there: str


def subject(report: Report) -> str:
    """Stays; Beds24, Pousada Vila do Mar"""
    name = channels.title(report.channel)
    return name if report.home is None else f"{name}, {report.home.name}"


def channel(report: Report) -> str:
    """The channel, as people know it."""
    return channels.title(report.channel)


def at(moment: str) -> datetime:
    """A moment as the figures keep it."""
    return datetime.fromisoformat(moment)


def share(figures: Mapping[str, Any]) -> str:
    """98.7%, and 100% only when really all agree; a dash when nothing was compared."""
    agree, compared = figures["agree"], figures["compared"]
    if not compared:
        return "—"
    if agree == compared:
        return "100%"
    exact = Decimal(100 * agree) / Decimal(compared)
    return f"{dates.number(float(exact.quantize(Decimal('0.1'), ROUND_DOWN)))}%"


def trend(figures: Mapping[str, Any]) -> str:
    """How many differ against the last report; empty for the first one."""
    before = figures["before"]
    if before is None:
        return ""
    more = figures["differ"] - before["differ"]
    if more > 0:
        return str(ngettext("%(num)d more than before", "%(num)d more than before", more))
    if more < 0:
        return str(ngettext("%(num)d fewer than before", "%(num)d fewer than before", -more))
    return _("as many as before")


def counts(figures: Mapping[str, Any]) -> list[tuple[str, str, int, str]]:
    """Kind, label, number and number of the last report, "" without one; what is zero in both is
    left out."""
    before = figures["before"]
    was = before["kinds"] if before else {}
    return [
        (kind, str(label), figures["kinds"].get(kind, 0), _was(before, was.get(kind, 0)))
        for kind, label in KINDS.items()
        if figures["kinds"].get(kind) or was.get(kind)
    ]


def _was(before: Any, number: int) -> str:
    return "" if before is None else dates.number(number)


def runs(figures: Mapping[str, Any]) -> list[tuple[str, Mapping[str, int]]]:
    """The channel's kinds of runs, in the order of their page, and how those of the week went."""
    ran = figures["runs"]
    return [(reconciliation_wording.name(kind), ran[kind]) for kind in RUN_KINDS if kind in ran]


def money(figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the differences come to, in the order of the words, per currency."""
    return [
        (str(label), dates.money(Decimal(found[name]), currency))
        for currency, found in figures["money"].items()
        for name, label in MONEY.items()
        if name in found
    ]


def cells(each: Mapping[str, Any]) -> list[Cell]:
    """What differs about a booking, each with both sides."""
    ours, theirs = each["ours"] or {}, each["theirs"] or {}
    kinds: Sequence[str] = each["kinds"]
    if "only_here" in kinds:
        return [Cell(str(KINDS["only_here"]), _stay(ours), "—")]
    if "only_there" in kinds:
        return [Cell(str(KINDS["only_there"]), "—", _stay(theirs))]
    return [Cell(str(KINDS[kind]), *_both(kind, ours, theirs)) for kind in kinds]


def _both(kind: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> tuple[str, str]:
    if kind == "guest":
        return _("the name here"), _("another name")
    return _value(kind, ours), _value(kind, theirs)


def _value(kind: str, side: Mapping[str, Any]) -> str:
    if kind == "status":
        return str(STATUSES.get(side.get("status") or "", side.get("status") or "—"))
    if kind == "dates":
        return _days(side)
    if kind == "room":
        room, units = side.get("room") or "—", side.get("units") or 1
        return room if units == 1 else f"{room} × {units}"
    return _price(side)


def _stay(side: Mapping[str, Any]) -> str:
    parts = [_days(side), side.get("room"), _value("status", side)]
    if side.get("amount") is not None:
        parts.append(_price(side))
    return ", ".join(part for part in parts if part)


def _days(side: Mapping[str, Any]) -> str:
    first, last = side.get("check_in"), side.get("check_out")
    if not first or not last:
        return "—"
    return dates.day_range(date.fromisoformat(first), date.fromisoformat(last))


def _price(side: Mapping[str, Any]) -> str:
    amount = side.get("amount")
    return dates.money(None if amount is None else Decimal(amount), side.get("currency"))
