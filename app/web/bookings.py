"""Sell a stay at the desk: is there room, book it, and who will be told (design/UI.md §4)."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import Response, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from app import clock
from app.errors import Conflict, Invalid, NotFound
from app.models import Reservation
from app.runtime import settings
from app.services import direct_bookings, reservation_lists
from app.services.booking_inputs import NewBooking
from app.services.inputs import parse
from app.web import (
    amounts,
    booking_fields,
    booking_words,
    navigation,
    reservations,
    room_wording,
)
from app.web.booking_fields import Choice
from app.web.dates import gettext as _
from app.web.forms import Form, refused, sent, status_of
from app.web.rendering import render
from app.web.sessions import current_actor, login_required

#: the form stands with the list it adds to
_pages = reservations.bp

FIELDS = {
    "check_in": _l("Check-in"),
    "check_out": _l("Check-out"),
    "room_type_id": _l("Room type"),
    "units": _l("How many"),
    "accommodation_id": _l("Room"),
    "check_in_now": _l("The guest is here: check in now"),
    "guest_name": _l("Name"),
    "guest_email": _l("E-mail"),
    "guest_phone": _l("Phone"),
    "adults": _l("Adults"),
    "children": _l("Children"),
    "amount": _l("Amount"),
    "currency": _l("Currency"),
}
#: what an address may choose beforehand; a guest is never part of one
STAY = ("room_type_id", "check_in", "check_out", "units", "accommodation_id")


@_pages.get("/new")
@login_required
def new() -> ResponseReturnValue:
    """An empty form with the nights of what the address names, live for every change of it.

    `again` is a booking that did not come about: the form begins with what it said.
    """
    values = _from_nothing()
    if (again := request.args.get("again", "")) and (stay := _stay(again)) is not None:
        values |= _from_stay(stay)
    values |= {name: request.args[name] for name in STAY if name in request.args}
    return _form(Form(values))


@_pages.post("/new")
@login_required
def create() -> ResponseReturnValue:
    """Book it; the form again, as it was typed, when something is wrong with it.

    The form carries a key, so that pressing twice books once.
    """
    values = booking_fields.typed()
    if "show" in values:
        return _form(Form(values))
    try:
        booked = direct_bookings.create(_sent(), actor=current_actor(), key=_key())
    except (Invalid, Conflict) as error:
        return _refused(error, values)
    stay, more = booked.reservations[0], len(booked.reservations)
    if more > 1:
        said = ngettext(
            "%(num)d reservation is made, one for each room",
            "%(num)d reservations are made, one for each room",
            more,
        )
        flash(said, "ok")
    elif stay.status == "confirmed":
        flash(_("The booking is made"), "ok")
    return redirect(url_for("reservations.show", reservation_id=stay.id), 303)


def _sent() -> NewBooking:
    data = booking_fields.readable(sent(NewBooking))
    if not data.get("property_id"):
        data.pop("property_id", None)
        for kind in booking_fields.kinds(data.get("room_type_id")):
            if str(kind.room_type.id) == data.get("room_type_id"):
                data["property_id"] = str(kind.house.id)
    try:
        return parse(NewBooking, data)
    except Invalid as error:
        # The property follows from the room type: whoever chose none is told once.
        errors = [each for each in error.errors if each.field != "property_id"]
        raise Invalid(error.message, errors or error.errors) from None


def _refused(error: Invalid | Conflict, values: dict[str, Any]) -> Response:
    status = status_of(error)
    if error.message == direct_bookings.KEY_USED:
        said = _("This form has made a booking already. Press again to make another one.")
        return _form(Form(_renewed(values), {"": said}), status)
    form = refused(error, values)
    if isinstance(error, Conflict) and (nights := booking_words.full_nights(error)):
        form = Form(values, {"check_in": booking_fields.full_message(nights)})
    elif form.error("") and form.value("check_in_now"):
        # A walk-in that cannot move in: every reason, where the box is.
        form = Form(values, {"check_in_now": " ".join(room_wording.refusal(error))})
    return _form(form, status)


def _form(form: Form, status: int = 200) -> Response:
    found = booking_fields.kinds(form.value("room_type_id"))
    if not form.value("room_type_id") and len(found) == 1:
        form = Form({**form.values, "room_type_id": found[0].room_type.id}, form.errors)
    if not form.value("form_key"):
        form = Form(_renewed(form.values), form.errors)
    offer = Choice.of(form.values).offer()
    if not form.value("currency"):
        chosen = offer.kind.house if offer else found[0].house if found else None
        currency = chosen.currency if chosen else ""
        form = Form({**form.values, "currency": currency}, form.errors)
    return render(
        "bookings/new.html",
        status,
        fragments={"offer": ("offer", "summary")},
        form=form,
        fields=FIELDS,
        kinds=found,
        groups=booking_fields.kind_options(found),
        held_for=settings().hold_minutes,
        **booking_fields.context(offer),
    )


def _from_nothing() -> dict[str, Any]:
    today = clock.local_today(navigation.timezone())
    return {"check_in": today, "check_out": today + timedelta(days=1), "units": 1}


def _from_stay(stay: Reservation) -> dict[str, Any]:
    names = ("room_type_id", "guest_name", "guest_email", "guest_phone", "adults", "children")
    return {name: getattr(stay, name) for name in (*names, "currency")} | {
        "check_in": stay.check_in_on,
        "check_out": stay.check_out_on,
        "accommodation_id": stay.accommodation_id,
        "amount": amounts.shown(stay.amount),
    }


def _stay(text: str) -> Reservation | None:
    try:
        return reservation_lists.get(UUID(text)).reservation
    except (ValueError, NotFound):
        return None


def _renewed(values: Any) -> dict[str, Any]:
    return {**values, "form_key": secrets.token_urlsafe(12)}


def _key() -> str | None:
    """What the same form pressed twice has in common."""
    return request.form.get("form_key", "").strip()[:64] or None
