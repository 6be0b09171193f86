"""Connections of properties to channels: list, read, create, change."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from app.api import serializers
from app.api.bodies import body
from app.api.tokens import actor
from app.models import ChannelProperty
from app.services import channel_accounts, channel_properties
from app.services.channel_properties import ChannelPropertyChanges, NewChannelProperty


def shown(row: ChannelProperty, account_origin: str | None) -> dict[str, object]:
    """A connection as the API shows it; secrets are write-only. `account_origin` is where the
    tokens come from that speak for it: `invite`, `token`, `environment` or null."""
    return {
        "id": str(row.id),
        "property_id": str(row.property_id),
        "channel_name": row.channel_name,
        "channel_property_id": row.channel_property_id,
        "config": row.config,
        "status": row.status,
        "status_reason": row.status_reason,
        "has_account": row.account_id is not None,
        "account_origin": account_origin,
        "has_webhook_secret": row.webhook_secret_encrypted is not None,
        "last_sync_at": serializers.instant(row.last_sync_at),
        "last_webhook_at": serializers.instant(row.last_webhook_at),
        "last_outbound_success_at": serializers.instant(row.last_outbound_success_at),
        "created_at": serializers.instant(row.created_at),
        "updated_at": serializers.instant(row.updated_at),
    }


def _one(row: ChannelProperty) -> dict[str, object]:
    return shown(row, channel_accounts.origins([row])[row.id])


bp = Blueprint("channel_properties", __name__, url_prefix="/channel-properties")


@bp.get("")
def index() -> ResponseReturnValue:
    page = channel_properties.search(request.args)
    origins = channel_accounts.origins(page.items)
    return serializers.listing("channel_properties", page, lambda row: shown(row, origins[row.id]))


@bp.post("")
def create() -> ResponseReturnValue:
    row = channel_properties.create(body(NewChannelProperty), actor=actor())
    return jsonify(_one(row)), 201


@bp.get("/<uuid:channel_property_id>")
def show(channel_property_id: UUID) -> ResponseReturnValue:
    return jsonify(_one(channel_properties.get(channel_property_id)))


@bp.patch("/<uuid:channel_property_id>")
def change(channel_property_id: UUID) -> ResponseReturnValue:
    changes = body(ChannelPropertyChanges)
    row = channel_properties.change(channel_property_id, changes, actor=actor())
    return jsonify(_one(row))
