"""The control API for Beds24: bookings, calendars, invite codes and how the account behaves."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from flask import Blueprint, Response, jsonify, request

from app.sandbox import beds24_account, beds24_bookings, beds24_queries, beds24_wire
from app.sandbox.beds24_records import Beds24Settings
from app.sandbox.context import Sandbox

CHOICES = {"webhook_shape": ("v2", "v2_array", "design"), "webhook_proof": ("token", "hmac")}


def add_routes(bp: Blueprint, sandbox: Sandbox) -> None:
    """Everything below /control/beds24. Bookings are read and written in the API's own words."""
    store = sandbox.store

    @bp.errorhandler(beds24_bookings.Unknown)
    def unknown_beds24(exc: beds24_bookings.Unknown) -> tuple[Response, int]:
        return jsonify(error="no such booking"), 404

    @bp.get("/beds24/bookings")
    def list_beds24_bookings() -> Response:
        with store.open(changes=False) as world:
            rows = [b for b in world.beds24.bookings.values() if not b.deleted]
            return jsonify(bookings=[beds24_wire.booking(b) for b in rows])

    @bp.get("/beds24/bookings/<ref>")
    def get_beds24_booking(ref: str) -> Response:
        with store.open(changes=False) as world:
            booking = world.beds24.booking(ref)
            if booking is None:
                raise beds24_bookings.Unknown(ref)
            return jsonify(beds24_wire.booking(booking))

    @bp.post("/beds24/bookings")
    def create_beds24_booking() -> tuple[Response, int]:
        return get_beds24_booking(str(beds24_bookings.create(sandbox, _body()))), 201

    @bp.patch("/beds24/bookings/<ref>")
    def change_beds24_booking(ref: str) -> Response:
        beds24_bookings.change(sandbox, ref, _body())
        return get_beds24_booking(ref)

    @bp.post("/beds24/bookings/<ref>/cancel")
    def cancel_beds24_booking(ref: str) -> Response:
        beds24_bookings.cancel(sandbox, ref)
        return get_beds24_booking(ref)

    @bp.delete("/beds24/bookings/<ref>")
    def delete_beds24_booking(ref: str) -> Response:
        beds24_bookings.delete(sandbox, ref)
        return jsonify(deleted=int(ref))

    @bp.get("/beds24/properties")
    def list_beds24_properties() -> Response:
        with store.open(changes=False) as world:
            houses = world.beds24.properties.values()
            return jsonify(properties=[beds24_wire.house(h, with_rooms=True) for h in houses])

    @bp.post("/beds24/rooms/<int:room_id>/calendar")
    def set_beds24_calendar(room_id: int) -> Response:
        """`{"calendar": [{from, to, numAvail, minStay, price1}]}`, as someone in the panel would;
        the product is told which room changed."""
        set_calendar(sandbox, room_id, _body().get("calendar"))
        return jsonify(roomId=room_id)

    @bp.post("/beds24/invites")
    def make_beds24_invite() -> tuple[Response, int]:
        with store.open() as world:
            return jsonify(code=beds24_account.make_invite(world.beds24, sandbox.now())), 201

    @bp.get("/beds24/settings")
    def get_beds24_settings() -> Response:
        with store.open(changes=False) as world:
            account = world.beds24
            return jsonify(asdict(account.settings) | {"credits_used": account.used})

    @bp.patch("/beds24/settings")
    def change_beds24_settings() -> Response:
        with store.open() as world:
            change_settings(world.beds24.settings, _body())
        return get_beds24_settings()


def set_calendar(sandbox: Sandbox, room_id: object, ranges: object) -> None:
    """Set nights of a room as in the panel; the product is told which room changed. Raises KeyError
    for an unknown room, ValueError naming the faulty value."""
    with sandbox.store.open() as world:
        room = world.beds24.room(room_id)
        if room is None:
            raise KeyError(room_id)
        if not isinstance(ranges, list):
            raise ValueError("calendar must be a list of ranges")
        beds24_queries.set_calendar(world.beds24, room, ranges)
    beds24_bookings.tell_room(sandbox, room)


def change_settings(settings: Beds24Settings, wanted: dict[str, Any]) -> None:
    """Set the named ones, all or none. Raises ValueError naming the faulty one."""
    kinds = {field.name: type(getattr(settings, field.name)) for field in fields(settings)}
    for name, value in wanted.items():
        kind = kinds.get(name)
        if kind is None:
            raise ValueError(f"there is no setting {name!r}")
        allowed = CHOICES.get(name)
        if allowed is not None:
            if value not in allowed:
                raise ValueError(f"{name} must be one of " + ", ".join(allowed))
        elif kind is bool:
            if not isinstance(value, bool):
                raise ValueError(f"{name} must be true or false")
        elif isinstance(value, bool) or not isinstance(value, int | float) or value < 1:
            raise ValueError(f"{name} must be a number from 1")
    for name, value in wanted.items():
        setattr(settings, name, kinds[name](value))


def _body() -> dict[str, Any]:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise ValueError("a JSON object is required")
    return body
