"""A small JSON door to the sandbox itself, for tests and operator commands."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request

from app.sandbox import beds24_control, bookings, demo, faults, lock_device, views
from app.sandbox.context import Sandbox


def blueprint(sandbox: Sandbox) -> Blueprint:
    """Everything below /control."""
    bp = Blueprint("control", __name__, url_prefix="/control")
    store = sandbox.store
    beds24_control.add_routes(bp, sandbox)

    @bp.errorhandler(bookings.Unknown)
    def unknown(exc: bookings.Unknown) -> tuple[Response, int]:
        return jsonify(error="no such booking"), 404

    @bp.errorhandler(KeyError)
    def missing(exc: KeyError) -> tuple[Response, int]:
        return jsonify(error="not found"), 404

    @bp.errorhandler(ValueError)
    def invalid(exc: ValueError) -> tuple[Response, int]:
        return jsonify(error=str(exc)), 400

    @bp.get("/health")
    def health() -> Response:
        with store.open(changes=False) as world:
            return jsonify(ok=True, bookings=len(world.bookings), locks=len(world.locks))

    @bp.get("/bookings")
    def list_bookings() -> Response:
        with store.open(changes=False) as world:
            return jsonify(bookings=[views.booking_view(world, b) for b in world.bookings.values()])

    @bp.post("/bookings")
    def create_booking() -> tuple[Response, int]:
        code = bookings.create(sandbox, _body())
        with store.open(changes=False) as world:
            return jsonify(views.booking_view(world, bookings.find(world, code))), 201

    @bp.get("/bookings/<ref>")
    def get_booking(ref: str) -> Response:
        with store.open(changes=False) as world:
            return jsonify(views.booking_view(world, bookings.find(world, ref)))

    @bp.patch("/bookings/<ref>")
    def change_booking(ref: str) -> Response:
        bookings.change(sandbox, ref, _body())
        return get_booking(ref)

    @bp.post("/bookings/<ref>/cancel")
    def cancel_booking(ref: str) -> Response:
        bookings.cancel(sandbox, ref)
        return get_booking(ref)

    @bp.delete("/bookings/<ref>")
    def delete_booking(ref: str) -> Response:
        bookings.delete(sandbox, ref)
        return get_booking(ref)

    @bp.get("/listings")
    def list_listings() -> Response:
        with store.open(changes=False) as world:
            rows = [
                {"code": u.code, "long_id": u.long_id, "name": u.name, "device_id": u.device_id}
                for u in world.listings.values()
            ]
        return jsonify(listings=rows)

    @bp.get("/locks")
    def list_locks() -> Response:
        now = sandbox.now()
        with store.open() as world:
            return jsonify(locks=[views.lock_view(world, k, now) for k in world.locks.values()])

    @bp.get("/locks/<device_id>")
    def get_lock(device_id: str) -> Response:
        with store.open() as world:
            return jsonify(views.lock_view(world, world.locks[device_id], sandbox.now()))

    @bp.post("/locks/<device_id>/touch")
    def touch(device_id: str) -> Response:
        with store.open() as world:
            lock_device.touch(world, world.locks[device_id], sandbox.now())
        return get_lock(device_id)

    @bp.get("/faults")
    def list_faults() -> Response:
        with store.open(changes=False) as world:
            return jsonify(faults=[views.fault_view(world, f) for f in world.faults])

    @bp.post("/faults")
    def set_fault() -> tuple[Response, int]:
        body = _body()
        with store.open() as world:
            fault = faults.switch_on(
                world,
                str(body.get("scope", "")),
                str(body.get("kind", "")),
                operation=str(body.get("operation") or ""),
                count=_number(body, "count"),
                seconds=_seconds(body),
                code=_number(body, "code"),
                message=str(body.get("message") or ""),
                chance=_number(body, "chance"),
            )
            return jsonify(views.fault_view(world, fault)), 201

    @bp.delete("/faults", defaults={"fault_id": None})
    @bp.delete("/faults/<int:fault_id>")
    def clear_faults(fault_id: int | None) -> Response:
        with store.open() as world:
            return jsonify(removed=faults.switch_off(world, fault_id))

    @bp.get("/webhooks")
    def webhooks() -> Response:
        return jsonify(webhooks=sandbox.webhooks.history())

    @bp.get("/calls")
    def calls() -> Response:
        """How often each vendor call was made; the lock cloud bills by it."""
        with store.open(changes=False) as world:
            return jsonify(calls=world.calls)

    @bp.post("/demo")
    def reset_demo() -> Response:
        """Forget everything and start the demo anew, as of now."""
        store.replace(demo.build(sandbox.clock()))
        return health()

    return bp


def _body() -> dict[str, Any]:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise ValueError("a JSON object is required")
    return body


def _number(body: dict[str, Any], name: str) -> int | None:
    value = body.get(name)
    if value is None or value == "":
        return None
    try:
        return int(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a whole number") from None


def _seconds(body: dict[str, Any]) -> float | None:
    value = body.get("seconds")
    if value is None or value == "":
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError("seconds must be a number") from None
