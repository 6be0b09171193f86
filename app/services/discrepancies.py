"""What the two sides disagree on: opened and closed by comparisons, decided by people (B24R-21)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app import clock
from app.domain.findings import Finding
from app.services import discrepancy_rows as rows
from app.services.audit import SYSTEM
from app.services.discrepancy_rows import Compared, Run, Stored

OPEN, RESOLVED, DISMISSED = "open", "resolved", "dismissed"

#: action, id, before, after
_Entry = tuple[str, UUID, Mapping[str, Any] | None, Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Settled:
    """What a comparison has changed among the discrepancies; `unchanged` stand as they stood."""

    opened: int = 0
    reopened: int = 0
    closed: int = 0
    unchanged: int = 0


def settle(
    session: Session,
    channel_property_id: UUID,
    findings: Sequence[Finding],
    *,
    kinds: Collection[str],
    compared: Compared,
    run_id: UUID | None,
    seen_at: datetime,
    rooms: Collection[str] | None = None,
    today: date | None = None,
) -> Settled:
    """Make the discrepancies of `kinds` say what a comparison found, in the caller's transaction,
    which should hold no locks of its own yet; the same few statements however many there are.

    `compared` are the subjects that were looked at: bookings by external id, or nights. What is
    open among them and not in `findings` is closed: the sides agree again. `seen_at` is when the
    sides were read: what somebody has decided or seen since is newer than the finding, and stays.
    A dismissed one opens again when what it is about has changed, a resolved one when it is back.

    A comparison of nights says which of the channel's `rooms` are mapped, and what day it is at the
    property: nights of any other room are closed as `unmapped`, those before `today` as `over`.
    """
    run = Run(channel_property_id, run_id, seen_at, clock.utcnow())
    wanted = {(finding.kind, finding.subject): finding for finding in findings}
    subjects = {finding.subject for finding in findings}
    known = rows.stored(session, channel_property_id, kinds, subjects, compared, rooms)
    changes: list[tuple[UUID, Finding, bool]] = []
    gone: dict[UUID, str] = {}
    entries: list[_Entry] = []
    unchanged = 0
    for row in known:
        finding = wanted.pop((row.kind, row.subject), None)
        if finding is None:
            if row.status == OPEN and row.last_seen_at <= seen_at:
                gone[row.id] = _end(row, rooms, today)
        elif _is_newer(row, seen_at):
            unchanged += 1
        else:
            reopens = _reopens(row, finding)
            changes.append((row.id, finding, reopens))
            unchanged += not reopens
            if reopens:
                entries.append(("reopen", row.id, {"status": row.status}, _opened(finding)))
    new = rows.insert(session, run, list(wanted.values()))
    entries += [("open", id_, None, _opened(wanted[key])) for key, id_ in new.items()]
    rows.update(session, run, changes)
    closed = rows.close(session, run, gone)
    entries += [
        (
            "close",
            each.id,
            {"status": OPEN, "kind": each.kind} | rows.snapshot(each.ours, each.theirs),
            {"status": RESOLVED, "action": each.action},
        )
        for each in closed
    ]
    rows.audit(session, run.now, entries, actor=SYSTEM.label)
    reopened = sum(reopens for _, _, reopens in changes)
    return Settled(len(new), reopened, len(closed), unchanged)


def _end(row: Stored, rooms: Collection[str] | None, today: date | None) -> str:
    """Why there is nothing to decide any more."""
    room, is_night, _ = row.subject.partition(" ")
    if rooms is not None and is_night and room not in rooms:
        return "unmapped"
    if today is not None and row.last_day is not None and row.last_day < today:
        return "over"
    return "agreed"


def _is_newer(row: Stored, seen_at: datetime) -> bool:
    """Whether the row knows something that the comparison did not."""
    if row.status != OPEN and row.closed_at is not None and row.closed_at >= seen_at:
        return True
    return row.last_seen_at > seen_at


def _reopens(row: Stored, finding: Finding) -> bool:
    if row.status == DISMISSED:
        return row.fingerprint != finding.fingerprint
    return row.status == RESOLVED


def _opened(finding: Finding) -> dict[str, Any]:
    return {
        "status": OPEN,
        "kind": finding.kind,
        "severity": finding.severity,
        "reason": finding.reason,
    } | rows.snapshot(finding.ours, finding.theirs)
