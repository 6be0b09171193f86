"""A booking as its channel has it beside the same one as we have it: what follows (B24R-04…10).

What is safe is named as an action; what is risky is a flag for a person. Nothing a person has
recorded at the front desk is undone, and nothing is cancelled because it is missing.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from app.domain.folding import words
from app.domain.states import ReservationStatus

#: a price that is off by up to this share of ours is put right, one beyond it is flagged (C-32)
TOLERANCE = Decimal("0.05")

PENDING, CONFIRMED = ReservationStatus.PENDING, ReservationStatus.CONFIRMED
CANCELLED, FAILED = ReservationStatus.CANCELLED, ReservationStatus.FAILED
IN_HOUSE, LEFT = ReservationStatus.CHECKED_IN, ReservationStatus.CHECKED_OUT
NO_SHOW = ReservationStatus.NO_SHOW
#: stays that a channel may still end
OPEN = frozenset({PENDING, ReservationStatus.PENDING_SYNC, CONFIRMED})


class Do(StrEnum):
    CREATE = "create"
    CANCEL = "cancel"
    CONFIRM = "confirm"  # a request of ours that the channel has accepted
    ADJUST = "adjust_amount"
    FILL = "fill_guest"  # a name that we do not have
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Theirs:
    """The channel's copy. None means "not said".

    `status` is `pending`, `confirmed` or `cancelled`; `kind` is `stay`, `block` or `inquiry`.
    `home`, `room` and `room_type` are ours, found by the mappings: no `room`, no unit assigned.
    """

    status: str
    check_in: date
    check_out: date
    kind: str = "stay"
    home: Hashable = None
    room: Hashable = None
    room_type: Hashable = None
    units: int | None = None
    amount: Decimal | None = None
    currency: str | None = None
    guest: str | None = None


@dataclass(frozen=True, slots=True)
class Ours:
    """Our booking, its units taken together. `forgotten`: the guest was on purpose."""

    status: str
    check_in: date
    check_out: date
    home: Hashable = None
    room: Hashable = None
    room_type: Hashable = None
    units: int = 1
    amount: Decimal | None = None
    currency: str | None = None
    guest: str | None = None
    forgotten: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do. `risk` is `low` for what is done by itself, and the severity of a flag;
    `kind` is what a flag is about. `reason` is a sentence without guest data."""

    do: Do
    risk: str
    reason: str
    kind: str | None = None


def compare(ours: Ours | None, theirs: Theirs | None) -> list[Action]:
    """What has to be done about one booking; empty when the sides agree. `theirs` is None only for
    one that the channel, asked for it by id, does not have."""
    if theirs is None:
        return [] if ours is None else _missing(ours)
    if ours is None:
        if theirs.status == CANCELLED or theirs.kind != "stay":
            return []
        return [Action(Do.CREATE, "low", "Beds24 has this booking and we do not")]
    if theirs.status == CANCELLED:
        return _ended(ours)
    if theirs.kind != "stay":
        return _no_stay(ours, theirs.kind)
    if ours.status in (CANCELLED, FAILED):
        return [_flag("status", "high", "It is cancelled here and active in Beds24")]
    if ours.status == NO_SHOW:
        return []  # what the front desk has seen; Beds24 has no word for it (contracts §4.4)
    return [
        *_status(ours, theirs),
        *_dates(ours, theirs),
        *_room(ours, theirs),
        *_amount(ours, theirs),
        *_guest(ours, theirs),
    ]


def _flag(kind: str, risk: str, reason: str) -> Action:
    return Action(Do.FLAG, risk, reason, kind)


def _missing(ours: Ours) -> list[Action]:
    if ours.status in OPEN or ours.status == IN_HOUSE:
        return [_flag("missing", "high", "We have this booking and Beds24 does not")]
    if ours.status == LEFT:
        return [_flag("missing", "medium", "A guest has stayed, and Beds24 has no such booking")]
    return []


def _ended(ours: Ours) -> list[Action]:
    if ours.status in OPEN:
        return [Action(Do.CANCEL, "low", "It is cancelled in Beds24")]
    if ours.status == IN_HOUSE:
        return [_flag("status", "high", "It is cancelled in Beds24, and the guest is in the house")]
    if ours.status == LEFT:
        return [_flag("status", "medium", "It is cancelled in Beds24, and the guest has stayed")]
    return []


def _no_stay(ours: Ours, kind: str) -> list[Action]:
    over = ours.status in (CANCELLED, FAILED, NO_SHOW)
    if over or (kind == "inquiry" and ours.status == PENDING):
        return []
    what = "a block" if kind == "block" else "only a question"
    return [_flag("status", "high", f"It is a stay here and {what} in Beds24")]


def _status(ours: Ours, theirs: Theirs) -> list[Action]:
    if ours.status == PENDING and theirs.status == CONFIRMED:
        return [Action(Do.CONFIRM, "low", "Beds24 has accepted the request")]
    if ours.status == CONFIRMED and theirs.status == PENDING:
        return [_flag("status", "high", "It is confirmed here and only a request in Beds24")]
    return []


def _dates(ours: Ours, theirs: Theirs) -> list[Action]:
    if (ours.check_in, ours.check_out) == (theirs.check_in, theirs.check_out):
        return []
    return [_flag("dates", "high", "The days of the stay differ")]


def _room(ours: Ours, theirs: Theirs) -> list[Action]:
    """Without a unit of theirs, the room is ours to choose within its type (DECISIONS 18)."""
    if ours.status == LEFT:
        return []  # where the guest slept is the house's own record
    differs = theirs.home is not None and ours.home != theirs.home
    if theirs.room is not None:
        differs = differs or ours.room != theirs.room
    elif theirs.room_type is not None and ours.room_type is not None:
        differs = differs or ours.room_type != theirs.room_type
    if differs:
        return [_flag("room", "high", "The room differs")]
    if theirs.units is not None and theirs.units != ours.units:
        return [_flag("room", "high", "The number of rooms differs")]
    return []


def _amount(ours: Ours, theirs: Theirs) -> list[Action]:
    if theirs.amount is None:
        return []
    mine, said = ours.amount or Decimal(0), theirs.amount
    if not mine and not said:
        return []
    if mine and ours.currency and theirs.currency and ours.currency != theirs.currency:
        return [_flag("currency", "high", "The currencies differ, so the prices are not compared")]
    if mine == said:
        return []
    if not mine:
        return [_flag("amount", "high", "Beds24 has a price and we have none")]
    if abs(said - mine) / abs(mine) <= TOLERANCE:
        return [Action(Do.ADJUST, "low", "The price differs by 5 % or less")]
    return [_flag("amount", "high", "The price differs by more than 5 %")]


def _guest(ours: Ours, theirs: Theirs) -> list[Action]:
    if not theirs.guest or ours.forgotten:
        return []  # payloads without personal data leave guests out (contracts §8.1)
    if not ours.guest:
        return [Action(Do.FILL, "low", "We do not have the guest's name")]
    if same_guest(ours.guest, theirs.guest):
        return []
    return [_flag("guest", "medium", "The guest's name differs")]


def same_guest(one: str, other: str) -> bool:
    """Whether two spellings name the same person: accents, case and order do not matter."""
    return one == other or sorted(words(one)) == sorted(words(other))
