"""Spares the readings of locks that would answer word for word as they did before.

A sleeping lock that owes an answer is read every ten minutes, and by the minute before an arrival.
While its list at the cloud is the same as in the last six readings, the season holds further ones
back, looks every five minutes whether it still is, and has it read two hours later anyway. Nothing
is held back while the cloud is in trouble.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from app.models import Lock
from app.sandbox import lock_device
from app.sandbox.store import Store
from app.transaction import transaction
from bench.season.timekeeping import SeasonClock
from bench.season.trouble import Trouble

ALIKE = 6
LONGEST = timedelta(hours=2)
LOOK = timedelta(minutes=5)


class Patience:
    """Which readings are held back, and until when."""

    def __init__(self, store: Store, clock: SeasonClock, trouble: Trouble) -> None:
        self.store, self.clock, self.trouble = store, clock, trouble
        with transaction() as session:
            rows = session.execute(select(Lock.id, Lock.device_id))
            self._doors = {str(row.id): row.device_id for row in rows}
        self._lists: dict[str, object] = {}
        self._alike: Counter[str] = Counter()
        self._read_at: dict[str, datetime] = {}
        self.held: set[str] = set()
        self.spared = 0
        self._look_at = clock.true

    def next(self, never: datetime) -> datetime:
        """When to look again whether something has changed."""
        return self._look_at if self.held else never

    def spares(self, lock_id: str) -> bool:
        """Whether a reading that is due would tell nothing new; notes the others."""
        if lock_id not in self._doors:
            return False
        if self._is_same(lock_id):
            if not self.held:
                self._look_at = self.clock.true + LOOK
            self.held.add(lock_id)
            self.spared += 1
            return True
        found = self._list(lock_id)
        same = self._lists.get(lock_id) == found
        self._alike[lock_id] = self._alike[lock_id] + 1 if same else 0
        self._lists[lock_id], self._read_at[lock_id] = found, self.clock.true
        return False

    def released(self) -> list[str]:
        """The locks that are to be read after all."""
        if not self.held or self.clock.true < self._look_at:
            return []
        self._look_at = self.clock.true + LOOK
        free = [lock_id for lock_id in self.held if not self._is_same(lock_id)]
        self.held.difference_update(free)
        return sorted(free)

    def _is_same(self, lock_id: str) -> bool:
        now, read_at = self.clock.true, self._read_at.get(lock_id)
        return (
            read_at is not None
            and self._alike[lock_id] >= ALIKE
            and now - read_at < LONGEST
            and not self.trouble.during("tuya", read_at, now)
            and self._lists[lock_id] == self._list(lock_id)
        )

    def _list(self, lock_id: str) -> tuple[Any, ...]:
        """What the cloud would answer, and whether the lock is there."""
        with self.store.open(changes=False) as world:
            lock = world.locks[self._doors[lock_id]]
            lock_device.advance(world, lock, self.clock.true.timestamp())
            codes = tuple(
                (code.id, code.phase, code.pending, code.delivery, code.effective, code.invalid)
                for code in lock.codes.values()
            )
            return lock_device.is_offline(world, lock), codes
