"""Discrepancies: what the two sides disagree on, and deciding it; admins only (INTERFACES §5)."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from pydantic import Field

from app.api import serializers
from app.api.bodies import body
from app.api.narrow import one_of
from app.api.problems import problem
from app.api.tokens import actor
from app.errors import Invalid, NotFound, Stale
from app.services import discrepancy_desk, discrepancy_lists
from app.services.discrepancy_lists import DiscrepancyFilter, Row
from app.services.inputs import Input

bp = Blueprint("discrepancies", __name__, url_prefix="/discrepancies")

#: what a rule in a body may say; pages and order mean nothing there
RULES = ("kind", "severity", "property_id", "room_type_id", "reservation_id", "external_id", "q")

#: judged by the service; told to whoever reads the API's description
Action = Annotated[str, one_of(discrepancy_desk.ACTIONS)]
Note = Annotated[str, Field(json_schema_extra={"maxLength": discrepancy_desk.MAX_NOTE})]
Rule = Annotated[dict[str, str], Field(json_schema_extra={"propertyNames": {"enum": [*RULES]}})]


class Verdict(Input):
    """What is decided; `fingerprint` is that of what was looked at."""

    action: Action
    note: Note | None = None
    fingerprint: str | None = None


class Verdicts(Input):
    """The same for many: either the ids, or the filters of the list."""

    action: Action
    note: Note | None = None
    ids: Annotated[list[UUID], Field(max_length=discrepancy_desk.MOST)] | None = None
    filter: Rule | None = None


@bp.get("")
def index() -> ResponseReturnValue:
    """A page of discrepancies, those opened last first."""
    page = discrepancy_lists.search(DiscrepancyFilter.from_args(request.args))
    return serializers.listing("discrepancies", page, _discrepancy)


@bp.get("/<uuid:discrepancy_id>")
def show(discrepancy_id: UUID) -> ResponseReturnValue:
    return _answer(discrepancy_id)


@bp.post("/<uuid:discrepancy_id>/resolve")
def resolve(discrepancy_id: UUID) -> ResponseReturnValue:
    """Carry out a verdict; 409 when it is decided already or cannot be done, and with the
    `discrepancy` as it is now when a side has changed since it was shown."""
    wanted = body(Verdict)
    try:
        discrepancy_desk.resolve(
            discrepancy_id,
            wanted.action,
            wanted.note,
            actor=actor(),
            seen=wanted.fingerprint,
        )
    except Stale as error:
        return problem(409, error.message, discrepancy=_discrepancy(_read(discrepancy_id)))
    return _answer(discrepancy_id)


@bp.post("/resolve")
def resolve_many() -> ResponseReturnValue:
    """The same verdict for many; says of each what became of it."""
    wanted = body(Verdicts)
    if (wanted.ids is None) == (wanted.filter is None):
        raise Invalid("either ids or filter is needed")
    ids = wanted.ids if wanted.ids is not None else _matching(wanted.filter or {})
    outcome = discrepancy_desk.resolve_many(ids, wanted.action, wanted.note, actor=actor())
    return jsonify(
        resolved=[str(each) for each in outcome.resolved],
        skipped=[{"id": str(each.id), "reason": each.reason} for each in outcome.skipped],
    )


def _matching(given: dict[str, str]) -> list[UUID]:
    """The open ones a rule names. Raises Invalid for no rule, an unknown one, or too many."""
    for name in given:
        if name not in RULES:
            raise Invalid.field(f"filter.{name}", "is not a known filter")
    if not any(given.values()):
        raise Invalid.field("filter", "must name a rule: all at once is not decided blindly")
    found = discrepancy_lists.matching_ids(
        DiscrepancyFilter.from_args(given), discrepancy_desk.MOST + 1
    )
    if len(found) > discrepancy_desk.MOST:
        raise Invalid.field("filter", f"must match at most {discrepancy_desk.MOST}")
    return found


def _answer(discrepancy_id: UUID) -> ResponseReturnValue:
    return jsonify(_discrepancy(_read(discrepancy_id)))


def _read(discrepancy_id: UUID) -> Row:
    found = discrepancy_lists.read(discrepancy_id)
    if found is None:
        raise NotFound(discrepancy_desk.NOT_FOUND)
    return found


def _discrepancy(each: Row) -> serializers.Json:
    row = each.row
    # One that is open again keeps its last verdict for the page; here it is undecided.
    last = None if row.status == "open" else row
    return {
        "id": str(row.id),
        "property_id": str(each.property_id),
        "channel_property_id": str(row.channel_property_id),
        "kind": row.kind,
        "subject": row.subject,
        "reservation_id": _text(row.reservation_id),
        "external_id": row.external_id,
        "room_type_id": _text(row.room_type_id),
        "first_day": serializers.day(row.first_day),
        "last_day": serializers.day(row.last_day),
        "status": row.status,
        "severity": row.severity,
        "reason": row.reason,
        "ours": row.ours,
        "theirs": row.theirs,
        "fingerprint": row.fingerprint,
        "note": last and last.note,
        "action": last and last.action,
        "opened_at": serializers.instant(row.opened_at),
        "last_seen_at": serializers.instant(row.last_seen_at),
        "last_run_id": _text(row.last_run_id),
        "times_opened": row.times_opened,
        "closed_at": serializers.instant(last.closed_at) if last else None,
        "closed_by": last and last.closed_by,
        "created_at": serializers.instant(row.created_at),
    }


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
