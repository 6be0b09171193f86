"""A plan as a page shows it: by what is done, gravest first, with both sides of each item."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from app.models import Accommodation
from app.services.reconciliation_views import Names
from app.web import dates
from app.web.comparison_reasons import reason
from app.web.dates import gettext as _
from app.web.discrepancy_wording import SEVERITIES
from app.web.reservations import STATUSES

#: action -> tone, icon and word, the gravest first
ACTIONS = {
    "cancel": ("bad", "x", _l("Cancel")),
    "flag": ("warn", "scale", _l("Leave to a person")),
    "move": ("warn", "arrow", _l("Move")),
    "confirm": ("ok", "check", _l("Confirm")),
    "adjust_amount": ("info", "retry", _l("Adjust the price")),
    "update": ("info", "retry", _l("Change")),
    "fill_guest": ("info", "user", _l("Fill in the guest")),
    "block": ("info", "ban", _l("Adjust blocked nights")),
    "tell": ("info", "outgo", _l("Tell Beds24 again")),
    "create": ("ok", "plus", _l("Create")),
}
#: what nobody but a person decides
FLAG = "flag"
#: changed fields of a stay that a plan names without their values
FIELDS = {
    "guest_name": _l("Guest"),
    "guest_email": _l("E-mail"),
    "guest_phone": _l("Phone"),
    "adults": _l("Adults"),
    "children": _l("Children"),
    "amount": _l("Amount"),
    "currency": _l("Currency"),
    "external_code": _l("Booking code"),
    "partner": _l("Sold by"),
    "partner_ref": _l("Sold by"),
    "booked_at": _l("Booked"),
    "unknown_status": _l("Status"),
    "check_in_on": _l("Check-in"),
    "check_out_on": _l("Check-out"),
}
#: the fields that an item of a booking is about, by its action or its kind
ABOUT: Mapping[str, frozenset[str]] = {
    "cancel": frozenset({"status"}),
    "confirm": frozenset({"status"}),
    "adjust_amount": frozenset({"amount"}),
    "block": frozenset({"days", "units", "room"}),
    "status": frozenset({"status"}),
    "dates": frozenset({"days"}),
    "room": frozenset({"room", "units"}),
    "amount": frozenset({"amount"}),
    "currency": frozenset({"amount"}),
}
_RANK = {"high": 0, "medium": 1, "low": 2}


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of one side, marked when the other one says something else."""

    text: str
    differs: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One item: what it is about, both sides, and why."""

    who: str
    ref: str  # the channel's id
    ours: Sequence[Part]
    theirs: Sequence[Part]
    reservation_id: str | None = None
    sub: str = ""
    why: str = ""
    severity: tuple[Any, ...] | None = None  # tone, icon and word


@dataclass(frozen=True, slots=True)
class Group:
    """All items with one action."""

    action: str
    tone: str
    icon: str
    label: str
    count: str
    lines: Sequence[Line]


def groups(plan: Mapping[str, Any], names: Names, zone: str, currency: str) -> list[Group]:
    """The items of a plan by action; `currency` is that of amounts that name none."""
    items: Sequence[dict[str, Any]] = plan.get("items", [])
    counts: Mapping[str, int] = plan.get("counts", {})
    found = []
    for action, (tone, icon, label) in ACTIONS.items():
        lines = [
            _line(item, names, zone, currency)
            for item in sorted(items, key=_gravity)
            if item["action"] == action
        ]
        if lines:
            count = dates.number(counts.get(action, len(lines)))
            if action == "tell" or _nights(items, action):
                count = ngettext("%(num)d night", "%(num)d nights", counts.get(action, 0))
            found.append(Group(action, tone, icon, str(label), count, lines))
    return found


def figures(plan: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """What a plan does, action by action: its name, its word, how often."""
    counts: Mapping[str, int] = plan.get("counts", {})
    return [
        (action, str(label), counts[action])
        for action, (_tone, _icon, label) in ACTIONS.items()
        if action in counts
    ]


def changes(plan: Mapping[str, Any]) -> int:
    """How much a plan would write, what is left to people aside."""
    return sum(n for action, n in plan.get("counts", {}).items() if action != FLAG)


def _gravity(item: Mapping[str, Any]) -> int:
    return _RANK.get(item.get("severity") or "", 3)


def _nights(items: Iterable[Mapping[str, Any]], action: str) -> bool:
    return any("ours" in item and "room" in item for item in items if item["action"] == action)


def _line(item: dict[str, Any], names: Names, zone: str, currency: str) -> Line:
    severity = SEVERITIES.get(item.get("severity") or "")
    why = reason(item.get("reason"))
    if "ours" in item or "theirs" in item:
        return _calendar(item, severity, why, currency)
    ours, theirs = _booking(item, names, zone, currency)
    id_ = item.get("reservation_id") or names.arrived.get(item["external_id"])
    guest = (names.guests.get(id_) or _("Guest without a name")) if id_ in names.guests else ""
    if not guest and item["action"] == "create":
        guest = _unknown(item.get("to") or {}, names, zone)
    return Line(
        who=guest,
        ref=item["external_id"],
        ours=ours,
        theirs=theirs,
        reservation_id=id_ if id_ in names.guests else None,
        why=why or _others(item.get("fields", ())),
        severity=severity,
    )


def _unknown(side: Mapping[str, Any], names: Names, zone: str) -> str:
    """A booking that is not here yet, told apart by its days and its room."""
    said = _said(side, names, zone, "")
    return ", ".join(said[name] for name in ("days", "room") if name in said)


def _others(fields: Iterable[str]) -> str:
    """Guest, Amount: what changes beside what the sides show."""
    words = [str(FIELDS[name]) for name in fields if name in FIELDS]
    return ", ".join(dict.fromkeys(words))


# --- nights --------------------------------------------------------------------------------------


def _calendar(
    item: Mapping[str, Any], severity: tuple[Any, ...] | None, why: str, currency: str
) -> Line:
    ours, theirs = item.get("ours"), item.get("theirs")
    if "room" not in item:
        here, there = ([Part((side or {}).get("currency") or "—", True)] for side in (ours, theirs))
        return Line(_("The whole property"), "", here, there, why=why, severity=severity)
    first, last = (date.fromisoformat(item[name]) for name in ("from", "to"))
    days = dates.day_month(first)
    if last > first:
        days = f"{dates.day_range(first, last)}, {dates.nights(first, last + timedelta(days=1))}"
    if item.get("raises") and not why:
        why = _("Beds24 sells more again; none of its bookings is missing here")
    return Line(
        who=item["room_type"],
        ref=item["room"],
        ours=_night(ours, theirs, currency),
        theirs=_night(theirs, ours, currency),
        sub=days,
        why=why,
        severity=severity,
    )


def _night(
    side: Mapping[str, Any] | None, other: Mapping[str, Any] | None, currency: str
) -> list[Part]:
    """What one side says of a night; marked where the other one says something else."""
    if side is None:
        return [Part(_("Nothing"), True)]
    beside = other or {}
    if "available" in side:
        free = side["available"]
        text = _("Nothing")
        if free is not None:
            text = ngettext("%(num)d free unit", "%(num)d free units", free)
        return [Part(text, free != beside.get("available"))]
    price = side.get("price")
    text = _("No price") if price is None else _money(price, side.get("currency"), currency)
    parts = [Part(text, price != beside.get("price"))]
    shortest = side.get("min_stay")
    if shortest is not None:
        said = ngettext("at least %(num)d night", "at least %(num)d nights", shortest)
        parts.append(Part(said, shortest != beside.get("min_stay")))
    return parts


# --- bookings ------------------------------------------------------------------------------------


def _booking(
    item: Mapping[str, Any], names: Names, zone: str, currency: str
) -> tuple[list[Part], list[Part]]:
    ours, theirs = item.get("from"), item.get("to")
    about = ABOUT.get(item.get("kind") or item["action"], frozenset())
    told = [_said(side, names, zone, currency) for side in (ours, theirs)]
    alone = ours is None or theirs is None
    whole = any("check_in" in (side or {}) for side in (ours, theirs))
    sides = []
    for one, other in (told, told[::-1]):
        parts = []
        for field, text in one.items():
            # Stays' plans name nothing but what changes; Beds24's say the whole booking.
            differs = not alone and text != other.get(field) and (field in about or not whole)
            wanted = alone or differs or not whole or field in ("days", "room")
            if wanted and not (field == "units" and text == _units(1) and not differs):
                parts.append(Part(text, differs))
        sides.append(parts or [Part("—")])
    return sides[0], sides[1]


def _said(side: Mapping[str, Any] | None, names: Names, zone: str, currency: str) -> dict[str, str]:
    """Days, room, status and so on of one side in words, as far as it says them."""
    said: dict[str, str] = {}
    if side is None:
        return said
    if days := _days(side, zone):
        said["days"] = days
    kind = names.room_types.get(side.get("room_type_id") or "")
    if kind and not side.get("accommodation_id") and not side.get("room"):
        said["room"] = kind
    elif "accommodation_id" in side:
        said["room"] = _room(names.rooms.get(side["accommodation_id"] or ""))
    elif side.get("room"):
        said["room"] = str(side["room"])
    elif side.get("room_type_id"):
        said["room"] = "—"
    if side.get("units"):
        said["units"] = _units(int(side["units"]))
    if side.get("status"):
        status = side["status"]
        said["status"] = _("Blocked") if status == "block" else str(STATUSES.get(status, status))
    if "amount" in side:
        said["amount"] = _money(side["amount"], side.get("currency"), currency)
    return said


def _days(side: Mapping[str, Any], zone: str) -> str:
    """20–23 Nov; of one end alone its day and hour"""
    if side.get("check_in") and side.get("check_out"):
        return dates.day_range(*(date.fromisoformat(side[n]) for n in ("check_in", "check_out")))
    first, last = side.get("check_in_at"), side.get("check_out_at")
    there = [dates.local(datetime.fromisoformat(at), zone) for at in (first, last) if at]
    if len(there) == 2:
        return dates.day_range(*(at.date() for at in there))
    if not there:
        return ""
    said = f"{dates.weekday(there[0].date())} {there[0]:%H:%M}"
    return _("in %(time)s", time=said) if first else _("out %(time)s", time=said)


def _room(room: Accommodation | None) -> str:
    if room is None:
        return _("No room yet")
    named = room.number and not room.name.startswith(room.number)
    return f"{room.number} {room.name}" if named else room.name


def _units(number: int) -> str:
    return str(ngettext("%(num)d room", "%(num)d rooms", number))


def _money(amount: Any, said: Any, currency: str) -> str:
    try:
        return "—" if amount is None else dates.money(Decimal(str(amount)), str(said or currency))
    except InvalidOperation:
        return str(amount)
