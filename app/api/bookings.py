"""Sell stays, change them, cancel them, and note who did not come (INTERFACES §5)."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from app.api import inventory_json, serializers
from app.api.bodies import body
from app.api.problems import problem
from app.api.tokens import actor, staff_too
from app.errors import Invalid, Stale
from app.services import booking_changes, booking_ends, direct_bookings, reservation_lists
from app.services.booking_inputs import BookingChanges, NewBooking

bp = Blueprint("bookings", __name__, url_prefix="/reservations")

MAX_KEY = 255


@bp.post("")
@staff_too
def create() -> ResponseReturnValue:
    """Book a stay. `reservation` and `hold` are of the first unit, the lists of all.

    With an `Idempotency-Key`, the same request again answers what the first one did.
    """
    booked = direct_bookings.create(body(NewBooking), actor=actor(), key=_key())
    rows = [_shown(row.id) for row in booked.reservations]
    kept = [inventory_json.hold(hold) for hold in booked.holds]
    answer = jsonify(
        reservation=rows[0], hold=kept[0] if kept else None, reservations=rows, holds=kept
    )
    return answer, 201


@bp.patch("/<uuid:reservation_id>")
@staff_too
def change(reservation_id: UUID) -> ResponseReturnValue:
    """Change a stay as it was at `version`; a stale one answers 409 with the `current` state."""
    try:
        booking_changes.change(reservation_id, body(BookingChanges), actor=actor())
    except Stale as error:
        return problem(409, error.message, error.errors, current=_shown(reservation_id))
    return jsonify(_shown(reservation_id))


@bp.post("/<uuid:reservation_id>/cancel")
@staff_too
def cancel(reservation_id: UUID) -> ResponseReturnValue:
    """Cancel a stay; 409 with every reason why not."""
    booking_ends.cancel(reservation_id, actor=actor())
    return jsonify(_shown(reservation_id))


@bp.post("/<uuid:reservation_id>/no-show")
@staff_too
def no_show(reservation_id: UUID) -> ResponseReturnValue:
    """The guest has not come; 409 with every reason why it cannot be said yet."""
    booking_ends.no_show(reservation_id, actor=actor())
    return jsonify(_shown(reservation_id))


def _shown(reservation_id: UUID) -> serializers.Json:
    return serializers.reservation(reservation_lists.get(reservation_id))


def _key() -> str | None:
    key = request.headers.get("Idempotency-Key", "").strip()
    if len(key) > MAX_KEY:
        raise Invalid(f"Idempotency-Key must have at most {MAX_KEY} characters")
    return key or None
