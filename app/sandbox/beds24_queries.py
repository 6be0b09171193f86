"""What a caller of the pretended Beds24 asks for: filters, windows, pages and calendar values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from werkzeug.datastructures import MultiDict

from app.sandbox.beds24_bookings import STATUSES, Invalid
from app.sandbox.beds24_records import Beds24Account, Beds24Booking, Beds24Room
from app.sandbox.beds24_wire import PRICES, days

Args = MultiDict[str, str]
#: cancelled bookings come only to those who ask (§4.1)
DEFAULT_STATUSES = ("confirmed", "request", "new", "black", "inquiry")
MAX_DAYS = 731
CALENDAR_VALUES = ("numAvail", "minStay", *PRICES)
#: parameter -> field, for lists of values
LISTS = {
    "id": "id",
    "propertyId": "property_id",
    "roomId": "room_id",
    "masterId": "master_id",
    "apiReference": "api_reference",
    "channel": "channel",
}
DATES = ("arrival", "departure")
INSTANTS = {"bookingTime": "booked_at", "modified": "modified_at"}
Test = Callable[[Beds24Booking], bool]


class Refused(Exception):
    """An answer other than success, in Beds24's shape."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def criteria(args: Args, today: date) -> Test:
    """A test for a booking. Without any filter only what has not ended passes."""
    tests: list[Test] = []
    for name, field in LISTS.items():
        if name in args:
            tests.append(_one_of(field, set(args.getlist(name))))
    for field in DATES:
        if field in args:
            tests.append(_between(field, _day(args, field), _day(args, field)))
        if f"{field}From" in args or f"{field}To" in args:
            tests.append(_between(field, _day(args, f"{field}From"), _day(args, f"{field}To")))
    for name, field in INSTANTS.items():
        if f"{name}From" in args or f"{name}To" in args:
            first, last = _moment(args, f"{name}From"), _moment(args, f"{name}To")
            tests.append(_between(field, first, last))
    if words := args.get("searchString", "").strip().lower():
        tests.append(_mentions(words))
    if not tests:
        tests.append(_between("departure", today.isoformat(), None))
    statuses = args.getlist("status") or list(DEFAULT_STATUSES)
    if not set(statuses) <= set(STATUSES):
        raise Refused(400, "status must be one of " + ", ".join(STATUSES))
    return lambda booking: booking.status in statuses and all(test(booking) for test in tests)


def _one_of(field: str, wanted: set[str]) -> Test:
    return lambda booking: str(getattr(booking, field)) in wanted


def _between(field: str, first: Any, last: Any) -> Test:
    def test(booking: Beds24Booking) -> bool:
        value = getattr(booking, field)
        if isinstance(value, float):
            value = int(value)  # the wire knows whole seconds
        return (first is None or value >= first) and (last is None or value <= last)

    return test


def _mentions(words: str) -> Test:
    return lambda b: (
        words in (f"{b.first_name} {b.last_name} {b.email} {b.api_reference} {b.id}".lower())
    )


def _day(args: Args, name: str) -> str | None:
    if name not in args:
        return None
    try:
        return date.fromisoformat(args[name]).isoformat()
    except ValueError:
        raise Refused(400, f"{name} must be a date YYYY-MM-DD") from None


def _moment(args: Args, name: str) -> float | None:
    if name not in args:
        return None
    try:
        found = datetime.strptime(args[name].removesuffix("Z") + "Z", "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        raise Refused(400, f"{name} must be a time YYYY-MM-DDTHH:MM:SS") from None
    return found.timestamp()


def window(args: Args) -> tuple[date, date]:
    """`startDate` to `endDate`, the last night."""
    first, last = _day(args, "startDate"), _day(args, "endDate")
    if first is None or last is None:
        raise Refused(400, "startDate and endDate are required, YYYY-MM-DD")
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    if end < start or (end - start).days > MAX_DAYS:
        raise Refused(400, "endDate must not be before startDate, nor years after it")
    return start, end


def page_number(args: Args) -> int:
    text = args.get("page", "1")
    if not text.isdecimal() or int(text) < 1:
        raise Refused(400, "page must be a whole number from 1")
    return int(text)


def link(base: str, args: Sequence[tuple[str, str]]) -> str:
    return f"{base}?{urlencode(args)}"


def set_calendar(account: Beds24Account, room: Beds24Room, ranges: list[Any]) -> None:
    """Take calendar values over; all ranges are checked before any is set. `numAvail` is what is
    left to sell, so what is booked already comes on top of it."""
    wanted: list[tuple[str, dict[str, Any]]] = []
    for entry in ranges:
        if not isinstance(entry, dict):
            raise Invalid("calendar", "must be a list of ranges")
        try:
            first = date.fromisoformat(str(entry.get("from")))
            last = date.fromisoformat(str(entry.get("to", entry.get("from"))))
        except ValueError:
            raise Invalid("from", "must be a date YYYY-MM-DD") from None
        if last < first or (last - first).days > MAX_DAYS:
            raise Invalid("to", "must not be before from, nor years after it")
        values = {name: entry[name] for name in CALENDAR_VALUES if name in entry}
        for name, value in values.items():
            good = isinstance(value, int | float) and not isinstance(value, bool)
            if not good and not (value is None and name in PRICES):
                raise Invalid(name, "must be a number")
        wanted += [(day, values) for day in days(first, last)]
    for day, values in wanted:
        known = room.calendar.setdefault(day, {})
        for name, value in values.items():
            if value is None:
                known.pop(name, None)
            elif name == "numAvail":
                known[name] = float(value) + account.booked(room, day)
            else:
                known[name] = float(value)
