"""Rooms: their status and housekeeping, and the comparison with their bookings on demand."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from app.api import serializers
from app.api.bodies import body
from app.api.tokens import actor, staff_too
from app.models import Accommodation, RoomStatusChange
from app.services import room_status, rooms
from app.services.room_status import Repair
from app.services.rooms import RoomChanges

bp = Blueprint("rooms", __name__, url_prefix="/rooms")


@bp.get("")
@staff_too
def index() -> ResponseReturnValue:
    """A page of active rooms."""
    return serializers.listing("rooms", rooms.search(request.args), _room)


@bp.get("/<uuid:room_id>")
@staff_too
def show(room_id: UUID) -> ResponseReturnValue:
    """One room with its latest changes."""
    row = _room(rooms.get(room_id))
    return jsonify(row | {"changes": [_change(c) for c in rooms.history(room_id)]})


@bp.patch("/<uuid:room_id>")
@staff_too
def change(room_id: UUID) -> ResponseReturnValue:
    """Set status or housekeeping; 409 with every reason when its bookings contradict it."""
    return jsonify(_room(rooms.change(room_id, body(RoomChanges), actor=actor())))


@bp.post("/sync")
def sync() -> ResponseReturnValue:
    """Compare every room with its bookings and repair what differs (ROOM-14)."""
    return jsonify(_repair(room_status.sync(actor=actor().label)))


def _room(row: Accommodation) -> serializers.Json:
    return {
        "id": str(row.id),
        "number": row.number,
        "name": row.name,
        "status": row.status,
        "housekeeping": row.housekeeping,
        "property_id": str(row.property_id),
        "room_type_id": str(row.room_type_id) if row.room_type_id else None,
        "updated_at": serializers.instant(row.updated_at),
    }


def _change(row: RoomStatusChange) -> serializers.Json:
    return {
        "accommodation_id": str(row.accommodation_id),
        "axis": row.axis,
        "from_status": row.from_status,
        "to_status": row.to_status,
        "reason": row.reason,
        "actor": row.actor,
        "created_at": serializers.instant(row.created_at),
    }


def _repair(found: Repair) -> serializers.Json:
    return {
        "fixed": found.fixed,
        "details": [
            {
                "roomNumber": move.room.number,
                "from": move.room.status,
                "to": str(move.status),
                "reason": move.reason,
            }
            for move in found.details
        ],
    }
