"""Why is there (no) PIN on the door: one cause, and the chain from the booking to the lock.

Pure: facts in, codes out. The sentences live with the pages, so that they can be translated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from app.domain.pin_causes import ERRORS, HELPS, Cause, Help, LinkKey, LinkState, Verdict
from app.domain.pin_patience import FAILED_FROM_TRY
from app.domain.states import (
    NEEDS_PIN,
    WANTED,
    CredentialState,
    PinJobStatus,
    ReservationStatus,
    RevokeReason,
)
from app.domain.stay_windows import lacks_room

#: an order that is due and untouched for this long is not being worked on
QUEUE_PATIENCE = timedelta(seconds=45)
#: a removal not proven after this long is overdue
REVOKE_PATIENCE = timedelta(minutes=15)
#: errors of the whole lock account; the others are about one lock or one order
ACCOUNT_WIDE = frozenset(
    {
        "unreachable",
        "unauthorized",
        "not_configured",
        "quota",
        "unreadable",
        "clock_skew",
        "rate_limited",
    }
)


@dataclass(frozen=True, slots=True)
class LockFacts:
    name: str
    radio: str
    online: bool | None
    silent_since: datetime | None
    pin_length: int


@dataclass(frozen=True, slots=True)
class CredentialFacts:
    state: str
    created_at: datetime
    accepted_at: datetime | None
    installed_at: datetime | None
    sent_window_differs: bool
    expires_at: datetime
    error_kind: str | None = None
    detail: str | None = None
    revoke_reason: str | None = None
    revoke_requested_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OrderFacts:
    status: str
    run_at: datetime
    attempts: int
    next_attempt_at: datetime | None
    error_kind: str | None = None
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class VendorFacts:
    """What real traffic taught us; `failing_since` None means the last call worked."""

    failing_since: datetime | None = None
    error_kind: str | None = None
    paused_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the diagnosis looks at; `order` is the open or newest generate order, `room_at`
    when a stay without a room gets one of its type."""

    status: str
    unknown_status: str | None
    received_at: datetime
    check_in_at: datetime
    check_out_at: datetime
    room: str | None = None
    room_active: bool = True
    room_at: datetime | None = None
    lock: LockFacts | None = None
    credential: CredentialFacts | None = None
    order: OrderFacts | None = None
    removal: OrderFacts | None = None
    vendor: VendorFacts = VendorFacts()
    workers_alive: bool = True
    other_locks: int = 0
    other_locks_silent: int = 0


@dataclass(frozen=True, slots=True)
class Link:
    key: LinkKey
    state: LinkState
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """`next_at` is when something happens by itself; `since` when the present state began."""

    verdict: Verdict
    cause: Cause
    chain: tuple[Link, ...]
    help: Help
    since: datetime | None = None
    next_at: datetime | None = None

    @property
    def broken(self) -> Link | None:
        """The first broken link, if any."""
        return next((link for link in self.chain if link.state == LinkState.BROKEN), None)


def diagnose(facts: Facts, now: datetime) -> Diagnosis:
    """Name the one cause of the present state, and mark the first link that does not hold."""
    credential = facts.credential
    if credential is not None and credential.state == CredentialState.REVOKING:
        replacing = facts.status in NEEDS_PIN and _open(facts.order)
        if not replacing:
            return _removal(facts, credential, now)
    if facts.status not in NEEDS_PIN:
        if credential is not None and credential.state in WANTED:
            return _wanted(facts, credential, now)  # checked out, and the window still runs
        return _no_need(facts)
    if credential is not None and credential.state in WANTED:
        return _wanted(facts, credential, now)
    return _planned(facts, now)


def _open(order: OrderFacts | None) -> bool:
    return order is not None and order.status not in (PinJobStatus.DONE, PinJobStatus.CANCELLED)


