"""Privacy: how long things are kept, what we hold about a guest, and erasing one (LGPD)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from uuid import UUID

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from app import clock
from app.errors import Conflict, Invalid
from app.services import (
    list_args,
    privacy_export,
    privacy_requests,
    privacy_rules,
    retention,
    retention_steps,
)
from app.services.inputs import parse
from app.services.privacy_requests import Stay
from app.services.privacy_rules import BY_NAME, Limits
from app.web import navigation
from app.web import privacy_wording as wording
from app.web.forms import Form, refused, sent
from app.web.rendering import render
from app.web.reservations import STATUSES
from app.web.sessions import current_actor, role_required

bp = Blueprint("privacy", __name__, url_prefix="/settings/privacy")


@bp.get("")
@role_required("admin")
def index() -> ResponseReturnValue:
    """Every limit, and what the coming night would remove."""
    return _limits(Form(privacy_rules.limits()))


@bp.post("/edit")
@role_required("admin")
def save() -> ResponseReturnValue:
    """Save the limits; the form again, as it was typed, when one is out of its bounds."""
    try:
        privacy_rules.change(parse(Limits, sent(Limits)), actor=current_actor())
    except Invalid as error:
        return _limits(refused(error), 422)
    return redirect(url_for(".index", saved=1), 303)


@bp.get("/guests")
@role_required("admin")
def guests() -> ResponseReturnValue:
    """An empty search."""
    return _guests(Form({}))


@bp.post("/guests")
@role_required("admin")
def find() -> ResponseReturnValue:
    """The stays of a guest. A POST: an address and a name have no business in a log of URLs."""
    try:
        found = privacy_requests.search(list_args.word(request.form, "q") or "")
    except Invalid as error:
        return _guests(refused(error), status=422)
    return _guests(Form(dict(request.form.items())), found)


@bp.post("/guests/export")
@role_required("admin")
def export() -> ResponseReturnValue:
    """All that we hold about the stays picked: a page to read and print, or JSON."""
    try:
        found = privacy_export.export(_picked(), actor=current_actor())
    except Invalid as error:
        return _guests(refused(error), status=422)
    if request.form.get("format") != "json":
        return render(
            "privacy/export.html",
            found=found,
            sections=wording.SECTIONS,
            ids=_picked(),
            zone=navigation.timezone(),
        )
    response = Response(
        json.dumps(found, ensure_ascii=False, indent=2) + "\n", mimetype="application/json"
    )
    day = clock.local_today(navigation.timezone()).isoformat()
    response.headers["Content-Disposition"] = f'attachment; filename="guest-{day}.json"'
    response.headers["Cache-Control"] = "no-store"
    return response


@bp.post("/guests/erase")
@role_required("admin")
def erase() -> ResponseReturnValue:
    """First what erasing would do; with `confirm`, do it. A stay that is needed is refused."""
    status, done = 200, None
    try:
        ids = _picked()
        if request.form.get("confirm") == "erase":
            done = privacy_requests.erase(ids, actor=current_actor())
        found = privacy_requests.preview(ids)
    except Conflict:
        status, found = 409, privacy_requests.preview(_picked())
    except Invalid as error:
        return _guests(refused(error), status=422)
    return render(
        "privacy/erase.html",
        status,
        found=found,
        done=done,
        refusal=status == 409,
        wording=wording,
        statuses=STATUSES,
    )


def _picked() -> list[UUID]:
    """The stays that were ticked. Raises Invalid."""
    ids = []
    for raw in request.form.getlist("ids"):
        id_ = list_args.key({"ids": raw}, "ids")
        if id_ is not None:
            ids.append(id_)
    if not ids:
        raise Invalid.field("ids", "choose at least one stay")
    return list(dict.fromkeys(ids))


def _limits(form: Form, status: int = 200) -> ResponseReturnValue:
    tonight = retention.preview()
    by_rule: dict[str, list[tuple[str, int]]] = {}
    for step in retention_steps.STEPS:
        if tonight[step.name]:
            by_rule.setdefault(step.rule, []).append((step.name, tonight[step.name]))
    return render(
        "privacy/index.html",
        status,
        form=form,
        limits=wording.LIMITS,
        rules=BY_NAME,
        steps=wording.STEPS,
        tonight=by_rule,
        total=sum(tonight.values()),
        night=retention.latest(),
        zone=navigation.timezone(),
        saved="saved" in request.args,
        labels={name: label for name, (label, _hint) in wording.LIMITS.items()},
    )


def _guests(form: Form, found: list[Stay] | None = None, status: int = 200) -> ResponseReturnValue:
    errors: Mapping[str, str] = form.errors
    return render(
        "privacy/guests.html",
        status,
        form=form,
        found=found,
        failed=errors.get("ids", ""),
        wording=wording,
        statuses=STATUSES,
        most=privacy_requests.MOST,
    )
