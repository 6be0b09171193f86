"""What a run would change, as rows may keep it: ids, dates, rooms and states, never a guest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import clock
from app.domain import change_detection, safety_brake
from app.domain.states import FRONT_DESK, NEEDS_PIN, ReservationStatus
from app.models import Reservation
from app.services import reconciliation_consequences, reservation_rows, reservations
from app.services.reconciliation_consequences import Change
from app.services.reconciliation_kinds import Plan
from app.services.reconciliation_reading import ACTIVE, Reading
from app.services.reservation_copies import Candidate
from app.services.reservation_differences import Difference
from app.transaction import transaction

#: items a plan spells out; its numbers and its hash cover all
SPELLED_OUT = 500
#: what a plan shows of a changed stay
SHOWN = ("status", "accommodation_id", "check_in_at", "check_out_at")
#: ... and of a new one, which may have no room yet
NEW = (*SHOWN, "room_type_id")


@dataclass(frozen=True, slots=True)
class Actions:
    """What is left to write of a reading, and the ids that are gone."""

    todo: Sequence[Candidate]
    gone: Sequence[str]
    reading: Reading


def make(reading: Reading, channel: str) -> Plan:
    """Compare the reading with our rows, writing nothing."""
    now = clock.utcnow()
    seen = reservations.foresee(reading.copies, as_of=reading.as_of)
    with transaction() as session:
        gone = _still_there(session, channel, reading)
        # Only a change of stored stays can be too large a share of them.
        active = _active(session, channel, now) if seen.changed or gone else 0
        changes = [*_begun(seen), *_changed(seen), *(Change(row["id"], ends=True) for row in gone)]
        consequences = reconciliation_consequences.count(session, changes)
    items: list[dict[str, Any]] = [
        {"action": "create", "external_id": str(row["external_id"]), "to": _shown(row, NEW)}
        for _, row in seen.new
    ]
    fingerprints = [f"create {c.copy.external_id} {c.hash}" for c, _ in seen.new]
    risky = 0
    for change in seen.changed:
        stored, fields = change.stored, change.fields
        action = _action(fields)
        if action != "update" and stored["status"] in ACTIVE and stored["check_out_at"] > now:
            risky += 1
        items.append(
            {
                "action": action,
                "external_id": stored["external_id"],
                "reservation_id": str(stored["id"]),
                "fields": sorted(fields.keys() - change_detection.QUIET),
                "from": _shown(stored, fields),
                "to": _shown(change.row, fields),
            }
        )
        fingerprints.append(
            f"{action} {stored['external_id']} {stored['version']} {change.row['content_hash']}"
        )
    for stored in gone:
        external_id = stored["external_id"]
        if stored["check_out_at"] > now:
            risky += 1
        items.append(
            {
                "action": "cancel",
                "external_id": external_id,
                "reservation_id": str(stored["id"]),
                "from": {"status": stored["status"]},
                "to": {"status": ReservationStatus.CANCELLED.value},
            }
        )
        fingerprints.append(f"gone {external_id} {stored['version']}")
    return Plan(
        hash=hashlib.sha256("\n".join(sorted(fingerprints)).encode()).hexdigest(),
        summary=_summary(items, risky, active) | {"consequences": consequences},
        fetched=reading.fetched,
        errors=[*reading.errors, *seen.errors],
        risky=risky,
        active=active,
        actions=Actions(seen.todo, sorted({row["external_id"] for row in gone}), reading),
    )


def _begun(seen: Difference) -> Iterator[Change]:
    for _, row in seen.new:
        if row["status"] in NEEDS_PIN:
            yield Change(begins=True, accommodation_id=row["accommodation_id"])


def _changed(seen: Difference) -> Iterator[Change]:
    """What the changes of stays that are here already come to at the doors."""
    for change in seen.changed:
        was, is_ = change.stored["status"] in NEEDS_PIN, change.row["status"] in NEEDS_PIN
        moves = was and is_ and change_detection.moved(change.fields)
        ends = was and not is_ and change.row["status"] not in FRONT_DESK
        leaves = moves and "accommodation_id" in change.fields
        begins = is_ and not was
        yield Change(change.stored["id"], ends, moves, leaves, begins)


def _action(fields: Mapping[str, Any]) -> str:
    if fields.get("status") == ReservationStatus.CANCELLED:
        return "cancel"
    return "move" if change_detection.moved(fields) else "update"


def _summary(items: Sequence[Mapping[str, Any]], risky: int, active: int) -> dict[str, Any]:
    counts = {"create": 0, "update": 0, "move": 0, "cancel": 0}
    for item in items:
        counts[item["action"]] += 1
    order = {"cancel": 0, "move": 1, "update": 2, "create": 3}
    listed = sorted(items, key=lambda item: (order[item["action"]], item["external_id"]))
    return {
        "counts": counts,
        "risky": risky,
        "active": active,
        "stopped": safety_brake.trips(risky, active),
        "items": listed[:SPELLED_OUT],
        "more": max(0, len(listed) - SPELLED_OUT),
    }


def _shown(row: Mapping[str, Any], names: Any) -> dict[str, Any]:
    return {name: reservations.plain(row[name]) for name in NEW if name in names}


def _still_there(session: Session, channel: str, reading: Reading) -> list[Mapping[str, Any]]:
    """Rows of ours that a cancellation of what is gone would change."""
    if not reading.gone:
        return []
    ended = FRONT_DESK | {ReservationStatus.CANCELLED}
    rows = reservation_rows.read(session, channel, reading.gone, lock=False)
    return [row for units in rows.values() for row in units if row["status"] not in ended]


def _active(session: Session, channel: str, now: datetime) -> int:
    return (
        session.scalar(
            select(func.count())
            .select_from(Reservation)
            .where(
                Reservation.channel == channel,
                Reservation.status.in_(ACTIVE),
                Reservation.check_out_at > now,
            )
        )
        or 0
    )
