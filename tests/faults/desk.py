"""A person at the desk of a running product: pages, API, the sandbox's bookings and keypads."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from app.sandbox import control
from app.sandbox.places import PLACES, Place, Unit
from tests.local.product import Run


@dataclass(frozen=True)
class Room:
    """A demo room with a lock that answers within seconds."""

    place: Place
    unit: Unit

    @property
    def listing(self) -> str:
        return self.place.listing_code(self.unit)

    @property
    def device(self) -> str:
        return self.place.device_id(self.unit)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.place.time_zone)


class Desk:
    """Signed in as the admin that `bin/run` made."""

    def __init__(self, run: Run) -> None:
        found = re.search(r"password (\S+) \(shown", run.said)
        assert found, run.said
        self.password = found.group(1)
        self.sandbox = f"http://127.0.0.1:{run.env['SANDBOX_PORT']}"
        self.web = httpx.Client(base_url=run.url, timeout=15, trust_env=False)
        page = self.web.get("/login").text
        token = csrf(page)
        signed_in = self.web.post(
            "/login",
            data={"email": "admin@localhost", "password": self.password, "csrf_token": token},
        )
        assert signed_in.status_code == 303, signed_in.text
        answer = self.web.post(
            "/api/auth/token", json={"email": "admin@localhost", "password": self.password}
        )
        self.api = httpx.Client(
            base_url=f"{run.url}/api/admin",
            headers={"Authorization": f"Bearer {answer.json()['access_token']}"},
            timeout=15,
            trust_env=False,
        )

    def close(self) -> None:
        self.web.close()
        self.api.close()

    def rooms(self, count: int) -> list[Room]:
        """Rooms with an attentive lock where it is not nearly midnight; the demo's bookings of
        these days are cancelled."""
        quick = [
            Room(place, unit)
            for place in PLACES
            if far_from_midnight(place.time_zone)
            for unit in place.units
            if unit.radio == "zigbee" and unit.mapped
        ]
        asleep = {
            lock["device_id"]
            for lock in control.list_locks(base=self.sandbox)
            if lock["state"] != "awake"
        }
        chosen = [room for room in quick if room.device not in asleep][:count]
        assert len(chosen) == count
        listings = {room.listing for room in chosen}
        for booking in control.list_bookings(base=self.sandbox):
            if booking["listing"] in listings and booking["status"] != "cancelled":
                control.cancel_booking(booking["id"], base=self.sandbox)
        return chosen

    def house(self) -> dict[str, Any]:
        """A property where it is not nearly midnight."""
        found: list[dict[str, Any]] = self.api.get("/properties").json()["properties"]
        return next(house for house in found if far_from_midnight(house["timezone"]))

    def book(self, room: Room, begin: datetime, end: datetime, guest: str) -> str:
        """A booking in Stays from and to local minutes; its id."""
        begin, end = begin.astimezone(room.zone), end.astimezone(room.zone)
        booking = control.create_booking(
            room.listing,
            guest,
            begin.date().isoformat(),
            end.date().isoformat(),
            base=self.sandbox,
            check_in_time=begin.strftime("%H:%M"),
            check_out_time=end.strftime("%H:%M"),
        )
        return str(booking["code"] if "code" in booking else booking["id"])

    def stay(self, guest: str) -> dict[str, Any] | None:
        """The reservation of that guest as the API shows it."""
        listed = self.api.get("/reservations", params={"q": guest, "limit": 100}).json()
        found = [r for r in listed["reservations"] if r["guest_name"] == guest]
        return found[0] if found else None

    def pin_state(self, guest: str) -> str:
        stay = self.stay(guest)
        return "unknown" if stay is None else str(stay["pin"]["state"])

    def reveal(self, guest: str) -> str:
        """The digits, as the page shows them after the click."""
        stay = self.stay(guest)
        assert stay is not None
        page = self.web.get("/reservations", params={"q": guest, "view": "all"}).text
        answer = self.web.post(
            f"/reservations/{stay['id']}/pin/reveal?in=row",
            data={"csrf_token": csrf(page)},
            headers={"HX-Request": "true", "HX-Target": f"pin-{stay['id']}"},
        )
        assert answer.status_code == 200, answer.text
        assert "no-store" in answer.headers["Cache-Control"]
        digits = re.search(r'pin__digits"[^>]*>([\d ]+)<', answer.text)
        assert digits, answer.text
        return digits.group(1).replace(" ", "")

    def opens(self, room: Room, digits: str) -> bool:
        """Type the digits on the lock's keypad."""
        answer = httpx.post(
            f"{self.sandbox}/keypad/{room.device}",
            data={"pin": digits},
            headers={"Accept": "application/json"},
            trust_env=False,
        )
        return bool(answer.json()["open"])

    def on_lock(self, room: Room) -> list[str]:
        """Names of our codes that the lock itself holds now."""
        locks = control.list_locks(base=self.sandbox)
        lock = next(lock for lock in locks if lock["device_id"] == room.device)
        return [code["name"] for code in lock["codes"] if code["name"].startswith("TK-")]


def csrf(page: str) -> str:
    """The token in a page's forms."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found, page[:2000]
    return found.group(1)


def far_from_midnight(time_zone: str) -> bool:
    """Whether no day begins there in the course of a test."""
    return 1 <= datetime.now(ZoneInfo(time_zone)).hour <= 21


def within(seconds: float, what: Callable[[], bool], every: float = 0.5) -> bool:
    """Whether `what` comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if what():
            return True
        time.sleep(every)
    return what()
