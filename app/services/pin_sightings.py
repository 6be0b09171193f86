"""What a lock's list says about each of our PINs, and what follows from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from app.domain.pin_patience import next_try
from app.domain.states import OPEN_JOBS, CredentialState, PinJobKind, PinJobStatus
from app.integrations.locks import LockPin, LockPinState
from app.models import Credential, PinJob
from app.models.columns import among
from app.queue import client as queue
from app.services import alerts, audit, figures, pin_warnings
from app.services.pin_orders import end, finish, order_generate, reopen

log = structlog.get_logger(__name__)

#: a list that does not show a PIN this soon after it was accepted proves nothing
SETTLING = timedelta(seconds=8)
#: a delete whose PIN is still there after this long is sent again
DELETE_AGAIN = timedelta(minutes=2)
#: an installed PIN is looked at once more: codes have vanished after looking fine (tuya.md §5.3)
SECOND_LOOK = timedelta(minutes=1)

_AT_REST = (LockPinState.GONE, LockPinState.DELETING)


@dataclass(slots=True)
class Sightings:
    """One list of one lock, as it was asked for at `asked_at`, and our rows it is about."""

    session: Session
    now: datetime
    asked_at: datetime
    listed: dict[str, LockPin]
    names: dict[str, list[LockPin]]
    live: list[Credential] = field(default_factory=list)
    over: list[Credential] = field(default_factory=list)
    orders: list[PinJob] = field(default_factory=list)
    #: records of PINs that are gone, to be cleared away
    purge: list[str] = field(default_factory=list)
    #: PINs of ours that no row stands for, to be deleted
    strays: list[str] = field(default_factory=list)
    #: whether the lock itself did something that was asked of it
    lock_acted: bool = False

    @classmethod
    def load(
        cls,
        session: Session,
        lock_id: UUID,
        listed: Sequence[LockPin],
        now: datetime,
        asked_at: datetime,
    ) -> Sightings:
        """Lock what the list is about: orders before credentials, each by id."""
        names: defaultdict[str, list[LockPin]] = defaultdict(list)
        for pin in listed:
            names[pin.name].append(pin)
        found = cls(session, now, asked_at, {pin.ref: pin for pin in listed}, dict(names))
        concerned = session.execute(
            select(Credential.id, Credential.reservation_id).where(
                Credential.lock_id == lock_id,
                or_(
                    live(),
                    among(Credential.vendor_ref, found.listed),
                    among(Credential.vendor_name, found.names),
                ),
            )
        ).all()
        ids = [row.id for row in concerned]
        stays = [row.reservation_id for row in concerned if row.reservation_id is not None]
        found.orders = list(
            session.scalars(
                select(PinJob)
                .where(
                    PinJob.status.in_(OPEN_JOBS),
                    or_(among(PinJob.credential_id, ids), among(PinJob.reservation_id, stays)),
                )
                .order_by(PinJob.id)
                .with_for_update()
            )
        )
        for credential in session.scalars(
            select(Credential)
            .where(among(Credential.id, ids))
            .order_by(Credential.id)
            .with_for_update()
        ):
            ended = credential.state == CredentialState.REVOKED
            (found.over if ended else found.live).append(credential)
        return found

    def settle(self) -> None:
        """Bring every row in line with the list."""
        for credential in self.live:
            if credential.state == CredentialState.REVOKING:
                self._settle_removal(credential)
            else:
                self._settle_delivery(credential)
        for credential in self.over:
            self._settle_ended(credential)

    def _of(self, credential: Credential) -> list[LockPin]:
        """What is listed under its reference or its name."""
        mine = {pin.ref: pin for pin in self.names.get(credential.vendor_name, ())}
        if credential.vendor_ref in self.listed:
            mine[credential.vendor_ref] = self.listed[credential.vendor_ref]
        return list(mine.values())

    def _settle_ended(self, credential: Credential) -> None:
        """One that was proven gone, or never seen. A vendor may carry out late what it was asked:
        then it must go after all."""
        if credential.revoked_at is not None and credential.revoked_at >= self.asked_at:
            return
        mine = self._of(credential)
        there = [pin for pin in mine if pin.state != LockPinState.GONE]
        if there:
            credential.vendor_ref = there[0].ref
            reopen(self.session, credential, self.now)
            self.live.append(credential)
            log.warning("pin_came_back", credential_id=str(credential.id))
        elif credential.purged_at is None:
            self.purge += [pin.ref for pin in mine]

    def _settle_removal(self, credential: Credential) -> None:
        """Ended once nothing of it is on the lock."""
        mine = self._of(credential)
        there = [pin for pin in mine if pin.state != LockPinState.GONE]
        if not there:
            if credential.vendor_ref is None:
                return  # Never seen: its order looks for it by name, twice, before it ends.
            if not mine and self._too_fresh(credential):
                return
            end(credential, self.now)
            self.lock_acted = True
            figures.pin_gone(credential, self.now)
            job = self._removal(credential)
            if job is not None:
                finish(job, PinJobStatus.DONE, self.now)
            alerts.resolve(self.session, "revoke_overdue", f"credential:{credential.id}")
            log.info("pin_gone", credential_id=str(credential.id), reason=credential.revoke_reason)
            self.purge += [pin.ref for pin in mine]
            return
        pin = next((each for each in there if each.ref == credential.vendor_ref), there[0])
        credential.vendor_detail = pin.detail
        credential.vendor_ref = pin.ref
        sent = credential.revoke_sent_at
        late = sent is not None and sent + DELETE_AGAIN <= self.now
        if late and pin.state != LockPinState.DELETING:
            job = self._removal(credential)
            if job is not None and job.status != PinJobStatus.RUNNING:
                job.next_attempt_at = self.now

    def _settle_delivery(self, credential: Credential) -> None:
        if credential.vendor_ref is None:
            return  # Uncertain: its order adopts it, and looks at the window too.
        if credential.accepted_at is not None and credential.accepted_at >= self.asked_at:
            return  # The list is older than what the vendor was told.
        mine = self._of(credential)
        pin = self.listed.get(credential.vendor_ref) or next(
            (each for each in mine if each.state not in _AT_REST), None
        )
        if pin is None:
            if credential.expires_at > self.now and not self._too_fresh(credential):
                self._again(credential, "vanished", "the lock's list no longer shows it")
            return
        credential.vendor_detail = pin.detail
        credential.vendor_ref = pin.ref
        self.strays += [
            each.ref for each in mine if each.ref != pin.ref and each.state not in _AT_REST
        ]
        if pin.state == LockPinState.INSTALLED:
            self._installed(credential)
        elif pin.state == LockPinState.PENDING:
            credential.state = CredentialState.PENDING
        elif pin.state in (LockPinState.FAILED, *_AT_REST):
            if credential.expires_at > self.now:  # else its removal is due anyway
                failed = pin.state == LockPinState.FAILED
                kind = "delivery_failed" if failed else "removed_elsewhere"
                self._again(credential, kind, pin.detail)
        else:
            credential.state = CredentialState.UNKNOWN
            credential.last_error, credential.last_error_kind = pin.detail, "unknown_state"
            pin_warnings.not_on_lock(self.session, credential.reservation_id)

    def _too_fresh(self, credential: Credential) -> bool:
        """Whether the list may not show it yet."""
        accepted = credential.accepted_at
        return accepted is not None and accepted + SETTLING > self.asked_at

    def _installed(self, credential: Credential) -> None:
        if credential.state != CredentialState.INSTALLED:
            credential.state = CredentialState.INSTALLED
            credential.installed_at = self.now
            credential.first_installed_at = credential.first_installed_at or self.now
            self.lock_acted = True
            audit.record(
                self.session,
                audit.SYSTEM,
                "install",
                "credential",
                credential.id,
                after={"lock_id": str(credential.lock_id)},
            )
            figures.pin_installed(credential, self.now)
            log.info("pin_installed", credential_id=str(credential.id))
        elif credential.installed_at is None or credential.installed_at + SECOND_LOOK <= self.now:
            credential.attempts = 0  # it has held: a later failure begins with short waits again
        credential.last_error = credential.last_error_kind = None
        in_time = (credential.sent_from, credential.sent_until) == (
            credential.valid_from,
            credential.expires_at,
        )
        if credential.reservation_id is not None and in_time:
            alerts.resolve(self.session, "pin_late", f"reservation:{credential.reservation_id}")

    def _again(self, credential: Credential, kind: str, detail: str) -> None:
        """The PIN is not on the lock and should be: have it sent anew. A lock that keeps refusing
        is not asked more often than an order that keeps failing."""
        job = self._generate(credential)
        waiting = job is not None and job.next_attempt_at is not None
        if credential.state == CredentialState.FAILED and waiting:
            return
        credential.state = CredentialState.FAILED
        credential.last_error, credential.last_error_kind = detail, kind
        credential.installed_at = None
        at = next_try(max(credential.attempts, 1), self.now)
        job = order_generate(self.session, credential, job, at)
        if job is None or job.status == PinJobStatus.RUNNING:
            return
        job.status = PinJobStatus.FAILED
        job.last_error, job.last_error_kind = detail, kind
        pin_warnings.not_on_lock(self.session, credential.reservation_id)
        if credential.reservation_id is not None:
            queue.enqueue("credentials.generate", credential.reservation_id, at=at)

    def _removal(self, credential: Credential) -> PinJob | None:
        return next(
            (
                job
                for job in self.orders
                if job.kind == PinJobKind.REVOKE and job.credential_id == credential.id
            ),
            None,
        )

    def _generate(self, credential: Credential) -> PinJob | None:
        """The open order to generate of its stay."""
        return next(
            (
                job
                for job in self.orders
                if job.kind == PinJobKind.GENERATE
                and job.reservation_id is not None
                and job.reservation_id == credential.reservation_id
            ),
            None,
        )


def live() -> ColumnElement[bool]:
    """Credentials that a vendor has, or may have."""
    return (Credential.state != CredentialState.REVOKED) & or_(
        Credential.vendor_ref.is_not(None), Credential.sent_at.is_not(None)
    )
