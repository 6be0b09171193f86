"""Change a booking: what its owner allows, against what somebody else changed meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from flask import Response, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l

from app.domain.booking_rules import against_changing
from app.errors import Conflict, Invalid, Stale
from app.models import Reservation
from app.services import booking_changes, booking_desk, booking_progress, reservation_lists
from app.services.booking_inputs import BookingChanges
from app.services.booking_progress import Change
from app.services.inputs import parse
from app.services.reservation_lists import ReservationRow
from app.web import amounts, booking_fields, booking_words, dates, pin_history, reservations
from app.web.booking_fields import Choice
from app.web.bookings import FIELDS as NEW_FIELDS
from app.web.bookings import STAY
from app.web.dates import gettext as _
from app.web.forms import Form, refused, sent, status_of
from app.web.rendering import render
from app.web.sessions import current_actor, login_required

_pages = reservations.bp

FIELDS = {
    name: label for name, label in NEW_FIELDS.items() if name not in ("units", "check_in_now")
} | {"guest_name": _l("Guest")}
PLACES = ("room_type_id", "accommodation_id")
COLUMNS = {"check_in": "check_in_on", "check_out": "check_out_on"}
#: a field as the page had it when it was opened
WAS = "was_"


@dataclass(frozen=True, slots=True)
class Side:
    """One field of two versions: as it is now, and as it was typed."""

    label: str
    opened: str
    now: str
    typed: str | None  # None: the person left it alone

    @property
    def differs(self) -> bool:
        return self.typed is not None and self.typed != self.now


@dataclass(frozen=True, slots=True)
class Clash:
    """What somebody else did while the form was open."""

    change: Change | None
    sides: list[Side]


@_pages.get("/<uuid:reservation_id>/edit")
@login_required
def edit(reservation_id: UUID) -> ResponseReturnValue:
    """The booking as it is; nights and rooms live for every change of dates or type."""
    row = reservation_lists.get(reservation_id)
    asked = {name: request.args[name] for name in STAY if name in request.args}
    return _form(row, Form(_values(row.reservation) | asked))


@_pages.post("/<uuid:reservation_id>/edit")
@login_required
def save(reservation_id: UUID) -> ResponseReturnValue:
    """Save what was changed on the form, and nothing else.

    Changed by somebody else meanwhile, the form comes back with both versions side by side: what
    was typed stands in it, on top of the version that is current.
    """
    row = reservation_lists.get(reservation_id)
    typed = booking_fields.typed()
    stored = _values(row.reservation)
    opened = {name: typed.get(WAS + name, stored[name]) for name in FIELDS}
    mine = {
        name: typed[name].strip()
        for name in FIELDS
        if name in typed and typed[name].strip() != opened[name].strip()
    }
    if "show" in typed:
        return _form(row, Form(opened | mine), opened=opened, version=typed.get("version", ""))
    if not mine:
        return redirect(url_for("reservations.show", reservation_id=reservation_id), 303)
    try:
        booking_changes.change(reservation_id, _changes(mine), actor=current_actor())
    except Stale:
        return _stale(reservation_id, opened, mine)
    except (Invalid, Conflict) as error:
        form = refused(error, opened | mine)
        if isinstance(error, Conflict) and (nights := booking_words.full_nights(error)):
            form = Form(form.values, {"check_in": booking_fields.full_message(nights)})
        version = typed.get("version", "")
        return _form(row, form, status_of(error), opened=opened, version=version)
    flash(_("The booking is changed"), "ok")
    return redirect(url_for("reservations.show", reservation_id=reservation_id), 303)


def _changes(mine: Mapping[str, str]) -> BookingChanges:
    """The fields that were changed, at the version the form was opened with. Raises Invalid."""
    found = sent(BookingChanges, whole=True)
    given = {name: value for name, value in found.items() if name in (*mine, "version")}
    return parse(BookingChanges, booking_fields.readable(given))


def _stale(
    reservation_id: UUID, opened: dict[str, str], mine: dict[str, str]
) -> ResponseReturnValue:
    row = reservation_lists.get(reservation_id)
    now = _values(row.reservation)
    if all(_plain(name, text) == _plain(name, now[name]) for name, text in mine.items()):
        # What was wanted is so already: most likely the button was pressed twice.
        return redirect(url_for("reservations.show", reservation_id=reservation_id), 303)
    shown = _names(row, opened, now, mine)
    sides = [
        Side(
            str(FIELDS[name]),
            shown(name, opened[name]),
            shown(name, now[name]),
            shown(name, mine[name]) if name in mine else None,
        )
        for name in FIELDS
        if opened[name] != now[name] or name in mine
    ]
    clash = Clash(booking_progress.last_change(reservation_id), sides)
    return _form(row, Form(now | mine), 409, clash=clash)


def _form(
    row: ReservationRow,
    form: Form,
    status: int = 200,
    *,
    opened: Mapping[str, str] | None = None,
    version: str = "",
    clash: Clash | None = None,
) -> Response:
    stay = row.reservation
    now = _values(stay)
    off, closed = locked(stay), ""
    if len(off) == len(FIELDS):
        # One sentence above says why: not each field again.
        off, closed = dict.fromkeys(off, ""), off["guest_name"]
    # A field that is not open any more shows what is so.
    form = Form({**form.values, **{name: now[name] for name in off}}, form.errors)
    kinds = booking_desk.kinds(stay.property_id)
    offer = Choice.of(form.values).offer(but=stay.id)
    return render(
        "bookings/edit.html",
        status,
        fragments={"offer": "offer"},
        row=row,
        r=stay,
        zone=row.property.timezone,
        form=form,
        fields=FIELDS,
        off=off,
        closed=closed,
        open_fields=[name for name in FIELDS if name not in off],
        kinds=[(kind.room_type.id, kind.room_type.name) for kind in kinds],
        opened=opened or now,
        version=version or stay.version,
        clash=clash,
        columns=pin_history.FIELDS,
        units=booking_progress.of(stay).units,
        **booking_fields.context(offer),
    )


def locked(stay: Reservation) -> dict[str, str]:
    """The fields that stay as they are, each with the reason."""
    booking = booking_changes.as_booking(stay)
    found = {}
    for name in FIELDS:
        if reasons := against_changing(booking, [name]):
            found[name] = booking_words.locked(reasons[0])
    return found


def _values(stay: Reservation) -> dict[str, str]:
    """Every field as text, as the form shows it."""
    return {name: _text(getattr(stay, COLUMNS.get(name, name))) for name in FIELDS}


def _text(value: Any) -> str:
    if isinstance(value, Decimal):
        return amounts.shown(value)
    return "" if value is None else str(value)


def _plain(name: str, text: str) -> str:
    """The text without what only looks different: 900 and 900.00 are one amount."""
    if name != "amount" or not text:
        return text
    try:
        return str(Decimal(amounts.typed(text)).normalize())
    except InvalidOperation:
        return text


def _names(row: ReservationRow, *versions: Mapping[str, str]) -> Any:
    """How a value is shown in the comparison: days and rooms by their names."""
    rooms = booking_desk.names({version.get(name, "") for version in versions for name in PLACES})

    def shown(name: str, value: str) -> str:
        if not value:
            return _("none yet") if name == "accommodation_id" else "—"
        if name in PLACES:
            return rooms.get(value, value)
        if name in COLUMNS:
            try:
                return dates.weekday(date.fromisoformat(value))
            except ValueError:
                return value
        return value

    return shown
