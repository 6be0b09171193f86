"""Upkeep of the connections to channels, in the background."""

from __future__ import annotations

from app.services import channel_upkeep, seals


def keep_alive() -> None:
    """Renew tokens that would otherwise die unused, and seals of keys that are to go."""
    seals.reseal()
    channel_upkeep.keep_alive()
