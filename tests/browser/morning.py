"""A pousada on a Tuesday at half past ten: guests come and go, one stands before a closed door."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from app.integrations.errors import LockOffline
from app.integrations.locks.fake import FakeLocks
from app.models import Accommodation, Property, Reservation, RoomType
from app.services import room_status
from tests.conftest import Clock
from tests.factories import (
    make_accommodation,
    make_lock,
    make_mapping,
    make_property,
    make_room_type,
    make_stay,
)
from tests.outbound import connect, map_room
from tests.services.pin_bench import Door

#: 10:30 in the house; its guests may come from 14:00, their PINs are there from 10:00
NOW = datetime(2026, 3, 10, 13, 30, tzinfo=UTC)
TODAY = date(2026, 3, 10)
ROOMS = {
    "101": "Alecrim", "102": "Hortelã", "103": "Manjericão", "104": "Sálvia",
    "201": "Maré", "202": "Brisa", "203": "Coral",
}  # fmt: skip
#: how often the silent lock was tried by then
TRIES = 5
#: the room types, as the pretended Beds24 of tests/outbound_live.py numbers them
SOLD_AS = {"Standard": "610011", "Superior": "610012"}


@dataclass
class Morning:
    """The house, its rooms by number, its stays by what is particular about them."""

    house: Property
    door: Door
    kinds: dict[str, RoomType] = field(default_factory=dict)
    rooms: dict[str, Accommodation] = field(default_factory=dict)
    stays: dict[str, Reservation] = field(default_factory=dict)

    def lock_answers(self) -> None:
        """The lock that kept silent is back, and its next try comes."""
        self.door.clock.move(minutes=15)
        self.door.settle()

    def has(self, name: str, number: str, first: int, nights: int, guest: str, **how: Any) -> None:
        arrives = TODAY + timedelta(days=first)
        stay = make_stay(
            self.rooms[number], check_in=arrives, nights=nights, guest=guest,
            room_type_id=self.rooms[number].room_type_id, **({"adults": 2} | how),
        )  # fmt: skip
        self.door.plan(stay)
        self.stays[name] = stay


def morning(clock: Clock, locks: FakeLocks) -> Morning:
    """Six guests, and a lock that does not answer."""
    clock.set(NOW - timedelta(minutes=4 * TRIES))
    house = make_property(
        name="Pousada Vila Jasmim", contingency="spare_card", check_in_time=time(14),
        pin_lead_hours=4,
    )  # fmt: skip
    connection = connect(house)
    kinds = {
        "Standard": make_room_type(house, name="Standard", total_units=4),
        "Superior": make_room_type(house, name="Superior", total_units=3),
    }
    for name, ref in SOLD_AS.items():
        map_room(connection, "room_type", kinds[name], ref)
    rooms, on = {}, {}
    for number, name in ROOMS.items():
        kind = kinds["Standard" if number < "200" else "Superior"]
        rooms[number] = room = make_accommodation(
            house, number=number, name=name, room_type_id=kind.id
        )
        map_room(connection, "room", room, f"{SOLD_AS[kind.name]}:{int(number[-1])}")
        lock = make_lock(name=f"{number} {name}", online=True, battery=86, refreshed_at=clock.now)
        on[number] = make_mapping(room, lock)
    scene = Morning(house, Door(locks, clock, rooms["203"], on["203"]), kinds, rooms)
    here: dict[str, Any] = {"status": "checked_in", "checked_in_at": NOW - timedelta(days=1)}
    scene.has("staying", "101", -2, 4, "Beatriz Okamoto", **here)
    scene.has("leaving", "104", -3, 3, "Duarte Menezes", **here)
    scene.has("arriving", "201", 0, 3, "Camille Dufour", guest_phone="+33 6 12 34 56 78")
    scene.has("later", "102", 1, 2, "Maximiliana Wolkenstein-Trostburg", children=2)
    scene.door.settle()
    gone = LockOffline("the lock does not answer", vendor="fake")
    locks.fail_next("create_pin", gone, times=TRIES)
    scene.has(
        "locked_out", "203", 0, 5, "Tomasz Wiśniewski", adults=1, search_text="tomasz wisniewski"
    )
    for _ in range(TRIES):
        scene.door.work(1)
        clock.move(minutes=4)
    room_status.sync()
    assert not locks._failures["create_pin"]
    return scene
