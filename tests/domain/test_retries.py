"""Waits and budgets of C-10 and C-11."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.domain.retries import EVENTS, RECONCILIATION, RetryPolicy

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def waits(policy: RetryPolicy) -> list[float | None]:
    found = [policy.next_attempt(n, NOW) for n in range(1, 7)]
    return [None if at is None else (at - NOW).total_seconds() for at in found]


def test_reconciliation_runs_once_and_retries_three_times() -> None:
    assert waits(RECONCILIATION) == [2, 4, 8, None, None, None]


def test_an_event_is_executed_three_times() -> None:
    assert waits(EVENTS) == [5, 25, None, None, None, None]


def test_125_seconds_are_reached_with_a_fourth_attempt() -> None:
    assert waits(EVENTS.with_attempts(4)) == [5, 25, 125, None, None, None]


def test_the_last_wait_repeats_when_there_are_more_attempts_than_waits() -> None:
    assert waits(RetryPolicy((5, 15), max_attempts=5)) == [5, 15, 15, 15, None, None]


def test_the_other_side_may_ask_for_a_longer_pause_but_not_a_shorter_one() -> None:
    assert RECONCILIATION.next_attempt(1, NOW, at_least=60) == NOW + timedelta(seconds=60)
    assert RECONCILIATION.next_attempt(3, NOW, at_least=1) == NOW + timedelta(seconds=8)


def test_no_waits_means_no_retry() -> None:
    assert RetryPolicy(()).next_attempt(1, NOW) is None


def test_there_is_no_retry_without_a_failure() -> None:
    with pytest.raises(ValueError, match="failure"):
        RECONCILIATION.next_attempt(0, NOW)
