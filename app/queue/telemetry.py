"""What Redis knows for the metrics: figures of all processes, lines, sleeping jobs, memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from app import clock, meters
from app.meters import Cells, Series
from app.queue import scripts
from app.queue.connection import redis
from app.queue.registry import QUEUES

_QUEUED, _SCHEDULED = "queued", "scheduled"


@dataclass(frozen=True, slots=True)
class Telemetry:
    """`totals` since Redis was last emptied; `jobs` by queue and state; memory in bytes."""

    totals: Mapping[Series, Cells]
    gauges: Mapping[Series, float]
    jobs: Mapping[tuple[str, str], int]
    memory: int
    memory_limit: int


def read() -> Telemetry:
    """Everything in one round trip; raises RedisError."""
    with redis().pipeline(transaction=False) as pipe:
        pipe.hgetall(meters.TOTALS)
        pipe.hgetall(meters.GAUGES)
        pipe.info("memory")
        for queue in QUEUES:
            pipe.llen(scripts.queue_key(queue))
            pipe.zcard(scripts.scheduled_key(queue))
        totals, gauges, memory, *lengths = pipe.execute()
    jobs = {
        (queue, state): length
        for (queue, state), length in zip(
            ((queue, state) for queue in QUEUES for state in (_QUEUED, _SCHEDULED)),
            lengths,
            strict=True,
        )
    }
    return Telemetry(
        meters.read(totals),
        meters.read_gauges(gauges, clock.utcnow().timestamp()),
        jobs,
        int(memory.get("used_memory", 0)),
        int(memory.get("maxmemory", 0)),
    )


def minutes(moments: Sequence[datetime]) -> list[dict[Series, Cells]]:
    """What came in during each of these minutes; raises RedisError."""
    with redis().pipeline(transaction=False) as pipe:
        for moment in moments:
            pipe.hgetall(meters.minute_key(moment))
        return [meters.read(raw) for raw in pipe.execute()]


def forget_gone() -> None:
    """Drop what processes that ended long ago last said; raises RedisError."""
    said = cast("dict[bytes, bytes]", redis().hgetall(meters.GAUGES))
    gone = meters.forgotten(said, clock.utcnow().timestamp())
    if gone:
        redis().hdel(meters.GAUGES, *gone)
