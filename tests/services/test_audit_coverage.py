"""What the system does on its own, and what people start, stands in the audit log."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from flask import Flask
from sqlalchemy import select

from app.models import AuditEntry, ReconciliationLog
from app.services import audit_names, reconciliation_rows
from app.services.audit import Actor
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import make_user
from tests.services.pin_bench import Door, door, locks

__all__ = ["door", "locks"]


def entries(entity: str) -> list[AuditEntry]:
    with transaction() as session:
        found = select(AuditEntry).where(AuditEntry.entity == entity).order_by(AuditEntry.at)
        return list(session.scalars(found))


def test_a_pin_that_comes_and_goes_by_itself_is_told(door: Door) -> None:
    stay = door.stay(check_in=date(2026, 3, 12), guest="Helena Prado")
    door.clock.set(stay.check_in_at - timedelta(hours=2))
    door.settle()
    door.settle()
    door.clock.set(stay.check_out_at + timedelta(hours=24))
    door.settle()
    told = entries("credential")
    lock = {"lock_id": str(door.lock.id)}
    assert [(row.actor, row.action, row.after) for row in told] == [
        ("system", "install", lock),
        ("system", "remove", lock | {"reason": "window_over"}),
    ]
    pin = door.credential(stay).id
    thing = audit_names.of(told)[pin]
    assert (thing.name, thing.about) == ("Helena Prado", stay.id)


def test_a_pin_that_never_left_us_is_not_told_as_removed(door: Door) -> None:
    stay = door.stay(check_in=date(2026, 3, 12))
    door.change(stay, status="cancelled")
    door.work()
    assert entries("credential") == []


def test_a_run_that_somebody_started_names_them(app: Flask, clock: Clock) -> None:
    user = make_user("admin", email="ruth@example.org")
    ruth = Actor(user.email, user.id, user.role, "10.0.0.7")

    def opened(**fields: Any) -> ReconciliationLog:
        with transaction() as session:
            run_id = reconciliation_rows.open_run(session, "stays", **fields)
            row = session.get_one(ReconciliationLog, run_id)
            row.status = "success"
        return row

    by_hand = opened(trigger="manual", actor=ruth, dry_run=True)
    clock.move(seconds=1)
    applied = opened(trigger="manual", actor=ruth, plan_hash="x")
    clock.move(seconds=1)
    typed = opened(trigger="command")
    opened(trigger="schedule")
    told = [(row.actor, row.action, row.entity_id) for row in entries("reconciliation_run")]
    assert told == [
        ("ruth@example.org", "start", str(by_hand.id)),
        ("ruth@example.org", "apply", str(applied.id)),
        ("command line", "start", str(typed.id)),
    ]
    first = entries("reconciliation_run")[0]
    assert (first.ip, first.after) == ("10.0.0.7", {"kind": "stays", "dry_run": True})
    assert by_hand.requested_by == user.id
