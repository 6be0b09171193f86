"""One version of a Beds24 booking against what we know of it: stays, blocks and versions before."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app import clock
from app.domain.states import ReservationStatus
from app.integrations.channels import ChannelReservation
from app.models import Reservation
from app.services import channel_places, maintenance_blocks, reservations
from app.services.channel_places import NoPlace
from app.services.channel_properties import BEDS24
from app.services.event_outcomes import (
    Outcome,
    Refused,
    reservation_of,
    reservations_of,
    said,
)
from app.services.reservations import Applied

LABEL = "Beds24"
CANCELLED = ReservationStatus.CANCELLED.value
NO_TYPE = "the room it blocks has no room type yet"
NOTHING_TO_CANCEL = "nothing to cancel"

_KNOWN = text("""
    SELECT one.ref,
           (SELECT count(*) FROM reservations
             WHERE channel = 'beds24' AND external_id = one.ref) AS stays,
           (SELECT max(source_modified_at) FROM reservations
             WHERE channel = 'beds24' AND external_id = one.ref) AS stays_at,
           b.id IS NOT NULL AS blocked, b.source_modified_at AS block_at,
           e.entity_modified_at AS event_at, e.cancelled
      FROM unnest(CAST(:refs AS text[])) AS one(ref)
      LEFT JOIN maintenance_blocks b ON b.channel = 'beds24' AND b.external_id = one.ref
      LEFT JOIN LATERAL (
           SELECT entity_modified_at, normalized_payload ->> 'status' = 'cancelled' AS cancelled
             FROM channel_events
            WHERE entity_external_id = one.ref AND source = 'beds24' AND direction = 'inbound'
              AND entity_type = 'booking' AND status = 'done'
              AND entity_modified_at IS NOT NULL
            ORDER BY entity_modified_at DESC, cancelled DESC
            LIMIT 1) e ON true
""")
#: one writer per booking, until the transaction ends; several in the order of their keys
_TAKE_TURNS = text("""
    SELECT pg_advisory_xact_lock(turn.key)
      FROM (SELECT DISTINCT hashtextextended('beds24:' || ref, 0) AS key
              FROM unnest(CAST(:refs AS text[])) AS one(ref) ORDER BY 1) AS turn
