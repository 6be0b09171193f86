"""Connections of properties to channels: list, read, create, change."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from app.api import serializers
from app.api.bodies import body
from app.api.tokens import actor
from app.services import channel_properties
from app.services.channel_properties import ChannelPropertyChanges, NewChannelProperty

bp = Blueprint("channel_properties", __name__, url_prefix="/channel-properties")


@bp.get("")
def index() -> ResponseReturnValue:
    page = channel_properties.search(request.args)
    return serializers.listing("channel_properties", page, serializers.channel_property)


@bp.post("")
def create() -> ResponseReturnValue:
    row = channel_properties.create(body(NewChannelProperty), actor=actor())
    return jsonify(serializers.channel_property(row)), 201


@bp.get("/<uuid:channel_property_id>")
def show(channel_property_id: UUID) -> ResponseReturnValue:
    return jsonify(serializers.channel_property(channel_properties.get(channel_property_id)))


@bp.patch("/<uuid:channel_property_id>")
def change(channel_property_id: UUID) -> ResponseReturnValue:
    changes = body(ChannelPropertyChanges)
    row = channel_properties.change(channel_property_id, changes, actor=actor())
    return jsonify(serializers.channel_property(row))
