"""Alerts: what a person must know, who is on it, and how people are told (design/UI.md §4)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l

from app import clock
from app.domain.alert_limits import BY_NAME
from app.errors import Conflict, Invalid
from app.models import AlertNotice
from app.runtime import settings
from app.services import alert_lists, alert_sending, alert_settings, alerts, list_args
from app.services.alert_settings import AlertSettings, NewSettings
from app.services.inputs import parse
from app.web import alert_guide, alert_wording, navigation
from app.web.dates import gettext as _
from app.web.dates import moment
from app.web.forms import Form, done, refused, sent
from app.web.rendering import here, is_htmx, render, unchanged
from app.web.sessions import current_actor, role_required

bp = Blueprint("alerts", __name__, url_prefix="/alerts")

LABELS = alert_wording.LIMITS | {
    "email_also": _l("Also tell"),
    "escalate_also": _l("Also tell when nobody is on it"),
}
GROUPS = (
    (
        _l("Messages and queues"),
        ("dead_letters", "failed_events", "success_rate", "success_rate_events", "queue_depth"),
    ),
    (
        _l("Channels, runs and processes"),
        ("channel_unreachable", "process_gone", "no_run", "no_daily_run", "run_slow"),
    ),
    (_l("PINs"), ("pin_late", "revoke_overdue")),
    (_l("Telling"), ("say_again", "escalate_critical", "escalate_warning")),
)


@dataclass(frozen=True, slots=True)
class Way:
    """A way of telling as the page shows it; `trouble` is why the last message did not arrive."""

    name: str
    configured: bool
    detail: str
    trouble: str = ""


@bp.get("")
@role_required("admin")
def index() -> ResponseReturnValue:
    """Alerts in one state, the most urgent first; a poll that would see the same gets 204."""
    shown = list_args.choice(request.args, "status", alert_lists.STATUSES) or "open"
    board = alert_lists.board(request.args, shown)
    page = board.page
    if page.total and page.page > page.total_pages:
        return redirect(here(page=page.total_pages), 303)
    if (same := unchanged(board.version)) is not None:
        return same
    return render(
        "alerts/index.html",
        fragments={"results": ("views", "results")},
        board=board,
        shown=shown,
        wording=alert_wording,
        zone=navigation.timezone(),
        clear=_clear() if shown == "open" and not page.items else "",
    )


@bp.post("/<uuid:alert_id>/acknowledge")
@role_required("admin")
def acknowledge(alert_id: UUID) -> ResponseReturnValue:
    """“I am on it”: nobody else is reminded."""
    try:
        alert = alerts.acknowledge(alert_id, actor=current_actor())
    except Conflict:
        return _over()
    said = _("You are on it: %(title)s", title=alert_wording.said(alert.title))
    if not is_htmx():
        flash(said, "ok")
    return done(url_for(".index"), said)


@bp.get("/guide")
@role_required("admin")
def guide() -> ResponseReturnValue:
    """What each kind of alert means and what to do about it."""
    return render("alerts/guide.html", sections=alert_guide.sections(), wording=alert_wording)


@bp.get("/limits")
@role_required("admin")
def limits() -> ResponseReturnValue:
    """The thresholds and the recipients, and whether the ways of telling work."""
    known = alert_settings.current()
    return _limits(known, Form(alert_settings.as_typed(known)))


@bp.post("/limits")
@role_required("admin")
def save_limits() -> ResponseReturnValue:
    """Save all of them; the form again, as it was typed, when something is wrong with it."""
    try:
        alert_settings.save(parse(NewSettings, sent(NewSettings)), actor=current_actor())
    except Invalid as error:
        return _limits(alert_settings.current(), refused(error), 422)
    flash(_("Saved"), "ok")
    return redirect(url_for(".limits"), 303)


@bp.post("/test")
@role_required("admin")
def test() -> ResponseReturnValue:
    """Send a test by every way, and say of each what came of it."""
    trials = [alert_sending.test(way) for way in alert_sending.WAYS]
    for trial in trials:
        name = str(alert_wording.WAYS[trial.way])
        if not trial.configured:
            continue
        if trial.error is not None:
            why = alert_wording.trouble(trial.error)
            flash(_("%(way)s not sent: %(why)s.", way=name, why=why), "bad")
        elif trial.detail is not None:
            why = alert_wording.trouble(trial.detail)
            flash(_("%(way)s sent, but %(why)s.", way=name, why=why), "warn")
        else:
            flash(_("%(way)s sent: it was taken over.", way=name), "ok")
    if not any(trial.configured for trial in trials):
        flash(_("Nothing was sent: neither e-mail nor webhook is on."), "warn")
    return redirect(url_for(".limits"), 303)


def _limits(known: AlertSettings, form: Form, status: int = 200) -> ResponseReturnValue:
    own = alert_settings.addresses(settings().alert_escalation_email_to)
    return render(
        "alerts/limits.html",
        status,
        form=form,
        labels=LABELS,
        groups=[(heading, [BY_NAME[name] for name in names]) for heading, names in GROUPS],
        wording=alert_wording,
        known={
            "environment": alert_settings.addresses(settings().alert_email_to),
            "escalation": own,
        },
        ways=_ways(known),
    )


def _ways(known: AlertSettings) -> list[Way]:
    failing = alert_lists.failing(clock.utcnow())
    mail, hook = settings().smtp_url, settings().alert_webhook_url
    people = len(known.recipients)
    details: dict[str, str] = {
        "email": _("SMTP_URL is not set"),
        "webhook": _("ALERT_WEBHOOK_URL is not set"),
    }
    if mail is not None and not people:
        details["email"] = _("Nobody is to be told by e-mail")
    elif mail is not None:
        details["email"] = _(
            "Through %(host)s, to %(who)s",
            host=urlsplit(mail).hostname or "",
            who=", ".join(known.recipients),
        )
    if hook is not None:
        details["webhook"] = _("To %(host)s, signed", host=urlsplit(hook).hostname or "")
    return [
        Way(
            name,
            name in known.ways,
            details[name],
            _trouble(failing.get(name) if name in known.ways else None),
        )
        for name in alert_sending.WAYS
    ]


def _trouble(notice: AlertNotice | None) -> str:
    if notice is None:
        return ""
    why = alert_wording.trouble(notice.last_error or "")
    at = moment(notice.updated_at, navigation.timezone())
    return _("Last message, %(time)s: %(why)s", time=at, why=why)


def _clear() -> str:
    """What is worth knowing when nothing is open: that somebody looks."""
    looked = alert_settings.last_look()
    if looked is None:
        return _("The first look at everything is taken within a minute.")
    at = moment(looked, navigation.timezone())
    return _("Everything was last looked at %(time)s. It is looked at each minute.", time=at)


def _over() -> ResponseReturnValue:
    said = _("This alert has ended already: its cause is gone.")
    if not is_htmx():
        flash(said, "warn")
        return redirect(url_for(".index"), 303)
    response = make_response(render_template("reservations/_refusal.html", refusal=said), 409)
    response.headers["HX-Trigger"] = "changed"
    return response
