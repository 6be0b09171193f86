"""What a front desk may do to a stay: by who sold it, and by what has become of it.

A booking belongs to whoever took it. Its dates at an OTA do not move because they move here, so
they are changed there and come to us (DECISIONS 17; contracts/beds24.md §5).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from app.domain.states import ReservationStatus as Status

#: what Beds24 calls a booking that the house took itself
OWN = frozenset({"direct", "beds24", "booking page", "bookingpage", "api"})

DATES = frozenset({"check_in", "check_out"})
#: what was sold; the OTA that sold it is the only one that can sell something else
SOLD = DATES | {"room_type_id", "amount", "currency", "units"}
#: what a channel that we only read tells anew with every copy; its units are its listings
TOLD_ANEW = SOLD | {"accommodation_id"}
#: sources whose bookings the house can change: its own, and those of the channel that hears of it
CHANGEABLE = frozenset({"direct", "beds24"})
GUEST = frozenset({"guest_name", "guest_email", "guest_phone", "adults", "children"})
BILLED = GUEST | {"amount", "currency"}
#: over and done with
ENDED = frozenset({Status.CHECKED_OUT, Status.CANCELLED, Status.NO_SHOW, Status.FAILED})

WORDS = {
    "check_in": "the arrival",
    "check_out": "the departure",
    "room_type_id": "the room type",
    "accommodation_id": "the room",
    "amount": "the amount",
    "currency": "the currency",
    "units": "the number of units",
}


class Why(StrEnum):
    """Kinds of refusal, for pages that say them in another language."""

    OWNER = "owner"  # `who` has to be told
    ENDED = "ended"  # `status`
    ARRIVED = "arrived"
    NOT_ARRIVED = "not_arrived"  # `day`
    STATUS = "status"  # `status`


@dataclass(frozen=True, slots=True)
class Reason:
    """Why not; `message` is a whole sentence in English, the rest is what it is made of."""

    why: Why
    message: str
    field: str | None = None
    who: str | None = None
    status: str | None = None
    day: date | None = None


@dataclass(frozen=True, slots=True)
class Booking:
    """What the rules look at."""

    source: str
    partner: str | None
    status: str
    check_in_on: date

    @property
    def owner(self) -> str | None:
        """Who alone can change what was sold; None when the house can."""
        if self.source not in CHANGEABLE:
            return self.source.capitalize()
        if self.source == "beds24" and (self.partner or "direct").lower() not in OWN:
            return self.partner
        return None


def against_changing(booking: Booking, fields: Collection[str]) -> list[Reason]:
    """Every reason why these fields stay as they are; empty when they may change."""
    found: list[Reason] = []
    status = booking.status
    if status in ENDED:
        allowed = BILLED if status in (Status.CHECKED_OUT, Status.NO_SHOW) else frozenset()
        found += [
            Reason(Why.ENDED, f"the stay is {_said(status)}", field, status=status)
            for field in sorted(set(fields) - allowed)
        ]
    if status == Status.CHECKED_IN and "check_in" in fields:
        found.append(Reason(Why.ARRIVED, "the guest has arrived already", "check_in"))
    owner = booking.owner
    if owner is not None:
        theirs = TOLD_ANEW if booking.source not in CHANGEABLE else SOLD
        found += [
            Reason(
                Why.OWNER,
                f"{WORDS[field]} of a booking from {owner} is theirs: change it in {owner}",
                field,
                who=owner,
            )
            for field in sorted(theirs.intersection(fields))
        ]
    return found


def against_cancelling(booking: Booking) -> list[Reason]:
    """Every reason why the stay cannot be cancelled here."""
    found: list[Reason] = []
    if booking.status == Status.CHECKED_IN:
        found.append(Reason(Why.ARRIVED, "the guest has arrived: check out instead"))
    elif booking.status in ENDED:
        said = f"the stay is {_said(booking.status)} already"
        found.append(Reason(Why.ENDED, said, status=booking.status))
    if booking.owner is not None:
        said = f"the booking is from {booking.owner}: cancel it in {booking.owner}"
        found.append(Reason(Why.OWNER, said, who=booking.owner))
    return found


def against_no_show(booking: Booking, today: date) -> list[Reason]:
    """Every reason why the guest cannot be noted as not having come; `today` is the property's."""
    found: list[Reason] = []
    if booking.status == Status.CHECKED_IN:
        found.append(Reason(Why.ARRIVED, "the guest has arrived"))
    elif booking.status in ENDED:
        said = f"the stay is {_said(booking.status)} already"
        found.append(Reason(Why.ENDED, said, status=booking.status))
    elif booking.status != Status.CONFIRMED:
        said = f"the booking is {_said(booking.status)}, not confirmed"
        found.append(Reason(Why.STATUS, said, status=booking.status))
    if booking.check_in_on > today:
        said = f"the guest is not expected before {booking.check_in_on.isoformat()}"
        found.append(Reason(Why.NOT_ARRIVED, said, day=booking.check_in_on))
    return found


def _said(status: str) -> str:
    return {
        Status.CHECKED_OUT: "checked out",
        Status.NO_SHOW: "a no-show",
        Status.FAILED: "not accepted by its channel",
        Status.PENDING_SYNC: "on its way to its channel",
    }.get(Status(status), status)
