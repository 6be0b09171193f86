"""What every process of ours tells about itself: its connections, its memory, its statements."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from flask import Flask
from sqlalchemy import Engine, event
from sqlalchemy.pool import QueuePool

from app import meters
from app.extensions import db
from app.runtime import settings

_STARTED = "turnkey_started"


def install(app: Flask) -> None:
    """From now on, count what this process does and say how it stands (MON-07, MON-23)."""
    with app.app_context():
        meters.start(settings().redis_url)
    meters.sample("pool", lambda: _pool(app))
    meters.sample("memory", _memory)
    time_statements()


def time_statements() -> None:
    """Time every statement to PostgreSQL; twice changes nothing."""
    if not event.contains(Engine, "before_cursor_execute", _before):
        event.listen(Engine, "before_cursor_execute", _before)
        event.listen(Engine, "after_cursor_execute", _after)


def _before(
    connection: Any, cursor: Any, statement: str, given: Any, context: Any, many: bool
) -> None:
    connection.info[_STARTED] = time.perf_counter()


def _after(
    connection: Any, cursor: Any, statement: str, given: Any, context: Any, many: bool
) -> None:
    started = connection.info.get(_STARTED)
    if started is not None:
        meters.observe("turnkey_db_statement_seconds", time.perf_counter() - started)


def _pool(app: Flask) -> Mapping[meters.Series, float]:
    with app.app_context():
        pool = db.engine.pool
    if not isinstance(pool, QueuePool):
        return {}
    in_use = pool.checkedout()
    found = {"size": pool.size(), "open": pool.checkedin() + in_use, "in_use": in_use}
    return {("turnkey_db_pool_connections", state): value for state, value in found.items()}


def _memory() -> Mapping[meters.Series, float]:
    try:
        with open("/proc/self/statm") as handle:
            pages = int(handle.read().split()[1])
    except OSError:  # another system than Linux keeps no such file
        return {}
    return {("turnkey_process_memory_bytes",): float(pages * os.sysconf("SC_PAGE_SIZE"))}
