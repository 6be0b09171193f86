"""Stays reservations in the words of the simple contract, read by one tolerant parser.

STYLE prefers pydantic at the edges. Here the numbers decided against it: a run reads up to ten
thousand items against a floor of decoding plus one statement (INTERFACES §11). Measured, a model
costs 18 µs an item before anything is put into our words, and that without the six spellings of
a check-in date; these functions take 11 µs in all. A property test holds them to the one error
they may raise.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from app.integrations.channels import ChannelReservation
from app.integrations.errors import Unreadable

VENDOR = "stays"

#: A channel's copy never moves our front-desk states (DECISIONS 17): what the guest has done at
#: the desk is ours to record, so these stays are simply confirmed ones. `no-show` is among them on
#: purpose. Reading it as a cancellation would take the PIN from a guest who arrives late, while a
#: PIN nobody uses harms nobody; the front desk decides, and `raw_status` keeps the channel's word.
SIMPLE_STATUSES: dict[str, str] = {
    "confirmed": "confirmed",
    "pending": "pending",
    "cancelled": "cancelled",
    "canceled": "cancelled",
    "checked-in": "confirmed",
    "checkedin": "confirmed",
    "checked-out": "confirmed",
    "checkedout": "confirmed",
    "completed": "confirmed",
    "no-show": "confirmed",
    "noshow": "confirmed",
}

#: words for a closed calendar, in either dialect (contracts/stays.md §4)
BLOCKS = ("blocked", "maintenance", "block")

ID = ("id", "reservation_id", "reservationId")
PLACE = ("accommodation_id", "accommodationId")
NAME = ("guest_name", "guestName")
EMAIL = ("guest_email", "guestEmail")
PHONE = ("guest_phone", "guestPhone")
CHECK_IN = ("check_in", "checkIn", "check_in_date", "checkInDate")
CHECK_OUT = ("check_out", "checkOut", "check_out_date", "checkOutDate")
CHECK_IN_AT = ("check_in_at", "checkInAt")
CHECK_OUT_AT = ("check_out_at", "checkOutAt")
CHECK_IN_TIME = ("check_in_time", "checkInTime")
CHECK_OUT_TIME = ("check_out_time", "checkOutTime")
AMOUNT = ("amount", "total", "price")
MODIFIED = ("updated_at", "updatedAt", "modified_at", "modifiedAt")

MIDNIGHT = time(0)
MAX_ID = 255
MAX_AMOUNT = Decimal(10) ** 10
CENT = Decimal("0.01")
_NUMERIC = (str, int, float)
_DECIMAL = re.compile(r"[0-9]{1,12}(\.[0-9]{1,20})?")
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})(:[0-9]{2}(\.[0-9]+)?)?")
_CURRENCY = re.compile(r"[A-Z]{3}")

#: a property-local day, a local time if one was said, the instant if the text was one
Moment = tuple[date, time | None, datetime | None]


def fault(field: str, expected: str) -> Unreadable:
    """What was expected of a field; what stood there may be a guest's and is not repeated."""
    return Unreadable(f"{field}: expected {expected}", vendor=VENDOR)


def parse_simple(
    item: Mapping[str, Any], *, channel: str = VENDOR, sweep_hash: str | None = None
) -> ChannelReservation:
    """One reservation, from a list, a single answer or a webhook's `data` (C-45, STAY-12).

    Raises Unreadable naming the field and what was expected, never what stood there. Optional
    guest fields and currency of a wrong type count as not said: they must not cost the guest a PIN.
    `check_in_on` of a stay given in instants is the day in the payload's own offset; the property's
    day follows from `check_in_at`.
    """
    if not isinstance(item, dict) and not isinstance(item, Mapping):
        raise fault("reservation", "an object")
    external_id = identifier(first(item, ID))
    if external_id is None:
        raise fault("id", "text or a whole number")
    place = identifier(first(item, PLACE))
    if place is None:
        raise fault("accommodation_id", "text or a whole number")
    in_on, in_time, in_at = _moment(item, "check_in", CHECK_IN, CHECK_IN_AT)
    out_on, out_time, out_at = _moment(item, "check_out", CHECK_OUT, CHECK_OUT_AT)
    if in_time in (None, MIDNIGHT) and out_time in (None, MIDNIGHT):
        # Both at midnight: days that a serializer turned into instants, not hours anyone keeps.
        in_time = out_time = in_at = out_at = None
    if in_at is not None and out_at is not None:
        if out_at <= in_at:
            raise out_of_order(in_at.isoformat(), out_at.isoformat())
    elif out_on <= in_on:
        raise out_of_order(in_on.isoformat(), out_on.isoformat())
    status, raw_status = read_status(item.get("status"), SIMPLE_STATUSES)
    return ChannelReservation(
        channel=channel,
        external_id=external_id,
        accommodation_ref=place,
        status=status,
        raw_status=raw_status,
        check_in_on=in_on,
        check_out_on=out_on,
        kind=kind_of(raw_status),
        check_in_time=_time_beside(item, "check_in_time", CHECK_IN_TIME, in_time, in_at),
        check_out_time=_time_beside(item, "check_out_time", CHECK_OUT_TIME, out_time, out_at),
        check_in_at=in_at,
        check_out_at=out_at,
        guest_name=text(first(item, NAME)),
        guest_email=text(first(item, EMAIL)),
        guest_phone=text(first(item, PHONE)),
        adults=count(item.get("adults")),
        children=count(item.get("children")),
        amount=money("amount", first(item, AMOUNT)),
        currency=currency(item.get("currency")),
        modified_at=instant(first(item, MODIFIED)),
        sweep_hash=sweep_hash,
        raw=item,
    )


