"""Take in what channels say about reservations."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import insert
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from app import clock
from app.domain import change_detection
from app.domain.states import FRONT_DESK, ReservationStatus
from app.integrations.channels import ChannelReservation, ItemError
from app.models import AuditEntry
from app.services import channel_places, pin_plan, reservation_rows
from app.services.channel_places import Place
from app.services.reservation_copies import (
    Candidate,
    OutOfOrder,
    is_stale,
    prepare,
    search_text,
    sweep_mark,
    values,
)
from app.transaction import in_transaction, transaction

log = structlog.get_logger(__name__)

STAYS = "stays"
#: another try after PostgreSQL chose us to end a deadlock
DEADLOCK_TRIES = 3
#: up to this many rows are fetched without asking first which of them differ
FEW = 1001


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a batch; `stale` copies were older than what we know, blocks count nowhere."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    stale: int = 0
    errors: tuple[ItemError, ...] = ()
    ids: tuple[UUID, ...] = ()  # of the created and the updated

    def __add__(self, other: Applied) -> Applied:
        return Applied(
            self.created + other.created,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.stale + other.stale,
            self.errors + other.errors,
            self.ids + other.ids,
        )


@dataclass(frozen=True, slots=True)
class Change:
    """A stored row, what a copy would make of it, and the fields in which they differ."""

    stored: Mapping[str, Any]
    row: dict[str, Any]
    fields: Mapping[str, Any]


@dataclass(slots=True)
class Difference:
    """A batch sorted by what has to be done about it."""

    todo: list[Candidate] = field(default_factory=list)  # all that is to be written
    new: list[tuple[Candidate, dict[str, Any]]] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)
    said_anew: list[dict[str, Any]] = field(default_factory=list)
    unchanged: int = 0
    stale: int = 0
    errors: list[ItemError] = field(default_factory=list)


def apply_copies(
    copies: Sequence[ChannelReservation],
    *,
    actor_label: str = "Stays",
    as_of: datetime | None = None,
) -> Applied:
    """Make our rows say what the channel says, all of one channel, and plan the PINs that follow.

    One transaction for the batch, unless an item breaks it: then halves are tried, so that the one
    at fault ends as an error and the rest is stored (STAY-20). `as_of` is when the channel was
    asked; it dates the copies that carry no time of their own. Raises OperationalError when the
    database itself is the problem.
    """
    now = clock.utcnow()
    return apply_candidates(prepare(copies, as_of=as_of or now, now=now), actor_label=actor_label)


def apply_candidates(batch: Sequence[Candidate], *, actor_label: str = "Stays") -> Applied:
    """`apply_copies` for what `foresee` has found to be written."""
    return _apply(sorted(batch, key=lambda c: c.copy.external_id), actor_label)


def foresee(copies: Sequence[ChannelReservation], *, as_of: datetime) -> Difference:
    """What `apply_copies` would do, writing nothing."""
    batch = prepare(copies, as_of=as_of, now=clock.utcnow())
    with transaction() as session:
        return _difference(session, batch, create=False, lock=False)


def cancel_vanished(
    channel: str, external_ids: Collection[str], *, actor_label: str = "Stays", as_of: datetime
) -> list[UUID]:
    """Cancel stays that the channel no longer has; the ids of those that were not so already.

    What the front desk has recorded stays (DECISIONS 17), and so does what was said after `as_of`.
    The fingerprints go, so that a booking that comes back is taken in again.
    """
    with transaction() as session:
        now = clock.utcnow()
        changes: list[Change] = []
        rows = reservation_rows.read(session, channel, sorted(external_ids), lock=True)
        for stored in rows.values():
            known = stored["source_modified_at"]
            if known is not None and known > as_of:
                continue
            if stored["status"] in FRONT_DESK | {ReservationStatus.CANCELLED}:
                continue
            fields = {"status": ReservationStatus.CANCELLED.value, "cancelled_at": now}
            row = (
                dict(stored)
                | fields
                | {"content_hash": None, "sweep_hash": None, "source_modified_at": as_of}
            )
            changes.append(Change(stored, row, fields))
        _write_changes(session, changes, actor_label, now)
        if changes:
            pin_plan.plan(session, reservations=[change.stored["id"] for change in changes])
    return [change.stored["id"] for change in changes]


def _apply(batch: Sequence[Candidate], actor_label: str) -> Applied:
    if not batch:
        return Applied()
    try:
        return _apply_once(batch, actor_label)
    except OperationalError:
        raise
    except Exception as exc:
        if len(batch) > 1:
            middle = len(batch) // 2
            return _apply(batch[:middle], actor_label) + _apply(batch[middle:], actor_label)
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


def _apply_once(batch: Sequence[Candidate], actor_label: str) -> Applied:
    for attempt in range(1, DEADLOCK_TRIES + 1):
        try:
            with transaction() as session, session.begin_nested():
                return _take_in(session, batch, actor_label)
        except OperationalError as exc:
            lost = in_transaction() or attempt == DEADLOCK_TRIES
            if lost or getattr(exc.orig, "sqlstate", None) != "40P01":
                raise
    raise AssertionError("unreachable")


def _take_in(session: Session, batch: Sequence[Candidate], actor_label: str) -> Applied:
    now = clock.utcnow()
    found = _difference(session, batch, create=True, lock=True)
    inserted = _insert(session, found, now)
    if len(inserted) < len(found.new):
        # Somebody else inserted them since we looked: they are updates now.
        late = [c for c, _ in found.new if c.copy.external_id not in inserted]
        again = _difference(session, late, create=True, lock=True)
        found.changed += again.changed
        found.said_anew += again.said_anew
        found.unchanged += again.unchanged
        found.stale += again.stale
        found.errors += again.errors
    _write_changes(session, found.changed, actor_label, now)
    reservation_rows.mark(session, found.said_anew)
    planned = [*inserted.values()]
    left = set()
    for change in found.changed:
        if not change_detection.PLANNED.isdisjoint(change.fields):
            planned.append(change.stored["id"])
        if "accommodation_id" in change.fields and change.stored["accommodation_id"]:
            left.add(change.stored["accommodation_id"])
    if planned:
        pin_plan.plan(session, reservations=planned, accommodations=left)
    return Applied(
        created=len(inserted),
        updated=len(found.changed),
        unchanged=found.unchanged + len(found.said_anew),
        stale=found.stale,
        errors=tuple(found.errors),
        ids=(*inserted.values(), *(change.stored["id"] for change in found.changed)),
    )


def _difference(
    session: Session, batch: Sequence[Candidate], *, create: bool, lock: bool
) -> Difference:
    found = Difference()
    if not batch:
        return found
    channel = batch[0].copy.channel
    now = clock.utcnow()
    places = channel_places.find(session, {c.copy.accommodation_ref for c in batch}, create=create)
    suspects = batch if lock and len(batch) < FEW else _sift(session, channel, batch)
    found.unchanged = len(batch) - len(suspects)
    ids = [candidate.copy.external_id for candidate in suspects]
    stored = reservation_rows.read(session, channel, ids, lock=lock)
    for candidate in suspects:
        place = places.get(candidate.copy.accommodation_ref)
        if place is None:
            found.errors.append(
                ItemError(candidate.copy.external_id, channel_places.NO_PROPERTY, "no_property")
            )
            continue
        try:
            row = stored.get(candidate.copy.external_id)
            _sort_in(found, candidate, place, row, now, write=lock)
        except OutOfOrder as exc:
            found.errors.append(ItemError(candidate.copy.external_id, str(exc), "invalid"))
    return found


def _sift(session: Session, channel: str, batch: Sequence[Candidate]) -> list[Candidate]:
    """Those that are new or may differ; the others are not even fetched."""
    positions = reservation_rows.compare(
        session,
        channel,
        {
            "external_id": [c.copy.external_id for c in batch],
            "ref": [c.copy.accommodation_ref for c in batch],
            "hash": [c.hash for c in batch],
            "sweep": [sweep_mark(c.copy) for c in batch],
            "modified": [c.modified_at if c.copy.modified_at else None for c in batch],
        },
    )
    return [batch[position] for position in positions]


def _is_known(candidate: Candidate, place: Place, stored: Mapping[str, Any]) -> bool:
    """Whether the row holds this very copy already; says the same as the statement that sifts."""
    mark, modified_at = sweep_mark(candidate.copy), stored["source_modified_at"]
    return bool(
        stored["content_hash"] == candidate.hash
        and stored["accommodation_id"] == place.accommodation_id
        and (mark is None or stored["sweep_hash"] == mark)
        and (
            candidate.copy.modified_at is None
            or modified_at is None
            or candidate.modified_at <= modified_at
        )
    )


def _sort_in(
    found: Difference,
    candidate: Candidate,
    place: Place,
    stored: Mapping[str, Any] | None,
    now: datetime,
    *,
    write: bool,
) -> None:
    if stored is None:
        row = values(candidate, place, now)
        if write:
            row["search_text"] = search_text(row, place.name)
        found.todo.append(candidate)
        found.new.append((candidate, row))
        return
    if _is_known(candidate, place, stored):
        found.unchanged += 1
        return
    same = stored["content_hash"] == candidate.hash
    if not same and is_stale(candidate, stored):
        found.stale += 1
        return
    said = values(candidate, place, now, stored)
    fields = change_detection.changes(stored, said)
    found.todo.append(candidate)
    marks = {name: said[name] for name in reservation_rows.MARKS}
    known = stored["source_modified_at"]
    if known is not None:
        marks["source_modified_at"] = max(known, candidate.modified_at)
    if not fields:
        # A single copy says nothing about bulk answers: what was recognised there still is.
        marks["sweep_hash"] = marks["sweep_hash"] or stored["sweep_hash"]
        found.said_anew.append({"id": stored["id"], **marks})
        return
    row = dict(stored) | fields | marks
    row["search_text"] = search_text(row, place.name)
    found.changed.append(Change(stored, row, fields))


def _insert(session: Session, found: Difference, now: datetime) -> dict[str, UUID]:
    if not found.new:
        return {}
    channel = found.new[0][0].copy.channel
    # In the order of the unique key: two writers of the same new rows must not wait crosswise.
    rows = sorted((row for _, row in found.new), key=lambda row: str(row["external_id"]))
    return reservation_rows.insert(session, channel, rows, now)


def _write_changes(
    session: Session, changes: Sequence[Change], actor_label: str, now: datetime
) -> None:
    if not changes:
        return
    reservation_rows.update(session, [change.row for change in changes], now)
    session.execute(
        insert(AuditEntry),
        [
            {
                "at": now,
                "actor": actor_label,
                "action": "update",
                "entity": "reservation",
                "entity_id": str(change.stored["id"]),
                "before": _plain(change.stored, change.fields),
                "after": _plain(change.row, change.fields),
            }
            for change in changes
        ],
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
