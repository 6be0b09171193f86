"""Locks: does each one answer, and does it hold what it should."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l

from app.errors import Conflict, Invalid, Unavailable
from app.services import lock_contents, lock_pages, lock_tests, locks, mapping_pages
from app.services.inputs import parse
from app.services.lock_pages import Filter, LockRow, Locks
from app.services.locks import LockChanges, NewLock
from app.web import navigation, onboarding
from app.web.dependents import still_needed
from app.web.forms import Form, dialog, done, refused, sent, status_of
from app.web.mapping_wording import reason_of
from app.web.rendering import here, render, unchanged
from app.web.sessions import current_actor, role_required

bp = Blueprint("locks", __name__, url_prefix="/locks")

VIEWS = {
    "all": _l("All"),
    "problems": _l("With problems"),
    "unmapped": _l("Without a room"),
}
RADIOS = {"wifi": "Wi-Fi", "zigbee": "Zigbee", "bluetooth": "Bluetooth"}
FIELDS = {
    "name": _l("Name"),
    "device_id": _l("Device id"),
    "radio": _l("Radio"),
    "location": _l("Location"),
    "pin_length": _l("Digits of a PIN"),
    "hex_case": _l("Letters of the encrypted PIN"),
    "capacity": _l("PINs it can hold"),
}
LIMITS = (25, 50, 100)


@bp.get("")
@role_required("admin")
def index() -> ResponseReturnValue:
    """The list; what asks for a hand comes first."""
    filters = Filter.from_args(request.args, navigation.property_id())
    found = lock_pages.search(filters)
    if found.page.total and filters.page > found.page.total_pages:
        return redirect(here(page=found.page.total_pages), 303)
    version = _version(found)
    if (same := unchanged(version)) is not None:
        return same
    return render(
        "locks/index.html",
        fragments={"results": ("views", "results")},
        page=found.page,
        counts=found.counts,
        refreshed_at=found.refreshed_at,
        exist=found.exist,
        version=version,
        filters=filters,
        views=VIEWS,
        radios=RADIOS,
        limits=LIMITS,
        **onboarding.context(),
    )


@bp.get("/new")
@role_required("admin")
def new() -> ResponseReturnValue:
    """A form for a device that the vendor's list does not bring by itself."""
    return _new(Form({"radio": "wifi", "hex_case": "lower", "vendor": "tuya"}))


@bp.post("")
@bp.post("/new")
@role_required("admin")
def create() -> ResponseReturnValue:
    """Register it; the form again, as it was typed, when something is wrong with it."""
    try:
        row = locks.create(
            parse(NewLock, {"vendor": "tuya"} | sent(NewLock)), actor=current_actor()
        )
    except (Invalid, Conflict) as error:
        return _new(refused(error), status_of(error))
    return redirect(url_for(".show", lock_id=row.id, saved=1), 303)


@bp.get("/<uuid:lock_id>")
@bp.get("/<uuid:lock_id>/edit", endpoint="edit")
@role_required("admin")
def show(lock_id: UUID) -> ResponseReturnValue:
    """The lock, its settings, and every attempt to give it a room."""
    row = lock_pages.get(lock_id)
    return _show(row, Form({name: getattr(row.lock, name) for name in FIELDS}))


@bp.get("/<uuid:lock_id>/contents")
@role_required("admin")
def contents(lock_id: UUID) -> ResponseReturnValue:
    """What is on the lock right now, read from it, beside what we believe."""
    row = lock_pages.get(lock_id)
    form = Form({name: getattr(row.lock, name) for name in FIELDS})
    try:
        found = lock_contents.contents(lock_id)
    except Unavailable:
        return _show(row, form, unread=True)
    return _show(row, form, contents=found)


@bp.post("/<uuid:lock_id>/edit")
@role_required("admin")
def save(lock_id: UUID) -> ResponseReturnValue:
    """Save the form."""
    row = lock_pages.get(lock_id)
    try:
        changes = parse(LockChanges, sent(LockChanges, whole=True))
        locks.change(lock_id, changes, actor=current_actor())
    except (Invalid, Conflict) as error:
        return _show(row, refused(error), status_of(error))
    return redirect(url_for(".show", lock_id=lock_id, saved=1), 303)


@bp.get("/<uuid:lock_id>/delete")
@role_required("admin")
def ask_delete(lock_id: UUID) -> ResponseReturnValue:
    """What deleting would mean."""
    return _delete(lock_pages.get(lock_id))


@bp.post("/<uuid:lock_id>/delete")
@role_required("admin")
def delete(lock_id: UUID) -> ResponseReturnValue:
    """Forget it, or say what still needs it."""
    row = lock_pages.get(lock_id)
    try:
        locks.delete(lock_id, actor=current_actor())
    except Conflict as error:
        return _delete(row, error)
    return done(url_for(".index"), leave=True)


def _version(found: Locks) -> str:
    """What changes when the list would."""
    seen = [
        (str(row.lock.id), row.lock.updated_at, row.state, row.on_it, row.wanted)
        + ((row.accommodation.updated_at,) if row.accommodation else ())
        for row in found.page.items
    ]
    said = repr((found.counts, found.refreshed_at, seen))
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _new(form: Form, status: int = 200) -> ResponseReturnValue:
    return render("locks/new.html", status, form=form, fields=FIELDS, radios=list(RADIOS.items()))


def _show(row: LockRow, form: Form, status: int = 200, **context: Any) -> ResponseReturnValue:
    return render(
        "locks/show.html",
        status,
        fragments={"lock-room": "room", "contents": "contents"},
        row=row,
        form=form,
        fields=FIELDS,
        radios=list(RADIOS.items()),
        saved="saved" in request.args,
        believed=lock_pages.believed(row.lock.id),
        tests=lock_tests.of_lock(row.lock.id, limit=3),
        reason_of=reason_of,
        history=mapping_pages.history(lock_id=row.lock.id),
        zone=row.house.timezone if row.house else navigation.timezone(),
        **context,
    )


def _delete(row: LockRow, error: Conflict | None = None) -> ResponseReturnValue:
    return dialog("locks/delete.html", 409 if error else 200, row=row, refusal=still_needed(error))
