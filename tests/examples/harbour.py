"""Harbour, an invented channel: berths, booked by number, told of with a cursor.

What a third party writes to add a channel; docs/extending.md names the other places to touch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote

from app.integrations import http
from app.integrations.channels import (
    ChangeSet,
    Channel,
    ChannelListing,
    ChannelReservation,
    ItemError,
)
from app.integrations.errors import NotConfigured, NotFound, Unreadable

VENDOR = "harbour"
#: Harbour's words for a booking, and ours; another word is kept and flagged
STATES = {"booked": "confirmed", "option": "pending", "void": "cancelled"}

#: the line for app.integrations.channels.KNOWN
CHANNEL = Channel(
    "Harbour",
    "HARBOUR_API_URL and HARBOUR_API_KEY",
    lambda settings: VENDOR if settings.harbour_api_url else None,
)


class HarbourClient:
    """A `ChannelClient` of Harbour's second API."""

    def __init__(self, vendor_http: http.VendorHttp) -> None:
        self._http = vendor_http

    def changes(
        self, since: datetime, *, today: date, known: Mapping[str, str | None]
    ) -> ChangeSet:
        """Everything changed since, page by page; Harbour cannot say what vanished."""
        found: dict[str, ChannelReservation] = {}
        errors: list[ItemError] = []
        for item in self._pages("/v2/bookings", "bookings", changed_from=_epoch(since)):
            try:
                booking = _booking(item)
            except Unreadable as fault:  # this one only: the others are taken in
                errors.append(ItemError(_text(item, "no"), fault.message))
            else:
                found[booking.external_id] = booking
        return ChangeSet(list(found.values()), errors, fetched=len(found) + len(errors))

    def get(self, external_id: str) -> ChannelReservation:
        """One booking by its number."""
        if not external_id:
            raise NotFound("an empty number names no booking", vendor=VENDOR)
        booking = _booking(self._http.read(f"/v2/bookings/{quote(external_id, safe='')}"))
        if booking.external_id != external_id:
            raise Unreadable("Harbour answered with another booking", vendor=VENDOR)
        return booking

    def listings(self) -> list[ChannelListing]:
        """Every berth."""
        return [
            ChannelListing(_said(item, "id"), _said(item, "name"))
            for item in self._pages("/v2/berths", "berths")
        ]

    def _pages(self, path: str, noun: str, **query: str) -> Iterator[Any]:
        """All items of all pages. A page without its list is a fault, never an empty house."""
        cursor: str | None = None
        while True:
            asked = query | ({"after": cursor} if cursor else {})
            page = self._http.read(path, params=tuple(asked.items()))
            items = page.get(noun) if isinstance(page, dict) else None
            if not isinstance(items, list):
                raise Unreadable(f"Harbour answered without {noun}", vendor=VENDOR)
            yield from items
            cursor = _text(page, "next")
            if cursor is None:
                return


def client_from_settings(settings: Any) -> HarbourClient:
    """The client of the environment's account."""
    if settings.harbour_api_url is None:
        raise NotConfigured("HARBOUR_API_URL is not set", vendor=VENDOR)
    key = http.bearer(VENDOR, settings.harbour_api_key)
    return HarbourClient(http.pooled(VENDOR, settings.harbour_api_url, key))


def _booking(item: Any) -> ChannelReservation:
    """Harbour's booking in our words. Raises Unreadable naming the field, never its guest."""
    arrival, departure = _day(item, "from"), _day(item, "to")
    if departure <= arrival:
        reason = f"check_out {departure} is not after check_in {arrival}"
        raise Unreadable(reason, vendor=VENDOR)
    state, skipper = _said(item, "state"), item.get("skipper")
    amount, currency = _price(item)
    return ChannelReservation(
        channel=VENDOR,
        external_id=_said(item, "no"),
        accommodation_ref=_said(item, "berth"),
        status=STATES.get(state),
        raw_status=state,
        check_in_on=arrival,
        check_out_on=departure,
        guest_name=_text(skipper, "name"),
        guest_email=_text(skipper, "mail"),
        guest_phone=_text(skipper, "phone"),
        amount=amount,
        currency=currency,
        code=_said(item, "no"),
        modified_at=_moment(item, "changed"),
        raw=item,
    )


def _epoch(moment: datetime) -> str:
    return str(int(moment.timestamp()))


def _text(item: Any, name: str) -> str | None:
    value = item.get(name) if isinstance(item, dict) else None
    return value if isinstance(value, str) and value else None


def _said(item: Any, name: str) -> str:
    value = _text(item, name)
    if value is None:
        raise Unreadable(f"{name} is missing", vendor=VENDOR)
    return value


def _day(item: Any, name: str) -> date:
    try:
        return date.fromisoformat(_said(item, name))
    except ValueError:
        raise Unreadable(f"{name} is no day", vendor=VENDOR) from None


def _moment(item: Any, name: str) -> datetime | None:
    value = item.get(name)
    return datetime.fromtimestamp(value, UTC) if type(value) is int else None


def _price(item: Any) -> tuple[Decimal | None, str | None]:
    """`560.10 BRL`; a booking without a price has none."""
    number, _, currency = (_text(item, "price") or "").partition(" ")
    try:
        return (Decimal(number), currency) if number else (None, None)
    except InvalidOperation:
        raise Unreadable("price is no amount", vendor=VENDOR) from None