def item_hash(item: object) -> str:
    """A fingerprint of an item as it came. Keys in another order make another one, which costs a
    reading and nothing else."""
    return hashlib.blake2b(repr(item).encode("utf-8", "replace"), digest_size=16).hexdigest()


def reservation_id(item: object) -> str | None:
    """The id in a simple payload, also in one too short to be a reservation (a cancellation)."""
    return identifier(first(item, ID)) if isinstance(item, Mapping) else None


def first(item: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    """The first of several spellings that says something."""
    for key in keys:
        value = item.get(key)
        if value is not None and value != "":
            return value
    return None


def identifier(value: object) -> str | None:
    """An id as text; None for anything that cannot be one."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 10**18 else None
    known = text(value)
    return known if known is not None and len(known) <= MAX_ID else None


def text(value: object) -> str | None:
    """Stripped text that a table can hold, or None."""
    if not isinstance(value, str):
        return None
    if not value.isprintable():
        value = value.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
    return value.strip() or None


def count(value: object) -> int | None:
    """A small number of people, or None."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1000:
        return value
    return None


def day(field: str, value: object) -> date:
    """A calendar day from `YYYY-MM-DD`; week dates and distant years are refused."""
    if isinstance(value, str) and len(value) == 10 and value[4] == value[7] == "-":
        try:
            found = date.fromisoformat(value)
        except ValueError:
            pass
        else:
            if 1970 <= found.year <= 2200:
                return found
    raise fault(field, "a date YYYY-MM-DD")


def clock_time(field: str, value: object) -> time | None:
    """A local time of day from `HH:MM` (`H:MM` and seconds accepted); None when not said."""
    if value is None or value == "":
        return None
    match = _CLOCK.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        raise fault(field, "a time HH:MM")
    return time(int(match[1]), int(match[2]))


def money(field: str, value: object) -> Decimal | None:
    """An amount in major units, to the cent. A JSON number goes through its text, so 560.1 stays
    560.1 and the 813.3799999999999 of somebody's floating sum is 813.38."""
    if value is None or value == "":
        return None
    if isinstance(value, _NUMERIC) and value is not True and value is not False:
        written = str(value).strip() if not isinstance(value, int) or value < MAX_AMOUNT else ""
        if _DECIMAL.fullmatch(written):
            found = Decimal(written)
            cents = len(written.partition(".")[2])
            if found < MAX_AMOUNT:
                return found if cents <= 2 else found.quantize(CENT, ROUND_HALF_UP)
    raise fault(field, "a decimal number, not negative")


def currency(value: object) -> str | None:
    """An ISO 4217 code in capitals, or None."""
    code = value.strip().upper() if isinstance(value, str) else ""
    return code if _CURRENCY.fullmatch(code) else None


def instant(value: object) -> datetime | None:
    """An aware UTC moment; text without an offset is taken as UTC, nonsense as not said."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value.strip())
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def read_status(value: object, words: Mapping[str, str]) -> tuple[str | None, str]:
    """Our status and the channel's own word; None for a word we do not know, never a guess."""
    raw = text(value) if isinstance(value, str) else None
    if raw is None:
        return None, ""
    known = words.get(raw)
    if known is None:
        known = words.get(raw.lower().replace("_", "-").replace(" ", "-"))
    return known, raw[:64]


def kind_of(word: str) -> str:
    """Whether a status or type closes the calendar or sells a night."""
    return "block" if word.lower() in BLOCKS else "stay"


def out_of_order(check_in: str, check_out: str) -> Unreadable:
    """The error of a stay that ends before or when it begins."""
    return Unreadable(f"check_out {check_out} is not after check_in {check_in}", vendor=VENDOR)


def _moment(
    item: Mapping[str, Any], field: str, keys: tuple[str, ...], exact: tuple[str, ...]
) -> Moment:
    value, at = first(item, keys), first(item, exact)
    if value is None:
        if at is None:
            raise fault(field, "a date YYYY-MM-DD or an ISO 8601 instant")
        return _read_moment(field, at)
    found = _read_moment(field, value)
    if at is not None and found[1] is None:
        _, clock, moment = _read_moment(field, at)
        return found[0], clock, moment
    return found


def _read_moment(field: str, value: object) -> Moment:
    if not isinstance(value, str):
        raise fault(field, "a date YYYY-MM-DD or an ISO 8601 instant")
    value = value.strip()
    on = day(field, value[:10])
    if len(value) == 10:
        return on, None, None
    if value[10] in "Tt ":
        try:
            found = datetime.fromisoformat(value)
            at = found.astimezone(UTC) if found.tzinfo else None
        except (ValueError, OverflowError):
            pass
        else:
            return on, found.time(), at
    raise fault(field, "a date YYYY-MM-DD or an ISO 8601 instant")


def _time_beside(
    item: Mapping[str, Any],
    field: str,
    keys: tuple[str, ...],
    said: time | None,
    at: datetime | None,
) -> time | None:
    """The local time of day: the date's own, else the field beside it; an instant needs none."""
    beside = clock_time(field, first(item, keys))
    if at is not None:
        return None
    return said if said is not None else beside
