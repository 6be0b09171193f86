"""Accommodations: list, read, create, change, remove, and the overview of what has a lock."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from app.api import serializers
from app.api.bodies import body
from app.api.tokens import actor
from app.services import accommodation_sync, accommodations, list_args
from app.services.accommodations import AccommodationChanges, NewAccommodation

bp = Blueprint("accommodations", __name__, url_prefix="/accommodations")


@bp.get("")
def index() -> ResponseReturnValue:
    return serializers.listing(
        "accommodations", accommodations.search(request.args), serializers.accommodation
    )


@bp.get("/overview")
def overview() -> ResponseReturnValue:
    """Everything the mapping page needs; not paged."""
    return jsonify(serializers.overview(accommodations.overview()))


@bp.post("")
def create() -> ResponseReturnValue:
    row = accommodations.create(body(NewAccommodation), actor=actor())
    return jsonify(serializers.accommodation(row)), 201


@bp.post("/sync")
def sync() -> ResponseReturnValue:
    """Read a channel's list of units in the background, Stays' or `?channel=beds24`'s; 409 while
    that goes on."""
    channel = list_args.choice(request.args, "channel", accommodation_sync.CHANNELS)
    row = accommodation_sync.start(
        trigger="manual",
        channel=channel or accommodation_sync.STAYS,
        actor=actor(),
    )
    return jsonify(serializers.accommodation_sync(row)), 202


@bp.get("/syncs")
def syncs() -> ResponseReturnValue:
    return serializers.listing(
        "syncs", accommodation_sync.search(request.args), serializers.accommodation_sync
    )


@bp.get("/syncs/<uuid:sync_id>")
def show_sync(sync_id: UUID) -> ResponseReturnValue:
    """Totals, and what could not be taken in and why."""
    return jsonify(serializers.accommodation_sync(accommodation_sync.get(sync_id)))


@bp.get("/<uuid:accommodation_id>")
def show(accommodation_id: UUID) -> ResponseReturnValue:
    return jsonify(serializers.accommodation(accommodations.get(accommodation_id)))


@bp.patch("/<uuid:accommodation_id>")
def change(accommodation_id: UUID) -> ResponseReturnValue:
    """409 naming the guests while PINs on the lock are concerned, until `confirm` is sent."""
    row = accommodations.change(accommodation_id, body(AccommodationChanges), actor=actor())
    return jsonify(serializers.accommodation(row))


@bp.delete("/<uuid:accommodation_id>")
def delete(accommodation_id: UUID) -> ResponseReturnValue:
    accommodations.delete(accommodation_id, actor=actor())
    return "", 204
