"""app/services/users.py: sign-in, sessions, the first admin (SEC-01, SEC-04, issue 2)."""

from __future__ import annotations

import statistics
import threading
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from app.errors import Conflict, Invalid, NotFound
from app.models import AuditEntry, User, UserSession
from app.services import sign_in, users
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import reload

PASSWORD = "correct horse battery"


def test_the_right_password_signs_in_whatever_the_case_of_the_address(app: Flask) -> None:
    made = users.create("Ana@Example.ORG ", PASSWORD, "staff", "Ana")
    assert made.email == "ana@example.org"
    found = users.authenticate(" ANA@example.org", PASSWORD)
    assert found is not None
    assert found.id == made.id
    assert reload(made).last_login_at is None  # there may be a second step
    assert sign_in.complete(found, ip=None, door="browser")
    assert reload(made).last_login_at is not None


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("ana@example.org", "wrong password"),
        ("ana@example.org", PASSWORD + " "),
        ("ana@example.org", ""),
        ("ana@example.org", PASSWORD + "\0"),
        ("ana@example.org", "\ud800"),
        ("ana@example.org", "x" * 100_000),
        ("nobody@example.org", PASSWORD),
        ("", PASSWORD),
        ("ana@example.org\0", PASSWORD),
        ("\ud800@example.org", PASSWORD),
    ],
)
def test_anything_else_does_not(app: Flask, email: str, password: str) -> None:
    users.create("ana@example.org", PASSWORD, "staff")
    assert users.authenticate(email, password) is None


def test_an_inactive_user_does_not_sign_in(app: Flask) -> None:
    made = users.create("ana@example.org", PASSWORD, "staff")
    token = users.start_session(made.id, None, None)
    with transaction() as session:
        session.get_one(User, made.id).is_active = False
    assert users.authenticate("ana@example.org", PASSWORD) is None
    assert users.session_user(token) is None


def test_an_unknown_address_takes_as_long_as_a_wrong_password(
    app: Flask, real_passwords: None
) -> None:
    users.create("ana@example.org", PASSWORD, "staff")

    def seconds(email: str) -> float:
        start = time.perf_counter()
        assert users.authenticate(email, "wrong password") is None
        return time.perf_counter() - start

    seconds("ana@example.org")
    known, unknown = [], []
    for _ in range(5):
        known.append(seconds("ana@example.org"))
        unknown.append(seconds("nobody@example.org"))
    ratio = statistics.median(unknown) / statistics.median(known)
    # Without the stand-in hash the ratio is below 0.05.
    assert 0.5 < ratio < 2


@pytest.mark.parametrize(
    ("email", "password", "role", "field"),
    [
        ("nonsense", PASSWORD, "staff", "email"),
        ("a b@example.org", PASSWORD, "staff", "email"),
        ("a@" + "b" * 300, PASSWORD, "staff", "email"),
        ("ana@example.org", "short", "staff", "password"),
        ("ana@example.org", PASSWORD, "root", "role"),
    ],
)
def test_a_bad_field_is_named(app: Flask, email: str, password: str, role: str, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        users.create(email, password, role)
    assert [error.field for error in refused.value.errors] == [field]
    assert PASSWORD not in str(refused.value)


def test_an_address_is_taken_once(app: Flask) -> None:
    users.create("ana@example.org", PASSWORD, "staff")
    with pytest.raises(Conflict):
        users.create("ANA@example.org", PASSWORD, "admin")


def test_a_new_password_ends_every_session_and_changes_the_stamp(app: Flask) -> None:
    made = users.create("ana@example.org", PASSWORD, "staff")
    token = users.start_session(made.id, "10.0.0.1", "Firefox")
    users.set_password("ana@example.org", "another good one")
    assert users.session_user(token) is None
    assert users.authenticate("ana@example.org", PASSWORD) is None
    assert users.authenticate("ana@example.org", "another good one") is not None
    assert users.credential_stamp(reload(made)) != users.credential_stamp(made)
    with pytest.raises(NotFound):
        users.set_password("nobody@example.org", PASSWORD)


def test_a_session_lasts_twelve_hours_and_only_its_hash_is_stored(app: Flask, clock: Clock) -> None:
    made = users.create("ana@example.org", PASSWORD, "staff")
    token = users.start_session(made.id, "10.0.0.1", "Firefox\0" + "x" * 900)
    with transaction() as session:
        row = session.scalars(select(UserSession)).one()
    assert token not in row.token_hash
    assert row.expires_at - row.created_at == timedelta(hours=12)
    found = users.session_user(token)
    assert found is not None
    assert found.id == made.id
    clock.move(hours=11, minutes=59)
    assert users.session_user(token) is not None
    clock.move(minutes=1)
    assert users.session_user(token) is None


def test_a_session_is_touched_once_a_minute(app: Flask, clock: Clock) -> None:
    made = users.create("ana@example.org", PASSWORD, "staff")
    token = users.start_session(made.id, None, None)
    start = clock.now

    def seen() -> timedelta:
        users.session_user(token)
        with transaction() as session:
            return session.scalars(select(UserSession)).one().last_seen_at - start

    clock.move(seconds=59)
    assert seen() == timedelta(0)
    clock.move(seconds=1)
    assert seen() == timedelta(minutes=1)


def test_signing_out_ends_this_session_only(app: Flask) -> None:
    made = users.create("ana@example.org", PASSWORD, "staff")
    one, other = (users.start_session(made.id, None, None) for _ in range(2))
    users.end_session(one)
    users.end_session("never existed")
    assert users.session_user(one) is None
    assert users.session_user(other) is not None


def test_the_first_admin_is_made_once(app: Flask) -> None:
    password = users.ensure_first_admin("admin@localhost", None)
    assert password is not None
    assert len(password) >= 12
    found = users.authenticate("admin@localhost", password)
    assert found is not None
    assert found.role == "admin"
    assert users.ensure_first_admin("second@localhost", PASSWORD) is None
    assert [user.email for user in users.list_users()] == ["admin@localhost"]


def test_processes_that_start_together_make_one_first_admin(app: Flask) -> None:
    made: list[str | None] = []

    def start(number: int) -> None:
        with app.app_context():
            made.append(users.ensure_first_admin(f"admin{number}@localhost", PASSWORD))

    threads = [threading.Thread(target=start, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert made.count(None) == 3
    assert len(users.list_users()) == 1


def test_a_host_that_only_migrates_gets_its_admin_at_the_first_sign_in(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(
        app.extensions["settings"], admin_email="Boss@example.org", admin_password=PASSWORD
    )
    monkeypatch.setitem(app.extensions, "settings", settings)
    assert users.authenticate("boss@example.org", "wrong password") is None
    found = users.authenticate("boss@example.org", PASSWORD)
    assert found is not None
    assert found.role == "admin"


def test_the_environment_makes_no_second_admin(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    users.create("ana@example.org", PASSWORD, "staff")
    settings = replace(
        app.extensions["settings"], admin_email="boss@example.org", admin_password=PASSWORD
    )
    monkeypatch.setitem(app.extensions, "settings", settings)
    assert users.authenticate("boss@example.org", PASSWORD) is None


def test_what_happens_to_users_is_written_down_without_passwords(app: Flask) -> None:
    users.create("ana@example.org", PASSWORD, "staff")
    users.set_password("ana@example.org", "another good one")
    with transaction() as session:
        rows = session.scalars(select(AuditEntry).order_by(AuditEntry.at)).all()
    assert [row.action for row in rows] == ["create", "set_password"]
    for row in rows:
        assert row.actor == "system"
        assert PASSWORD not in str(row.after)
        assert "argon2" not in str(row.after)
