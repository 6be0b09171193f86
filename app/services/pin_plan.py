"""Decide which PINs should exist, and write the orders that make it so.

`plan()` looks at whole doors: it recomputes the windows of every stay in the accommodations it is
given, and changes only what differs. It runs inside the transaction that changed the reservations,
with the accommodation rows locked, so two changes to one door are planned one after the other.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import clock
from app.domain.states import (
    OPEN_JOBS,
    WANTED,
    CredentialState,
    PinJobKind,
    PinJobStatus,
    ReservationStatus,
    RevokeReason,
)
from app.domain.stay_windows import Window, plan_windows
from app.models import Credential, PinJob, Reservation
from app.models.columns import among
from app.services import alerts, pin_alarms, pin_warnings
from app.services.pin_doors import Door, StayRow, claims, lock_doors, stays_at
from app.services.pin_known import Known
from app.services.pin_orders import BLOCKED, NewJobs, order_revoke


def plan(
    session: Session,
    *,
    reservations: Collection[UUID] = (),
    accommodations: Collection[UUID] = (),
) -> None:
    """Bring orders and credentials in line with the stays of every door concerned.

    Call once per batch, inside the transaction that wrote the changes, with the ids of changed
    reservations and of the accommodations they have left. Idempotent.
    """
    if not reservations and not accommodations:
        return
    now = clock.utcnow()
    doors = lock_doors(session, reservations, accommodations)
    stays = stays_at(session, doors.keys(), reservations, now)
    homeless = [stay for stay in stays if stay.accommodation_id is None]
    for stay in stays:
        # One that moved to another door since we looked is planned by whoever moved it.
        if stay.accommodation_id in doors:
            doors[stay.accommodation_id].stays.append(stay)

    known = Known.load(session, [stay.id for stay in stays])
    work = _Work(session, now, known)
    for door in doors.values():
        windows = plan_windows(claims(door.stays), door.policy)
        for stay in door.stays:
            work.settle(stay, windows.get(stay.id), door)
    for stay in homeless:
        work.release(stay, RevokeReason.MOVED)
    work.finish()


def window_of(session: Session, reservation: Reservation) -> Window | None:
    """The planned window of one stay now; None when it is owed no PIN or has no room."""
    if reservation.accommodation_id is None:
        return None
    doors = lock_doors(session, (), [reservation.accommodation_id])
    stays = stays_at(session, doors.keys(), [reservation.id], clock.utcnow())
    door = doors[reservation.accommodation_id]
    return plan_windows(claims(stays), door.policy).get(reservation.id)


def revoke_vanished(session: Session) -> int:
    """Order the removal of live credentials whose reservation no longer exists (DECISIONS 2)."""
    now = clock.utcnow()
    lost = (
        Credential.reservation_id.is_(None),
        Credential.state != CredentialState.REVOKED,
        Credential.state != CredentialState.REVOKING,
    )
    ids = list(session.scalars(select(Credential.id).where(*lost)))
    if not ids:
        return 0
    standing = {
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
    credentials = session.scalars(
        select(Credential)
        .where(among(Credential.id, ids), *lost)
        .order_by(Credential.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    for credential in credentials:
        job = standing.get(credential.id)
        order_revoke(session, credential, job, RevokeReason.VANISHED, now)
    return len(credentials)


class _Work:
    """Settles stays one by one and writes new orders in one statement at the end."""

    def __init__(self, session: Session, now: datetime, known: Known) -> None:
        self.session = session
        self.now = now
        self.known = known
        self.new = NewJobs()
        self.alarms = pin_alarms.Alarms()
        self.calm: list[str] = []

    def settle(self, stay: StayRow, window: Window | None, door: Door) -> None:
        """Make the orders of one stay fit its window, or release it when it has none."""
        if window is None or window.closes_at <= self.now:
            over = RevokeReason.CANCELLED if window is None else RevokeReason.WINDOW_OVER
            self.release(stay, over)
            return
        if stay.status == ReservationStatus.CHECKED_OUT:
            if window.rival is not None:
                self.release(stay, RevokeReason.DOUBLE_BOOKED)
            else:
                self._end_early(stay, window, door)
            return
        if window.rival is not None:
            self._double_booked(stay, window)
            return
        current = self._keep_current(stay, door.lock_id)
        if current is not None:
            self._move_window(stay, current, window)
        elif stay.id not in self.known.stopped or stay.id in self.known.generate:
            self._await(stay, window, door)

    def release(self, stay: StayRow, reason: RevokeReason) -> None:
        """No PIN is due: what is planned is dropped, what is live goes now."""
        self._cancel(self.known.generate.get(stay.id))
        if stay.id in self.known.planned_revoke:
            self._cancel(self.known.planned_revoke[stay.id])
        for credential in self.known.live[stay.id]:
            self._revoke(credential, reason)
        self.calm.append(f"reservation:{stay.id}")

    def finish(self) -> None:
        self.new.insert(self.session, self.alarms)
        if self.calm and self.known.alarmed:
            alerts.resolve(self.session, "pin_late", *self.known.alarmed.intersection(self.calm))
        self.alarms.ring_after_commit()

    def _end_early(self, stay: StayRow, window: Window, door: Door) -> None:
        """The guest has left: what works keeps working until the window closes, nothing new comes
        (DECISIONS 17)."""
        current = self._keep_current(stay, door.lock_id)
        if current is None or _never_sent(current):
            self._cancel(self.known.generate.pop(stay.id, None))
        if current is not None:
            self._move_window(stay, current, window)
        self.calm.append(f"reservation:{stay.id}")

    def _double_booked(self, stay: StayRow, window: Window) -> None:
        """Another stay has the room: no PIN, and a person must know (DECISIONS 5)."""
        for credential in self.known.live[stay.id]:
            self._revoke(credential, RevokeReason.DOUBLE_BOOKED)
        job = self.known.generate.get(stay.id)
        if job is None:
            self.new.generate(stay.id, window, blocked="double_booked")
        else:
            _reschedule(job, window)
            job.status = PinJobStatus.FAILED
            job.next_attempt_at = None
            job.last_error, job.last_error_kind = BLOCKED["double_booked"], "double_booked"
        pin_warnings.double_booked(self.session, stay.id)

    def _keep_current(self, stay: StayRow, lock_id: UUID | None) -> Credential | None:
        """The credential on the door's present lock; all others go."""
        current = None
        for credential in self.known.live[stay.id]:
            if credential.state not in WANTED:
                continue
            if credential.lock_id == lock_id:
                current = credential
            else:
                reason = RevokeReason.MOVED if lock_id else RevokeReason.UNMAPPED
                self._revoke(credential, reason)
        return current

    def _move_window(self, stay: StayRow, credential: Credential, window: Window) -> None:
        wanted = (window.opens_at, window.closes_at)
        before = (credential.valid_from, credential.expires_at)
        job = self.known.generate.get(stay.id)
        credential.valid_from, credential.expires_at = wanted
        if job is not None:
            _reschedule(job, window)
        self._ending(stay, credential, window)
        _forgive_start(credential, before, self.now)
        owed = not _as_sent(credential)
        left = stay.status == ReservationStatus.CHECKED_OUT
        if left and (_never_sent(credential) or credential.state == CredentialState.FAILED):
            return
        if job is None:
            if owed:
                self.new.generate(stay.id, window, at=self.now, credential_id=credential.id)
            return
        stands_still = job.next_attempt_at is None and job.status != PinJobStatus.RUNNING
        if stands_still and not owed:
            self._cancel(job)
        elif owed and (stands_still or (before != wanted and not _never_sent(credential))):
            job.credential_id = credential.id
            self._due_now(job)

    def _ending(self, stay: StayRow, credential: Credential, window: Window) -> None:
        """The removal comes when the window closes."""
        revoke = self.known.revoke.get(credential.id)
        if revoke is None:
            if not _never_sent(credential):
                self.new.revoke(stay.id, window, credential_id=credential.id)
            return
        if revoke.next_attempt_at == window.closes_at:
            return
        _reschedule(revoke, window)
        revoke.run_at = revoke.next_attempt_at = window.closes_at
        self.alarms.add(revoke)

    def _await(self, stay: StayRow, window: Window, door: Door) -> None:
        """No credential yet: one order to make it, one to end it."""
        job = self.known.generate.get(stay.id)
        if job is None:
            self.new.generate(stay.id, window)
        else:
            self._rearm(job, window, door)
        revoke = self.known.planned_revoke.get(stay.id)
        if revoke is None:
            self.new.revoke(stay.id, window)
        elif (revoke.valid_from, revoke.expires_at) != (window.opens_at, window.closes_at):
            _reschedule(revoke, window)
            revoke.run_at = revoke.next_attempt_at = window.closes_at
            self.alarms.add(revoke)

    def _rearm(self, job: PinJob, window: Window, door: Door) -> None:
        stands_still = job.next_attempt_at is None and (
            job.last_error_kind != "no_mapping" or door.lock_id is not None
        )
        moved = (job.valid_from, job.expires_at) != (window.opens_at, window.closes_at)
        # A person may have asked for it earlier than planned: that stands.
        waits = job.attempts == 0 and job.run_at > self.now and job.run_at != window.send_at
        _reschedule(job, window)
        if not (moved or waits or stands_still) or job.status == PinJobStatus.RUNNING:
            return
        job.run_at = job.next_attempt_at = window.send_at
        job.status = PinJobStatus.SCHEDULED
        job.attempts = 0
        job.credential_id = None
        job.last_error = job.last_error_kind = None
        self.calm.append(f"reservation:{job.reservation_id}")
        self.alarms.add(job)

    def _due_now(self, job: PinJob) -> None:
        job.attempts = 0
        job.run_at = job.next_attempt_at = self.now
        if job.status != PinJobStatus.RUNNING:
            job.status = PinJobStatus.SCHEDULED
        self.alarms.add(job)

    def _revoke(self, credential: Credential, reason: RevokeReason) -> None:
        if credential.state == CredentialState.REVOKING:
            return
        job = self.known.revoke.get(credential.id)
        order_revoke(self.session, credential, job, reason, self.now, alarms=self.alarms)

    def _cancel(self, job: PinJob | None) -> None:
        if job is None or job.reservation_id is None:
            return
        # A worker may have it right now: it finds out when it records, by the status.
        job.status = PinJobStatus.CANCELLED
        job.next_attempt_at = None
        job.finished_at = self.now
        if job.kind == PinJobKind.GENERATE or not self.known.live.get(job.reservation_id):
            self.alarms.drop(job)


def _never_sent(credential: Credential) -> bool:
    return credential.sent_at is None and credential.vendor_ref is None


def _as_sent(credential: Credential) -> bool:
    """Whether the vendor has it with the window we want, as far as anybody knows."""
    window = (credential.valid_from, credential.expires_at)
    healthy = credential.state != CredentialState.FAILED and credential.vendor_ref is not None
    return healthy and (credential.sent_from, credential.sent_until) == window


def _forgive_start(
    credential: Credential, before: tuple[datetime, datetime], now: datetime
) -> None:
    """A PIN that works already: an earlier or later start in the past changes nothing at the lock.
    A lock that was told nothing else counts as told."""
    sent = credential.sent_from
    told = sent is not None and credential.sent_until == credential.expires_at
    if told and sent is not None and max(sent, before[0], credential.valid_from) <= now:
        credential.sent_from = credential.valid_from


def _reschedule(job: PinJob, window: Window) -> None:
    job.valid_from, job.expires_at = window.opens_at, window.closes_at
