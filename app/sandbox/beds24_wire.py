"""Beds24's objects as its API V2 writes them (contracts/beds24.md §4, §6, §7, §8)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from app.sandbox.beds24_records import Beds24Account, Beds24Booking, Beds24Property, Beds24Room

#: what "twoNoPersonalData" leaves out
PERSONAL = ("title", "firstName", "lastName", "email", "phone", "mobile", "comments")
OWNER = 900_001
#: a room has up to 16 daily prices (§7)
PRICES = tuple(f"price{n}" for n in range(1, 17))


def instant(moment: float) -> str:
    """UTC to the second, with Z."""
    return datetime.fromtimestamp(int(moment), UTC).isoformat().removesuffix("+00:00") + "Z"


def booking(row: Beds24Booking) -> dict[str, Any]:
    """A booking; unset texts are empty, unset ids null, and no currency is named."""
    return {
        "id": row.id,
        "masterId": row.master_id,
        "propertyId": row.property_id,
        "roomId": row.room_id,
        "unitId": row.unit_id,
        "roomQty": row.units,
        "offerId": 1,
        "status": row.status,
        "subStatus": "none",
        "statusCode": 0,
        "arrival": row.arrival,
        "departure": row.departure,
        "numAdult": row.adults,
        "numChild": row.children,
        "title": "",
        "firstName": row.first_name,
        "lastName": row.last_name,
        "email": row.email,
        "phone": "",
        "mobile": row.mobile,
        "country": "",
        "country2": None,
        "arrivalTime": "",
        "comments": row.comments,
        "notes": row.notes,
        "channel": row.channel,
        "apiSourceId": row.api_source_id,
        "apiSource": row.api_source,
        "apiReference": row.api_reference,
        "bookingTime": instant(row.booked_at),
        "modifiedTime": instant(row.modified_at),
        "cancelTime": instant(row.cancelled_at) if row.cancelled_at else None,
        "price": 0 if row.status == "cancelled" else row.price,
        "deposit": 0,
        "tax": 0,
        "commission": round(row.price * 0.15, 2) if row.api_source_id else 0,
        "flagText": "",
        "flagColor": "",
    }


def group(account: Beds24Account, row: Beds24Booking) -> dict[str, Any] | None:
    """The rows of one multi-room stay, as `includeBookingGroup` adds them."""
    if row.master_id is None:
        return None
    ids = [b.id for b in account.bookings.values() if b.master_id == row.master_id]
    return {"master": row.master_id, "ids": ids}


def webhook(account: Beds24Account, row: Beds24Booking, now: float) -> dict[str, Any]:
    """The V2 body, with its sub-items beside the booking (§8.1)."""
    body = booking(row) | {"bookingGroup": group(account, row)}
    if not account.settings.personal_data:
        body = {name: value for name, value in body.items() if name not in PERSONAL}
    charge = {
        "id": 1,
        "bookingId": row.id,
        "type": "charge",
        "subType": 8,
        "description": "Room",
        "qty": 1,
        "amount": row.price,
        "lineTotal": row.price,
        "vatRate": 0,
        "createTime": instant(row.booked_at),
    }
    return {
        "timeStamp": instant(now),
        "booking": body,
        "infoItems": [],
        "invoiceItems": [charge] if row.price else [],
        "messages": [],
        "retries": 0,
    }


def house(record: Beds24Property, *, with_rooms: bool) -> dict[str, Any]:
    """A property; its rooms come only when they are asked for (§7)."""
    body: dict[str, Any] = {
        "id": record.id,
        "name": record.name,
        "propertyType": "apartments",
        "currency": record.currency,
        "checkInStart": record.check_in_time,
        "checkOutEnd": record.check_out_time,
        "account": {"ownerId": OWNER},
    }
    if with_rooms:
        body["roomTypes"] = [room(r) for r in record.rooms.values()]
    return body


def room(record: Beds24Room) -> dict[str, Any]:
    return {
        "id": record.id,
        "propertyId": record.property_id,
        "name": record.name,
        "roomType": "apartment",
        "qty": record.quantity,
        "minPrice": record.min_price,
        "maxPeople": 4,
        "minStay": 1,
        "units": [{"id": n, "name": name} for n, name in enumerate(record.unit_names, 1)],
    }


def days(first: date, last: date) -> Iterable[str]:
    """Every day from `first` to `last`, both included."""
    return ((first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1))


def calendar(
    account: Beds24Account, record: Beds24Room, first: date, last: date, flags: set[str]
) -> dict[str, Any]:
    """A room's calendar in ranges of equal nights; without a flag there is nothing in it (§6)."""
    ranges: list[dict[str, Any]] = []
    left = account.left_by_day(record, days(first, last)) if "includeNumAvail" in flags else {}
    for day in days(first, last) if flags else ():
        known = record.calendar.get(day, {})
        values: dict[str, Any] = {}
        if "includeNumAvail" in flags:
            values["numAvail"] = left[day]
        if "includeMinStay" in flags:
            values["minStay"] = int(known.get("minStay", 1))
        if "includePrices" in flags:
            prices = {"price1": record.min_price} | known
            values |= {name: prices[name] for name in PRICES if name in prices}
        latest = ranges[-1] if ranges else None
        if latest is not None and values == {
            k: v for k, v in latest.items() if k not in ("from", "to")
        }:
            latest["to"] = day
        else:
            ranges.append({"from": day, "to": day, **values})
    return {"propertyId": record.property_id, "roomId": record.id, "calendar": ranges}
