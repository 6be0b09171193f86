"""What the sandbox remembers: bookings, locks with their codes, tokens, tickets and faults.

Moments are epoch seconds of the sandbox's own clock; days are ISO dates. The digits of a PIN are
never kept: a keyed digest is enough to compare what is typed, as on a real lock.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from app.sandbox.beds24_records import Beds24Account


@dataclass
class Listing:
    """A unit as Stays lists it; `code` is the short id, `long_id` the 24 hex digits."""

    code: str
    long_id: str
    name: str
    property_name: str
    property_id: str
    time_zone: str
    currency: str
    check_in_time: str
    check_out_time: str
    device_id: str | None = None


@dataclass
class Guest:
    long_id: str
    name: str
    email: str | None
    phone: str | None


@dataclass
class Booking:
    """A reservation in the channel's own words: `type` is Stays' (contracts/stays.md §4)."""

    code: str
    long_id: str
    type: str  # reserved | booked | contract | canceled | blocked | maintenance
    listing: str  # the listing's code
    guest: Guest
    check_in: str
    check_out: str
    created_at: float
    updated_at: float
    check_in_time: str | None = None  # None: the listing's own
    check_out_time: str | None = None
    adults: int = 2
    children: int = 0
    amount: str = "0.00"
    currency: str = "EUR"
    partner: str | None = None
    partner_code: str | None = None
    deleted: bool = False  # gone from the external dialect, `cancelled` in the simple one
    story: str = ""  # what happens once its PIN is on the lock: "" | cancel | sleep_and_cancel
    story_due_at: float | None = None


@dataclass
class DeviceCode:
    """What the lock itself holds; it may lag behind the cloud."""

    digest: str
    effective: int
    invalid: int


@dataclass
class Code:
    """One temporary password as the cloud keeps it, and its copy on the lock."""

    id: int
    sn: int
    name: str
    effective: int
    invalid: int
    digest: str
    last2: str
    phase: int
    created_at: float
    type: int = 0
    delivery: int | None = None  # Zigbee only
    pending: str = ""  # "" | add | modify | delete
    due_at: float | None = None  # when the pending step reaches the lock, None until it can
    device: DeviceCode | None = None
    frozen: bool = False
    foreign: bool = False


@dataclass
class Attempt:
    """One try at the keypad, with the reason the keypad itself does not give."""

    at: float
    opened: bool
    reason: str
    code_id: int | None = None
    sn: int | None = None


@dataclass
class Lock:
    device_id: str
    name: str
    category: str
    radio: str  # wifi | zigbee
    power: str  # battery | mains
    time_zone: str
    property_id: str
    battery: int
    pin_length: int
    capacity: int
    hex_case: str = "lower"  # the case of ciphertext the lock understands: lower | upper | any
    gateway_id: str | None = None
    awake_until: float = 0.0
    codes: dict[int, Code] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    next_sn: int = 1


@dataclass
class Token:
    access: str = ""
    refresh: str = ""
    expires_at: float = 0.0
    wording: str = "token is expired"


@dataclass
class Ticket:
    id: str
    device_id: str
    key: str
    expires_at: float
    used: bool = False


@dataclass
class Fault:
    """Something switched wrong. `scope` is a vendor, webhooks, locks or one device id."""

    id: int
    scope: str
    kind: str
    operation: str = ""  # empty: every call of the scope
    remaining: int | None = None  # None: until switched off
    seconds: float = 0.0
    code: int = 0
    message: str = ""
    chance: int = 100  # of a hundred calls, so many are hit


@dataclass
class World:
    """Everything, as it is written to disk."""

    demo_day: str = ""
    listings: dict[str, Listing] = field(default_factory=dict)
    bookings: dict[str, Booking] = field(default_factory=dict)
    locks: dict[str, Lock] = field(default_factory=dict)
    gateways: dict[str, str] = field(default_factory=dict)  # id -> time zone
    faults: list[Fault] = field(default_factory=list)
    token: Token = field(default_factory=Token)
    tickets: dict[str, Ticket] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    next_id: int = 1000
    beds24: Beds24Account = field(default_factory=Beds24Account)

    def take_id(self) -> int:
        self.next_id += 1
        return self.next_id

    def lock_has(self, device_id: str, kind: str) -> Fault | None:
        """The lock fault of `kind` on this device or on all locks."""
        return next(
            (f for f in self.faults if f.kind == kind and f.scope in (device_id, "locks")), None
        )

    def find_booking(self, ref: str) -> Booking | None:
        """By short code or long id, as the vendor's paths accept either."""
        found = self.bookings.get(ref)
        if found is None:
            found = next((b for b in self.bookings.values() if b.long_id == ref), None)
        return found

    def listing_of(self, booking: Booking) -> Listing:
        return self.listings[booking.listing]
