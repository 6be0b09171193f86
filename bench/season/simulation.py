"""The season itself: one heap of moments, and the product's own between them."""

from __future__ import annotations

import gc
import heapq
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask

from app import clock as product_clock
from app.extensions import db
from app.sandbox import faults
from app.sandbox.app import create_sandbox
from app.sandbox.context import Sandbox
from app.sandbox.credentials import credentials, load_keys
from app.sandbox.server import make
from app.services import reconciliation
from bench.season import demand, leaks, premises
from bench.season.desk import Desk
from bench.season.excuses import Excuses
from bench.season.guests import Guests
from bench.season.judge import Judge
from bench.season.ledger import Ledger
from bench.season.post import Post
from bench.season.timekeeping import SeasonClock
from bench.season.trouble import Trouble
from bench.season.workers import Workers

MakeApp = Callable[[Mapping[str, str]], Flask]
#: a day of rest at the end: nothing goes wrong any more, and what is under way comes to its end
REST = timedelta(hours=6)
ONE_HOUR = timedelta(hours=1)
#: the clocks of Lisbon go back on 25 October
FIRST, ZONE = date(2026, 9, 14), "Europe/Lisbon"


@dataclass(frozen=True, slots=True)
class Options:
    """What kind of season it is. The same options, the same plan of bookings and troubles."""

    days: int = 90
    rooms: int = 120
    seed: int = 1
    first: date = FIRST
    zone: str = ZONE
    bookings: Path | None = None
    with_faults: bool = True
    #: the share of all nights that somebody asks for
    asked: float = demand.OCCUPANCY
    #: they book so many times as early as in life; seasons of a few days would see no booking made
    ahead: float = 1.0
    #: so many times as much goes wrong as in a usual month; for seasons of a few days
    harder: float = 1.0


