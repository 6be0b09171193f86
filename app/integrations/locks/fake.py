"""Locks in memory, with a cloud that delivers late, a keypad to type on, and failures on order."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field, replace
from datetime import datetime

from app.clock import utcnow
from app.domain.pins import Pin
from app.integrations.errors import (
    IntegrationError,
    LockFull,
    NameTaken,
    NotFound,
    PinTaken,
    Rejected,
    StartInPast,
)
from app.integrations.locks import Device, LockPin, LockPinState, LockTarget, PinOrder

VENDOR = "fake"
_OFF_THE_LOCK = (LockPinState.GONE, LockPinState.FAILED)


@dataclass(slots=True)
class _Entry:
    """A PIN as the cloud keeps it."""

    ref: str
    name: str
    pin: Pin
    valid_from: datetime
    expires_at: datetime
    state: LockPinState = LockPinState.PENDING
    detail: str = "waiting for the lock"


@dataclass(frozen=True, slots=True)
class _Stored:
    """A PIN as the lock keeps it until the next delivery."""

    pin: Pin
    valid_from: datetime
    expires_at: datetime


@dataclass(slots=True)
class FakeLock:
    """One door: what the account lists, and what the lock itself remembers."""

    device: Device
    capacity: int = 100
    asleep: bool = False
    entries: dict[str, _Entry] = field(default_factory=dict)
    memory: dict[str, _Stored] = field(default_factory=dict)


class FakeLocks:
    """A LockClient whose PINs stay pending until `sync`; unless `auto_sync` delivers at once.

    A lock exists from the first call that names it, or from `add_lock`. `calls` counts by method
    and `orders` keeps what was ordered, failed attempts included.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        """Forget everything: locks, failures and counts."""
        with self._lock:
            self.locks: dict[str, FakeLock] = {}
            self.calls: Counter[str] = Counter()
            self.orders: list[PinOrder] = []
            self.offset: float | None = 0.0
            self.auto_sync = False
            self._next_ref = 1000
            self._failures: defaultdict[str, deque[tuple[IntegrationError, bool]]]
            self._failures = defaultdict(deque)

    # What a test or a developer does to the locks

    def add_lock(
        self,
        device_id: str,
        *,
        name: str = "",
        category: str = "ms",
        online: bool = True,
        battery: int | None = 90,
        low_battery: bool = False,
        capacity: int = 100,
        asleep: bool = False,
    ) -> FakeLock:
        """Put a lock in the account, or change the one of that id."""
        device = Device(device_id, name or device_id, category, online, battery, low_battery)
        with self._lock:
            lock = self.locks.setdefault(device_id, FakeLock(device))
            lock.device, lock.capacity, lock.asleep = device, capacity, asleep
            return lock

    def fail_next(
        self,
        call: str,
        error: IntegrationError,
        *,
        after_execution: bool = False,
        times: int = 1,
    ) -> None:
        """Let the next `times` calls of that name raise `error`; with `after_execution` the work
        is done and only the answer is lost."""
        if not callable(getattr(FakeLocks, call, None)):
            raise ValueError(f"no call named {call}")
        with self._lock:
            self._failures[call].extend([(error, after_execution)] * times)

    def sleep(self, device_id: str) -> None:
        """From now on nothing is delivered to this lock."""
        with self._lock:
            self._at(device_id).asleep = True

    def wake(self, device_id: str) -> None:
        """Somebody touched the keypad: the lock fetches what waits for it."""
        with self._lock:
            self._at(device_id).asleep = False
            self.sync(device_id)

    def sync(self, device_id: str | None = None) -> None:
        """Deliver what waits for this lock, or for all; a sleeping lock takes nothing."""
        with self._lock:
            for lock in [self._at(device_id)] if device_id else list(self.locks.values()):
                if not lock.asleep:
                    _deliver(lock)

    def fail_delivery(self, device_id: str, name: str, detail: str = "sending failed") -> None:
        """Let the PIN of this name be refused by the lock after the cloud took it."""
        with self._lock:
            for entry in self._at(device_id).entries.values():
                if entry.name == name:
                    entry.state, entry.detail = LockPinState.FAILED, detail
                    self._at(device_id).memory.pop(entry.ref, None)

    def drop(self, device_id: str, name: str) -> None:
        """Lose the PIN of this name without a trace, as clouds do (contracts/tuya.md §5.2)."""
        with self._lock:
            lock = self._at(device_id)
            for ref in [e.ref for e in lock.entries.values() if e.name == name]:
                del lock.entries[ref]
                lock.memory.pop(ref, None)

    def add_foreign(
        self, device_id: str, name: str, digits: str, valid_from: datetime, expires_at: datetime
    ) -> str:
        """Somebody else's PIN, put on the lock with another app."""
        with self._lock:
            entry = self._new(
                device_id, name, Pin(digits), valid_from, expires_at, LockPinState.INSTALLED
            )
            self._at(device_id).memory[entry.ref] = _Stored(entry.pin, valid_from, expires_at)
            return entry.ref

    def keypad(self, device_id: str, digits: str, at: datetime | None = None) -> bool:
        """Whether these digits open the door at that moment, by what the lock itself remembers."""
        moment = at or utcnow()
        with self._lock:
            return any(
                stored.pin.reveal() == digits and stored.valid_from <= moment < stored.expires_at
                for stored in self._at(device_id).memory.values()
            )

    # LockClient

    def create_pin(self, order: PinOrder) -> str:
        with self._lock:
            self.orders.append(order)
            lost = self._begin("create_pin")
            self._check(order)
            if order.valid_from <= utcnow():
                raise StartInPast("the window starts before now", vendor=VENDOR)
            lock = self._at(order.target.device_id)
            live = [e for e in lock.entries.values() if e.state not in _OFF_THE_LOCK]
            if any(e.name == order.name for e in live):
                raise NameTaken("the name is on the lock already", vendor=VENDOR)
            if any(e.pin == order.pin for e in live):
                raise PinTaken("the lock has a PIN with these digits", vendor=VENDOR)
            if len(live) >= lock.capacity:
                raise LockFull("the lock holds as many PINs as it can", vendor=VENDOR)
            entry = self._new(
                order.target.device_id, order.name, order.pin, order.valid_from, order.expires_at
            )
            self._finish(lock, lost)
            return entry.ref

    def change_pin(self, ref: str, order: PinOrder) -> None:
        with self._lock:
            self.orders.append(order)
            lost = self._begin("change_pin")
            self._check(order)
            lock = self._at(order.target.device_id)
            entry = lock.entries.get(ref)
            if entry is None or entry.state in (*_OFF_THE_LOCK, LockPinState.DELETING):
                raise NotFound("the lock has no such PIN", vendor=VENDOR)
            entry.pin = order.pin
            entry.valid_from, entry.expires_at = order.valid_from, order.expires_at
            entry.state, entry.detail = LockPinState.PENDING, "waiting for the lock"
            self._finish(lock, lost)

    def list_pins(self, target: LockTarget) -> list[LockPin]:
        with self._lock:
            lost = self._begin("list_pins")
            if lost is not None:
                raise lost
            return [
                LockPin(e.ref, e.name, e.state, e.valid_from, e.expires_at, e.detail)
                for e in self._at(target.device_id).entries.values()
            ]

    def delete_pin(self, target: LockTarget, ref: str) -> None:
        with self._lock:
            lost = self._begin("delete_pin")
            lock = self._at(target.device_id)
            entry = lock.entries.get(ref)
            if entry is not None and entry.state is not LockPinState.GONE:
                if ref in lock.memory:
                    entry.state, entry.detail = LockPinState.DELETING, "waiting for the lock"
                else:
                    entry.state, entry.detail = LockPinState.GONE, "removed"
            self._finish(lock, lost)

    def purge_record(self, target: LockTarget, ref: str) -> None:
        with self._lock:
            lost = self._begin("purge_record")
            lock = self._at(target.device_id)
            entry = lock.entries.get(ref)
            if entry is not None and ref not in lock.memory:
                del lock.entries[ref]
            self._finish(lock, lost)

    def devices(self) -> list[Device]:
        with self._lock:
            lost = self._begin("devices")
            if lost is not None:
                raise lost
            return [replace(lock.device) for lock in self.locks.values()]

    def clock_offset(self) -> float | None:
        return self.offset

    # Inside

    def _begin(self, call: str) -> IntegrationError | None:
        """Count the call; raise what was ordered for it, or hand it back to raise at the end."""
        self.calls[call] += 1
        if not self._failures[call]:
            return None
        error, after_execution = self._failures[call].popleft()
        if not after_execution:
            raise error
        return error

    def _finish(self, lock: FakeLock, lost: IntegrationError | None) -> None:
        if self.auto_sync and not lock.asleep:
            _deliver(lock)
        if lost is not None:
            raise lost

    def _at(self, device_id: str) -> FakeLock:
        if device_id not in self.locks:
            self.add_lock(device_id)
        return self.locks[device_id]

    def _new(
        self,
        device_id: str,
        name: str,
        pin: Pin,
        valid_from: datetime,
        expires_at: datetime,
        state: LockPinState = LockPinState.PENDING,
    ) -> _Entry:
        self._next_ref += 1
        entry = _Entry(str(self._next_ref), name, pin, valid_from, expires_at, state)
        self._at(device_id).entries[entry.ref] = entry
        return entry

    @staticmethod
    def _check(order: PinOrder) -> None:
        if len(order.pin) != order.target.pin_length:
            raise Rejected(
                f"this lock takes PINs of {order.target.pin_length} digits", vendor=VENDOR
            )
        if order.expires_at <= order.valid_from:
            raise Rejected("the window ends before it begins", vendor=VENDOR)


def _deliver(lock: FakeLock) -> None:
    for entry in lock.entries.values():
        if entry.state is LockPinState.PENDING:
            lock.memory[entry.ref] = _Stored(entry.pin, entry.valid_from, entry.expires_at)
            entry.state, entry.detail = LockPinState.INSTALLED, "on the lock"
        elif entry.state is LockPinState.DELETING:
            lock.memory.pop(entry.ref, None)
            entry.state, entry.detail = LockPinState.GONE, "removed"


#: the locks of this process, the same for the services and for whoever watches them
SHARED = FakeLocks()


def client_from_settings(settings: object) -> FakeLocks:
    """The shared locks, whatever the settings."""
    return SHARED
