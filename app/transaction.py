"""The unit of work: one session, one commit, and what waits for it.

    with transaction() as session:
        ...                      # inner transaction() blocks join this one
        after_commit(notify)     # runs once the outermost block has committed

Objects stay readable after the block; a relationship that was not loaded raises instead of
querying, so a list cannot grow queries by accident.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache

import structlog
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.orm import Session

from app.extensions import db

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Unit:
    session: Session
    hooks: list[Callable[[], None]] = field(default_factory=list)


_current: ContextVar[_Unit | None] = ContextVar("turnkey_unit", default=None)


@contextmanager
def transaction() -> Iterator[Session]:
    """Join the surrounding unit of work, or open one that commits at the end of the block.

    An exception rolls everything back and drops what waited for the commit.
    """
    unit = _current.get()
    if unit is not None:
        yield unit.session
        return
    unit = _Unit(Session(db.engine, expire_on_commit=False))
    token = _current.set(unit)
    try:
        try:
            yield unit.session
            unit.session.commit()
        except BaseException:
            unit.session.rollback()
            raise
        finally:
            unit.session.close()
    finally:
        _current.reset(token)
    for hook in unit.hooks:
        try:
            hook()
        except Exception:
            # The rows are safe and the sweep finds them; a door must not fail for a missing hint.
            log.warning(
                "after_commit_failed", hook=getattr(hook, "__qualname__", "?"), exc_info=True
            )


@lru_cache(maxsize=4)
def _autocommit(engine: Engine) -> Engine:
    """The same pool, its connections in autocommit while they are lent out through this."""
    return engine.execution_options(isolation_level="AUTOCOMMIT")


@contextmanager
def statements() -> Iterator[Connection]:
    """A connection whose statements commit one by one, for a door that writes a single row and has
    to answer at once: no BEGIN and no COMMIT travel, and no session is set up for objects that
    nobody loads. Joins a surrounding unit of work."""
    unit = _current.get()
    if unit is not None:
        yield unit.session.connection()
        return
    with _autocommit(db.engine).connect() as connection:
        yield connection


def after_commit(hook: Callable[[], None]) -> None:
    """Run `hook` after the surrounding transaction has committed; at once when there is none."""
    unit = _current.get()
    if unit is None:
        hook()
    else:
        unit.hooks.append(hook)


def in_transaction() -> bool:
    """Whether a unit of work is open here; vendor calls refuse to start inside one."""
    return _current.get() is not None
