"""The door of `pin_bench` and the channel of `outbound_live`, for every test that asks for one."""

from __future__ import annotations

from tests.outbound_live import channel
from tests.services.pin_bench import door, locks

__all__ = ["channel", "door", "locks"]
