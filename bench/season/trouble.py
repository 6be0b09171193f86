"""What goes wrong: a seeded plan of outages, sleeping doors, dead workers and wrong clocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from threading import current_thread, main_thread
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from app.integrations import http
from app.integrations.locks.tuya import cloud
from app.sandbox import faults
from app.sandbox.store import Store
from bench.season.post import Post
from bench.season.timekeeping import SeasonClock

Plan = Callable[[datetime, Callable[[], None]], None]
HOUR = 3600.0

#: (scope, kind, chance in per cent, shortest and longest in hours, how often in a month)
VENDORS = (
    ("stays", "down", 100, 0.2, 5, 4),
    ("beds24", "down", 100, 0.2, 5, 4),
    ("tuya", "down", 100, 0.1, 2.5, 4),
    ("stays", "500", 50, 0.5, 3, 2),
    ("beds24", "500", 50, 0.5, 3, 2),
    ("tuya", "500", 40, 0.5, 3, 3),
    ("stays", "half", 40, 0.5, 2, 2),
    ("beds24", "half", 40, 0.5, 2, 2),
    ("tuya", "half", 30, 0.3, 2, 2),
    ("stays", "html", 60, 0.3, 2, 2),
    ("beds24", "429", 60, 0.2, 1, 2),
    ("stays", "429", 60, 0.2, 1, 2),
    ("tuya", "429", 40, 0.2, 1, 2),
    ("tuya", "rate", 40, 0.2, 1, 2),
    ("tuya", "busy", 30, 0.2, 2, 2),
    ("tuya", "lost", 30, 0.2, 3, 5),
    ("beds24", "lost", 30, 0.2, 3, 4),
    ("tuya", "quota", 100, 0.3, 1.5, 1),
    ("tuya", "token_expired", 100, 0, 0, 6),
    ("beds24", "401", 100, 0, 0, 4),
)
#: (kind, shortest and longest in hours, how often a month in a house of 120 rooms)
DOORS = (
    ("offline", 0.5, 30, 16),
    ("sleeping", 1, 10, 8),
    ("full", 0.5, 6, 5),
    ("fail", 0.5, 4, 5),
    ("drop", 0.5, 3, 5),
)
MONTH_HOURS = 30 * 24.0


class Killed(BaseException):
    """The worker is dead from this line on. Not an `Exception`: nothing may handle it."""


@dataclass(frozen=True, slots=True)
class Spell:
    """A time in which something was wrong; `scope` a vendor or a door."""

    scope: str
    kind: str
    start: datetime
    end: datetime


class Trouble:
    """Plans what goes wrong, does it, and remembers when what was wrong."""

    def __init__(
        self,
        store: Store,
        clock: SeasonClock,
        post: Post,
        dice: Random,
        plan: Plan,
        empty_redis: Callable[[], object],
    ) -> None:
        self.store, self.clock, self.post = store, clock, post
        self.dice, self.plan = dice, plan
        self.empty_redis = empty_redis
        self.spells: list[Spell] = []
        self.counts: Counter[str] = Counter()
        self.working = False  # whether a worker has a job in hand, and can be killed
        self._armed = ""  # where the next death strikes
        self._harder = 1.0

    def arrange(
        self, start: datetime, end: datetime, doors: list[str], *, harder: float = 1.0
    ) -> None:
        """Put everything that will go wrong between two moments into the season's plan."""
        self._harder = harder
        hours = (end - start).total_seconds() / HOUR
        for scope, kind, chance, least, most, often in VENDORS:
            for at in self._moments(start, hours, often):
                self._spell(at, scope, kind, self.dice.uniform(least, most), chance=chance)
        for kind, least, most, often in DOORS:
            for at in self._moments(start, hours, often * len(doors) / 120):
                self._spell(at, self.dice.choice(doors), kind, self.dice.uniform(least, most))
        self.post.chance = {"lost": 0.02, "late": 0.02, "duplicated": 0.04, "reordered": 0.04}
        for at in self._moments(start, hours, 2):
            self._silent_post(at, self.dice.uniform(2, 20))
        for at in self._moments(start, hours, 15):
            self.plan(at, self._empty)
        for at in self._moments(start, hours, 200):
            self.plan(at, self._arm)
        for at in self._moments(start, hours, 6):
            self._wrong_clock(at)
        for at in self._moments(start, hours, 10 * len(doors) / 120):
            self._low_battery(at, self.dice.choice(doors))

    def during(self, scope: str, start: datetime, end: datetime, *kinds: str) -> list[Spell]:
        """What was wrong with a scope at any time between two moments."""
        return [
            spell
            for spell in self.spells
            if spell.scope == scope
            and spell.start < end
            and spell.end > start
            and (not kinds or spell.kind in kinds)
        ]

    def _moments(self, start: datetime, hours: float, monthly: float) -> Iterator[datetime]:
        expected = monthly * hours / MONTH_HOURS * self._harder
        count = int(expected) + (self.dice.random() < expected % 1)
        for _ in range(count):
            yield start + timedelta(hours=self.dice.uniform(0, hours))

    def _spell(
        self, at: datetime, scope: str, kind: str, hours: float, *, chance: int = 100
    ) -> None:
        end = at + timedelta(hours=hours)
        self.spells.append(Spell(scope, kind, at, end))

        def begin() -> None:
            self.counts[f"{scope if len(scope) < 10 else 'lock'}: {kind}"] += 1
            with self.store.open() as world:
                fault = faults.switch_on(world, scope, kind, chance=chance)
            if hours:
                self.plan(end, lambda: self._end(fault.id))

        self.plan(at, begin)

    def _end(self, fault_id: int) -> None:
        with self.store.open() as world:
            faults.switch_off(world, fault_id)

    def _silent_post(self, at: datetime, hours: float) -> None:
        end = at + timedelta(hours=hours)
        self.spells.append(Spell("webhooks", "lost", at, end))

        def turn(chance: float) -> None:
            self.counts["webhooks: none arrives"] += chance == 1.0
            self.post.chance["lost"] = chance

        self.plan(at, lambda: turn(1.0))
        self.plan(end, lambda: turn(0.02))

    def _empty(self) -> None:
        self.counts["Redis emptied"] += 1
        self.empty_redis()

    def _wrong_clock(self, at: datetime) -> None:
        """The product's machine is off for a while; then somebody sets it right, in one step."""
        skew = timedelta(seconds=self.dice.choice((-170, -45, -8, 5, 30, 95, 200)))
        end = at + timedelta(minutes=self.dice.uniform(5, 90))
        self.spells.append(Spell("clock", f"{skew.total_seconds():+.0f} s", at, end))

        def begin() -> None:
            self.counts["clock of the product stepped"] += 1
            self.clock.step(skew)

        self.plan(at, begin)
        self.plan(end, lambda: self.clock.step(timedelta(0)))

    def _low_battery(self, at: datetime, door: str) -> None:
        def drain() -> None:
            self.counts["battery low"] += 1
            with self.store.open() as world:
                world.locks[door].battery = self.dice.randint(3, 18)

        def change() -> None:
            with self.store.open() as world:
                world.locks[door].battery = 100

        self.plan(at, drain)
        self.plan(at + timedelta(hours=self.dice.uniform(6, 72)), change)

    def _arm(self) -> None:
        self._armed = self.dice.choice(("before", "after", "commit", "committed"))

    def strike(self, where: str) -> None:
        """Die here, if this is where the next death was planned."""
        if self._armed == where and self.working and current_thread() is main_thread():
            self._armed = ""
            self.counts[f"worker killed {_PLACES[where]}"] += 1
            raise Killed

    @contextmanager
    def deadly(self) -> Iterator[None]:
        """Within the block a job may die: before or after a call to a vendor, before or after a
        commit."""

        def deadly(call: Callable[..., Any]) -> Callable[..., Any]:
            def send(*args: Any, **kwargs: Any) -> Any:
                self.strike("before")
                answer = call(*args, **kwargs)
                self.strike("after")
                return answer

            return send

        def before_commit(session: Session) -> None:
            self.strike("commit")

        close = Session.close

        def closed(session: Session) -> None:
            close(session)
            self.strike("committed")

        over_http, to_locks = http.VendorHttp._send, cloud.TuyaCloud._talk
        http.VendorHttp._send = deadly(over_http)  # type: ignore[method-assign]
        cloud.TuyaCloud._talk = deadly(to_locks)  # type: ignore[method-assign]
        event.listen(Session, "before_commit", before_commit)
        Session.close = closed  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            http.VendorHttp._send = over_http  # type: ignore[method-assign]
            cloud.TuyaCloud._talk = to_locks  # type: ignore[method-assign]
            event.remove(Session, "before_commit", before_commit)
            Session.close = close  # type: ignore[method-assign]


_PLACES = {
    "before": "before a call to a vendor",
    "after": "after a call, its answer untold",
    "commit": "before a commit",
    "committed": "right after a transaction, its orders unsent",
}
