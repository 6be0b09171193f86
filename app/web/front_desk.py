"""Check in, check out, no-show, cancel, move: each asks first what it would mean (UI.md §10)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask import Response, flash, request
from flask.typing import ResponseReturnValue

from app import clock
from app.domain.booking_rules import against_changing
from app.domain.states import ReservationStatus as Status
from app.errors import Conflict, Invalid, ServiceError
from app.models import Property, Reservation
from app.services import booking_changes, booking_ends, front_desk, room_conflicts, rooms
from app.services import reservation_lists as lists
from app.services.booking_inputs import BookingChanges
from app.services.inputs import parse
from app.services.reservation_lists import ReservationRow
from app.services.room_conflicts import Alternative
from app.web import reservations
from app.web import room_wording as words
from app.web.dates import gettext as _
from app.web.forms import dialog, done
from app.web.rendering import is_htmx
from app.web.sessions import current_actor, login_required

#: the stay's actions stand with its pages
_pages = reservations.bp
#: where one goes back to without scripts
BACK = {"today": "/", "rooms": "/rooms", "calendar": "/rooms?view=calendar"}


@_pages.get("/<uuid:reservation_id>/check-in")
@login_required
def ask_check_in(reservation_id: UUID) -> ResponseReturnValue:
    """The room, its state, the PIN and what is unusual, before the guest is checked in."""
    return _ask_check_in(reservation_id, _chosen())


@_pages.post("/<uuid:reservation_id>/check-in")
@login_required
def check_in(reservation_id: UUID) -> ResponseReturnValue:
    """The guest is here."""
    try:
        stay = front_desk.check_in(
            reservation_id, actor=current_actor(), accommodation_id=_chosen()
        )
    except (Conflict, Invalid) as refused:
        return _ask_check_in(reservation_id, _chosen(), refused)
    row = lists.get(stay.id)
    return _done(row, _("%(guest)s is checked in: %(room)s", guest=guest(row), room=room(row)))


@_pages.get("/<uuid:reservation_id>/check-out")
@login_required
def ask_check_out(reservation_id: UUID) -> ResponseReturnValue:
    """What follows from the departure, before it is noted."""
    return _ask_check_out(reservation_id)


@_pages.post("/<uuid:reservation_id>/check-out")
@login_required
def check_out(reservation_id: UUID) -> ResponseReturnValue:
    """The guest has left."""
    try:
        front_desk.check_out(reservation_id, actor=current_actor())
    except Conflict as refused:
        return _ask_check_out(reservation_id, refused)
    row = lists.get(reservation_id)
    said = _(
        "%(guest)s is checked out: %(room)s is to be cleaned", guest=guest(row), room=room(row)
    )
    return _done(row, said)


@_pages.get("/<uuid:reservation_id>/no-show")
@login_required
def ask_no_show(reservation_id: UUID) -> ResponseReturnValue:
    """What follows when the guest has not come."""
    return _ask_no_show(reservation_id)


@_pages.post("/<uuid:reservation_id>/no-show")
@login_required
def no_show(reservation_id: UUID) -> ResponseReturnValue:
    """The guest has not come."""
    try:
        booking_ends.no_show(reservation_id, actor=current_actor())
    except Conflict:
        return _ask_no_show(reservation_id)
    row = lists.get(reservation_id)
    return _done(row, _("%(guest)s is noted as a no-show", guest=guest(row)))


@_pages.get("/<uuid:reservation_id>/cancel")
@login_required
def ask_cancel(reservation_id: UUID) -> ResponseReturnValue:
    """What follows from a cancellation."""
    return _ask_cancel(reservation_id)


@_pages.post("/<uuid:reservation_id>/cancel")
@login_required
def cancel(reservation_id: UUID) -> ResponseReturnValue:
    """Cancel the booking, with all its units."""
    try:
        booking_ends.cancel(reservation_id, actor=current_actor())
    except Conflict:
        return _ask_cancel(reservation_id)
    row = lists.get(reservation_id)
    return _done(row, _("The booking of %(guest)s is cancelled", guest=guest(row)))


@_pages.get("/<uuid:reservation_id>/room")
@login_required
def ask_room(reservation_id: UUID) -> ResponseReturnValue:
    """The free rooms of the same type for the nights that are left."""
    return _ask_room(reservation_id)


@_pages.post("/<uuid:reservation_id>/room")
@login_required
def move(reservation_id: UUID) -> ResponseReturnValue:
    """Give the stay another room; its PIN follows."""
    try:
        given = {name: request.form.get(name, "") for name in ("version", "accommodation_id")}
        version = int(given["version"]) if given["version"].isdecimal() else given["version"]
        changes = parse(BookingChanges, given | {"version": version})
        booking_changes.change(reservation_id, changes, actor=current_actor())
    except (Conflict, Invalid) as refused:
        return _ask_room(reservation_id, refused)
    row = lists.get(reservation_id)
    return _done(row, _("%(guest)s moves to %(room)s", guest=guest(row), room=room(row)))


def guest(row: ReservationRow) -> str:
    """Whose stay it is."""
    return row.reservation.guest_name or _("Guest without a name")


def room(row: ReservationRow) -> str:
    """102 Hortelã, as `ui.stays.room` says it."""
    found = row.accommodation
    if found is None:
        return _("No room yet")
    named = found.number and found.number not in found.name
    return f"{found.number} {found.name}" if named else found.name


def actions(stay: Reservation, house: Property) -> dict[str, bool]:
    """What the desk may do with the stay, for the buttons of its page."""
    now, today = clock.utcnow(), clock.local_today(house.timezone)
    arriving = stay.status in front_desk.ARRIVING
    inside = stay.status == Status.CHECKED_IN
    coming = (arriving or stay.status == Status.PENDING) and stay.check_out_at > now
    return {
        "check_in": arriving and stay.check_in_on <= today and stay.check_out_at > now,
        "check_out": inside,
        "no_show": not booking_ends.reasons_against_no_show(stay, house),
        "cancel": not booking_ends.reasons_against_cancelling(stay),
        "move": (inside or coming) and not _against_moving(stay),
    }


def _ask_check_in(
    reservation_id: UUID, wanted: UUID | None, refused: ServiceError | None = None
) -> Response:
    found = front_desk.foresee_check_in(reservation_id, None if refused else wanted)
    row = lists.get(reservation_id)
    errors = words.refusal(refused) if refused else words.sentences(found.errors)
    options: Sequence[Alternative] = ()
    if found.proposed or (errors and row.reservation.status in front_desk.ARRIVING):
        options = _options(reservation_id, found.valid)
    chosen = rooms.get(found.room.id) if found.room is not None else row.accommodation
    return dialog(
        "desk/check_in.html",
        409 if errors else 200,
        errors=errors,
        can_go_on=found.valid or bool(options),
        found=found,
        options=options,
        room=chosen,
        late=row.reservation.check_in_on < clock.local_today(row.property.timezone),
        **_about(row),
    )


def _options(reservation_id: UUID, valid: bool) -> Sequence[Alternative]:
    """Rooms to choose from; none when it is not the room that stands in the way."""
    found = room_conflicts.rooms_for(reservation_id, at_once=True)
    if valid or not found:
        return found
    return found if front_desk.foresee_check_in(reservation_id, found[0].id).valid else ()


def _ask_check_out(reservation_id: UUID, refused: ServiceError | None = None) -> Response:
    found = front_desk.foresee_check_out(reservation_id)
    row = lists.get(reservation_id)
    errors = words.refusal(refused) if refused else words.sentences(found.errors)
    following = front_desk.next_guest(found.room.id, reservation_id) if found.room else None
    return dialog(
        "desk/check_out.html",
        409 if errors else 200,
        errors=errors,
        following=following,
        early=row.reservation.check_out_on > clock.local_today(row.property.timezone),
        **_about(row),
    )


def _ask_no_show(reservation_id: UUID) -> Response:
    row = lists.get(reservation_id)
    found = booking_ends.reasons_against_no_show(row.reservation, row.property)
    return _ending("desk/no_show.html", row, [words.reason(each) for each in found])


def _ask_cancel(reservation_id: UUID) -> Response:
    row = lists.get(reservation_id)
    found = booking_ends.reasons_against_cancelling(row.reservation)
    return _ending("desk/cancel.html", row, [words.reason(each) for each in found])


def _ending(template: str, row: ReservationRow, errors: Sequence[str]) -> Response:
    owner = booking_changes.as_booking(row.reservation).owner
    return dialog(template, 409 if errors else 200, errors=errors, owner=owner, **_about(row))


def _ask_room(reservation_id: UUID, refused: ServiceError | None = None) -> Response:
    row = lists.get(reservation_id)
    against = _against_moving(row.reservation)
    options = () if against else room_conflicts.rooms_for(reservation_id)
    errors = words.refusal(refused) if refused else against
    return dialog(
        "desk/room.html",
        409 if errors else 200,
        errors=errors,
        options=options,
        can_go_on=bool(options),
        **_about(row),
    )


def _against_moving(stay: Reservation) -> list[str]:
    reasons = against_changing(booking_changes.as_booking(stay), {"accommodation_id"})
    return words.sentences(each.message for each in reasons)


def _about(row: ReservationRow) -> dict[str, Any]:
    """What every dialog about a stay shows."""
    return {
        "row": row,
        "r": row.reservation,
        "pin": row.pin,
        "zone": row.property.timezone,
        "today": clock.local_today(row.property.timezone),
        "words": words,
        "path": f"/reservations/{row.reservation.id}",
        "origin": _origin(),
        "back": _back(row),
    }


def _chosen() -> UUID | None:
    """The room that was chosen in the dialog. Raises Invalid for what is none."""
    raw = request.values.get("accommodation_id", "").strip()
    if not raw:
        return None
    try:
        return UUID(raw)
    except ValueError:
        raise Invalid.field("accommodation_id", "must be an id (UUID)") from None


def _origin() -> str:
    """The page that asked, by its word."""
    asked = request.args.get("from", "")
    return asked if asked in BACK else ""


def _back(row: ReservationRow) -> str:
    return BACK.get(_origin(), f"/reservations/{row.reservation.id}")


def _done(row: ReservationRow, said: str) -> ResponseReturnValue:
    """The page behind reads itself again; without scripts one goes back to it."""
    if not is_htmx():
        flash(said, "ok")
    return done(_back(row), said)
