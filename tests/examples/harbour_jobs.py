"""The lines that app/jobs/reconciliation.py gets for Harbour."""

from __future__ import annotations

from app.jobs.reconciliation import _tick


def tick_harbour() -> None:
    """Ask Harbour for its changes, unless that is still under way."""
    _tick("harbour")