def _result(
    facts: Facts,
    verdict: Verdict,
    cause: Cause,
    stop: LinkKey | None,
    *,
    since: datetime | None = None,
    next_at: datetime | None = None,
) -> Diagnosis:
    """The diagnosis with its chain: everything before `stop` holds, `stop` is broken or waiting."""
    mark = LinkState.BROKEN if verdict == Verdict.NO else LinkState.WAITING
    chain = []
    reached = True
    for key in (LinkKey.BOOKING, LinkKey.LOCK, LinkKey.CREATED, LinkKey.SENT, LinkKey.CONFIRMED):
        if key == stop:
            chain.append(Link(key, mark, since))
            reached = False
        else:
            state = LinkState.OK if reached else LinkState.NOT_REACHED
            chain.append(Link(key, state, _when(facts, key) if reached else None))
    return Diagnosis(
        verdict, cause, tuple(chain), HELPS.get(cause, Help.NONE), since=since, next_at=next_at
    )


def _when(facts: Facts, key: LinkKey) -> datetime | None:
    credential = facts.credential
    if key == LinkKey.BOOKING:
        return facts.received_at
    if credential is None:
        return None
    return {
        LinkKey.CREATED: credential.created_at,
        LinkKey.SENT: credential.accepted_at,
        LinkKey.CONFIRMED: credential.installed_at,
    }.get(key)


def _no_need(facts: Facts) -> Diagnosis:
    if facts.unknown_status is not None and facts.status == ReservationStatus.PENDING:
        return _result(facts, Verdict.NO, Cause.UNKNOWN_STATUS, LinkKey.BOOKING)
    cause = {
        ReservationStatus.PENDING: Cause.PENDING_BOOKING,
        ReservationStatus.FAILED: Cause.BOOKING_FAILED,
        ReservationStatus.CANCELLED: Cause.CANCELLED,
        ReservationStatus.NO_SHOW: Cause.NO_SHOW,
    }.get(ReservationStatus(facts.status), Cause.STAY_OVER)
    credential = facts.credential
    result = _result(facts, Verdict.NOT_NEEDED, cause, LinkKey.BOOKING)
    if credential is None:
        return result
    result = replace(result, chain=_lived(facts), since=credential.revoked_at)
    return _with_end(result, facts)


def _lived(facts: Facts) -> tuple[Link, ...]:
    """How far a PIN came that is history now."""
    return tuple(
        Link(key, LinkState.OK if _when(facts, key) else LinkState.NOT_REACHED, _when(facts, key))
        for key in (LinkKey.BOOKING, LinkKey.CREATED, LinkKey.SENT, LinkKey.CONFIRMED)
    )


def _with_end(result: Diagnosis, facts: Facts) -> Diagnosis:
    """Add the link that says the PIN has left the lock."""
    credential = facts.credential
    if credential is None or credential.state != CredentialState.REVOKED:
        return result
    gone = Link(LinkKey.REMOVED, LinkState.OK, credential.revoked_at)
    return replace(result, chain=(*result.chain, gone))


def _removal(facts: Facts, credential: CredentialFacts, now: datetime) -> Diagnosis:
    asked = credential.revoke_requested_at
    overdue = asked is not None and asked + REVOKE_PATIENCE <= now
    failed = facts.removal is not None and facts.removal.status == PinJobStatus.FAILED
    stuck = overdue or failed
    last = Link(LinkKey.REMOVED, LinkState.BROKEN if stuck else LinkState.WAITING, asked)
    cause = Cause.REVOKE_OVERDUE if stuck else Cause.REMOVING
    return Diagnosis(
        Verdict.NO if stuck else Verdict.NOT_NEEDED,
        cause,
        (*_lived(facts), last),
        HELPS[cause],
        since=asked,
        next_at=facts.removal.next_attempt_at if facts.removal else None,
    )


