"""One cause for every state of a PIN, and a chain that stops where the cause lies."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.diagnosis import (
    CredentialFacts,
    Facts,
    LockFacts,
    OrderFacts,
    VendorFacts,
    diagnose,
)
from app.domain.pin_causes import Cause, Help, LinkKey, LinkState, Verdict
from app.domain.states import (
    CredentialState,
    PinJobStatus,
    ReservationStatus,
    RevokeReason,
)

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
LOCK = LockFacts("203", "zigbee", True, None, 6)
SLEEPER = LockFacts("203", "wifi", False, None, 7)


def facts(**fields: Any) -> Facts:
    """A confirmed stay in a room with a lock, arriving in three hours."""
    defaults: dict[str, Any] = {
        "status": "confirmed",
        "unknown_status": None,
        "received_at": NOW - 48 * HOUR,
        "check_in_at": NOW + 3 * HOUR,
        "check_out_at": NOW + 48 * HOUR,
        "room": "203 Coral",
        "lock": LOCK,
    }
    return Facts(**(defaults | fields))


def pin(state: str = "installed", **fields: Any) -> CredentialFacts:
    defaults: dict[str, Any] = {
        "state": state,
        "created_at": NOW - HOUR,
        "accepted_at": NOW - HOUR,
        "installed_at": NOW - HOUR if state == "installed" else None,
        "sent_window_differs": False,
        "expires_at": NOW + 72 * HOUR,
    }
    return CredentialFacts(**(defaults | fields))


def order(status: str = "scheduled", **fields: Any) -> OrderFacts:
    defaults: dict[str, Any] = {
        "status": status,
        "run_at": NOW - timedelta(seconds=5),
        "attempts": 0,
        "next_attempt_at": NOW - timedelta(seconds=5),
    }
    return OrderFacts(**(defaults | fields))


def failing(kind: str, **fields: Any) -> OrderFacts:
    """An order whose last try failed; the next comes in a minute."""
    soon = NOW + timedelta(minutes=1)
    return order(error_kind=kind, attempts=2, next_attempt_at=soon, **fields)


ASKED = NOW - timedelta(minutes=1)
LONG_AGO = NOW - HOUR
GONE = pin("revoked", revoke_reason="window_over", revoke_requested_at=LONG_AGO, revoked_at=ASKED)

CASES: list[tuple[Cause, Verdict, LinkKey | None, Facts]] = [
    (Cause.ON_LOCK, Verdict.YES, None, facts(credential=pin())),
    (Cause.CHANGE_PENDING, Verdict.YES, None, facts(credential=pin(sent_window_differs=True))),
    (
        Cause.CHANGE_FAILED,
        Verdict.NO,
        LinkKey.SENT,
        facts(credential=pin(sent_window_differs=True), order=order("failed", attempts=4)),
    ),
    (
        Cause.UNKNOWN_STATUS,
        Verdict.NO,
        LinkKey.BOOKING,
        facts(status="pending", unknown_status="on hold"),
    ),
    (Cause.PENDING_BOOKING, Verdict.NOT_NEEDED, None, facts(status="pending")),
    (Cause.BOOKING_FAILED, Verdict.NOT_NEEDED, None, facts(status="failed")),
    (Cause.CANCELLED, Verdict.NOT_NEEDED, None, facts(status="cancelled")),
    (Cause.CANCELLED, Verdict.NOT_NEEDED, None, facts(status="cancelled", credential=GONE)),
    (Cause.NO_SHOW, Verdict.NOT_NEEDED, None, facts(status="no_show")),
    (Cause.STAY_OVER, Verdict.NOT_NEEDED, None, facts(status="checked_out", credential=GONE)),
    (Cause.STAY_OVER, Verdict.NOT_NEEDED, None, facts(check_out_at=NOW - HOUR, credential=GONE)),
    (Cause.NO_ROOM, Verdict.NO, LinkKey.LOCK, facts(room=None, lock=None)),
    (
        Cause.ROOM_LATER,
        Verdict.NOT_YET,
        None,
        facts(room=None, lock=None, room_at=NOW + HOUR),
    ),
    (
        # booked after its room was due: nobody has looked for one yet
        Cause.ROOM_LATER,
        Verdict.NOT_YET,
        None,
        facts(room=None, lock=None, room_at=LONG_AGO, received_at=NOW),
    ),
    (
        Cause.NO_FREE_ROOM,
        Verdict.NO,
        LinkKey.LOCK,
        facts(room=None, lock=None, room_at=LONG_AGO),
    ),
    (Cause.STAY_OVER, Verdict.NOT_NEEDED, None, facts(room=None, lock=None, check_out_at=NOW)),
    (Cause.ROOM_INACTIVE, Verdict.NO, LinkKey.LOCK, facts(lock=None, room_active=False)),
    (Cause.NO_LOCK, Verdict.NO, LinkKey.LOCK, facts(lock=None)),
    (Cause.NO_LOCK, Verdict.NO, LinkKey.LOCK, facts(lock=None, credential=pin("requested"))),
    (
        Cause.DOUBLE_BOOKED,
        Verdict.NO,
        LinkKey.CREATED,
        facts(order=order("failed", error_kind="double_booked", next_attempt_at=None)),
    ),
    (
        Cause.NOT_DUE,
        Verdict.NOT_YET,
        None,
        facts(order=order(run_at=NOW + HOUR, next_attempt_at=NOW + HOUR)),
    ),
    (Cause.IN_LINE, Verdict.NOT_YET, None, facts(order=order())),
    (Cause.IN_LINE, Verdict.NOT_YET, None, facts(order=order("running"))),
    (
        # booked after its PIN was due: it waits since then, not since it was due
        Cause.IN_LINE,
        Verdict.NOT_YET,
        None,
        facts(order=order(run_at=LONG_AGO, next_attempt_at=LONG_AGO, changed_at=NOW)),
    ),
    (Cause.IN_LINE, Verdict.NOT_YET, None, facts(credential=pin("requested"))),
    (
        Cause.WORKER_GONE,
        Verdict.NO,
        LinkKey.CREATED,
        facts(order=order(run_at=LONG_AGO, next_attempt_at=LONG_AGO), workers_alive=False),
    ),
    (
        # an old error explains nothing while nobody tries again
        Cause.WORKER_GONE,
        Verdict.NO,
        LinkKey.SENT,
        facts(
            credential=pin("requested"),
            order=order(run_at=LONG_AGO, next_attempt_at=LONG_AGO, error_kind="lock_busy"),
            workers_alive=False,
        ),
    ),
    (
        Cause.QUEUE_BEHIND,
        Verdict.NO,
        LinkKey.CREATED,
        facts(order=order(run_at=LONG_AGO, next_attempt_at=LONG_AGO)),
    ),
    (
        Cause.REVOKED_BY_PERSON,
        Verdict.NO,
        LinkKey.REMOVED,
        facts(credential=replace(GONE, revoke_reason="manual")),
    ),
    (
        Cause.QUOTA,
        Verdict.NO,
        LinkKey.CREATED,
        facts(order=order(), vendor=VendorFacts(LONG_AGO, "quota", NOW + HOUR)),
    ),
    (
        # a pause holds up nothing that is not due
        Cause.NOT_DUE,
        Verdict.NOT_YET,
        None,
        facts(
            order=order(run_at=NOW + HOUR, next_attempt_at=NOW + HOUR),
            vendor=VendorFacts(LONG_AGO, "quota", NOW + HOUR),
        ),
    ),
    (
        Cause.LOCK_OFFLINE,
        Verdict.NO,
        LinkKey.SENT,
        facts(
            credential=pin("requested"),
            order=failing("lock_offline"),
            other_locks=3,
            other_locks_silent=1,
        ),
    ),
    (
        Cause.NEIGHBOURS_OFFLINE,
        Verdict.NO,
        LinkKey.SENT,
        facts(
            credential=pin("requested"),
            order=failing("lock_offline"),
            other_locks=3,
            other_locks_silent=2,
        ),
    ),
    (
        Cause.UNCERTAIN,
        Verdict.NOT_YET,
        None,
        facts(credential=pin("uncertain"), order=failing("unconfirmed")),
    ),
    (Cause.SLEEPING, Verdict.NOT_YET, None, facts(lock=SLEEPER, credential=pin("pending"))),
    (Cause.DELIVERING, Verdict.NOT_YET, None, facts(credential=pin("accepted"))),
    (
        Cause.UNSEEN,
        Verdict.NOT_YET,
        None,
        facts(credential=pin("accepted"), vendor=VendorFacts(LONG_AGO, "unreachable")),
    ),
    (
        # one lock that is offline says nothing about the account
        Cause.DELIVERING,
        Verdict.NOT_YET,
        None,
        facts(credential=pin("accepted"), vendor=VendorFacts(LONG_AGO, "lock_offline")),
    ),
    (
        Cause.UNKNOWN_STATE,
        Verdict.NO,
        LinkKey.CONFIRMED,
        facts(credential=pin("unknown", error_kind="unknown_state")),
    ),
    (
        Cause.REMOVING,
        Verdict.NOT_NEEDED,
        None,
        facts(status="cancelled", credential=pin("revoking", revoke_requested_at=ASKED)),
    ),
    (Cause.REMOVING, Verdict.NOT_NEEDED, None, facts(credential=pin(expires_at=NOW))),
    (
        Cause.REVOKE_OVERDUE,
        Verdict.NO,
        LinkKey.REMOVED,
        facts(status="cancelled", credential=pin("revoking", revoke_requested_at=LONG_AGO)),
    ),
    (
        Cause.REVOKE_OVERDUE,
        Verdict.NO,
        LinkKey.REMOVED,
        facts(
            status="cancelled",
            credential=pin("revoking", revoke_requested_at=ASKED),
            removal=order("failed"),
        ),
    ),
    (
        # the old PIN leaves, a new one comes: the guest waits for the new one
        Cause.IN_LINE,
        Verdict.NOT_YET,
        None,
        facts(credential=pin("revoking", revoke_requested_at=ASKED), order=order()),
    ),
]

ERRORS = {
    "not_configured": Cause.NOT_CONFIGURED,
    "unauthorized": Cause.UNAUTHORIZED,
    "quota": Cause.QUOTA,
    "clock_skew": Cause.CLOCK_SKEW,
    "start_in_past": Cause.CLOCK_SKEW,
    "unreachable": Cause.VENDOR_UNREACHABLE,
    "unreadable": Cause.VENDOR_UNREADABLE,
    "error": Cause.VENDOR_UNREADABLE,
    "a word of tomorrow": Cause.VENDOR_UNREADABLE,
    "rate_limited": Cause.RATE_LIMITED,
    "lock_busy": Cause.LOCK_BUSY,
    "lock_full": Cause.LOCK_FULL,
    "rejected": Cause.REJECTED,
    "not_supported": Cause.REJECTED,
    "not_found": Cause.REJECTED,
    "pin_taken": Cause.REJECTED,
}


@pytest.mark.parametrize(
    ("cause", "verdict", "broken", "given_facts"),
    CASES,
    ids=[f"{case[0]}-{number}" for number, case in enumerate(CASES)],
)
def test_the_cause_is_named(
    cause: Cause, verdict: Verdict, broken: LinkKey | None, given_facts: Facts
) -> None:
    found = diagnose(given_facts, NOW)
    assert (found.verdict, found.cause) == (verdict, cause)
    assert (found.broken.key if found.broken else None) == broken


@pytest.mark.parametrize(("kind", "cause"), ERRORS.items())
def test_a_failing_order_breaks_the_sending(kind: str, cause: Cause) -> None:
    found = diagnose(facts(credential=pin("requested"), order=failing(kind)), NOW)
    assert (found.verdict, found.cause) == (Verdict.NO, cause)
    assert found.broken is not None
    assert found.broken.key == LinkKey.SENT
    assert found.next_at == NOW + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("delivery_failed", Cause.DELIVERY_FAILED),
        ("vanished", Cause.VANISHED),
        ("removed_elsewhere", Cause.REMOVED_ELSEWHERE),
    ],
)
def test_a_pin_the_lock_lost_breaks_the_confirmation(kind: str, cause: Cause) -> None:
    found = diagnose(facts(credential=pin("failed", error_kind=kind), order=failing(kind)), NOW)
    assert (found.verdict, found.cause) == (Verdict.NO, cause)
    assert found.broken is not None
    assert found.broken.key == LinkKey.CONFIRMED


def test_a_lost_key_breaks_the_making() -> None:
    found = diagnose(facts(credential=pin("failed"), order=failing("key_missing")), NOW)
    assert (found.cause, found.help) == (Cause.KEY_MISSING, Help.RESTORE_KEY)
    assert found.broken is not None
    assert found.broken.key == LinkKey.CREATED


def test_every_cause_has_a_case() -> None:
    told = {cause for cause, *_ in CASES} | set(ERRORS.values())
    told |= {Cause.DELIVERY_FAILED, Cause.VANISHED, Cause.REMOVED_ELSEWHERE, Cause.KEY_MISSING}
    assert told == set(Cause)


def test_the_silence_of_a_lock_is_dated() -> None:
    silent = replace(LOCK, silent_since=LONG_AGO)
    found = diagnose(
        facts(lock=silent, credential=pin("requested"), order=failing("lock_offline")), NOW
    )
    assert found.since == LONG_AGO


def test_what_has_been_keeps_its_times() -> None:
    found = diagnose(facts(status="checked_out", credential=GONE), NOW)
    assert [(link.key, link.state) for link in found.chain] == [
        (LinkKey.BOOKING, LinkState.OK),
        (LinkKey.CREATED, LinkState.OK),
        (LinkKey.SENT, LinkState.OK),
        (LinkKey.CONFIRMED, LinkState.NOT_REACHED),
        (LinkKey.REMOVED, LinkState.OK),
    ]
    assert found.chain[-1].at == ASKED


moments = st.timedeltas(timedelta(days=-4), timedelta(days=4)).map(lambda span: NOW + span)
kinds = st.sampled_from([*ERRORS, "lock_offline", "unconfirmed", "vanished", "double_booked"])
locks = st.builds(
    LockFacts,
    st.just("203"),
    st.sampled_from(["wifi", "zigbee"]),
    st.sampled_from([True, False, None]),
    st.none() | moments,
    st.just(6),
)
credentials = st.builds(
    CredentialFacts,
    state=st.sampled_from(CredentialState),
    created_at=moments,
    accepted_at=st.none() | moments,
    installed_at=st.none() | moments,
    sent_window_differs=st.booleans(),
    expires_at=moments,
    error_kind=st.none() | kinds,
    detail=st.none(),
    revoke_reason=st.none() | st.sampled_from(RevokeReason),
    revoke_requested_at=st.none() | moments,
    revoked_at=st.none() | moments,
)
orders = st.builds(
    OrderFacts,
    st.sampled_from(PinJobStatus),
    moments,
    st.integers(0, 20),
    st.none() | moments,
    st.none() | kinds,
)
anything = st.builds(
    Facts,
    status=st.sampled_from(ReservationStatus),
    unknown_status=st.none() | st.just("on hold"),
    received_at=moments,
    check_in_at=moments,
    check_out_at=moments,
    room=st.none() | st.just("203 Coral"),
    room_active=st.booleans(),
    lock=st.none() | locks,
    credential=st.none() | credentials,
    order=st.none() | orders,
    removal=st.none() | orders,
    vendor=st.builds(VendorFacts, st.none() | moments, st.none() | kinds, st.none() | moments),
    workers_alive=st.booleans(),
    other_locks=st.integers(0, 5),
    other_locks_silent=st.integers(0, 5),
)


@settings(max_examples=200, deadline=None)
@given(anything)
def test_whatever_the_facts_there_is_one_answer(given_facts: Facts) -> None:
    """It never raises; a link is broken exactly when the answer is No, and nothing after the
    break has been reached."""
    found = diagnose(given_facts, NOW)
    broken = [link for link in found.chain if link.state == LinkState.BROKEN]
    assert len(broken) == (1 if found.verdict == Verdict.NO else 0)
    waiting = [link for link in found.chain if link.state == LinkState.WAITING]
    assert len(waiting) <= 1
    states = [link.state for link in found.chain if link.key != LinkKey.REMOVED]
    for stop in (LinkState.BROKEN, LinkState.WAITING):
        if stop in states:
            assert LinkState.OK not in states[states.index(stop) + 1 :]
    assert found.cause in Cause
    assert found.verdict != Verdict.YES or found.cause in (Cause.ON_LOCK, Cause.CHANGE_PENDING)
