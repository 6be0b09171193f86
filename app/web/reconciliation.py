"""Reconciliation: does it run, how long does it take, what did it change; and run it now."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l

from app import clock
from app.domain.states import RunStatus
from app.errors import Conflict, Unavailable
from app.models import ReconciliationLog
from app.runtime import settings
from app.services import list_args, reconciliation, reconciliation_views
from app.services.reconciliation import RunFilter
from app.services.reconciliation_kinds import channel_of
from app.web import navigation
from app.web import reconciliation_figures as figures
from app.web import reconciliation_kinds as kinds
from app.web import reconciliation_plans as plans
from app.web import reconciliation_wording as wording
from app.web.dates import gettext as _
from app.web.item_reasons import item_reason
from app.web.reconciliation_wording import KINDS
from app.web.rendering import empty, here, is_htmx, render, stand_for, unchanged
from app.web.sessions import current_actor, login_required, require_user, role_required

bp = Blueprint("reconciliation", __name__, url_prefix="/reconciliation")

SHOWS = {"all": _l("All"), "failed": _l("Failed")}
LIMITS = (25, 50, 100)
#: the days of a kind's figures, and the runs that fill its chart of durations
SPANS = {"beds24_rates": (14, 14), "beds24_availability": (1, 24), "beds24_bookings": (1, 96)}
#: kinds whose faulty items are asked for again by their ids
BY_ID = ("stays", "beds24_bookings")


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    """How it is doing; a poll that would see the same gets 204."""
    return _index()


@bp.post("/run")
@role_required("admin")
def run() -> ResponseReturnValue:
    """Put a run in line, dry or for good, with Beds24 one for each connected property unless one is
    named; 409 while one is under way (STAY-04), 503 when the channel is not connected."""
    kind = _kind()
    dry_run = request.form.get("dry_run") == "true"
    try:
        opened = reconciliation.start_all(
            kind,
            trigger="manual",
            actor=current_actor(),
            property_id=list_args.key(request.form, "property_id"),
            dry_run=dry_run,
        )
    except Conflict as refused:
        return _refused(409, wording.refusal(refused.message, kind))
    except Unavailable as refused:
        notice = _("%(channel)s is not set up", channel=wording.channel(kind))
        return _refused(503, notice, wording.refusal(refused.message, kind))
    if dry_run and len(opened) == 1:
        return _go(url_for(".show", run_id=opened[0]))
    if is_htmx() and not dry_run:
        return _index()
    return _go(url_for(".index", kind=kind if kind != "stays" else None))


def _go(location: str) -> ResponseReturnValue:
    """Lead to another page, from a form or from a dialog."""
    if not is_htmx():
        return redirect(location, 303)
    response = empty()
    response.headers["HX-Redirect"] = location
    return response


def _refused(status: int, notice: str, text: str = "") -> ResponseReturnValue:
    if is_htmx() and request.headers.get("HX-Target") == "dialog-host":
        flash(notice, "warn")
        return _go(url_for(".index", kind=_kind()))
    return _index(status, notice=notice, text=text)


def _kind() -> str:
    kind = request.values.get("kind", "stays")
    return kind if kind in KINDS else "stays"


def _index(status: int = 200, *, notice: str = "", text: str = "") -> ResponseReturnValue:
    stand_for(f"{bp.name}.index")
    kind = _kind()
    show = "failed" if request.args.get("show") == "failed" else "all"
    board = kinds.board(kind, stays=settings().stays_configured)
    args = dict(request.args) | {"kind": kind, "status": "failed" if show == "failed" else ""}
    args["property_id"] = str(board.property_id or "")
    if args.get("limit") not in {str(limit) for limit in LIMITS}:
        args["limit"] = str(LIMITS[0])
    page = reconciliation.runs(RunFilter.from_args(args))
    if page.total and page.page > page.total_pages:
        return redirect(here(page=page.total_pages), 303)
    context = _figures(board) | {"page": page, "kind": kind, "show": show, "board": board}
    context["version"] = _version(context)
    if status == 200 and not notice and (same := unchanged(context["version"])) is not None:
        return same
    shown = [*page.items, board.running, context["last"]]
    return render(
        "reconciliation/index.html",
        status,
        fragments={"runs": "runs"},
        **context,
        starters=reconciliation_views.starters([row for row in shown if row is not None]),
        houses=kinds.property_names(),
        zone_of=kinds.zone_of,
        shows=SHOWS,
        limits=LIMITS,
        notice=notice,
        notice_text=text,
        item_reason=item_reason,
        longest=max((row.duration or 0 for row in page.items), default=0),
        figures=figures,
        wording=wording,
        channel=wording.channel(kind),
    )


def _figures(board: kinds.Board) -> dict[str, Any]:
    kind, own = board.kind, board.property_id
    zone = kinds.zone_of(own)
    span, slots = SPANS.get(kind, (1, 48))
    day = reconciliation.overview(kind, days=span, points=slots, property_id=own)
    days = reconciliation_views.days(kind, zone, property_id=own)
    last = board.last
    if last is None and day.latest is not None and day.latest.status != RunStatus.PENDING:
        last = day.latest
    return {
        "zone": zone,
        "span": span,
        "day": day,
        "days": days,
        "last": last,
        "running": board.running,
        "next_run": reconciliation.next_run(clock.utcnow(), kind),
        "reach": reconciliation_views.reach(kind, channel_of(kind), own),
        "left_out": reconciliation_views.left_out(channel_of(kind)) if kind in BY_ID else (),
        "duration_chart": figures.duration_chart(day, zone, slots),
        "success_chart": figures.success_chart(days),
        "change_chart": figures.change_chart(kind, days),
        "trouble_chart": figures.trouble_chart(days),
    }


def _version(context: dict[str, Any]) -> str:
    """What changes when the page would; a run in hand shows its numbers as they grow."""
    runs = [context["running"], context["last"], *context["page"].items]
    seen = [
        *(f"{run.id} {run.status} {run.fetched} {run.updated_at}" for run in runs if run),
        *(f"{item.id} {item.attempts}" for item in context["left_out"]),
        repr(context["board"].tabs),
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
    row = reconciliation.get(run_id)
    tries = reconciliation_views.tries(run_id)
    version = _run_version([*tries, row])
    if (same := unchanged(version)) is not None:
        return same
    plan = row.plan or {}
    names = reconciliation_views.names(plan.get("items", []), channel_of(row.kind))
    zone = kinds.zone_of(row.property_id)
    home = next((one for one in navigation.properties() if one.id == row.property_id), None)
    return render(
        "reconciliation/run.html",
        fragments={"run": "run"},
        run=row,
        home=home,
        tries=tries,
        plan=plan,
        groups=plans.groups(plan, names, zone, home.currency if home else ""),
        can_apply=_can_apply(row),
        starters=reconciliation_views.starters(tries),
        item_reason=item_reason,
        zone=zone,
        figures=figures,
        plans=plans,
        wording=wording,
        channel=wording.channel(row.kind),
        version=version,
        waits=row.status == RunStatus.PENDING and row.next_attempt_at is not None,
        soon=row.next_attempt_at is not None,
    )


def _run_version(runs: list[ReconciliationLog]) -> str:
    seen = "\n".join(f"{run.id} {run.status} {run.fetched} {run.updated_at}" for run in runs)
    return hashlib.sha256(seen.encode()).hexdigest()[:16]


def _can_apply(row: ReconciliationLog) -> bool:
    waits = reconciliation.is_plan(row) and row.status != RunStatus.PENDING
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
            actor=current_actor(),
        )
    except Conflict as refused:
        again = refused.message == reconciliation.WORLD_CHANGED
        said = wording.refusal(refused.message, row.kind)
        return _dialog(row, 409, refusal=said, again=again)
    except Unavailable as refused:
        said = wording.refusal(refused.message, row.kind)
        return _dialog(row, 503 if not is_htmx() else 409, refusal=said)
    return _go(url_for(".show", run_id=started))


def _dialog(
    row: ReconciliationLog,
    status: int = 200,
    *,
    refusal: str = "",
    error: str = "",
    again: bool = False,
) -> Response:
    """The question, or why it cannot be done; `again` offers a new dry run."""
    return render(
        "reconciliation/apply.html",
        status,
        fragments={"dialog-host": "dialog"},
        run=row,
        plan=row.plan or {},
        plans=plans,
        wording=wording,
        channel=wording.channel(row.kind),
        refusal=refusal,
        error=error,
        again=again,
        in_page=not is_htmx(),
    )
