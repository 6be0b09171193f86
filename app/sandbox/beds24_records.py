"""What the pretended Beds24 remembers: one account with its properties, bookings and meter."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

#: bookings of the demo begin here
FIRST_BOOKING = 70_000_000


@dataclass
class Beds24Room:
    """A room type; unit n of it is `unit_names[n - 1]`, in Stays the listing `listings[n - 1]`."""

    id: int
    property_id: int
    name: str
    unit_names: list[str]
    listings: list[str]
    min_price: float
    #: day -> what was set for it: numAvail (before bookings), minStay, price1
    calendar: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def quantity(self) -> int:
        return len(self.unit_names)


@dataclass
class Beds24Property:
    id: int
    name: str
    time_zone: str
    currency: str
    check_in_time: str
    check_out_time: str
    rooms: dict[int, Beds24Room] = field(default_factory=dict)


@dataclass
class Beds24Booking:
    """A row of Beds24: one room of a stay (contracts/beds24.md §4.3)."""

    id: int
    property_id: int
    room_id: int
    unit_id: int | None
    status: str
    arrival: str
    departure: str
    booked_at: float
    modified_at: float
    cancelled_at: float | None = None
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    mobile: str = ""
    adults: int = 2
    children: int = 0
    price: float = 0.0
    units: int = 1
    master_id: int | None = None
    channel: str = "direct"
    api_source: str = "Direct"
    api_source_id: int = 0
    api_reference: str = ""
    comments: str = ""
    notes: str = ""
    deleted: bool = False


@dataclass
class Beds24Settings:
    """How this account behaves: where documents and integrators differ, or an owner chooses."""

    credit_limit: float = 100.0
    rotate: bool = False  # a new refresh token with each access token, the old one dead at once
    token_seconds: int = 86_400
    page_size: int = 100
    webhook_shape: str = "v2"  # v2 | v2_array | design
    webhook_proof: str = "token"  # token | hmac
    personal_data: bool = True
    keep_reference: bool = True  # whether a written apiReference is kept (§5)


@dataclass
class Beds24Write:
    """What somebody wrote through the API, with the key that Beds24 itself does not heed."""

    at: float
    call: str
    key: str
    results: list[str]


@dataclass
class Beds24Account:
    settings: Beds24Settings = field(default_factory=Beds24Settings)
    properties: dict[int, Beds24Property] = field(default_factory=dict)
    bookings: dict[int, Beds24Booking] = field(default_factory=dict)
    next_booking: int = FIRST_BOOKING
    invites: dict[str, float] = field(default_factory=dict)  # code -> end
    refresh_tokens: list[str] = field(default_factory=list)  # besides the key file's
    revoked: list[str] = field(default_factory=list)
    access_tokens: dict[str, float] = field(default_factory=dict)  # token -> end
    period_ends: float = 0.0
    used: float = 0.0
    writes: list[Beds24Write] = field(default_factory=list)  # the latest

    def take_booking_id(self) -> int:
        self.next_booking += 1
        return self.next_booking

    def room(self, room_id: object) -> Beds24Room | None:
        """A room type by its id, as number or text."""
        try:
            wanted = int(str(room_id))
        except ValueError:
            return None
        return next((h.rooms[wanted] for h in self.properties.values() if wanted in h.rooms), None)

    def booking(self, ref: Any) -> Beds24Booking | None:
        """A booking that has not been deleted."""
        try:
            found = self.bookings.get(int(str(ref)))
        except ValueError:
            return None
        return None if found is None or found.deleted else found

    def booked(self, room: Beds24Room, day: str, *, besides: int | None = None) -> int:
        """How many units of a room are taken in a night; blocks and undecided requests take one."""
        return sum(
            b.units
            for b in self.bookings.values()
            if b.room_id == room.id
            and b.id != besides
            and not b.deleted
            and b.status not in ("cancelled", "inquiry")
            and b.arrival <= day < b.departure
        )

    def left_by_day(self, room: Beds24Room, days: Iterable[str]) -> dict[str, int]:
        """`left` of many days, looking at each booking once."""
        found = {
            day: int(room.calendar.get(day, {}).get("numAvail", room.quantity)) for day in days
        }
        ordered = sorted(found)
        for b in self.bookings.values():
            if b.room_id != room.id or b.deleted or b.status in ("cancelled", "inquiry"):
                continue
            # Compared as text: a date that is none, as tests make one, takes what `left` says.
            for day in ordered[bisect_left(ordered, b.arrival) : bisect_left(ordered, b.departure)]:
                found[day] -= b.units
        return found

    def left(self, room: Beds24Room, day: str, *, besides: int | None = None) -> int:
        """Units that can still be sold, negative when overbooked."""
        total = int(room.calendar.get(day, {}).get("numAvail", room.quantity))
        return total - self.booked(room, day, besides=besides)
