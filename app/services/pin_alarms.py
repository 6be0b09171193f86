"""The alarms that wake a worker when an order is due; Redis may lose them, the orders remain."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ARRAY, String, all_, func, literal, select
from sqlalchemy.orm import Session

from app import clock
from app.domain.states import PinJobKind, PinJobStatus
from app.models import PinJob
from app.queue import client as queue
from app.transaction import after_commit

#: in a large batch only alarms this near are set at once; the sweep sets the rest in time
NEAR = timedelta(hours=48)
#: up to this many alarms are all set at once
FEW = 500

_NAMES = {
    PinJobKind.GENERATE: "credentials.generate",
    PinJobKind.REVOKE: "credentials.revoke",
}


class Alarms:
    """Collects alarms during one transaction and sets them after its commit, in one go."""

    def __init__(self) -> None:
        self._set: dict[str, queue.Alarm] = {}
        self._drop: set[str] = set()

    def add(self, job: PinJob) -> None:
        """Wake a worker when `job` is due; the earliest of several orders with one id wins."""
        if job.next_attempt_at is None:
            return
        owner = job.reservation_id or job.credential_id
        self.at(job.kind, owner, job.job_id, job.next_attempt_at, orphan=job.reservation_id is None)

    def at(
        self, kind: str, owner: UUID | None, job_id: str, when: datetime, *, orphan: bool = False
    ) -> None:
        if owner is None:
            return
        known = self._set.get(job_id)
        if known is not None and known.at is not None and known.at <= when:
            return
        name = "credentials.revoke_one" if orphan else _NAMES[PinJobKind(kind)]
        self._set[job_id] = queue.Alarm(name, str(owner), job_id, when)

    def drop(self, job: PinJob) -> None:
        """Nothing is due any more under this id."""
        self._drop.add(job.job_id)

    def ring_after_commit(self) -> None:
        """Set and drop what was collected once the surrounding transaction has committed."""
        if self._set or self._drop:
            after_commit(self._ring)

    def _ring(self) -> None:
        queue.cancel(*(self._drop - self._set.keys()))
        alarms = list(self._set.values())
        if len(alarms) > FEW:
            near = clock.utcnow() + NEAR
            alarms = [alarm for alarm in alarms if alarm.at is None or alarm.at <= near]
        queue.enqueue_many(alarms)


def arm(session: Session, reservation_id: UUID | None) -> None:
    """Set the two alarms of one reservation to its earliest orders, after the commit."""
    alarms = Alarms()
    rows = session.execute(
        select(PinJob.kind, PinJob.job_id, func.min(PinJob.next_attempt_at).label("at"))
        .where(
            PinJob.reservation_id == reservation_id,
            PinJob.next_attempt_at.is_not(None),
            PinJob.status != PinJobStatus.RUNNING,
        )
        .group_by(PinJob.kind, PinJob.job_id)
    )
    for row in rows:
        alarms.at(row.kind, reservation_id, row.job_id, row.at)
    alarms.ring_after_commit()


def restore(session: Session, present: Collection[str]) -> int:
    """Set again the alarms of open orders that are not among the `present` ones: Redis was emptied.
    What is due by now is the sweep's. Returns how many, after the commit."""
    now = clock.utcnow()
    rows = session.execute(
        select(PinJob.kind, PinJob.job_id, PinJob.reservation_id, PinJob.next_attempt_at)
        .where(
            PinJob.next_attempt_at > now,
            PinJob.reservation_id.is_not(None),
            PinJob.status != PinJobStatus.RUNNING,
            PinJob.job_id != all_(literal(list(present), ARRAY(String))),
        )
        .order_by(PinJob.next_attempt_at)
        .limit(FEW + 1)
    ).all()
    if len(rows) > FEW:  # a large house: only what is near, as when they were first set
        rows = [row for row in rows if row.next_attempt_at <= now + NEAR]
    alarms = Alarms()
    for row in rows:
        alarms.at(row.kind, row.reservation_id, row.job_id, row.next_attempt_at)
    alarms.ring_after_commit()
    return len(rows)
