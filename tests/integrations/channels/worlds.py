"""Each dialect's vendor in a few lines, so that every client can be asked the same promises."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Protocol
from urllib.parse import parse_qs

import httpx

from app.integrations import http
from app.integrations.channels import ChannelClient, ChannelListing, ItemError
from app.integrations.channels.beds24 import Beds24Client
from app.integrations.channels.beds24_tokens import Account, MemoryTokens, Tokens
from app.integrations.channels.fake import FakeChannel
from app.integrations.channels.stays_external import StaysExternalClient
from app.integrations.channels.stays_payloads import parse_simple
from app.integrations.channels.stays_simple import StaysSimpleClient
from app.integrations.errors import RateLimited, Unauthorized, Unreachable, Unreadable

PAYLOADS = Path(__file__).parents[2] / "payloads"
SINCE = datetime(2026, 11, 10, 9, 0, tzinfo=UTC)
TODAY = date(2026, 11, 10)
LOGIN_PAGE = httpx.Response(
    200, headers={"Content-Type": "text/html; charset=utf-8"}, text="<html>Please sign in</html>"
)


def payload(name: str, channel: str = "stays") -> Any:
    """A recorded (invented) payload."""
    return json.loads((PAYLOADS / channel / f"{name}.json").read_text())


@dataclass(frozen=True)
class Booking:
    """A stay in words no dialect uses."""

    key: str = "65aa0000000000000000c001"
    unit: str = "65aa0000000000000000d001"
    state: str = "confirmed"
    arrival: str = "2026-11-12"
    departure: str = "2026-11-15"
    guest: str = "Marta Example"
    email: str = "marta@example.org"
    phone: str = "+5500000000000"
    total: float = 560.1
    client: str = ""


class World(Protocol):
    """A vendor that holds bookings and units, and can be made to fail."""

    client: ChannelClient

    def put(self, booking: Booking) -> None: ...
    def put_broken(self, key: str) -> None: ...
    def vanish(self, key: str) -> None: ...
    def put_unit(self, key: str, name: str) -> None: ...
    def fail(self, how: str) -> None: ...


def answering(handler: Callable[[httpx.Request], httpx.Response], base_url: str) -> http.VendorHttp:
    """A client whose requests end in `handler`."""
    transport = httpx.MockTransport(handler)
    return http.VendorHttp("stays", http.make_client(base_url, transport=transport))


def _failure(how: str) -> httpx.Response:
    if how == "down":
        raise httpx.ConnectError("connection refused by secret-host")
    return {
        "login page": LOGIN_PAGE,
        "refused": httpx.Response(401, json={"message": "secret-detail"}),
        "busy": httpx.Response(429, headers={"Retry-After": "30"}, json={}),
        "ill": httpx.Response(503, text="secret-detail"),
        "empty": httpx.Response(200, headers={"Content-Type": "application/json"}),
        "error object": httpx.Response(200, json={"error": "secret-detail"}),
    }[how]


class HttpWorld:
    """What the two HTTP dialects share: requests are noted, and a fault answers all of them."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.bookings: dict[str, Booking] = {}
        self.broken: list[str] = []
        self.units: dict[str, str] = {}
        self.fault: str | None = None

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.fault is not None:
            return _failure(self.fault)
        return self.answer(request)

    def answer(self, request: httpx.Request) -> httpx.Response:
        raise NotImplementedError

    def paths(self, prefix: str = "") -> list[str]:
        """The paths asked for so far."""
        return [r.url.path for r in self.requests if r.url.path.startswith(prefix)]

    def put(self, booking: Booking) -> None:
        self.bookings[booking.key] = booking

    def put_broken(self, key: str) -> None:
        self.broken.append(key)

    def vanish(self, key: str) -> None:
        del self.bookings[key]

    def put_unit(self, key: str, name: str) -> None:
        self.units[key] = name

    def fail(self, how: str) -> None:
        self.fault = how


