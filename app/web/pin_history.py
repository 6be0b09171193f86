"""What has happened to a stay and its PIN, and who did it; newest first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from flask_babel import lazy_gettext as _l

from app.domain.states import PinJobKind, PinJobStatus, RevokeReason
from app.integrations import channels
from app.models import Credential, PinJob
from app.services.diagnosis import Explanation
from app.web.dates import gettext as _
from app.web.pin_sentences import name_of, sentence
from app.web.pin_steps import REASONS

ACTIONS = {
    "reveal": _l("PIN shown"),
    "reprocess": _l("New PIN ordered"),
    "revoke": _l("PIN revoked"),
    "update": _l("Booking changed"),
    "move": _l("Moved to another room, to make place"),
    "create": _l("Booking made"),
    "confirm": _l("Confirmed by the channel"),
    "fail": _l("Not accepted by the channel"),
    "check_in": _l("Guest checked in"),
    "check_out": _l("Guest checked out"),
    "no_show": _l("Noted as a no-show"),
    "cancel": _l("Booking cancelled"),
}
#: what these change goes without saying
PLAIN = frozenset({"check_in", "check_out", "no_show", "cancel", "move"})
#: what a change of a booking is called in its history
FIELDS = {
    "status": _l("Status"),
    "accommodation_id": _l("Room"),
    "room_type_id": _l("Room type"),
    "check_in_at": _l("Check-in"),
    "check_in_on": _l("Check-in"),
    "check_out_at": _l("Check-out"),
    "check_out_on": _l("Check-out"),
    "guest_name": _l("Guest"),
    "guest_email": _l("E-mail"),
    "guest_phone": _l("Phone"),
    "adults": _l("Guests"),
    "children": _l("Guests"),
    "amount": _l("Amount"),
    "currency": _l("Amount"),
    "partner": _l("Booked through"),
    "partner_ref": _l("Booked through"),
}


@dataclass(frozen=True, slots=True)
class Happened:
    """One row; `failed` rows are marked, `text` explains in small print."""

    at: datetime
    what: str
    who: str
    text: str = ""
    failed: bool = False


def history(e: Explanation) -> list[Happened]:
    """The booking's own milestones, what people did, and what became of each PIN."""
    rows = [*_booking(e), *_people(e)]
    for credential in e.credentials:
        rows += _milestones(credential)
    rows += [row for order in e.orders for row in _troubles(order)]
    return sorted(rows, key=lambda row: row.at, reverse=True)


def _booking(e: Explanation) -> Iterator[Happened]:
    stay = e.reservation
    source = channels.title(stay.source) if stay.source in channels.KNOWN else _("Direct")
    yield Happened(stay.created_at, _("Booking received"), source)
    if stay.cancelled_at is not None:
        yield Happened(stay.cancelled_at, _("Booking cancelled"), source)
    told = {entry.action for entry in e.history}
    if stay.checked_in_at is not None and "check_in" not in told:
        yield Happened(stay.checked_in_at, _("Guest checked in"), _("Front desk"))
    if stay.checked_out_at is not None and "check_out" not in told:
        yield Happened(stay.checked_out_at, _("Guest checked out"), _("Front desk"))


def _people(e: Explanation) -> Iterator[Happened]:
    for entry in e.history:
        fields = entry.after or {}
        if e.reservation.cancelled_at and fields.get("status") == "cancelled":
            continue  # told as the cancellation it is
        who = name_of(e, entry.actor_id, entry.actor)
        shown = fields if entry.action not in PLAIN else ()
        named = dict.fromkeys(str(FIELDS[name]) for name in shown if name in FIELDS)
        yield Happened(
            entry.at, str(ACTIONS.get(entry.action, entry.action)), who, ", ".join(named)
        )


def _milestones(credential: Credential) -> Iterator[Happened]:
    ends = _("PIN ending in %(digits)s", digits=credential.pin_last2)
    system = _("System")
    yield Happened(credential.created_at, _("PIN created"), system, ends)
    if credential.installed_at is not None:
        yield Happened(credential.installed_at, _("PIN on the lock"), system, ends)
    reason = ""
    if credential.revoke_reason is not None:
        reason = str(REASONS[RevokeReason(credential.revoke_reason)])
    if credential.revoked_at is not None:
        yield Happened(credential.revoked_at, _("PIN removed from the lock"), system, reason)
    elif credential.revoke_requested_at is not None:
        yield Happened(credential.revoke_requested_at, _("Removal ordered"), system, reason)


def _troubles(order: PinJob) -> Iterator[Happened]:
    """An order whose last try failed."""
    if order.last_error is None or order.status in (PinJobStatus.DONE, PinJobStatus.CANCELLED):
        return
    if order.kind == PinJobKind.GENERATE:
        what = _("Put PIN on the lock, try %(n)s", n=max(order.attempts, 1))
    else:
        what = _("Take PIN off the lock, try %(n)s", n=max(order.attempts, 1))
    yield Happened(order.updated_at, what, _("System"), sentence(order.last_error), failed=True)
