"""What waits in Redis: depths for the dashboard, alarms for the orphan cleanup."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

from redis.exceptions import RedisError

from app.queue import scripts
from app.queue.connection import redis
from app.queue.registry import PINS, QUEUES


def redis_alive() -> bool:
    """Whether Redis answers."""
    try:
        return bool(redis().ping())
    except RedisError:
        return False


def queue_depths() -> dict[str, int]:
    """Jobs waiting in line, by queue; raises RedisError when Redis is away."""
    with redis().pipeline(transaction=False) as pipe:
        for queue in QUEUES:
            pipe.llen(scripts.queue_key(queue))
        return dict(zip(QUEUES, cast("list[int]", pipe.execute()), strict=True))


def pin_job_ids() -> set[str]:
    """The ids of all PIN jobs, sleeping or in line (STAY-21, STAY-24)."""
    with redis().pipeline(transaction=False) as pipe:
        pipe.zrange(scripts.scheduled_key(PINS), 0, -1)
        pipe.lrange(scripts.queue_key(PINS), 0, -1)
        sleeping, waiting = cast("list[list[bytes]]", pipe.execute())
    return {job_id.decode() for job_id in (*sleeping, *waiting)}


def remove_pin_jobs(job_ids: Collection[str]) -> None:
    """Remove PIN jobs whose reservation is gone, in one round trip (PERF-11)."""
    if not job_ids:
        return
    with redis().pipeline(transaction=False) as pipe:
        pipe.zrem(scripts.scheduled_key(PINS), *job_ids)
        for job_id in job_ids:
            pipe.lrem(scripts.queue_key(PINS), 0, job_id)
        pipe.delete(*(scripts.job_key(job_id) for job_id in job_ids))
        pipe.execute()
