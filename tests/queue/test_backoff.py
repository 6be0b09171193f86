"""Pauses that grow, end, and start anew."""

from __future__ import annotations

from app.queue.backoff import Backoff


def test_pauses_grow_to_the_longest() -> None:
    backoff = Backoff(longest=10)
    assert [backoff.pause() for _ in range(6)] == [1, 2, 4, 8, 10, 10]


def test_a_recovery_is_told_once_and_starts_anew() -> None:
    backoff = Backoff(longest=10)
    assert not backoff.failing
    assert not backoff.reset()
    backoff.pause()
    backoff.pause()
    assert backoff.failing
    assert backoff.reset()
    assert not backoff.reset()
    assert backoff.pause() == 1
