"""Settings: the properties, with their hours and those of their PINs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import time
from functools import cache
from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l

from app.errors import Conflict, Invalid
from app.models import Property
from app.runtime import settings
from app.services import properties, settings_pages
from app.services.inputs import parse
from app.services.pin_moves import Consequences
from app.services.properties import NewProperty, PropertyChanges
from app.web import navigation
from app.web.dependents import still_needed
from app.web.forms import Form, dialog, done, refused, sent, status_of
from app.web.rendering import render
from app.web.sessions import current_actor, role_required

bp = Blueprint("settings", __name__, url_prefix="/settings")

FIELDS = {
    "name": _l("Name"),
    "timezone": _l("Time zone"),
    "currency": _l("Currency"),
    "check_in_time": _l("Check-in from"),
    "check_out_time": _l("Check-out until"),
    "pin_lead_hours": _l("PIN works from"),
    "pin_grace_hours": _l("PIN works until"),
    "pin_preload_hours": _l("PIN is sent to the lock"),
    "reserved_horizon_days": _l("A room counts as reserved"),
    "contingency": _l("When a PIN fails, the front desk hands out"),
    "contact": _l("Contact"),
}
CONTINGENCIES = {
    "nothing": _l("Nothing: there is no other way in"),
    "spare_card": _l("The spare card"),
    "key": _l("A key"),
    "master_code": _l("The master code"),
}


@bp.get("")
@role_required("admin")
def index() -> ResponseReturnValue:
    """The property that is looked at; the list of them when all are."""
    chosen = navigation.current_property()
    if chosen is not None:
        return _property(properties.get(chosen.id))
    return render("settings/properties.html", rows=settings_pages.properties())


@bp.get("/properties/new")
@role_required("admin")
def new_property() -> ResponseReturnValue:
    """An empty form with the hours this installation starts from."""
    first = next(iter(navigation.properties()), None)
    return _new_property(
        Form(
            {
                "timezone": first.timezone if first else "",
                "currency": first.currency if first else "",
                "check_in_time": "15:00",
                "check_out_time": "11:00",
                "pin_lead_hours": settings().pin_lead_hours,
                "pin_grace_hours": settings().pin_grace_hours,
                "pin_preload_hours": settings().pin_preload_hours,
                "contingency": "nothing",
            }
        )
    )


@bp.post("/properties/new")
@role_required("admin")
def create_property() -> ResponseReturnValue:
    """Create it; the form again, as it was typed, when something is wrong with it."""
    try:
        row = properties.create(parse(NewProperty, sent(NewProperty)), actor=current_actor())
    except (Invalid, Conflict) as error:
        return _new_property(refused(error), status_of(error))
    return redirect(url_for(".show_property", property_id=row.id, saved=1), 303)


@bp.get("/properties/<uuid:property_id>")
@bp.get("/properties/<uuid:property_id>/edit", endpoint="edit_property")
@role_required("admin")
def show_property(property_id: UUID) -> ResponseReturnValue:
    """The hours and habits of one property."""
    return _property(properties.get(property_id))


@bp.post("/properties/<uuid:property_id>/preview")
@role_required("admin")
def preview(property_id: UUID) -> ResponseReturnValue:
    """What saving the form would do to stays and PINs; nothing is changed (UI §10, level 4)."""
    row = properties.get(property_id)
    try:
        found = properties.preview_change(property_id, _changes())
    except (Invalid, Conflict) as error:
        return _property(row, refused(error), status_of(error))
    return _property(row, _typed(), found=found)


@bp.post("/properties/<uuid:property_id>/edit")
@role_required("admin")
def save_property(property_id: UUID) -> ResponseReturnValue:
    """Save the form. When stays or PINs move, first show how many; a plan that has changed since it
    was shown is shown again."""
    row = properties.get(property_id)
    try:
        found = properties.preview_change(property_id, _changes())
        if found.stays and request.form.get("seen") != _mark(found):
            return _property(row, _typed(), 409, found=found, asks=True)
        properties.change(property_id, _changes(confirm=True), actor=current_actor())
    except (Invalid, Conflict) as error:
        return _property(row, refused(error), status_of(error))
    return redirect(url_for(".show_property", property_id=property_id, saved=1), 303)


@bp.get("/properties/<uuid:property_id>/delete")
@role_required("admin")
def ask_delete_property(property_id: UUID) -> ResponseReturnValue:
    """What deleting would mean."""
    return _delete(properties.get(property_id))


@bp.post("/properties/<uuid:property_id>/delete")
@role_required("admin")
def delete_property(property_id: UUID) -> ResponseReturnValue:
    """Delete it, or say what still needs it."""
    row = properties.get(property_id)
    try:
        properties.delete(property_id, actor=current_actor())
    except Conflict as error:
        return _delete(row, error)
    return done(url_for(".index", property="all"), leave=True)


def _changes(*, confirm: bool = False) -> PropertyChanges:
    data: dict[str, Any] = sent(PropertyChanges, whole=True)
    return parse(PropertyChanges, data | {"confirm": confirm})


def _typed() -> Form:
    return Form(dict(request.form.items()))


def _new_property(form: Form, status: int = 200) -> ResponseReturnValue:
    return render(
        "settings/property_new.html",
        status,
        form=form,
        fields=FIELDS,
        zones=zones(str(form.value("timezone"))),
        contingencies=list(CONTINGENCIES.items()),
    )


def _property(
    row: Property,
    form: Form | None = None,
    status: int = 200,
    *,
    found: Consequences | None = None,
    asks: bool = False,
) -> ResponseReturnValue:
    form = form or Form(_values(row))
    return render(
        "settings/property.html",
        status,
        fragments={"impact": "impact"},
        row=row,
        form=form,
        fields=FIELDS,
        zones=zones(str(form.value("timezone"))),
        contingencies=list(CONTINGENCIES.items()),
        found=found,
        asks=asks,
        seen=_mark(found) if found else "",
        saved="saved" in request.args,
    )


def _delete(row: Property, error: Conflict | None = None) -> ResponseReturnValue:
    return dialog(
        "settings/property_delete.html",
        409 if error else 200,
        row=row,
        refusal=still_needed(error),
    )


def _values(row: Property) -> Mapping[str, Any]:
    found = {name: getattr(row, name) for name in FIELDS}
    return {
        name: f"{value:%H:%M}" if isinstance(value, time) else value
        for name, value in found.items()
    }


def _mark(found: Consequences) -> str:
    """Stands for the plan a person was shown."""
    numbers = (found.stays, found.planned_moved, found.live_moved, found.live_removed)
    guests = sorted((str(each.reservation_id), each.removed) for each in found.guests)
    return hashlib.sha256(repr((numbers, guests)).encode()).hexdigest()[:16]


def zones(chosen: str = "") -> list[tuple[str, list[tuple[str, str]]]]:
    """Time zones by region; the one in use is there even when it has an unusual name."""
    found = _zones()
    if chosen and not any(chosen == name for _, names in found for name, _ in names):
        return [(chosen, [(chosen, chosen)]), *found]
    return found


@cache
def _zones() -> list[tuple[str, list[tuple[str, str]]]]:
    regions: dict[str, list[tuple[str, str]]] = {}
    for name in sorted(available_timezones()):
        region, _, place = name.partition("/")
        if place and region not in ("Etc", "SystemV", "US", "posix", "right", "Brazil", "Canada"):
            regions.setdefault(region, []).append((name, name.replace("_", " ")))
    return [*regions.items(), ("UTC", [("UTC", "UTC")])]
