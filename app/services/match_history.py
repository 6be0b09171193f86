"""Dismiss a match for good, take an answer back, and read what was answered so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.errors import NotFound, ServiceError
from app.models import Accommodation, AuditEntry, Lock, LockMapping, MatchDismissal
from app.services import audit, mappings
from app.services.audit import Actor
from app.services.paging import Page, page_args
from app.transaction import transaction

#: the audit log's words for what is done with matches
ACTIONS = ("match", "undo_match", "dismiss_match", "restore_match")


@dataclass(frozen=True, slots=True)
class Dismissal:
    """A pair that is not proposed any more."""

    accommodation: Accommodation
    lock: Lock
    at: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """One line of the history. `can_undo` while what it did still stands."""

    action: str
    accommodation_id: UUID
    accommodation: str
    lock_id: UUID
    lock: str
    actor: str
    at: datetime
    score: float | None
    reason: str | None
    batch: str | None
    can_undo: bool


def dismiss(accommodation_id: UUID, lock_id: UUID, *, actor: Actor) -> bool:
    """Never propose this pair again; False when it was dismissed before. Raises NotFound."""
    with transaction() as session:
        unit, lock = _both(session, accommodation_id, lock_id)
        added = session.execute(
            insert(MatchDismissal)
            .values(accommodation_id=accommodation_id, lock_id=lock_id, dismissed_by=actor.user_id)
            .on_conflict_do_nothing()
            .returning(MatchDismissal.id)
        ).first()
        if added is None:
            return False
        _record(session, actor, "dismiss_match", unit, lock)
    return True


def restore(accommodation_id: UUID, lock_id: UUID, *, actor: Actor) -> bool:
    """Let the pair be proposed again; False when it was not dismissed. Raises NotFound."""
    with transaction() as session:
        unit, lock = _both(session, accommodation_id, lock_id)
        gone = session.execute(
            delete(MatchDismissal)
            .where(
                MatchDismissal.accommodation_id == accommodation_id,
                MatchDismissal.lock_id == lock_id,
            )
            .returning(MatchDismissal.id)
        ).first()
        if gone is None:
            return False
        _record(session, actor, "restore_match", unit, lock)
    return True


def undo(accommodation_id: UUID, lock_id: UUID, *, actor: Actor, confirm: bool = False) -> None:
    """Take an applied match back, while the accommodation still has that lock.

    Raises NotFound, Conflict as `mappings.unmap` does: live PINs ask for `confirm`.
    """
    refusal: ServiceError | None = None
    with transaction() as session:
        unit, lock = _both(session, accommodation_id, lock_id)
        try:
            mappings.unmap(accommodation_id, actor=actor, confirm=confirm, lock_id=lock_id)
        except ServiceError as error:
            refusal = error  # its line in the log is committed with this block
        else:
            _record(session, actor, "undo_match", unit, lock)
    if refusal is not None:
        raise refusal


def dismissals() -> list[Dismissal]:
    """All pairs dismissed for good, the newest first."""
    with transaction() as session:
        rows = session.execute(
            select(Accommodation, Lock, MatchDismissal.created_at)
            .join(MatchDismissal, MatchDismissal.accommodation_id == Accommodation.id)
            .join(Lock, Lock.id == MatchDismissal.lock_id)
            .order_by(MatchDismissal.created_at.desc(), MatchDismissal.id)
        ).all()
    return [Dismissal(unit, lock, at) for unit, lock, at in rows]


def history(args: Mapping[str, str]) -> Page[Answer]:
    """A page of what was applied, undone, dismissed and restored, the newest first."""
    page, limit = page_args(args)
    mine = (AuditEntry.action.in_(ACTIONS), AuditEntry.entity == "accommodation")
    with transaction() as session:
        total = session.scalar(select(func.count()).select_from(AuditEntry).where(*mine)) or 0
        rows = session.scalars(
            select(AuditEntry)
            .where(*mine)
            .order_by(AuditEntry.at.desc(), AuditEntry.id.desc())
            .limit(limit)
            .offset((page - 1) * limit)
        ).all()
        pairs = [_pair(row) for row in rows]
        connected = _standing(session, LockMapping, pairs)
        dismissed = _standing(session, MatchDismissal, pairs)
    standing = {"match": connected, "dismiss_match": dismissed}
    answers = []
    for row, pair in zip(rows, pairs, strict=True):
        answers.append(_answer(row, pair, pair in standing.get(row.action, ())))
        # Only the latest of a pair's answers can be taken back.
        for each in standing.values():
            each.discard(pair)
    return Page(answers, page, limit, total)


def _both(session: Session, accommodation_id: UUID, lock_id: UUID) -> tuple[Accommodation, Lock]:
    unit = session.get(Accommodation, accommodation_id)
    if unit is None:
        raise NotFound("no such accommodation")
    lock = session.get(Lock, lock_id)
    if lock is None:
        raise NotFound("no such lock")
    return unit, lock


def _record(session: Session, actor: Actor, action: str, unit: Accommodation, lock: Lock) -> None:
    after: dict[str, Any] = {
        "accommodation": unit.name,
        "lock_id": str(lock.id),
        "lock": lock.name,
    }
    audit.record(session, actor, action, "accommodation", unit.id, before=None, after=after)


def _pair(row: AuditEntry) -> tuple[UUID, UUID]:
    return UUID(row.entity_id), UUID((row.after or {})["lock_id"])


def _standing(
    session: Session,
    model: type[LockMapping] | type[MatchDismissal],
    pairs: Sequence[tuple[UUID, UUID]],
) -> set[tuple[UUID, UUID]]:
    """Which of the pairs are in the table now."""
    if not pairs:
        return set()
    keys = (model.accommodation_id, model.lock_id)
    found = session.execute(select(*keys).where(tuple_(*keys).in_(pairs)))
    return {(unit_id, lock_id) for unit_id, lock_id in found}


def _answer(row: AuditEntry, pair: tuple[UUID, UUID], can_undo: bool) -> Answer:
    said = row.after or {}
    return Answer(
        action=row.action,
        accommodation_id=pair[0],
        accommodation=said["accommodation"],
        lock_id=pair[1],
        lock=said["lock"],
        actor=row.actor,
        at=row.at,
        score=said.get("score"),
        reason=said.get("reason"),
        batch=said.get("batch"),
        can_undo=can_undo,
    )
