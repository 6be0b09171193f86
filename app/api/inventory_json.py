"""Nights, holds, blocks and rates to JSON."""

from __future__ import annotations

from app.api.serializers import Json, day, instant, money
from app.domain.availability import Night
from app.models import InventoryHold, MaintenanceBlock, Rate
from app.services.hold_desk import HoldRow
from app.services.maintenance_blocks import Blocked


def night(found: Night) -> Json:
    return {
        "date": day(found.date),
        "total": found.total,
        "reserved": found.reserved,
        "maintenance": found.maintenance,
        "held": found.held,
        "available": found.available,
    }


def hold(row: InventoryHold) -> Json:
    return {
        "id": str(row.id),
        "reservation_id": str(row.reservation_id),
        "room_type_id": str(row.room_type_id) if row.room_type_id else None,
        "check_in": day(row.check_in),
        "check_out": day(row.check_out),
        "units_held": row.units_held,
        "hold_expires_at": instant(row.hold_expires_at),
        "status": row.status,
        "created_at": instant(row.created_at),
        "updated_at": instant(row.updated_at),
    }


def held(row: HoldRow) -> Json:
    """A hold with whom it is for."""
    stay = row.reservation
    return hold(row.hold) | {
        "reservation": {
            "id": str(stay.id),
            "status": stay.status,
            "guest_name": stay.guest_name,
            "sync_error": stay.sync_error,
        },
        "room_type": (
            {"id": str(row.room_type.id), "name": row.room_type.name} if row.room_type else None
        ),
    }


def block(row: MaintenanceBlock) -> Json:
    return {
        "id": str(row.id),
        "room_type_id": str(row.room_type_id),
        "accommodation_id": str(row.accommodation_id) if row.accommodation_id else None,
        "start_date": day(row.start_date),
        "end_date": day(row.end_date),
        "units": row.units,
        "reason": row.reason,
        "channel": row.channel,
        "external_id": row.external_id,
        "created_at": instant(row.created_at),
        "updated_at": instant(row.updated_at),
    }


def blocked(found: Blocked) -> Json:
    """A block and the nights that it overbooks."""
    return block(found.block) | {"overbooked": [day(each) for each in found.overbooked]}


def rate(row: Rate) -> Json:
    return {
        "id": str(row.id),
        "room_type_id": str(row.room_type_id),
        "date": day(row.date),
        "price": money(row.price),
        "min_stay": row.min_stay,
        "created_at": instant(row.created_at),
        "updated_at": instant(row.updated_at),
    }
