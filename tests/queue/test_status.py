"""What waits in Redis, for the dashboard and the orphan cleanup."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

from flask import Flask

from app.queue import status
from app.queue.client import enqueue
from app.queue.registry import QUEUES
from tests.conftest import Clock


def test_depths_name_every_queue(app: Flask, redis: Any) -> None:
    enqueue("credentials.generate", uuid4())
    enqueue("events.process", uuid4(), queue="beds24.inbound")
    depths = status.queue_depths()
    assert depths.keys() == set(QUEUES)
    assert {queue: depth for queue, depth in depths.items() if depth} == {
        "pins": 1,
        "beds24.inbound": 1,
    }


def test_redis_answers(app: Flask) -> None:
    assert status.redis_alive()


def test_orphans_are_removed_and_the_rest_is_kept(app: Flask, redis: Any, clock: Clock) -> None:
    """STAY-21…24: sleeping jobs too."""
    later = clock.now + timedelta(days=5)
    orphans = [
        enqueue("credentials.generate", uuid4(), at=later),
        enqueue("credentials.revoke", uuid4()),
    ]
    valid = enqueue("credentials.revoke", uuid4(), at=later)
    assert status.pin_job_ids() == {*orphans, valid}
    status.remove_pin_jobs(orphans)
    status.remove_pin_jobs([])
    assert status.pin_job_ids() == {valid}
    assert [key.decode() for key in redis.keys("rq:job:*")] == [f"rq:job:{valid}"]
