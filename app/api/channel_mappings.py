"""Channel mappings: the channel's ids for our rooms, room types and rates (CHAN-33…42)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from app.api import serializers
from app.api.bodies import body
from app.api.tokens import actor
from app.models import ChannelMapping
from app.services import channel_mapping_tests, channel_mappings
from app.services.channel_mappings import (
    ChannelMappingChanges,
    Mapped,
    MappingType,
    NewChannelMapping,
)
from app.services.inputs import Input

bp = Blueprint("channel_mappings", __name__, url_prefix="/channel-mappings")


class Trial(Input):
    """A webhook's body or a bare booking, and the type of mapping that is asked about. A payload
    that names no property can be tried at a connection."""

    payload: dict[str, Any] | list[Any]
    mappingType: MappingType = "room"  # noqa: N815 (the wire's spelling)
    channel_property_id: UUID | None = None


@bp.get("")
def index() -> ResponseReturnValue:
    page = channel_mappings.search(request.args)
    return serializers.listing("channel_mappings", page, shown)


@bp.post("")
def create() -> ResponseReturnValue:
    """201, also when a mapping that was taken away comes back."""
    mapped = channel_mappings.create(body(NewChannelMapping), actor=actor())
    return jsonify(_mapped(mapped)), 201


@bp.post("/test")
def test() -> ResponseReturnValue:
    """How a payload would land; nothing is written (CHAN-41)."""
    trial = body(Trial)
    found = channel_mapping_tests.run(
        trial.payload, trial.mappingType, channel_property_id=trial.channel_property_id
    )
    return jsonify(
        success=found.success,
        mappedInternalId=str(found.mapped_internal_id) if found.mapping_found else None,
        mappingFound=found.mapping_found,
        warnings=list(found.warnings),
    )


@bp.get("/<uuid:mapping_id>")
def show(mapping_id: UUID) -> ResponseReturnValue:
    return jsonify(shown(channel_mappings.get(mapping_id)))


@bp.put("/<uuid:mapping_id>")
def change(mapping_id: UUID) -> ResponseReturnValue:
    """409 when the body's `updated_at` is no longer the mapping's."""
    changes = body(ChannelMappingChanges)
    return jsonify(_mapped(channel_mappings.update(mapping_id, changes, actor=actor())))


@bp.delete("/<uuid:mapping_id>")
def delete(mapping_id: UUID) -> ResponseReturnValue:
    channel_mappings.delete(mapping_id, actor=actor())
    return "", 204


def shown(row: ChannelMapping) -> serializers.Json:
    """A mapping as the API shows it; one that was taken away is inactive."""
    return {
        "id": str(row.id),
        "channel_property_id": str(row.channel_property_id),
        "mapping_type": row.mapping_type,
        "internal_id": str(row.internal_id),
        "external_id": row.external_id,
        "metadata": row.meta,
        "is_active": row.is_active,
        "created_at": serializers.instant(row.created_at),
        "updated_at": serializers.instant(row.updated_at),
    }


def _mapped(found: Mapped) -> serializers.Json:
    """With the failed events that waited for this room: POST /events/batch-retry takes the ids."""
    waiting = [str(each) for each in found.waiting_event_ids]
    return {**shown(found.mapping), "waiting_events": waiting}
