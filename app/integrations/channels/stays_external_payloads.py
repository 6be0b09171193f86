"""Stays External API v1 in our words: reservations, export rows, listings, and what changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from app.integrations.channels import ChannelListing, ChannelReservation
from app.integrations.channels import stays_payloads as values
from app.integrations.channels.stays_external_wire import (
    Contact,
    ExportRow,
    Listing,
    Reservation,
    read,
)
from app.integrations.channels.stays_payloads import VENDOR, kind_of
from app.integrations.errors import Unreadable

#: contracts/stays.md §4; an unknown type is not here and keeps the stored status
TYPES: dict[str, str] = {
    "reserved": "pending",
    "booked": "confirmed",
    "contract": "confirmed",
    "canceled": "cancelled",
    "cancelled": "cancelled",
}
#: listings that take no bookings; a hidden one still does
CLOSED = ("inactive", "draft")


def parse_external(item: Mapping[str, Any]) -> ChannelReservation:
    """A reservation of the list, the detail or a webhook's `payload`, without its client.

    Raises Unreadable, as for the short form of `reservation.deleted`: a webhook is a hint, and its
    `payload_id` is what counts.
    """
    return compose(read(Reservation, item), item)


def compose(
    wire: Reservation,
    item: Mapping[str, Any],
    *,
    contact: Contact | None = None,
    sweep_hash: str | None = None,
) -> ChannelReservation:
    """A wire reservation in our words; what the client says comes before `guestsDetails`."""
    check_order(wire.check_in, wire.check_out)
    status, raw_status = values.read_status(wire.type, TYPES)
    guest = (contact or Contact()).over(wire.primary_guest())
    return ChannelReservation(
        channel=VENDOR,
        external_id=wire.id,
        accommodation_ref=wire.listing,
        status=status,
        raw_status=raw_status,
        check_in_on=wire.check_in,
        check_out_on=wire.check_out,
        kind=kind_of(raw_status),
        check_in_time=wire.check_in_time,
        check_out_time=wire.check_out_time,
        guest_name=guest.name,
        guest_email=guest.email,
        guest_phone=guest.phone,
        adults=wire.guests.adults if wire.guests else None,
        children=wire.guests.children if wire.guests else None,
        amount=wire.price.total if wire.price else None,
        currency=values.currency(wire.price.currency) if wire.price else None,
        code=wire.code,
        partner=partner_name(wire.partner.name if wire.partner else None),
        partner_ref=wire.partner_code,
        booked_on=optional_day(wire.created),
        sweep_hash=sweep_hash,
        raw=item,
    )


def parse_row(
    row: ExportRow, *, listing: str, raw: Mapping[str, Any], sweep_hash: str
) -> ChannelReservation:
    """A reservation from its export row alone, for those whose times no longer matter."""
    check_order(row.check_in, row.check_out)
    status, raw_status = values.read_status(row.type, TYPES)
    guest = row.client.contact() if row.client else Contact()
    return ChannelReservation(
        channel=VENDOR,
        external_id=row.id,
        accommodation_ref=listing,
        status=status,
        raw_status=raw_status,
        check_in_on=row.check_in,
        check_out_on=row.check_out,
        kind=kind_of(raw_status),
        guest_name=guest.name,
        guest_email=guest.email,
        guest_phone=guest.phone,
        amount=row.total,
        currency=values.currency(row.currency),
        code=row.code,
        partner=partner_name(row.partner_name),
        partner_ref=row.partner_code,
        booked_on=optional_day(row.created),
        sweep_hash=sweep_hash,
        raw=raw,
    )


def parse_listing(item: object) -> ChannelListing:
    """A unit of the account."""
    wire = read(Listing, item)
    title = next((t for t in map(values.text, (wire.titles or {}).values()) if t), None)
    return ChannelListing(
        external_id=wire.id,
        name=wire.name or title or wire.code or wire.id,
        code=wire.code,
        property_ref=wire.property,
        active=(wire.status or "").lower() not in CLOSED,
    )


def payload_id(item: object) -> str | None:
    """The `_id` of a reservation, export row or webhook payload, however short it is (§8)."""
    return values.identifier(item.get("_id")) if isinstance(item, Mapping) else None


def row_hash(row: Mapping[str, Any]) -> str:
    """A fingerprint of what a sweep can notice: type, dates, listing, guest and total (§10.3).

    Read from the raw row, so that a row we cannot parse still has one; paid sums, notes and urls
    change too often to be part of it.
    """
    listing, client = row.get("listing"), row.get("client")
    kind = row.get("type")
    parts = (
        kind.lower() if isinstance(kind, str) else kind,
        row.get("checkInDate"),
        row.get("checkOutDate"),
        listing.get("id") if isinstance(listing, Mapping) else None,
        [client.get(k) for k in ("name", "email", "phoneNumber")]
        if isinstance(client, Mapping)
        else None,
        str(row.get("reserveTotal")),
        row.get("currency"),
    )
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()


def check_order(check_in: date, check_out: date) -> None:
    """A stay ends after the day it begins."""
    if check_out <= check_in:
        raise values.out_of_order(check_in.isoformat(), check_out.isoformat())


def partner_name(name: str | None) -> str | None:
    """The OTA's name without the vendor's prefix: `API booking.com` is booking.com."""
    if name is None:
        return None
    return name[4:].strip() or None if name[:4].lower() == "api " else name


def optional_day(value: object) -> date | None:
    """The booking day, if it is one."""
    try:
        return values.day("", value)
    except Unreadable:
        return None
