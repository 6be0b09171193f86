"""The limits on guessing passwords, with Redis and without (SEC, INTERFACES §1 and §4)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient

from app.extensions import db, init_limiter, limiter
from app.factory import create_app
from app.runtime import settings
from app.services import passwords
from tests.factories import PASSWORD, make_user


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting is what is tested here, not the work of a hash."""
    cheap = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)
    monkeypatch.setattr(passwords, "NOBODY", cheap.hash("nobody's"))


@pytest.fixture
def without_redis(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """The same database behind an app whose Redis is away."""
    url = settings().redis_url
    away = replace(app.extensions["settings"], redis_url="redis://127.0.0.1:1/0")
    # The limiter is one per process: it must have its Redis back afterwards.
    monkeypatch.setattr(limiter, "_storage_dead", False)
    other = create_app(away, testing=True)
    yield other.test_client()
    with other.app_context():
        db.engine.dispose()
    init_limiter(Flask(__name__), url)


def sign_in(client: FlaskClient, email: str, password: str = "wrong one") -> int:
    answer = client.post("/api/auth/token", json={"email": email, "password": password})
    return answer.status_code


def test_without_redis_people_sign_in_and_guessers_are_stopped(
    without_redis: FlaskClient,
) -> None:
    make_user("staff", email="ana@example.org")
    start = time.monotonic()
    assert sign_in(without_redis, "ana@example.org", PASSWORD) == 200
    assert time.monotonic() - start < 3
    statuses = [sign_in(without_redis, "ana@example.org") for _ in range(12)]
    assert statuses == [401] * 10 + [429] * 2


def test_many_addresses_from_one_machine_are_stopped_too(client: FlaskClient) -> None:
    statuses = [sign_in(client, f"guest{n}@example.org") for n in range(41)]
    assert statuses == [401] * 40 + [429]


def test_the_page_and_the_api_count_together(client: FlaskClient) -> None:
    make_user("staff", email="ana@example.org")
    for _ in range(10):
        assert sign_in(client, "ana@example.org") == 401
    client.get("/login")
    with client.session_transaction() as session:
        token = session.get("csrf", "")
    page = client.post(
        "/login",
        data={"email": "ana@example.org", "password": PASSWORD, "csrf_token": token},
    )
    assert page.status_code == 429


def test_what_is_counted_names_nobody(client: FlaskClient, redis: object) -> None:
    sign_in(client, "ana@example.org")
    keys = [key.decode() for key in redis.keys("*")]  # type: ignore[attr-defined]
    assert [key for key in keys if "sign-in" in key]
    assert not [key for key in keys if "ana" in key]


@pytest.mark.parametrize("email", ["\ud800", "a\0b", ["a"], {"a": 1}, 7, None, "x" * 100_000])
def test_no_address_breaks_the_counting(client: FlaskClient, email: object) -> None:
    answer = client.post("/api/auth/token", json={"email": email, "password": "x"})
    assert answer.status_code in (400, 401)
