"""New digits for PINs that no lock has had: their length turned out to be wrong."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import clock
from app.domain.states import OPEN_JOBS, CredentialState, PinJobKind, PinJobStatus
from app.models import Credential, Lock, PinJob
from app.runtime import pin_vault
from app.services import pin_alarms
from app.services.pin_delivery import fresh_pin

_NEVER_SENT = (CredentialState.REQUESTED, CredentialState.FAILED)


def redraw(session: Session, lock: Lock) -> int:
    """Draw again, in the lock's present length, what was refused or not sent yet, and try at once.

    A PIN that may have reached the lock keeps its digits: it is read back by name. Returns how many
    were drawn.
    """
    now = clock.utcnow()
    rows = session.execute(
        select(PinJob, Credential)
        .join(Credential, Credential.id == PinJob.credential_id)
        .where(
            Credential.lock_id == lock.id,
            Credential.state.in_(_NEVER_SENT),
            Credential.sent_at.is_(None),
            Credential.vendor_ref.is_(None),
            PinJob.kind == PinJobKind.GENERATE,
            PinJob.status.in_(OPEN_JOBS),
            PinJob.status != PinJobStatus.RUNNING,
        )
        .order_by(PinJob.id)
        .with_for_update()
    ).all()
    for job, credential in rows:
        pin = fresh_pin(session, lock)
        credential.pin_encrypted = pin_vault().seal(pin)
        credential.pin_last2 = pin.last2
        credential.pin_fingerprint = pin_vault().fingerprint(pin)
        job.attempts = 0
        job.status = PinJobStatus.SCHEDULED
        job.next_attempt_at = now
        session.flush()
        pin_alarms.arm(session, job.reservation_id)
    return len(rows)
