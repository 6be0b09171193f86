"""Discrepancies: which side is right, decided one by one or by rule (design/UI.md §4)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from app.errors import Conflict, Invalid, Unavailable
from app.services import (
    discrepancy_cards,
    discrepancy_consequences,
    discrepancy_desk,
    discrepancy_lists,
)
from app.services.discrepancy_cards import Card
from app.services.discrepancy_desk import ACTIONS, MOST, Outcome
from app.services.discrepancy_lists import DiscrepancyFilter
from app.web import discrepancy_wording as wording
from app.web import navigation
from app.web.comparison_reasons import reason
from app.web.dates import gettext as _
from app.web.forms import Form, dialog, done, refused
from app.web.rendering import here, is_htmx, render, unchanged
from app.web.sessions import current_actor, role_required

bp = Blueprint("discrepancies", __name__, url_prefix="/discrepancies")

LIMITS = (25, 50)
#: what chooses the list, and a rule for many
LIST_ARGS = ("kind", "severity", "room_type_id", "reservation_id", "external_id", "run_id", "q")


@bp.get("")
@role_required("admin")
def index() -> ResponseReturnValue:
    """Decisions in one state, the riskiest first; a poll that would see the same gets 204."""
    filters = _filters()
    found = discrepancy_cards.search(filters)
    page = found.page
    if page.total and page.page > page.total_pages:
        return redirect(here(page=page.total_pages), 303)
    version = _version(page.items, found.counts)
    if (same := unchanged(version)) is not None:
        return same
    view = filters.status[0]
    following = discrepancy_consequences.of(page.items) if view == "open" else {}
    house = navigation.property_id()
    return render(
        "discrepancies/index.html",
        fragments={"results": ("views", "results")},
        page=page,
        counts=found.counts,
        view=view,
        filters=filters,
        following=following,
        version=version,
        kinds=[("", _("Any")), *wording.KINDS.items()],
        severities=[
            ("", _("Any")),
            *((name, each[2]) for name, each in wording.SEVERITIES.items()),
        ],
        room_types=[
            ("", _("Any")),
            *((str(each.id), each.name) for each in discrepancy_lists.room_types(house)),
        ],
        compared_at=None if page.total else discrepancy_lists.compared_at(house),
        list_args=_list_args(),
        limits=LIMITS,
        wording=wording,
        reason=reason,
    )


@bp.get("/<uuid:discrepancy_id>/resolve")
@role_required("admin")
def ask(discrepancy_id: UUID) -> ResponseReturnValue:
    """What the verdict would change, before anybody decides."""
    return _ask(discrepancy_id, _action())


@bp.post("/<uuid:discrepancy_id>/resolve")
@role_required("admin")
def resolve(discrepancy_id: UUID) -> ResponseReturnValue:
    """Carry out exactly what was shown; 409 with what is true now when it cannot be."""
    action, ids = _action(), _ids()
    note = request.form.get("note")
    try:
        if len(ids) > 1:
            return _many(ids, action, note)
        discrepancy_desk.resolve(
            discrepancy_id,
            action,
            note,
            actor=current_actor(),
            seen=request.form.get("seen") or None,
        )
    except Invalid as error:
        return _ask(discrepancy_id, action, 422, form=refused(error))
    except Unavailable as error:
        return _ask(discrepancy_id, action, _not_now(), refusal=wording.refusal(error.message))
    except Conflict as error:
        return _ask(discrepancy_id, action, 409, refusal=wording.refusal(error.message))
    return _done(_("Decided: %(said)s", said=wording.ACTIONS[action]))


@bp.get("/resolve")
@role_required("admin")
def ask_many() -> ResponseReturnValue:
    """What a rule is about: how many, of what; and the verdict to choose."""
    return _plan()


@bp.post("/resolve")
@role_required("admin")
def resolve_many() -> ResponseReturnValue:
    """Decide exactly those that were shown."""
    try:
        return _many(_ids(), _action(), request.form.get("note"))
    except Invalid as error:
        return _plan(422, refused(error))
    except Unavailable as error:
        return _plan(_not_now(), refused(Conflict(wording.refusal(error.message))))


def _ask(
    discrepancy_id: UUID,
    action: str,
    status: int = 200,
    *,
    refusal: str = "",
    form: Form | None = None,
) -> ResponseReturnValue:
    rows = discrepancy_desk.run_of(discrepancy_id)
    card = discrepancy_cards.of(rows)
    found = discrepancy_consequences.of([card])[card.row.id]
    reasons = {"accept_pms": found.against_ours, "accept_channel": found.against_theirs}
    against = wording.against(reasons.get(action, ()))
    if card.row.status != discrepancy_lists.STATUSES[0] and not refusal:
        refusal, status = wording.refusal(f"the discrepancy is {card.row.status} already"), 409
    return dialog(
        "discrepancies/resolve.html",
        status,
        card=card,
        ids=[row.id for row in rows],
        action=action,
        found=found,
        against=against,
        refusal=refusal,
        is_open=card.row.status == discrepancy_lists.STATUSES[0],
        form=form or Form({}),
        wording=wording,
        zone=card.house.timezone,
    )


def _plan(status: int = 200, form: Form | None = None) -> ResponseReturnValue:
    filters = _filters()
    ids = _ids() if request.method == "POST" else []
    ids = ids or discrepancy_lists.matching_ids(filters, MOST)
    return dialog(
        "discrepancies/plan.html",
        status,
        groups=discrepancy_lists.groups(ids),
        ids=ids,
        most=MOST,
        action=request.values.get("action", ""),
        form=form or Form(dict(request.form.items())),
        list_args=_list_args(),
        wording=wording,
    )


def _many(ids: Sequence[UUID], action: str, note: str | None) -> ResponseReturnValue:
    outcome = discrepancy_desk.resolve_many(ids, action, note, actor=current_actor())
    if not outcome.skipped:
        return _done(_("%(n)s decided", n=len(outcome.resolved)))
    return _left(outcome)


def _left(outcome: Outcome) -> ResponseReturnValue:
    """What became of many, when some were left as they are."""
    reasons: dict[str, int] = {}
    for each in outcome.skipped:
        said = wording.refusal(each.reason)
        reasons[said] = reasons.get(said, 0) + 1
    response = dialog(
        "discrepancies/outcome.html",
        409 if not outcome.resolved else 200,
        decided=len(outcome.resolved),
        left=len(outcome.skipped),
        reasons=reasons,
    )
    response.headers["HX-Trigger"] = "changed"
    return response


def _filters() -> DiscrepancyFilter:
    """What the address asks for: open ones unless it says otherwise. Raises Invalid."""
    names = (*LIST_ARGS, "status", "page", "limit")
    args = {name: ",".join(filter(None, request.values.getlist(name))) for name in names}
    args["status"] = args["status"] or "open"
    house = navigation.property_id()
    args["property_id"] = str(house) if house is not None else ""
    return DiscrepancyFilter.from_args(args, default_limit=LIMITS[0], max_limit=LIMITS[-1])


def _list_args() -> dict[str, str]:
    return {name: request.values[name] for name in LIST_ARGS if request.values.get(name)}


def _action() -> str:
    """Raises Invalid."""
    action = request.values.get("action", "")
    if action not in ACTIONS:
        raise Invalid.field("action", "must be one of " + ", ".join(ACTIONS))
    return action


def _ids() -> list[UUID]:
    """Raises Invalid."""
    try:
        return [UUID(each) for each in request.form.get("ids", "").split(",") if each]
    except ValueError:
        raise Invalid.field("ids", "must be ids (UUID)") from None


def _not_now() -> int:
    """The channel does not answer. htmx shows a dialog again for a conflict, and not for a 503."""
    return 409 if is_htmx() else 503


def _done(said: str) -> ResponseReturnValue:
    if not is_htmx():
        flash(said, "ok")
    return done(url_for(".index"), said)


def _version(cards: Sequence[Card], counts: Any) -> str:
    """What changes when the page would."""
    seen = [
        (
            str(card.row.id),
            card.row.updated_at,
            card.count,
            card.stay.updated_at if card.stay is not None else None,
        )
        for card in cards
    ]
    text = repr((seen, sorted(counts.items()), navigation.timezone()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
