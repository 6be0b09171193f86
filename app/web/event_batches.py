"""Repairing many events at once: the plan before, and what became of each after (DLQ-16)."""

from __future__ import annotations

import hashlib
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.domain.event_causes import cause_of
from app.errors import Invalid
from app.services import event_batches, event_plans, event_views
from app.services.event_batches import Report
from app.services.event_desk import IGNORE, MOST, REPLAY, RETRY, Deed
from app.services.event_plans import Chosen, Plan
from app.web import event_wording as wording
from app.web import events, navigation
from app.web.dates import gettext as _
from app.web.forms import Form, dialog, done, refused
from app.web.rendering import is_htmx, render, unchanged
from app.web.sessions import current_actor, login_required, require_user, role_required

_pages = events.bp
FAST, SLOW = 2, 30


@_pages.get("/retry")
@role_required("admin")
def ask_retry_many() -> ResponseReturnValue:
    """The plan: how many, who is left out, which guests and PINs it is about."""
    return _plan(RETRY)


@_pages.post("/retry")
@role_required("admin")
def retry_many() -> ResponseReturnValue:
    """Carry out the plan that was shown; 409 with the new one when it has changed. Without one it
    is shown: a selection may be longer than an address."""
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


@_pages.get("/replay")
@role_required("admin")
def ask_replay_many() -> ResponseReturnValue:
    """The plan of processing finished events again."""
    return _plan(REPLAY)


@_pages.post("/replay")
@role_required("admin")
def replay_many() -> ResponseReturnValue:
    """Process them all again, on purpose (C-34)."""
    return _carry_out(REPLAY)


@_pages.get("/batches/<uuid:batch_id>")
@login_required
def batch(batch_id: UUID) -> ResponseReturnValue:
    """How far a repair of many has come, and what became of each; a poll with no news gets 204."""
    found = event_batches.report(batch_id)
    version = _version(found)
    if (same := unchanged(version)) is not None:
        return same
    return render(
        "events/batch.html",
        fragments={"batch": "batch"},
        found=found,
        said=wording.outcome(found.batch),
        version=version,
        poll=FAST if found.moving else SLOW,
        zone=navigation.timezone(),
        **events.words(),
    )


def _version(found: Report) -> str:
    batch = found.batch
    seen = (require_user().role, batch.position, batch.finished_at, found.states, found.orders)
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]


def _everything() -> bool:
    return request.values.get("all") == "true"


def _chosen(deed: Deed) -> Chosen:
    """Raises Invalid for what is no id."""
    if _everything():
        return event_plans.matching(events.filters_of_page(), deed)
    return Chosen(_ids("id"), _ids("pin_order"))


def _ids(name: str) -> list[UUID]:
    try:
        return [UUID(each) for each in request.values.getlist(name)]
    except ValueError:
        raise Invalid.field(name, "must be an id (UUID)") from None


def _plan(
    deed: Deed, status: int = 200, *, changed: bool = False, form: Form | None = None
) -> ResponseReturnValue:
    chosen = _chosen(deed)
    plan = event_plans.plan(chosen, deed)
    ticked = not _everything()
    filters = events.filters_of_page()
    return dialog(
        "events/plan.html",
        status,
        plan=plan,
        deed=deed.verb,
        chosen=chosen,
        ticked=ticked,
        cause_said="" if ticked or filters.cause is None else _cause(plan),
        changed=changed,
        form=form or Form({}),
        tags=[] if ticked else wording.tags(filters, navigation.timezone()),
        args=events.list_args(),
        wording=wording,
        statuses=wording.STATUSES,
        most=MOST,
    )


def _cause(plan: Plan) -> str:
    """What the planned ones have in common, in words."""
    if plan.ids:
        event = event_views.detail(plan.ids[0]).row.event
        return wording.fact(cause_of(event.source, event.last_error_kind, event.last_error))
    groups = event_views.pin_orders(events.filters_of_page())
    return wording.fact(groups[0].cause) if groups else ""


def _carry_out(deed: Deed) -> ResponseReturnValue:
    if "plan" not in request.form:
        return _plan(deed)
    plan = event_plans.plan(_chosen(deed), deed)
    if request.form["plan"] != plan.digest:
        return _plan(deed, 409, changed=True)
    try:
        batch_id = event_batches.start(
            deed,
            plan.ids,
            plan.orders,
            actor=current_actor(),
            reason=request.form.get("reason", ""),
        )
    except Invalid as error:
        return _plan(deed, 422, form=refused(error))
    finished = event_batches.carry_out(batch_id)
    where = url_for("events.batch", batch_id=batch_id)
    if not is_htmx():
        return redirect(where, 303)
    found = event_batches.report(batch_id)
    if not finished or found.skipped:
        flash(_("See below what became of each."), "info")
        return done(where, leave=True)
    said = wording.outcome(found.batch)
    return done(where, piece=render_template("events/_toast.html", said=said, where=where))
