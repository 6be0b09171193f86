"""Write PIN orders: many at once for new stays, or one removal."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session, object_session

from app import clock
from app.domain.states import CredentialState, PinJobKind, PinJobStatus, RevokeReason
from app.domain.stay_windows import Window
from app.models import Credential, PinJob
from app.services import audit
from app.services.pin_alarms import Alarms

_COLUMNS = (
    "reservation_id",
    "credential_id",
    "kind",
    "job_id",
    "run_at",
    "next_attempt_at",
    "valid_from",
    "expires_at",
    "status",
    "reason",
    "last_error",
    "last_error_kind",
    "created_at",
)
BLOCKED = {"double_booked": "the room is double-booked: an earlier booking has it"}


def gen_id(reservation_id: UUID) -> str:
    """The fixed id of a stay's generate alarm (PIN-08, C-52)."""
    return f"gen-{reservation_id}"


def rev_id(reservation_id: UUID) -> str:
    """The fixed id of a stay's revoke alarm (PIN-09, C-52)."""
    return f"rev-{reservation_id}"


class NewJobs:
    """Orders to insert, all in one statement."""

    def __init__(self) -> None:
        self._rows: list[tuple[object, ...]] = []

    def generate(
        self,
        reservation_id: UUID,
        window: Window,
        *,
        at: datetime | None = None,
        credential_id: UUID | None = None,
        blocked: str | None = None,
    ) -> None:
        """Put a PIN on the lock at `window.send_at`, or at `at`; `blocked` orders wait for a
        change, with the reason."""
        run_at = at or window.send_at
        self._rows.append(
            (
                reservation_id,
                credential_id,
                PinJobKind.GENERATE.value,
                gen_id(reservation_id),
                run_at,
                None if blocked else run_at,
                window.opens_at,
                window.closes_at,
                (PinJobStatus.FAILED if blocked else PinJobStatus.SCHEDULED).value,
                None,
                BLOCKED.get(blocked) if blocked else None,
                blocked,
            )
        )

    def revoke(
        self, reservation_id: UUID, window: Window, *, credential_id: UUID | None = None
    ) -> None:
        """Take the PIN off when the window closes."""
        self._rows.append(
            (
                reservation_id,
                credential_id,
                PinJobKind.REVOKE.value,
                rev_id(reservation_id),
                window.closes_at,
                window.closes_at,
                window.opens_at,
                window.closes_at,
                PinJobStatus.SCHEDULED.value,
                RevokeReason.WINDOW_OVER.value,
                None,
                None,
            )
        )

    def insert(self, session: Session, alarms: Alarms) -> None:
        """Write all orders and collect their alarms."""
        if not self._rows:
            return
        session.flush()
        now = clock.utcnow()
        # COPY: twenty thousand orders of a first run cost a fraction of what an INSERT would.
        driver = session.connection().connection.driver_connection
        statement = f"COPY pin_jobs ({', '.join(_COLUMNS)}) FROM STDIN"
        with driver.cursor() as cursor, cursor.copy(statement) as copy:  # type: ignore[union-attr]
            for row in self._rows:
                copy.write_row((*row, now))
        for row in self._rows:
            if row[5] is not None:
                alarms.at(row[2], row[0], row[3], row[5])  # type: ignore[arg-type]


def order_revoke(
    session: Session,
    credential: Credential,
    job: PinJob | None,
    reason: RevokeReason,
    now: datetime,
    *,
    alarms: Alarms | None = None,
) -> PinJob | None:
    """Have a live credential taken off its lock now. `job` is its open revoke order, if any.

    One that was never sent ends here. Otherwise it is `revoking` until the lock proves it gone.
    Returns the order, or None when nothing has to be done at the lock.
    """
    credential.revoke_reason = reason
    credential.revoke_requested_at = now
    credential.next_attempt_at = None
    if credential.sent_at is None and credential.vendor_ref is None:
        end(credential, now)
        if job is not None:
            finish(job, PinJobStatus.DONE, now)
        return None
    credential.state = CredentialState.REVOKING
    credential.attempts = 0
    owner = credential.reservation_id
    if job is None:
        job = PinJob(
            reservation_id=owner,
            credential_id=credential.id,
            kind=PinJobKind.REVOKE,
            job_id=rev_id(owner) if owner else f"revc-{credential.id}",
            valid_from=credential.valid_from,
            expires_at=credential.expires_at,
            status=PinJobStatus.SCHEDULED,
        )
        session.add(job)
    elif owner is None:
        job.job_id = f"revc-{credential.id}"
    job.reason = reason
    job.attempts = 0
    job.run_at = job.next_attempt_at = now
    if job.status != PinJobStatus.RUNNING:
        job.status = PinJobStatus.SCHEDULED
    ring = alarms or Alarms()
    ring.add(job)
    if alarms is None:
        ring.ring_after_commit()
    return job


def order_generate(
    session: Session, credential: Credential, job: PinJob | None, at: datetime
) -> PinJob | None:
    """Have a credential sent, or sent again, at that moment. `job` is the stay's open generate
    order, if any. None without a stay: then its removal is what matters."""
    if credential.reservation_id is None:
        return None
    if job is None:
        job = PinJob(
            reservation_id=credential.reservation_id,
            kind=PinJobKind.GENERATE,
            job_id=gen_id(credential.reservation_id),
            run_at=at,
            attempts=credential.attempts,
            status=PinJobStatus.SCHEDULED,
        )
        session.add(job)
    elif job.status == PinJobStatus.RUNNING:
        return job
    job.credential_id = credential.id
    job.valid_from, job.expires_at = credential.valid_from, credential.expires_at
    job.next_attempt_at = at
    return job


def reopen(session: Session, credential: Credential, now: datetime) -> None:
    """It was believed gone, and the vendor has it: off with it, again."""
    reason = RevokeReason(credential.revoke_reason or RevokeReason.WINDOW_OVER)
    credential.revoked_at = credential.revoke_sent_at = credential.purged_at = None
    order_revoke(session, credential, None, reason, now)


def end(credential: Credential, now: datetime) -> None:
    """The PIN is proven gone, or never left us: forget the digits (C-14)."""
    session = object_session(credential)
    if session is not None and (credential.sent_at or credential.vendor_ref):
        after = {"lock_id": str(credential.lock_id), "reason": credential.revoke_reason}
        audit.record(session, audit.SYSTEM, "remove", "credential", credential.id, after=after)
    credential.state = CredentialState.REVOKED
    credential.revoked_at = now
    credential.pin_encrypted = None
    credential.next_attempt_at = None
    credential.last_error = credential.last_error_kind = None


def finish(job: PinJob, status: PinJobStatus, now: datetime) -> None:
    """Close an order."""
    job.status = status
    job.next_attempt_at = None
    job.finished_at = now
    job.lease_until = None
    job.lease_token = None
