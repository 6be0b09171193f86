"""Discrepancies in words: what differs, what either side says, and what a verdict would do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from app.domain.findings import Side
from app.services import (
    discrepancy_bookings,
    discrepancy_desk,
    discrepancy_nights,
    discrepancy_sales,
)
from app.services.discrepancy_bookings import SETUP, Against
from app.services.discrepancy_cards import Card
from app.services.discrepancy_consequences import Consequences, ends
from app.services.discrepancy_lists import Group
from app.services.discrepancy_sides import NUMBERS, same
from app.web.dates import (
    day_month,
    day_range,
    moment,
    money,
    number,
)
from app.web.dates import gettext as _
from app.web.reservations import STATUSES as STAY_STATUSES

CHANNEL = "Beds24"
STATUSES = {"open": _l("Open"), "resolved": _l("Resolved"), "dismissed": _l("Dismissed")}
KINDS = {
    "missing": _l("Not at Beds24"),
    "dates": _l("Dates differ"),
    "room": _l("Room differs"),
    "status": _l("Status differs"),
    "amount": _l("Price differs"),
    "currency": _l("Currency differs"),
    "guest": _l("Guest differs"),
    "availability": _l("Free units differ"),
    "rate": _l("Price of the night differs"),
}
SEVERITIES = {
    "high": ("bad", "alert", _l("High risk")),
    "medium": ("warn", "info", _l("Medium risk")),
    "low": ("", "info", _l("Low risk")),
}
ACTIONS = {
    "accept_channel": _l("Beds24’s was taken"),
    "accept_pms": _l("Ours was kept"),
    "dismiss": _l("Dismissed"),
    "agreed": _l("The sides agree again"),
    "over": _l("The nights are over"),
    "unmapped": _l("The room is no longer mapped"),
}
FIELDS = {
    "status": _l("Status"),
    "check_in": _l("Check-in"),
    "check_out": _l("Check-out"),
    "room": _l("Room"),
    "units": _l("Units"),
    "amount": _l("Amount"),
    "currency": _l("Currency"),
    "guest_name": _l("Guest"),
    "guest_email": _l("E-mail"),
    "guest_phone": _l("Phone"),
    "available": _l("Free units"),
    "price": _l("Price"),
    "min_stay": _l("Shortest stay"),
}
SOURCES = {
    "webhook": _l("from the channel"),
    "desk": _l("front desk"),
    "turnkey": _l("counted"),
    "look": _l("looked up"),
    "beds24 reading": _l("read"),
}
#: why a side cannot be taken, by `Against.why`
AGAINST = {
    "owner": _l("The booking is from %(who)s: change it there."),
    "made_there": _l("The booking was made in Beds24: make it there again."),
    "over": _l("The stay is over here too: there is nothing to tell."),
    "cancelled_there": _l("Beds24 has cancelled it: only there can it be brought back."),
    "status_there": _l("Beds24 is not told a status: accept it there."),
    "no_amount": _l("There is no amount here to tell."),
    "currency": _l("Beds24 takes amounts in %(who)s only."),
    "no_stay": _l("There is no stay of ours to tell."),
    "front_desk": _l("What the front desk has recorded is not undone."),
    "setup": _l("Change one of the two where it is set up."),
    "sold": _l("Beds24 has more to sell: what is sold or closed here cannot be unsold."),
    "no_price": _l("There is no price here to tell."),
    "no_price_there": _l("Beds24 has no price to take."),
}
#: the services' refusals as people read them
REFUSALS = {
    discrepancy_desk.MOVED: _l("It is not as it was shown any more. This is how it stands now."),
    discrepancy_desk.AGREED: _l("The sides agree by now: there is nothing left to decide."),
    discrepancy_desk.NOT_FOUND: _l("It is not there any more."),
    discrepancy_nights.UNSOLD: AGAINST["sold"],
    discrepancy_nights.NO_PRICE: AGAINST["no_price"],
    discrepancy_nights.NO_PRICE_THERE: AGAINST["no_price_there"],
    SETUP: AGAINST["setup"],
    discrepancy_bookings.TOGETHER: _l(
        "Beds24 is told the whole booking, and it differs in other things as well. Choose all of "
        "them and decide them together, or take Beds24's of the rest first."
    ),
    discrepancy_sales.SOLD_THERE: _l(
        "Beds24 has a booking of this night that is not counted here, and would sell its unit "
        "again. Compare the bookings first."
    ),
    discrepancy_sales.UNKNOWN: _l(
        "Beds24's bookings of this night cannot be read, so nobody knows whether a unit is sold."
    ),
    "the discrepancy is resolved already": _l("Somebody was faster: it is resolved."),
    "the discrepancy is dismissed already": _l("Somebody was faster: it is dismissed."),
    "there is no stay of ours left to cancel": _l("There is no stay of ours left to cancel."),
    "there is no stay of ours to tell: take theirs, or dismiss it": AGAINST["no_stay"],
    "the channel has said more about the booking meanwhile: try again": _l(
        "Beds24 has said more about the booking meanwhile. Try again."
    ),
    "Beds24 cannot be told: the property or the room is not connected": _l(
        "Beds24 cannot be told: the property or the room is not connected."
    ),
    "the channel cannot be told: the room type is not mapped to one of its rooms": _l(
        "Beds24 cannot be told: the room type is not mapped to one of its rooms."
    ),
    "we have no amount to tell": AGAINST["no_amount"],
    "the stay is over here too: there is nothing to tell": AGAINST["over"],
    "Beds24 has cancelled it, and only there can it be brought back": AGAINST["cancelled_there"],
    "the booking was made in Beds24: make it there again, or take theirs": AGAINST["made_there"],
    "Beds24 is not told a status: accept it there": AGAINST["status_there"],
}
SHAPES: tuple[tuple[re.Pattern[str], Any], ...] = (
    (re.compile(r"the booking is from (?P<who>.+): change it in .+"), AGAINST["owner"]),
    (re.compile(r"Beds24 takes amounts in (?P<who>\w+) only"), AGAINST["currency"]),
    (
        re.compile(r"Beds24 does not answer right now .*"),
        _l("Beds24 does not answer right now. Nothing was changed: try again in a while."),
    ),
    (re.compile(r".*: that is not undone by what Beds24 says"), AGAINST["front_desk"]),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A line of the comparison."""

    label: str
    ours: str
    theirs: str
    differs: bool


