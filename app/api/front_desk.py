"""Check guests in and out; a refusal is a 409 with every reason at once (INTERFACES §5)."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from app.api import serializers
from app.api.bodies import optional_body
from app.api.tokens import actor, staff_too
from app.services import front_desk, reservation_lists
from app.services.inputs import Input

bp = Blueprint("front_desk", __name__, url_prefix="/reservations")


class Arrival(Input):
    """The room for a stay that has none yet, or another than the one it has."""

    accommodation_id: UUID | None = None


@bp.post("/<uuid:reservation_id>/check-in")
@staff_too
def check_in(reservation_id: UUID) -> ResponseReturnValue:
    """A stay without a room gets the best free one of its type unless the body names one."""
    wanted = optional_body(Arrival).accommodation_id
    front_desk.check_in(reservation_id, actor=actor(), accommodation_id=wanted)
    return jsonify(serializers.reservation(reservation_lists.get(reservation_id)))


@bp.post("/<uuid:reservation_id>/check-out")
@staff_too
def check_out(reservation_id: UUID) -> ResponseReturnValue:
    """The stay is over and its room needs cleaning."""
    front_desk.check_out(reservation_id, actor=actor())
    return jsonify(serializers.reservation(reservation_lists.get(reservation_id)))