def _wanted(facts: Facts, credential: CredentialFacts, now: datetime) -> Diagnosis:
    order = facts.order if _open(facts.order) else None
    next_at = order.next_attempt_at if order else None
    if credential.expires_at <= now:
        result = _result(facts, Verdict.NOT_NEEDED, Cause.REMOVING, None, next_at=next_at)
        return replace(
            result, chain=(*result.chain, Link(LinkKey.REMOVED, LinkState.WAITING, None))
        )
    if credential.state == CredentialState.INSTALLED:
        return _installed(facts, credential, order, now)
    if facts.lock is None:
        return _result(facts, Verdict.NO, Cause.NO_LOCK, LinkKey.LOCK)
    if credential.state in (CredentialState.ACCEPTED, CredentialState.PENDING):
        return _on_its_way(facts, credential)
    if credential.state == CredentialState.UNKNOWN:
        return _result(facts, Verdict.NO, Cause.UNKNOWN_STATE, LinkKey.CONFIRMED)
    kind = credential.error_kind or (order.error_kind if order else None)
    if kind in ("delivery_failed", "vanished", "removed_elsewhere"):
        return _result(facts, Verdict.NO, ERRORS[kind], LinkKey.CONFIRMED, next_at=next_at)
    return _sending(facts, order, kind, now)


def _installed(
    facts: Facts, credential: CredentialFacts, order: OrderFacts | None, now: datetime
) -> Diagnosis:
    since = credential.installed_at
    if not credential.sent_window_differs:
        return _result(facts, Verdict.YES, Cause.ON_LOCK, None, since=since)
    next_at = order.next_attempt_at if order else None
    if credential.error_kind == "key_missing":
        return _sending(facts, order, credential.error_kind, now)
    if order is not None and order.attempts >= FAILED_FROM_TRY:
        return _result(
            facts, Verdict.NO, Cause.CHANGE_FAILED, LinkKey.SENT, since=since, next_at=next_at
        )
    return _result(
        facts, Verdict.YES, Cause.CHANGE_PENDING, None, since=since, next_at=next_at or now
    )


def _on_its_way(facts: Facts, credential: CredentialFacts) -> Diagnosis:
    lock, failing = facts.lock, facts.vendor.failing_since
    if failing is not None and facts.vendor.error_kind in ACCOUNT_WIDE:
        # It may well be there: only the account that would tell us does not answer.
        return _result(facts, Verdict.NOT_YET, Cause.UNSEEN, LinkKey.CONFIRMED, since=failing)
    asleep = lock is not None and lock.radio == "wifi" and not lock.online
    cause = Cause.SLEEPING if asleep else Cause.DELIVERING
    return _result(facts, Verdict.NOT_YET, cause, LinkKey.CONFIRMED, since=credential.accepted_at)


def _planned(facts: Facts, now: datetime) -> Diagnosis:
    """No PIN yet, or the old one is gone and another is planned."""
    order = facts.order
    if facts.unknown_status is not None and order is None:
        return _result(facts, Verdict.NO, Cause.UNKNOWN_STATUS, LinkKey.BOOKING)
    if facts.room is None:
        return _without_room(facts, now)
    if facts.lock is None:
        cause = Cause.NO_LOCK if facts.room_active else Cause.ROOM_INACTIVE
        return _result(facts, Verdict.NO, cause, LinkKey.LOCK)
    if order is not None and order.error_kind == "double_booked":
        return _result(facts, Verdict.NO, Cause.DOUBLE_BOOKED, LinkKey.CREATED)
    if not _open(order) or order is None:
        return _nothing_planned(facts, now)
    return _sending(facts, order, order.error_kind, now)


def _without_room(facts: Facts, now: datetime) -> Diagnosis:
    """A stay that was sold as a kind of room gets one when its PIN is due (DECISIONS 18)."""
    if facts.check_out_at <= now:
        return _with_end(_result(facts, Verdict.NOT_NEEDED, Cause.STAY_OVER, LinkKey.LOCK), facts)
    due = facts.room_at
    if due is None:
        return _result(facts, Verdict.NO, Cause.NO_ROOM, LinkKey.LOCK)
    if not lacks_room(due, facts.received_at, now):
        return _result(facts, Verdict.NOT_YET, Cause.ROOM_LATER, LinkKey.LOCK, next_at=due)
    if not facts.workers_alive:
        return _result(facts, Verdict.NO, Cause.WORKER_GONE, LinkKey.LOCK, since=due)
    return _result(facts, Verdict.NO, Cause.NO_FREE_ROOM, LinkKey.LOCK)


