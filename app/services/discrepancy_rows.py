"""Reads and writes many discrepancies at once, and tells the audit log what of them it may know."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.domain.findings import PROVENANCE, DayRange, Finding, Side, night_subject
from app.services.reservation_rows import literal

#: what `settle` may be told to have compared: bookings by id, or nights
Compared = DayRange | Collection[str | DayRange]

_SEEN = {
    "kind": "text",
    "subject": "text",
    "severity": "text",
    "reason": "text",
    "ours": "text",
    "theirs": "text",
    "fingerprint": "text",
    "reservation_id": "uuid",
    "external_id": "text",
    "room_type_id": "uuid",
    "first_day": "date",
    "last_day": "date",
}
_AUDITED = {"action": "text", "entity_id": "text", "before": "text", "after": "text"}


def _unnest(columns: Mapping[str, str], alias: str = "u") -> str:
    arrays = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in columns.items())
    return f"unnest({arrays}) AS {alias}({', '.join(columns)})"


# `ours` and `theirs` travel as text: an array of JSON texts needs no second quoting.
_VALUES = ", ".join(
    f"CAST(u.{name} AS jsonb)" if name in ("ours", "theirs") else f"u.{name}" for name in _SEEN
)
_CHANGED = {name: kind for name, kind in _SEEN.items() if name not in ("kind", "subject")}

_STORED = text("""
    SELECT id, kind, subject, status, fingerprint, closed_at, last_seen_at, last_day
      FROM discrepancies d
     WHERE channel_property_id = :connection AND kind = ANY(:kinds)
       AND (subject = ANY(:found)
            OR (status = 'open'
                AND (subject = ANY(:compared)
                     OR (CAST(:rooms AS text[]) IS NOT NULL AND position(' ' IN subject) > 0
                         AND split_part(subject, ' ', 1) <> ALL(CAST(:rooms AS text[])))
                     OR EXISTS (SELECT 1
                                  FROM unnest(CAST(:low AS text[]), CAST(:high AS text[]))
                                       AS nights(low, high)
                                 WHERE d.subject COLLATE "C" BETWEEN nights.low AND nights.high))))
     ORDER BY id
       FOR NO KEY UPDATE
""")
_INSERT = text(f"""
    INSERT INTO discrepancies
           (channel_property_id, opened_at, last_seen_at, last_run_id, created_at, updated_at,
            {", ".join(_SEEN)})
    SELECT :connection, :seen_at, :seen_at, :run_id, :now, :now, {_VALUES}
      FROM {_unnest(_SEEN)}
    ON CONFLICT DO NOTHING
    RETURNING id, kind, subject
""")  # noqa: S608 - column names and types from this module only
_UPDATE = text(f"""
    UPDATE discrepancies d
       SET status = CASE WHEN u.reopens THEN 'open' ELSE d.status END,
           opened_at = CASE WHEN u.reopens THEN CAST(:seen_at AS timestamptz) ELSE d.opened_at END,
           times_opened = d.times_opened + CASE WHEN u.reopens THEN 1 ELSE 0 END,
           last_seen_at = :seen_at, last_run_id = coalesce(:run_id, d.last_run_id),
           updated_at = :now,
           {
    ", ".join(
        f"{name} = CAST(u.{name} AS jsonb)" if name in ("ours", "theirs") else f"{name} = u.{name}"
        for name in _CHANGED
    )
}
      FROM {_unnest({"id": "uuid", "reopens": "boolean", **_CHANGED})}
     WHERE d.id = u.id
""")  # noqa: S608
_CLOSE = text("""
    UPDATE discrepancies
       SET status = 'resolved', action = u.action, closed_by = 'system', closed_at = :now,
           note = NULL, last_run_id = coalesce(:run_id, last_run_id), updated_at = :now
      FROM unnest(CAST(:ids AS uuid[]), CAST(:actions AS text[])) AS u(closed_id, action)
     WHERE id = u.closed_id
    RETURNING id, kind, discrepancies.action, ours, theirs
""")
_AUDIT = text(f"""
    INSERT INTO audit_log (at, actor, action, entity, entity_id, before, after)
    SELECT :now, :actor, u.action, 'discrepancy', u.entity_id,
           CAST(u.before AS jsonb), CAST(u.after AS jsonb)
      FROM {_unnest(_AUDITED)}
