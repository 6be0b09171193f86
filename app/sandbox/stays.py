"""The channel's HTTP face, in both dialects: the design documents' and External API v1."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from typing import Any

from flask import Blueprint, Response, request

from app.sandbox import stays_wire
from app.sandbox.context import Sandbox
from app.sandbox.faults import spoil_answers
from app.sandbox.records import Booking, World

PAGE = 20
DEFAULT_TYPES = ("reserved", "booked", "contract")
DATE_TYPES = ("arrival", "departure", "creation", "creationorig", "included")
LOGIN_PAGE = """<!doctype html><html lang="en"><title>Sign in</title>
<form method="post" action="/stays/login"><label>E-mail <input name="email"></label>
<label>Password <input name="password" type="password"></label><button>Sign in</button></form>"""


class Refused(Exception):
    """An answer other than 200, in Stays' shape."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def _json(body: object, status: int = 200) -> Response:
    text = json.dumps(body, ensure_ascii=False)
    return Response(text, status=status, mimetype="application/json")


def _error(status: int, message: str) -> Response:
    return _json({"message": message}, status)


def blueprint(sandbox: Sandbox) -> Blueprint:
    """Everything below /stays."""
    bp = Blueprint("stays", __name__, url_prefix="/stays")
    spoil_answers(bp, sandbox.store, "stays", _error)
    bp.register_error_handler(Refused, lambda exc: _error(exc.status, exc.message))
    _simple_routes(bp, sandbox)
    _external_routes(bp, sandbox)

    @bp.route("/external/v1/", defaults={"path": ""}, methods=["GET", "POST", "PATCH", "DELETE"])
    @bp.route("/external/v1/<path:path>", methods=["GET", "POST", "PATCH", "DELETE"])
    def unknown_call(path: str) -> Response:
        return Response("not found", status=404, mimetype="text/plain")

    @bp.route("/", defaults={"path": ""}, methods=["GET", "POST"])
    @bp.route("/<path:path>", methods=["GET", "POST"])
    def login_page(path: str) -> Response:
        return Response(LOGIN_PAGE, mimetype="text/html")

    return bp


def _simple_routes(bp: Blueprint, sandbox: Sandbox) -> None:
    def check() -> None:
        kind, _, key = request.headers.get("Authorization", "").partition(" ")
        good = hmac.compare_digest(key.encode(), sandbox.keys.stays_api_key.encode())
        if kind != "Bearer" or not good:
            raise Refused(401, "invalid API key")

    @bp.get("/api/reservations")
    def reservations() -> Response:
        check()
        since = _instant(request.args.get("updated_since"))
        with sandbox.store.open(changes=False) as world:
            found = sorted(
                (b for b in world.bookings.values() if b.updated_at >= since),
                key=lambda b: (b.updated_at, b.code),
            )
            return _json({"reservations": [stays_wire.simple(world, b) for b in found]})

    @bp.get("/api/reservations/<ref>")
    def reservation(ref: str) -> Response:
        check()
        with sandbox.store.open(changes=False) as world:
            booking = world.find_booking(ref)
            if booking is None:
                raise Refused(404, "reservation not found")
            return _json(stays_wire.simple(world, booking))

    @bp.get("/api/accommodations")
    def accommodations() -> Response:
        check()
        with sandbox.store.open(changes=False) as world:
            rows = [
                {"id": unit.code, "name": unit.name, "property": unit.property_name, "active": True}
                for unit in world.listings.values()
            ]
        return _json({"accommodations": rows})


