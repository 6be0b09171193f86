"""Times each call to a vendor and notes what came of it, for all vendors alike."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from app import meters
from app.integrations.errors import IntegrationError, QuotaExhausted, RateLimited

READ: Final = "read"
WRITE: Final = "write"
TOKEN: Final = "token"  # noqa: S105 - the kind of call


@contextmanager
def measured(vendor: str, operation: str) -> Iterator[None]:
    """Around one call. `operation` is a class of calls: a path would hold ids."""
    started = time.perf_counter()
    outcome = "ok"
    try:
        yield
    except IntegrationError as error:
        outcome = error.kind
        if isinstance(error, (RateLimited, QuotaExhausted)):
            meters.count("turnkey_limit_hits_total", limit=vendor)
        raise
    except BaseException:
        outcome = "error"
        raise
    finally:
        took = time.perf_counter() - started
        meters.observe("turnkey_vendor_seconds", took, vendor=vendor, operation=operation)
        meters.count(
            "turnkey_vendor_calls_total", vendor=vendor, operation=operation, outcome=outcome
        )
