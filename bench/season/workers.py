"""What the product's processes would do, done by one thread at the moments they would do it.

Alarms are moved into line by the keeper's own function, jobs are taken off RQ's queues and run by
the product's worker class, the schedule is the registry's. Three things are not as often as in
life, because nothing would be found: see `COARSE`, and the sweep, which runs on its grid of ten
seconds when a row is due that no job has taken up, and hourly anyway.
"""

from __future__ import annotations

import contextlib
import heapq
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import redis as redis_py
from flask import Flask
from sqlalchemy import text
from structlog.contextvars import get_contextvars

from app.queue import scripts
from app.queue import worker as worker_module
from app.queue.client import Alarm, place
from app.queue.interrupts import Interrupts
from app.queue.keeper import UPKEEP_SECONDS, promote
from app.queue.registry import JOBS, QUEUES, JobSpec
from app.queue.schedule import interval, next_run, wanted
from app.services import maintenance
from app.transaction import transaction
from bench.season.patience import Patience
from bench.season.timekeeping import SeasonClock
from bench.season.trouble import Killed, Trouble

#: periodic jobs that the season runs less often than the registry, in minutes
COARSE = {
    "maintenance.watch": 60,
    "alerts.evaluate": 120,
    "metrics.collect": 120,
    "rooms.sync": 60,
    "holds.reap": 240,
    "locks.refresh": 20,
    "privacy.tick": 240,
}
#: run otherwise: the sweep when something is due (and the reaper with it, when a hold has ended),
#: heartbeats with the alerts
APART = ("maintenance.sweep", "maintenance.heartbeat")
#: runs that are played when their channel had news or trouble since the last one, and otherwise
#: after so many hours
QUIET = {
    "reconciliation.tick_stays": ("stays", 2),
    "reconciliation.tick_beds24_bookings": ("beds24", 2),
    "reconciliation.tick_beds24_availability": ("beds24", 4),
}
HOURLY = timedelta(hours=1)
FAR = datetime.max.replace(tzinfo=UTC)

#: the earliest moment at which some row is due, by the rows alone
_NEXT_DUE = """
SELECT least(
  (SELECT min(next_attempt_at) FROM pin_jobs
    WHERE next_attempt_at IS NOT NULL AND lease_until IS NULL),
  (SELECT min(lease_until) FROM pin_jobs WHERE lease_until IS NOT NULL),
  (SELECT min(coalesce(next_attempt_at, received_at)) FROM channel_events
    WHERE status IN ('received', 'retrying')),
  (SELECT min(coalesce(lease_until, received_at)) FROM channel_events
    WHERE status = 'processing'),
  (SELECT min(greatest(next_read_at, coalesce(read_lease_until, next_read_at)))
    FROM locks WHERE id::text <> ALL(:held)),
  (SELECT min(coalesce(lease_until, started_at)) FROM reconciliation_logs
    WHERE status = 'pending'),
  (SELECT min(next_attempt_at) FROM reconciliation_logs WHERE next_attempt_at IS NOT NULL),
  (SELECT min(hold_expires_at) FROM inventory_holds WHERE status = 'active'),
  (SELECT min(check_in_at) - interval '22 hours 15 minutes' FROM reservations
    WHERE accommodation_id IS NULL AND check_in_at > :now
      AND status IN ('confirmed', 'pending_sync', 'pending')))
"""

_HOLD_ENDED = """
SELECT EXISTS (SELECT FROM inventory_holds WHERE status = 'active' AND hold_expires_at <= :now)
"""


class _Unlimited(Interrupts):
    """A job may take as long as the real clock wants."""

    @contextlib.contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        yield


class _JobLog:
    """In place of the worker's log: what failed, by job and error."""

    def __init__(self, failures: Counter[str]) -> None:
        self.failures = failures

    def error(self, event: str, **fields: Any) -> None:
        job = get_contextvars().get("job", "?")
        where = str(fields.get("stack", "")).rpartition(" > ")[2].rpartition("/")[2]
        self.failures[f"{job}: {fields.get('error', event)} {where}".strip()] += 1

    def info(self, event: str, **fields: Any) -> None:
        return

    debug = warning = info


class _Worker(worker_module.JobWorker):
    """The product's worker, of which RQ's tools need not know what it does."""

    def _note_state(self, state: str, job_id: str | None) -> None:
        return


