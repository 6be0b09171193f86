"""Mappings: which lock opens which accommodation."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from app.api import serializers
from app.api.bodies import body
from app.api.tokens import actor
from app.services import list_args, mapping_log, mappings
from app.services.inputs import Input

bp = Blueprint("mappings", __name__, url_prefix="/mappings")


class NewMapping(Input):
    """`confirm` says that the guests who lose their PIN are known."""

    accommodationId: UUID  # noqa: N815 (the wire's spelling)
    lockId: UUID  # noqa: N815
    confirm: bool = False


@bp.get("")
def index() -> ResponseReturnValue:
    return serializers.listing("mappings", mappings.search(request.args), serializers.mapping)


@bp.get("/log")
def log() -> ResponseReturnValue:
    """Every attempt to pair or part, newest first (LOCK-04)."""
    return serializers.listing("log", mapping_log.search(request.args), serializers.mapping_attempt)


@bp.post("")
def create() -> ResponseReturnValue:
    """201 for a new pair, 200 for the pair that is there already."""
    new = body(NewMapping)
    mapped = mappings.map_lock(new.accommodationId, new.lockId, actor=actor(), confirm=new.confirm)
    return jsonify(serializers.mapping(mapped.row)), 201 if mapped.changed else 200


@bp.delete("/<uuid:accommodation_id>")
def delete(accommodation_id: UUID) -> ResponseReturnValue:
    confirm = bool(list_args.flag(request.args, "confirm"))
    mappings.unmap(accommodation_id, actor=actor(), confirm=confirm)
    return "", 204
