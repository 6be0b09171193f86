"""What is sold: which room is whose in which nights, as the channels' own books have it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from random import Random
from uuid import UUID

from bench.season.demand import Demand
from bench.season.premises import ANY, Premises, Room


@dataclass(slots=True)
class Stay:
    """A booking, and everything that is found out about it from outside the product."""

    number: int
    demand: Demand
    room: Room  # of a kind sold without units: only a place in the book, not the room they get
    channel: str  # "stays" | "beds24" | "direct"
    ref: str  # the channel's id; of a direct one the product's
    arrival: date
    departure: date
    booked_at: datetime
    ready_at: datetime  # when its room or days changed last: the product may need a moment
    reservation_id: UUID | None = None
    cancelled_at: datetime | None = None
    arrived_at: datetime | None = None
    left_at: datetime | None = None
    over: bool = False  # cancelled, not come, or gone
    turn: int = 0  # counts changes, so that a probe planned before one is dropped
    message_lost: bool = False
    rival: bool = False  # sold twice on purpose
    #: digits that were shown for it, by the door they are for
    digits: dict[str, str] = field(default_factory=dict)
    door: str = ""  # the door the product put it behind, when last asked
    on_time: bool | None = None
    opened_at: datetime | None = None
    excuse: str = ""
    guest_met: str = ""  # how the door answered the guest
    refused: str = ""  # why the desk could not check them in

    @property
    def known(self) -> bool:
        return self.reservation_id is not None


class Ledger:
    """The book of all channels together; each room is sold by one of them."""

    def __init__(self, premises: Premises, dice: Random) -> None:
        self.premises = premises
        self.stays: list[Stay] = []
        self.turned_away = 0
        self._dice = dice
        self._in: dict[str, list[Stay]] = {room.number: [] for room in premises.rooms}

    def find(self, sold: Iterable[str], arrival: date, departure: date) -> Room | None:
        """A room that is free in those nights, of the channels named; filled up one by one."""
        rooms = self.premises.of(*sold)
        self._dice.shuffle(rooms)
        return next((room for room in rooms if self.free(room, arrival, departure)), None)

    def free(
        self, room: Room, arrival: date, departure: date, *, besides: Stay | None = None
    ) -> bool:
        return all(
            stay is besides or stay.departure <= arrival or stay.arrival >= departure
            for stay in self._in[room.number]
            if stay.cancelled_at is None
        )

    def add(self, stay: Stay) -> None:
        self.stays.append(stay)
        self._in[stay.room.number].append(stay)

    def move(self, stay: Stay, room: Room) -> None:
        self._in[stay.room.number].remove(stay)
        stay.room = room
        self._in[room.number].append(stay)

    def behind(self, door: str) -> list[Stay]:
        """The stays that were last seen behind a door, whatever became of them."""
        return [stay for stay in self.stays if stay.door == door]

    def forget(self, before: date) -> None:
        """What is long over takes no more time to look through."""
        for stays in self._in.values():
            stays[:] = [stay for stay in stays if stay.departure >= before]

    def named(self, stay: Stay) -> bool:
        """Whether the channel says which room it is."""
        return stay.room.sold != ANY
