"""How a property stands with its channels (CHAN-43…47)."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from app.api import serializers
from app.services import channel_status
from app.services.channel_completeness import Completeness, Ratio
from app.services.channel_status import ChannelStatus

bp = Blueprint("channel_status", __name__, url_prefix="/channel-status")


@bp.get("/<uuid:property_id>")
def show(property_id: UUID) -> ResponseReturnValue:
    """Beds24's figures at the top, and one object per channel under `channels`."""
    found = channel_status.of(property_id)
    return jsonify(
        {
            "property_id": str(found.property_id),
            "beds24_connected": found.beds24.connected,
            **_figures(found.beds24),
            "channels": [_channel(each) for each in found.channels],
        }
    )


def _channel(found: ChannelStatus) -> serializers.Json:
    row = found.connection
    return {
        "id": str(row.id) if row else None,
        "channel_property_id": row.channel_property_id if row else None,
        "connected": found.connected,
        "status": row.status if row else None,
        "status_reason": row.status_reason if row else None,
        "last_sync_at": serializers.instant(row.last_sync_at) if row else None,
        **_figures(found),
    }


def _figures(found: ChannelStatus) -> serializers.Json:
    row, depths = found.connection, found.depths
    return {
        "channel_name": found.channel_name,
        "last_webhook_at": serializers.instant(row.last_webhook_at) if row else None,
        "last_outbound_success_at": (
            serializers.instant(row.last_outbound_success_at) if row else None
        ),
        "failed_events_24h": depths.failed_24h,
        "mapping_completeness": _completeness(found.completeness),
        "queue_depths": {
            "inbound": depths.inbound,
            "outbound": depths.outbound,
            "dlq": depths.dlq,
        },
    }


def _completeness(found: Completeness) -> serializers.Json:
    return {
        "rooms": _ratio(found.rooms),
        "room_types": _ratio(found.room_types),
        "rates": _ratio(found.rates),
    }


def _ratio(found: Ratio) -> serializers.Json:
    return {"mapped": found.mapped, "total": found.total, "percentage": found.percentage}
