"""Liveness and readiness (INTERFACES §5, OPS)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from alembic.script import ScriptDirectory
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from app.config import ROOT
from app.extensions import db
from app.services import health

GOOD = {"database": "ok", "redis": "ok", "migrations": "ok"}


def ready(client: FlaskClient) -> tuple[int, dict[str, str]]:
    answer = client.get("/health/ready")
    assert answer.json is not None
    assert answer.json["status"] == ("ok" if answer.status_code == 200 else "unavailable")
    return answer.status_code, answer.json["checks"]


def test_live_needs_nothing(client: FlaskClient) -> None:
    answer = client.get("/health/live")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_ready_when_all_answer(client: FlaskClient) -> None:
    assert ready(client) == (200, GOOD)
    assert client.head("/health/ready").status_code == 200


def test_not_ready_without_redis(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = replace(app.extensions["settings"], redis_url="redis://127.0.0.1:1/0")
    monkeypatch.setitem(app.extensions, "settings", away)
    assert ready(client) == (503, GOOD | {"redis": "unreachable"})
    assert client.get("/health/live").status_code == 200


@pytest.fixture
def behind(app: Flask) -> Iterator[None]:
    """A schema one revision behind the code."""
    script = ScriptDirectory(str(ROOT / "migrations"))
    head = script.get_current_head()
    assert head is not None
    before = script.get_revision(head).down_revision
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": before})
    yield
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": head})


def test_not_ready_before_the_migrations(client: FlaskClient, behind: None) -> None:
    assert ready(client) == (503, GOOD | {"migrations": "not current"})


def test_a_check_that_hangs_is_not_waited_for(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()

    def hang() -> str:
        release.wait(20)
        return health.OK

    monkeypatch.setitem(health._CHECKS, "redis", hang)
    monkeypatch.setattr(health, "PATIENCE_SECONDS", 0.3)
    start = time.monotonic()
    assert ready(client) == (503, GOOD | {"redis": "no answer"})
    assert time.monotonic() - start < 2
    release.set()


def test_a_check_that_fails_tells_no_secret(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        raise OSError("postgresql://user:hunter2@db")

    monkeypatch.setitem(health._CHECKS, "database", fail)
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert b"hunter2" not in answer.data
    assert answer.json is not None
    assert answer.json["checks"]["database"] == "unreachable"