""")


@dataclass(frozen=True, slots=True)
class Version:
    """A booking as it was from `moment` on. Without a `copy` all we know is that it is over."""

    booking_id: str
    moment: datetime
    copy: ChannelReservation | None = None

    @property
    def cancels(self) -> bool:
        return self.copy is None or self.copy.status == CANCELLED

    @property
    def blocks(self) -> bool:
        return self.copy is not None and self.copy.kind == "block" and not self.cancels


@dataclass(frozen=True, slots=True)
class _Known:
    """What we have of a booking, each with the moment its content is from."""

    stays: int
    stays_at: datetime | None
    blocked: bool
    block_at: datetime | None
    event_at: datetime | None
    cancelled: bool | None

    @property
    def is_plain(self) -> bool:
        """Whether a stay can be compared with our rows alone."""
        return not self.blocked and (self.stays > 0 or self.event_at is None)

    def outdates(self, version: Version) -> bool:
        """Whether a version is old news although no stay of it is here to tell: a later one was
        taken in before, and left a block, a cancellation or nothing at all (P2-IN)."""
        for at in (self.block_at, self.event_at):
            if at is not None and version.moment < at:
                return True
        # Told at the same second, the end is what stands.
        return bool(self.cancelled and version.moment == self.event_at and not version.cancels)


def take_in(session: Session, version: Version, *, channel_property_id: UUID) -> Outcome:
    """Make stays and blocks say what the version says, unless a later one was here before.

    One writer per booking at a time: the lock lasts as long as the transaction that ends the event.
    A version from the future counts as now. Raises Refused, with kind `unmapped` when its room has
    to be mapped first.
    """
    take_turns(session, [version.booking_id])
    version = replace(version, moment=min(version.moment, clock.utcnow()))
    known = _known(session, [version.booking_id])[version.booking_id]
    normalized: dict[str, Any] = {"external_id": version.booking_id, "status": CANCELLED}
    if version.copy is not None:
        normalized = said(version.copy)
    try:
        word, note = _apply_version(session, version, known, channel_property_id)
    except Refused as refused:
        refused.normalized = normalized
        raise
    normalized |= {"outcome": word} | ({"note": note} if note else {})
    reservation_id = reservation_of(session, BEDS24, version.booking_id)
    return Outcome(word, normalized, reservation_id, version.moment)


def _apply_version(
    session: Session, version: Version, known: _Known, channel_property_id: UUID
) -> tuple[str, str | None]:
    """What became of it, and a note where that needs one."""
    # A stay knows its own moment; a block of the same booking may have come and gone since.
    if known.outdates(version) and (version.blocks or not known.stays):
        return "stale", None
    if version.copy is None:
        return _end(session, version, known)
    if version.blocks:
        return _block(session, version, version.copy, known, channel_property_id)
    return _stay(session, version, version.copy, known, channel_property_id)


def take_turns(session: Session, booking_ids: Collection[str]) -> None:
    """Wait until nobody else writes these bookings; the turn lasts as long as the transaction."""
    session.execute(_TAKE_TURNS, {"refs": list(booking_ids)})


def take_in_many(
    session: Session, versions: Collection[Version], *, channel_property_id: UUID
) -> dict[str, Outcome]:
    """`take_in` for stays of differing bookings whose turn it is, by the booking's id.

    What needs a closer look is missing: a block, traces of one that is gone, what was refused.
    """
    now = clock.utcnow()
    known = _known(session, [version.booking_id for version in versions])
    plain = {
        version.booking_id: replace(version, moment=min(version.moment, now))
        for version in versions
        if known[version.booking_id].is_plain
    }
    if not plain:
        return {}
    applied = reservations.apply_copies(
        [replace(v.copy, modified_at=v.moment) for v in plain.values() if v.copy is not None],
        actor_label=LABEL,
        as_of=now,
        channel_property_id=channel_property_id,
    )
    for error in applied.errors:
        plain.pop(error.external_id or "", None)
    ids = reservations_of(session, BEDS24, plain)
    outcomes = {}
    for ref, version in plain.items():
        word = "stale" if ref in applied.stale_refs else "done"
        normalized = said(version.copy) if version.copy is not None else {}
        outcomes[ref] = Outcome(word, normalized | {"outcome": word}, ids.get(ref), version.moment)
    return outcomes


def _known(session: Session, booking_ids: Collection[str]) -> dict[str, _Known]:
    rows = session.execute(_KNOWN, {"refs": list(booking_ids)})
    return {row.ref: _Known(*row[1:]) for row in rows}


def _end(session: Session, version: Version, known: _Known) -> tuple[str, str | None]:
    """Cancel every unit of the stay, lift the block. What was never here leaves its trace in the
    event alone, which keeps an older copy from coming back."""
    lifted = maintenance_blocks.remove_channel_block(
        session, BEDS24, version.booking_id, version.moment
    )
    if known.stays_at is not None and known.stays_at > version.moment:
        return "stale", None
    if known.stays:
        reservations.cancel_vanished(
            BEDS24, [version.booking_id], actor_label=LABEL, as_of=version.moment
        )
    return "done", None if known.stays or lifted else NOTHING_TO_CANCEL


def _block(
    session: Session,
    version: Version,
    copy: ChannelReservation,
    known: _Known,
    channel_property_id: UUID,
) -> tuple[str, str | None]:
    """Nights that nobody can sleep in; a stay of this booking is over."""
    if known.stays_at is not None and known.stays_at > version.moment:
        return "stale", None
    place = channel_places.find(
        session,
        BEDS24,
        [copy.accommodation_ref],
        channel_property_id=channel_property_id,
        create=False,
    )[copy.accommodation_ref]
    if isinstance(place, NoPlace):
        ref = copy.accommodation_ref
        raise Refused(place.reason, place.kind, place.waiting_for, ref=ref)
    if known.stays:
        applied = _apply(copy, version, channel_property_id)
        if applied.stale:
            return "stale", None
        if _anyone_stays(session, version.booking_id):
            return "done", "a guest has checked in: the nights stay theirs"
    if place.room_type_id is None:
        raise Refused(f"{copy.accommodation_ref}: {NO_TYPE}", "no_room_type")
    maintenance_blocks.apply_channel_block(
        session,
        channel=BEDS24,
        external_id=version.booking_id,
        room_type_id=place.room_type_id,
        accommodation_id=place.accommodation_id,
        start_date=copy.check_in_on,
        end_date=copy.check_out_on,
        units=copy.units,
        modified_at=version.moment,
    )
    return "done", None


def _stay(
    session: Session,
    version: Version,
    copy: ChannelReservation,
    known: _Known,
    channel_property_id: UUID,
) -> tuple[str, str | None]:
    """A guest's stay, a question about one, or its end with the last copy of it."""
    if known.blocked and version.cancels and not known.stays:
        return _end(session, version, known)  # a block that was lifted was never a stay
    try:
        applied = _apply(copy, version, channel_property_id)
    except Refused as refused:
        if refused.waiting_for is None:
            raise
        if known.stays_at is not None and known.stays_at > version.moment:
            return "stale", None
        if not version.cancels:
            raise
        return _end(session, version, known)  # it is over, wherever it was
    if applied.stale:
        return "stale", None
    if known.blocked:
        maintenance_blocks.remove_channel_block(session, BEDS24, version.booking_id, version.moment)
    if copy.kind == "inquiry" and not known.stays:
        return "ignored", "a question books nothing"
    return "done", None


def _apply(copy: ChannelReservation, version: Version, channel_property_id: UUID) -> Applied:
    applied = reservations.apply_copies(
        [replace(copy, modified_at=version.moment)],
        actor_label=LABEL,
        as_of=version.moment,
        channel_property_id=channel_property_id,
    )
    for error in applied.errors:
        ref = copy.accommodation_ref
        raise Refused(error.reason, error.kind, error.waiting_for, ref=ref)
    return applied


def _anyone_stays(session: Session, booking_id: str) -> bool:
    found = session.scalar(
        select(func.count())
        .select_from(Reservation)
        .where(
            Reservation.channel == BEDS24,
            Reservation.external_id == booking_id,
            Reservation.status != CANCELLED,
        )
    )
    return bool(found)
