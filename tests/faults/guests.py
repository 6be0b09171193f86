"""Random guests of a running product, at the channels and its desk, and what they were promised."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx

from app.sandbox import control
from app.sandbox.control import SandboxError
from tests.faults.desk import Desk, Room

MINUTE = timedelta(minutes=1)
#: who came from where: the number in a name makes it the only one
HERE, LATER, DESK, OTA = "Hugo", "Flora", "Dora", "Otto"


@dataclass
class Ledger:
    """What the channels and the desk have agreed with guests; nothing else counts in the end."""

    here: dict[str, tuple[str, Room]] = field(default_factory=dict)  # guest -> booking, door
    gone: list[tuple[str, Room, str]] = field(default_factory=list)  # guest, door, digits
    checked_in: dict[str, str] = field(default_factory=dict)  # guest -> our id
    left: dict[str, str] = field(default_factory=dict)  # guest -> our id
    booked: set[str] = field(default_factory=set)  # ids at Stays
    cancelled: set[str] = field(default_factory=set)  # ids at Stays
    departed: set[str] = field(default_factory=set)  # ids at Stays of who checked out
    sold: dict[str, tuple[str, date]] = field(default_factory=dict)  # guest -> our id, check-out
    unsold: dict[str, str] = field(default_factory=dict)  # guest -> our id, cancelled at the desk
    ota: set[str] = field(default_factory=set)  # ids at Beds24
    withdrawn: set[str] = field(default_factory=set)  # ids at Beds24, cancelled there
    told: Counter[tuple[str, str]] = field(default_factory=Counter)  # (our id, act) answered well
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)  # (our id, act) ever asked


class Retry(Exception):
    """The product was not there to answer."""


class House:
    """Guests who come, change and go while everything falls."""

    def __init__(self, desk: Desk, rooms: list[Room], dice: random.Random) -> None:
        """The first of `rooms` is left empty at first, for who moves."""
        self.desk, self.dice = desk, dice
        self.empty, *self.rooms = rooms
        self.ledger = Ledger()
        self.number = 0
        (connection,) = [
            each
            for each in self.desk.api.get("/channel-properties").json()["channel_properties"]
            if each["channel_name"] == "beds24"
        ]
        self.sold_house = connection["property_id"]
        self.types = self.desk.api.get(
            "/channel-mappings", params={"mapping_type": "room_type", "is_active": "true"}
        ).json()["channel_mappings"]
        self.acts: tuple[Callable[[], None], ...] = (
            self.swap,
            self.swap,
            self.move,
            self.later,
            self.future,
            self.sell,
            self.extend,
            self.cancel,
            self.resell,
            self.withdraw,
            self.check_in,
            self.check_in,
            self.check_out,
            self.anew,
        )

    def work(self, over: threading.Event) -> None:
        """One thing after another until `over`; an answer that never came is asked for again."""
        for room in self.rooms:
            self.until_done(lambda room=room: self.arrive(room))
        while not over.is_set():
            self.until_done(self.dice.choice(self.acts))
            over.wait(self.dice.uniform(0.2, 1.2))

    def until_done(self, act: Callable[[], None]) -> None:
        for _ in range(90):
            try:
                act()
            except (httpx.HTTPError, SandboxError, Retry):
                threading.Event().wait(1)
            else:
                return
        raise AssertionError(f"{act} never came to an end")

    # At the channels

    def arrive(self, room: Room, after: timedelta = -MINUTE) -> None:
        """A guest for tonight and tomorrow night."""
        now = datetime.now(UTC)
        guest = self.guest(HERE)
        booking = self.desk.book(room, now + after, now + timedelta(hours=40), guest)
        self.ledger.booked.add(booking)
        self.ledger.here[guest] = (booking, room)

    def swap(self) -> None:
        """A guest's booking is cancelled, and somebody else gets the room."""
        if (guest := self._somebody()) is None:
            return
        booking, room = self.ledger.here[guest]
        digits = self.digits(guest)
        control.cancel_booking(booking, base=self.desk.sandbox)
        del self.ledger.here[guest]
        self.ledger.cancelled.add(booking)
        self._shut(guest, room, digits)
        self.until_done(lambda: self.arrive(room))

    def move(self) -> None:
        """The channel moves a guest to the room that is empty. Not to a house in another zone: the
        hours on the wall move along, and the stay would begin at another moment."""
        if (guest := self._somebody()) is None:
            return
        booking, room = self.ledger.here[guest]
        if room.place is not self.empty.place:
            return
        digits = self.digits(guest)
        control.change_booking(booking, base=self.desk.sandbox, listing=self.empty.listing)
        self.ledger.here[guest] = (booking, self.empty)
        self.rooms = [self.empty if each is room else each for each in self.rooms]
        self.empty = room
        self._shut(guest, room, digits)

    def later(self) -> None:
        """A stay is made longer by a day or two, or ends at another hour."""
        if (guest := self._somebody()) is None:
            return
        booking, room = self.ledger.here[guest]
        end = datetime.now(room.zone).date() + timedelta(days=self.dice.randint(2, 3))
        hour = f"{self.dice.randint(8, 14):02}:00"
        control.change_booking(
            booking, base=self.desk.sandbox, check_out=end.isoformat(), check_out_time=hour
        )

    def future(self) -> None:
        room = self.dice.choice(self.rooms)
        begin = datetime.now(UTC) + timedelta(days=30 + 3 * self.number)
        booking = self.desk.book(room, begin, begin + timedelta(hours=40), self.guest(LATER))
        self.ledger.booked.add(booking)

    def resell(self) -> None:
        """Somebody books at an OTA."""
        first = datetime.now(UTC).date() + timedelta(days=200 + self.number)
        first_name, last_name = self.guest(OTA).split()
        booking = control.create_beds24_booking(
            int(self.dice.choice(self.types)["external_id"]),
            first.isoformat(),
            (first + timedelta(days=1)).isoformat(),
            base=self.desk.sandbox,
            firstName=first_name,
            lastName=last_name,
            price=99,
        )
        self.ledger.ota.add(str(booking["id"]))

    def withdraw(self) -> None:
        """Somebody cancels at an OTA."""
        left = sorted(self.ledger.ota - self.ledger.withdrawn)
        if left:
            booking = self.dice.choice(left)
            control.change_beds24_booking(booking, base=self.desk.sandbox, status="cancelled")
            self.ledger.withdrawn.add(booking)

    # At the desk

    def check_in(self) -> None:
        if (guest := self._somebody()) is None:
            return
        stay = self._stay(guest)
        if stay is None or stay["status"] != "confirmed":
            return  # the channel's word has not come through yet
        if self._act(stay["id"], "check_in", "check-in", "checked_in"):
            self.ledger.checked_in[guest] = stay["id"]

    def check_out(self) -> None:
        """A guest leaves early, and the next one has the room at once."""
        if not self.ledger.checked_in:
            return
        guest = self.dice.choice(sorted(self.ledger.checked_in))
        stay_id, (booking, room) = self.ledger.checked_in[guest], self.ledger.here[guest]
        digits = self.digits(guest)
        if not self._act(stay_id, "check_out", "check-out", "checked_out"):
            raise AssertionError(f"{guest} cannot leave")
        self.ledger.left[guest] = self.ledger.checked_in.pop(guest)
        del self.ledger.here[guest]
        self.ledger.departed.add(booking)
        self._shut(guest, room, digits)
        self.until_done(lambda: self.arrive(room, MINUTE))

    def anew(self) -> None:
        """The desk has a guest's PIN made anew; the old one is worth nothing."""
        guest = self.dice.choice(sorted(self.ledger.here))
        room, digits, stay = self.ledger.here[guest][1], self.digits(guest), self._stay(guest)
        if stay is None or digits is None:
            return
        answer = self._ask(stay["id"], "reprocess", "reprocess")
        if answer.status_code == 202:
            self._shut(guest, room, digits)

    def sell(self) -> None:
        """The desk sells a room; the same request again is the same booking."""
        guest = self.guest(DESK)
        first = datetime.now(UTC).date() + timedelta(days=40 + 3 * self.number)
        last = first + timedelta(days=1)
        body = {
            "property_id": self.sold_house,
            "room_type_id": self.dice.choice(self.types)["internal_id"],
            "check_in": first.isoformat(),
            "check_out": last.isoformat(),
            "guest_name": guest,
            "amount": "120.00",
        }

        def ask() -> None:
            answer = self.desk.api.post(
                "/reservations", json=body, headers={"Idempotency-Key": f"plan-{guest}"}
            )
            _there(answer)
            assert answer.status_code == 201, answer.text
            self.ledger.sold[guest] = (answer.json()["reservation"]["id"], last)

        self.until_done(ask)

    def extend(self) -> None:
        """A stay that we sold gets one night more, if nobody has it."""
        if (guest := self._sold()) is None:
            return
        stay_id, last = self.ledger.sold[guest]
        wanted = last + timedelta(days=1)

        def ask() -> None:
            shown = self.desk.api.get(f"/reservations/{stay_id}")
            _there(shown)
            if shown.json()["check_out"] != wanted.isoformat():
                body = {"version": shown.json()["version"], "check_out": wanted.isoformat()}
                answer = self.desk.api.patch(f"/reservations/{stay_id}", json=body)
                _there(answer)
                if answer.status_code == 409 and "current" in answer.json():
                    raise Retry
                if answer.status_code == 409:
                    return
                assert answer.status_code == 200, answer.text
            self.ledger.sold[guest] = (stay_id, wanted)

        self.until_done(ask)

    def cancel(self) -> None:
        """The desk cancels what it sold."""
        if (guest := self._sold()) is None:
            return
        stay_id, _ = self.ledger.sold[guest]
        if self._act(stay_id, "cancel", "cancel", "cancelled"):
            self.ledger.unsold[guest] = stay_id
            del self.ledger.sold[guest]

    def digits(self, guest: str) -> str | None:
        """The PIN, if the desk can show it right now."""
        try:
            stay = self.desk.stay(guest)
            if stay is None or stay["pin"]["state"] != "active":
                return None
            self.ledger.asked[stay["id"], "reveal"] += 1
            digits = self.desk.reveal(guest)
        except (httpx.HTTPError, AssertionError, KeyError, ValueError):
            return None
        self.ledger.told[stay["id"], "reveal"] += 1
        return digits

    def guest(self, name: str) -> str:
        self.number += 1
        return f"{name} Number{self.number}"

    def _somebody(self) -> str | None:
        """A guest whom a channel may still cancel or move: whoever has come is here."""
        arrived = (guest for guest in self.ledger.here if guest.startswith(HERE))
        free = sorted(set(arrived) - set(self.ledger.checked_in))
        return self.dice.choice(free) if free else None

    def _sold(self) -> str | None:
        return self.dice.choice(sorted(self.ledger.sold)) if self.ledger.sold else None

    def _shut(self, guest: str, room: Room, digits: str | None) -> None:
        if digits:
            self.ledger.gone.append((guest, room, digits))

    def _stay(self, guest: str) -> dict[str, Any] | None:
        try:
            return self.desk.stay(guest)
        except (KeyError, ValueError):
            raise Retry from None

    def _ask(self, stay_id: str, act: str, path: str) -> httpx.Response:
        self.ledger.asked[stay_id, act] += 1
        answer = self.desk.api.post(f"/reservations/{stay_id}/{path}")
        _there(answer)
        if answer.is_success:
            self.ledger.told[stay_id, act] += 1
        return answer

    def _act(self, stay_id: str, act: str, path: str, status: str) -> bool:
        """Whether the stay has come to `status`; a refusal may be of what we asked before."""
        reached = False

        def ask() -> None:
            nonlocal reached
            answer = self._ask(stay_id, act, path)
            if answer.status_code == 409:
                shown = self.desk.api.get(f"/reservations/{stay_id}")
                _there(shown)
                reached = shown.json()["status"] == status
            else:
                assert answer.status_code == 200, answer.text
                reached = True

        self.until_done(ask)
        return reached


def _there(answer: httpx.Response) -> None:
    if answer.status_code >= 500:
        raise Retry


@contextmanager
def busy(house: House) -> Iterator[None]:
    """Guests come and go until the block is left; what breaks them fails it."""
    over = threading.Event()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            house.work(over)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if failed:
        raise failed[0]
