"""Items that a run could not take in: kept by id, asked for again on every run (C-08)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import clock
from app.integrations.channels import ItemError
from app.models import ReconciliationFailure


def waiting(session: Session, channel: str, limit: int) -> list[str]:
    """Ids to ask for again, longest waiting first."""
    return list(
        session.scalars(
            select(ReconciliationFailure.external_id)
            .where(ReconciliationFailure.channel == channel)
            .order_by(ReconciliationFailure.last_failed_at, ReconciliationFailure.id)
            .limit(limit)
        )
    )


def remember(
    session: Session,
    channel: str,
    errors: Sequence[ItemError],
    modified: Mapping[str, datetime | None],
    healed: Collection[str],
) -> None:
    """Keep what failed, by id and reason only, and forget what has healed."""
    failed = {error.external_id: error for error in errors if error.external_id}
    known = set(
        session.scalars(
            select(ReconciliationFailure.external_id).where(
                ReconciliationFailure.channel == channel
            )
        )
    )
    over = sorted(known.intersection(healed) - failed.keys())
    if over:
        session.execute(
            delete(ReconciliationFailure).where(
                ReconciliationFailure.channel == channel,
                ReconciliationFailure.external_id.in_(over),
            )
        )
    if not failed:
        return
    now = clock.utcnow()
    statement = insert(ReconciliationFailure).values(
        [
            {
                "channel": channel,
                "external_id": external_id,
                "kind": error.kind,
                "reason": error.reason[:500],
                "source_modified_at": modified.get(external_id),
                "first_failed_at": now,
                "last_failed_at": now,
            }
            for external_id, error in sorted(failed.items())
        ]
    )
    said = statement.excluded
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["channel", "external_id"],
            set_={
                "kind": said.kind,
                "reason": said.reason,
                "attempts": ReconciliationFailure.attempts + 1,
                "source_modified_at": func.coalesce(
                    ReconciliationFailure.source_modified_at, said.source_modified_at
                ),
                "last_failed_at": now,
            },
        )
    )
