"""RetryPolicy: when the next attempt comes, or that there is none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`delays[n - 1]` is the wait in seconds after the n-th failure.

    `max_attempts` counts executions; it defaults to one first try plus one retry per delay. With
    more attempts than delays the last delay repeats; with fewer, the rest is never reached (C-11).
    """

    delays: tuple[float, ...]
    max_attempts: int | None = None

    @property
    def attempts(self) -> int:
        """How often the work is executed at most."""
        return len(self.delays) + 1 if self.max_attempts is None else self.max_attempts

    def next_attempt(
        self, failures: int, now: datetime, *, at_least: float | None = None
    ) -> datetime | None:
        """When to try again after `failures` failed executions; None when the budget is spent.

        `at_least` is a pause in seconds the other side asked for.
        """
        if failures < 1:
            raise ValueError("a retry follows a failure")
        if failures >= self.attempts or not self.delays:
            return None
        delay = self.delays[min(failures, len(self.delays)) - 1]
        return now + timedelta(seconds=max(delay, at_least or 0))

    def with_attempts(self, max_attempts: int) -> RetryPolicy:
        """The same waits with another budget, as a row may carry its own."""
        return RetryPolicy(self.delays, max_attempts)


#: first run, then three retries (C-10)
RECONCILIATION = RetryPolicy((2, 4, 8))
#: the third failure is final unless the row allows more (C-11)
EVENTS = RetryPolicy((5, 25, 125), max_attempts=3)
#: after a vendor's 429, which costs no attempt three times (DECISIONS 13)
POSTPONED = RetryPolicy((60, 300, 900))
