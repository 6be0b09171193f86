"""Real PostgreSQL and Redis for every test, one database per test process, emptied in between."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from argon2 import PasswordHasher
from cryptography.fernet import Fernet
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade
from psycopg import sql

from app import clock as app_clock
from app import config
from app.extensions import Base, db, limiter
from app.factory import create_app
from app.local.engines import TestEngines, start_test_engines
from app.services import passwords
from tests import thrift

TEMPLATE = "turnkey_template"
TEMPLATE_LOCK = 815_162_342
COUNTERS = "tests.counters"
CHEAP = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)
CHEAP_NOBODY = CHEAP.hash("nobody's")


def pytest_collection(session: pytest.Session) -> None:
    one = getattr(session.config, "workerinput", None)
    everything = [Path(each).name for each in session.config.args] == ["tests"]
    if one is not None and everything:
        thrift.share_the_rewriting(int(one["workerid"].removeprefix("gw")), one["workercount"])


def pytest_collection_finish() -> None:
    """Everything that is ever imported has been."""
    thrift.leave_what_lasts_to_itself()
    thrift.share_compiled_routes()


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, **delta: float) -> datetime:
        """Go on by `timedelta(**delta)`."""
        self.now += timedelta(**delta)
        return self.now

    def set(self, now: datetime) -> datetime:
        self.now = now
        return now


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[TestEngines]:
    base = tmp_path_factory.getbasetemp()
    running = start_test_engines(base if worker_id == "master" else base.parent)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def worker_id(request: pytest.FixtureRequest) -> str:
    return str(getattr(request.config, "workerinput", {}).get("workerid", "master"))


@pytest.fixture(scope="session")
def make_settings(
    engines: TestEngines, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., config.Settings]:
    """Settings for a database of the test engines; keyword arguments are variables."""
    secrets = {
        "SECRET_KEY": "test-secret-key-" + "x" * 32,
        "JWT_SECRET": "test-jwt-secret-" + "x" * 32,
        "PIN_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "STAYS_WEBHOOK_SECRET": "stays-webhook-secret-for-tests-only",
        "BEDS24_WEBHOOK_SECRET": "beds24-webhook-secret-for-tests-only",
        "LOG_FORMAT": "json",
    }
    var = tmp_path_factory.mktemp("var")

    def make(**env: str) -> config.Settings:
        return config.load(secrets | env, var=var)

    return make


def _admin(engines: TestEngines) -> psycopg.Connection[Any]:
    return psycopg.connect(engines.database_url, autocommit=True)


def database_url(engines: TestEngines, name: str) -> str:
    """The test server's URL with another database in it."""
    return engines.database_url.replace("/postgres?", f"/{name}?")


@pytest.fixture(scope="session")
def migrated_template(engines: TestEngines, make_settings: Callable[..., config.Settings]) -> str:
    """A database with every migration applied, made once for all test processes."""
    with _admin(engines) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [TEMPLATE_LOCK])
        found = connection.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", [TEMPLATE]
        ).fetchone()
        if not found:
            building = f"{TEMPLATE}_building"
            name = sql.Identifier(building)
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(name))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
            app = create_app(
                make_settings(
                    DATABASE_URL=database_url(engines, building), REDIS_URL=engines.redis_url
                )
            )
            with app.app_context():
                upgrade()
                db.engine.dispose()
            connection.execute(
                sql.SQL("ALTER DATABASE {} RENAME TO {}").format(name, sql.Identifier(TEMPLATE))
            )
        connection.execute("SELECT pg_advisory_unlock(%s)", [TEMPLATE_LOCK])
    return TEMPLATE


@pytest.fixture(scope="session")
def redis_url(engines: TestEngines, worker_id: str) -> str:
    """A Redis database of this test process alone."""
    number = 0 if worker_id == "master" else int(worker_id.removeprefix("gw")) + 1
    joiner = "&" if "?" in engines.redis_url else "?"
    plain = engines.redis_url.replace("?db=0", "?").replace("&db=0", "").rstrip("?&")
    joiner = "&" if "?" in plain else "?"
    return f"{plain}{joiner}db={number}"


@pytest.fixture(scope="session")
def test_database(engines: TestEngines, migrated_template: str, worker_id: str) -> str:
    """The URL of this test process's own database."""
    name = f"turnkey_{worker_id}"
    with _admin(engines) as connection:
        # Copies of one template cannot be made at the same moment.
        connection.execute("SELECT pg_advisory_lock(%s)", [TEMPLATE_LOCK])
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(migrated_template)
            )
        )
        connection.execute("SELECT pg_advisory_unlock(%s)", [TEMPLATE_LOCK])
    return database_url(engines, name)


