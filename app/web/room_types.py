"""Room types: what is sold in a property, and how many of it there are."""

from __future__ import annotations

from uuid import UUID

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l

from app.errors import Conflict, Invalid
from app.models import RoomType
from app.services import properties, settings_pages
from app.services.inputs import parse
from app.services.properties import NewRoomType, RoomTypeChanges
from app.web import navigation
from app.web import settings as settings_page
from app.web.dependents import still_needed
from app.web.forms import Form, dialog, done, refused, sent, status_of
from app.web.rendering import render
from app.web.sessions import current_actor, role_required

_settings = settings_page.bp

FIELDS = {
    "property_id": _l("Property"),
    "name": _l("Name"),
    "total_units": _l("How many there are"),
}


@_settings.get("/room-types")
@role_required("admin")
def room_types() -> ResponseReturnValue:
    """The kinds of rooms of the property that is looked at."""
    return render(
        "settings/room_types.html",
        rows=settings_pages.room_types(navigation.property_id()),
        saved="saved" in request.args,
    )


@_settings.get("/room-types/new")
@role_required("admin")
def new_room_type() -> ResponseReturnValue:
    """An empty form."""
    chosen = navigation.current_property()
    return _form(None, Form({"property_id": chosen.id if chosen else ""}))


@_settings.post("/room-types/new")
@role_required("admin")
def create_room_type() -> ResponseReturnValue:
    """Create it; the form again, as it was typed, when something is wrong with it."""
    try:
        properties.create_room_type(parse(NewRoomType, sent(NewRoomType)), actor=current_actor())
    except (Invalid, Conflict) as error:
        return _form(None, refused(error), status_of(error))
    return redirect(url_for("settings.room_types", saved=1), 303)


@_settings.get("/room-types/<uuid:room_type_id>")
@_settings.get("/room-types/<uuid:room_type_id>/edit", endpoint="edit_room_type")
@role_required("admin")
def show_room_type(room_type_id: UUID) -> ResponseReturnValue:
    """The form of one kind of room."""
    row = properties.get_room_type(room_type_id)
    return _form(row, Form({name: getattr(row, name) for name in FIELDS}))


@_settings.post("/room-types/<uuid:room_type_id>/edit")
@role_required("admin")
def save_room_type(room_type_id: UUID) -> ResponseReturnValue:
    """Save the form."""
    row = properties.get_room_type(room_type_id)
    try:
        changes = parse(RoomTypeChanges, sent(RoomTypeChanges, whole=True))
        properties.change_room_type(room_type_id, changes, actor=current_actor())
    except (Invalid, Conflict) as error:
        return _form(row, refused(error), status_of(error))
    return redirect(url_for("settings.room_types", saved=1), 303)


@_settings.get("/room-types/<uuid:room_type_id>/delete")
@role_required("admin")
def ask_delete_room_type(room_type_id: UUID) -> ResponseReturnValue:
    """What deleting would mean."""
    return _delete(properties.get_room_type(room_type_id))


@_settings.post("/room-types/<uuid:room_type_id>/delete")
@role_required("admin")
def delete_room_type(room_type_id: UUID) -> ResponseReturnValue:
    """Delete it, or say what still needs it."""
    row = properties.get_room_type(room_type_id)
    try:
        properties.delete_room_type(room_type_id, actor=current_actor())
    except Conflict as error:
        return _delete(row, error)
    return done(url_for("settings.room_types"), leave=True)


def _form(row: RoomType | None, form: Form, status: int = 200) -> ResponseReturnValue:
    return render(
        "settings/room_type.html",
        status,
        row=row,
        form=form,
        fields=FIELDS,
        houses=[(house.id, house.name) for house in navigation.properties()],
    )


def _delete(row: RoomType, error: Conflict | None = None) -> ResponseReturnValue:
    return dialog(
        "settings/room_type_delete.html",
        409 if error else 200,
        row=row,
        refusal=still_needed(error),
    )
