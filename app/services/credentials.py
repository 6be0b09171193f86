"""Generate, confirm, revoke and reveal the PINs that let a guest through a door."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.orm import Session

from app import clock
from app.domain.pin_patience import EARLY
from app.domain.pins import Pin
from app.domain.states import (
    NEEDS_PIN,
    OPEN_JOBS,
    WANTED,
    CredentialState,
    PinJobKind,
    PinJobStatus,
    RevokeReason,
)
from app.errors import Conflict, Forbidden, NotFound
from app.models import Accommodation, Credential, Lock, LockMapping, PinJob, Reservation
from app.models.columns import among
from app.queue import client as queue
from app.runtime import pin_vault
from app.services import (
    alert_settings,
    alerts,
    audit,
    lock_readings,
    pin_alarms,
    pin_claims,
    pin_delivery,
    pin_plan,
    pin_removal,
    pin_warnings,
    room_assignment,
    room_names,
    vendors,
)
from app.services.audit import Actor
from app.services.pin_orders import gen_id, order_revoke, rev_id
from app.transaction import transaction

#: how far ahead the sweep sets alarms that large batches left out
AHEAD = timedelta(minutes=10)
BATCH = 500


@dataclass(frozen=True, slots=True)
class Revealed:
    """A PIN on its way to one person's screen."""

    pin: Pin
    credential_id: UUID
    valid_from: datetime
    expires_at: datetime


def generate(reservation_id: UUID) -> None:
    """Do everything that is due for a stay: removals first, then the PIN (DECISIONS 6)."""
    _work(reservation_id)


def revoke(reservation_id: UUID) -> None:
    """Do everything that is due for a stay: removals first, then the PIN (DECISIONS 6)."""
    _work(reservation_id)


def _work(reservation_id: UUID) -> None:
    mine = PinJob.reservation_id == reservation_id
    while pin_removal.remove(mine) or pin_delivery.deliver(mine):
        pass


def revoke_one(credential_id: UUID) -> None:
    """Take off a PIN whose reservation no longer exists (DECISIONS 2). An order to send it, left
    from before, ends too."""
    mine = PinJob.credential_id == credential_id
    while pin_removal.remove(mine) or pin_delivery.deliver(mine):
        pass


def read_lock(lock_id: UUID) -> None:
    """Read what is on a lock, and believe it."""
    lock_readings.read(lock_id)


def reprocess(reservation_id: UUID, *, actor: Actor) -> str:
    """Take the old PIN off and put a new one on, at once, whatever pause the last error caused.

    A stay without a room is given one first. Returns the id of the generate job. NotFound; Conflict
    for a stay that is owed no PIN: it is cancelled or over, has no room or no lock, or another stay
    has its room (C-48, DECISIONS 1).
    """
    now = clock.utcnow()
    with transaction() as session:
        room_assignment.ensure_room(session, reservation_id, actor=actor)
        reservation = _locked(session, reservation_id)
        if reservation.status not in NEEDS_PIN:
            raise Conflict(f"The reservation is {reservation.status}: it gets no PIN.")
        lock = _lock_of(session, reservation)
        window = pin_plan.window_of(session, reservation)
        if window is None or window.closes_at <= now:
            raise Conflict("The stay is over: it gets no PIN.")
        if window.rival is not None:
            raise Conflict("The room is double-booked: move one of the two stays first.")
        orders = _open_orders(session, reservation_id)
        for credential in _live(session, reservation_id):
            if credential.state != CredentialState.REVOKING:
                order_revoke(
                    session,
                    credential,
                    orders.removal(credential),
                    RevokeReason.REPROCESSED,
                    now,
                )
        job = orders.generate
        if job is None:
            job = PinJob(
                reservation_id=reservation_id,
                kind=PinJobKind.GENERATE,
                job_id=gen_id(reservation_id),
                status=PinJobStatus.SCHEDULED,
            )
            session.add(job)
        job.credential_id = None
        job.attempts = 0
        job.valid_from, job.expires_at = window.opens_at, window.closes_at
        job.run_at = job.next_attempt_at = now
        job.last_error = job.last_error_kind = None
        if job.status != PinJobStatus.RUNNING:
            job.status = PinJobStatus.SCHEDULED
        reservation.processed_at = now
        alerts.resolve(session, "pin_late", f"reservation:{reservation_id}")
        audit.record(session, actor, "reprocess", "reservation", reservation_id)
        session.flush()
        vendors.lift_pause(session, lock.vendor)
        pin_alarms.arm(session, reservation_id)
    return gen_id(reservation_id)


