"""A booking as each dialect of Stays writes it (contracts/stays.md §3, §5, §6, §11)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.sandbox.records import Booking, Guest, Listing, World

SIMPLE_STATUS = {
    "reserved": "pending",
    "booked": "confirmed",
    "contract": "confirmed",
    "canceled": "cancelled",
    "blocked": "blocked",
    "maintenance": "blocked",
}
BLOCKS = ("blocked", "maintenance")


def instant(moment: float) -> str:
    """ISO 8601 in UTC with milliseconds and Z."""
    text = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def local_day(moment: float, time_zone: str) -> str:
    return datetime.fromtimestamp(moment, ZoneInfo(time_zone)).date().isoformat()


def nights(booking: Booking) -> int:
    return (date.fromisoformat(booking.check_out) - date.fromisoformat(booking.check_in)).days


def _money(booking: Booking) -> float:
    return float(booking.amount)


def simple(world: World, booking: Booking) -> dict[str, Any]:
    """The design documents' shape; a deleted booking shows as cancelled."""
    return {
        "id": booking.code,
        "accommodation_id": booking.listing,
        "guest_name": booking.guest.name,
        "guest_email": booking.guest.email,
        "guest_phone": booking.guest.phone,
        "status": "cancelled" if booking.deleted else SIMPLE_STATUS[booking.type],
        "check_in": booking.check_in,
        "check_out": booking.check_out,
        "check_in_time": booking.check_in_time or world.listing_of(booking).check_in_time,
        "check_out_time": booking.check_out_time or world.listing_of(booking).check_out_time,
        "adults": booking.adults,
        "children": booking.children,
        "amount": booking.amount,
        "currency": booking.currency,
        "source": booking.partner,
        "created_at": instant(booking.created_at),
        "updated_at": instant(booking.updated_at),
    }


def external(world: World, booking: Booking, *, detail: bool = False) -> dict[str, Any]:
    """The External API's reservation object; `detail` adds what only the single read carries."""
    listing = world.listing_of(booking)
    total = _money(booking)
    body: dict[str, Any] = {
        "_id": booking.long_id,
        "id": booking.code,
        "type": booking.type,
        "creationDate": local_day(booking.created_at, listing.time_zone),
        "checkInDate": booking.check_in,
        "checkInTime": booking.check_in_time or listing.check_in_time,
        "checkOutDate": booking.check_out,
        "checkOutTime": booking.check_out_time or listing.check_out_time,
        "_idlisting": listing.long_id,
        "reservationUrl": f"https://sandbox.example/i/account-overview/?reserve={booking.code}",
    }
    if booking.type in BLOCKS:
        return body
    body |= {
        "_idclient": booking.guest.long_id,
        "guests": booking.adults + booking.children,
        "guestsDetails": {"adults": booking.adults, "children": booking.children, "infants": 0},
        "partnerCode": booking.partner_code or booking.code,
        "price": {
            "currency": booking.currency,
            "_f_expected": total,
            "_f_total": total,
            "hostingDetails": {
                "_f_nightPrice": round(total / max(nights(booking), 1), 2),
                "_f_total": total,
                "fees": [],
                "discounts": [],
            },
            "extrasDetails": {"fees": [], "extraServices": [], "discounts": [], "_f_total": 0},
        },
        "stats": {"_f_totalPaid": total if booking.type != "reserved" else 0},
    }
    if booking.partner:
        body["partner"] = {
            "_id": booking.long_id[:-4] + "f001",
            "name": booking.partner,
            "commission": {"type": "fixed", "_mcval": {booking.currency: round(total * 0.15, 2)}},
        }
    if detail:
        main = {"type": "adult", "name": booking.guest.name, "primary": True, "phones": []}
        others = [
            {"type": "adult", "name": f"Guest {n}", "primary": False, "phones": []}
            for n in range(2, booking.adults + 1)
        ]
        body["guestsDetails"]["list"] = [main, *others]
    return body


def client(world: World, guest: Guest) -> dict[str, Any]:
    """A guest with contacts and reservations, as GET /booking/clients/{id} answers."""
    first, _, last = guest.name.partition(" ")
    own = [b for b in world.bookings.values() if b.guest.long_id == guest.long_id]
    body: dict[str, Any] = {
        "_id": guest.long_id,
        "kind": "person",
        "name": guest.name,
        "fName": first,
        "lName": last,
        "phones": [{"iso": guest.phone, "hint": "main"}] if guest.phone else [],
        "prefLang": "en_US",
        "clientSource": "sandbox",
        "creationDate": min(local_day(b.created_at, "UTC") for b in own),
        "isUser": False,
        "reservations": [external(world, b) for b in own if not b.deleted],
    }
    if guest.email:
        body |= {"email": guest.email, "contactEmails": [{"adr": guest.email, "type": "main"}]}
    return body


def export_row(world: World, booking: Booking) -> dict[str, Any]:
    """A row of the JSON report: contact inline, the listing by its short id."""
    listing, total = world.listing_of(booking), _money(booking)
    first, _, last = booking.guest.name.partition(" ")
    return {
        "_id": booking.long_id,
        "id": booking.code,
        "type": booking.type,
        "currency": booking.currency,
        "creationDate": local_day(booking.created_at, listing.time_zone),
        "checkInDate": booking.check_in,
        "checkOutDate": booking.check_out,
        "guestTotalCount": booking.adults + booking.children,
        "nightCount": nights(booking),
        "pricePerNight": round(total / max(nights(booking), 1), 2),
        "reserveTotal": total,
        "listing": {"id": listing.code, "internalName": listing.name},
        "client": {
            "name": booking.guest.name,
            "firstName": first,
            "lastName": last,
            "phoneNumber": booking.guest.phone,
            "email": booking.guest.email,
        },
        "partnerName": booking.partner,
        "partnerCode": booking.partner_code or booking.code,
        "fee": [],
        "ownerFee": [],
        "hasReview": False,
        "documents": [],
    }


def listing(record: Listing) -> dict[str, Any]:
    return {
        "_id": record.long_id,
        "id": record.code,
        "internalName": record.name,
        "_mstitle": {"en_US": record.name},
        "status": "active",
        "subtype": "room",
        "_idproperty": record.property_id,
        "deff_curr": record.currency,
        "instantBooking": True,
        "otaChannels": [],
    }