class SimpleWorld(HttpWorld):
    """The simple dialect of contracts/stays.md §11."""

    def __init__(self) -> None:
        super().__init__()
        self.client = StaysSimpleClient(answering(self.handle, "https://stays.example"))

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/api/reservations":
            items = [self.item(b) for b in self.bookings.values()]
            items += [self.item(Booking(key=key, departure="2026-11-12")) for key in self.broken]
            return httpx.Response(200, json={"reservations": items})
        if path == "/api/accommodations":
            units = [{"id": key, "name": name} for key, name in self.units.items()]
            return httpx.Response(200, json={"accommodations": units})
        key = path.removeprefix("/api/reservations/")
        if key in self.bookings:
            return httpx.Response(200, json=self.item(self.bookings[key]))
        return httpx.Response(404, json={"message": "not found"})

    @staticmethod
    def item(booking: Booking) -> dict[str, Any]:
        return {
            "id": booking.key,
            "accommodation_id": booking.unit,
            "status": booking.state,
            "check_in": booking.arrival,
            "check_out": booking.departure,
            "guest_name": booking.guest,
            "guest_email": booking.email,
            "guest_phone": booking.phone,
            "amount": booking.total,
            "currency": "BRL",
        }


class ExternalWorld(HttpWorld):
    """The Stays External API of contracts/stays.md §1-§9, as far as a client can tell."""

    types: ClassVar = {"pending": "reserved", "confirmed": "booked", "cancelled": "canceled"}

    def __init__(self, *, type_key: str = "type", horizon_days: int = 120) -> None:
        super().__init__()
        self.type_key = type_key
        self.created: set[str] | None = None  # None: every booking was made these days
        self.contact_inline = True
        base_url = "https://acme.stays.example/external/v1"
        self.client = StaysExternalClient(
            answering(self.handle, base_url), horizon_days=horizon_days
        )

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/external/v1")
        query = parse_qs(request.url.query.decode(), keep_blank_values=True)
        if path == "/content/listings":
            units = [
                {"_id": key, "id": f"U{n}", "internalName": name, "status": "active"}
                for n, (key, name) in enumerate(self.units.items())
            ]
            return self.page(units, query)
        if path == "/booking/reservations":
            return self.page(self.listed(query), query)
        if path == "/booking/reservations-export":
            return httpx.Response(200, json=self.exported(json.loads(request.content)))
        kind, _, key = path.removeprefix("/booking/").partition("/")
        if kind == "clients" and key.removeprefix("client-") in self.bookings:
            booking = self.bookings[key.removeprefix("client-")]
            return httpx.Response(
                200,
                json={
                    "_id": key,
                    "name": booking.guest,
                    "email": booking.email,
                    "phones": [{"iso": booking.phone}],
                },
            )
        if kind == "reservations" and key in self.bookings:
            return httpx.Response(200, json=self.item(self.bookings[key]))
        return httpx.Response(404, json={"message": "not found"})

    @staticmethod
    def page(items: list[Any], query: dict[str, list[str]]) -> httpx.Response:
        skip, limit = int(query["skip"][0]), min(int(query["limit"][0]), 20)
        return httpx.Response(200, json=items[skip : skip + limit])

    def listed(self, query: dict[str, list[str]]) -> list[Any]:
        types = query.get(self.type_key, [])
        found = [
            self.item(b)
            for b in self.bookings.values()
            if self.types[b.state] in types
            and (self.created is None or b.key in self.created or query["dateType"] == ["included"])
        ]
        broken = [self.item(Booking(key=k, departure="2026-11-12")) for k in self.broken]
        return [*found, *broken] if types else []

    def exported(self, body: dict[str, Any]) -> list[Any]:
        return [
            self.row(b)
            for b in self.bookings.values()
            if self.types[b.state] in body["type"]
            and b.arrival <= body["to"]
            and b.departure >= body["from"]
        ]

    def item(self, booking: Booking) -> dict[str, Any]:
        return {
            "_id": booking.key,
            "id": "S" + booking.key[-4:],
            "type": self.types[booking.state],
            "creationDate": "2026-11-09",
            "checkInDate": booking.arrival,
            "checkInTime": "15:00",
            "checkOutDate": booking.departure,
            "checkOutTime": "11:00",
            "_idlisting": booking.unit,
            "_idclient": "client-" + (booking.client or booking.key),
            "price": {"currency": "BRL", "_f_total": booking.total},
        }

    def row(self, booking: Booking) -> dict[str, Any]:
        codes = {key: f"U{n}" for n, key in enumerate(self.units)}
        contact = {"name": booking.guest, "email": booking.email, "phoneNumber": booking.phone}
        return {
            "_id": booking.key,
            "id": "S" + booking.key[-4:],
            "type": self.types[booking.state],
            "checkInDate": booking.arrival,
            "checkOutDate": booking.departure,
            "reserveTotal": booking.total,
            "currency": "BRL",
            "listing": {"id": codes.get(booking.unit, "U?")},
            "client": contact if self.contact_inline else {},
        }