def request_revoke(reservation_id: UUID, *, actor: Actor) -> str:
    """Take the PIN off and put no new one on. Works until the PIN is proven gone (DECISIONS 1).

    Returns the id of the revoke job. NotFound; Conflict when there is no live PIN.
    """
    now = clock.utcnow()
    with transaction() as session:
        _locked(session, reservation_id)
        orders = _open_orders(session, reservation_id)
        live = _live(session, reservation_id)
        if not live:
            raise Conflict("There is no PIN to revoke.")
        if orders.generate is not None:
            orders.generate.status = PinJobStatus.CANCELLED
            orders.generate.next_attempt_at = None
            orders.generate.finished_at = now
        for credential in live:
            order_revoke(session, credential, orders.removal(credential), RevokeReason.MANUAL, now)
        alerts.resolve(session, "pin_late", f"reservation:{reservation_id}")
        audit.record(session, actor, "revoke", "reservation", reservation_id)
        session.flush()
        for lock_id in {credential.lock_id for credential in live}:
            vendors.lift_pause(session, session.get_one(Lock, lock_id).vendor)
        pin_alarms.arm(session, reservation_id)
    return rev_id(reservation_id)


def reveal(reservation_id: UUID, *, actor: Actor) -> Revealed:
    """The PIN in clear, for one person; the audit entry is committed before it is returned.

    Staff from generation to check-out, admins any live PIN, nobody once its removal began (C-15).
    """
    now = clock.utcnow()
    with transaction() as session:
        # Shared: as long as its PIN is being shown, nobody moves the stay to another room.
        reservation = session.get(Reservation, reservation_id, with_for_update={"read": True})
        if reservation is None:
            raise NotFound("No such reservation.")
        credential = session.scalars(
            select(Credential)
            .outerjoin(LockMapping, LockMapping.accommodation_id == reservation.accommodation_id)
            .where(Credential.reservation_id == reservation_id, Credential.state.in_(WANTED))
            .order_by(
                (Credential.lock_id == LockMapping.lock_id).desc().nulls_last(),
                Credential.created_at.desc(),
            )
            .limit(1)
        ).first()
        if credential is None or credential.pin_encrypted is None:
            raise Conflict("There is no PIN to show.")
        if actor.role != "admin" and now >= reservation.check_out_at:
            raise Forbidden("After check-out only an administrator can show the PIN.")
        try:
            pin = pin_vault().open(credential.pin_encrypted)
        except ValueError:
            raise Conflict("The PIN cannot be read: its encryption key is missing.") from None
        audit.record(
            session,
            actor,
            "reveal",
            "reservation",
            reservation_id,
            after={"credential_id": str(credential.id)},
        )
        valid_from, expires_at = credential.valid_from, credential.expires_at
        credential_id = credential.id
    return Revealed(pin, credential_id, valid_from, expires_at)


def queue_due(now: datetime) -> int:
    """Put every due order and reading in line, and set the alarms of what is due soon. Orders whose
    worker died are due again when its lease lapses. Returns how many were put in line."""
    alarms: list[queue.Alarm] = []
    with transaction() as session:
        rows = session.execute(
            select(PinJob.reservation_id, PinJob.credential_id, PinJob.kind, PinJob.next_attempt_at)
            .where(
                PinJob.next_attempt_at.is_not(None),
                PinJob.next_attempt_at <= now + AHEAD,
                PinJob.reservation_id.is_not(None) | PinJob.credential_id.is_not(None),
                pin_claims.free(now),
            )
            .order_by(PinJob.next_attempt_at)
            .limit(BATCH)
        ).all()
        locks = session.execute(
            select(Lock.id, Lock.next_read_at)
            .where(
                Lock.next_read_at <= now + EARLY,
                (Lock.read_lease_until.is_(None)) | (Lock.read_lease_until < now),
            )
            .order_by(Lock.next_read_at)
            .limit(BATCH)
        ).all()
    seen: set[str] = set()
    for reservation_id, credential_id, kind, at in rows:
        if reservation_id is None:
            name, owner = "credentials.revoke_one", credential_id
        else:
            name, owner = f"credentials.{kind}", reservation_id
        if owner is None or (alarm := queue.Alarm(name, owner, at=at)).id in seen:
            continue
        seen.add(alarm.id)
        alarms.append(alarm)
    alarms.extend(queue.Alarm("credentials.read_lock", lock_id, at=at) for lock_id, at in locks)
    queue.enqueue_many(alarms)
    return len(alarms)


