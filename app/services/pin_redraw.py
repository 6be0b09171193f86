"""New digits for PINs that no lock has had: their length turned out to be wrong."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import clock
from app.domain.states import OPEN_JOBS, CredentialState, PinJobKind, PinJobStatus
from app.models import Credential, Lock, PinJob
from app.runtime import pin_vault
from app.services import pin_alarms
from app.services.pin_digits import fresh_pin

_NEVER_SENT = (CredentialState.REQUESTED, CredentialState.FAILED)


def hold(session: Session, lock_id: UUID) -> list[tuple[PinJob, Credential]]:
    """What was refused or not sent yet, locked: orders, then credentials, and only then the lock
    itself, as workers do it. A PIN that may have reached the lock keeps its digits."""
    undelivered = (
        Credential.lock_id == lock_id,
        Credential.state.in_(_NEVER_SENT),
        Credential.sent_at.is_(None),
        Credential.vendor_ref.is_(None),
    )
    jobs = session.scalars(
        select(PinJob)
        .where(
            PinJob.credential_id.in_(select(Credential.id).where(*undelivered)),
            PinJob.kind == PinJobKind.GENERATE,
            PinJob.status.in_(OPEN_JOBS),
            PinJob.status != PinJobStatus.RUNNING,
        )
        .order_by(PinJob.id)
        .with_for_update()
    ).all()
    held = {
        credential.id: credential
        for credential in session.scalars(
            select(Credential).where(*undelivered).order_by(Credential.id).with_for_update()
        )
    }
    return [(job, held[job.credential_id]) for job in jobs if job.credential_id in held]


def redraw(session: Session, lock: Lock, held: list[tuple[PinJob, Credential]]) -> None:
    """Draw again, in the lock's present length, and try at once."""
    now = clock.utcnow()
    for job, credential in held:
        pin = fresh_pin(session, lock)
        credential.pin_encrypted = pin_vault().seal(pin)
        credential.pin_last2 = pin.last2
        credential.pin_fingerprint = pin_vault().fingerprint(pin)
        job.attempts = 0
        job.status = PinJobStatus.SCHEDULED
        job.next_attempt_at = now
        session.flush()
        pin_alarms.arm(session, job.reservation_id)