class Season:
    """Everything that takes part, wired together; `play()` plays it."""

    def __init__(
        self, options: Options, make_app: MakeApp, database_url: str, directory: Path
    ) -> None:
        self.options = options
        self._heap: list[tuple[datetime, int, Callable[[], None]]] = []
        self._number = itertools.count()
        dice = Random(options.seed)
        self.premises = premises.plan(options.rooms, options.zone)
        self.demands = self._demands(Random(dice.random()))
        zone = ZoneInfo(options.zone)
        self.start = self.premises.local(options.first, 6)
        self.end = self.premises.local(options.first + timedelta(days=options.days), 6)
        first = min((each.booked_at for each in self.demands), default=self.start)
        self.clock = SeasonClock(min(first, self.start))
        self.zone = zone
        sandbox_app = create_sandbox(
            directory / "sandbox",
            keys=load_keys(directory),
            clock=self.clock.vendors,
            with_demo=False,
        )
        self.sandbox: Sandbox = sandbox_app.extensions["sandbox"]
        with self.sandbox.store.open() as world:
            premises.build(self.premises, world, Random(dice.random()))
        self._server = make(sandbox_app, 0)
        self.clock.govern(database_url)
        environment = credentials(directory, port=self._server.server_port)
        self.app = make_app(environment)
        self.post = Post(
            self.sandbox.store,
            self.sandbox.keys,
            clock=self.clock,
            dice=Random(dice.random()),
            client=self.app.test_client(),
            plan=self.plan,
        )
        self.sandbox.webhooks = self.post
        self.ledger = Ledger(self.premises, Random(dice.random()))
        self.trouble = Trouble(
            self.sandbox.store,
            self.clock,
            self.post,
            Random(dice.random()),
            self.plan,
            lambda: self.workers.redis.flushdb(),
        )
        self.excuses = Excuses(self.premises, self.trouble, self.clock)
        self.judge = Judge(
            self.premises,
            self.sandbox,
            self.ledger,
            self.clock,
            Random(dice.random()),
            self.plan,
            self.excuses,
        )
        self.desk = Desk(self.app.test_client(), self.premises, lambda: self.workers.stir())
        self.judge.desk = self.excuses.desk = self.desk
        self.guests = Guests(
            self.premises,
            self.sandbox,
            self.ledger,
            self.clock,
            Random(dice.random()),
            self.plan,
            self.desk,
            self.judge,
        )
        self._is_enough = False
        self.moments = 0
        self.seconds = 0.0

    def plan(self, at: datetime, act: Callable[[], None]) -> None:
        """Have something happen at a moment."""
        heapq.heappush(self._heap, (at, next(self._number), act))

    def stop(self) -> None:
        """End it with the day that is being played."""
        self._is_enough = True

    @property
    def days(self) -> int:
        """How many days are played: as many as were asked for, unless it was stopped."""
        return round((self.end - self.start) / timedelta(days=1))

    @contextmanager
    def open(self) -> Iterator[None]:
        """The stand-ins answer, the clock rules and a context is pushed, for a block."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            with leaks.closed(self.clock), self.app.app_context():
                yield
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()
            self.clock.close()
            with self.app.app_context():
                db.engine.dispose()

    def play(self, say: Callable[[str], None] = lambda line: None) -> None:
        """From the bookings made before it to the day of rest after it."""
        gc.collect()
        gc.freeze()  # the product's own objects need not be looked through again and again
        begin = time.perf_counter()
        self._before()
        self._begin()
        self._until(self.end, say)
        self._heal()
        self._until(self.end + REST, say)
        self.seconds = time.perf_counter() - begin
        gc.unfreeze()

    def _demands(self, dice: Random) -> list[demand.Demand]:
        options = self.options
        if options.bookings is not None:
            return demand.read(
                options.bookings,
                dice,
                options.first,
                options.days,
                nights_asked=options.rooms * options.days * options.asked,
            )
        return demand.drawn(
            dice,
            options.first,
            options.days,
            options.rooms,
            asked=options.asked,
            ahead=options.ahead,
        )

    def _before(self) -> None:
        """What was booked before the season: at the channels, and not yet known to the product."""
        for wanted in self.demands:
            self.plan(wanted.booked_at, lambda wanted=wanted: self.guests.book(wanted))  # type: ignore[misc]
        while self._heap and self._heap[0][0] < self.start:
            at, _, act = heapq.heappop(self._heap)
            self.clock.move(at)
            act()
        self.clock.move(self.start)

    def _begin(self) -> None:
        """The house is furnished and asks its channels for the first time."""
        premises.furnish(self.premises)
        self.workers = Workers(self.app, self.clock, self.trouble)
        self.post.quiet = False
        self.guests.begin()
        for day in range(self.options.days + 1):
            at = self.premises.local(self.options.first + timedelta(days=day), 10.5)
            self.plan(at, self.guests.round)
        hours = int((self.end - self.start) / ONE_HOUR)
        for hour in range(1, hours):
            self.plan(self.start + hour * ONE_HOUR, self.judge.strangers)
        for day in range(self.options.days + 1):
            for hour in range(8, 23):
                at = self.premises.local(self.options.first + timedelta(days=day), hour + 0.05)
                self.plan(at, self.desk.retry_deliveries)
        if self.options.with_faults:
            doors = [room.device_id for room in self.premises.rooms]
            self.trouble.arrange(
                self.start + 6 * ONE_HOUR, self.end, doors, harder=self.options.harder
            )
        since = product_clock.utcnow() - timedelta(days=700)
        reconciliation.start("stays", trigger="command", since=since)
        if self.premises.of(premises.NAMED, premises.ANY):
            reconciliation.start_all("beds24_bookings", trigger="command")

    def _until(self, end: datetime, say: Callable[[str], None]) -> None:
        day = self.clock.true
        with self.trouble.deadly():
            while True:
                moment = min(self.workers.next(), self._heap[0][0] if self._heap else end)
                if moment >= end:
                    break
                self.clock.move(moment)
                self._turn()
                if self.clock.true >= day:
                    say(f"{day:%Y-%m-%d}")
                    day += timedelta(days=1)
                    if self._is_enough and day < end:
                        end = self.end = day
        self.clock.move(end)

    def _turn(self) -> None:
        self.moments += 1
        acted = False
        while self._heap and self._heap[0][0] <= self.clock.true:
            heapq.heappop(self._heap)[2]()
            acted = True
        if acted:
            self.workers.stir()
        self.workers.work()

    def _heal(self) -> None:
        """Nothing goes wrong any more."""
        with self.sandbox.store.open() as world:
            faults.switch_off(world)
        self.post.chance = {}
        self.clock.step(timedelta(0))
        self.guests.booking = False

    def details(self) -> dict[str, Any]:
        """How much was played, for the report."""
        return {"moments": self.moments, "seconds": round(self.seconds, 1)}
