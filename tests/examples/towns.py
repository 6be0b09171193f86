"""Stand-ins of Harbour and Keyring: what they hold, how they fail, and a way to reach them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import httpx
from werkzeug.serving import make_server

from app.clock import utcnow
from app.integrations import http
from tests.examples.harbour import HarbourClient
from tests.examples.keyring import KeyringLocks
from tests.integrations.channels.worlds import Booking, HttpWorld

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Handler = Callable[[httpx.Request], httpx.Response]


def connect(vendor: str, handler: Handler) -> http.VendorHttp:
    """A client whose requests end in `handler`, without a wire."""
    transport = httpx.MockTransport(handler)
    return http.VendorHttp(
        vendor, http.make_client(f"https://{vendor}.example", transport=transport)
    )


@contextmanager
def served(handler: Handler) -> Iterator[str]:
    """`handler` behind a real port of this machine; yields its URL."""

    def wsgi(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        asked = httpx.Request(
            environ["REQUEST_METHOD"], f"https://vendor.example{path}?{query}", content=body
        )
        answer = handler(asked)
        start(f"{answer.status_code} said", [("Content-Type", "application/json")])
        return [answer.content]

    server = make_server("127.0.0.1", 0, wsgi, threaded=True)
    server.log = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class HarbourTown(HttpWorld):
    """Harbour's bookings and berths, twenty to a page."""

    STATES = {"confirmed": "booked", "pending": "option", "cancelled": "void"}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.client = HarbourClient(connect("harbour", self.handle))

    def answer(self, request: httpx.Request) -> httpx.Response:
        asked = {name: values[0] for name, values in parse_qs(request.url.query.decode()).items()}
        kind, _, key = request.url.path.removeprefix("/v2/").partition("/")
        if key:
            held = self.bookings.get(key)
            return (
                httpx.Response(200, json=self.item(held)) if held else httpx.Response(404, json={})
            )
        items: list[Any] = [{"id": key, "name": name} for key, name in self.units.items()]
        if kind == "bookings":
            items = [self.item(each) for each in self.bookings.values()]
            items += [self.item(Booking(key=key, departure="2026-11-12")) for key in self.broken]
        begin = int(asked.get("after", "0"))
        more = {"next": str(begin + 20)} if begin + 20 < len(items) else {}
        return httpx.Response(200, json={kind: items[begin : begin + 20], **more})

    def item(self, booking: Booking) -> dict[str, Any]:
        return {
            "no": booking.key,
            "berth": booking.unit,
            "state": self.STATES[booking.state],
            "from": booking.arrival,
            "to": booking.departure,
            "skipper": {"name": booking.guest, "mail": booking.email, "phone": booking.phone},
            "price": f"{booking.total:.2f} BRL",
            "changed": int(utcnow().timestamp()),
        }


@dataclass
class Key:
    """A key as Keyring's cloud has it; `cut` is what the door itself remembers."""

    label: str
    code: str
    begin: int
    end: int
    place: str = "cloud"
    cut: tuple[str, int, int] | None = None


class KeyringTown:
    """Keyring's cloud, its doors, and the hands that move them."""

    words = {"offline": "asleep", "busy": "turning", "quota": "unpaid"}  # noqa: RUF012

    def __init__(self, *doors: str) -> None:
        self.doors: dict[str, dict[str, Key]] = {door: {} for door in doors or ("lock1",)}
        self.capacity = 100
        self.client = KeyringLocks(connect("keyring", self.handle))
        self._numbers = 0
        self._lost: str | None = None
        self._refused: tuple[str, str] | None = None

    # What happens at the doors

    def sync(self, door: str | None = None) -> None:
        """Bring the keys to their doors, and away from them."""
        for keys in [self.doors[door]] if door else list(self.doors.values()):
            for key in keys.values():
                if key.place == "cloud":
                    key.place, key.cut = "door", (key.code, key.begin, key.end)
                elif key.place == "leaving":
                    key.place, key.cut = "gone", None

    def keypad(self, digits: str, at: datetime, door: str = "lock1") -> bool:
        """Whether these digits open the door at that moment."""
        cuts = [key.cut for key in self.doors[door].values() if key.cut]
        return any(code == digits and a <= at.timestamp() < b for code, a, b in cuts)

    # How it fails

    def lose_answer(self, call: str) -> None:
        self._lost = call

    def refuse(self, call: str, word: str) -> None:
        self._refused = (call, word)

    def fill(self, capacity: int) -> None:
        self.capacity = capacity

    def close(self) -> None:
        pass

    # What it answers

    def handle(self, request: httpx.Request) -> httpx.Response:
        parts = request.url.path.strip("/").split("/")
        call = _call(request.method, parts)
        if self._refused and self._refused[0] == call:
            word, self._refused = self._refused[1], None
            if word in ("credentials", "down"):
                return httpx.Response(401 if word == "credentials" else 503, json={})
            return _said(why=self.words[word])
        body = json.loads(request.content) if request.content else {}
        answer = self._do(call, parts, body)
        if self._lost == call:
            self._lost = None
            raise httpx.ReadTimeout("the line went dead", request=request)
        return answer

    def _do(self, call: str, parts: list[str], body: dict[str, Any]) -> httpx.Response:
        if call == "devices":
            doors = [
                {"id": door, "name": f"Door {door}", "sort": "ms", "online": True, "battery": 77}
                for door in self.doors
            ]
            return _said(doors=doors)
        keys = self.doors[parts[1]]
        if call == "list_pins":
            return _said(keys=[_shown(number, key) for number, key in keys.items()])
        if call == "create_pin":
            return self._create(keys, body)
        key = keys.get(parts[3])
        if call == "change_pin":
            if key is None:
                return _said(why="unknown")
            key.begin, key.end, key.place = body["from"], body["until"], "cloud"
        elif call == "delete_pin" and key is not None:
            key.place = "leaving" if key.cut else "gone"
        elif call == "purge_record" and key is not None and key.cut is None:
            del keys[parts[3]]
        return _said()

    def _create(self, keys: dict[str, Key], body: dict[str, Any]) -> httpx.Response:
        there = [key for key in keys.values() if key.place != "gone"]
        faults = {
            "past": body["from"] <= utcnow().timestamp(),
            "label": any(key.label == body["label"] for key in there),
            "code": any(key.code == body["code"] for key in there),
            "full": len(there) >= self.capacity,
        }
        for why, is_so in faults.items():
            if is_so:
                return _said(why=why)
        self._numbers += 1
        number = f"k{self._numbers}"
        keys[number] = Key(body["label"], body["code"], body["from"], body["until"])
        return _said(key=number)


def _call(method: str, parts: list[str]) -> str:
    if len(parts) == 1:
        return "devices"
    if parts[-1] == "record":
        return "purge_record"
    writes = {"POST": "create_pin", "PUT": "change_pin", "DELETE": "delete_pin"}
    return writes.get(method, "list_pins")


def _shown(number: str, key: Key) -> dict[str, Any]:
    return {
        "key": number,
        "label": key.label,
        "from": key.begin,
        "until": key.end,
        "at": key.place,
    }


def _said(**fields: Any) -> httpx.Response:
    done = "why" not in fields
    return httpx.Response(200, json={"done": done, "now": utcnow().timestamp(), **fields})
