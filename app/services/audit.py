"""Who did what, to which thing, from where: rows of the append-only `audit_log` (DECISIONS 15)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

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
