"""Put jobs in line: after the commit, under fixed ids, and without ever failing a door.

The database remembers and the queue hurries (STYLE): Redis being away is logged, nothing more,
because the sweep finds what is due. Arguments are ids; anything else is refused.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from redis import Redis
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeout
from rq.job import Job, JobStatus

from app import clock
from app.queue import courier, scripts
from app.queue.connection import redis
from app.queue.registry import JOBS
from app.transaction import after_commit

log = structlog.get_logger(__name__)

BATCH = 500
FAILURE_TTL = 3600
#: After a Redis that did not answer in time, further orders of the process are not even tried for
#: this long: one page must not wait for the same dead host ten times.
SILENCE_SECONDS = 2.0
_JOB_ID = re.compile(r"[A-Za-z0-9_-]+")  # all RQ takes

_silent_until = 0.0


@dataclass(frozen=True, slots=True)
class Alarm:
    """An order to run the job `name` for `arg`, at once or at a moment."""

    name: str
    arg: UUID | str | None = None
    job_id: str | None = None
    at: datetime | None = None
    queue: str | None = None

    @property
    def id(self) -> str:
        """The id it goes by."""
        return self.job_id or JOBS[self.name].job_id(self.text)

    @property
    def text(self) -> str | None:
        """The argument as it travels."""
        return None if self.arg is None else str(self.arg)


@dataclass(slots=True)
class _Running:
    job_id: str
    deferred: Alarm | None = None


_running: ContextVar[_Running | None] = ContextVar("turnkey_running_job", default=None)


def enqueue(
    name: str,
    arg: UUID | str | None = None,
    *,
    job_id: str | None = None,
    at: datetime | None = None,
    queue: str | None = None,
) -> str:
    """Order a job once the surrounding transaction has committed; its id is returned at once."""
    alarm = Alarm(name, arg, job_id, at, queue)
    enqueue_many([alarm])
    return alarm.id


def enqueue_many(alarms: Sequence[Alarm]) -> None:
    """Order many in few round trips. An order replaces an earlier one of the same id, except that
    a job waiting in line already keeps its place."""
    for alarm in alarms:
        _check(alarm)
    if alarms:
        orders = list(alarms)
        after_commit(lambda: _send(orders))


def enqueue_soon(alarm: Alarm) -> None:
    """Order without waiting for Redis, for a door that has to answer: a thread of this process
    sends what has come together. What it cannot send any more, the sweep does."""
    _check(alarm)
    after_commit(lambda: courier.hand(alarm, _send))


def cancel(*job_ids: str) -> None:
    """Take orders back, once the surrounding transaction has committed."""
    if job_ids:
        after_commit(lambda: _take_back(job_ids))


def place(alarms: Sequence[Alarm]) -> None:
    """Write orders to Redis here and now; raises RedisError."""
    client = redis()
    script = client.register_script(scripts.PLACE)
    now = clock.utcnow()

    def put(alarm: Alarm, connection: Redis) -> None:
        job, score = _job(alarm, now, client)
        script(
            keys=_keys(job.id, job.origin),
            args=[job.id, score, "", *_fields(job)],
            client=connection,
        )

    if len(alarms) == 1:
        put(alarms[0], client)  # a pipeline asks first whether the script is known
        return
    for start in range(0, len(alarms), BATCH):
        with client.pipeline(transaction=False) as pipe:
            for alarm in alarms[start : start + BATCH]:
                put(alarm, pipe)
            pipe.execute()


@contextmanager
def running(job_id: str) -> Iterator[None]:
    """Around a job as it runs: what it orders under its own id waits until it has ended, because
    another worker would find the row still leased and drop the order."""
    current = _Running(job_id)
    token = _running.set(current)
    try:
        yield
    finally:
        _running.reset(token)
        if current.deferred is not None:
            _send([current.deferred])


def give_back(job: Job) -> None:
    """Put an unfinished job at the front of its line, for the next worker."""

    def put_back() -> None:
        redis().register_script(scripts.PLACE)(
            keys=_keys(job.id, job.origin), args=[job.id, "", "front", *_fields(job)]
        )

    _attempt("give_back", 1, put_back)


def _check(alarm: Alarm) -> None:
    """Refuse what must never reach Redis: a PIN or a guest has no place in a job (SEC-09)."""
    if not _JOB_ID.fullmatch(alarm.id):
        raise ValueError(f"{alarm.name}: a job id has letters, digits, _ and - only")
    if alarm.arg is not None and not isinstance(alarm.arg, UUID):
        UUID(alarm.arg)
    if alarm.at is not None and alarm.at.tzinfo is None:
        raise ValueError(f"{alarm.name}: a moment without time zone")


def _send(alarms: list[Alarm]) -> None:
    current = _running.get()
    if current is not None:
        for alarm in alarms:
            if alarm.id == current.job_id:
                current.deferred = alarm
        alarms = [alarm for alarm in alarms if alarm.id != current.job_id]
    if alarms:
        _attempt("enqueue", len(alarms), lambda: place(alarms))


def _take_back(job_ids: Sequence[str]) -> None:
    current = _running.get()
    if current is not None and current.job_id in job_ids:
        current.deferred = None

    def take_back() -> None:
        script = redis().register_script(scripts.CANCEL)
        for start in range(0, len(job_ids), BATCH):
            ids = list(job_ids[start : start + BATCH])
            script(keys=[scripts.job_key(job_id) for job_id in ids], args=ids)

    _attempt("cancel", len(job_ids), take_back)


def _job(alarm: Alarm, now: datetime, client: Redis) -> tuple[Job, int | str]:
    """RQ's job for an alarm, and the second it is scheduled for ('' for now)."""
    spec = JOBS[alarm.name]
    later = alarm.at is not None and alarm.at > now
    job = Job.create(
        spec.path,
        args=() if alarm.text is None else (alarm.text,),
        id=alarm.id,
        origin=alarm.queue or spec.queue,
        timeout=spec.timeout,
        description=alarm.name,  # RQ's own would repeat the arguments
        result_ttl=0,  # for a stock RQ worker: what it kept would outlive the next order
        failure_ttl=FAILURE_TTL,
        connection=client,
        status=JobStatus.SCHEDULED if later else JobStatus.QUEUED,
    )
    job.created_at = now
    if not later:
        job.enqueued_at = now
        return job, ""
    assert alarm.at is not None
    return job, math.ceil(alarm.at.timestamp())  # up: an alarm must never be early


def _fields(job: Job) -> list[Any]:
    return [part for pair in job.to_dict(include_result=False).items() for part in pair]


def _keys(job_id: str, queue: str) -> list[str]:
    return [
        scripts.job_key(job_id),
        scripts.queue_key(queue),
        scripts.scheduled_key(queue),
        scripts.QUEUES_KEY,
    ]


def _attempt(action: str, count: int, work: Callable[[], None]) -> None:
    """Redis trouble costs a log line and, at most, the time until the next sweep."""
    global _silent_until
    if time.monotonic() < _silent_until:
        log.warning("queue_unreachable", action=action, jobs=count, error="skipped")
        return
    try:
        work()
    except RedisError as error:
        if isinstance(error, RedisTimeout):
            _silent_until = time.monotonic() + SILENCE_SECONDS
        log.warning("queue_unreachable", action=action, jobs=count, error=type(error).__name__)
