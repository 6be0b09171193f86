"""Holds, in the background."""

from __future__ import annotations

from app.services import hold_reaper


def reap() -> None:
    """End the holds nobody answered for."""
    hold_reaper.reap()
