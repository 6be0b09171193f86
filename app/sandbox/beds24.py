"""Beds24's HTTP face, API V2: tokens, credits, bookings, properties and calendars."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from flask import Blueprint, Response, g, request

from app.sandbox import beds24_account as keys
from app.sandbox import beds24_queries, beds24_wire, beds24_writes
from app.sandbox.beds24_account import Meter
from app.sandbox.beds24_queries import Refused
from app.sandbox.beds24_records import Beds24Account, Beds24Booking, Beds24Room
from app.sandbox.context import Sandbox
from app.sandbox.faults import spoil_answers, take

NOT_VALID = "Token not valid"
MAX_ITEMS = 10_000
CALENDAR_FLAGS = {"includeNumAvail", "includeMinStay", "includePrices"}


def _json(body: object, status: int = 200) -> Response:
    text = json.dumps(body, ensure_ascii=False)
    return Response(text, status=status, mimetype="application/json")


def _error(status: int, message: str) -> Response:
    return _json({"success": False, "type": "error", "code": status, "error": message}, status)


def blueprint(sandbox: Sandbox) -> Blueprint:
    """Everything below /beds24."""
    bp = Blueprint("beds24", __name__, url_prefix="/beds24")
    spoil_answers(bp, sandbox.store, "beds24", _error)
    bp.register_error_handler(Refused, lambda exc: _error(exc.status, exc.message))
    _token_routes(bp, sandbox)
    _booking_routes(bp, sandbox)
    _inventory_routes(bp, sandbox)

    @bp.after_request
    def meter(response: Response) -> Response:
        """The names found on the wire, with decimals; the documented ones never appear (§3)."""
        known: Meter | None = g.get("beds24_meter")
        if known is not None:
            response.headers["x-five-min-limit-remaining"] = f"{known.remaining:.1f}"
            response.headers["x-five-min-limit-resets-in"] = str(known.resets_in)
            if known.cost is not None:
                response.headers["x-request-cost"] = f"{known.cost:g}"
        return response

    @bp.route("/", defaults={"path": ""}, methods=["GET", "POST", "PATCH", "PUT", "DELETE"])
    @bp.route("/<path:path>", methods=["GET", "POST", "PATCH", "PUT", "DELETE"])
    def unknown_call(path: str) -> Response:
        return _error(404, "not found")

    return bp


def _charge(sandbox: Sandbox, account: Beds24Account, cost: float) -> None:
    g.beds24_meter = keys.charge(account, cost, sandbox.now())
    if g.beds24_meter.exhausted:
        raise Refused(429, "Credit limit exceeded")


def _check(sandbox: Sandbox, account: Beds24Account) -> None:
    """The access token; one that lacks a scope is refused in the same words (§2)."""
    if not keys.allows(account, request.headers.get("token", ""), sandbox.now()):
        raise Refused(401, NOT_VALID)


def _token_routes(bp: Blueprint, sandbox: Sandbox) -> None:
    store = sandbox.store

    def refresh_token(account: Beds24Account) -> str:
        given = request.headers.get("refreshToken", "")
        if not keys.is_alive(account, given, sandbox.keys.beds24_refresh_token):
            raise Refused(400, "Refresh token not valid")
        return given

    @bp.get("/authentication/setup")
    def setup() -> Response:
        with store.open() as world:
            account, now = world.beds24, sandbox.now()
            refresh = keys.take_invite(account, request.headers.get("code", ""), now)
            if refresh is None:
                raise Refused(400, "Code not valid")
            _charge(sandbox, account, 1.0)
            access, later = keys.mint(account, refresh, now)
            seconds = account.settings.token_seconds
        return _json({"token": access, "expiresIn": seconds, "refreshToken": later or refresh})

    @bp.get("/authentication/token")
    def token() -> Response:
        with store.open() as world:
            account = world.beds24
            refresh = refresh_token(account)
            _charge(sandbox, account, 1.0)
            access, later = keys.mint(account, refresh, sandbox.now())
            body: dict[str, Any] = {"token": access, "expiresIn": account.settings.token_seconds}
        return _json(body | ({"refreshToken": later} if later else {}))

    @bp.delete("/authentication/token")
    def revoke_token() -> Response:
        with store.open() as world:
            keys.revoke(world.beds24, refresh_token(world.beds24))
        return _json({"success": True})

    @bp.get("/authentication/details")
    def details() -> Response:
        """Carries no credit headers (§3)."""
        with store.open(changes=False) as world:
            access, now = request.headers.get("token", ""), sandbox.now()
            known = keys.allows(world.beds24, access, now)
            end = world.beds24.access_tokens.get(access, now)
        body: dict[str, Any] = {"validToken": known}
        if known:
            body["token"] = {
                "ownerId": beds24_wire.OWNER,
                "expiresIn": int(end - now),
                "scopes": ["all:bookings", "all:bookings-personal", "all:inventory"],
                "deviceName": "sandbox",
                "linkedProperties": False,
                "whiteListOnly": False,
            }
        return _json(body)


def _booking_routes(bp: Blueprint, sandbox: Sandbox) -> None:
    store = sandbox.store

    @bp.get("/bookings")
    def bookings() -> Response:
        with store.open() as world:
            account = world.beds24
            _check(sandbox, account)
            _scope_or_401(sandbox)
            matches = beds24_queries.criteria(request.args, sandbox.clock().date())
            _charge(sandbox, account, 1.2 if len(request.args.getlist("status")) > 3 else 1.0)
            rows = [b for b in account.bookings.values() if not b.deleted and matches(b)]
            rows.sort(key=lambda b: b.id)
            return _json(_envelope("booking", rows, account.settings.page_size, _wire(account)))

    @bp.post("/bookings")
    def post_bookings() -> Response:
        with store.open() as world:
            _check(sandbox, world.beds24)
            _scope_or_401(sandbox)
            items = _items()
            _charge(sandbox, world.beds24, 1.0)
        return _json(beds24_writes.bookings(sandbox, items, _key()), 201)

    @bp.delete("/bookings")
    def delete_bookings() -> Response:
        with store.open() as world:
            _check(sandbox, world.beds24)
            _scope_or_401(sandbox)
            _charge(sandbox, world.beds24, 1.0)
        refs = request.args.getlist("id")
        return _json(beds24_writes.deletions(sandbox, refs, _key()), 201)

    def _wire(account: Beds24Account) -> Callable[[Beds24Booking], dict[str, Any]]:
        if request.args.get("includeBookingGroup") != "true":
            return beds24_wire.booking
        return lambda row: (
            beds24_wire.booking(row) | {"bookingGroup": beds24_wire.group(account, row)}
        )


def _scope_or_401(sandbox: Sandbox) -> None:
    with sandbox.store.open() as world:
        if take(world, {"beds24"}, {"no_scope"}, (request.endpoint or "").rpartition(".")[2]):
            raise Refused(401, NOT_VALID)


def _key() -> str:
    return request.headers.get("X-Idempotency-Key", "")


def _items() -> list[Any]:
    items = request.get_json(silent=True)
    if not isinstance(items, list) or not 0 < len(items) <= MAX_ITEMS:
        raise Refused(400, "the body must be an array of items")
    return items


def _envelope(
    kind: str, rows: Sequence[Any], size: int, wire: Callable[[Any], dict[str, Any]] = dict
) -> dict[str, Any]:
    """One page; `count` is the page's, and the link is as complete as Beds24's (§4.2)."""
    number = beds24_queries.page_number(request.args)
    part = rows[(number - 1) * size : number * size]
    more = len(rows) > number * size
    args = [(k, v) for k, v in request.args.items(multi=True) if k != "page"]
    link = beds24_queries.link(request.base_url, [*args, ("page", str(number + 1))])
    return {
        "success": True,
        "type": kind,
        "count": len(part),
        "pages": {"nextPageExists": more, "nextPageLink": link if more else None},
        "data": [wire(row) for row in part],
    }


def _inventory_routes(bp: Blueprint, sandbox: Sandbox) -> None:
    store = sandbox.store

    def rooms(account: Beds24Account) -> list[Beds24Room]:
        wanted = set(request.args.getlist("roomId"))
        houses = set(request.args.getlist("propertyId"))
        return [
            room
            for house in account.properties.values()
            for room in house.rooms.values()
            if (not wanted or str(room.id) in wanted) and (not houses or str(house.id) in houses)
        ]

    @bp.get("/properties")
    def properties() -> Response:
        with store.open() as world:
            account = world.beds24
            _check(sandbox, account)
            _scope_or_401(sandbox)
            wanted = set(request.args.getlist("id"))
            with_rooms = request.args.get("includeAllRooms") == "true"
            _charge(sandbox, account, 1.5 if with_rooms else 1.0)
            rows = [
                beds24_wire.house(house, with_rooms=with_rooms)
                for house in account.properties.values()
                if not wanted or str(house.id) in wanted
            ]
            return _json(_envelope("property", rows, account.settings.page_size))

    @bp.get("/inventory/rooms/availability")
    def availability() -> Response:
        with store.open() as world:
            account = world.beds24
            _check(sandbox, account)
            _scope_or_401(sandbox)
            first, last = beds24_queries.window(request.args)
            _charge(sandbox, account, 1.0)
            rows = [
                {
                    "roomId": room.id,
                    "propertyId": room.property_id,
                    "name": room.name,
                    "availability": {
                        day: account.left(room, day) > 0 for day in beds24_wire.days(first, last)
                    },
                }
                for room in rooms(account)
            ]
            return _json(_envelope("availability", rows, account.settings.page_size))

    @bp.get("/inventory/rooms/calendar")
    def calendar() -> Response:
        with store.open() as world:
            account = world.beds24
            _check(sandbox, account)
            _scope_or_401(sandbox)
            first, last = beds24_queries.window(request.args)
            flags = {flag for flag in CALENDAR_FLAGS if request.args.get(flag) == "true"}
            _charge(sandbox, account, 1.0)
            rows = [
                beds24_wire.calendar(account, room, first, last, flags) for room in rooms(account)
            ]
            return _json(_envelope("calendar", rows, account.settings.page_size))

    @bp.post("/inventory/rooms/calendar")
    def post_calendar() -> Response:
        with store.open() as world:
            account = world.beds24
            _check(sandbox, account)
            _scope_or_401(sandbox)
            items = _items()
            _charge(sandbox, account, 1.0)
            return _json(beds24_writes.calendars(sandbox, account, items, _key()), 201)
