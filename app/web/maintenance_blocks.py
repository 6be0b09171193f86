"""Take rooms off sale for some nights, and put them back (INTERFACES §5, DECISIONS 22)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l

from app import clock
from app.errors import Conflict, Invalid
from app.models import MaintenanceBlock
from app.services import booking_desk, inventory_calendar, maintenance_blocks
from app.services.inputs import parse
from app.services.maintenance_blocks import BlockChanges, Blocked, NewBlock
from app.web import booking_fields, booking_words, navigation
from app.web.availability import back_to
from app.web.dates import gettext as _
from app.web.forms import Form, dialog, done, refused, sent, status_of
from app.web.rendering import is_htmx, render
from app.web.sessions import current_actor, login_required, role_required

bp = Blueprint("maintenance_blocks", __name__, url_prefix="/maintenance-blocks")

FIELDS = {
    "room_type_id": _l("Room type"),
    "accommodation_id": _l("Room"),
    "start_date": _l("First night"),
    "end_date": _l("Free again on"),
    "units": _l("How many"),
    "reason": _l("Reason"),
}


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    """The list stands below the nights it takes away."""
    return redirect(back_to() + "#blocks", 303)


@bp.get("/new")
@role_required("admin")
def new() -> ResponseReturnValue:
    """An empty form, with what the address names."""
    today = clock.local_today(navigation.timezone())
    values: dict[str, Any] = {"start_date": today, "end_date": today + timedelta(1), "units": 1}
    return _form(None, Form(values | {k: v for k, v in request.args.items() if k in FIELDS}))


@bp.post("/new")
@role_required("admin")
def create() -> ResponseReturnValue:
    """Take the rooms off sale; the form again when something is wrong with it."""
    try:
        found = maintenance_blocks.create(parse(NewBlock, sent(NewBlock)), actor=current_actor())
    except (Invalid, Conflict) as error:
        return _form(None, refused(error), status_of(error))
    return _saved(found, _("The rooms are off sale"))


@bp.get("/<uuid:block_id>/edit")
@role_required("admin")
def edit(block_id: UUID) -> ResponseReturnValue:
    """The form of one block."""
    row = maintenance_blocks.get(block_id)
    return _form(row, Form({name: getattr(row, name) for name in FIELDS}))


@bp.post("/<uuid:block_id>/edit")
@role_required("admin")
def save(block_id: UUID) -> ResponseReturnValue:
    """Save the form."""
    row = maintenance_blocks.get(block_id)
    try:
        changes = parse(BlockChanges, sent(BlockChanges, whole=True))
        found = maintenance_blocks.change(block_id, changes, actor=current_actor())
    except (Invalid, Conflict) as error:
        typed = {"room_type_id": row.room_type_id, **booking_fields.typed()}
        return _form(row, refused(error, typed), status_of(error))
    return _saved(found, _("The maintenance is changed"))


@bp.get("/<uuid:block_id>/delete")
@role_required("admin")
def ask_delete(block_id: UUID) -> ResponseReturnValue:
    """What putting the rooms back on sale means."""
    return _delete(maintenance_blocks.get(block_id))


@bp.post("/<uuid:block_id>/delete")
@role_required("admin")
def delete(block_id: UUID) -> ResponseReturnValue:
    """Put the rooms back on sale."""
    row = maintenance_blocks.get(block_id)
    try:
        maintenance_blocks.remove(block_id, actor=current_actor())
    except Conflict:
        return _delete(row, 409)
    said = _("The rooms are on sale again")
    if not is_htmx():
        flash(said, "ok")
    return done(back_to(row.start_date), said)


def _saved(found: Blocked, said: str) -> ResponseReturnValue:
    flash(said, "ok")
    if found.overbooked:
        days = booking_words.days(found.overbooked)
        flash(_("More is sold than there is on %(days)s. Move these guests.", days=days), "warn")
    return redirect(back_to(found.block.start_date), 303)


def _form(row: MaintenanceBlock | None, form: Form, status: int = 200) -> ResponseReturnValue:
    kinds = booking_fields.kinds(form.value("room_type_id"))
    types = booking_fields.kind_options(kinds)
    house = kinds[0].house.id if len(types) == 1 and kinds else None
    rooms: dict[str, list[tuple[Any, str]]] = {}
    for room, kind in inventory_calendar.rooms_of(house):
        if row is None or room.room_type_id == row.room_type_id:
            rooms.setdefault(kind, []).append((room.id, room.name))
    return render(
        "availability/block.html",
        status,
        row=row,
        form=form,
        fields=FIELDS,
        types=types,
        kind=next(
            (k.room_type.name for k in kinds if row and k.room_type.id == row.room_type_id), ""
        ),
        rooms=rooms,
        channel=row.channel.capitalize() if row and row.channel else "",
        back=back_to(row.start_date if row else None),
    )


def _delete(row: MaintenanceBlock, status: int = 200) -> ResponseReturnValue:
    names = booking_desk.names(
        {str(each) for each in (row.room_type_id, row.accommodation_id) if each}
    )
    return dialog(
        "availability/block_delete.html",
        409 if row.channel else status,
        row=row,
        names=names,
        channel=row.channel.capitalize() if row.channel else "",
        back=back_to(row.start_date),
    )
