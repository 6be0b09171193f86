"""What people see of a stay's PIN: one state, one window, never the digits (DECISIONS 10)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from app import clock
from app.domain import pins
from app.domain.pin_patience import stands_failed
from app.domain.states import (
    NEEDS_PIN,
    OPEN_JOBS,
    WANTED,
    CredentialState,
    PinJobKind,
    PinJobStatus,
    PinState,
    RevokeReason,
)
from app.domain.stay_windows import lacks_room, room_due
from app.models import Credential, Lock, LockMapping, PinJob, Property, Reservation
from app.models.columns import among
from app.services.pin_doors import policy_of


@dataclass(frozen=True, slots=True)
class JobView:
    """One PIN order as lists show it."""

    kind: str
    job_id: str
    run_at: datetime
    status: str
    attempts: int
    last_error: str | None
    next_attempt_at: datetime | None


@dataclass(frozen=True, slots=True)
class PinView:
    """A stay's PIN. Before there is one, the window is the planned one and `masked` is None.

    `uncertain`: a lost answer is being read back. `sleeping`: a battery lock must be touched before
    the PIN arrives. `revoke_failed`: still on the lock although it should be gone. A stay without a
    room gets one at `room_at` (DECISIONS 18), unless nobody knows which type it needs.
    """

    state: PinState
    masked: str | None = None
    valid_from: datetime | None = None
    expires_at: datetime | None = None
    send_at: datetime | None = None
    lock_id: UUID | None = None
    lock_name: str | None = None
    credential_id: UUID | None = None
    credential_state: str | None = None
    uncertain: bool = False
    sleeping: bool = False
    revoke_failed: bool = False
    error: str | None = None
    error_kind: str | None = None
    next_attempt_at: datetime | None = None
    has_room: bool = True
    room_at: datetime | None = None
    jobs: tuple[JobView, ...] = ()

    def can_reveal(self, role: str, now: datetime, check_out_at: datetime) -> bool:
        """Whether that role may see the digits now (INTERFACES §4)."""
        if self.credential_state not in WANTED:
            return False
        return role == "admin" or now < check_out_at


_STAY = (
    Reservation.id,
    Reservation.status,
    Reservation.check_in_at,
    Reservation.check_out_at,
    Reservation.created_at,
    Reservation.accommodation_id,
    Reservation.room_type_id,
    Property.pin_lead_hours,
    Property.pin_grace_hours,
    Property.pin_preload_hours,
)


@dataclass(slots=True)
class _Facts:
    stay: Any  # a row of `_STAY`
    credentials: list[Credential]
    jobs: list[PinJob]
    lock: Lock | None  # the one connected to the room now
    lock_names: dict[UUID, Lock]


def views(session: Session, reservation_ids: Collection[UUID]) -> dict[UUID, PinView]:
    """The view of each stay, in three statements however many there are."""
    ids = list(reservation_ids)
    if not ids:
        return {}
    stays = session.execute(
        select(*_STAY, Lock)
        .join(Property, Property.id == Reservation.property_id)
        .outerjoin(LockMapping, LockMapping.accommodation_id == Reservation.accommodation_id)
        .outerjoin(Lock, Lock.id == LockMapping.lock_id)
        .where(among(Reservation.id, ids))
    ).all()
    locks: dict[UUID, Lock] = {stay.Lock.id: stay.Lock for stay in stays if stay.Lock}
    credentials: dict[UUID, list[Credential]] = defaultdict(list)
    for credential, lock in session.execute(
        select(Credential, Lock)
        .join(Lock, Lock.id == Credential.lock_id)
        .options(defer(Credential.pin_encrypted), defer(Credential.pin_fingerprint))
        .where(among(Credential.reservation_id, ids))
        .order_by(Credential.created_at.desc(), Credential.id)
    ):
        locks[lock.id] = lock
        if credential.reservation_id is not None:
            credentials[credential.reservation_id].append(credential)
    jobs: dict[UUID, list[PinJob]] = defaultdict(list)
    for job in session.scalars(
        select(PinJob)
        .where(among(PinJob.reservation_id, ids))
        .order_by(PinJob.created_at.desc(), PinJob.id)
    ):
        if job.reservation_id is not None:
            jobs[job.reservation_id].append(job)
    now = clock.utcnow()
    return {
        stay.id: _view(_Facts(stay, credentials[stay.id], jobs[stay.id], stay.Lock, locks), now)
        for stay in stays
    }


def _view(facts: _Facts, now: datetime) -> PinView:
    gone = all(c.state == CredentialState.REVOKED for c in facts.credentials)
    if facts.stay.accommodation_id is None and _is_coming(facts.stay, now) and gone:
        return _without_room(facts, now)
    order = _current(facts.jobs, PinJobKind.GENERATE)
    credential = _chosen(facts)
    view = PinView(
        state=_state(facts, credential, order, now),
        lock_id=facts.lock.id if facts.lock else None,
        lock_name=facts.lock.name if facts.lock else None,
        has_room=facts.stay.accommodation_id is not None,
        jobs=tuple(_job_views(facts.jobs)),
    )
    if order is not None:
        view = replace(
            view,
            valid_from=order.valid_from,
            expires_at=order.expires_at,
            send_at=order.run_at,
            error=order.last_error,
            error_kind=order.last_error_kind,
            next_attempt_at=order.next_attempt_at,
        )
    if credential is None:
        return view
    return _with_credential(view, facts, credential, order)


def _is_coming(stay: Any, now: datetime) -> bool:
    """Whether a PIN is owed, and the stay is not over."""
    return stay.status in NEEDS_PIN and stay.check_out_at > now


def _without_room(facts: _Facts, now: datetime) -> PinView:
    """What is planned for a stay that has no door yet, or none any more."""
    stay = facts.stay
    jobs = tuple(_job_views(facts.jobs))
    if stay.room_type_id is None:
        return PinView(PinState.NO_MAPPING, has_room=False, jobs=jobs)
    policy = policy_of(stay)
    room_at = room_due(stay.check_in_at, policy)
    lacks = lacks_room(room_at, stay.created_at, now)
    opens_at = stay.check_in_at - policy.lead
    return PinView(
        state=PinState.NO_MAPPING if lacks else PinState.AWAITING,
        valid_from=opens_at,
        expires_at=stay.check_out_at + policy.grace,
        send_at=opens_at - policy.preload,
        has_room=False,
        room_at=room_at,
        jobs=jobs,
    )


def _with_credential(
    view: PinView, facts: _Facts, credential: Credential, order: PinJob | None
) -> PinView:
    lock = facts.lock_names.get(credential.lock_id)
    revoke = _current(facts.jobs, PinJobKind.REVOKE)
    leaving = credential.state == CredentialState.REVOKING
    over = credential.state == CredentialState.REVOKED
    if over and view.state in (PinState.AWAITING, PinState.NO_MAPPING, PinState.GENERATING):
        return view  # A new one is planned: the old one is history.
    asleep = (
        credential.state in (CredentialState.PENDING, CredentialState.ACCEPTED)
        and lock is not None
        and lock.radio == "wifi"
        and not lock.online
    )
    return replace(
        view,
        masked=pins.mask(credential.pin_last2),
        valid_from=credential.valid_from,
        expires_at=credential.expires_at,
        lock_id=credential.lock_id,
        lock_name=lock.name if lock else view.lock_name,
        credential_id=credential.id,
        credential_state=credential.state,
        uncertain=credential.state == CredentialState.UNCERTAIN,
        sleeping=asleep,
        revoke_failed=leaving and revoke is not None and revoke.status == PinJobStatus.FAILED,
        error=credential.last_error or (order.last_error if order else None),
        error_kind=credential.last_error_kind or (order.last_error_kind if order else None),
    )


def _chosen(facts: _Facts) -> Credential | None:
    """The credential that speaks for the stay: the wanted one on the room's lock, else any live
    one, else the newest."""
    wanted = [c for c in facts.credentials if c.state in WANTED]
    here = [c for c in wanted if facts.lock is not None and c.lock_id == facts.lock.id]
    live = [c for c in facts.credentials if c.state != CredentialState.REVOKED]
    for group in (here, wanted, live, facts.credentials):
        if group:
            return group[0]
    return None


def _state(
    facts: _Facts, credential: Credential | None, order: PinJob | None, now: datetime
) -> PinState:
    failed = order is not None and (
        order.status == PinJobStatus.FAILED
        or (
            order.status in (PinJobStatus.SCHEDULED, PinJobStatus.QUEUED)
            and stands_failed(order.attempts, now, facts.stay.check_in_at)
        )
    )
    if credential is not None and credential.state in WANTED:
        return _wanted_state(credential, now, failed=failed)
    needs = facts.stay.status in NEEDS_PIN
    open_order = order is not None and order.status in OPEN_JOBS
    if credential is not None and credential.state == CredentialState.REVOKING:
        # A replacement on its way is what the guest waits for.
        return PinState.REVOKING if not (needs and open_order) else _planned(facts, order, now)
    if facts.lock is None and (
        needs if facts.stay.accommodation_id else _is_coming(facts.stay, now)
    ):
        return PinState.NO_MAPPING
    if needs and open_order:
        return _planned(facts, order, now)
    if credential is None:
        return PinState.NOT_NEEDED
    if credential.revoke_reason == RevokeReason.WINDOW_OVER:
        return PinState.EXPIRED
    return PinState.REVOKED


def _wanted_state(credential: Credential, now: datetime, *, failed: bool) -> PinState:
    if credential.expires_at <= now:
        return PinState.REVOKING
    if failed or credential.state in (CredentialState.FAILED, CredentialState.UNKNOWN):
        return PinState.FAILED
    if credential.state in (CredentialState.REQUESTED, CredentialState.UNCERTAIN):
        return PinState.GENERATING
    if credential.state == CredentialState.INSTALLED:
        return PinState.ACTIVE
    return PinState.DELIVERING


def _planned(facts: _Facts, order: PinJob | None, now: datetime) -> PinState:
    if facts.lock is None:
        return PinState.NO_MAPPING
    if order is None:
        return PinState.NOT_NEEDED
    if order.status == PinJobStatus.FAILED:
        return PinState.NO_MAPPING if order.last_error_kind == "no_mapping" else PinState.FAILED
    if order.status == PinJobStatus.RUNNING or order.run_at <= now:
        return PinState.GENERATING
    return PinState.AWAITING


def _current(jobs: Iterable[PinJob], kind: PinJobKind) -> PinJob | None:
    """The open order of a kind, else the newest one (jobs come newest first)."""
    mine = [job for job in jobs if job.kind == kind]
    for job in mine:
        if job.status in OPEN_JOBS:
            return job
    return mine[0] if mine else None


def _job_views(jobs: list[PinJob]) -> Iterable[JobView]:
    for kind in (PinJobKind.GENERATE, PinJobKind.REVOKE):
        job = _current(jobs, kind)
        if job is not None:
            yield JobView(
                job.kind,
                job.job_id,
                job.run_at,
                job.status,
                job.attempts,
                job.last_error,
                job.next_attempt_at,
            )
