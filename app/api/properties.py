"""Properties and room types: list, read, create."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from app.api import serializers
from app.api.bodies import body
from app.api.tokens import actor
from app.services import properties
from app.services.properties import NewProperty, NewRoomType

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