def watch_deadlines(now: datetime) -> int:
    """Raise an alarm for every stay that arrives soon, or is in its window, and whose PIN is not on
    the lock. Returns how many such stays there are."""
    with transaction() as session:
        late_from = alert_settings.read(session).limits.span("pin_late")
        late = session.execute(
            select(
                Reservation.id,
                room_names.called(),
                func.bool_or(PinJob.last_error_kind == "double_booked"),
            )
            .join(Accommodation, Accommodation.id == Reservation.accommodation_id)
            .join(LockMapping, LockMapping.accommodation_id == Accommodation.id)
            .outerjoin(
                Credential,
                (Credential.reservation_id == Reservation.id)
                & (Credential.lock_id == LockMapping.lock_id)
                & (Credential.state == CredentialState.INSTALLED),
            )
            .join(
                PinJob,
                (PinJob.reservation_id == Reservation.id)
                & (PinJob.kind == PinJobKind.GENERATE)
                & (PinJob.status != PinJobStatus.CANCELLED),
            )
            .where(
                Reservation.status.in_(NEEDS_PIN),
                Reservation.check_in_at <= now + late_from,
                Reservation.check_in_at > now - timedelta(days=2),
                Reservation.check_out_at > now,
                Credential.id.is_(None),
                PinJob.created_at <= now - timedelta(minutes=2),
                ~_taken_off(),
            )
            .group_by(Reservation.id, Accommodation.id)
            .order_by(Reservation.id)
            .limit(BATCH)
        ).all()
        for reservation_id, room, is_double in late:
            if is_double:  # told when it was planned, in words that help more
                pin_warnings.double_booked(session, reservation_id)
                continue
            pin_warnings.late(session, reservation_id, room)
    return len(late)


def _taken_off() -> ColumnElement[bool]:
    """Stays whose latest PIN a person took off, with none on its way: nobody waits for it."""
    newest = (
        select(Credential.revoke_reason)
        .where(Credential.reservation_id == Reservation.id)
        .order_by(Credential.created_at.desc())
        .limit(1)
        .correlate(Reservation)
        .scalar_subquery()
    )
    coming = exists().where(
        PinJob.reservation_id == Reservation.id,
        PinJob.kind == PinJobKind.GENERATE,
        PinJob.status.in_(OPEN_JOBS),
    )
    return (func.coalesce(newest, "") == RevokeReason.MANUAL) & ~coming.correlate(Reservation)


def orphans(session: Session, reservation_ids: list[UUID]) -> set[UUID]:
    """Those of the given ids whose alarms are dead: the reservation is gone, or is owed no PIN and
    nothing of it is live (C-54)."""
    alive = set(
        session.scalars(
            select(Reservation.id).where(
                among(Reservation.id, reservation_ids), Reservation.status.in_(NEEDS_PIN)
            )
        )
    )
    alive |= set(
        session.scalars(
            select(PinJob.reservation_id).where(
                among(PinJob.reservation_id, reservation_ids), PinJob.next_attempt_at.is_not(None)
            )
        )
    )
    return set(reservation_ids) - alive


def _locked(session: Session, reservation_id: UUID) -> Reservation:
    # Not plain FOR UPDATE: a worker that writes a credential of it holds its key share.
    reservation = session.get(Reservation, reservation_id, with_for_update={"key_share": True})
    if reservation is None:
        raise NotFound("No such reservation.")
    return reservation


def _lock_of(session: Session, reservation: Reservation) -> Lock:
    if reservation.accommodation_id is None:
        raise Conflict("The booking has no room yet.")
    lock = session.scalars(
        select(Lock)
        .join(LockMapping, LockMapping.lock_id == Lock.id)
        .where(LockMapping.accommodation_id == reservation.accommodation_id)
    ).first()
    if lock is None:
        raise Conflict("No lock is connected to this room.")
    return lock


def _live(session: Session, reservation_id: UUID) -> list[Credential]:
    return list(
        session.scalars(
            select(Credential)
            .where(
                Credential.reservation_id == reservation_id,
                Credential.state != CredentialState.REVOKED,
            )
            .order_by(Credential.id)
            .with_for_update()
        )
    )


@dataclass(frozen=True, slots=True)
class _Orders:
    """The open orders of one stay, locked before its credentials, as a plan does."""

    generate: PinJob | None
    removals: dict[UUID | None, PinJob]

    def removal(self, credential: Credential) -> PinJob | None:
        return self.removals.get(credential.id)


def _open_orders(session: Session, reservation_id: UUID) -> _Orders:
    jobs = session.scalars(
        select(PinJob)
        .where(PinJob.reservation_id == reservation_id, PinJob.status.in_(OPEN_JOBS))
        .order_by(PinJob.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    generate = next((job for job in jobs if job.kind == PinJobKind.GENERATE), None)
    removals = {job.credential_id: job for job in jobs if job.kind == PinJobKind.REVOKE}
    return _Orders(generate, removals)
