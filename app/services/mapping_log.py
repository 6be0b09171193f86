"""Read the log of every attempt to pair or part a lock and an accommodation (LOCK-04)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.models import Accommodation, Lock, MappingValidationLog, User
from app.models.columns import among
from app.services import list_args, listing
from app.services.paging import Page
from app.transaction import transaction

ACTIONS = ("map", "remap", "unmap")
RESULTS = ("accepted", "rejected", "unchanged")


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One attempt with the names of today; None for what no longer exists."""

    entry: MappingValidationLog
    accommodation: str | None
    lock: str | None
    user: str | None


def search(args: Mapping[str, str]) -> Page[AttemptRow]:
    """A page of attempts, newest first; filters `accommodation_id, lock_id, user_id, action,
    result`, and `q` in the reason."""
    log = MappingValidationLog
    where: list[Any] = []
    for column in (log.accommodation_id, log.lock_id, log.user_id):
        if (key := list_args.key(args, column.key)) is not None:
            where.append(column == key)
    if action := list_args.choice(args, "action", ACTIONS):
        where.append(log.action == action)
    if result := list_args.choice(args, "result", RESULTS):
        where.append(log.result == result)
    page = listing.fetch(
        log, args, sorts={"created_at": log.created_at}, search=[log.reason], where=where
    )
    with transaction() as session:
        units = _names(
            session, Accommodation.id, Accommodation.name, [e.accommodation_id for e in page.items]
        )
        locks = _names(session, Lock.id, Lock.name, [e.lock_id for e in page.items])
        users = _names(session, User.id, User.email, [e.user_id for e in page.items])
    rows = [
        AttemptRow(
            entry,
            units.get(entry.accommodation_id),
            locks.get(entry.lock_id),
            users.get(entry.user_id),
        )
        for entry in page.items
    ]
    return Page(rows, page.page, page.limit, page.total)


def _names(
    session: Session,
    key: InstrumentedAttribute[UUID],
    name: InstrumentedAttribute[str],
    ids: Sequence[UUID | None],
) -> dict[UUID | None, str]:
    wanted = {each for each in ids if each is not None}
    rows = session.execute(select(key, name).where(among(key, wanted)))
    return {row[0]: row[1] for row in rows}
