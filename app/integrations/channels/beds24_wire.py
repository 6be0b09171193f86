"""Beds24 bookings in our words, read by one tolerant parser (contracts/beds24.md §4).

The spellings of the older API and of the design documents are read as well: they circulate in
examples (§10.11), and a webhook of either shape lands here.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from app.integrations.channels import ChannelReservation
from app.integrations.channels.beds24_tokens import VENDOR
from app.integrations.channels.stays_payloads import (
    count,
    currency,
    day,
    first,
    identifier,
    instant,
    money,
    out_of_order,
    read_status,
    text,
)
from app.integrations.errors import Unreadable

#: every status there is; a list of bookings is asked for with all of them, since cancelled ones
#: come to no one who does not name them (§4.1)
STATUSES = ("confirmed", "request", "new", "cancelled", "black", "inquiry")
#: `new` is a booking nobody has opened in the panel yet. Requests and inquiries are undecided and
#: must not open a door (P2-IN); what guests did at the desk is ours to record (DECISIONS 17).
WORDS = {
    "new": "confirmed",
    "confirmed": "confirmed",
    "request": "pending",
    "inquiry": "pending",
    "black": "confirmed",
    "cancelled": "cancelled",
    "canceled": "cancelled",
    "checkedin": "confirmed",
    "checked-in": "confirmed",
    "checkedout": "confirmed",
    "checked-out": "confirmed",
}
#: not the stays of guests (§10.12)
KINDS = {"black": "block", "inquiry": "inquiry"}

ID = ("id", "bookId", "bookingId", "booking_id")
PROPERTY = ("propertyId", "propId", "property_id", "hotelId")
ROOM = ("roomId", "room_id")
UNIT = ("unitId", "unit_id")
ARRIVAL = ("arrival", "arrivalDate", "checkIn", "check_in", "checkInDate", "firstNight")
DEPARTURE = ("departure", "departureDate", "checkOut", "check_out", "checkOutDate")
MODIFIED = ("modifiedTime", "modified", "modifiedAt", "modified_at", "updatedAt", "updated_at")
BOOKED = ("bookingTime", "bookedAt", "createdAt", "created_at")
FIRST_NAME = ("firstName", "guestFirstName", "first_name")
LAST_NAME = ("lastName", "guestName", "last_name", "guestLastName")
WHOLE_NAME = ("name", "fullName", "guest_name")
EMAIL = ("email", "guestEmail", "guest_email")
PHONE = ("mobile", "phone", "guestMobile", "guestPhone", "guest_phone")
UNITS = ("roomQty", "units", "qty")
PRICE = ("price", "amount", "totalPrice")
ADULTS, CHILDREN = ("numAdult", "numAdults", "adults"), ("numChild", "numChildren", "children")

MAX_UNITS = 99
#: keys under which Beds24 hands on card data or the means to get at it (§4.3, §8.1)
CARD_KEYS = frozenset(
    ("stripetoken", "pcibookingtoken", "cvc", "cvv", "card", "creditcard")
) | frozenset(
    f"{who}card{what}"
    for who in ("", "guest")
    for what in ("number", "cvc", "cvv", "expire", "expiry", "name", "type")
)
#: what people and channels write freely, where card numbers turn up
FREE_TEXT = {
    *("comments", "comment", "guestcomments", "hostcomments", "notes", "message", "groupnote"),
    *("apimessage", "text", "description", "voucher", "ratedescription"),
}
_NESTED = (str, dict, list)
_LONG_NUMBER = re.compile(r"(?<![0-9])[2-6][0-9](?:[ -]?[0-9]){11,17}(?![0-9])")
#: as strict as ids can be had; others who speak this dialect have letters in theirs
_ID_SHAPE = re.compile(r"[A-Za-z0-9_.:-]+")


def parse_booking(
    item: object, *, home_currency: str | None = None, sweep_hash: str | None = None
) -> ChannelReservation:
    """One booking, from a list or a webhook.

    Raises Unreadable naming the field and what was expected, never what stood there. A booking
    names no currency (§4.3), so its property's is passed in. `accommodation_ref` is
    `roomId:unitId`, or the roomId alone while no unit is assigned.
    """
    if not isinstance(item, Mapping):
        raise fault("booking", "an object")
    try:
        return _parse(item, home_currency, sweep_hash)
    except Unreadable as exc:  # the readers shared with the other channel name that one
        message = exc.message
    raise Unreadable(message, vendor=VENDOR)


def _parse(
    item: Mapping[str, Any], home_currency: str | None, sweep_hash: str | None
) -> ChannelReservation:
    external_id = booking_id(item)
    if external_id is None:
        raise fault("id", "text or a whole number")
    room, unit = room_of(item), unit_of(item)
    if room is None:
        raise fault("roomId", "text or a whole number")
    arrival, departure = _days(item)
    if departure <= arrival:
        raise out_of_order(arrival.isoformat(), departure.isoformat())
    status, raw_status = read_status(item.get("status"), WORDS)
    guest = _guest(item)
    booked_at = instant(first(item, BOOKED))
    return ChannelReservation(
        channel=VENDOR,
        external_id=external_id,
        accommodation_ref=f"{room}:{unit}" if unit else room,
        status=status,
        raw_status=raw_status,
        check_in_on=arrival,
        check_out_on=departure,
        kind=KINDS.get(raw_status.lower(), "stay"),
        guest_name=_name(guest),
        guest_email=text(first(guest, EMAIL)),
        guest_phone=text(first(guest, PHONE)),
        adults=count(first(item, ADULTS)),
        children=count(first(item, CHILDREN)),
        amount=_price(item, cancelled=status == "cancelled"),
        currency=currency(item.get("currency")) or home_currency,
        partner=_partner(item),
        partner_ref=identifier(first(item, ("apiReference", "reference"))),
        booked_on=booked_at.date() if booked_at else None,
        modified_at=instant(first(item, MODIFIED)),
        property_ref=property_of(item),
        units=_units(item) or 1,
        units_said=_units(item) is not None,
        group_ref=_group(item),
        sweep_hash=sweep_hash,
        raw=without_card_data(item),
    )


def booking_id(item: object) -> str | None:
    """The booking's id, also in a body too short to be a booking."""
    return _id(first(item, ID)) if isinstance(item, Mapping) else None


