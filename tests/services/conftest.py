"""The door of `pin_bench`, for every test that asks for one."""

from __future__ import annotations

from tests.services.pin_bench import door, locks

__all__ = ["door", "locks"]
