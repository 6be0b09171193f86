"""What runs once at the system's start (ROOM-10, C-38, DECISIONS 20)."""

from __future__ import annotations

import pytest
from flask import Flask
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from rq import Queue

from app.queue import startup
from app.queue.registry import MAINTENANCE
from tests.queue.conftest import wait_for


def waiting(redis: Redis) -> list[str]:
    return Queue(MAINTENANCE, connection=redis).job_ids


def test_one_process_of_a_system_orders_and_a_restarted_one_again(app: Flask, redis: Redis) -> None:
    first = startup.order(app)
    assert first is not None
    assert waiting(redis) == ["rooms-sync"]
    redis.flushdb()
    assert startup.order(app) is None
    assert waiting(redis) == []
    first.close()  # what the end of a process does
    again = wait_for(lambda: startup.order(app))  # the server lets go a moment later
    assert waiting(redis) == ["rooms-sync"]
    again.close()


def test_without_redis_the_start_goes_on(
    app: Flask, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(alarms: object) -> None:
        raise RedisConnectionError

    monkeypatch.setattr(startup, "place", away)
    held = startup.order(app)
    assert held is not None
    held.close()
