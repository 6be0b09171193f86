"""Reservations: read, reprocess, revoke."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from app.api import serializers
from app.api.tokens import actor, staff_too
from app.services import credentials, reservation_lists
from app.services.reservation_lists import ReservationFilter

bp = Blueprint("reservations", __name__, url_prefix="/reservations")


@bp.get("")
@staff_too
def index() -> ResponseReturnValue:
    """A page of stays with the state of their PINs."""
    page = reservation_lists.search(ReservationFilter.from_args(request.args))
    return serializers.listing("reservations", page, serializers.reservation)


@bp.get("/<uuid:reservation_id>")
@staff_too
def show(reservation_id: UUID) -> ResponseReturnValue:
    """One stay."""
    return jsonify(serializers.reservation(reservation_lists.get(reservation_id)))


@bp.post("/<uuid:reservation_id>/reprocess")
def reprocess(reservation_id: UUID) -> ResponseReturnValue:
    """Make the PIN anew, at once; refused for cancelled stays (C-48, DECISIONS 1)."""
    job_id = credentials.reprocess(reservation_id, actor=actor())
    return jsonify(success=True, message="The PIN is being made anew.", jobId=job_id), 202


@bp.post("/<uuid:reservation_id>/revoke-pin")
def revoke_pin(reservation_id: UUID) -> ResponseReturnValue:
    """Take the PIN off its lock; works until the lock has proved that it is gone."""
    job_id = credentials.request_revoke(reservation_id, actor=actor())
    return jsonify(success=True, message="The PIN is being taken off its lock.", jobId=job_id), 202
