"""Today: what needs a hand, who comes, who goes, who stays."""

from __future__ import annotations

from datetime import date, timedelta

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue

from app.errors import Invalid
from app.services import today as service
from app.services.concerns import Concern
from app.web import alert_wording, navigation
from app.web.dates import gettext as _
from app.web.rendering import render, unchanged
from app.web.sessions import login_required, require_user

bp = Blueprint("today", __name__)


@bp.get("/")
@login_required
def index() -> ResponseReturnValue:
    """One day at the property looked at; a poll that would see the same gets 204."""
    property_id = navigation.property_id()
    day = _day(request.args.get("day"))
    admin = require_user().is_admin
    version = service.version(property_id, day, admin=admin)
    if (same := unchanged(version)) is not None:
        return same
    data = service.today(property_id, day, admin=admin)
    order = "room" if request.args.get("order") == "room" else "time"
    arrivals = data.arrivals
    if order == "room":
        arrivals = sorted(arrivals, key=lambda stay: stay.room_name)
    return render(
        "today/index.html",
        fragments={"today": "today"},
        data=data,
        day_asked=day,
        previous=data.day - timedelta(days=1),
        following=data.day + timedelta(days=1),
        arrivals=arrivals,
        order=order,
        version=version,
        next_action=_next_action,
        about=alert_wording.about,
    )


def _next_action(concern: Concern) -> tuple[str, str]:
    """The one button beside what concerns the house: where to, and what it says."""
    place = concern.place
    if place.startswith("/events"):
        return place, _("See failed events")
    if place.startswith("/channels/"):
        return place, _("Connect again")
    if label := alert_wording.button(place):
        return place, label
    return url_for("alerts.index") + f"#alert-{concern.alert.id}", _("Open alerts")


def _day(text: str | None) -> date | None:
    """The day in `?day=`. Raises Invalid for what is none."""
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if not 2000 <= day.year <= 2100:
        raise Invalid.field("day", "must be a date like 2026-11-20")
    return day