def title(card: Card) -> str:
    """What differs, in a few words."""
    row = card.row
    if row.kind == "amount" and (share := _share(row.ours, row.theirs)) is not None:
        return _("Price differs by %(share)s%%", share=number(share))
    if row.kind == "availability":
        fewer = abs(discrepancy_nights.fewer(row.ours, row.theirs))
        return _("Free units differ by %(n)s", n=number(fewer)) if fewer else _("Overbooked")
    return str(KINDS[row.kind])


def group(found: Group) -> str:
    """37 nights of Double room: Beds24 has 1 fewer to sell"""
    if found.kind not in discrepancy_nights.KINDS:
        return str(KINDS[found.kind])
    nights = ngettext("%(num)d night", "%(num)d nights", found.count)
    of = _("%(nights)s of %(room)s", nights=nights, room=found.room_type or "—")
    if found.kind == "rate":
        return f"{of}: {KINDS['rate']}"
    if not found.fewer:
        return f"{of}: {_('Overbooked')}"
    n = number(abs(found.fewer))
    if found.fewer > 0:
        return _("%(of)s: Beds24 has %(n)s fewer to sell", of=of, n=n)
    return _("%(of)s: Beds24 has %(n)s more to sell", of=of, n=n)


def about(card: Card) -> str:
    """Whom or what it is about."""
    if card.stay is not None:
        return card.stay.guest_name or _("Guest without a name")
    if card.row.kind in discrepancy_nights.KINDS and card.room_type is not None:
        return card.room_type.name
    guest = (card.row.ours or card.row.theirs or {}).get("guest_name")
    return str(guest or card.house.name)


def days(card: Card) -> str:
    """The nights of a run; empty for bookings."""
    row = card.row
    if row.kind not in discrepancy_nights.KINDS or row.first_day is None:
        return ""
    last = card.last_day or row.first_day
    if card.count == 1 or last == row.first_day:
        return day_month(row.first_day)
    nights = ngettext("%(num)d night", "%(num)d nights", card.count)
    return f"{day_range(row.first_day, last)}, {nights}"


def cells(card: Card) -> list[Cell]:
    """What both sides say: what differs first, then what helps to decide."""
    ours, theirs = card.row.ours, card.row.theirs
    currency = card.house.currency
    names = [name for name in FIELDS if name in (ours or {}) or name in (theirs or {})]
    found = []
    for name in names:
        one, other = (ours or {}).get(name), (theirs or {}).get(name)
        differs = ours is None or theirs is None or not same(name, one, other)
        if name == "currency" and not differs and card.row.kind != "currency":
            continue
        shown = [_value(name, side, currency) for side in (ours, theirs)]
        if name == "available" and card.free is not None:
            shown = [_from_to(*card.free[side]) for side in ("ours", "theirs")]
        found.append(Cell(str(FIELDS[name]), shown[0], shown[1], differs))
        if name == "check_out" and (nights := _nights(ours, theirs)) is not None:
            found.append(Cell(_("Nights"), *nights, nights[0] != nights[1]))
    return sorted(found, key=lambda cell: not cell.differs)


def source(side: Side | None, zone: str) -> str:
    """Where a side's values come from and when they were known."""
    if side is None:
        return _("has nothing")
    said = str(side.get("source") or "")
    where = str(SOURCES.get(said, said))
    try:
        at = moment(datetime.fromisoformat(str(side["as_of"])), zone)
    except (KeyError, ValueError):
        return where
    return f"{where} {at}".strip()


