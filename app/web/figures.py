"""Figures: whether we keep what we promise, and how everything went lately."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, redirect, request
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l

from app import clock
from app.services import figure_readings, list_args, reconciliation_reports, service_levels
from app.services.figure_readings import Span
from app.web import figure_charts, figure_levels, navigation
from app.web.rendering import here, render, unchanged
from app.web.sessions import role_required

bp = Blueprint("figures", __name__, url_prefix="/figures")

SPANS: Final = {Span.DAY: _l("24 hours"), Span.WEEK: _l("7 days"), Span.MONTH: _l("30 days")}


@bp.get("")
@role_required("admin")
def index() -> ResponseReturnValue:
    """The service levels and every chart of a day, a week or a month; a poll within the minute, of
    longer spans within ten, gets 204. `numbers` names the chart whose figures are shown as a
    table."""
    span = _span()
    # Points are written once a minute; what is drawn over days moves slowly and costs more.
    fresh = 60 if span is Span.DAY else 600
    version = f"{span}-{int(clock.utcnow().timestamp()) // fresh}"
    if (same := unchanged(version)) is not None:
        return same
    zone, property_id = navigation.timezone(), navigation.property_id()
    cron = reconciliation_reports.schedule()
    levels = service_levels.levels(span.days, property_id, cron=cron)
    readings = figure_readings.read(span, zone, property_id)
    return render(
        "figures/index.html",
        fragments={"figures": "figures"},
        span=span,
        spans=SPANS,
        cards=figure_levels.cards(levels, span),
        chips=figure_levels.CHIPS,
        sections=figure_charts.sections(readings),
        readings=readings,
        numbers=request.args.get("numbers", ""),
        version=version,
        zone=zone,
    )


@bp.get("/pins")
@role_required("admin")
def pins() -> ResponseReturnValue:
    """The stays whose PIN came late or never, as the service level counted them."""
    span = _span()
    page = service_levels.missed(request.args, span.days, navigation.property_id())
    if page.total and page.page > page.total_pages:
        return redirect(here(page=page.total_pages), 303)
    return render(
        "figures/pins.html",
        fragments={"results": "results"},
        page=page,
        span=span,
        spans=SPANS,
        only=request.args.get("only", ""),
    )


def _span() -> Span:
    """The one in `?span=`. Raises Invalid for what is none."""
    return Span(list_args.choice(request.args, "span", tuple(Span)) or Span.DAY)
