"""Privacy, in the background."""

from __future__ import annotations

from app.services import retention


def tick() -> None:
    """Put the night's work in line, on the worker of the runs: events do not wait for it."""
    retention.order()


def retain() -> None:
    """Remove what is older than its limit."""
    retention.tick()
