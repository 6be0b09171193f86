"""Where the real clock would leak into the season, and how each place is closed for a while.

Leases, tokens, credits and windows follow `app.clock` already, SQL's `now()` does by
`SeasonClock.govern`. Left are waits (which the season passes in its own time), the lock cloud's
library, which signs with `time.time()`, and pauses that are measured on the monotonic clock.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any

import stamina
import tinytuya

from app import clock as product_clock
from app.integrations.locks.tuya import client as tuya_client
from app.integrations.locks.tuya import cloud as tuya_cloud
from app.services import channel_tokens, pin_lookup, reconciliation_reading
from bench.season.timekeeping import SeasonClock


@contextmanager
def closed(clock: SeasonClock) -> Iterator[None]:
    """No real second counts within the block."""

    def seconds() -> float:
        return clock.product().timestamp()

    def steady() -> float:
        return clock.vendors().timestamp()

    waits = SimpleNamespace(sleep=clock.sleep, monotonic=steady, time=seconds)
    signing = sys.modules[tinytuya.Cloud.__module__]
    product_clock.set_source(clock.product)
    try:
        with ExitStack() as places:
            places.enter_context(_instead(signing, "time", waits))
            places.enter_context(_instead(tuya_client, "monotonic", steady))
            places.enter_context(_instead(tuya_cloud, "monotonic", steady))
            places.enter_context(_instead(pin_lookup, "time", waits))
            places.enter_context(_instead(channel_tokens, "time", waits))
            places.enter_context(_instead(reconciliation_reading, "pause", clock.sleep))
            # Waits between tries of one read are left out: they are seconds, and the tries are not.
            places.enter_context(stamina.set_testing(True, attempts=2))
            yield
    finally:
        product_clock.set_source(None)


@contextmanager
def _instead(module: Any, name: str, other: Any) -> Iterator[None]:
    own = getattr(module, name)
    setattr(module, name, other)
    try:
        yield
    finally:
        setattr(module, name, own)
