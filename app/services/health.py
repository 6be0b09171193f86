"""Whether this process can do its work: database, Redis and schema, asked with short patience."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import structlog
from alembic.script import ScriptDirectory
from sqlalchemy import text

from app.config import ROOT
from app.extensions import db
from app.queue import status

log = structlog.get_logger(__name__)

T = TypeVar("T")

PATIENCE_SECONDS = 2.0
OK = "ok"

#: more threads than checks: one that hangs must not make the next probe wait behind it
_threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="health")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must work; `word` is "ok", or says what is the matter."""

    name: str
    word: str

    @property
    def ok(self) -> bool:
        return self.word == OK


def ready() -> list[Check]:
    """All checks at once, none longer than two seconds."""
    asked = {name: _start(check) for name, check in _CHECKS.items()}
    wait(asked.values(), timeout=PATIENCE_SECONDS)
    return [Check(name, _word(name, answer)) for name, answer in asked.items()]


def gather(works: Mapping[str, Callable[[], T]]) -> dict[str, T | None]:
    """What each of them finds, all at once and within two seconds; None for no answer."""
    asked = {name: _start(work) for name, work in works.items()}
    wait(asked.values(), timeout=PATIENCE_SECONDS)
    found: dict[str, T | None] = {}
    for name, answer in asked.items():
        found[name] = None
        if not answer.done():
            answer.cancel()
        elif error := answer.exception():
            log.warning("health_check_failed", check=name, error=type(error).__name__)
        else:
            found[name] = answer.result()
    return found


def _start(check: Callable[[], T]) -> Future[T]:
    # The copied context carries the app into the thread.
    return _threads.submit(contextvars.copy_context().run, check)


def _word(name: str, answer: Future[str]) -> str:
    if not answer.done():
        answer.cancel()
        return "no answer"
    if error := answer.exception():
        log.warning("health_check_failed", check=name, error=type(error).__name__)
        return "unreachable"
    return answer.result()


def _database() -> str:
    with db.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    return OK


def _redis() -> str:
    return OK if status.redis_alive() else "unreachable"


def _migrations() -> str:
    with db.engine.connect() as connection:
        if not connection.scalar(text("SELECT to_regclass('alembic_version') IS NOT NULL")):
            return "none applied"
        found = set(connection.scalars(text("SELECT version_num FROM alembic_version")))
    return OK if found == newest_revisions(ROOT / "migrations") else "not current"


@lru_cache(maxsize=4)
def newest_revisions(directory: Path) -> frozenset[str]:
    """What `alembic_version` holds once every migration in the directory is applied."""
    return frozenset(ScriptDirectory(str(directory)).get_heads())


_CHECKS: dict[str, Callable[[], str]] = {
    "database": _database,
    "redis": _redis,
    "migrations": _migrations,
}
