"""Accommodations: the rooms guests sleep in, with their lock and their ids at the channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l

from app.errors import Conflict, Invalid
from app.models import Accommodation
from app.services import (
    accommodation_pages,
    accommodation_sync,
    accommodations,
    mapping_pages,
)
from app.services.accommodation_pages import Filter, Unit
from app.services.accommodations import AccommodationChanges, NewAccommodation
from app.services.inputs import parse
from app.web import navigation, onboarding, sync_strip
from app.web.dates import gettext as _
from app.web.dependents import still_needed
from app.web.forms import Form, dialog, done, refused, sent, status_of
from app.web.mapping_wording import reason_of
from app.web.rendering import here, render
from app.web.sessions import current_actor, role_required

bp = Blueprint("accommodations", __name__, url_prefix="/accommodations")

VIEWS = {
    "active": _l("Active"),
    "unmapped": _l("Without a lock"),
    "inactive": _l("Inactive"),
    "all": _l("All"),
}
FIELDS = {
    "property_id": _l("Property"),
    "name": _l("Name"),
    "number": _l("Number"),
    "room_type_id": _l("Room type"),
    "description": _l("Description"),
    "stays_id": _l("Stays id"),
    "beds24_room_id": _l("Beds24 room"),
    "beds24_unit_id": _l("Beds24 unit"),
    "is_active": _l("Guests can stay here"),
}
LIMITS = (25, 50, 100)


@bp.get("")
@role_required("admin")
def index() -> ResponseReturnValue:
    """The list, in one of its views; what is typed into the search looks everywhere."""
    filters = Filter.from_args(request.args, navigation.property_id())
    found = accommodation_pages.search(filters)
    if found.page.total and filters.page > found.page.total_pages:
        return redirect(here(page=found.page.total_pages), 303)
    kinds = accommodation_pages.room_types()
    return render(
        "accommodations/index.html",
        fragments={"results": ("views", "results")},
        page=found.page,
        counts=found.counts,
        filters=filters,
        views=VIEWS,
        limits=LIMITS,
        **onboarding.context(),
        **sync_strip.strip(accommodation_sync.latest()),
        kinds=[
            (kind.id, kind.name) for kind, house in kinds if filters.property_id in (None, house.id)
        ],
    )


@bp.get("/new")
@role_required("admin")
def new() -> ResponseReturnValue:
    """An empty form, in the property that is looked at."""
    chosen = navigation.current_property()
    return _new(Form({"property_id": chosen.id if chosen else "", "is_active": True}))


@bp.post("")
@bp.post("/new")
@role_required("admin")
def create() -> ResponseReturnValue:
    """Create it; the form again, as it was typed, when something is wrong with it."""
    try:
        row = accommodations.create(
            parse(NewAccommodation, sent(NewAccommodation)), actor=current_actor()
        )
    except (Invalid, Conflict) as error:
        return _new(refused(error), status_of(error))
    return redirect(url_for(".show", accommodation_id=row.id, saved=1), 303)


@bp.get("/<uuid:accommodation_id>")
@bp.get("/<uuid:accommodation_id>/edit", endpoint="edit")
@role_required("admin")
def show(accommodation_id: UUID) -> ResponseReturnValue:
    """The unit, its lock, and every attempt to give it one."""
    unit = accommodation_pages.get(accommodation_id)
    return _show(unit, Form(_values(unit.accommodation)))


@bp.post("/<uuid:accommodation_id>/edit")
@role_required("admin")
def save(accommodation_id: UUID) -> ResponseReturnValue:
    """Save the form; asks first when guests' PINs would move because of it."""
    unit = accommodation_pages.get(accommodation_id)
    confirmed = "confirm" in request.form
    try:
        data = sent(AccommodationChanges, whole=True) | {"confirm": confirmed}
        changes = parse(AccommodationChanges, data)
        accommodations.change(accommodation_id, changes, actor=current_actor())
    except (Invalid, Conflict) as error:
        form = refused(error)
        asks = isinstance(error, Conflict) and not any(each.field for each in error.errors)
        guests = mapping_pages.affected(accommodation_id) if asks else ()
        return _show(unit, form, status_of(error), asks=asks, guests=guests)
    return redirect(url_for(".show", accommodation_id=accommodation_id, saved=1), 303)


@bp.get("/<uuid:accommodation_id>/delete")
@role_required("admin")
def ask_delete(accommodation_id: UUID) -> ResponseReturnValue:
    """What deleting would mean."""
    return _delete(accommodation_pages.get(accommodation_id))


@bp.post("/<uuid:accommodation_id>/delete")
@role_required("admin")
def delete(accommodation_id: UUID) -> ResponseReturnValue:
    """Delete it, or say what still needs it."""
    unit = accommodation_pages.get(accommodation_id)
    try:
        accommodations.delete(accommodation_id, actor=current_actor())
    except Conflict as error:
        return _delete(unit, error)
    return done(url_for(".index"), leave=True)


def _new(form: Form, status: int = 200) -> ResponseReturnValue:
    return render("accommodations/new.html", status, form=form, fields=FIELDS, **_choices())


def _show(unit: Unit, form: Form, status: int = 200, **context: Any) -> ResponseReturnValue:
    return render(
        "accommodations/show.html",
        status,
        fragments={"unit-lock": "lock"},
        unit=unit,
        form=form,
        fields=FIELDS,
        saved="saved" in request.args,
        reason_of=reason_of,
        history=mapping_pages.history(accommodation_id=unit.accommodation.id),
        **_choices(),
        **context,
    )


def _delete(unit: Unit, error: Conflict | None = None) -> ResponseReturnValue:
    return dialog(
        "accommodations/delete.html",
        409 if error else 200,
        unit=unit,
        refusal=still_needed(error),
    )


def _choices() -> dict[str, Any]:
    """The lists of the form."""
    many = len(navigation.properties()) > 1
    return {
        "houses": [(house.id, house.name) for house in navigation.properties()],
        "kinds": [
            (kind.id, _("%(type)s, %(property)s", type=kind.name, property=house.name))
            if many
            else (kind.id, kind.name)
            for kind, house in accommodation_pages.room_types()
        ],
    }


def _values(row: Accommodation) -> Mapping[str, Any]:
    return {name: getattr(row, name) for name in FIELDS}
