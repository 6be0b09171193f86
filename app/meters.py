"""Counts and times what this process does, and adds it to Redis where all processes' figures meet.

Callers touch a dictionary and go on. A thread sends what has come together every two seconds, in
one script that Redis carries out at most once; what cannot be sent waits here, a bounded number of
series, however long Redis is away. `turnkey:meters` holds the totals since Redis was last emptied,
`turnkey:meters:<minute>` what came in during that minute, and `turnkey:gauges` the last word of
each living process.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app import clock
from app.domain.measures import COUNTER, DURATION, GAUGE, MEASURES, Measure, bucket_of

log = logging.getLogger(__name__)

TOTALS: Final = "turnkey:meters"
GAUGES: Final = "turnkey:gauges"
FLUSH_SECONDS = 2.0
#: series a process keeps at most; the product has a few hundred
MOST_SERIES = 5_000
#: how long a minute's figures wait to be collected
MINUTE_SECONDS = 3600
#: a process that has said nothing for so long no longer counts in a gauge
GAUGE_SECONDS = 30.0
PATIENCE_SECONDS = 1.0
#: how long a process that ends waits for its thread to finish sending, and then for Redis
LEAVE_SECONDS = 0.3

#: Adds each pair to the totals and to its minute, unless this very batch has been added before:
#: an answer that was lost must not count everything twice.
_ADD = """
if redis.call('SET', KEYS[3], '1', 'NX', 'EX', 300) then
  for i = 2, #ARGV, 2 do
    redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])
    redis.call('HINCRBY', KEYS[2], ARGV[i], ARGV[i + 1])
  end
  redis.call('EXPIRE', KEYS[2], ARGV[1])
end
"""

#: name of the measure and the values of its labels, in their order
Series = tuple[str, ...]
#: per series: how many, the sum in microseconds, and the buckets of a duration
Cells = list[int]
Sampler = Callable[[], Mapping[Series, float]]

_LABELS = {name: measure.labels for name, measure in MEASURES.items()}
_KINDS = {name: measure.kind for name, measure in MEASURES.items()}


def _namer(measure: Measure) -> Callable[[dict[str, str]], Series]:
    """What makes a series of the labels a caller gave: every request pays for this."""
    name, labels = measure.name, measure.labels
    if len(labels) > 1:
        values = itemgetter(*labels)
        return lambda given: (name, *values(given))
    if labels:
        label = labels[0]
        return lambda given: (name, given[label])
    alone = (name,)
    return lambda given: alone


def _namers(kind: str) -> dict[str, Callable[[dict[str, str]], Series]]:
    return {name: _namer(each) for name, each in MEASURES.items() if each.kind == kind}


_COUNTERS, _DURATIONS, _GAUGES = _namers(COUNTER), _namers(DURATION), _namers(GAUGE)


@dataclass(slots=True)
class _Batch:
    """What is on its way; the same key until Redis has said that it has it."""

    key: str
    cells: dict[Series, Cells]


class _Meters:
    """The figures of one process."""

    def __init__(self) -> None:
        self.url: str | None = None
        self.samplers: dict[str, Sampler] = {}
        self.reset()

    def reset(self) -> None:
        """Begin with nothing: at the start, and in a child, whose parent sends its own."""
        self.lock = threading.Lock()
        self.sending = threading.Lock()
        self.cells: dict[Series, Cells] = {}
        self.gauges: dict[Series, float] = {}
        self.batch: _Batch | None = None
        self.thread: threading.Thread | None = None
        self.client: Redis | None = None
        self.silent = False
        self.leaving = threading.Event()
        self.process = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"

    def add(self, series: Series, number: int, micros: int, bucket: int) -> None:
        with self.lock:
            cells = self.cells.get(series)
            if cells is None:
                if len(self.cells) >= MOST_SERIES:
                    return
                cells = self.cells[series] = [0, 0] if bucket < 0 else [0, 0, *_NO_BUCKETS]
            cells[0] += number
            if bucket >= 0:
                cells[1] += micros
                cells[2 + bucket] += 1
        if self.thread is None:
            self.start()

    def start(self) -> None:
        """The thread that sends, from the first figure on."""
        with self.lock:
            if self.thread is None and self.url is not None:
                self.thread = threading.Thread(target=self.run, name="meters", daemon=True)
                self.thread.start()

    def run(self) -> None:
        leaving = self.leaving
        while not leaving.wait(FLUSH_SECONDS):
            self.flush()

    def flush(self) -> bool:
        """Send what there is; whether nothing is left. Raises nothing."""
        with self.sending:
            try:
                while self._take():
                    self._send()
                self._say_gauges()
            except Exception as error:
                if not self.silent:
                    log.info("meters wait for Redis: %s", type(error).__name__)
                self.silent = True
                return False
        self.silent = False
        return True

    def _take(self) -> bool:
        """Have a batch to send, the one that could not be sent first."""
        if self.batch is None:
            with self.lock:
                if not self.cells:
                    return False
                cells, self.cells = self.cells, {}
            self.batch = _Batch(f"{TOTALS}:sent:{secrets.token_hex(8)}", cells)
        return True

    def _send(self) -> None:
        assert self.batch is not None
        pairs: list[str | int] = [MINUTE_SECONDS]
        for series, cells in self.batch.cells.items():
            name = json.dumps(series, separators=(",", ":"), ensure_ascii=False)
            for part, value in zip(_PARTS, cells, strict=False):
                if value:
                    pairs += (f"{part}|{name}", value)
        keys = [TOTALS, minute_key(clock.utcnow()), self.batch.key]
        self._redis().eval(_ADD, len(keys), *keys, *pairs)
        self.batch = None

    def _say_gauges(self) -> None:
        values = dict(self.gauges)
        for sampler in list(self.samplers.values()):
            values.update(sampler())
        if values:
            said = {
                "at": clock.utcnow().timestamp(),
                "values": [[*k, v] for k, v in values.items()],
            }
            self._redis().hset(GAUGES, self.process, json.dumps(said))

    def _redis(self) -> Redis:
        if self.client is None:
            self.client = self._connect(PATIENCE_SECONDS, 1)
        return self.client

    def _connect(self, patience: float, retries: int) -> Redis:
        assert self.url is not None
        return Redis.from_url(
            self.url,
            socket_connect_timeout=patience,
            socket_timeout=patience,
            retry=Retry(NoBackoff(), retries),
        )

    def leave(self) -> None:
        """Send the rest, and be no longer counted among the living. A Redis that is away is not
        waited for: a process has little time to end."""
        if self.url is None or (self.thread is None and not self.cells):
            return
        self.leaving.set()
        away, self.silent = self.silent, True  # where a log line would go may be closed by now
        if away or not self.sending.acquire(timeout=LEAVE_SECONDS):
            return
        self.client = self._connect(LEAVE_SECONDS, 0)
        self.sending.release()
        if self.flush():
            try:
                self._redis().hdel(GAUGES, self.process)
            except Exception:
                log.debug("meters left unannounced")


_PARTS: Final = ("n", "s", *(str(index) for index in range(64)))
_NO_BUCKETS: Final = (0,) * (bucket_of(float("inf")) + 1)
_here = _Meters()


def start(redis_url: str) -> None:
    """Where the figures go; nothing is sent before there is one."""
    _here.url = redis_url
    _here.client = None


def count(name: str, n: int = 1, /, **labels: str) -> None:
    """Count `n` of a counter in `domain.measures`. Raises nothing, and never waits."""
    try:
        _here.add(_COUNTERS[name](labels), n, 0, -1)
    except Exception:
        log.debug("not counted: %s", name)


def observe(name: str, seconds: float, /, **labels: str) -> None:
    """Note how long something took. Raises nothing, and never waits."""
    try:
        seconds = seconds if seconds > 0 else 0.0
        _here.add(_DURATIONS[name](labels), 1, int(seconds * 1_000_000), bucket_of(seconds))
    except Exception:
        log.debug("not observed: %s", name)


def gauge(name: str, value: float, /, **labels: str) -> None:
    """Say how much there is of something in this process; all processes' values are added up."""
    try:
        _here.gauges[_GAUGES[name](labels)] = value
    except Exception:
        log.debug("not gauged: %s", name)