def keeping(card: Card) -> str:
    """What happens when ours is kept."""
    row, ours = card.row, card.row.ours or {}
    if row.kind == "missing":
        return _("It is booked at Beds24 again")
    if row.kind == "status":
        return _("Beds24 is told that it is cancelled")
    told = {
        "dates": _stay(ours),
        "room": _value("room", ours, ""),
        "amount": _value("amount", ours, card.house.currency),
        "currency": _value("amount", ours, card.house.currency),
        "guest": _value("guest_name", ours, ""),
        "availability": _free_units(card),
        "rate": _value("price", ours, card.house.currency),
    }[row.kind]
    return _("Beds24 is told: %(told)s", told=told)


def taking(card: Card, found: Consequences, zone: str) -> list[str]:
    """What happens when the channel's is taken."""
    row, theirs = card.row, card.row.theirs or {}
    said: list[str] = []
    if ends(card):
        said.append(_("The stay here is cancelled"))
    elif row.kind == "availability":
        fewer = discrepancy_nights.fewer(row.ours, row.theirs)
        closed = ngettext(
            "%(num)d unit is closed here for maintenance",
            "%(num)d units are closed here for maintenance",
            max(0, fewer),
        )
        said.append(closed + (f" ({days(card)})" if card.count > 1 else ""))
    elif row.kind == "dates":
        said.append(_("The stay here becomes %(days)s", days=_stay(theirs)))
    elif row.kind == "status":
        said.append(_("The status here becomes %(status)s", status=_value("status", theirs, "")))
    elif row.kind == "room":
        said.append(_("The room here becomes %(room)s", room=_value("room", theirs, "")))
    elif row.kind == "guest":
        said.append(_("The guest here becomes %(guest)s", guest=_value("guest_name", theirs, "")))
    else:
        name = "price" if row.kind == "rate" else "amount"
        amount = _value(name, theirs, card.house.currency)
        said.append(_("The amount here becomes %(amount)s", amount=amount))
    door = found.door
    if door.removed:
        said.append(_("The PIN is removed"))
    elif door.moves and door.now is not None and door.then is not None:
        said.append(
            _(
                "The PIN moves: %(now)s – %(end)s becomes %(then)s – %(until)s",
                now=moment(door.now.opens_at, zone),
                end=moment(door.now.closes_at, zone),
                then=moment(door.then.opens_at, zone),
                until=moment(door.then.closes_at, zone),
            )
        )
    return said


def against(reasons: tuple[Against, ...]) -> str:
    """Why a side cannot be taken; empty when it can."""
    return " ".join(str(AGAINST[each.why]) % {"who": each.who} for each in reasons)


def refusal(message: str) -> str:
    """A refusal of the services in the language of the page; its own words when new to us."""
    if message in REFUSALS:
        return str(REFUSALS[message])
    for shape, said in SHAPES:
        if (found := shape.fullmatch(message)) is not None:
            return str(said) % found.groupdict()
    return message[:1].upper() + message[1:]


def _from_to(first: int, last: int) -> str:
    return number(first) if first == last else f"{number(first)} – {number(last)}"


def _free_units(card: Card) -> str:
    """2 free units; of a run that varies, from – to"""
    if card.free is not None and card.free["ours"][0] != card.free["ours"][1]:
        first, last = (max(0, each) for each in card.free["ours"])
        return _("%(n)s free units", n=_from_to(first, last))
    free = max(0, int((card.row.ours or {}).get("available") or 0))
    return str(ngettext("%(num)d free unit", "%(num)d free units", free))


def _stay(side: Side) -> str:
    """12–15 Mar"""
    try:
        first, last = (date.fromisoformat(str(side[name])) for name in ("check_in", "check_out"))
    except (KeyError, ValueError):
        return ", ".join(_value(name, side, "") for name in ("check_in", "check_out"))
    return day_range(first, last)


def _value(name: str, side: Side | None, currency: str) -> str:
    value = None if side is None else side.get(name)
    if value is None or value == "":
        return "—"
    if name in ("check_in", "check_out"):
        return _day(value)
    if name in ("amount", "price"):
        try:
            return money(Decimal(str(value)), str((side or {}).get("currency") or currency))
        except InvalidOperation:
            return str(value)
    if name == "status":
        return str(STAY_STATUSES.get(str(value), value))
    if name in NUMBERS:
        return number(value) if isinstance(value, int | float) else str(value)
    return str(value)


def _day(value: Any) -> str:
    try:
        return day_month(date.fromisoformat(str(value)))
    except ValueError:
        return str(value)


def _nights(ours: Side | None, theirs: Side | None) -> tuple[str, str] | None:
    def count(side: Side | None) -> str:
        try:
            first, last = (
                date.fromisoformat(str((side or {})[name])) for name in ("check_in", "check_out")
            )
        except (KeyError, ValueError):
            return "—"
        return str((last - first).days)

    found = (count(ours), count(theirs))
    return None if found == ("—", "—") else found


def _share(ours: Side | None, theirs: Side | None) -> int | None:
    """By how many percent of ours the amounts differ."""
    try:
        mine, said = (Decimal(str((side or {})["amount"])) for side in (ours, theirs))
    except (KeyError, InvalidOperation):
        return None
    return None if not mine else round(abs(said - mine) / abs(mine) * 100)
