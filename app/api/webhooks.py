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
from app.services import beds24_intake, stays_intake
from app.services.event_intake import Received

bp = Blueprint("webhooks", __name__, url_prefix="/webhooks")
beds24 = Blueprint("beds24", __name__, url_prefix="/integrations/beds24")

MAX_BYTES = 256 * 1024
#: of a larger body no more than this is read, and thrown away
MOST_DRAINED = 8 * MAX_BYTES
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
        if event_id is None or not stays_intake.known(event_id):
            raise Unauthenticated("the timestamp is more than 5 minutes off")
    return _stored(stays_intake.receive(body, raw, dict(request.headers)))


@bp.post("/stays/<token>")
def stays_token(token: str) -> ResponseReturnValue:
    """The External API: a secret in the path; the message is a hint and is read again by id."""
    if not crypto.same(token, _secret()):
        raise Unauthenticated("the token is not valid")
    raw = _raw()
    body = json_object(raw)
    if not isinstance(body.get("action"), str):
        raise Invalid.field("action", "is required")
    return _stored(stays_intake.receive(body, raw, dict(request.headers)))


@beds24.post("/webhook")
def beds24_webhook() -> ResponseReturnValue:
    """A signature over the raw bytes, or the shared secret in a header."""
    if not any(request.headers.get(name) for name in ("X-Beds24-Signature", "X-Webhook-Token")):
        raise Unauthenticated("neither a signature nor a token came with it")
    try:
        return _stored(beds24_intake.receive(_raw(), dict(request.headers)))
    except beds24_intake.Unproven as error:
        raise Unauthenticated(str(error)) from None


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
    try:
        raw = request.get_data(cache=False)
        if len(raw) > MAX_BYTES:
            raise RequestEntityTooLarge
    except RequestEntityTooLarge:
        _drain()
        raise
    return raw


def _drain() -> None:
    """Read the rest of a body that is refused. Left unread, the connection is cut, and the sender
    misses the answer or fails with its next message."""
    stream, left = request.environ["wsgi.input"], MOST_DRAINED
    while left > 0 and (read := stream.read(min(left, MAX_BYTES))):
        left -= len(read)


def _stored(received: Received) -> ResponseReturnValue:
    return jsonify(success=True, eventId=str(received.event_id), duplicate=received.duplicate)
