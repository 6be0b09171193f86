"""app/services/mappings.py: one lock, one door, every attempt logged (LOCK-03…08, C-19)."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import select, text

from app import clock as app_clock
from app.errors import Conflict, NotFound, ServiceError
from app.models import (
    AuditEntry,
    Credential,
    LockMapping,
    MappingValidationLog,
    PinJob,
    Reservation,
)
from app.services import mappings
from app.services.audit import SYSTEM
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import make_accommodation, make_lock, make_mapping, make_stay


def log() -> list[tuple[str, str, str | None]]:
    with transaction() as session:
        rows = session.scalars(
            select(MappingValidationLog).order_by(MappingValidationLog.created_at, text("ctid"))
        ).all()
    return [(row.action, row.result, row.reason) for row in rows]


def live_pin(stay: Reservation, lock_id: object) -> None:
    with transaction() as session:
        session.add(
            Credential(
                reservation_id=stay.id,
                lock_id=lock_id,
                pin_encrypted="sealed",
                pin_last2="42",
                pin_fingerprint=str(uuid4()),
                state="installed",
                valid_from=app_clock.utcnow(),
                expires_at=app_clock.utcnow() + timedelta(days=3),
                vendor_name=f"tk-{uuid4()}",
                vendor_ref="7",
            )
        )


def test_a_mapping_plans_the_pins_of_the_door(app: Flask, clock: Clock) -> None:
    unit, lock = make_accommodation(), make_lock()
    make_stay(unit)
    mapped = mappings.map_lock(unit.id, lock.id, actor=SYSTEM)
    assert mapped.changed
    assert (mapped.row.accommodation.id, mapped.row.lock.id) == (unit.id, lock.id)
    with transaction() as session:
        kinds = set(session.scalars(select(PinJob.kind)))
        actions = session.scalars(select(AuditEntry.action)).all()
    assert "generate" in kinds
    assert actions == ["map"]
    assert log() == [("map", "accepted", None)]


def test_the_same_pair_again_changes_nothing(app: Flask) -> None:
    unit, lock = make_accommodation(), make_lock()
    first = mappings.map_lock(unit.id, lock.id, actor=SYSTEM)
    again = mappings.map_lock(unit.id, lock.id, actor=SYSTEM)
    assert not again.changed
    assert again.row.mapping.id == first.row.mapping.id
    assert [result for _, result, _ in log()] == ["accepted", "unchanged"]


def test_a_lock_serves_one_accommodation(app: Flask) -> None:
    unit, other, lock = make_accommodation(), make_accommodation(), make_lock()
    make_mapping(other, lock)
    with pytest.raises(Conflict, match=other.name):
        mappings.map_lock(unit.id, lock.id, actor=SYSTEM)
    ((action, result, reason),) = log()
    assert (action, result) == ("map", "rejected")
    assert reason is not None
    assert other.name in reason
    with transaction() as session:
        assert len(session.scalars(select(LockMapping)).all()) == 1


@pytest.mark.parametrize("missing", ["accommodation", "lock"])
def test_an_attempt_on_nothing_is_logged_too(app: Flask, missing: str) -> None:
    unit, lock = make_accommodation(), make_lock()
    with pytest.raises(NotFound, match=missing):
        mappings.map_lock(
            uuid4() if missing == "accommodation" else unit.id,
            uuid4() if missing == "lock" else lock.id,
            actor=SYSTEM,
        )
    assert log() == [("map", "rejected", f"no such {missing}")]


def test_moving_a_live_pin_names_the_guests_until_confirmed(app: Flask, clock: Clock) -> None:
    unit, new = make_accommodation(), make_lock()
    old = make_mapping(unit)
    live_pin(make_stay(unit, guest="Beatriz Lima"), old.id)
    with pytest.raises(Conflict) as refused:
        mappings.map_lock(unit.id, new.id, actor=SYSTEM)
    assert "Beatriz Lima" in refused.value.errors[0].message
    assert "Beatriz" not in refused.value.message  # the log row keeps the message (SEC-08)
    mapped = mappings.map_lock(unit.id, new.id, actor=SYSTEM, confirm=True)
    assert mapped.row.mapping.lock_id == new.id
    with transaction() as session:
        assert session.scalars(select(Credential.state)).one() == "revoking"
    assert [(action, result) for action, result, _ in log()] == [
        ("remap", "rejected"),
        ("remap", "accepted"),
    ]


def test_parting_asks_the_same_question(app: Flask, clock: Clock) -> None:
    unit = make_accommodation()
    lock = make_mapping(unit)
    live_pin(make_stay(unit), lock.id)
    with pytest.raises(Conflict):
        mappings.unmap(unit.id, actor=SYSTEM)
    mappings.unmap(unit.id, actor=SYSTEM, confirm=True)
    with transaction() as session:
        assert session.scalars(select(LockMapping)).all() == []
        assert session.scalars(select(Credential.state)).one() == "revoking"
    with pytest.raises(NotFound):
        mappings.unmap(unit.id, actor=SYSTEM)
    assert [(action, result) for action, result, _ in log()] == [
        ("unmap", "rejected"),
        ("unmap", "accepted"),
        ("unmap", "rejected"),
    ]


def test_a_pin_that_is_over_holds_nobody_up(app: Flask, clock: Clock) -> None:
    unit, new = make_accommodation(), make_lock()
    old = make_mapping(unit)
    live_pin(make_stay(unit), old.id)
    clock.move(days=4)
    assert mappings.map_lock(unit.id, new.id, actor=SYSTEM).changed


def test_the_loser_of_a_race_is_told(app: Flask) -> None:
    units, lock = [make_accommodation() for _ in range(6)], make_lock()
    outcomes: list[str] = []
    together = threading.Barrier(len(units))

    def attempt(unit_id: object) -> None:
        with app.app_context():
            together.wait()
            try:
                mappings.map_lock(unit_id, lock.id, actor=SYSTEM)  # type: ignore[arg-type]
                outcomes.append("mapped")
            except ServiceError as error:
                outcomes.append(type(error).__name__)

    threads = [threading.Thread(target=attempt, args=(unit.id,)) for unit in units]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["Conflict"] * 5 + ["mapped"]
    assert len(log()) == 6


def test_the_list_is_newest_first_and_searches_both_names(app: Flask) -> None:
    pairs = []
    for name in ("Garden", "Tower"):
        unit = make_accommodation(name=name)
        lock = make_lock(name=f"{name} door 100%")
        pairs.append(mappings.map_lock(unit.id, lock.id, actor=SYSTEM))
    page = mappings.search({})
    assert [row.accommodation.name for row in page.items] == ["Tower", "Garden"]
    assert [row.lock.name for row in mappings.search({"q": "garden"}).items] == ["Garden door 100%"]
    assert mappings.search({"q": "r 100%"}).total == 2
    assert mappings.search({"q": "_"}).total == 0
