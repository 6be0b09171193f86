"""Properties and room types: list, read, create, change, remove."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from app.api import serializers
from app.api.bodies import body
from app.api.tokens import actor
from app.services import onboarding, properties
from app.services.properties import (
    NewProperty,
    NewRoomType,
    PropertyChanges,
    RoomTypeChanges,
)

bp = Blueprint("properties", __name__, url_prefix="/properties")
room_types = Blueprint("room_types", __name__, url_prefix="/room-types")


@bp.get("")
def index() -> ResponseReturnValue:
    return serializers.listing("properties", properties.search(request.args), serializers.property_)


@bp.post("")
def create() -> ResponseReturnValue:
    row = properties.create(body(NewProperty), actor=actor())
    return jsonify(serializers.property_(row)), 201


@bp.get("/<uuid:property_id>")
def show(property_id: UUID) -> ResponseReturnValue:
    return jsonify(serializers.property_(properties.get(property_id)))


@bp.patch("/<uuid:property_id>")
def change(property_id: UUID) -> ResponseReturnValue:
    """409 naming the guests while PINs on locks would move, until `confirm` is sent."""
    row = properties.change(property_id, body(PropertyChanges), actor=actor())
    return jsonify(serializers.property_(row))


@bp.post("/<uuid:property_id>/preview")
def preview(property_id: UUID) -> ResponseReturnValue:
    """What such a PATCH would do to stays and PINs; nothing is changed."""
    found = properties.preview_change(property_id, body(PropertyChanges))
    return jsonify(serializers.consequences(found))


@bp.get("/<uuid:property_id>/onboarding")
def show_onboarding(property_id: UUID) -> ResponseReturnValue:
    """What the property still needs before its doors open by PIN."""
    return jsonify(serializers.onboarding(onboarding.steps(property_id)))


@bp.delete("/<uuid:property_id>")
def delete(property_id: UUID) -> ResponseReturnValue:
    properties.delete(property_id, actor=actor())
    return "", 204


@room_types.get("")
def room_type_index() -> ResponseReturnValue:
    return serializers.listing(
        "room_types", properties.search_room_types(request.args), serializers.room_type
    )


@room_types.post("")
def create_room_type() -> ResponseReturnValue:
    row = properties.create_room_type(body(NewRoomType), actor=actor())
    return jsonify(serializers.room_type(row)), 201


@room_types.get("/<uuid:room_type_id>")
def show_room_type(room_type_id: UUID) -> ResponseReturnValue:
    return jsonify(serializers.room_type(properties.get_room_type(room_type_id)))


@room_types.patch("/<uuid:room_type_id>")
def change_room_type(room_type_id: UUID) -> ResponseReturnValue:
    row = properties.change_room_type(room_type_id, body(RoomTypeChanges), actor=actor())
    return jsonify(serializers.room_type(row))


@room_types.delete("/<uuid:room_type_id>")
def delete_room_type(room_type_id: UUID) -> ResponseReturnValue:
    properties.delete_room_type(room_type_id, actor=actor())
    return "", 204
