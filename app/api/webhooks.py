"""Webhooks of the channels: prove, store, answer; understood later (INTERFACES §6)."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge

from app import clock, crypto
from app.api.bodies import json_object
from app.api.problems import Unauthenticated
from app.errors import Invalid
from app.integrations.channels.stays_payloads import identifier, instant
from app.runtime import settings
from app.services import events

bp = Blueprint("webhooks", __name__, url_prefix="/webhooks")

MAX_BYTES = 256 * 1024
#: how far a signed message's time may be off before it counts as played back
FRESH = timedelta(minutes=5)


@bp.post("/stays/reservation")
def stays_signed() -> ResponseReturnValue:
    """The simple dialect: a signature over the raw bytes, and a time that is now."""
    raw = _raw()
    given = request.headers.get("X-Webhook-Signature", "").strip().lower()
    if not given or not crypto.same(given, crypto.signature(_secret(), raw)):
        raise Unauthenticated("the signature is not valid")
    body = json_object(raw)
    if "event" not in body:
        raise Invalid.field("event", "is required")
    said_at = instant(body.get("timestamp"))
    if said_at is None:
        raise Invalid.field("timestamp", "must be an ISO 8601 time")
    if abs(clock.utcnow() - said_at) > FRESH:
        # A late second copy of what we have is harmless; refused, it would come again and again.
        event_id = identifier(body.get("eventId"))
        if event_id is None or not events.known(event_id):
            raise Unauthenticated("the timestamp is more than 5 minutes off")
    return _store(body, raw)


@bp.post("/stays/<token>")
def stays_token(token: str) -> ResponseReturnValue:
    """The External API: a secret in the path; the message is a hint and is read again by id."""
    if not crypto.same(token, _secret()):
        raise Unauthenticated("the token is not valid")
    raw = _raw()
    body = json_object(raw)
    if not isinstance(body.get("action"), str):
        raise Invalid.field("action", "is required")
    return _store(body, raw)


def _secret() -> str:
    """Without a secret nothing can be proved, so nothing is believed."""
    secret = settings().stays_webhook_secret
    if not secret:
        raise Unauthenticated("no webhook secret is configured")
    return secret


def _raw() -> bytes:
    """The bytes as they came; 400 when there are too many."""
    # A body that comes in chunks is cut at the limit without a word: one byte more tells.
    request.max_content_length = MAX_BYTES + 1
    raw = request.get_data(cache=False)
    if len(raw) > MAX_BYTES:
        raise RequestEntityTooLarge
    return raw


def _store(body: dict[str, object], raw: bytes) -> ResponseReturnValue:
    received = events.receive(body, raw, dict(request.headers), source="stays")
    return jsonify(success=True, eventId=str(received.event_id), duplicate=received.duplicate)
