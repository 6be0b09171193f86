"""Signals and time limits of a background process, turned into a flag and one exception.

A blocking vendor call ends when the exception is raised in it, so work in hand is given back in
time whatever it waits for (INTERFACES §1). Being told twice, by the parent and as part of the
process group, is the same as being told once.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

#: From SIGTERM to the moment work in hand is interrupted; it then has a second to let go.
GRACE_SECONDS = 6.0
#: An exception can be lost where Python ignores exceptions, so it is raised again until it got out.
REPEAT_SECONDS = 2.0
_SLICE_SECONDS = 0.1


class Interrupted(BaseException):
    """Work in hand must end now. Not an `Exception`: no error boundary may swallow it."""


class HandBack(Interrupted):
    """The process is stopping; the work is to be done by another one."""


class OutOfTime(Interrupted):
    """The work took longer than it may."""


class Interrupts:
    """The main thread's signal handling; one per process."""

    def __init__(self) -> None:
        self.stopping = False
        self._stop_by = 0.0
        self._limited = False

    def install(self) -> None:
        """Take over SIGTERM, SIGINT and SIGALRM."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGALRM, self._alarm)

    @contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        """Raise OutOfTime in the block after `seconds`, or HandBack when we have to stop."""
        self._limited = True
        try:
            self._arm(seconds)
            yield
        finally:
            self._limited = False
            signal.setitimer(signal.ITIMER_REAL, 0)

    def sleep(self, seconds: float) -> None:
        """Wait, but not beyond being told to stop."""
        until = time.monotonic() + seconds
        while not self.stopping and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _SLICE_SECONDS))

    def _arm(self, seconds: float) -> None:
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001), REPEAT_SECONDS)
        if self.stopping:  # looked at last: the signal may come at any line
            left = max(self._stop_by - time.monotonic(), 0.001)
            if left < seconds:
                signal.setitimer(signal.ITIMER_REAL, left, REPEAT_SECONDS)

    def _stop(self, number: int, frame: object) -> None:
        if self.stopping:
            return
        self.stopping = True
        self._stop_by = time.monotonic() + GRACE_SECONDS
        if self._limited:
            left = signal.getitimer(signal.ITIMER_REAL)[0]
            self._arm(left or GRACE_SECONDS)

    def _alarm(self, number: int, frame: object) -> None:
        if not self._limited:
            return
        raise HandBack if self.stopping else OutOfTime
