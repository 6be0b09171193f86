"""Reconciliation: how it is doing, its runs, and starting one."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from pydantic import AwareDatetime

from app.api import serializers
from app.api.bodies import body
from app.api.narrow import one_of
from app.api.tokens import actor, staff_too
from app.models.reconciliation import RUN_KINDS
from app.services import list_args, reconciliation
from app.services.inputs import Input, Text
from app.services.reconciliation import RunFilter

bp = Blueprint("reconciliation", __name__, url_prefix="/reconciliation")


class NewRun(Input):
    """`since` reads from an earlier moment (a backfill), bookings of Beds24 from stays that end on
    its day or later; a dry run only plans."""

    kind: Annotated[str, one_of(RUN_KINDS)]
    property_id: UUID | None = None
    since: AwareDatetime | None = None
    dry_run: bool = False


class Application(Input):
    """The plan that is meant, so that another one is not applied by mistake."""

    plan_hash: Text


@bp.get("/status")
@staff_too
def status() -> ResponseReturnValue:
    """The last run, the next one and the schedule of a kind (STAY-52…58), at one property if it is
    named."""
    kind = list_args.choice(request.args, "kind", RUN_KINDS) or "stays"
    property_id = list_args.key(request.args, "property_id")
    return jsonify(data=reconciliation.status(kind, property_id))


@bp.get("/runs")
@staff_too
def index() -> ResponseReturnValue:
    """A page of runs, newest first."""
    page = reconciliation.runs(RunFilter.from_args(request.args))
    return serializers.listing("runs", page, serializers.run)


@bp.get("/runs/<uuid:run_id>")
@staff_too
def show(run_id: UUID) -> ResponseReturnValue:
    """One run, with its plan when it has one."""
    row = reconciliation.get(run_id)
    return jsonify({**serializers.run(row), "plan": row.plan})


@bp.post("/runs")
def create() -> ResponseReturnValue:
    """Put a run in line, with Beds24 one for each connected property unless one is named; 409 while
    one of its kind and property is under way."""
    new = body(NewRun)
    opened = reconciliation.start_all(
        new.kind,
        trigger="manual",
        actor=actor(),
        since=new.since,
        property_id=new.property_id,
        dry_run=new.dry_run,
    )
    ids = [str(run_id) for run_id in opened]
    return jsonify(runId=ids[0], runIds=ids), 202


@bp.post("/runs/<uuid:run_id>/apply")
def apply(run_id: UUID) -> ResponseReturnValue:
    """Apply the plan of a dry or a stopped run; 409 when the world has changed (DECISIONS 7)."""
    plan_hash = body(Application).plan_hash
    started = reconciliation.apply(run_id, plan_hash, actor=actor())
    return jsonify(runId=str(started)), 202