@pytest.fixture(scope="session")
def session_app(
    test_database: str, redis_url: str, make_settings: Callable[..., config.Settings]
) -> Iterator[Flask]:
    app = create_app(make_settings(DATABASE_URL=test_database, REDIS_URL=redis_url), testing=True)
    app.extensions[COUNTERS] = {name: getattr(limiter, name) for name in ("_storage", "_limiter")}
    yield app
    with app.app_context():
        db.engine.dispose()


def empty_tables(connection: psycopg.Connection[Any]) -> None:
    """Delete every row, whatever depends on what, in one round trip."""
    tables = [sql.Identifier(table.name) for table in Base.metadata.sorted_tables]
    connection.execute(
        sql.SQL(";").join(
            [
                sql.SQL("SET session_replication_role = replica"),
                *(sql.SQL("DELETE FROM {}").format(table) for table in tables),
                sql.SQL("SET session_replication_role = origin"),
            ]
        )
    )


class Broom:
    """Empties the database between tests over one connection, which some tests cut."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.connection = psycopg.connect(url, autocommit=True)

    def sweep(self) -> None:
        try:
            empty_tables(self.connection)
        except psycopg.OperationalError:
            self.connection.close()
            self.connection = psycopg.connect(self.url, autocommit=True)
            empty_tables(self.connection)


@pytest.fixture(scope="session")
def broom(test_database: str) -> Iterator[Broom]:
    broom = Broom(test_database)
    yield broom
    broom.connection.close()


@pytest.fixture
def database(test_database: str, broom: Broom) -> Iterator[str]:
    """The URL of an empty, migrated database; emptied again afterwards."""
    yield test_database
    broom.sweep()


@pytest.fixture
def redis(redis_url: str) -> Iterator[Any]:
    """A client of an empty Redis."""
    import redis as redis_py

    connection = redis_py.Redis.from_url(redis_url)
    connection.flushdb()
    yield connection
    connection.flushdb()
    connection.close()


@pytest.fixture
def app(session_app: Flask, database: str, redis: Any) -> Iterator[Flask]:
    """The app on an empty database and an empty Redis, with its context pushed."""
    # There is one limiter: an app that a test made of other settings has left it with another
    # Redis, which nobody empties. And on a busy machine it may give Redis up for a while and count
    # in memory: begin anew.
    vars(limiter).update(session_app.extensions[COUNTERS])
    limiter._storage_dead = False
    if limiter._fallback_storage is not None:
        limiter._fallback_storage.reset()
    with session_app.app_context():
        yield session_app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture(autouse=True)
def cheap_passwords(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hash that costs no tenth of a second, but for tests that ask for `real_passwords`."""
    if "real_passwords" not in request.fixturenames:
        monkeypatch.setattr(passwords, "_hasher", CHEAP)
        monkeypatch.setattr(passwords, "NOBODY", CHEAP_NOBODY)


@pytest.fixture
def real_passwords() -> None:
    """Passwords cost in this test what they cost in earnest."""


@pytest.fixture
def clock() -> Iterator[Clock]:
    """Stands at a Tuesday noon; `clock.move(hours=2)` goes on."""
    source = Clock(datetime(2026, 3, 10, 12, 0, tzinfo=UTC))
    app_clock.set_source(source)
    yield source
    app_clock.set_source(None)


def _is_local(address: Any) -> bool:
    if isinstance(address, (str, bytes)):
        return True  # a Unix socket
    host = str(address[0])
    return host in ("127.0.0.1", "::1", "localhost", "", "0.0.0.0")


@pytest.fixture(autouse=True, scope="session")
def closed_network() -> Iterator[None]:
    """No test reaches beyond this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if not _is_local(address):
            raise AssertionError(f"a test tried to reach {address!r}")
        connect(self, address)

    socket.socket.connect = guarded  # type: ignore[method-assign]
    yield
    socket.socket.connect = connect  # type: ignore[method-assign]


@pytest.fixture(autouse=True, scope="session")
def clean_environment() -> Iterator[None]:
    """Vendors configured on the machine never leak into a test."""
    prefixes = ("STAYS_", "BEDS24_", "TUYA_", "ADMIN_", "SANDBOX")
    saved = {k: os.environ.pop(k) for k in list(os.environ) if k.startswith(prefixes)}
    yield
    os.environ.update(saved)


@pytest.fixture
def in_tmp(tmp_path: Path) -> Iterator[Path]:
    """The working directory is an empty one."""
    with contextlib.chdir(tmp_path):
        yield tmp_path
