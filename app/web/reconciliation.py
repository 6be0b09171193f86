"""Reconciliation: does it run, how long does it take, what did it change; and run it now."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l

from app import clock
from app.domain.states import RunStatus
from app.errors import Conflict, Unavailable
from app.models import ReconciliationLog
from app.runtime import settings
from app.services import reconciliation, reconciliation_views
from app.services.reconciliation import RunFilter
from app.web import navigation
from app.web import reconciliation_figures as figures
from app.web.dates import gettext as _
from app.web.rendering import empty, here, is_htmx, render, stand_for, unchanged
from app.web.reservations import STATUSES
from app.web.sessions import current_actor, login_required, require_user, role_required

bp = Blueprint("reconciliation", __name__, url_prefix="/reconciliation")

KINDS = {"stays": (_l("Stays"), _l("every 30 min"))}
CHANNELS = {"stays": "stays"}
SHOWS = {"all": _l("All"), "failed": _l("Failed")}
LIMITS = (25, 50, 100)
ACTIONS = {
    "create": ("ok", "plus", _l("Create")),
    "update": ("info", "retry", _l("Change")),
    "move": ("warn", "arrow", _l("Move")),
    "cancel": ("bad", "x", _l("Cancel")),
}


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    """How it is doing; a poll that would see the same gets 204."""
    return _index()


@bp.post("/run")
@role_required("admin")
def run() -> ResponseReturnValue:
    """Put a run in line, dry or for good; 409 while one is under way (STAY-04)."""
    kind = request.form.get("kind", "stays")
    dry_run = request.form.get("dry_run") == "true"
    try:
        run_id = reconciliation.start(
            kind, trigger="manual", requested_by=current_actor().user_id, dry_run=dry_run
        )
    except Conflict:
        return _index(409, notice=_("A run is under way already"))
    except Unavailable as refused:
        return _index(503, notice=_("Stays is not set up"), text=refused.message)
    if dry_run:
        return redirect(url_for(".show", run_id=run_id), 303)
    if is_htmx():
        return _index()
    return redirect(url_for(".index"), 303)


def _index(status: int = 200, *, notice: str = "", text: str = "") -> ResponseReturnValue:
    stand_for(f"{bp.name}.index")
    kind = request.values.get("kind", "stays")
    kind = kind if kind in KINDS else "stays"
    show = "failed" if request.args.get("show") == "failed" else "all"
    args = dict(request.args) | {"kind": kind, "status": "failed" if show == "failed" else ""}
    if args.get("limit") not in {str(limit) for limit in LIMITS}:
        args["limit"] = str(LIMITS[0])
    page = reconciliation.runs(RunFilter.from_args(args))
    if page.total and page.page > page.total_pages:
        return redirect(here(page=page.total_pages), 303)
    context = _figures(kind) | {"page": page, "kind": kind, "show": show}
    context["version"] = _version(context)
    if status == 200 and not notice and (same := unchanged(context["version"])) is not None:
        return same
    shown = [*page.items, context["day"].latest]
    return render(
        "reconciliation/index.html",
        status,
        fragments={"runs": "runs"},
        **context,
        starters=reconciliation_views.starters([row for row in shown if row is not None]),
        kinds=KINDS,
        shows=SHOWS,
        limits=LIMITS,
        notice=notice,
        notice_text=text,
        longest=max((row.duration or 0 for row in page.items), default=0),
        figures=figures,
        configured=settings().stays_configured,
    )


def _figures(kind: str) -> dict[str, Any]:
    zone = navigation.timezone()
    day = reconciliation.overview(kind, days=1, points=48)
    days = reconciliation_views.days(kind, zone)
    last = day.latest
    ended = last if last is not None and last.status != RunStatus.PENDING else None
    if ended is None and day.trend:
        ended = day.trend[-1]
    return {
        "zone": zone,
        "day": day,
        "days": days,
        "last": ended,
        "running": day.running,
        "next_run": reconciliation.next_run(clock.utcnow(), kind),
        "reach": reconciliation_views.reach(kind, CHANNELS[kind]),
        "left_out": reconciliation_views.left_out(CHANNELS[kind]),
        "duration_chart": figures.duration_chart(day, zone),
        "success_chart": figures.success_chart(days),
        "change_chart": figures.change_chart(days),
    }


def _version(context: dict[str, Any]) -> str:
    """What changes when the page would; a run in hand shows its numbers as they grow."""
    runs = [context["day"].latest, *context["page"].items]
    seen = [
        *(f"{run.id} {run.status} {run.fetched} {run.updated_at}" for run in runs if run),
        *(f"{item.id} {item.attempts}" for item in context["left_out"]),
        repr(context["reach"]),
        repr(context["days"]),
        str(context["next_run"]),
        str(context["page"].total),
        str(context["day"].total),
        require_user().role,
    ]
    return hashlib.sha256("\n".join(seen).encode()).hexdigest()[:16]


# --- one run -------------------------------------------------------------------------------------


@bp.get("/runs/<uuid:run_id>")
@login_required
def show(run_id: UUID) -> ResponseReturnValue:
    """The numbers of a run, its tries, and what a dry run would change."""
    return _show(run_id)


def _show(run_id: UUID) -> ResponseReturnValue:
    row = reconciliation.get(run_id)
    tries = reconciliation_views.tries(run_id)
    version = _run_version([*tries, row])
    if (same := unchanged(version)) is not None:
        return same
    plan = row.plan or {}
    items = plan.get("items", [])
    return render(
        "reconciliation/run.html",
        fragments={"run": "run"},
        run=row,
        tries=tries,
        plan=plan,
        items=items,
        names=reconciliation_views.names(items) if items else None,
        can_apply=_can_apply(row),
        starters=reconciliation_views.starters(tries),
        actions=ACTIONS,
        statuses=STATUSES,
        zone=navigation.timezone(),
        figures=figures,
        kinds=KINDS,
        version=version,
        soon=row.next_attempt_at is not None,
    )


def _run_version(runs: list[ReconciliationLog]) -> str:
    seen = "\n".join(f"{run.id} {run.status} {run.fetched} {run.updated_at}" for run in runs)
    return hashlib.sha256(seen.encode()).hexdigest()[:16]


def _can_apply(row: ReconciliationLog) -> bool:
    waits = row.plan_hash is not None and row.plan is not None and row.status != RunStatus.PENDING
    return waits and require_user().is_admin and any((row.plan or {})["counts"].values())


@bp.get("/runs/<uuid:run_id>/apply")
@role_required("admin")
def ask_apply(run_id: UUID) -> ResponseReturnValue:
    """What applying the plan means, before it is done."""
    row = reconciliation.get(run_id)
    if not _can_apply(row):
        return _dialog(row, 409, refusal=_("This run has no plan that waits to be applied."))
    return _dialog(row)


@bp.post("/runs/<uuid:run_id>/apply")
@role_required("admin")
def apply(run_id: UUID) -> ResponseReturnValue:
    """Apply exactly this plan; above the safety share only with its number typed (DECISIONS 7)."""
    row = reconciliation.get(run_id)
    plan = row.plan or {}
    typed = request.form.get("count", "").strip()
    if plan.get("stopped") and typed != str(plan["risky"]):
        return _dialog(row, 422, error=_("Type %(n)s to go on.", n=plan["risky"]))
    try:
        started = reconciliation.apply(
            run_id,
            request.form.get("plan_hash", ""),
            requested_by=current_actor().user_id,
        )
    except Conflict as refused:
        return _dialog(row, 409, refusal=refused.message)
    except Unavailable:
        return _dialog(row, 503 if not is_htmx() else 409, refusal=_("Stays cannot be reached"))
    location = url_for(".show", run_id=started)
    if not is_htmx():
        return redirect(location, 303)
    response = empty()
    response.headers["HX-Redirect"] = location
    return response


def _dialog(
    row: ReconciliationLog, status: int = 200, *, refusal: str = "", error: str = ""
) -> Response:
    return render(
        "reconciliation/apply.html",
        status,
        fragments={"dialog-host": "dialog"},
        run=row,
        plan=row.plan or {},
        total=sum((row.plan or {}).get("counts", {}).values()),
        refusal=refusal,
        error=error,
        in_page=not is_htmx(),
    )
