"""What a room's status must be, given who is in it and who is coming; what people may set by hand.

One rule serves bookings, people and scans alike (DECISIONS 11), so that none of them can put a room
into a state that another would take back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.domain.states import ReservationStatus


class RoomStatus(StrEnum):
    AVAILABLE = "AVAILABLE"
    RESERVED = "RESERVED"
    OCCUPIED = "OCCUPIED"
    DIRTY = "DIRTY"
    CLEAN = "CLEAN"
    MAINTENANCE = "MAINTENANCE"
    OUT_OF_SERVICE = "OUT_OF_SERVICE"


class Housekeeping(StrEnum):
    CLEAN = "clean"
    DIRTY = "dirty"
    IN_PROGRESS = "in_progress"
    INSPECTED = "inspected"


#: no booking and no scan takes a room out of these (C-37)
STICKY = frozenset({RoomStatus.MAINTENANCE, RoomStatus.OUT_OF_SERVICE})
#: what an empty room nobody is coming to may be
EMPTY = frozenset({RoomStatus.AVAILABLE, RoomStatus.DIRTY, RoomStatus.CLEAN})
#: stays that reserve a room, once it is theirs
RESERVING = frozenset(
    {ReservationStatus.PENDING, ReservationStatus.PENDING_SYNC, ReservationStatus.CONFIRMED}
)
#: rooms that are fit for a guest without another hand
READY = frozenset({Housekeeping.CLEAN, Housekeeping.INSPECTED})


@dataclass(frozen=True, slots=True)
class Verdict:
    """The status a room must have, and why, in a sentence for the record."""

    status: RoomStatus
    reason: str


def implied(current: str, *, occupied: bool, reserved: bool, left: bool = False) -> Verdict:
    """The status that follows from the stays in the room (ROOM-03…08, ROOM-13).

    `occupied`: a guest is checked in. `reserved`: somebody comes within the horizon. `left`: the
    guest has just gone, which leaves the room dirty unless the next one is expected (C-35).
    """
    now = RoomStatus(current)
    if now in STICKY:
        return Verdict(now, "closed by hand")
    if occupied:
        return Verdict(RoomStatus.OCCUPIED, "a guest is checked in")
    if reserved:
        reason = "No checked-in guest found" if now == RoomStatus.OCCUPIED else "has a reservation"
        return Verdict(RoomStatus.RESERVED, reason)
    if left:
        return Verdict(RoomStatus.DIRTY, "the guest has left")
    if now in EMPTY:
        return Verdict(now, "nobody is in it or coming")
    if now == RoomStatus.OCCUPIED:
        return Verdict(RoomStatus.AVAILABLE, "No checked-in guest found")
    return Verdict(RoomStatus.AVAILABLE, "No active reservations found")


def after_cleaning(current: str) -> RoomStatus:
    """A room that has been cleaned is no longer dirty; everything else stays (DECISIONS 11)."""
    now = RoomStatus(current)
    return RoomStatus.AVAILABLE if now == RoomStatus.DIRTY else now


def refusals(current: str, wanted: str, *, occupied: bool, reserved: bool) -> list[str]:
    """Why a person may not set `wanted` by hand, all reasons at once; empty when they may."""
    now, goal = RoomStatus(current), RoomStatus(wanted)
    if goal == now:
        return []
    found = []
    if occupied and goal != RoomStatus.OCCUPIED:
        found.append("a guest is checked in: check out or move the guest first")
    if goal in STICKY:
        return found
    if not occupied and goal == RoomStatus.OCCUPIED:
        found.append("no guest is checked in: a room is occupied by checking a guest in")
    if reserved and not occupied and goal != RoomStatus.RESERVED and goal != RoomStatus.OCCUPIED:
        found.append("the room is reserved: move or cancel the reservation first")
    if not reserved and goal == RoomStatus.RESERVED:
        found.append("no reservation needs the room: a room is reserved by booking it")
    if now == RoomStatus.DIRTY and goal == RoomStatus.AVAILABLE:
        found.append("the room is dirty: mark it clean")
    return found
