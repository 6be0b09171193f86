"""The weekly comparison of everything: its reports, one on a page of paper, and as a file."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from flask import Blueprint, Response, flash, redirect, request, stream_with_context, url_for
from flask.typing import ResponseReturnValue

from app.domain.states import RunStatus
from app.errors import Conflict, Unavailable
from app.integrations import channels
from app.runtime import settings
from app.services import comparison_reports, reconciliation, reconciliation_turns
from app.services.comparison_reports import Report
from app.services.paging import page_args
from app.web import comparison_wording as wording
from app.web import dates, navigation, reconciliation_wording
from app.web.dates import gettext as _
from app.web.rendering import here, render, unchanged
from app.web.sessions import current_actor, role_required

bp = Blueprint("comparison_reports", __name__, url_prefix="/reconciliation/reports")

LIMITS: Final = (25, 50)
#: differences on the page; the file has them all
SHOWN: Final = 300


@bp.get("")
@role_required("admin")
def index() -> ResponseReturnValue:
    """The comparisons, newest first, and those that failed; a new one can be started."""
    return _index()


@bp.post("")
@role_required("admin")
def create() -> ResponseReturnValue:
    """Compare now; 409 while that is under way, 503 when the channel is not connected."""
    channel = "beds24" if request.form.get("channel") == "beds24" else "stays"
    try:
        ids = reconciliation.start_deep(channel, trigger="manual", actor=current_actor())
    except Conflict:
        return _index(409, _("This comparison is under way already"))
    except Unavailable:
        return _index(503, _("%(channel)s is not set up", channel=channels.title(channel)))
    if len(ids) == 1:
        return redirect(url_for(".show", run_id=ids[0]), 303)
    flash(_("The comparisons have begun, one for each property."), "ok")
    return redirect(url_for(".index"), 303)


@bp.get("/<uuid:run_id>")
@role_required("admin")
def show(run_id: UUID) -> ResponseReturnValue:
    """One report; while its run goes on, a poll that would see the same gets 204."""
    report = comparison_reports.report(run_id)
    version = f"{report.run.status} {report.run.updated_at}"
    if (same := unchanged(version)) is not None:
        return same
    found = comparison_reports.differences(run_id, 0, SHOWN) if report.figures else []
    return render(
        "reconciliation/report.html",
        fragments={"report": "report"},
        report=report,
        figures=report.figures,
        found=found,
        guests=comparison_reports.guests(found),
        zone=report.home.timezone if report.home else navigation.timezone(),
        wording=wording,
        why=reconciliation_wording.why(report.run),
        busy=report.run.status == RunStatus.PENDING or report.run.next_attempt_at is not None,
        version=version,
    )


@bp.get("/<uuid:run_id>/csv")
@role_required("admin")
def csv(run_id: UUID) -> ResponseReturnValue:
    """Every difference of a report, by ids and without guests."""
    report = comparison_reports.report(run_id)
    pieces = comparison_reports.csv(run_id)
    response = Response(
        stream_with_context(piece for each in (("\ufeff",), pieces) for piece in each),
        mimetype="text/csv",
    )
    name = f"{report.channel}-differences-{_day(report)}.csv"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "no-store"
    return response


def _day(report: Report) -> str:
    zone = report.home.timezone if report.home else navigation.timezone()
    return dates.local(report.run.started_at, zone).date().isoformat()


def _index(status: int = 200, notice: str = "") -> ResponseReturnValue:
    number, limit = page_args(request.args, LIMITS[-1], LIMITS[0])
    page = comparison_reports.reports(number, limit, navigation.property_id())
    if page.total and page.page > page.total_pages:
        return redirect(here(page=page.total_pages), 303)
    return render(
        "reconciliation/reports.html",
        status,
        page=page,
        limits=LIMITS,
        channels=_connected(),
        notice=notice,
        zone=navigation.timezone(),
        wording=wording,
        why=reconciliation_wording.why,
    )


def _connected() -> dict[str, str]:
    """The channels that can be compared with."""
    there = {
        "stays": settings().stays_configured,
        "beds24": bool(reconciliation_turns.connections()),
    }
    return {channel: channels.title(channel) for channel, ready in there.items() if ready}