def property_of(item: Mapping[str, Any]) -> str | None:
    return _id(first(item, PROPERTY))


def room_of(item: Mapping[str, Any]) -> str | None:
    return _id(first(item, ROOM))


def unit_of(item: Mapping[str, Any]) -> str | None:
    """The unit inside the room type, counted from 1; None, 0 and blank mean not assigned yet."""
    found = _id(first(item, UNIT))
    return None if found == "0" else found


def _id(value: object) -> str | None:
    """An id: a number or word, never text with an address or a name in it. Ids stand in
    keys, errors and lists, where nothing of a guest may stray to."""
    found = identifier(value)
    return found if found is not None and _ID_SHAPE.fullmatch(found) else None


def is_without_days(item: Mapping[str, Any]) -> bool:
    """Whether a body is one of the sparse ones, as some cancellations are (§8.1)."""
    return first(item, ARRIVAL) is None or first(item, (*DEPARTURE, "lastNight")) is None


def fault(field: str, expected: str) -> Unreadable:
    """What was expected of a field; what stood there may be a guest's and is not repeated."""
    return Unreadable(f"{field}: expected {expected}", vendor=VENDOR)


def without_card_data(value: Any, key: str = "") -> Any:
    """A copy fit to be stored: card fields gone, card numbers in free text masked."""
    if isinstance(value, Mapping):
        return {
            name: without_card_data(entry, plain) if isinstance(entry, _NESTED) else entry
            for name, entry in value.items()
            if (plain := _plain(str(name))) not in CARD_KEYS
        }
    if isinstance(value, list):
        return [without_card_data(entry, key) for entry in value if not _is_card_item(entry)]
    if isinstance(value, str) and (key in FREE_TEXT or key.startswith("custom")):
        return _LONG_NUMBER.sub(_masked, value)
    return value


