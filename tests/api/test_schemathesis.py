"""Every operation of the API, called as its description allows and forbids, answers as described.

The walks really change and remove things. `bin/test -m faults` walks further, from a fresh seed;
`WALK_SEED=<seed> bin/test -m faults tests/api/test_schemathesis.py` goes the same way again.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from app.api import serializers, tokens
from app.integrations.channels.fake import channel
from app.integrations.locks.fake import SHARED
from app.services import list_args, properties, vendors
from tests.api.described_house import OURS, furnish
from tests.api.description_walk import Walk
from tests.conftest import Clock
from tests.factories import make_user

#: the walks of every run of the suite: always the same
STEADY = 20260310
#: read to begin with, and held against OpenAPI's own schema in `test_openapi`
DOCUMENT = "GET /api/openapi.json"
#: what answers with a 200 only for a house that this one is not
SELDOM = {"GET /api/admin/matches/suggestions/{accommodation_id}"}


@pytest.fixture(autouse=True)
def house(app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Three of everything, and vendors that answer."""
    SHARED.reset()
    channel.reset()
    vendors.forget_clients()
    monkeypatch.setattr(vendors, "channel_client", lambda name="stays": channel)
    monkeypatch.setattr(vendors, "listings_clients", lambda name: [channel])
    monkeypatch.setattr(vendors, "lock_client", lambda vendor: SHARED)
    # A breakdown is an answer here, as it is for callers.
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
    for _ in range(3):
        furnish()
    yield
    SHARED.reset()
    channel.reset()
    vendors.forget_clients()


def walk(app: Flask, role: str | None, seed: int = STEADY) -> Walk:
    """A walk of somebody with that role's token, or with none."""
    if role is None:
        return Walk(app, {}, seed)
    token = tokens.issue(make_user(role, email=f"{OURS}-{role}@example.org"))
    return Walk(app, {"Authorization": f"Bearer {token}"}, seed)


def roles(app: Flask) -> dict[str, str | None]:
    """Who may call each operation, as the description says."""
    described: Any = app.test_client().get("/api/openapi.json").json
    return {
        f"{method.upper()} {path}": view.get("x-role")
        for path, views in described["paths"].items()
        for method, view in views.items()
    }


def succeeded(gone: Walk) -> set[str]:
    return {
        operation
        for operation, statuses in gone.statuses.items()
        if any(200 <= status < 300 for status in statuses)
    }


@pytest.mark.timeout(300)
@pytest.mark.parametrize("role", ["admin", None])
def test_answers_are_as_described(app: Flask, role: str | None) -> None:
    gone = walk(app, role)
    gone.go(1)  # staff, and the edges of the rules, are walked by `-m faults`
    assert not gone.differences, gone.report()
    needed = roles(app)
    assert gone.statuses.keys() == needed.keys() - {DOCUMENT}
    for operation in succeeded(gone):
        assert needed[operation] in (None, role) or role == "admin", operation
    if role == "admin":
        looked_at = {operation for operation in needed if operation.startswith("GET ")}
        assert looked_at - SELDOM - {DOCUMENT} <= succeeded(gone)


@pytest.mark.faults
@pytest.mark.timeout(300)
@pytest.mark.parametrize("role", ["admin", "staff"])
def test_answers_are_as_described_on_another_way(app: Flask, role: str) -> None:
    seed = int(os.environ.get("WALK_SEED") or secrets.randbelow(2**31))
    gone = walk(app, role, seed)
    gone.go(*((4, 14) if role == "admin" else (1, 4)))
    assert not gone.differences, f"WALK_SEED={seed}\n{gone.report()}"


# --- the walk sees what is wrong ------------------------------------------------------------------


def found(app: Flask, only: str) -> set[tuple[str, int]]:
    gone = walk(app, "admin")
    gone.go(1, only=only)
    return {(each.kind, each.status) for each in gone.differences}


def test_an_answer_of_another_shape_is_found(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = serializers.lock
    monkeypatch.setattr(serializers, "lock", lambda row: lock(row) | {"radio": "steam"})
    assert ("Response violates schema", 200) in found(app, "GET /api/admin/locks")


def test_a_breakdown_is_found(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(args: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(properties, "search", broken)
    assert ("Server error", 500) in found(app, "GET /api/admin/properties")


def test_an_open_door_is_found(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    boss = make_user("admin")
    monkeypatch.setattr(tokens, "bearer", lambda: boss)
    assert ("API accepts requests without authentication", 200) in found(
        app, "GET /api/admin/rooms"
    )


def test_what_is_accepted_and_should_not_be_is_found(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_args, "choice", lambda args, name, allowed: None)
    gone = walk(app, "admin")
    gone.go(0, edges=40, only="GET /api/admin/reconciliation/status")
    assert {each.kind for each in gone.differences} == {"Schema-violating request accepted"}
