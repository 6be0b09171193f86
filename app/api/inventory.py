"""What is left to sell, what is kept for whom, what is closed and what it costs."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from app.api import inventory_json, serializers
from app.api.bodies import body
from app.api.tokens import actor, staff_too
from app.errors import Invalid
from app.services import availability, hold_desk, list_args, maintenance_blocks, rates
from app.services.hold_desk import Extension
from app.services.maintenance_blocks import BlockChanges, NewBlock
from app.services.rates import NewRate, RateChanges

free = Blueprint("availability", __name__, url_prefix="/availability")
kept = Blueprint("holds", __name__, url_prefix="/holds")
closed = Blueprint("maintenance_blocks", __name__, url_prefix="/maintenance-blocks")
prices = Blueprint("rates", __name__, url_prefix="/rates")


@free.get("")
@staff_too
def nights() -> ResponseReturnValue:
    """The nights `from` up to and without `to` of a room type; `available` may be negative."""
    room_type_id = list_args.key(request.args, "room_type_id")
    first, last = list_args.day(request.args, "from"), list_args.day(request.args, "to")
    if room_type_id is None:
        raise Invalid.field("room_type_id", "is required")
    if first is None:
        raise Invalid.field("from", "is required")
    if last is None:
        raise Invalid.field("to", "is required")
    found = availability.show(room_type_id, first, last)
    return jsonify(nights=[inventory_json.night(each) for each in found])


@kept.get("")
def holds() -> ResponseReturnValue:
    """What is kept aside until when, and what became of earlier holds."""
    return serializers.listing("holds", hold_desk.search(request.args), inventory_json.held)


@kept.get("/<uuid:hold_id>")
def hold(hold_id: UUID) -> ResponseReturnValue:
    return jsonify(inventory_json.held(hold_desk.get(hold_id)))


@kept.post("/<uuid:hold_id>/release")
def release(hold_id: UUID) -> ResponseReturnValue:
    """Give the unit back; the booking that waited for its channel fails with it."""
    return jsonify(inventory_json.held(hold_desk.release(hold_id, actor=actor())))


@kept.post("/<uuid:hold_id>/extend")
def extend(hold_id: UUID) -> ResponseReturnValue:
    """Add `minutes` to the end of the hold; 409 beyond the cap."""
    found = hold_desk.extend(hold_id, body(Extension), actor=actor())
    return jsonify(inventory_json.held(found))


@closed.get("")
def blocks() -> ResponseReturnValue:
    found = maintenance_blocks.search(request.args)
    return serializers.listing("maintenance_blocks", found, inventory_json.block)


@closed.post("")
def create_block() -> ResponseReturnValue:
    """Take units off sale; `overbooked` names the nights that were sold already."""
    found = maintenance_blocks.create(body(NewBlock), actor=actor())
    return jsonify(inventory_json.blocked(found)), 201


@closed.get("/<uuid:block_id>")
def block(block_id: UUID) -> ResponseReturnValue:
    return jsonify(inventory_json.block(maintenance_blocks.get(block_id)))


@closed.patch("/<uuid:block_id>")
def change_block(block_id: UUID) -> ResponseReturnValue:
    found = maintenance_blocks.change(block_id, body(BlockChanges), actor=actor())
    return jsonify(inventory_json.blocked(found))


@closed.delete("/<uuid:block_id>")
def delete_block(block_id: UUID) -> ResponseReturnValue:
    maintenance_blocks.remove(block_id, actor=actor())
    return "", 204


@prices.get("")
def rate_index() -> ResponseReturnValue:
    return serializers.listing("rates", rates.search(request.args), inventory_json.rate)


@prices.post("")
def put_rates() -> ResponseReturnValue:
    """Price one `date` (answered bare) or every night `from` up to and without `to` (a list)."""
    new = body(NewRate)
    found = [inventory_json.rate(row) for row in rates.put(new, actor=actor())]
    return jsonify(found[0] if new.single else {"rates": found}), 201


@prices.get("/<uuid:rate_id>")
def rate(rate_id: UUID) -> ResponseReturnValue:
    return jsonify(inventory_json.rate(rates.get(rate_id)))


@prices.patch("/<uuid:rate_id>")
def change_rate(rate_id: UUID) -> ResponseReturnValue:
    return jsonify(inventory_json.rate(rates.change(rate_id, body(RateChanges), actor=actor())))


@prices.delete("/<uuid:rate_id>")
def delete_rate(rate_id: UUID) -> ResponseReturnValue:
    rates.remove(rate_id, actor=actor())
    return "", 204