def _is_card_item(entry: object) -> bool:
    """An info item (`{code, text}`) whose text is card data."""
    return isinstance(entry, Mapping) and _plain(str(entry.get("code"))) in CARD_KEYS


@functools.lru_cache(maxsize=512)
def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def _masked(match: re.Match[str]) -> str:
    digits = [int(c) for c in match[0] if c.isdigit()]
    doubled = [sum(divmod(d * 2, 10)) for d in digits[-2::-2]]
    if (sum(digits[-1::-2]) + sum(doubled)) % 10:
        return match[0]  # no card has this number: a reference or a telephone
    return f"[card ending {match[0][-4:]}]"


def _days(item: Mapping[str, Any]) -> tuple[date, date]:
    arrival = _day("arrival", first(item, ARRIVAL))
    leaving = first(item, DEPARTURE)
    if leaving is None and item.get("lastNight"):
        return arrival, _day("lastNight", item["lastNight"]) + timedelta(days=1)
    return arrival, _day("departure", leaving)


def _day(field: str, value: object) -> date:
    """A day, also from an instant that a serializer made of one."""
    written = value.strip() if isinstance(value, str) else value
    if isinstance(written, str) and len(written) > 10 and written[10] in "Tt ":
        written = written[:10]
    return day(field, written)


def _guest(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where the guest is described: beside the stay (V2), or in an object of its own."""
    listed = item.get("guests")
    nested = item.get("guest")
    if not isinstance(nested, Mapping) and isinstance(listed, list) and listed:
        nested = listed[0]
    if not isinstance(nested, Mapping):
        return item
    return {**{k: v for k, v in item.items() if k != "name"}, **_said(nested)}


def _said(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, "")}


def _name(guest: Mapping[str, Any]) -> str | None:
    parts = (text(first(guest, FIRST_NAME)), text(first(guest, LAST_NAME)))
    joined = " ".join(part for part in parts if part)
    return joined or text(first(guest, WHOLE_NAME))


def _price(item: Mapping[str, Any], *, cancelled: bool) -> Decimal | None:
    """The price; a wrong one counts as not said. A cancelled booking's 0 is what Beds24 writes over
    the sum that was agreed (§8.1), and no news about it."""
    try:
        found = money("price", first(item, PRICE))
    except Unreadable:
        return None
    return None if cancelled and found == 0 else found


def price_fault(item: Mapping[str, Any]) -> str | None:
    """What is wrong with a price that `parse_booking` counts as not said; None when nothing is."""
    try:
        money("price", first(item, PRICE))
    except Unreadable as fault_:
        return fault_.message
    return None


def _partner(item: Mapping[str, Any]) -> str | None:
    """The channel that sold the booking; None for the house's own.

    Where one field says direct and the other names a channel, the channel has sold it: a booking of
    an OTA must never be changed as if it were ours (§5).
    """
    said = [text(first(item, (name,))) for name in ("apiSource", "channel")]
    if not any(said):
        said = [text(first(item, ("source", "referer")))]
    named = next((name for name in said if name and name.lower() != "direct"), None)
    return None if named is None else named[:255]


def _units(item: Mapping[str, Any]) -> int | None:
    found = first(item, UNITS)
    if isinstance(found, int) and not isinstance(found, bool) and 1 <= found <= MAX_UNITS:
        return found
    return None


def _group(item: Mapping[str, Any]) -> str | None:
    """The master booking of a multi-room stay, which the master itself may name or not (§4.3)."""
    group = item.get("bookingGroup")
    named = group.get("master") if isinstance(group, Mapping) else None
    return identifier(first(item, ("masterId",))) or identifier(named)