def sample(name: str, sampler: Sampler) -> None:
    """Ask `sampler` for gauges each time figures are sent; a later one of that name replaces it."""
    _here.samplers[name] = sampler


def flush() -> bool:
    """Send now; False when Redis did not take it, and it stays for later."""
    return _here.url is not None and _here.flush()


def leave() -> None:
    """For a process that ends without Python's exit handlers: send the rest."""
    _here.leave()


def minute_key(moment: datetime) -> str:
    """Where the figures of a minute are."""
    return f"{TOTALS}:{moment:%Y%m%dT%H%M}"


def read(raw: Mapping[bytes, Any]) -> dict[Series, Cells]:
    """A hash of Redis as figures: number, sum in microseconds, buckets. What is not ours is left
    out, as are measures that this version does not know."""
    found: dict[Series, Cells] = {}
    for field, value in raw.items():
        known = _field(field)
        if known is None:
            continue
        series, index, size = known
        cells = found.get(series)
        if cells is None:
            cells = found[series] = [0] * size
        try:
            cells[index] = int(value)
        except (ValueError, IndexError):
            continue
    return found


@lru_cache(maxsize=20_000)
def _field(field: bytes) -> tuple[Series, int, int] | None:
    """Which series a field of the hash belongs to, which of its cells it is, and how many it has;
    the same fields come with every reading."""
    part, _, name = field.partition(b"|")
    try:
        series: Series = tuple(json.loads(name))
        if len(series) != len(_LABELS[series[0]]) + 1:
            return None
        size = len(_NO_BUCKETS) + 2 if _KINDS[series[0]] is DURATION else 2
        index = _PARTS.index(part.decode())
    except (ValueError, KeyError, IndexError, TypeError):
        return None
    return (series, index, size) if index < size else None


def read_gauges(raw: Mapping[bytes, bytes], now: float) -> dict[Series, float]:
    """What the living processes said, added up. `now` is Unix time."""
    found: dict[Series, float] = {}
    for said in raw.values():
        try:
            document = json.loads(said)
            if now - document["at"] > GAUGE_SECONDS:
                continue
            for *series, value in document["values"]:
                if len(series) == len(_LABELS[series[0]]) + 1:
                    key = tuple(series)
                    found[key] = found.get(key, 0.0) + value
        except (ValueError, KeyError, IndexError, TypeError):
            continue
    return found


def forgotten(raw: Mapping[bytes, bytes], now: float) -> list[bytes]:
    """The processes whose last word is an hour old."""
    gone = []
    for process, said in raw.items():
        try:
            old = now - json.loads(said)["at"] > MINUTE_SECONDS
        except (ValueError, KeyError, TypeError):
            old = True
        if old:
            gone.append(process)
    return gone


os.register_at_fork(after_in_child=lambda: _here.reset())
atexit.register(leave)
