"""Holds: what is kept aside until when, kept longer or given back (design/UI.md §4)."""

from __future__ import annotations

from uuid import UUID

from flask import (
    Blueprint,
    Response,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l

from app.errors import Conflict
from app.models.holds import HOLD_STATUSES
from app.services import hold_desk, hold_pages, holds, list_args
from app.services.hold_desk import Extension
from app.services.hold_pages import Kept
from app.web import event_wording, navigation
from app.web.dates import gettext as _
from app.web.dates import moment
from app.web.forms import dialog, done
from app.web.rendering import here, is_htmx, render, unchanged
from app.web.sessions import current_actor, role_required

bp = Blueprint("holds", __name__, url_prefix="/holds")

VIEWS = {
    "active": _l("Active holds"),
    "confirmed": _l("Confirmed holds"),
    "released": _l("Released"),
    "expired": _l("Expired"),
}


@bp.get("")
@role_required("admin")
def index() -> ResponseReturnValue:
    """Holds in one state; a poll that would see the same gets 204."""
    status = list_args.choice(request.args, "status", HOLD_STATUSES) or holds.ACTIVE
    found = hold_pages.search(request.args, navigation.property_id(), status)
    page = found.page
    if page.total and page.page > page.total_pages:
        return redirect(here(page=page.total_pages), 303)
    if (same := unchanged(found.version)) is not None:
        return same
    return render(
        "holds/index.html",
        fragments={"results": ("views", "results")},
        page=page,
        counts=found.counts,
        version=found.version,
        shown=status,
        views=VIEWS,
        wording=event_wording,
    )


@bp.post("/<uuid:hold_id>/extend")
@role_required("admin")
def extend(hold_id: UUID) -> ResponseReturnValue:
    """Ten minutes more, or what is left up to the cap; pressing twice adds twice."""
    kept = hold_pages.get(hold_id)
    try:
        if not kept.to_add:
            raise Conflict("the cap is reached")
        row = hold_desk.extend(hold_id, Extension(minutes=kept.to_add), actor=current_actor())
    except Conflict:
        return _too_late(hold_pages.get(hold_id))
    until = moment(row.hold.hold_expires_at, kept.house.timezone)
    return _done(_("Kept until %(time)s: %(guest)s", time=until, guest=_guest(kept)))


@bp.get("/<uuid:hold_id>/release")
@role_required("admin")
def ask_release(hold_id: UUID) -> ResponseReturnValue:
    """What giving the room back means, and for whom."""
    return _ask(hold_pages.get(hold_id))


@bp.post("/<uuid:hold_id>/release")
@role_required("admin")
def release(hold_id: UUID) -> ResponseReturnValue:
    """Give the room back; the booking that waited fails with it."""
    kept = hold_pages.get(hold_id)
    try:
        hold_desk.release(hold_id, actor=current_actor())
    except Conflict:
        return _ask(hold_pages.get(hold_id), 409)
    return _done(_("The hold of %(guest)s is released", guest=_guest(kept)))


def _ask(kept: Kept, status: int = 200) -> Response:
    """The question; after a refusal, why it cannot be done right now."""
    refusal = ""
    if not kept.row.is_active:
        refusal = _("This hold has ended already: somebody was faster, or its channel answered.")
    elif status != 200:
        refusal = _("The booking is being sent right now. Try again in a minute.")
    return dialog("holds/release.html", 409 if refusal else 200, kept=kept, refusal=refusal)


def _too_late(kept: Kept) -> ResponseReturnValue:
    said = (
        _("This hold has lasted as long as one may. It ends by itself.")
        if kept.row.is_active
        else _("This hold has ended already: somebody was faster, or its channel answered.")
    )
    if not is_htmx():
        flash(said, "warn")
        return redirect(url_for(".index"), 303)
    response = make_response(render_template("reservations/_refusal.html", refusal=said), 409)
    response.headers["HX-Trigger"] = "changed"
    return response


def _done(said: str) -> ResponseReturnValue:
    if not is_htmx():
        flash(said, "ok")
    return done(url_for(".index"), said)


def _guest(kept: Kept) -> str:
    return kept.stay.guest_name or _("Guest without a name")
