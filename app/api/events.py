"""Events: the list, one of them, and repairing what failed (DLQ-01…19)."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from pydantic import Field

from app.api import serializers
from app.api.bodies import body
from app.api.tokens import actor, staff_too
from app.errors import Invalid
from app.models import ChannelEventAttempt
from app.services import event_desk, event_lists, event_views
from app.services.event_filters import EventFilter
from app.services.event_lists import EventRow
from app.services.inputs import Input, Text

bp = Blueprint("events", __name__, url_prefix="/events")

#: what a filter in a body may say; pages and order mean nothing there
FILTERS = ("status", "property_id", "type", "direction", "from", "to", "q", "cause")

Filter = Annotated[dict[str, str], Field(json_schema_extra={"propertyNames": {"enum": [*FILTERS]}})]


class Reason(Input):
    """Why nobody has to repair it."""

    reason: Text


class Batch(Input):
    """Either the ids, or the filters of the list."""

    ids: Annotated[list[UUID], Field(max_length=event_desk.MOST)] | None = None
    filter: Filter | None = None


@bp.get("")
@staff_too
def index() -> ResponseReturnValue:
    """A page of events, newest first."""
    page = event_lists.search(EventFilter.from_args(request.args))
    return serializers.listing("events", page, _event)


@bp.get("/<uuid:event_id>")
@staff_too
def show(event_id: UUID) -> ResponseReturnValue:
    """One event with its tries; what the channel sent is for admins."""
    found = event_views.detail(event_id)
    answer = _event(found.row) | {"attempts_log": [_attempt(each) for each in found.attempts]}
    if actor().is_admin:
        answer["payload"] = found.row.event.payload
        answer["normalized_payload"] = found.row.event.normalized_payload
    return jsonify(answer)


@bp.post("/<uuid:event_id>/retry")
def retry(event_id: UUID) -> ResponseReturnValue:
    """Try a failed event again; 409 for any other."""
    event_desk.retry(event_id, actor=actor())
    return _changed(event_id)


@bp.post("/<uuid:event_id>/ignore")
def ignore(event_id: UUID) -> ResponseReturnValue:
    """Close a failed event, with a reason; 409 for any other."""
    event_desk.ignore(event_id, body(Reason).reason, actor=actor())
    return _changed(event_id)


@bp.post("/<uuid:event_id>/replay")
def replay(event_id: UUID) -> ResponseReturnValue:
    """Process a finished event again; 409 while it is in flight."""
    event_desk.replay(event_id, actor=actor())
    return _changed(event_id)


@bp.post("/batch-retry")
def batch_retry() -> ResponseReturnValue:
    """Retry many; says of each what became of it (DLQ-16)."""
    wanted = body(Batch)
    if (wanted.ids is None) == (wanted.filter is None):
        raise Invalid("either ids or filter is needed")
    ids = wanted.ids if wanted.ids is not None else event_desk.matching(_filter(wanted.filter))
    outcome = event_desk.retry_many(ids, actor=actor())
    return jsonify(
        retried=[str(each) for each in outcome.done],
        skipped=[{"id": str(each.id), "reason": each.reason} for each in outcome.skipped],
    )


def _filter(given: dict[str, str] | None) -> EventFilter:
    for name in given or {}:
        if name not in FILTERS:
            raise Invalid.field(f"filter.{name}", "is not a known filter")
    return EventFilter.from_args(given or {})


def _changed(event_id: UUID) -> ResponseReturnValue:
    return jsonify(_event(event_views.detail(event_id).row))


def _event(row: EventRow) -> serializers.Json:
    event = row.event
    return {
        "id": str(event.id),
        "channel_property_id": str(event.channel_property_id),
        "property_id": str(row.house.id),
        "direction": event.direction,
        "source": event.source,
        "event_type": event.event_type,
        "entity_type": event.entity_type,
        "entity_external_id": event.entity_external_id,
        "entity_internal_id": _text(event.entity_internal_id),
        "reservation_id": _text(row.stay.id if row.stay is not None else None),
        "idempotency_key": event.idempotency_key,
        "status": event.status,
        "attempts": event.attempts,
        "max_attempts": event.max_attempts,
        "last_error": event.last_error,
        "last_error_kind": event.last_error_kind,
        "next_attempt_at": serializers.instant(event.next_attempt_at),
        "received_at": serializers.instant(event.received_at),
        "processed_at": serializers.instant(event.processed_at),
        "created_at": serializers.instant(event.created_at),
        "updated_at": serializers.instant(event.updated_at),
    }


def _attempt(each: ChannelEventAttempt) -> serializers.Json:
    return {
        "number": each.number,
        "started_at": serializers.instant(each.started_at),
        "finished_at": serializers.instant(each.finished_at),
        "outcome": each.outcome,
        "error_kind": each.error_kind,
        "error": each.error,
    }


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
