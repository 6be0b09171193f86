"""Try PIN orders again by hand: those that stand among the failures (DECISIONS 8, DLQ-15…19)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app import clock
from app.domain.states import PinJobKind, PinJobStatus
from app.errors import InvalidTransition, NotFound
from app.models import Credential, Lock, LockMapping, PinJob, Reservation
from app.models.columns import among
from app.queue import client as queue
from app.services import audit, vendors
from app.services.audit import Actor
from app.transaction import transaction

NOT_FOUND = "no such PIN order"


def retry(order_id: UUID, *, actor: Actor) -> None:
    """Try a failed order again at once, whatever pause its last error caused, with a fresh budget.
    Raises NotFound, InvalidTransition."""
    with transaction() as session:
        refused = retry_many(session, [order_id], actor)
        if refused.get(order_id) == NOT_FOUND:
            raise NotFound(NOT_FOUND)
        if refused:
            raise InvalidTransition(refused[order_id])


def retry_many(session: Session, ids: Sequence[UUID], actor: Actor) -> dict[UUID, str]:
    """The same of many, in the caller's transaction; those left as they are, each with the reason.

    One UPDATE on the state decides: of two who press at once, one finds nothing left to do. The
    orders are locked by id before anything else, as a worker does.
    """
    found = {
        row.id: row
        for row in session.execute(
            select(
                PinJob.id,
                PinJob.status,
                PinJob.kind,
                PinJob.attempts,
                PinJob.last_error_kind,
                PinJob.reservation_id,
                PinJob.credential_id,
            )
            .where(among(PinJob.id, ids))
            .order_by(PinJob.id)
            .with_for_update()
        )
    }
    now = clock.utcnow()
    chosen = [id_ for id_, row in found.items() if row.status == PinJobStatus.FAILED]
    changed = set(
        session.scalars(
            update(PinJob)
            .where(among(PinJob.id, chosen), PinJob.status == PinJobStatus.FAILED)
            .values(
                status=PinJobStatus.SCHEDULED,
                attempts=0,
                next_attempt_at=now,
                last_error=None,
                last_error_kind=None,
                updated_at=now,
            )
            .returning(PinJob.id)
            .execution_options(synchronize_session=False)
        )
        if chosen
        else ()
    )
    for id_ in changed:
        row = found[id_]
        audit.record(
            session,
            actor,
            "retry",
            "pin_order",
            id_,
            before={"status": row.status, "attempts": row.attempts, "error": row.last_error_kind},
            after={"status": str(PinJobStatus.SCHEDULED)},
        )
    session.flush()
    for vendor in _vendors(session, changed):
        vendors.lift_pause(session, vendor)
    queue.enqueue_many([_alarm(found[id_]) for id_ in changed if _owner(found[id_])])
    return {
        id_: _refusal(found[id_].status) if id_ in found else NOT_FOUND
        for id_ in ids
        if id_ not in changed
    }


def _refusal(status: str) -> str:
    if status in (PinJobStatus.DONE, PinJobStatus.CANCELLED):
        return f"the PIN order is {status}"
    return f"the PIN order is being tried ({status})"


def _owner(row: Any) -> UUID | None:
    found: UUID | None = row.reservation_id or row.credential_id
    return found


def _alarm(row: Any) -> queue.Alarm:
    """An order without a stay is known by its credential (DECISIONS 2)."""
    if row.reservation_id is None:
        return queue.Alarm("credentials.revoke_one", row.credential_id)
    name = "generate" if row.kind == PinJobKind.GENERATE else "revoke"
    return queue.Alarm(f"credentials.{name}", row.reservation_id)


def _vendors(session: Session, ids: Collection[UUID]) -> list[str]:
    """Whose locks these orders are about: the lock of the PIN, or of the stay's room."""
    if not ids:
        return []
    lock_id = func.coalesce(Credential.lock_id, LockMapping.lock_id)
    return list(
        session.scalars(
            select(Lock.vendor)
            .distinct()
            .select_from(PinJob)
            .outerjoin(Credential, Credential.id == PinJob.credential_id)
            .outerjoin(Reservation, Reservation.id == PinJob.reservation_id)
            .outerjoin(LockMapping, LockMapping.accommodation_id == Reservation.accommodation_id)
            .join(Lock, Lock.id == lock_id)
            .where(among(PinJob.id, ids))
            .order_by(Lock.vendor)
        )
    )