class FakeWorld:
    """The in-memory channel under the same promises."""

    def __init__(self) -> None:
        self.client = self.channel = FakeChannel()

    def put(self, booking: Booking) -> None:
        self.channel.put(replace(parse_simple(SimpleWorld.item(booking)), channel="fake"), at=SINCE)

    def put_broken(self, key: str) -> None:
        self.channel.errors.append(
            ItemError(key, "check_out 2026-11-12 is not after check_in 2026-11-12")
        )

    def vanish(self, key: str) -> None:
        self.channel.remove(key)

    def put_unit(self, key: str, name: str) -> None:
        self.channel.units.append(ChannelListing(key, name))

    def fail(self, how: str) -> None:
        error = {
            "down": Unreachable("fake gave no answer"),
            "ill": Unreachable("fake failed"),
            "refused": Unauthorized("fake refused the credentials"),
            "busy": RateLimited("fake asks for fewer calls", retry_after=30),
        }.get(how, Unreadable("fake answered with nothing readable"))
        for call in ("changes", "active", "get", "listings"):
            self.channel.fail(call, error)


class Beds24World(HttpWorld):
    """Beds24's API V2 (contracts/beds24.md) in pages of twenty rows. The suite's ids are text."""

    states: ClassVar = {"pending": "request", "confirmed": "new", "cancelled": "cancelled"}
    property_id = 51001
    page_size = 20

    def __init__(self) -> None:
        super().__init__()
        self.meter: dict[str, str] = {}
        self.tokens = MemoryTokens(
            Tokens("secret-refresh", "secret-access", datetime.now(UTC) + timedelta(days=1))
        )
        self.account = Account(self.connect, self.tokens)
        self.client = Beds24Client(self.account, {str(self.property_id): "BRL"})

    def connect(self, observer: http.Observer) -> http.VendorHttp:
        """The account's HTTP, ending in `handle`."""
        transport = httpx.MockTransport(self.handle)
        made = http.make_client("https://beds24.example/api/v2", transport=transport)
        return http.VendorHttp("beds24", made, observer=observer)

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v2")
        query = parse_qs(request.url.query.decode(), keep_blank_values=True)
        if path == "/bookings":
            rows = [self.item(b) for b in self.bookings.values()]
            rows += [self.item(Booking(key=key, departure="2026-11-12")) for key in self.broken]
            asked, ids = query.get("status", []), query.get("id")
            rows = [r for r in rows if r["status"] in (asked or ("new", "confirmed", "request"))]
            return self.page([r for r in rows if ids is None or r["id"] in ids], query)
        if path == "/properties":
            rooms = [
                {"id": key, "name": name, "qty": 1, "units": [{"id": 1, "name": "1"}]}
                for key, name in self.units.items()
            ]
            houses = [{"id": self.property_id, "currency": "BRL", "roomTypes": rooms}]
            return self.page(houses, query)
        return httpx.Response(404, json={"success": False, "type": "error", "code": 404})

    def page(self, rows: list[Any], query: dict[str, list[str]]) -> httpx.Response:
        """An envelope (§4.2) whose link leads where no client may go."""
        start = (int(query.get("page", ["1"])[0]) - 1) * self.page_size
        more = len(rows) > start + self.page_size
        body = {
            "success": True,
            "count": len(rows),
            "pages": {
                "nextPageExists": more,
                "nextPageLink": "https://elsewhere.example/steal" if more else None,
            },
            "data": rows[start : start + self.page_size],
        }
        return httpx.Response(200, json=body, headers=self.meter)

    def item(self, booking: Booking) -> dict[str, Any]:
        first, _, last = booking.guest.partition(" ")
        return {
            "id": booking.key,
            "masterId": None,
            "propertyId": self.property_id,
            "roomId": booking.unit,
            "unitId": None,
            "roomQty": 1,
            "status": self.states[booking.state],
            "arrival": booking.arrival,
            "departure": booking.departure,
            "firstName": first,
            "lastName": last,
            "email": booking.email,
            "phone": "",
            "mobile": booking.phone,
            "price": booking.total,
            "modifiedTime": "2026-11-10T08:59:00Z",
        }


WORLDS: dict[str, Callable[[], World]] = {
    "stays_simple": SimpleWorld,
    "stays_external": ExternalWorld,
    "beds24": Beds24World,
    "fake": FakeWorld,
}
