"""Decide discrepancies: theirs, ours, or neither; one by one or many by rule (B24R-21)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from app import clock
from app.domain.findings import Side
from app.errors import Conflict, Invalid, InvalidTransition, NotFound, ServiceError, Stale
from app.models import Discrepancy
from app.models.columns import among
from app.services import (
    audit,
    beds24_bookings,
    contention,
    discrepancy_bookings,
    discrepancy_nights,
    discrepancy_rows,
    discrepancy_sales,
    discrepancy_sides,
)
from app.services.audit import SYSTEM, Actor
from app.services.discrepancies import DISMISSED, OPEN, RESOLVED
from app.services.discrepancy_bookings import Reading
from app.services.discrepancy_sides import Moved
from app.transaction import transaction

log = structlog.get_logger(__name__)

Action: TypeAlias = Literal["accept_channel", "accept_pms", "dismiss"]
ACTIONS: tuple[Action, ...] = ("accept_channel", "accept_pms", "dismiss")
#: discrepancies one call decides at most
MOST = 500
MAX_NOTE = 500
NOT_FOUND = "no such discrepancy"
MOVED = "it is not as it was shown any more: look at what both sides say now"
AGREED = "the sides agree by now"


class MovedOn(Stale):
    """A side of this one has moved since it was shown; what both say now is kept."""

    def __init__(self, row_id: UUID, *, agreed: bool) -> None:
        super().__init__(AGREED if agreed else MOVED)
        self.row_id = row_id


@dataclass(frozen=True, slots=True)
class Skipped:
    """One that was left as it is, and why."""

    id: UUID
    reason: str


@dataclass(slots=True)
class Outcome:
    """What became of each."""

    resolved: list[UUID] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def resolve(
    discrepancy_id: UUID,
    action: str,
    note: str | None = None,
    *,
    actor: Actor,
    seen: str | None = None,
) -> Discrepancy:
    """Carry out a verdict; the discrepancy as it is then.

    `accept_channel` makes our side what the channel has, which is asked again for a booking, with
    no transaction open; `accept_pms` owes the channel ours; `dismiss` needs a note. What follows
    (PINs, rooms, blocks, events) is in the same transaction. `seen` is the fingerprint of what the
    person has decided on. Raises NotFound, Invalid naming `action` or `note`, InvalidTransition
    when it is not open, Stale when a side has moved since (the fresh sides are kept, to be looked
    at), Conflict with the reason when it cannot be, Unavailable when the channel does not answer.
    """
    verdict, said = _checked(action, note)
    row = get(discrepancy_id)
    _require_open(row)
    reading = None
    if verdict == "accept_channel" and row.kind in discrepancy_bookings.KINDS:
        reading = discrepancy_bookings.read(row)
    if verdict == "accept_pms" and (why := discrepancy_sales.against([row]).get(row.id)):
        raise Conflict(why)
    order = _Order(verdict, said, actor)
    return _decide([row.id], order, reading, {row.id: seen} if seen else {})[0]


def resolve_many(
    ids: Sequence[UUID], action: str, note: str | None = None, *, actor: Actor
) -> Outcome:
    """Decide each that can be decided so; the others are named with the reason.

    Nights that follow one another and differ alike are one verdict: one block, one push. Raises
    Invalid for more than `MOST`, Unavailable when the channel is asked and does not answer.
    """
    verdict, said = _checked(action, note)
    if len(ids) > MOST:
        raise Invalid.field("ids", f"must be at most {MOST} at once")
    wanted = list(dict.fromkeys(ids))
    with transaction() as session:
        rows = {
            row.id: row
            for row in session.scalars(select(Discrepancy).where(among(Discrepancy.id, wanted)))
        }
    outcome = Outcome()
    due: list[Discrepancy] = []
    for id_ in wanted:
        row = rows.get(id_)
        if row is None:
            outcome.skipped.append(Skipped(id_, NOT_FOUND))
        elif row.status != OPEN:
            outcome.skipped.append(Skipped(id_, _not_open(row)))
        else:
            due.append(row)
    nights = [row for row in due if row.kind in discrepancy_nights.KINDS]
    bookings = [row for row in due if row.kind in discrepancy_bookings.KINDS]
    readings: Mapping[UUID, Reading | ServiceError] = {}
    if verdict == "accept_channel" and bookings:
        readings = discrepancy_bookings.read_many(bookings)
    if verdict == "accept_pms":
        against = discrepancy_sales.against(nights)
        outcome.skipped += [Skipped(id_, why) for id_, why in against.items()]
        nights = [row for row in nights if row.id not in against]
    order = _Order(verdict, said, actor, frozenset(row.id for row in due))
    for run in discrepancy_nights.runs(nights):
        _decide_run([row.id for row in run], order, outcome)
    for row in bookings:
        found = readings.get(row.id)
        if isinstance(found, ServiceError):
            outcome.skipped.append(Skipped(row.id, found.message))
        else:
            _attempt(row.id, order, found, outcome)
    log.info(
        "discrepancies_decided",
        action=verdict,
        resolved=len(outcome.resolved),
        skipped=len(outcome.skipped),
    )
    return outcome


def get(discrepancy_id: UUID) -> Discrepancy:
    """One discrepancy. Raises NotFound."""
    with transaction() as session:
        row = session.get(Discrepancy, discrepancy_id)
    if row is None:
        raise NotFound(NOT_FOUND)
    return row


def run_of(discrepancy_id: UUID, most: int = MOST) -> list[Discrepancy]:
    """It and, for an open night, the nights around it that are one decision with it; in order.
    Raises NotFound."""
    row = get(discrepancy_id)
    if row.kind not in discrepancy_nights.KINDS or row.status != OPEN:
        return [row]
    with transaction() as session:
        alike = session.scalars(
            select(Discrepancy).where(
                Discrepancy.channel_property_id == row.channel_property_id,
                Discrepancy.kind == row.kind,
                Discrepancy.room_type_id == row.room_type_id,
                Discrepancy.status == OPEN,
            )
        ).all()
    for run in discrepancy_nights.runs(alike):
        if any(each.id == row.id for each in run):
            here = next(n for n, each in enumerate(run) if each.id == row.id)
            return run[max(0, here - most + 1) :][:most]
    return [row]


@dataclass(frozen=True, slots=True)
class _Order:
    """What was decided, and by whom."""

    action: Action
    note: str | None
    actor: Actor
    together: frozenset[UUID] = frozenset()  # what the same verdict decides


def _decide_run(ids: Sequence[UUID], order: _Order, outcome: Outcome) -> None:
    """All nights of a run at once; around a night that is in the way, in pieces."""
    if not ids:
        return
    try:
        _decide(ids, order, None, {})
    except MovedOn as error:
        at = ids.index(error.row_id)
        outcome.skipped.append(Skipped(error.row_id, error.message))
        _decide_run(ids[:at], order, outcome)
        _decide_run(ids[at + 1 :], order, outcome)
    except InvalidTransition as error:
        if len(ids) == 1:
            outcome.skipped.append(Skipped(ids[0], error.message))
            return
        for id_ in ids:  # somebody else has decided one of them
            _decide_run([id_], order, outcome)
    except ServiceError as error:
        outcome.skipped += [Skipped(id_, error.message) for id_ in ids]
    else:
        outcome.resolved += ids


def _attempt(id_: UUID, order: _Order, reading: Reading | None, outcome: Outcome) -> None:
    try:
        _decide([id_], order, reading, {})
    except ServiceError as error:
        outcome.skipped.append(Skipped(id_, error.message))
    else:
        outcome.resolved.append(id_)


def _decide(
    ids: Sequence[UUID], order: _Order, reading: Reading | None, seen: Mapping[UUID, str]
) -> list[Discrepancy]:
    """One transaction: the verdict with all that follows from it."""
    try:
        return contention.patient(lambda: _carry_out(ids, order, reading, seen))
    except Moved as moved:
        raise MovedOn(moved.row_id, agreed=_note_moved(moved)) from None


def _carry_out(
    ids: Sequence[UUID], order: _Order, reading: Reading | None, seen: Mapping[UUID, str]
) -> list[Discrepancy]:
    now = clock.utcnow()
    with transaction() as session:
        rows = _locked(session, ids)
        for row in rows:
            _require_open(row)
            if row.id in seen and seen[row.id] != row.fingerprint:
                raise Stale(MOVED)
        before = [_said(row) for row in rows]
        _follow(session, rows, order, reading)
        for row, was in zip(rows, before, strict=True):
            _close(session, row, order, was, now)
        session.flush()
        for row in rows:
            session.refresh(row)
    return rows


def _follow(
    session: Session, rows: Sequence[Discrepancy], order: _Order, reading: Reading | None
) -> None:
    """What the verdict changes on either side."""
    if order.action == "dismiss":
        return
    if rows[0].kind in discrepancy_nights.KINDS:
        if order.action == "accept_channel":
            discrepancy_nights.accept_channel(session, rows, order.actor)
        else:
            discrepancy_nights.accept_pms(session, rows)
        return
    for row in rows:
        if order.action == "accept_pms":
            discrepancy_bookings.accept_pms(session, row, order.together)
        else:
            assert reading is not None
            discrepancy_bookings.accept_channel(session, row, reading, order.actor)


def _locked(session: Session, ids: Sequence[UUID]) -> list[Discrepancy]:
    """The rows, nobody else writing their bookings meanwhile. Raises NotFound."""
    refs = session.scalars(
        select(Discrepancy.subject).where(
            among(Discrepancy.id, ids), Discrepancy.kind.in_(discrepancy_bookings.KINDS)
        )
    ).all()
    if refs:
        beds24_bookings.take_turns(session, refs)
    rows = {
        row.id: row
        for row in session.scalars(
            select(Discrepancy)
            .where(among(Discrepancy.id, ids))
            .order_by(Discrepancy.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    }
    if len(rows) < len(ids):
        raise NotFound(NOT_FOUND)
    return [rows[id_] for id_ in ids]


def _close(
    session: Session, row: Discrepancy, order: _Order, was: dict[str, Any], now: datetime
) -> None:
    row.status = DISMISSED if order.action == "dismiss" else RESOLVED
    row.action = order.action
    row.note = order.note
    row.closed_at = now
    row.closed_by = order.actor.label
    after = {"status": row.status, "action": row.action}
    if order.note is not None:
        after["note"] = order.note
    audit.record(session, order.actor, "resolve", "discrepancy", row.id, was, after)


def _note_moved(moved: Moved) -> bool:
    """Keep what both sides say now; whether they agree, which closes it."""
    now = clock.utcnow()
    with transaction() as session:
        row = session.get(Discrepancy, moved.row_id, with_for_update=True, populate_existing=True)
        if row is None or row.status != OPEN:
            return False
        was = _said(row)
        discrepancy_sides.show_anew(row, moved, now)
        if not discrepancy_sides.agree(row.kind, row.ours, row.theirs):
            return False
        row.status, row.action = RESOLVED, "agreed"
        row.closed_at, row.closed_by, row.note = now, SYSTEM.label, None
        after = {"status": RESOLVED, "action": "agreed"}
        audit.record(session, SYSTEM, "close", "discrepancy", row.id, was, after)
    return True


def _said(row: Discrepancy) -> dict[str, Any]:
    ours: Side | None = row.ours
    return {"status": row.status, "kind": row.kind} | discrepancy_rows.snapshot(ours, row.theirs)


def _checked(action: str, note: str | None) -> tuple[Action, str | None]:
    verdict = next((each for each in ACTIONS if each == action), None)
    if verdict is None:
        raise Invalid.field("action", "must be one of " + ", ".join(ACTIONS))
    said = (note or "").strip()
    if verdict == "dismiss" and not said:
        raise Invalid.field("note", "is required: whoever looks later asks why")
    if len(said) > MAX_NOTE or "\0" in said:
        raise Invalid.field("note", f"must be text of at most {MAX_NOTE} characters")
    return verdict, said or None


def _require_open(row: Discrepancy) -> None:
    if row.status != OPEN:
        raise InvalidTransition(_not_open(row))


def _not_open(row: Discrepancy) -> str:
    return f"the discrepancy is {row.status} already"
