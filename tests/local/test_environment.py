"""Which servers and vendors a local process is pointed at (INTERFACES §2)."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.local import engines, environment
from app.local.environment import Running
from app.local.processes import open_lock, try_lock

SERVER_VARIABLES = ("DATABASE_URL", "REDIS_URL", "REDIS_HOST", "REDIS_PORT", "APP_ENV", "SANDBOX")


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An environment of our own, put back afterwards whatever is added to it."""
    saved = dict(os.environ)
    for name in list(os.environ):
        if name.startswith(environment.VENDORS) or name in SERVER_VARIABLES:
            del os.environ[name]
    os.environ["TURNKEY_VAR"] = str(tmp_path / "var")
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    yield tmp_path / "var"
    os.environ.clear()
    os.environ.update(saved)


@pytest.fixture
def running(var: Path) -> Iterator[Running]:
    """A `bin/run` with a sandbox, as its neighbours see it."""
    directory = environment.var_directory()
    note = Running(os.getpid(), "http://localhost:8000", sandbox=True, sandbox_port=9123)
    note.write(directory)
    descriptor = open_lock(directory / "run.lock")
    assert try_lock(descriptor, fcntl.LOCK_EX)
    yield note
    os.close(descriptor)


def test_var_is_closed_to_others(var: Path) -> None:
    var.mkdir(mode=0o755)
    assert stat.S_IMODE(environment.var_directory().stat().st_mode) == 0o700


def test_only_what_is_unset_is_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.unset_servers() == {"redis": "REDIS_URL", "postgres": "DATABASE_URL"}
    monkeypatch.setenv("DATABASE_URL", "postgres://db/turnkey")
    assert environment.unset_servers() == {"redis": "REDIS_URL"}
    monkeypatch.setenv("REDIS_HOST", "cache")
    assert environment.unset_servers() == {}


def test_dotenv_adds_but_does_not_override(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("PORT=9000\nMETRICS_TOKEN=from-the-file\n")
    monkeypatch.setenv("PORT", "8100")
    environment.load_dotenv()
    assert os.environ["PORT"] == "8100"
    assert os.environ.pop("METRICS_TOKEN") == "from-the-file"


def test_production_starts_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "production")
    engines.fill_environment()
    assert "DATABASE_URL" not in os.environ
    assert "STAYS_API_URL" not in os.environ


def test_a_dialect_alone_configures_no_vendor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAYS_DIALECT", "external")
    monkeypatch.setenv("BEDS24_BOOKINGS_CRON", "7 * * * *")
    assert environment.configured_vendors() == ()
    monkeypatch.setenv("TUYA_ACCESS_ID", "abc")
    assert environment.configured_vendors() == ("TUYA_",)


def test_the_sandbox_takes_only_vendors_that_are_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAYS_API_URL", "https://hotel.example")
    environment.point_at_sandbox()
    assert os.environ["STAYS_API_URL"] == "https://hotel.example"
    assert "STAYS_API_KEY" not in os.environ
    assert os.environ["TUYA_API_URL"].startswith("http://127.0.0.1:")
    assert os.environ["SANDBOX"] == "1"


@pytest.mark.usefixtures("running")
def test_a_command_beside_bin_run_uses_its_sandbox() -> None:
    environment.point_at_running_sandbox()
    assert os.environ["STAYS_API_URL"].startswith("http://127.0.0.1:9123/")
    assert os.environ["SANDBOX_PORT"] == "9123"  # for the sandbox's own commands


@pytest.mark.usefixtures("running")
def test_a_port_that_is_said_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_PORT", "9001")
    environment.point_at_running_sandbox()
    assert os.environ["TUYA_API_URL"].startswith("http://127.0.0.1:9001/")


@pytest.mark.usefixtures("running")
def test_a_command_with_a_vendor_of_its_own_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAYS_API_URL", "https://hotel.example")
    environment.point_at_running_sandbox()
    assert "TUYA_API_URL" not in os.environ


def test_alone_nothing_is_pointed_anywhere(running: Running, var: Path) -> None:
    assert Running.read(var) == running
    (var / "run.lock").unlink()
    assert Running.read(var) is None
    environment.point_at_running_sandbox()
    assert "STAYS_API_URL" not in os.environ