def _instant(text: str | None) -> float:
    if not text:
        return 0.0
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise Refused(400, "updated_since must be an ISO 8601 instant") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _external_routes(bp: Blueprint, sandbox: Sandbox) -> None:
    def check() -> None:
        given = request.authorization
        keys = sandbox.keys
        if given is None or given.type != "basic":
            raise Refused(401, "authentication required")
        expected = f"{keys.stays_client_id}:{keys.stays_client_secret}".encode()
        if not hmac.compare_digest(f"{given.username}:{given.password}".encode(), expected):
            raise Refused(401, "invalid credentials")

    base = "/external/v1"

    @bp.get(f"{base}/booking/reservations")
    def external_reservations() -> Response:
        check()
        wanted = _criteria(
            request.args.get("from"),
            request.args.get("to"),
            request.args.get("dateType"),
            request.args.getlist("type"),
            request.args.getlist("listingId"),
            request.args.get("_idclient"),
        )
        with sandbox.store.open(changes=False) as world:
            found = _matching(world, wanted)
            return _json([stays_wire.external(world, b) for b in _page(found)])

    @bp.get(f"{base}/booking/reservations/<ref>")
    def external_reservation(ref: str) -> Response:
        check()
        with sandbox.store.open(changes=False) as world:
            booking = world.find_booking(ref)
            if booking is None or booking.deleted:
                raise Refused(404, "Reservation not found")
            return _json(stays_wire.external(world, booking, detail=True))

    @bp.get(f"{base}/booking/clients/<ref>")
    def external_client(ref: str) -> Response:
        check()
        with sandbox.store.open(changes=False) as world:
            guest = next((b.guest for b in world.bookings.values() if b.guest.long_id == ref), None)
            if guest is None:
                raise Refused(404, "Client not found")
            return _json(stays_wire.client(world, guest))

    @bp.post(f"{base}/booking/reservations-export")
    def external_export() -> Response:
        check()
        body = request.get_json(silent=True)
        if not isinstance(body, dict):
            raise Refused(400, "a JSON object is required")
        wanted = _criteria(
            body.get("from"),
            body.get("to"),
            body.get("dateType"),
            _many(body.get("type")),
            _many(body.get("listingId")),
            body.get("_idclient"),
        )
        with sandbox.store.open(changes=False) as world:
            return _json([stays_wire.export_row(world, b) for b in _matching(world, wanted)])

    @bp.get(f"{base}/content/listings")
    def external_listings() -> Response:
        check()
        with sandbox.store.open(changes=False) as world:
            units = sorted(world.listings.values(), key=lambda unit: unit.long_id)
            return _json([stays_wire.listing(unit) for unit in _page(units)])


def _many(value: object) -> list[str]:
    if value is None:
        return []
    return [str(v) for v in value] if isinstance(value, list) else [str(value)]


def _criteria(
    first: object,
    last: object,
    date_type: object,
    types: Iterable[str],
    listings: Iterable[str],
    client: object,
) -> Callable[[World, Booking], bool]:
    """A test for a booking, from the parameters the list and the export share (§2, §6)."""
    try:
        start, end = date.fromisoformat(str(first)), date.fromisoformat(str(last))
    except ValueError:
        raise Refused(400, "from and to are required, YYYY-MM-DD") from None
    if date_type not in DATE_TYPES:
        raise Refused(400, "dateType is required: " + ", ".join(DATE_TYPES))
    wanted_types = set(types) or set(DEFAULT_TYPES)
    units = set(listings)

    def matches(world: World, booking: Booking) -> bool:
        listing = world.listing_of(booking)
        if booking.deleted or booking.type not in wanted_types:
            return False
        if units and not units & {listing.code, listing.long_id}:
            return False
        if client and booking.guest.long_id != client:
            return False
        arrival, departure = (
            date.fromisoformat(booking.check_in),
            date.fromisoformat(booking.check_out),
        )
        match date_type:
            case "arrival":
                return start <= arrival <= end
            case "departure":
                return start <= departure <= end
            case "included":
                return arrival <= end and departure >= start
        created = date.fromisoformat(stays_wire.local_day(booking.created_at, listing.time_zone))
        return start <= created <= end

    return matches


def _matching(world: World, wanted: Callable[[World, Booking], bool]) -> list[Booking]:
    found = [b for b in world.bookings.values() if wanted(world, b)]
    return sorted(found, key=lambda b: b.long_id)


def _page(rows: list[Any]) -> list[Any]:
    """`skip` and `limit`; more than 20 are never given, whatever is asked (§2)."""
    try:
        skip = int(request.args.get("skip", "0"))
        limit = int(request.args.get("limit", str(PAGE)))
    except ValueError:
        raise Refused(400, "skip and limit must be numbers") from None
    if skip < 0 or limit < 1:
        raise Refused(400, "skip and limit must be positive")
    return rows[skip : skip + min(limit, PAGE)]
