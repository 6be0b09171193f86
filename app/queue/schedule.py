"""Makes rq-scheduler's entries match the registry, changing only what differs (OPS-25).

An entry is a record under a fixed id (`tick-…`) and a moment. The record itself is never run:
when its moment comes the clock orders the job under the job's own id, so that ticks without a
worker do not pile up and an entry survives whatever happens to the job.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from croniter import croniter
from redis import Redis
from redis.exceptions import RedisError
from rq.job import Job
from rq_scheduler import Scheduler

from app import clock
from app.queue import scripts
from app.queue.client import Alarm, place
from app.queue.connection import redis
from app.queue.registry import JOBS, JobSpec
from app.runtime import settings

PREFIX = "tick-"
SCHEDULED: tuple[JobSpec, ...] = tuple(spec for spec in JOBS.values() if spec.periodic)
INTERVAL_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Line:
    """One periodic job, as an operator sees it; `state` is `ok`, `missing` or `different`."""

    name: str
    when: str
    queue: str
    next_run: datetime | None
    state: str


def next_run(spec: JobSpec, after: datetime) -> datetime:
    """The first moment of a periodic job after `after`."""
    every = interval(spec)
    if every is not None:
        return after + every
    return cast(datetime, croniter(cron(spec), after).get_next(datetime))


def cron(spec: JobSpec) -> str | None:
    """The cron of a job, in UTC; an operator's setting beats the registry."""
    if spec.cron_setting is None:
        return spec.cron
    return cast(str, getattr(settings(), spec.cron_setting))


def interval(spec: JobSpec) -> timedelta | None:
    """How often a job runs that no cron times; an operator's setting beats the registry."""
    if spec.setting is None:
        return spec.every
    return timedelta(minutes=getattr(settings(), spec.setting))


def wanted() -> list[JobSpec]:
    """The periodic jobs that are not switched off."""
    return [spec for spec in SCHEDULED if spec.cron or interval(spec)]


def entry_id(spec: JobSpec) -> str:
    return PREFIX + spec.name.replace(".", "-").replace("_", "-")


class Timetable(Scheduler):  # type: ignore[misc]
    """rq-scheduler's store with our own way to read, mend and fire it."""

    def __init__(self, connection: Redis, name: str | None = None) -> None:
        super().__init__(connection=connection, interval=INTERVAL_SECONDS, name=name)

    def lines(self) -> list[Line]:
        """Every periodic job with its state, and foreign entries under our prefix as `unknown`."""
        moments, entries = self._read()
        lines = [
            Line(
                spec.name,
                cron(spec) or f"every {interval(spec)}",
                spec.queue,
                _moment(moments.get(entry_id(spec))),
                self._state(spec, moments, entries[spec.name]),
            )
            for spec in wanted()
        ]
        return lines + [
            Line(job_id, "", "", _moment(moments[job_id]), "unknown")
            for job_id in self._strangers(moments)
        ]

    def mend(self) -> list[str]:
        """Write what is missing or different, remove what is no longer wanted; what was changed."""
        moments, entries = self._read()
        changed = []
        for spec in wanted():
            state = self._state(spec, moments, entries[spec.name])
            if state != "ok":
                self._write(spec, moments.get(entry_id(spec)) if state == "damaged" else None)
                changed.append(f"{spec.name}: was {state}")
        for job_id in self._strangers(moments):
            with self.connection.pipeline() as pipe:
                pipe.zrem(self.scheduled_jobs_key, _raw(job_id))
                pipe.delete(_raw(scripts.job_key(job_id)))
                pipe.execute()
            changed.append(f"{_raw(job_id)!r}: removed")
        return changed

    def fire(self) -> list[str]:
        """Order every job whose moment has come, once however late we are; their names."""
        now = clock.utcnow()
        fired = []
        for spec in wanted():
            score = self.connection.zscore(self.scheduled_jobs_key, entry_id(spec))
            if score is None or score > now.timestamp():
                continue
            # Ordered first: if Redis goes away in between, the slot is fired again, not lost.
            place([Alarm(spec.name)])
            following = next_run(spec, datetime.fromtimestamp(score, UTC))
            self._move(spec, following if following > now else next_run(spec, now))
            fired.append(spec.name)
        return fired

    def _read(self) -> tuple[dict[str, float], dict[str, dict[bytes, bytes]]]:
        with self.connection.pipeline(transaction=False) as pipe:
            pipe.zrange(self.scheduled_jobs_key, 0, -1, withscores=True)
            for spec in wanted():
                pipe.hgetall(scripts.job_key(entry_id(spec)))
            answers: list[Any] = pipe.execute(raise_on_error=False)
        moments: Any = answers[0]
        if isinstance(moments, RedisError):
            raise moments
        return (
            {job_id.decode(errors="surrogateescape"): float(score) for job_id, score in moments},
            {
                spec.name: {} if isinstance(entry, RedisError) else entry
                for spec, entry in zip(wanted(), answers[1:], strict=True)
            },
        )

    def _state(self, spec: JobSpec, moments: dict[str, float], entry: dict[bytes, bytes]) -> str:
        if entry_id(spec) not in moments or not entry:
            return "missing"
        job = Job(entry_id(spec), connection=self.connection)
        try:
            job.restore(entry)
            found: tuple[Any, ...] = (
                job.func_name,
                tuple(job.args),
                job.origin,
                job.timeout,
                _plan(job.meta),
            )
        except Exception:
            return "damaged"
        wanted = (spec.path, (), spec.queue, spec.timeout, _plan(_meta(spec)))
        if found != wanted:
            return "different"
        # A moment that no rule of ours leads to: somebody's clock or hand was wrong.
        farthest = next_run(spec, clock.utcnow())
        return "different" if moments[entry_id(spec)] > farthest.timestamp() + 1 else "ok"

    def _write(self, spec: JobSpec, moment: float | None) -> None:
        job = self._create_job(
            spec.path,
            commit=False,
            id=entry_id(spec),
            description=spec.name,
            queue_name=spec.queue,
            timeout=spec.timeout,
            result_ttl=-1,
        )
        job.meta = _meta(spec)
        score = moment or next_run(spec, clock.utcnow()).timestamp()
        with self.connection.pipeline() as pipe:
            pipe.delete(job.key)
            job.save(pipeline=pipe)
            pipe.zadd(self.scheduled_jobs_key, {job.id: score})
            pipe.execute()

    def _move(self, spec: JobSpec, moment: datetime) -> None:
        self.connection.zadd(self.scheduled_jobs_key, {entry_id(spec): moment.timestamp()}, xx=True)

    def _strangers(self, moments: dict[str, float]) -> list[str]:
        known = {entry_id(spec) for spec in wanted()}
        return sorted(
            job_id for job_id in moments if job_id.startswith(PREFIX) and job_id not in known
        )


def describe() -> list[Line]:
    """The schedule as it stands in Redis, beside what it should be."""
    return Timetable(redis()).lines()


def apply() -> list[str]:
    """Make Redis match the registry; what was changed."""
    return Timetable(redis()).mend()


def _meta(spec: JobSpec) -> dict[str, Any]:
    every = interval(spec)
    if every is not None:
        return {"interval": int(every.total_seconds())}
    return {"cron_string": cron(spec), "use_local_timezone": False}


def _raw(key: str) -> bytes:
    """A key as it stands in Redis, where it need not be text."""
    return key.encode(errors="surrogateescape")


def _plan(meta: dict[str, Any]) -> tuple[Any, Any]:
    return meta.get("interval"), meta.get("cron_string")


def _moment(score: float | None) -> datetime | None:
    return None if score is None else datetime.fromtimestamp(score, UTC)
