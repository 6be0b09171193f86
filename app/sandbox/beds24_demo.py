"""The demo's Beds24 account: the house in Lisbon is sold there as well, in nights left over."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

from app.sandbox import demo_guests
from app.sandbox.beds24_records import Beds24Account, Beds24Booking, Beds24Property, Beds24Room
from app.sandbox.places import LISBON
from app.sandbox.records import World

PROPERTY_ID = 51_001
FIRST_ROOM_ID = 610_011
AHEAD_DAYS = 45
#: from the room list's first unit to its last: what is booked there
STATUSES = (
    "confirmed",
    "new",
    "request",
    "cancelled",
    "confirmed",
    "confirmed",
    "black",
    "inquiry",
)
SOLD_BY = (
    ("booking", "Booking.com", 19),
    ("direct", "Direct", 0),
    ("airbnb", "Airbnb", 46),
)
RATES = {"Studio": 84.0, "One bedroom": 112.0, "Penthouse": 168.0}


def add(world: World, now: float, today: date) -> None:
    """Give a world without one the account, and bookings where neither channel has any."""
    account = world.beds24
    if not account.properties:
        account.properties[PROPERTY_ID] = _house()
    for position, (room, unit) in enumerate(_units(account)):
        if any(b.room_id == room.id and b.unit_id == unit for b in account.bookings.values()):
            continue
        _book(world, room, unit, position, now, today)
    _join_group(account)


def roll_forward(world: World, now: float, today: date) -> None:
    """Forget what is long over, so that each room has something ahead of it again."""
    long_ago = (today - timedelta(days=14)).isoformat()
    account = world.beds24
    account.bookings = {k: b for k, b in account.bookings.items() if b.departure >= long_ago}
    add(world, now, today)


def _house() -> Beds24Property:
    house = Beds24Property(
        PROPERTY_ID,
        LISBON.name,
        LISBON.time_zone,
        LISBON.currency,
        LISBON.check_in_time,
        LISBON.check_out_time,
    )
    kinds = list(dict.fromkeys(unit.room_type for unit in LISBON.units))
    for room_id, kind in enumerate(kinds, FIRST_ROOM_ID):
        units = [unit for unit in LISBON.units if unit.room_type == kind]
        house.rooms[room_id] = Beds24Room(
            room_id,
            PROPERTY_ID,
            kind,
            [unit.name for unit in units],
            [LISBON.listing_code(unit) for unit in units],
            RATES.get(kind, 90.0),
        )
    return house


def room_and_unit(listing: str) -> tuple[str, str] | None:
    """Beds24's ids of a room by its Stays code; None for a room that is sold on Stays alone."""
    for room in _house().rooms.values():
        if listing in room.listings:
            return str(room.id), str(room.listings.index(listing) + 1)
    return None


def _units(account: Beds24Account) -> list[tuple[Beds24Room, int]]:
    return [
        (room, unit)
        for house in account.properties.values()
        for room in house.rooms.values()
        for unit in range(1, room.quantity + 1)
    ]


def _book(
    world: World, room: Beds24Room, unit: int, position: int, now: float, today: date
) -> None:
    nights = 2 + position % 3
    arrival = _free_from(world, room, unit, nights, today)
    if arrival is None:
        return
    account = world.beds24
    status = STATUSES[position % len(STATUSES)]
    guest = demo_guests.make(f"beds24:{today}:{room.id}:{unit}", position + 7)
    first, _, last = guest.name.partition(" ")
    channel, source, source_id = SOLD_BY[position % len(SOLD_BY)]
    booked_at = now - (position + 3) * 86_400.0
    modified_at = now - (position + 1) * 1_800.0
    booking = Beds24Booking(
        id=account.take_booking_id(),
        property_id=room.property_id,
        room_id=room.id,
        unit_id=unit,
        status=status,
        arrival=arrival.isoformat(),
        departure=(arrival + timedelta(days=nights)).isoformat(),
        booked_at=booked_at,
        modified_at=modified_at,
        cancelled_at=modified_at if status == "cancelled" else None,
    )
    if status != "black":
        booking.first_name, booking.last_name = first, last
        booking.email, booking.mobile = guest.email or "", guest.phone or ""
        booking.price = room.min_price * nights
        booking.channel, booking.api_source, booking.api_source_id = channel, source, source_id
        booking.api_reference = str(4_400_000_000 + booking.id) if source_id else ""
    account.bookings[booking.id] = booking


def _free_from(world: World, room: Beds24Room, unit: int, nights: int, today: date) -> date | None:
    """The first arrival after tomorrow that leaves a night between neighbours on either side."""
    listing = room.listings[unit - 1]
    taken = sorted(
        (b.check_in, b.check_out)
        for b in world.bookings.values()
        if b.listing == listing and b.type != "canceled" and not b.deleted
    )
    start, end = today + timedelta(days=2), today + timedelta(days=AHEAD_DAYS)
    edges = [("", start.isoformat()), *taken, (end.isoformat(), "")]
    free = start
    for (_, left), (arrives, _) in pairwise(edges):
        free = max(free, date.fromisoformat(left) + timedelta(days=1))
        if free + timedelta(days=nights + 1) <= date.fromisoformat(arrives):
            return free
    return None


def _join_group(account: Beds24Account) -> None:
    """Two of the one-bedroom stays belong together: one party, a row of Beds24 for each room."""
    rooms = [b for b in account.bookings.values() if b.room_id == FIRST_ROOM_ID + 1]
    pair = [b for b in rooms if b.status == "confirmed" and b.master_id is None][:2]
    if len(pair) < 2 or any(b.master_id is not None for b in rooms):
        return
    master, other = pair
    master.master_id = other.master_id = master.id
    other.first_name, other.last_name = master.first_name, master.last_name
