"""Runs jobs one by one in its own process, each in an app context and within its time.

RQ's worker keeps a job's record while it runs and writes to it when it ends, which destroys an
order placed under the same id meanwhile (DECISIONS, measured). This one takes the record away
before it runs the job: from then on the row's lease says who has the work, and the id is free.
"""

from __future__ import annotations

import os
import socket
import time
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import cast

import structlog
from flask import Flask
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeout
from rq import Queue, SimpleWorker, worker_registration
from rq.job import Job
from rq.utils import as_text
from rq.worker import WorkerStatus
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from app import meters
from app.extensions import db
from app.queue import client, scripts
from app.queue.backoff import Backoff
from app.queue.connection import connect
from app.queue.interrupts import HandBack, Interrupted, Interrupts
from app.queue.registry import JOBS
from app.runtime import settings

log = structlog.get_logger(__name__)

WORKER_TTL = 60  # how long RQ's tools believe in a worker that says nothing
CHECK_IN_SECONDS = 15.0
LISTEN_SECONDS = 1  # also how long an idle worker takes to notice SIGTERM
ANSWER_SECONDS = 5.0  # well above LISTEN_SECONDS: an answer given up on may have held a job
LONGEST_PAUSE = 10.0
DEFAULT_TIMEOUT = 180


class JobWorker(SimpleWorker):
    """Works through its queues in turn, so that none starves, until told to stop."""

    def __init__(self, app: Flask, role: str, queues: tuple[str, ...], interrupts: Interrupts):
        with app.app_context():
            connection = connect(settings().redis_url, answer_seconds=ANSWER_SECONDS, retries=0)
        pid = os.getpid()
        super().__init__(
            list(queues),
            name=f"{role}-{socket.gethostname().replace('.', '-')}-{pid}-{time.time_ns()}",
            connection=connection,
            worker_ttl=WORKER_TTL,
            prepare_for_work=False,  # it would need Redis to be there already
        )
        self.hostname, self.pid = socket.gethostname(), pid
        self.app, self.role, self.interrupts = app, role, interrupts
        self.birth_date = self.last_heartbeat = datetime.now(UTC)
        self._redis_pause = Backoff(LONGEST_PAUSE)
        self._database_pause = Backoff(LONGEST_PAUSE)
        self._check_in_at = 0.0

    def _set_connection(self, connection: Redis) -> Redis:
        return connection  # ours has the time limits we want

    def run(self) -> None:
        """Until told to stop: take the next job and do it."""
        log.info("worker_started", role=self.role, queues=self.queue_names())
        while not self.interrupts.stopping:
            try:
                self._check_in()
                job = self._next()
            except RedisError as error:
                if not self._redis_pause.failing:
                    log.warning("redis_unreachable", role=self.role, error=type(error).__name__)
                self.interrupts.sleep(self._redis_pause.pause())
                self._check_in_at = 0.0
                continue
            if self._redis_pause.reset():
                log.info("redis_back", role=self.role)
            if job is not None:
                self._do(job)
            elif self.get_state() == WorkerStatus.BUSY:
                self._note_state(WorkerStatus.IDLE, None)
        self._leave()

    def _check_in(self) -> None:
        """Say that we live, from scratch each time: Redis may have been emptied."""
        if time.monotonic() < self._check_in_at:
            return
        self._check_in_at = time.monotonic() + CHECK_IN_SECONDS
        self.last_heartbeat = datetime.now(UTC)
        with self.connection.pipeline() as pipe:
            pipe.hset(self.key, mapping=self.serialize() | {"state": self.get_state()})
            pipe.expire(self.key, WORKER_TTL + 60)
            worker_registration.register(self, pipe)
            pipe.execute()
        for queue in self.queues:
            worker_registration.clean_worker_registry(queue)

    def _next(self) -> Job | None:
        """The next job, off its queue and with its id free again; None when none came."""
        keys = [queue.key for queue in self._ordered_queues]
        popped = cast(
            "tuple[bytes, bytes] | None", self.connection.blpop(keys, timeout=LISTEN_SECONDS)
        )
        if popped is None:
            return None
        position = keys.index(as_text(popped[0]))
        queue = self._ordered_queues[position]
        self._ordered_queues = (
            self._ordered_queues[position + 1 :] + self._ordered_queues[: position + 1]
        )
        try:
            return self._claim(queue, popped[1])
        except (RedisConnectionError, RedisTimeout):
            raise
        except Exception as error:
            log.error("job_unreadable", job_id=repr(popped[1])[:80], error=type(error).__name__)
            return None

    def _claim(self, queue: Queue, raw_id: bytes) -> Job | None:
        """The record of a job that was taken off its queue, which loses it."""
        job_id = as_text(raw_id)
        claim = self.connection.register_script(scripts.CLAIM)
        flat = cast("list[bytes]", claim(keys=[scripts.job_key(job_id)]))
        if not flat:
            return None  # cancelled, or its record was lost; the row is the truth
        job = Job(job_id, connection=self.connection)
        job.restore(dict(zip(flat[::2], flat[1::2], strict=True)))
        job.origin = queue.name
        _ = job.func_name, job.args  # decoded here, so that rubbish is told from a failing job
        return job

    def _do(self, job: Job) -> None:
        name = job.description or job.func_name or "?"
        with structlog.contextvars.bound_contextvars(job_id=job.id, job=name, queue=job.origin):
            log.info("job_started")
            started = time.monotonic()
            self._note_state(WorkerStatus.BUSY, job.id)
            try:
                outcome = self._outcome(job)
            except Interrupted:  # it came as the job was ending
                outcome = "interrupted"
            took = time.monotonic() - started
            log.info("job_ended", outcome=outcome, ms=round(took * 1000))
            kind = name if name in JOBS else "other"
            meters.observe("turnkey_job_seconds", took, job=kind)
            meters.count("turnkey_jobs_total", job=kind, outcome=outcome)

    def _outcome(self, job: Job) -> str:
        timeout = job.timeout or DEFAULT_TIMEOUT
        with self.app.app_context(), client.running(job.id):
            try:
                with self.interrupts.limit(float(timeout)):
                    job.func(*job.args, **job.kwargs)
            except HandBack:
                client.give_back(job)
                return "handed_back"
            except Interrupted:
                log.error("job_out_of_time", seconds=timeout)
                return "out_of_time"
            except Exception as error:
                # Names and lines only: an error's text may carry what a guest typed.
                log.error("job_failed", error=type(error).__name__, stack=where(error))
                if isinstance(error, DBAPIError):
                    return self._after_database_error(job)
                return "failed"
        self._database_pause.reset()
        return "done"

    def _after_database_error(self, job: Job) -> str:
        """While PostgreSQL is away, keep the job and wait instead of emptying the queue."""
        try:
            with db.engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError:
            client.give_back(job)
            self.interrupts.sleep(self._database_pause.pause())
            return "handed_back"
        return "failed"

    def _note_state(self, state: str, job_id: str | None) -> None:
        """Tell RQ's tools what we do; nothing depends on it."""
        self._state = state
        try:
            with self.connection.pipeline() as pipe:
                pipe.hset(self.key, "state", state)
                self.set_current_job_id(job_id, pipeline=pipe)
                pipe.execute()
        except RedisError:
            self._check_in_at = 0.0

    def _leave(self) -> None:
        try:
            self.register_death()  # type: ignore[no-untyped-call]
        except RedisError:
            log.info("worker_left_unannounced", role=self.role)
        log.info("worker_stopped", role=self.role)


def where(error: BaseException) -> str:
    """The way an error came, innermost last, without its text."""
    trace: TracebackType | None = error.__traceback__
    frames = traceback.extract_tb(trace)[-8:]
    return " > ".join(f"{frame.name} {frame.filename}:{frame.lineno}" for frame in frames)
