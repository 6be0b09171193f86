"""A verdict on a booking: our stay becomes what the channel has, or the channel is told ours."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import clock
from app.domain.findings import Side
from app.domain.states import FRONT_DESK, ReservationStatus
from app.errors import Conflict, ServiceError, Unavailable
from app.integrations.channels import ChannelReservation
from app.integrations.errors import CreditsSpent, IntegrationError, NotFound, Unreadable
from app.models import Discrepancy, Property, Reservation
from app.services import (
    booking_changes,
    discrepancy_sides,
    outbound,
    rate_limits,
    reservations,
    vendors,
)
from app.services.audit import Actor
from app.services.beds24_bookings import LABEL
from app.services.channel_properties import BEDS24

KINDS = ("missing", "dates", "room", "status", "amount", "currency", "guest")
#: the columns that follow the channel, by what the two sides disagree on
TAKEN: dict[str, tuple[str, ...]] = {
    "dates": (
        "check_in_at",
        "check_out_at",
        "check_in_on",
        "check_out_on",
        "check_in_time_known",
        "check_out_time_known",
    ),
    "room": ("accommodation_id", "property_id", "room_type_id", "channel_room_ref", "units"),
    "status": ("status", "unknown_status", "cancelled_at"),
    "amount": ("amount", "currency"),
    "currency": ("amount", "currency"),
    "guest": ("guest_name", "guest_email", "guest_phone", "adults", "children"),
}
CANCELLED = ReservationStatus.CANCELLED
_SAID = {
    ReservationStatus.CHECKED_IN: "the guest has checked in",
    ReservationStatus.CHECKED_OUT: "the guest has checked out",
    ReservationStatus.NO_SHOW: "the stay is a no-show",
}


TOGETHER = (
    "the booking differs in other things as well and is told as a whole: decide all of it "
    "together, or take theirs of the rest first"
)
#: what telling a booking writes over, whatever it was told for
WRITTEN = ("dates", "room", "amount", "currency", "guest")
SETUP = "this is settled where it is set up: change one of the two, or dismiss it"


@dataclass(frozen=True, slots=True)
class Against:
    """Why a side cannot be taken: `why` is for pages that say it in another language, `message` a
    sentence, `who` whom it names."""

    why: str
    message: str
    who: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """The booking as the channel has it; without a `copy` it has none."""

    copy: ChannelReservation | None
    asked_at: datetime

    @property
    def ends(self) -> bool:
        """Whether there is no stay at the channel (any more)."""
        return self.copy is None or self.copy.kind != "stay" or self.copy.status == CANCELLED


def is_booking(row: Discrepancy) -> bool:
    """Whether it is about a booking, and not about the whole property."""
    return row.subject.isascii() and row.subject.isdecimal()


def require_booking(row: Discrepancy) -> None:
    """Raises Conflict for a question about the whole property, which no verdict settles."""
    if not is_booking(row):
        raise Conflict(SETUP)


def read(row: Discrepancy) -> Reading:
    """Ask the channel for the booking, with no transaction open. Raises Unavailable when it does
    not answer, Conflict when it does and the answer is no booking."""
    require_booking(row)
    asked_at = clock.utcnow()
    copy: ChannelReservation | None = None
    with asking():
        client = vendors.beds24_client(row.channel_property_id)
        try:
            copy = client.get(row.subject)
        except NotFound:
            copy = None
    return Reading(copy, asked_at)


def read_many(rows: Sequence[Discrepancy]) -> dict[UUID, Reading | ServiceError]:
    """`read` for many, in as few calls as can be: by id the reading, or why it cannot be used.
    Raises Unavailable."""
    found: dict[UUID, Reading | ServiceError] = {}
    by_connection: dict[UUID, list[Discrepancy]] = {}
    for row in rows:
        try:
            require_booking(row)
        except Conflict as error:
            found[row.id] = error
            continue
        by_connection.setdefault(row.channel_property_id, []).append(row)
    for connection, wanted in by_connection.items():
        asked_at = clock.utcnow()
        with asking(), rate_limits.bulk():
            client = vendors.beds24_client(connection)
            said = client.get_many({row.subject for row in wanted})
        copies = {copy.external_id: copy for copy in said.reservations}
        faults = {error.external_id: error.reason for error in said.errors}
        for row in wanted:
            fault = faults.get(row.subject)
            found[row.id] = (
                Conflict(f"what {LABEL} has cannot be read: {fault}")
                if fault is not None
                else Reading(copies.get(row.subject), asked_at)
            )
    return found


@contextmanager
def asking() -> Iterator[None]:
    """Calls to the channel for a verdict: Unavailable when it does not answer, Conflict when that
    is no answer."""
    try:
        yield
    except Unreadable as error:
        raise Conflict(f"what {LABEL} has cannot be read: {error.message}") from None
    except IntegrationError as error:
        if not isinstance(error, CreditsSpent):  # our own count, not their failing
            vendors.note_error(BEDS24, error)
        raise Unavailable(
            f"{LABEL} does not answer right now ({error.kind}): nothing was changed"
        ) from None
    vendors.note_ok(BEDS24)


def units_of(session: Session, row: Discrepancy) -> list[Reservation]:
    """Our rows of the booking, by unit."""
    return list(
        session.scalars(
            select(Reservation)
            .where(Reservation.channel == BEDS24, Reservation.external_id == row.subject)
            .order_by(Reservation.unit_no, Reservation.id)
            .execution_options(populate_existing=True)
        )
    )


def accept_channel(session: Session, row: Discrepancy, reading: Reading, actor: Actor) -> None:
    """Make our stay say what the channel says about what is disagreed on, and nothing else; rooms
    and PINs follow in this transaction, which has the booking's turn.

    Raises Moved when a side is not what was shown, Conflict with the reason when it cannot be.
    """
    units = units_of(session, row)
    copy = reading.copy
    discrepancy_sides.check(
        row,
        ours=discrepancy_sides.of_stay(units),
        theirs=None if copy is None else discrepancy_sides.of_copy(copy),
    )
    newest = max((u.source_modified_at for u in units if u.source_modified_at), default=None)
    if newest is not None and newest > reading.asked_at:
        raise Conflict("the channel has said more about the booking meanwhile: try again")
    if reading.ends:
        _refuse_undoing(units)
    if copy is None:
        gone = reservations.cancel_vanished(
            BEDS24, [row.subject], actor_label=actor.label, as_of=reading.asked_at
        )
        if not gone:
            raise Conflict("there is no stay of ours left to cancel")
        return
    applied = reservations.apply_copies(
        [copy],
        actor_label=actor.label,
        as_of=reading.asked_at,
        channel_property_id=row.channel_property_id,
        force=TAKEN.get(row.kind, TAKEN["status"]),
    )
    if applied.errors:
        raise Conflict(f"{LABEL}'s cannot be taken: {applied.errors[0].reason}")


def accept_pms(
    session: Session, row: Discrepancy, together: Collection[UUID] = frozenset()
) -> None:
    """Owe the channel our stay as it is now; who sold it decides whether that may be (B24R-06).

    The whole booking is told, so nothing else may be open about it but what is decided `together`.
    Raises Moved when our side is not what was shown, Conflict with every reason why not.
    """
    require_booking(row)
    if row.reservation_id is None:
        raise Conflict("there is no stay of ours to tell: take theirs, or dismiss it")
    stay, units = booking_changes.lock_booking(session, row.reservation_id)
    discrepancy_sides.check(row, ours=discrepancy_sides.of_stay(units))
    currency = session.get_one(Property, stay.property_id).currency
    reasons = against_telling(row.kind, row.theirs, units, currency)
    if reasons:
        raise Conflict("; ".join(each.message for each in reasons))
    over = all(each.status in outbound.GONE for each in units)
    if not over and booking_changes.as_booking(units[0]).owner is None:
        _require_nothing_else(session, row, together)
    verb: outbound.Verb = "cancel" if over else "update"
    if row.kind == "missing":
        verb = "create"  # the id it had names nothing any more
        for each in units:
            each.channel = each.external_id = None
    for each in units:
        each.version += 1
    if outbound.booking_changed(session, units[0].id, verb) is None:
        raise Conflict(f"{LABEL} cannot be told: the property or the room is not connected")


def _require_nothing_else(session: Session, row: Discrepancy, together: Collection[UUID]) -> None:
    """Raises Conflict while the booking differs in what nobody has decided on."""
    others = session.scalars(
        select(Discrepancy.id).where(
            Discrepancy.channel_property_id == row.channel_property_id,
            Discrepancy.subject == row.subject,
            Discrepancy.kind.in_(WRITTEN),
            Discrepancy.status == "open",
            Discrepancy.id != row.id,
        )
    )
    if set(others) - set(together):
        raise Conflict(TOGETHER)


def against_telling(
    kind: str, theirs: Side | None, units: Sequence[Reservation], currency: str
) -> list[Against]:
    """Why the channel cannot be made to have ours; empty when it can. `currency` is the house's."""
    first = units[0]
    owner = booking_changes.as_booking(first).owner
    if owner is not None and kind != "room":
        return [Against("owner", f"the booking is from {owner}: change it in {owner}", owner)]
    if kind == "missing":
        if first.source != "direct":
            said = f"the booking was made in {LABEL}: make it there again, or take theirs"
            return [Against("made_there", said)]
        if all(each.status in outbound.GONE for each in units):
            return [Against("over", "the stay is over here too: there is nothing to tell")]
    if kind == "status" and (theirs or {}).get("status") == CANCELLED:
        said = f"{LABEL} has cancelled it, and only there can it be brought back"
        return [Against("cancelled_there", said)]
    if kind == "status" and not all(each.status in outbound.GONE for each in units):
        return [Against("status_there", f"{LABEL} is not told a status: accept it there")]
    if kind in ("amount", "currency"):
        if first.amount is None:
            return [Against("no_amount", "we have no amount to tell")]
        if first.currency not in (None, currency):
            return [Against("currency", f"{LABEL} takes amounts in {currency} only", currency)]
    return []


def _refuse_undoing(units: Sequence[Reservation]) -> None:
    """What the front desk has recorded stands, whatever a channel says (DECISIONS 17)."""
    for each in units:
        if each.status in FRONT_DESK:
            said = _SAID[ReservationStatus(each.status)]
            raise Conflict(f"{said}: that is not undone by what {LABEL} says")
