"""Clear up after reservations that are gone: alarms that ring for nobody, PINs nobody owns.

Everything is decided for all jobs at once (PERF-11). A revoke order with a live PIN is never
removed: it is what closes the door (C-54).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from uuid import UUID

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from app import clock
from app.domain.states import (
    OPEN_JOBS,
    CredentialState,
    PinJobKind,
    PinJobStatus,
    ReservationStatus,
)
from app.models import Credential, PinJob, Reservation
from app.queue import status
from app.services import pin_alarms, pin_plan
from app.transaction import transaction

_ALARM = re.compile(r"(gen|rev)-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


def clean_up() -> int:
    """Remove what nothing stands behind any more; how many orders and alarms that were. Alarms that
    are missing are set again (issue 2).

    Raises RedisError when the alarms cannot be listed; the rows are put right before that.
    """
    with transaction() as session:
        pin_plan.revoke_vanished(session)
    with transaction() as session:  # apart: whoever holds credentials takes no more orders
        orders = _cancel_ownerless(session)
    present = status.pin_job_ids()
    alarms = _idle(present)
    status.remove_pin_jobs(alarms)
    with transaction() as session:
        pin_alarms.restore(session, present)
    # An order and its alarm are one job to whoever counts.
    return len(orders | alarms)


def _cancel_ownerless(session: Session) -> set[str]:
    """Open orders whose reservation was deleted, or cancelled before a PIN was made (C-54)."""
    live = exists().where(
        Credential.id == PinJob.credential_id, Credential.state != CredentialState.REVOKED
    )
    now = clock.utcnow()
    ownerless = select(PinJob.id).where(
        PinJob.reservation_id.is_(None), PinJob.status.in_(OPEN_JOBS), ~live
    )
    pointless = (
        select(PinJob.id)
        .join(Reservation, Reservation.id == PinJob.reservation_id)
        .where(
            PinJob.kind == PinJobKind.GENERATE,
            PinJob.status.in_(OPEN_JOBS),
            Reservation.status == ReservationStatus.CANCELLED,
        )
    )
    ids = [*session.scalars(ownerless), *session.scalars(pointless)]
    if not ids:
        return set()
    return set(
        session.scalars(
            update(PinJob)
            .where(PinJob.id.in_(ids), PinJob.status.in_(OPEN_JOBS))
            .values(
                status=PinJobStatus.CANCELLED,
                next_attempt_at=None,
                finished_at=now,
                updated_at=now,
            )
            .returning(PinJob.job_id)
            .execution_options(synchronize_session=False)
        )
    )


def _idle(job_ids: Collection[str]) -> set[str]:
    """Alarms with no open order behind them whose reservation is gone or needs none.

    An alarm whose reservation stands is kept untouched (STAY-22), with the one exception of a
    generate alarm of a cancelled stay.
    """
    owners: dict[str, tuple[str, UUID]] = {}
    for job_id in job_ids:
        match = _ALARM.fullmatch(job_id)
        if match:
            owners[job_id] = (match[1], UUID(match[2]))
    if not owners:
        return set()
    wanted = list({owner for _, owner in owners.values()})
    with transaction() as session:
        found = {
            row.id: row.status
            for row in session.execute(
                select(Reservation.id, Reservation.status).where(Reservation.id.in_(wanted))
            )
        }
        busy = set(
            session.scalars(
                select(PinJob.job_id).where(
                    PinJob.job_id.in_(list(owners)), PinJob.status.in_(OPEN_JOBS)
                )
            )
        )
    idle = set()
    for job_id, (kind, owner) in owners.items():
        if job_id in busy:
            continue
        if owner not in found or (kind == "gen" and found[owner] == ReservationStatus.CANCELLED):
            idle.add(job_id)
    return idle
