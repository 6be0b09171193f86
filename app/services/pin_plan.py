"""Decide which PINs should exist, and write the orders that make it so.

`plan()` looks at whole doors: it recomputes the windows of every stay in the accommodations it is
given, and changes only what differs. It runs inside the transaction that changed the reservations,
with the accommodation rows locked, so two changes to one door are planned one after the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import clock
from app.domain.pin_patience import EARLY
from app.domain.states import (
    NEEDS_PIN,
    OPEN_JOBS,
    WANTED,
    CredentialState,
    PinJobKind,
    PinJobStatus,
    ReservationStatus,
    RevokeReason,
)
from app.domain.stay_windows import Policy, Stay, Window, plan_windows
from app.models import Accommodation, Credential, LockMapping, PinJob, Property, Reservation
from app.models.columns import among
from app.services import alerts, pin_alarms
from app.services.pin_orders import BLOCKED, NewJobs, order_revoke

#: a row of `_STAY`
StayRow: TypeAlias = Any
#: stays that ended longer ago than the longest grace leave nothing to plan
MEMORY = timedelta(days=8)


@dataclass(slots=True)
class _Door:
    """What is known about one accommodation while it is planned."""

    policy: Policy
    lock_id: UUID | None
    stays: list[StayRow] = field(default_factory=list)


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
    doors = _doors(session, reservations, accommodations)
    stays = _stays(session, doors.keys(), reservations, now)
    homeless = [stay for stay in stays if stay.accommodation_id is None]
    for stay in stays:
        if stay.accommodation_id is not None:
            doors[stay.accommodation_id].stays.append(stay)

    known = _Known.load(session, [stay.id for stay in stays])
    work = _Work(session, now, known)
    for door in doors.values():
        windows = plan_windows(_claims(door.stays), door.policy)
        for stay in door.stays:
            work.settle(stay, windows.get(stay.id), door)
    for stay in homeless:
        work.release(stay, RevokeReason.MOVED)
    work.finish()


def window_of(session: Session, reservation: Reservation) -> Window | None:
    """The planned window of one stay now; None when it is owed no PIN or has no room."""
    if reservation.accommodation_id is None:
        return None
    doors = _doors(session, (), [reservation.accommodation_id])
    stays = _stays(session, doors.keys(), [reservation.id], clock.utcnow())
    door = doors[reservation.accommodation_id]
    return plan_windows(_claims(stays), door.policy).get(reservation.id)


def revoke_vanished(session: Session) -> int:
    """Order the removal of live credentials whose reservation no longer exists (DECISIONS 2)."""
    now = clock.utcnow()
    lost = session.scalars(
        select(Credential)
        .where(
            Credential.reservation_id.is_(None),
            Credential.state != CredentialState.REVOKED,
            Credential.state != CredentialState.REVOKING,
        )
        .order_by(Credential.id)
        .with_for_update(skip_locked=True)
    ).all()
    standing = {
        job.credential_id: job
        for job in session.scalars(
            select(PinJob)
            .where(
                among(PinJob.credential_id, [credential.id for credential in lost]),
                PinJob.kind == PinJobKind.REVOKE,
                PinJob.status.in_(OPEN_JOBS),
            )
            .order_by(PinJob.id)
            .with_for_update()
        )
    }
    for credential in lost:
        job = standing.get(credential.id)
        order_revoke(session, credential, job, RevokeReason.VANISHED, now)
    return len(lost)


def _doors(
    session: Session, reservations: Collection[UUID], accommodations: Collection[UUID]
) -> dict[UUID, _Door]:
    """Lock the accommodations concerned, always in the same order."""
    wanted = set(accommodations)
    if reservations:
        wanted.update(
            session.scalars(
                select(Reservation.accommodation_id)
                .where(
                    among(Reservation.id, reservations),
                    Reservation.accommodation_id.is_not(None),
                )
                .distinct()
            )
        )
    if not wanted:
        return {}
    session.execute(
        select(Accommodation.id)
        .where(among(Accommodation.id, wanted))
        .order_by(Accommodation.id)
        # Not plain FOR UPDATE: two writers of stays in one room hold its key share already.
        .with_for_update(key_share=True)
    ).all()
    rows = session.execute(
        select(
            Accommodation.id,
            LockMapping.lock_id,
            Property.pin_lead_hours,
            Property.pin_grace_hours,
            Property.pin_preload_hours,
        )
        .join(Property, Property.id == Accommodation.property_id)
        .outerjoin(LockMapping, LockMapping.accommodation_id == Accommodation.id)
        .where(among(Accommodation.id, wanted))
    )
    return {
        row.id: _Door(
            Policy(
                timedelta(hours=row.pin_lead_hours),
                timedelta(hours=row.pin_grace_hours),
                timedelta(hours=row.pin_preload_hours),
            ),
            row.lock_id,
        )
        for row in rows
    }


_STAY = (
    Reservation.id,
    Reservation.accommodation_id,
    Reservation.status,
    Reservation.check_in_at,
    Reservation.check_out_at,
    Reservation.checked_out_at,
    Reservation.booked_at,
    Reservation.created_at,
)


def _stays(
    session: Session, doors: Iterable[UUID], reservations: Collection[UUID], now: datetime
) -> list[StayRow]:
    found = {
        row.id: row
        for row in session.execute(
            select(*_STAY).where(
                among(Reservation.accommodation_id, doors),
                Reservation.check_out_at > now - MEMORY,
            )
        )
    }
    missing = [r for r in reservations if r not in found]
    if missing:
        for row in session.execute(select(*_STAY).where(among(Reservation.id, missing))):
            found[row.id] = row
    return list(found.values())


def _claims(stays: Iterable[StayRow]) -> list[Stay]:
    """The stays that have, or had until lately, a right to the door."""
    claims = []
    for stay in stays:
        leaves = stay.check_out_at
        if stay.status == ReservationStatus.CHECKED_OUT:
            leaves = min(leaves, stay.checked_out_at or leaves)
            if leaves <= stay.check_in_at:
                continue
        elif stay.status not in NEEDS_PIN:
            continue
        here = 0 if stay.status == ReservationStatus.CHECKED_IN else 1
        rank = (here, stay.booked_at or stay.created_at, str(stay.id))
        claims.append(Stay(stay.id, stay.check_in_at, leaves, rank))
    return claims


@dataclass(slots=True)
class _Known:
    """Open orders and live credentials of the stays at hand."""

    generate: dict[UUID, PinJob]
    planned_revoke: dict[UUID, PinJob]
    revoke: dict[UUID, PinJob]  # by credential
    live: dict[UUID, list[Credential]]
    stopped: set[UUID]  # a person took the PIN off: only a reprocess brings one back
    alarmed: set[str]  # subjects of open "PIN late" alerts

    @classmethod
    def load(cls, session: Session, ids: list[UUID]) -> _Known:
        known = cls({}, {}, {}, defaultdict(list), set(), alerts.subjects(session, "pin_late"))
        # Orders before credentials, each by id: the order in which workers lock them too.
        for job in session.scalars(
            select(PinJob)
            .where(among(PinJob.reservation_id, ids), PinJob.status.in_(OPEN_JOBS))
            .order_by(PinJob.id)
            .with_for_update()
        ):
            if job.reservation_id is None:
                continue
            if job.kind == PinJobKind.GENERATE:
                known.generate[job.reservation_id] = job
            elif job.credential_id is None:
                known.planned_revoke[job.reservation_id] = job
            else:
                known.revoke[job.credential_id] = job
        newest: dict[UUID, Credential] = {}
        for credential in session.scalars(
            select(Credential)
            .where(among(Credential.reservation_id, ids))
            .order_by(Credential.id)
            .with_for_update()
        ):
            owner = credential.reservation_id
            if owner is None:
                continue
            if credential.state != CredentialState.REVOKED:
                known.live[owner].append(credential)
            last = newest.get(owner)
            if last is None or credential.created_at > last.created_at:
                newest[owner] = credential
        known.stopped = {
            owner for owner, last in newest.items() if last.revoke_reason == RevokeReason.MANUAL
        }
        return known


class _Work:
    """Settles stays one by one and writes new orders in one statement at the end."""

    def __init__(self, session: Session, now: datetime, known: _Known) -> None:
        self.session = session
        self.now = now
        self.known = known
        self.new = NewJobs()
        self.alarms = pin_alarms.Alarms()
        self.calm: list[str] = []

    def settle(self, stay: StayRow, window: Window | None, door: _Door) -> None:
        """Make the orders of one stay fit its window, or release it when it has none."""
        if window is None or window.closes_at <= self.now:
            over = RevokeReason.CANCELLED if window is None else RevokeReason.WINDOW_OVER
            self.release(stay, over)
            return
        if stay.status == ReservationStatus.CHECKED_OUT:
            self._end_early(stay, window)
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

    def _end_early(self, stay: StayRow, window: Window) -> None:
        """The guest has left: what works keeps working until the window closes, nothing new comes
        (DECISIONS 17)."""
        self._cancel(self.known.generate.get(stay.id))
        for credential in self.known.live[stay.id]:
            if credential.state in WANTED:
                self._move_window(stay, credential, window)

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
        alerts.raise_alert(
            self.session,
            "pin_late",
            f"reservation:{stay.id}",
            "critical",
            "Room double-booked: the later booking gets no PIN",
            "Move one of the two stays to a free room in the channel it came from.",
        )

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
        if (credential.valid_from, credential.expires_at) == (window.opens_at, window.closes_at):
            return
        both_open = credential.valid_from <= self.now and window.opens_at <= self.now
        same_end = credential.expires_at == window.closes_at
        credential.valid_from, credential.expires_at = window.opens_at, window.closes_at
        revoke = self.known.revoke.get(credential.id)
        if revoke is not None and revoke.next_attempt_at is not None:
            _reschedule(revoke, window)
            revoke.run_at = revoke.next_attempt_at = window.closes_at
            self.alarms.add(revoke)
        job = self.known.generate.get(stay.id)
        if job is not None:
            _reschedule(job, window)
        if credential.sent_at is None and credential.vendor_ref is None:
            return  # The order that will send it reads the window then.
        if both_open and same_end:
            return  # It works already; an earlier or later past start changes nothing.
        if job is None:
            self.new.generate(stay.id, window, at=self.now, credential_id=credential.id)
        else:
            job.credential_id = credential.id
            self._due_now(job)

    def _await(self, stay: StayRow, window: Window, door: _Door) -> None:
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

    def _rearm(self, job: PinJob, window: Window, door: _Door) -> None:
        unblocked = job.last_error_kind == "double_booked" or (
            job.last_error_kind == "no_mapping" and door.lock_id is not None
        )
        moved = job.run_at != window.send_at
        _reschedule(job, window)
        if not (moved or unblocked) or job.status == PinJobStatus.RUNNING:
            return
        job.run_at = job.next_attempt_at = window.send_at
        job.status = PinJobStatus.SCHEDULED
        job.attempts = 0
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


def _reschedule(job: PinJob, window: Window) -> None:
    job.valid_from, job.expires_at = window.opens_at, window.closes_at


def is_due(job: PinJob, now: datetime) -> bool:
    """Whether the order may act at `now`."""
    return job.next_attempt_at is not None and job.next_attempt_at <= now + EARLY
