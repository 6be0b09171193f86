"""Remove what is older than its limit, each night, in portions that can stop anywhere.

A portion is a transaction of its own together with the count of what it removed, so a process that
dies loses nothing and does nothing twice: the next tick goes on with the same night.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import text
from sqlalchemy.orm import Session

from app import clock
from app.models import SystemSetting
from app.queue import client as queue
from app.services import audit, privacy_rules
from app.services.audit import SYSTEM, Actor
from app.services.audit_purge import as_json
from app.services.retention_steps import STEPS
from app.transaction import transaction

log = structlog.get_logger(__name__)

JOB: Final = "privacy.retain"
STATE: Final = "privacy.last_night"
#: rows that one transaction removes
PORTION = 2000
#: what one tick may take of the runs' worker; the next tick goes on
SLICE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Night:
    """What the latest night removed, by step; `finished_at` is None while it is not through."""

    night: str
    started_at: datetime
    finished_at: datetime | None
    removed: Mapping[str, int]


def order() -> None:
    """Put tonight's work in line, unless it is done."""
    night = latest()
    if night is None or night.finished_at is None or night.night != _tonight():
        queue.enqueue(JOB)


def tick() -> None:
    """Do tonight's work, or what an interrupted worker left of it; nothing when it is done."""
    if _begin(_tonight()):
        _work(SYSTEM, time.monotonic() + SLICE_SECONDS)


def run(*, actor: Actor) -> dict[str, int]:
    """Do it now, whatever the night has done already; how many rows went by step."""
    now = clock.utcnow()
    _begin(f"{now.date().isoformat()} {now:%H:%M:%S}")
    return _work(actor)


def preview() -> dict[str, int]:
    """How many rows would go now, by step; writes nothing. One statement each."""
    now = clock.utcnow()
    with transaction() as session:
        days = privacy_rules.limits()
        return {
            step.name: step.count(session, now - timedelta(days=days[step.rule])) for step in STEPS
        }


def latest() -> Night | None:
    """The latest night; None before the first."""
    with transaction() as session:
        row = session.get(SystemSetting, STATE, populate_existing=True)
    if row is None:
        return None
    stored: dict[str, Any] = row.value
    finished = stored.get("finished_at")
    return Night(
        stored["night"],
        datetime.fromisoformat(stored["started_at"]),
        datetime.fromisoformat(finished) if finished else None,
        stored["removed"],
    )


def _tonight() -> str:
    return clock.utcnow().date().isoformat()


def _work(actor: Actor, until: float = math.inf) -> dict[str, int]:
    """Go through the steps; the night stays open when the time is up before the end."""
    now = clock.utcnow()
    days = privacy_rules.limits()
    for step in STEPS:
        before = now - timedelta(days=days[step.rule])
        while True:
            with transaction() as session:
                done = step.portion(session, before, PORTION)
                if done:
                    _note(session, step.name, done)
            if not done:
                break
            if time.monotonic() > until:
                return {}
    return _finish(actor)


_BEGIN = text("""
    INSERT INTO system_settings AS s (name, value, updated_at, updated_by)
    VALUES (:name, CAST(:fresh AS jsonb), :now, 'system')
    ON CONFLICT (name) DO UPDATE
       SET value = CASE WHEN s.value ->> 'night' = :night THEN s.value ELSE excluded.value END,
           updated_at = :now
     WHERE s.value ->> 'night' <> :night OR s.value ->> 'finished_at' IS NULL
    RETURNING 1
""")
_NOTE = text("""
    UPDATE system_settings
       SET value = jsonb_set(value, ARRAY['removed', CAST(:step AS text)], to_jsonb(
                   coalesce((value -> 'removed' ->> :step)::bigint, 0) + :done)),
           updated_at = :now
     WHERE name = :name
""")
_FINISH = text("""
    UPDATE system_settings
       SET value = jsonb_set(value, '{finished_at}', to_jsonb(CAST(:at AS text))), updated_at = :now
     WHERE name = :name AND value ->> 'finished_at' IS NULL
    RETURNING value -> 'removed'
""")


def _begin(night: str) -> bool:
    """Open the night, or take up an unfinished one; False when it is through."""
    now = clock.utcnow()
    fresh: dict[str, Any] = {
        "night": night,
        "started_at": now.isoformat(),
        "finished_at": None,
        "removed": {},
    }
    with transaction() as session:
        params = {"name": STATE, "fresh": as_json(fresh), "night": night, "now": now}
        return session.execute(_BEGIN, params).first() is not None


def _note(session: Session, step: str, done: int) -> None:
    session.execute(_NOTE, {"name": STATE, "step": step, "done": done, "now": clock.utcnow()})


def _finish(actor: Actor) -> dict[str, int]:
    """Close the night and leave its entry, once whoever else has worked on it too."""
    now = clock.utcnow()
    with transaction() as session:
        params = {"name": STATE, "at": now.isoformat(), "now": now}
        row = session.execute(_FINISH, params).first()
        removed: dict[str, int] = row[0] if row is not None else {}
        if row is not None:
            audit.record(session, actor, "retain", "privacy", None, after=removed)
    # In one text: a key that names guests would have its value taken out.
    log.info("privacy_retained", rows=", ".join(f"{name} {n}" for name, n in removed.items()))
    return removed
