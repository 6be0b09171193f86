"""Upkeep, in the background."""

from __future__ import annotations

from app.queue.processes import process_name
from app.services import maintenance


def sweep() -> None:
    """Put lost, stuck and due work back in line."""
    maintenance.sweep()


def watch() -> None:
    """Raise the alarms that only the passing of time brings."""
    maintenance.watch()


def heartbeat(kind: str = "worker", name: str | None = None) -> None:
    """Note that a process lives; by default the worker that runs this."""
    maintenance.heartbeat(kind, name or process_name(kind))


def farewell(name: str) -> None:
    """Note that a process ends in order, so that nobody looks for it."""
    maintenance.farewell(name)
