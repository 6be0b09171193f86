"""Twenty processes want one lock: one gets it, nineteen are told who did (LOCK-07, C-19)."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.connection import Connection
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select

from app import config
from app.errors import Conflict
from app.extensions import db
from app.factory import create_app
from app.models import LockMapping, MappingValidationLog
from app.services import mapping_log, mappings
from app.services.audit import Actor
from app.transaction import transaction
from tests import forked
from tests.factories import make_accommodation, make_lock, make_user

RACERS = 20


def race(
    settings: config.Settings,
    unit_id: UUID,
    lock_id: UUID,
    user: tuple[str, UUID],
    line: Connection,
) -> None:
    """One racer: ready, wait for the shot, try, and tell what came of it."""
    app = create_app(settings, testing=True)
    with app.app_context():
        with transaction() as session:  # connected before the start
            session.execute(select(1))
        line.send("ready")
        line.recv()
        actor = Actor(user[0], user[1], "admin")
        try:
            mappings.map_lock(unit_id, lock_id, actor=actor)
            line.send("mapped")
        except Conflict as refusal:
            line.send(refusal.message)
        db.engine.dispose()


@pytest.mark.timeout(180)
def test_twenty_processes_race_for_one_lock(
    app: Flask, make_settings: Callable[..., config.Settings], test_database: str, redis_url: str
) -> None:
    lock = make_lock(name="Front door")
    user = make_user("admin")
    units = [make_accommodation() for _ in range(RACERS)]
    settings = make_settings(DATABASE_URL=test_database, REDIS_URL=redis_url)
    context = forked.context()
    lines, racers = [], []
    for unit in units:
        ours, theirs = context.Pipe()
        racer = context.Process(
            target=race, args=(settings, unit.id, lock.id, (user.email, user.id), theirs)
        )
        racer.start()
        theirs.close()
        lines.append(ours)
        racers.append(racer)
    try:
        assert [line.recv() for line in lines] == ["ready"] * RACERS
        for line in lines:
            line.send("go")
        outcomes = [line.recv() for line in lines]
    finally:
        for racer in racers:
            racer.join(30)
            racer.close()
        for line in lines:
            line.close()
    winner = units[outcomes.index("mapped")]
    refusals = [each for each in outcomes if each != "mapped"]
    told = f"Front door already opens {winner.name}, connected by {user.email}"
    assert len(refusals) == RACERS - 1
    assert all(each.startswith(told) for each in refusals)
    with transaction() as session:
        (mapping,) = session.scalars(select(LockMapping)).all()
        results = session.scalars(select(MappingValidationLog.result)).all()
    assert (mapping.lock_id, mapping.accommodation_id) == (lock.id, winner.id)
    assert sorted(results) == ["accepted"] + ["rejected"] * (RACERS - 1)
    logged = mapping_log.search({"result": "rejected", "lock_id": str(lock.id)})
    assert logged.total == RACERS - 1
    assert {row.user for row in logged.items} == {user.email}
    assert {row.lock for row in logged.items} == {"Front door"}
