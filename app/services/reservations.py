"""Take in what channels say about reservations."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from app import clock
from app.domain import change_detection
from app.domain.states import FRONT_DESK, ReservationStatus
from app.integrations.channels import ChannelReservation, ItemError
from app.services import audit, booking_notices, holds, pin_plan, reservation_rows, room_status
from app.services.audit import Actor, Deed
from app.services.reservation_copies import Candidate, prepare
from app.services.reservation_differences import Change, Difference, difference
from app.transaction import in_transaction, transaction

log = structlog.get_logger(__name__)

#: another try after PostgreSQL chose us to end a deadlock
DEADLOCK_TRIES = 3


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a batch, counted in rows: a booking of several units has as many.

    `stale` copies were older than what we know; what is no stay and was none counts nowhere. An
    error of kind `unmapped` names in `waiting_for` the channel's room that has to be mapped.
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    stale: int = 0
    errors: tuple[ItemError, ...] = ()
    ids: tuple[UUID, ...] = ()  # of the created and the updated
    warnings: tuple[str, ...] = ()  # what stays open although it was taken in
    stale_refs: frozenset[str] = frozenset()  # the channel's ids of the stale bookings

    def __add__(self, other: Applied) -> Applied:
        return Applied(
            self.created + other.created,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.stale + other.stale,
            self.errors + other.errors,
            self.ids + other.ids,
            self.warnings + other.warnings,
            self.stale_refs | other.stale_refs,
        )


def apply_copies(
    copies: Sequence[ChannelReservation],
    *,
    actor_label: str = "Stays",
    as_of: datetime | None = None,
    channel_property_id: UUID | None = None,
    force: Collection[str] | None = None,
) -> Applied:
    """Make our rows say what the channel says, all of one channel, and plan the PINs that follow.

    One transaction for the batch, unless an item breaks it: then halves are tried, so that the one
    at fault ends as an error and the rest is stored (STAY-20). `as_of` is when the channel was
    asked; it dates the copies that carry no time of their own. Beds24's copies are those of one
    `channel_property_id`, by whose mappings they find their rooms. With `force`, a verdict of a
    person, no copy is too old, and these columns change and no others; what the front desk has
    recorded stands all the same (DECISIONS 17). Raises OperationalError when the database itself is
    the problem.
    """
    now = clock.utcnow()
    batch = prepare(copies, as_of=as_of or now, now=now)
    taken = None if force is None else frozenset(force)
    source = _Source(actor_label, channel_property_id, taken)
    return _apply(batch, source)


def apply_candidates(
    batch: Sequence[Candidate],
    *,
    actor_label: str = "Stays",
    channel_property_id: UUID | None = None,
) -> Applied:
    """`apply_copies` for what `foresee` has found to be written."""
    source = _Source(actor_label, channel_property_id)
    return _apply(sorted(batch, key=lambda c: c.copy.external_id), source)


def foresee(
    copies: Sequence[ChannelReservation],
    *,
    as_of: datetime,
    channel_property_id: UUID | None = None,
) -> Difference:
    """What `apply_copies` would do, writing nothing."""
    batch = prepare(copies, as_of=as_of, now=clock.utcnow())
    with transaction() as session:
        return difference(
            session, batch, create=False, lock=False, channel_property_id=channel_property_id
        )


def cancel_vanished(
    channel: str, external_ids: Collection[str], *, actor_label: str = "Stays", as_of: datetime
) -> list[UUID]:
    """Cancel stays that the channel no longer has, all units of each; the ids of those that were
    not so already.

    What the front desk has recorded stays (DECISIONS 17), and so does what was said after `as_of`.
    The fingerprints go, so that a booking that comes back is taken in again. One that was cancelled
    already is so as of now: an older copy that comes late must not bring it back.
    """
    with transaction() as session:
        now = clock.utcnow()
        changes: list[Change] = []
        said_anew: list[dict[str, Any]] = []
        forget = {"content_hash": None, "sweep_hash": None, "source_modified_at": as_of}
        rows = reservation_rows.read(session, channel, sorted(external_ids), lock=True)
        for stored in (row for units in rows.values() for row in units):
            known = stored["source_modified_at"]
            if known is not None and known > as_of:
                continue
            if stored["status"] in FRONT_DESK:
                continue
            if stored["status"] == ReservationStatus.CANCELLED:
                said_anew.append({"id": stored["id"]} | forget)
                continue
            fields = {"status": ReservationStatus.CANCELLED.value, "cancelled_at": now}
            changes.append(Change(stored, dict(stored) | fields | forget, fields))
        reservation_rows.mark(session, said_anew)
        _write_changes(session, changes, actor_label, now)
        if changes:
            ids = [change.stored["id"] for change in changes]
            pin_plan.plan(session, reservations=ids)
            room_status.follow(session, reservations=ids, actor=actor_label)
            were = [change.stored for change in changes]
            booking_notices.copies_changed(session, channel, were)
    return [change.stored["id"] for change in changes]


class _Source(NamedTuple):
    """Who says it, and for which connection."""

    label: str
    channel_property_id: UUID | None
    force: frozenset[str] | None = None


def _apply(batch: Sequence[Candidate], source: _Source) -> Applied:
    if not batch:
        return Applied()
    try:
        return _apply_once(batch, source)
    except OperationalError:
        raise
    except Exception as exc:
        if len(batch) > 1:
            middle = len(batch) // 2
            return _apply(batch[:middle], source) + _apply(batch[middle:], source)
        external_id = batch[0].copy.external_id
        # The text of a database error repeats the values; its class and code do not.
        reason = f"it could not be stored ({_name(exc)})"
        log.warning(
            "reservation_not_stored",
            external_id=external_id,
            error=_name(exc),
            exc_info=not isinstance(exc, DBAPIError),
        )
        return Applied(errors=(ItemError(external_id, reason, "not_stored"),))


def _apply_once(batch: Sequence[Candidate], source: _Source) -> Applied:
    for attempt in range(1, DEADLOCK_TRIES + 1):
        try:
            with transaction() as session, session.begin_nested():
                return _take_in(session, batch, source)
        except OperationalError as exc:
            lost = in_transaction() or attempt == DEADLOCK_TRIES
            if lost or getattr(exc.orig, "sqlstate", None) != "40P01":
                raise
    raise AssertionError("unreachable")


def _take_in(session: Session, batch: Sequence[Candidate], source: _Source) -> Applied:
    now = clock.utcnow()
    connection, force = source.channel_property_id, source.force
    found = difference(
        session, batch, create=True, lock=True, channel_property_id=connection, force=force
    )
    inserted = _insert(session, found, now)
    if len(inserted) < len(found.new):
        # Somebody else inserted them since we looked: they are updates now.
        lost = {
            candidate.copy.external_id
            for candidate, row in found.new
            if (row["external_id"], row["unit_no"]) not in inserted
        }
        late = [c for c in batch if c.copy.external_id in lost]
        again = difference(
            session, late, create=True, lock=True, channel_property_id=connection, force=force
        )
        found.changed += again.changed
        found.adopted |= again.adopted
        found.said_anew += again.said_anew
        found.unchanged += again.unchanged
        found.stale += again.stale
        found.stale_refs |= again.stale_refs
        found.errors += again.errors
    reservation_rows.adopt(session, batch[0].copy.channel, found.adopted)
    _write_changes(session, found.changed, source.label, now)
    reservation_rows.mark(session, found.said_anew)
    planned = [*inserted.values()]
    left = set()
    for change in found.changed:
        if not change_detection.PLANNED.isdisjoint(change.fields):
            planned.append(change.stored["id"])
        if "accommodation_id" in change.fields and change.stored["accommodation_id"]:
            left.add(change.stored["accommodation_id"])
        _end_hold(session, change)
    if planned:
        pin_plan.plan(session, reservations=planned, accommodations=left)
        room_status.follow(session, reservations=planned, rooms=left, actor=source.label)
    booking_notices.copies_changed(session, batch[0].copy.channel, _sleeping(found))
    return Applied(
        created=len(inserted),
        updated=len(found.changed),
        unchanged=found.unchanged + len(found.said_anew),
        stale=found.stale,
        errors=tuple(found.errors),
        ids=(*inserted.values(), *(change.stored["id"] for change in found.changed)),
        warnings=tuple(found.warnings),
        stale_refs=frozenset(found.stale_refs),
    )


def _sleeping(found: Difference) -> Iterator[Mapping[str, Any]]:
    """What came and what moved, as it was and as it is."""
    yield from (row for _, row in found.new)
    for change in found.changed:
        if not change_detection.PLANNED.isdisjoint(change.fields):
            yield change.stored
            yield change.row


def _end_hold(session: Session, change: Change) -> None:
    """A booking of ours that its channel has taken, or ended, needs no unit kept any more."""
    was, is_ = change.stored["status"], change.row["status"]
    if was == ReservationStatus.PENDING_SYNC and is_ != was:
        end = holds.release if is_ == ReservationStatus.CANCELLED else holds.confirm
        end(session, change.stored["id"])


def _insert(session: Session, found: Difference, now: datetime) -> dict[tuple[str, int], UUID]:
    if not found.new:
        return {}
    channel = found.new[0][0].copy.channel
    # In the order of the unique key: two writers of the same new rows must not wait crosswise.
    rows = sorted(
        (row for _, row in found.new), key=lambda row: (str(row["external_id"]), row["unit_no"])
    )
    return reservation_rows.insert(session, channel, rows, now)


def _write_changes(
    session: Session, changes: Sequence[Change], actor_label: str, now: datetime
) -> None:
    if not changes:
        return
    reservation_rows.update(session, [change.row for change in changes], now)
    audit.record_many(
        session,
        Actor(actor_label),
        (
            Deed(
                "update",
                "reservation",
                change.stored["id"],
                _plain(change.stored, change.fields),
                _plain(change.row, change.fields),
            )
            for change in changes
        ),
    )


def _plain(row: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The changed fields of a row as JSON values."""
    return {name: plain(row[name]) for name in fields if name not in change_detection.QUIET}


def plain(value: Any) -> Any:
    """A column's value as JSON can hold it."""
    if isinstance(value, (datetime, date, time)):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, (UUID, Decimal)):
        return str(value)
    return value


def _name(exc: Exception) -> str:
    state = getattr(exc.orig, "sqlstate", None) if isinstance(exc, DBAPIError) else None
    return f"{type(exc).__name__} {state}" if state else type(exc).__name__
