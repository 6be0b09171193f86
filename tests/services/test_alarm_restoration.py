"""Reconciliation sets missing alarms again (issue 2): Redis may be emptied at any moment."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from app.queue import status
from app.services import pin_alarms, reconciliation_cleanup
from tests.services.pin_bench import Door, door, locks

__all__ = ["door", "locks"]


def scheduled(redis: Any) -> dict[str, float]:
    return {
        name.decode(): at for name, at in redis.zrange("rq:scheduled:pins", 0, -1, withscores=True)
    }


def test_alarms_lost_with_redis_are_set_again(door: Door, redis: Any) -> None:
    soon = door.stay(check_in=date(2026, 3, 11))
    late = door.stay(check_in=date(2026, 4, 20))
    before = scheduled(redis)
    assert set(before) == {f"{kind}-{stay.id}" for kind in ("gen", "rev") for stay in (soon, late)}
    redis.flushdb()
    assert reconciliation_cleanup.clean_up() == 0
    assert scheduled(redis) == before
    redis.zadd("rq:scheduled:pins", {f"gen-{soon.id}": 1.0})
    reconciliation_cleanup.clean_up()
    assert scheduled(redis)[f"gen-{soon.id}"] == 1.0  # what is there is kept untouched (STAY-22)


def test_a_cancelled_stay_gets_no_alarm_back(door: Door, redis: Any) -> None:
    stay = door.stay(check_in=date(2026, 3, 11))
    door.change(stay, status="cancelled")
    redis.flushdb()
    reconciliation_cleanup.clean_up()
    assert status.pin_job_ids() == set()


def test_in_a_large_house_only_near_alarms_are_set(
    door: Door, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pin_alarms, "FEW", 2)
    monkeypatch.setattr(pin_alarms, "NEAR", timedelta(hours=48))
    soon = door.stay(check_in=date(2026, 3, 11), nights=9)
    door.stay(check_in=date(2026, 4, 20))
    redis.flushdb()
    reconciliation_cleanup.clean_up()
    assert set(scheduled(redis)) == {f"gen-{soon.id}"}
