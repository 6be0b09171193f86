"""Price nights: one or many at once, per room type (INTERFACES §5, DECISIONS 22)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from app import clock
from app.errors import Conflict, Invalid
from app.services import rates
from app.services.inputs import parse
from app.services.rates import NewRate
from app.web import amounts, booking_fields, navigation
from app.web.availability import back_to
from app.web.forms import Form, refused, sent, status_of
from app.web.rendering import render
from app.web.sessions import current_actor, login_required, role_required

bp = Blueprint("rates", __name__, url_prefix="/rates")

FIELDS = {
    "room_type_id": _l("Room type"),
    "from": _l("First night"),
    "to": _l("Until"),
    "price": _l("Price per night"),
    "min_stay": _l("Shortest stay"),
}


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    """Prices stand below the nights they are for."""
    return redirect(back_to(), 303)


@bp.get("/new")
@role_required("admin")
def new() -> ResponseReturnValue:
    """An empty form, with what the address names."""
    today = clock.local_today(navigation.timezone())
    values: dict[str, Any] = {"from": today, "to": today + timedelta(1)}
    return _form(Form(values | {k: v for k, v in request.args.items() if k in FIELDS}))


@bp.post("/new")
@role_required("admin")
def create() -> ResponseReturnValue:
    """Price the nights, those that had a price as well; the form again when something is wrong."""
    data = sent(NewRate) | {
        name: day for name in ("from", "to") if (day := request.form.get(name, "").strip())
    }
    data["price"] = amounts.typed(request.form.get("price", ""))
    try:
        if missing := [name for name in ("from", "to") if name not in data]:
            raise Invalid.field(missing[0], "must be a day written YYYY-MM-DD")
        rows = rates.put(parse(NewRate, data), actor=current_actor())
    except (Invalid, Conflict) as error:
        return _form(refused(error), status_of(error))
    flash(ngettext("%(num)d night is priced", "%(num)d nights are priced", len(rows)), "ok")
    return redirect(back_to(rows[0].date), 303)


def _form(form: Form, status: int = 200) -> ResponseReturnValue:
    kinds = booking_fields.kinds(form.value("room_type_id"))
    chosen = str(form.value("room_type_id"))
    house = next((k.house for k in kinds if str(k.room_type.id) == chosen), None)
    same = {kind.house.currency for kind in kinds}
    return render(
        "availability/rate.html",
        status,
        form=form,
        fields=FIELDS,
        types=booking_fields.kind_options(kinds),
        currency=house.currency if house else same.pop() if len(same) == 1 else "",
        back=back_to(),
    )