class Workers:
    """Runs everything that is due, and says when something will be."""

    def __init__(self, app: Flask, clock: SeasonClock, trouble: Trouble) -> None:
        self.app, self.clock, self.trouble = app, clock, trouble
        self.jobs: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.seconds: Counter[str] = Counter()
        self.sweeps = 0
        worker_module.log = _JobLog(self.failures)
        self._worker = _Worker(app, "season", QUEUES, _Unlimited())
        self.redis: redis_py.Redis = self._worker.connection
        self._ticks = [(next_run(spec, clock.true), spec.name) for spec in self._periodic()]
        heapq.heapify(self._ticks)
        self._played = dict.fromkeys(QUIET, clock.true - timedelta(days=1))
        self._patience = Patience(trouble.store, clock, trouble)
        self._hourly = clock.true
        self._sweep_at = clock.true
        self._stirred = True
        self._seen_due: datetime | None = None

    def next(self) -> datetime:
        """The next moment, in true time, at which there is something to do."""
        alarm = self._next_alarm()
        if self._stirred:
            self._plan_sweep()
        look = self._patience.next(FAR)
        return min(alarm, self._true(self._ticks[0][0]), self._sweep_at, look)

    def work(self) -> None:
        """Everything that is due now, and everything that follows from it at once."""
        now = self.clock.product()
        while self._ticks[0][0] <= now:
            self._tick()
        if self.clock.true >= self._sweep_at:
            self._sweep()
        if found := self._patience.released():
            place([Alarm("credentials.read_lock", lock_id) for lock_id in found])
        promote(self.redis)
        self.drain()

    @property
    def spared(self) -> int:
        """Readings that were held back because they would have told nothing new."""
        return self._patience.spared

    def stir(self) -> None:
        """Something has been written; what is due next has to be found anew."""
        self._stirred = True

    def drain(self) -> None:
        """Do jobs until none is in line."""
        while (waiting := self._in_line()) is not None:
            job = self._worker._claim(*waiting)
            if job is None:
                continue
            self._stirred = True
            name = job.description or "?"
            if name == "credentials.read_lock" and self._patience.spares(str(job.args[0])):
                continue
            self.jobs[name] += 1
            begin = time.perf_counter()
            self.trouble.working = True
            try:
                self._worker._do(job)
            except Killed:
                pass  # another process takes its place; the rows say what it had in hand
            finally:
                self.trouble.working = False
            self.seconds[name] += time.perf_counter() - begin  # type: ignore[assignment]

    def _in_line(self) -> tuple[Any, bytes] | None:
        for queue in self._worker.queues:
            raw = self.redis.lpop(queue.key)
            if raw is not None:
                return queue, raw  # type: ignore[return-value]
        return None

    def _periodic(self) -> list[JobSpec]:
        return [spec for spec in wanted() if spec.name not in APART]

    def _tick(self) -> None:
        at, name = heapq.heappop(self._ticks)
        spec = JOBS[name]
        coarse = COARSE.get(name)
        if coarse is not None and (interval(spec) or timedelta(0)) < timedelta(minutes=coarse):
            following = at + timedelta(minutes=coarse)
        else:
            following = next_run(spec, at)
        heapq.heappush(self._ticks, (following, name))
        if name in QUIET and self._is_quiet(name):
            return
        if name == "alerts.evaluate":
            for kind in ("web", "worker", "clock"):
                maintenance.heartbeat(kind, f"{kind}@season:1")
        with contextlib.suppress(redis_py.RedisError):
            place([Alarm(name)])

    def _is_quiet(self, name: str) -> bool:
        """Whether this run would find its channel as the last one did."""
        channel, hours = QUIET[name]
        now, last = self.clock.true, self._played[name]
        news = self.trouble.post.changed_at.get(channel)
        if (
            now - last < timedelta(hours=hours)
            and (news is None or news < last)
            and not self.trouble.during(channel, last, now)
        ):
            return True
        self._played[name] = now
        return False

    def _sweep(self) -> None:
        begin = time.perf_counter()
        self.sweeps += 1
        self._stirred = True
        while self._hourly <= self.clock.true:
            self._hourly += HOURLY
        maintenance.sweep()
        with transaction() as session:
            if session.scalar(text(_HOLD_ENDED), {"now": self.clock.product()}):
                place([Alarm("holds.reap")])
        self.seconds["maintenance.sweep"] += time.perf_counter() - begin  # type: ignore[assignment]

    def _plan_sweep(self) -> None:
        """The sweep's next turn at which it would find something, in true time."""
        self._stirred = False
        now = self.clock.product()
        with transaction() as session:
            due = session.scalar(text(_NEXT_DUE), {"now": now, "held": list(self._patience.held)})
        if due is None:
            self._sweep_at = self._hourly
            return
        # What the last sweep left alone is looked at again by the minute.
        patience = 60 if due == self._seen_due and due <= now else UPKEEP_SECONDS
        self._seen_due = due
        earliest = max(self._true(due), self.clock.true)
        self._sweep_at = min(earliest + timedelta(seconds=patience), self._hourly)

    def _next_alarm(self) -> datetime:
        with self.redis.pipeline(transaction=False) as pipe:
            for queue in QUEUES:
                pipe.zrange(scripts.scheduled_key(queue), 0, 0, withscores=True)
            first = [answer[0][1] for answer in pipe.execute() if answer]
        if not first:
            return FAR
        return self._true(datetime.fromtimestamp(min(first), UTC))

    def _true(self, moment: datetime) -> datetime:
        """When the product's clock will show `moment`."""
        return moment - self.clock.skew
