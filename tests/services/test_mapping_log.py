"""The log of attempts to map: every one, with who, what came of it and why (LOCK-04)."""

from __future__ import annotations

from uuid import uuid4

import pytest
from flask import Flask

from app.errors import Conflict, Invalid, NotFound
from app.services import accommodations, mapping_log, mappings
from app.services.audit import SYSTEM, Actor
from tests.conftest import Clock
from tests.factories import make_accommodation, make_lock, make_user


def test_every_attempt_is_listed_with_its_names(app: Flask, clock: Clock) -> None:
    user = make_user("admin")
    actor = Actor(user.email, user.id, "admin")
    first, second = make_accommodation(name="Suite 1"), make_accommodation(name="Suite 2")
    lock = make_lock(name="Lock 1")
    mappings.map_lock(first.id, lock.id, actor=actor)
    clock.move(seconds=1)
    with pytest.raises(Conflict):
        mappings.map_lock(second.id, lock.id, actor=SYSTEM)
    clock.move(seconds=1)
    mappings.unmap(first.id, actor=actor)
    page = mapping_log.search({})
    assert [
        (row.entry.action, row.entry.result, row.accommodation, row.lock, row.user)
        for row in page.items
    ] == [
        ("unmap", "accepted", "Suite 1", "Lock 1", user.email),
        ("map", "rejected", "Suite 2", "Lock 1", None),
        ("map", "accepted", "Suite 1", "Lock 1", user.email),
    ]
    reason = page.items[1].entry.reason
    assert reason is not None
    assert f"already opens Suite 1, connected by {user.email}" in reason


def test_filters(app: Flask) -> None:
    room, lock = make_accommodation(), make_lock()
    mappings.map_lock(room.id, lock.id, actor=SYSTEM)
    with pytest.raises(NotFound):
        mappings.map_lock(uuid4(), lock.id, actor=SYSTEM)
    assert mapping_log.search({"accommodation_id": str(room.id)}).total == 1
    assert mapping_log.search({"lock_id": str(lock.id)}).total == 2
    assert mapping_log.search({"result": "rejected"}).total == 1
    assert mapping_log.search({"action": "unmap"}).total == 0
    assert mapping_log.search({"q": "no such accommodation"}).total == 1
    for bad in ({"result": "perhaps"}, {"action": "swap"}, {"lock_id": "7"}, {"sort": "reason"}):
        with pytest.raises(Invalid) as refused:
            mapping_log.search(bad)
        assert refused.value.errors[0].field == next(iter(bad))


def test_the_log_outlives_what_it_is_about(app: Flask) -> None:
    room, lock = make_accommodation(), make_lock()
    mappings.map_lock(room.id, lock.id, actor=SYSTEM)
    mappings.unmap(room.id, actor=SYSTEM)
    accommodations.delete(room.id, actor=SYSTEM)
    (newest, _) = mapping_log.search({}).items
    assert newest.accommodation is None
    assert newest.entry.accommodation_id == room.id
