"""Repairing events from their pages: retry, ignore and replay, one or many (UI.md §10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import ngettext

from app.domain.event_causes import cause_of
from app.errors import Conflict, Invalid
from app.services import event_desk, event_views
from app.services.event_desk import IGNORE, REPLAY, RETRY, Deed, Outcome
from app.web import event_wording as wording
from app.web import events, navigation
from app.web.dates import gettext as _
from app.web.forms import Form, dialog, done, refused
from app.web.rendering import is_htmx
from app.web.sessions import current_actor, role_required, safe_next

_pages = events.bp


@_pages.post("/<uuid:event_id>/retry")
@role_required("admin")
def retry(event_id: UUID) -> ResponseReturnValue:
    """Try again at once: safe to press twice."""
    try:
        event_desk.retry(event_id, actor=current_actor())
    except Conflict:
        return _too_late(event_id)
    return _done(event_id, _("The event is tried again"))


@_pages.get("/<uuid:event_id>/ignore")
@role_required("admin")
def ask_ignore(event_id: UUID) -> ResponseReturnValue:
    """What ignoring means, and why it is done."""
    return _ask(IGNORE, event_id)


@_pages.post("/<uuid:event_id>/ignore")
@role_required("admin")
def ignore(event_id: UUID) -> ResponseReturnValue:
    """Close it, with the reason."""
    reason = request.form.get("reason", "")
    try:
        event_desk.ignore(event_id, reason, actor=current_actor())
    except Invalid as error:
        return _ask(IGNORE, event_id, 422, refused(error))
    except Conflict:
        return _ask(IGNORE, event_id, 409)
    return _done(event_id, _("The event is ignored"))


@_pages.get("/<uuid:event_id>/replay")
@role_required("admin")
def ask_replay(event_id: UUID) -> ResponseReturnValue:
    """What processing a finished event again means."""
    return _ask(REPLAY, event_id)


@_pages.post("/<uuid:event_id>/replay")
@role_required("admin")
def replay(event_id: UUID) -> ResponseReturnValue:
    """Process it again, on purpose (C-34)."""
    try:
        event_desk.replay(event_id, actor=current_actor())
    except Conflict:
        return _ask(REPLAY, event_id, 409)
    return _done(event_id, _("The event is processed again"))


def _ask(
    deed: Deed, event_id: UUID, status: int = 200, form: Form | None = None
) -> ResponseReturnValue:
    row = event_views.detail(event_id).row
    allowed = row.event.status in deed.allowed
    return dialog(
        f"events/{deed.verb}.html",
        status if allowed or status != 200 else 409,
        row=row,
        allowed=allowed,
        form=form or Form({}),
        wording=wording,
        statuses=wording.STATUSES,
    )


def _too_late(event_id: UUID) -> ResponseReturnValue:
    """Somebody was faster, or it went on by itself: the page says how it stands."""
    said = _("This event is not failed any more: somebody was faster.")
    if not is_htmx():
        flash(said, "warn")
        return redirect(url_for("events.show", event_id=event_id), 303)
    response = make_response(render_template("reservations/_refusal.html", refusal=said), 409)
    response.headers["HX-Trigger"] = "changed"
    return response


def _done(event_id: UUID, said: str) -> ResponseReturnValue:
    if not is_htmx():
        flash(said, "ok")
    back = request.form.get("next") or url_for("events.show", event_id=event_id)
    return done(safe_next(back), said)


# --- many at once --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The events that are meant: those ticked, or all that the filters find."""

    ids: list[UUID]
    ticked: bool
    cause: str = ""


@_pages.get("/retry")
@role_required("admin")
def ask_retry_many() -> ResponseReturnValue:
    """The plan: how many, who is left out, which guests it is about."""
    return _plan(RETRY)


@_pages.post("/retry")
@role_required("admin")
def retry_many() -> ResponseReturnValue:
    """Carry out the plan that was shown; 409 with the new one when it has changed."""
    return _carry_out(RETRY)


@_pages.get("/ignore")
@role_required("admin")
def ask_ignore_many() -> ResponseReturnValue:
    """The plan, and the reason."""
    return _plan(IGNORE)


@_pages.post("/ignore")
@role_required("admin")
def ignore_many() -> ResponseReturnValue:
    """Close them all with one reason."""
    return _carry_out(IGNORE)


def _chosen(deed: Deed) -> _Chosen:
    """Raises Invalid for what is no id."""
    if request.values.get("all") == "true":
        filters = events.filters_of_page()
        return _Chosen(event_desk.matching(filters, deed), ticked=False, cause=filters.cause or "")
    try:
        return _Chosen([UUID(each) for each in request.values.getlist("id")], ticked=True)
    except ValueError:
        raise Invalid.field("id", "must be an id (UUID)") from None


def _plan(
    deed: Deed,
    status: int = 200,
    *,
    chosen: _Chosen | None = None,
    changed: bool = False,
    form: Form | None = None,
) -> ResponseReturnValue:
    chosen = chosen or _chosen(deed)
    plan = event_views.plan(chosen.ids, deed.allowed)
    zone = navigation.timezone()
    said = ""
    if chosen.cause and plan.ids:
        event = event_views.detail(plan.ids[0]).row.event
        said = wording.fact(cause_of(event.source, event.last_error_kind, event.last_error))
    return dialog(
        "events/plan.html",
        status,
        plan=plan,
        deed=deed.verb,
        chosen=chosen,
        cause_said=said,
        changed=changed,
        form=form or Form({}),
        tags=[] if chosen.ticked else wording.tags(events.filters_of_page(), zone),
        args=events.list_args(),
        wording=wording,
        statuses=wording.STATUSES,
        most=event_desk.MOST,
    )


def _carry_out(deed: Deed) -> ResponseReturnValue:
    chosen = _chosen(deed)
    plan = event_views.plan(chosen.ids, deed.allowed)
    if request.form.get("plan") != plan.digest:
        return _plan(deed, 409, chosen=chosen, changed=True)
    try:
        if deed is RETRY:
            outcome = event_desk.retry_many(plan.ids, actor=current_actor())
        else:
            reason = request.form.get("reason", "")
            outcome = event_desk.ignore_many(plan.ids, reason, actor=current_actor())
    except Invalid as error:
        return _plan(deed, 422, chosen=chosen, form=refused(error))
    return _came_of(deed, outcome)


def _came_of(deed: Deed, outcome: Outcome) -> ResponseReturnValue:
    """In one line when all went as planned, else event by event (DLQ-16)."""
    n = len(outcome.done)
    said = ngettext("%(num)d event is tried again", "%(num)d events are tried again", n)
    if deed is IGNORE:
        said = ngettext("%(num)d event is ignored", "%(num)d events are ignored", n)
    back = url_for("events.index", **_back())
    if not outcome.skipped:
        if not is_htmx():
            flash(said, "ok")
        return done(back, said)
    response = make_response(
        dialog("events/outcome.html", said=said, outcome=outcome, back=back, wording=wording)
    )
    response.headers["HX-Trigger"] = "changed"
    return response


def _back() -> dict[str, Any]:
    return {name: value for name, value in events.list_args().items() if name != "cause"}
