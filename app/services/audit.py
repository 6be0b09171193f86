"""Who did what, to which thing, from where: rows of the append-only `audit_log` (DECISIONS 15)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.orm import Session

from app import clock
from app.models import AuditEntry


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is acting; copied into the row, so that it outlives the user."""

    label: str
    user_id: UUID | None = None
    role: str | None = None
    ip: str | None = None

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"


#: what nobody in particular asked for: schedules, webhooks, workers
SYSTEM = Actor("system")


class Deed(NamedTuple):
    """One row to be written by `record_many`."""

    action: str
    entity: str
    entity_id: object
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


def record(
    session: Session,
    actor: Actor,
    action: str,
    entity: str,
    entity_id: object,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Write the row in the caller's transaction: no deed without its record, no record of none.

    `before` and `after` are plain JSON values and never hold a PIN or a password.
    """
    session.add(
        AuditEntry(
            at=clock.utcnow(),
            actor=actor.label,
            actor_id=actor.user_id,
            action=action,
            entity=entity,
            entity_id=None if entity_id is None else str(entity_id),
            before=before,
            after=after,
            ip=actor.ip,
        )
    )


def record_many(session: Session, actor: Actor, deeds: Iterable[Deed]) -> None:
    """`record` for many deeds of one actor at one moment, in a single statement."""
    now = clock.utcnow()
    rows = [
        {
            "at": now,
            "actor": actor.label,
            "actor_id": actor.user_id,
            "action": deed.action,
            "entity": deed.entity,
            "entity_id": None if deed.entity_id is None else str(deed.entity_id),
            "before": deed.before,
            "after": deed.after,
            "ip": actor.ip,
        }
        for deed in deeds
    ]
    if rows:
        session.execute(insert(AuditEntry), rows)
