"""The operator commands `sandbox …` (INTERFACES §3)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result
from flask import Flask

from app.sandbox.cli import group
from app.sandbox.server import running
from tests.sandbox.wire import Cloud


@pytest.fixture
def live(sandbox_app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with running(sandbox_app) as base:
        monkeypatch.setenv("SANDBOX_PORT", base.rpartition(":")[2])
        yield


def run(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(group, list(words))
    assert result.exit_code == code, result.output
    return result


@pytest.mark.usefixtures("live")
def test_a_booking_from_the_terminal() -> None:
    booked = run(
        *("booking", "create", "--room", "MA31", "--guest", "Inês Falcão"),
        *("--check-in", "2027-03-01", "--check-out", "2027-03-04"),
    ).output
    code = booked.split()[0].removeprefix("id=")
    assert "guest_name=Inês Falcão" in booked
    assert f"id={code}" in run("booking", "list").output
    changed = run("booking", "change", code, "--check-out", "2027-03-06").output
    assert "check_out=2027-03-06" in changed
    assert "status=cancelled" in run("booking", "cancel", code).output
    assert "deleted=True" in run("booking", "delete", code).output
    assert "no such booking" in run("booking", "cancel", "NONE", code=1).output
    assert "--room" in run("booking", "create", "--guest", "Ana", code=2).output


@pytest.mark.usefixtures("live")
def test_locks_and_faults_from_the_terminal(cloud: Cloud) -> None:
    device = cloud.device(radio="wifi", power="battery")
    assert f"device_id={device}" in run("locks", "list").output
    assert "state=awake" in run("locks", "touch", device).output
    run("fault", "clear")
    assert run("fault", "list").output == ""
    switched = run("fault", "set", "stays", "slow", "--seconds", "2", "--count", "1").output
    assert "kind=slow" in switched
    assert run("fault", "list").output == switched
    assert "no fault" in run("fault", "set", "stays", "drop", code=1).output
    fault_id = switched.split()[0].removeprefix("id=")
    assert run("fault", "clear", fault_id).output == "1 switched off.\n"
    assert "locks=24" in run("reset").output


def test_without_a_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_PORT", "9")
    assert "no sandbox answers" in run("locks", "list", code=1).output


@pytest.mark.usefixtures("live")
def test_beds24_from_the_terminal() -> None:
    booked = run(
        *("beds24", "create", "--room", "610013", "--unit", "1", "--last-name", "Falcão"),
        *("--arrival", "2027-03-01", "--departure", "2027-03-04"),
    ).output
    ref = booked.split()[0].removeprefix("id=")
    assert "lastName=Falcão" in booked
    assert f"id={ref}" in run("beds24", "list").output
    assert (
        "departure=2027-03-06" in run("beds24", "change", ref, "--departure", "2027-03-06").output
    )
    assert "status=cancelled" in run("beds24", "cancel", ref).output
    assert ref in run("beds24", "delete", ref).output
    assert "no such booking" in run("beds24", "cancel", ref, code=1).output


@pytest.mark.usefixtures("live")
def test_the_beds24_account_from_the_terminal() -> None:
    assert "credit_limit=100.0" in run("beds24", "settings").output
    shown = run("beds24", "settings", "--rotate", "--shape", "design", "--credits", "500").output
    assert "rotate=True" in shown
    assert "webhook_shape=design" in shown
    assert (
        "webhook_shape must be one of" in run("beds24", "settings", "--shape", "v1", code=1).output
    )
    assert len(run("beds24", "invite").output.strip()) == 32
    assert "Missing option '--room'" in run("beds24", "create", code=2).output
