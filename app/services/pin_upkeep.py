"""Look for live PINs that nothing would ever act on, and put them back to work.

Orders and readings are written together with the states that need them, so there is nothing to
find here as long as nobody touches the rows by hand. A PIN that stays on a door is too bad to rely
on that.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, exists, or_, select, update
from sqlalchemy.orm import Session

from app.domain.states import (
    NEEDS_PIN,
    OPEN_JOBS,
    WANTED,
    CredentialState,
    PinJobKind,
    RevokeReason,
)
from app.models import Credential, Lock, PinJob, Reservation
from app.models.columns import among
from app.services import pin_plan
from app.services.lock_readings import MOVING
from app.services.pin_orders import order_revoke
from app.transaction import transaction

log = structlog.get_logger(__name__)


def mend(now: datetime) -> int:
    """Revoke what lost its reservation, order what is owed, read what moves. Returns how many."""
    found: dict[str, int] = {}
    for kind, work in _WORKS.items():
        with transaction() as session:  # one each: a plan locks rooms before orders
            found[kind] = work(session, now)
    if any(found.values()):
        log.warning("pins_mended", **found)
    return sum(found.values())


def _due(kind: PinJobKind, *owner: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(
        PinJob.kind == kind,
        PinJob.status.in_(OPEN_JOBS),
        PinJob.next_attempt_at.is_not(None),
        *owner,
    )


def _plan_owed(session: Session, now: datetime) -> int:
    """Stays with a credential that nobody will send, or that nobody will take off in the end."""
    at_rest = (
        Credential.vendor_ref.is_not(None)
        & (Credential.state != CredentialState.FAILED)
        & (Credential.sent_from == Credential.valid_from)
        & (Credential.sent_until == Credential.expires_at)
    )
    generating = _due(PinJobKind.GENERATE, PinJob.reservation_id == Credential.reservation_id)
    ending = _due(PinJobKind.REVOKE, PinJob.credential_id == Credential.id)
    never_sent = Credential.vendor_ref.is_(None) & Credential.sent_at.is_(None)
    stays = set(
        session.scalars(
            select(Credential.reservation_id)
            .join(Reservation, Reservation.id == Credential.reservation_id)
            .where(
                Credential.state.in_(WANTED),
                Credential.expires_at > now,
                Reservation.status.in_(NEEDS_PIN),
                or_(~at_rest.is_(True) & ~generating, ~never_sent & ~ending),
            )
        )
    )
    pin_plan.plan(session, reservations=[stay for stay in stays if stay is not None])
    return len(stays)


def _revoke_owed(session: Session, now: datetime) -> int:
    """Credentials on their way off without an order to take them off."""
    ending = _due(PinJobKind.REVOKE, PinJob.credential_id == Credential.id)
    ids = list(
        session.scalars(
            select(Credential.id).where(
                ~ending,
                or_(
                    Credential.state == CredentialState.REVOKING,
                    Credential.state.in_(WANTED) & (Credential.expires_at <= now),
                ),
            )
        )
    )
    if not ids:
        return 0
    standing: dict[UUID | None, PinJob] = {
        job.credential_id: job
        for job in session.scalars(
            select(PinJob)
            .where(
                among(PinJob.credential_id, ids),
                PinJob.kind == PinJobKind.REVOKE,
                PinJob.status.in_(OPEN_JOBS),
            )
            .order_by(PinJob.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    }
    found = 0
    for credential in session.scalars(
        select(Credential)
        .where(among(Credential.id, ids), Credential.state != CredentialState.REVOKED)
        .order_by(Credential.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ):
        job = standing.get(credential.id)
        if job is None or job.next_attempt_at is None:
            reason = credential.revoke_reason or "window_over"
            order_revoke(session, credential, job, RevokeReason(reason), now)
            found += 1
    return found


def _read_moving(session: Session, now: datetime) -> int:
    """Locks with something moving on them that nobody reads."""
    moving = exists().where(
        Credential.lock_id == Lock.id,
        Credential.state.in_(MOVING),
        or_(Credential.state != CredentialState.REVOKING, Credential.revoke_sent_at.is_not(None)),
    )
    read = session.execute(
        update(Lock)
        .where(Lock.next_read_at.is_(None), moving)
        .values(next_read_at=now, reads=0)
        .execution_options(synchronize_session=False)
    )
    return int(read.rowcount)  # type: ignore[attr-defined]


_WORKS: dict[str, Callable[[Session, datetime], int]] = {
    "vanished": lambda session, now: pin_plan.revoke_vanished(session),
    "unordered": _plan_owed,
    "unrevoked": _revoke_owed,
    "unread": _read_moving,
}
