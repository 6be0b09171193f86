"""What happens by itself: codes travel to locks, the demo's stories go on, the state is saved."""

from __future__ import annotations

import contextlib
import threading

from app.sandbox import bookings, lock_device
from app.sandbox.context import Sandbox
from app.sandbox.records import Booking, Lock, World

TICK_SECONDS = 0.5
#: between a PIN's arrival on the lock and the turn of the story, so that the arrival is seen
PAUSE_SECONDS = 10.0


def tick(sandbox: Sandbox) -> None:
    """One step: everything that has become due."""
    now = sandbox.now()
    due: list[str] = []
    with sandbox.store.open() as world:
        for lock in world.locks.values():
            lock_device.advance(world, lock, now)
        for booking in world.bookings.values():
            if booking.story and _is_due(world, booking, now):
                due.append(booking.code)
    for code in due:
        bookings.cancel(sandbox, code)
    sandbox.store.flush()


def _is_due(world: World, booking: Booking, now: float) -> bool:
    lock = world.locks.get(world.listing_of(booking).device_id or "")
    if lock is None or not _holds_guest_code(lock, now):
        return False
    if booking.story_due_at is None:
        booking.story_due_at = now + PAUSE_SECONDS
    if booking.story_due_at > now:
        return False
    if booking.story == "sleep_and_cancel":
        lock.awake_until = 0.0
    booking.story = ""
    return booking.type != "canceled" and not booking.deleted


def _holds_guest_code(lock: Lock, now: float) -> bool:
    return any(
        code.device is not None and not code.foreign and code.device.invalid > now
        for code in lock.codes.values()
    )


class Ticker:
    """Calls `tick` twice a second from a thread of its own."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sandbox", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        self._sandbox.store.flush()

    def _run(self) -> None:
        while not self._stopped.wait(TICK_SECONDS):
            with contextlib.suppress(OSError):  # a full disk: written once there is room again
                tick(self._sandbox)