""")  # noqa: S608


class Stored(NamedTuple):
    """What is known of a subject already; the row is locked."""

    id: UUID
    kind: str
    subject: str
    status: str
    fingerprint: str
    closed_at: datetime | None
    last_seen_at: datetime
    last_day: date | None


class Run(NamedTuple):
    """Who compared, and when: `seen_at` is when the sides were read, `now` when that is noted."""

    connection: UUID
    run_id: UUID | None
    seen_at: datetime
    now: datetime


def stored(
    session: Session,
    connection: UUID,
    kinds: Collection[str],
    found: Collection[str],
    compared: Compared,
    rooms: Collection[str] | None = None,
) -> list[Stored]:
    """What there is of these subjects, and what is open among the compared ones, and of nights of
    other rooms than `rooms` where they are said; locked by id."""
    subjects: list[str] = []
    ranges: list[DayRange] = []
    if isinstance(compared, DayRange):
        ranges = [compared]
    else:
        for each in compared:
            if isinstance(each, DayRange):
                ranges.append(each)
            else:
                subjects.append(each)
    rows = session.execute(
        _STORED,
        {
            "connection": connection,
            "kinds": list(kinds),
            "found": list(found),
            "compared": subjects,
            "rooms": None if rooms is None else list(rooms),
            "low": literal("text", [night_subject(one.room_ref, one.first) for one in ranges]),
            "high": literal("text", [night_subject(one.room_ref, one.last) for one in ranges]),
        },
    )
    return [Stored(*row) for row in rows]


def insert(session: Session, run: Run, findings: Sequence[Finding]) -> dict[tuple[str, str], UUID]:
    """New discrepancies, open; the ids by kind and subject of those nobody else has written."""
    if not findings:
        return {}
    ordered = sorted(findings, key=lambda finding: (finding.kind, finding.subject))
    params = _params(run) | {"connection": run.connection} | _arrays(ordered, _SEEN)
    return {(kind, subject): id_ for id_, kind, subject in session.execute(_INSERT, params)}


def update(session: Session, run: Run, changes: Sequence[tuple[UUID, Finding, bool]]) -> None:
    """Write what was seen into rows that are there; True opens one again."""
    if changes:
        arrays = _arrays([finding for _, finding, _ in changes], _CHANGED)
        arrays["id"] = literal("uuid", [id_ for id_, _, _ in changes])
        arrays["reopens"] = literal("boolean", [reopens for _, _, reopens in changes])
        session.execute(_UPDATE, _params(run) | arrays)


class Closed(NamedTuple):
    """One that was closed, with the sides as they last differed."""

    id: UUID
    kind: str
    action: str
    ours: Side
    theirs: Side


def close(session: Session, run: Run, ends: Mapping[UUID, str]) -> list[Closed]:
    """Close these, by id with the word for why."""
    if not ends:
        return []
    params = {"ids": list(ends), "actions": list(ends.values())}
    rows = session.execute(_CLOSE, params | {"run_id": run.run_id, "now": run.now})
    return [Closed(*row) for row in rows]


def audit(
    session: Session,
    now: datetime,
    entries: Sequence[tuple[str, UUID, Mapping[str, Any] | None, Mapping[str, Any] | None]],
    *,
    actor: str,
) -> None:
    """One audit row each, in one statement: action, id, before, after."""
    if entries:
        arrays = {
            "action": literal("text", [action for action, _, _, _ in entries]),
            "entity_id": literal("text", [str(id_) for _, id_, _, _ in entries]),
            "before": literal("text", [_json(before) for _, _, before, _ in entries]),
            "after": literal("text", [_json(after) for _, _, _, after in entries]),
        }
        session.execute(_AUDIT, {"now": now, "actor": actor} | arrays)


def snapshot(ours: Side | None, theirs: Side | None) -> dict[str, Any]:
    """Both sides as the audit log may keep them: of a guest only that something differs."""
    return {"ours": _without_guest(ours, theirs), "theirs": _without_guest(theirs, ours)}


def _without_guest(side: Side | None, other: Side | None) -> dict[str, Any] | None:
    if side is None:
        return None
    kept = {}
    for name, value in side.items():
        if not name.startswith("guest_"):
            kept[name] = value
        elif value != (other or {}).get(name):
            kept[name] = "changed"
    return kept


def same_facts(one: Side | None, other: Side | None) -> bool:
    """Whether a side says what it said, wherever and whenever that was read."""
    return _facts(one) == _facts(other)


def _facts(side: Side | None) -> dict[str, Any] | None:
    if side is None:
        return None
    return {k: v for k, v in side.items() if k not in PROVENANCE and v is not None}


def _params(run: Run) -> dict[str, Any]:
    return {"run_id": run.run_id, "seen_at": run.seen_at, "now": run.now}


def _arrays(findings: Sequence[Finding], columns: Mapping[str, str]) -> dict[str, str]:
    return {
        name: literal(kind, [_value(finding, name) for finding in findings])
        for name, kind in columns.items()
    }


def _value(finding: Finding, name: str) -> Any:
    value = getattr(finding, name)
    return _json(value) if name in ("ours", "theirs") else value


def _json(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(dict(value), ensure_ascii=False)
