"""Repairing one event or PIN order from its page: retry, ignore and replay (UI.md §10)."""

from __future__ import annotations

from uuid import UUID

from flask import flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.errors import Conflict, Invalid
from app.services import event_desk, event_views, pin_desk
from app.services.event_desk import IGNORE, REPLAY, Deed
from app.web import event_wording as wording
from app.web import events
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
    return _refused(said, url_for("events.show", event_id=event_id))


def _refused(said: str, back: str) -> ResponseReturnValue:
    if not is_htmx():
        flash(said, "warn")
        return redirect(back, 303)
    response = make_response(render_template("reservations/_refusal.html", refusal=said), 409)
    response.headers["HX-Trigger"] = "changed"
    return response


def _done(event_id: UUID, said: str) -> ResponseReturnValue:
    if not is_htmx():
        flash(said, "ok")
    back = request.form.get("next") or url_for("events.show", event_id=event_id)
    return done(safe_next(back), said)


@_pages.post("/pins/<uuid:order_id>/retry")
@role_required("admin")
def retry_order(order_id: UUID) -> ResponseReturnValue:
    """Try a PIN order again at once: safe to press twice."""
    back = safe_next(request.form.get("next") or url_for("events.index"))
    try:
        pin_desk.retry(order_id, actor=current_actor())
    except Conflict:
        return _refused(_("This PIN order is not failed any more: somebody was faster."), back)
    said = _("The PIN order is tried again")
    if not is_htmx():
        flash(said, "ok")
    return done(back, said)