def _nothing_planned(facts: Facts, now: datetime) -> Diagnosis:
    credential = facts.credential
    if credential is not None and credential.revoke_reason == RevokeReason.MANUAL:
        asked = credential.revoke_requested_at
        return Diagnosis(
            Verdict.NO,
            Cause.REVOKED_BY_PERSON,
            (*_lived(facts), Link(LinkKey.REMOVED, LinkState.BROKEN, asked)),
            Help.REPROCESS,
            since=asked,
        )
    over = credential is not None and credential.state == CredentialState.REVOKED
    if over or facts.check_out_at <= now:
        return _with_end(_result(facts, Verdict.NOT_NEEDED, Cause.STAY_OVER, None), facts)
    return _result(facts, Verdict.NOT_YET, Cause.IN_LINE, LinkKey.CREATED)


def _sending(facts: Facts, order: OrderFacts | None, kind: str | None, now: datetime) -> Diagnosis:
    """The order is waiting, being tried, or failing."""
    next_at = order.next_attempt_at if order else None
    made = facts.credential is not None and facts.credential.state in WANTED
    stop = LinkKey.SENT if made else LinkKey.CREATED
    paused = facts.vendor.paused_until
    if paused is not None and paused > now and (order is None or order.run_at <= now):
        return _result(facts, Verdict.NO, Cause.QUOTA, stop, next_at=paused)
    waiting_since = _waiting_since(order) if order else now
    idle = (
        order is not None
        and order.status != PinJobStatus.RUNNING
        and waiting_since + QUEUE_PATIENCE <= now
    )
    if idle and not facts.workers_alive:
        return _result(facts, Verdict.NO, Cause.WORKER_GONE, stop, since=waiting_since)
    if kind is not None:
        return _failing(facts, kind, next_at)
    if order is None:
        return _result(facts, Verdict.NOT_YET, Cause.IN_LINE, stop)
    if order.run_at > now:
        return _result(facts, Verdict.NOT_YET, Cause.NOT_DUE, LinkKey.CREATED, next_at=order.run_at)
    if idle:
        return _result(facts, Verdict.NO, Cause.QUEUE_BEHIND, stop, since=waiting_since)
    return _result(facts, Verdict.NOT_YET, Cause.IN_LINE, stop, next_at=next_at)


def _waiting_since(order: OrderFacts) -> datetime:
    """A late booking is due before it is made: nobody could have sent it then."""
    due = order.next_attempt_at or order.run_at
    return due if order.changed_at is None else max(due, order.changed_at)


def _failing(facts: Facts, kind: str, next_at: datetime | None) -> Diagnosis:
    cause = ERRORS.get(kind, Cause.VENDOR_UNREADABLE)
    if cause == Cause.UNCERTAIN:
        return _result(facts, Verdict.NOT_YET, cause, LinkKey.SENT, next_at=next_at)
    if (
        cause == Cause.LOCK_OFFLINE
        and facts.other_locks
        and (facts.other_locks_silent * 2 >= facts.other_locks)
    ):
        cause = Cause.NEIGHBOURS_OFFLINE
    stop = LinkKey.CREATED if cause == Cause.KEY_MISSING else LinkKey.SENT
    since = facts.vendor.failing_since if cause == Cause.VENDOR_UNREACHABLE else None
    if (
        since is None
        and facts.lock is not None
        and cause
        in (
            Cause.LOCK_OFFLINE,
            Cause.NEIGHBOURS_OFFLINE,
        )
    ):
        since = facts.lock.silent_since
    return _result(facts, Verdict.NO, cause, stop, since=since, next_at=next_at)
