"""Read again from outside: the rooms from the channels, the locks from their account."""

from __future__ import annotations

from uuid import UUID

from flask import flash, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import ngettext

from app.domain.states import RunStatus
from app.errors import Conflict, Unavailable
from app.services import accommodation_sync, lock_devices
from app.web import accommodations as accommodation_list
from app.web import locks as lock_list
from app.web import sync_strip
from app.web.dates import gettext as _
from app.web.rendering import is_htmx, render
from app.web.sessions import current_actor, role_required, safe_next

_rooms = accommodation_list.bp
_locks = lock_list.bp


@_locks.post("/refresh")
@role_required("admin")
def refresh_locks() -> ResponseReturnValue:
    """Read the account's devices now, and say what changed."""
    try:
        found = lock_devices.refresh(actor=current_actor())
    except Unavailable as refused:
        flash(_("The locks could not be read: %(why)s", why=refused.message), "bad")
    else:
        if found.suspicious:
            flash(_("The lock account lists no device. Nothing was changed."), "warn")
        else:
            flash(_listed(found), "ok")
    return redirect(safe_next(request.form.get("next") or url_for("locks.index")), 303)


def _listed(found: lock_devices.Refreshed) -> str:
    parts = [str(ngettext("%(num)d lock read", "%(num)d locks read", found.listed))]
    if found.new:
        parts.append(str(ngettext("%(num)d new", "%(num)d new", len(found.new))))
    if found.gone:
        parts.append(
            str(
                ngettext(
                    "%(num)d not in the account any more",
                    "%(num)d not in the account any more",
                    len(found.gone),
                )
            )
        )
    return ", ".join(parts)


@_rooms.post("/sync")
@role_required("admin")
def start_sync() -> ResponseReturnValue:
    """Have the rooms read from the channel; when that is under way already, show it."""
    try:
        accommodation_sync.start(trigger="manual", actor=current_actor())
    except Conflict:
        pass  # one is under way: its progress is what they want to see
    except Unavailable:
        flash(_("No channel is connected: set up Stays on the server first."), "bad")
    if is_htmx():
        return sync_progress()
    return redirect(safe_next(request.form.get("next") or url_for("accommodations.index")), 303)


@_rooms.get("/sync")
@role_required("admin")
def sync_progress() -> ResponseReturnValue:
    """How the reading goes; the list reads itself again once it is over."""
    if not is_htmx():
        return redirect(url_for("accommodations.index"), 303)
    latest = accommodation_sync.latest()
    response = make_response(
        render(
            "accommodations/sync.html", fragments={"sync": "progress"}, **sync_strip.strip(latest)
        )
    )
    if latest is not None and latest.status != RunStatus.PENDING and request.method == "GET":
        response.headers["HX-Trigger"] = "changed"
    return response


@_rooms.get("/syncs/<uuid:sync_id>")
@role_required("admin")
def show_sync(sync_id: UUID) -> ResponseReturnValue:
    """What came of one reading, with each room that could not be taken in."""
    return render("accommodations/sync.html", **sync_strip.strip(accommodation_sync.get(sync_id)))
