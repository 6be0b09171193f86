"""Pauses that grow while something is away, and start anew once it is back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """1, 2, 4… seconds, up to `longest`."""

    longest: float
    first: float = 1.0
    _next: float = 0.0

    @property
    def failing(self) -> bool:
        return self._next > 0

    def pause(self) -> float:
        """How long to wait this time."""
        current = max(self._next, self.first)
        self._next = min(current * 2, self.longest)
        return current

    def reset(self) -> bool:
        """All is well again; whether it was not."""
        was_failing, self._next = self.failing, 0.0
        return was_failing
