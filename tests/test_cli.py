"""app/cli.py: the operator's commands print what they did and fail aloud (INTERFACES §3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import select

from app import cli, clock
from app.errors import Conflict
from app.extensions import db
from app.factory import create_app
from app.integrations.errors import Unreachable
from app.integrations.locks import LockPin, LockPinState
from app.models import AuditEntry, Credential, Lock
from app.services import reconciliation, sign_in, users, vendors
from app.transaction import transaction
from tests.factories import make_lock, make_stay, make_user

PASSWORD = "correct horse battery"


@pytest.fixture
def runner(app: Flask) -> Iterator[FlaskCliRunner]:
    return app.test_cli_runner()


def test_every_command_has_help(runner: FlaskCliRunner) -> None:
    for words in (
        ["users", "create"], ["users", "set-password"], ["users", "list"], ["reconcile"],
        ["schedule", "show"], ["schedule", "apply"], ["pins", "audit"],
    ):  # fmt: skip
        result = runner.invoke(args=[*words, "--help"])
        assert result.exit_code == 0, result.output
        assert "Usage:" in result.output


def test_users_are_made_listed_and_given_a_password(runner: FlaskCliRunner) -> None:
    assert "No users" in runner.invoke(args=["users", "list"]).output
    made = runner.invoke(
        args=["users", "create", "--email", "Ana@Example.org", "--role", "staff",
              "--password-stdin"],
        input=PASSWORD + "\n",
    )  # fmt: skip
    assert (made.exit_code, made.output) == (0, "Created staff ana@example.org.\n")
    changed = runner.invoke(
        args=["users", "set-password", "ana@example.org", "--password-stdin"],
        input="another good one\r\n",
    )
    assert changed.exit_code == 0, changed.output
    user = users.authenticate("ana@example.org", "another good one")
    assert user is not None
    assert sign_in.complete(user, ip=None, door="api")
    listed = runner.invoke(args=["users", "list"]).output
    assert listed.startswith("ana@example.org  staff  last sign-in 20")


def test_somebody_is_shut_out_let_in_again_and_relieved_of_a_lost_phone(
    runner: FlaskCliRunner,
) -> None:
    make_user("admin")
    ana = make_user("admin", email="ana@example.org", totp_confirmed_at=clock.utcnow())
    token = users.start_session(ana.id, None, None)

    def run(verb: str, email: str = "ANA@example.org") -> tuple[int, str]:
        result = runner.invoke(args=["users", verb, email])
        return result.exit_code, result.output

    assert "second factor" in runner.invoke(args=["users", "list"]).output
    assert run("reset-second-factor") == (
        0, "Removed the second factor of ana@example.org and ended all sessions.\n",
    )  # fmt: skip
    assert users.session_user(token) is None
    assert run("reset-second-factor") == (1, "Error: there is no second factor\n")
    assert run("deactivate") == (0, "Deactivated ana@example.org and ended all sessions.\n")
    assert "inactive" in runner.invoke(args=["users", "list"]).output
    assert run("reactivate") == (0, "Reactivated ana@example.org.\n")
    assert run("deactivate", "nobody@example.org") == (1, "Error: no user nobody@example.org\n")
    with transaction() as session:
        actors = {row.actor for row in session.scalars(select(AuditEntry))}
    assert actors == {"command line"}


def test_the_last_administrator_stays_at_the_terminal_as_well(runner: FlaskCliRunner) -> None:
    boss = make_user("admin")
    result = runner.invoke(args=["users", "deactivate", boss.email])
    assert result.exit_code == 1
    assert "nobody else could administrate" in result.output


def test_somebody_created_first_does_not_keep_the_configured_admin_out(
    runner: FlaskCliRunner, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(
        app.extensions["settings"], admin_email="Boss@example.org", admin_password=PASSWORD
    )
    monkeypatch.setitem(app.extensions, "settings", settings)
    made = runner.invoke(
        args=["users", "create", "--email", "ana@example.org", "--role", "staff",
              "--password-stdin"],
        input=PASSWORD + "\n",
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    assert "boss@example.org  admin" in runner.invoke(args=["users", "list"]).output
    assert users.authenticate("boss@example.org", PASSWORD) is not None


@pytest.mark.parametrize(
    ("words", "typed", "said"),
    [
        (["create", "--email", "x", "--role", "staff", "--password-stdin"], PASSWORD, "email"),
        (["create", "--email", "a@b", "--role", "staff", "--password-stdin"], "short", "password"),
        (["create", "--email", "a@b", "--role", "king", "--password-stdin"], PASSWORD, "king"),
        (["create", "--email", "a@b", "--role", "staff"], PASSWORD, "--password-stdin"),
        (["set-password", "a@b", "--password-stdin"], PASSWORD, "no user"),
    ],
)
def test_a_refused_user_is_one_line_and_a_failure(
    runner: FlaskCliRunner, words: list[str], typed: str, said: str
) -> None:
    result = runner.invoke(args=["users", *words], input=typed)
    assert result.exit_code != 0
    assert said in result.output
    assert "Traceback" not in result.output
    assert typed not in result.output


def test_the_schedule_is_shown_and_put_right(runner: FlaskCliRunner) -> None:
    before = runner.invoke(args=["schedule", "show"])
    assert before.exit_code == 1
    assert "missing" in before.output
    assert runner.invoke(args=["schedule", "apply"]).exit_code == 0
    after = runner.invoke(args=["schedule", "show"])
    assert after.exit_code == 0, after.output
    assert "reconciliation.tick_stays  */30 * * * *" in after.output
    assert runner.invoke(args=["schedule", "apply"]).output == "Nothing to change.\n"


def test_commands_say_that_redis_is_away(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    away = replace(app.extensions["settings"], redis_url="redis://127.0.0.1:1/0")
    monkeypatch.setitem(app.extensions, "settings", away)
    result = app.test_cli_runner().invoke(args=["schedule", "show"])
    assert result.exit_code == 1
    assert "Redis does not answer" in result.output


class Run:
    """Stands in for the reconciliation service: what was asked, and how it ends."""

    def __init__(self, status: str = "success") -> None:
        self.asked: dict[str, Any] = {}
        self.waits = 1
        self.row = SimpleNamespace(
            id=uuid4(), status=status, fetched=45, created=3, updated=12, deleted=1, orphaned=0,
            flagged=0, errors=0, message=None, plan_hash=None,
        )  # fmt: skip

    def start_all(self, kind: str, **asked: Any) -> Any:
        self.asked = {"kind": kind, **asked}
        return [self.row.id]

    def run(self, run_id: Any) -> None:
        assert run_id == self.row.id

    def get(self, run_id: Any) -> Any:
        self.waits -= 1
        return replace_status(self.row, "pending") if self.waits >= 0 else self.row


def replace_status(row: SimpleNamespace, status: str) -> SimpleNamespace:
    return SimpleNamespace(**(vars(row) | {"status": status}))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    stand_in = Run()
    for name in ("start_all", "run", "get"):
        monkeypatch.setattr(reconciliation, name, getattr(stand_in, name))
    monkeypatch.setattr(cli.time, "sleep", lambda seconds: None)
    return stand_in


def test_reconcile_waits_and_prints_the_numbers(runner: FlaskCliRunner, run: Run) -> None:
    result = runner.invoke(args=["reconcile", "stays", "--since", "2026-03-01T00:00", "--dry-run"])
    assert result.exit_code == 0, result.output
    assert "success: fetched 45, created 3, updated 12, deleted 1, orphaned 0" in result.output
    assert run.asked == {
        "kind": "stays", "trigger": "command", "since": datetime(2026, 3, 1, tzinfo=UTC),
        "property_id": None, "dry_run": True,
    }  # fmt: skip


def test_a_failed_run_is_a_failed_command(runner: FlaskCliRunner, run: Run) -> None:
    run.row.status, run.row.message = "failed", "Failed to fetch from Stays API"
    result = runner.invoke(args=["reconcile", "stays"])
    assert result.exit_code == 1
    assert "Failed to fetch from Stays API" in result.output


def test_a_run_that_cannot_start_says_why(
    runner: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(kind: str, **asked: Any) -> None:
        raise Conflict("one is under way")

    monkeypatch.setattr(reconciliation, "start_all", busy)
    result = runner.invoke(args=["reconcile", "stays"])
    assert (result.exit_code, result.output) == (1, "Error: one is under way\n")
    assert runner.invoke(args=["reconcile", "stays", "--since", "soon"]).exit_code == 2
    assert runner.invoke(args=["reconcile", "hotels"]).exit_code == 2


class Locks:
    """A lock vendor that lists what it is told, by device."""

    def __init__(self) -> None:
        self.listed: dict[str, list[LockPin] | Exception] = {}

    def list_pins(self, target: Any) -> list[LockPin]:
        found = self.listed[target.device_id]
        if isinstance(found, Exception):
            raise found
        return found


def on_lock(ref: str, name: str, state: LockPinState = LockPinState.INSTALLED) -> LockPin:
    return LockPin(ref, name, state, None, None)


def credential(lock: Lock, name: str, ref: str, state: str = "installed") -> None:
    now = datetime(2026, 3, 10, tzinfo=UTC)
    stay = make_stay()
    with transaction() as session:
        session.add(
            Credential(
                reservation_id=stay.id, lock_id=lock.id, pin_last2="42", state=state,
                pin_fingerprint=name, vendor_name=name, vendor_ref=ref,
                valid_from=now, expires_at=now + timedelta(days=1),
            )
        )  # fmt: skip


def test_pins_audit_names_every_difference(
    runner: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = Locks()
    monkeypatch.setattr(vendors, "lock_client", lambda name: vendor)
    good, bad, dead = make_lock(name="Good"), make_lock(name="Bad"), make_lock(name="Dead")
    credential(good, "tk-1", "1")
    credential(bad, "tk-2", "2")
    credential(bad, "tk-3", "3", "revoked")
    vendor.listed = {
        good.device_id: [on_lock("1", "tk-1"), on_lock("8", "cleaner", LockPinState.GONE)],
        bad.device_id: [on_lock("9", "cleaner"), on_lock("3", "tk-3")],
        dead.device_id: Unreachable("no answer"),
    }
    result = runner.invoke(args=["pins", "audit"])
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert [line.split(": ")[:2] for line in lines[:-1]] == [
        ["Bad", "unknown"],
        ["Bad", "leftover"],
        ["Bad", "missing"],
        ["Dead", "unread"],
    ]
    assert lines[-1] == "2 locks read, 4 differences."
    one = runner.invoke(args=["pins", "audit", "--lock", str(good.id)])
    assert (one.exit_code, one.output) == (0, "1 locks read, 0 differences.\n")
    nothing = runner.invoke(args=["pins", "audit", "--lock", str(uuid4())])
    assert (nothing.exit_code, nothing.output) == (1, "Error: no such lock\n")


def test_the_sandbox_has_commands_only_where_it_runs(app: Flask) -> None:
    assert "sandbox" not in app.cli.commands
    settings = replace(app.extensions["settings"], sandbox=True)
    with_sandbox = create_app(settings, testing=True)
    assert "sandbox" in with_sandbox.cli.commands
    result = with_sandbox.test_cli_runner().invoke(args=["sandbox", "booking", "--help"])
    assert result.exit_code == 0
    for command in ("create", "change", "cancel"):
        assert command in result.output
    with with_sandbox.app_context():
        db.engine.dispose()
