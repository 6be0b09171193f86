"""Where the engines' programs come from, and what is said when there are none."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from app.local import servers
from app.local.processes import LocalError, end_leftover, wait_until
from app.local.servers import Postgres, find_postgres, find_redis, socket_directory


@pytest.fixture
def no_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def _program(directory: Path, name: str, version: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\necho '{version}'\n")
    path.chmod(0o755)
    return path


def test_a_redis_on_the_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = _program(tmp_path, "redis-server", "Redis server v=7.2.4 sha=0")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert find_redis() == program


@pytest.mark.usefixtures("no_packages")
def test_valkey_serves_and_an_old_redis_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _program(tmp_path, "redis-server", "Redis server v=6.0.16 sha=0")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    with pytest.raises(LocalError, match=r"apt-get install redis-server.*REDIS_URL"):
        find_redis()
    valkey = _program(tmp_path, "valkey-server", "Valkey server v=8.0.1 sha=0")
    assert find_redis() == valkey


@pytest.mark.usefixtures("no_packages")
def test_postgres_on_the_path_must_be_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "SYSTEM_POSTGRES", tmp_path / "nowhere")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    _program(tmp_path, "initdb", "")
    _program(tmp_path, "postgres", "postgres (PostgreSQL) 13.4 (Debian 13.4-1)")
    with pytest.raises(LocalError, match=r"PostgreSQL 14 or newer.*DATABASE_URL"):
        find_postgres(tmp_path / "data")
    _program(tmp_path, "postgres", "postgres (PostgreSQL) 16.1 (Debian 16.1-1)")
    assert find_postgres(tmp_path / "data") == (tmp_path, 16)


@pytest.mark.usefixtures("no_packages")
def test_data_needs_the_version_that_made_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for major in ("15", "16"):
        _program(tmp_path / major / "bin", "postgres", f"postgres (PostgreSQL) {major}.1")
        _program(tmp_path / major / "bin", "initdb", "")
    monkeypatch.setattr(servers, "SYSTEM_POSTGRES", tmp_path)
    monkeypatch.setenv("PATH", "/bin")
    data = tmp_path / "data"
    data.mkdir()
    (data / "PG_VERSION").write_text("15\n")
    assert find_postgres(data) == (tmp_path / "15" / "bin", 15)
    (data / "PG_VERSION").write_text("12\n")
    with pytest.raises(LocalError, match="was made by PostgreSQL 12"):
        find_postgres(data)


@pytest.mark.usefixtures("no_packages")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_the_systems_postgres_serves_too(tmp_path: Path) -> None:
    try:
        find_postgres(tmp_path / "postgres")
    except LocalError:
        pytest.skip("no PostgreSQL on this machine besides the embedded one")
    server = Postgres(tmp_path, fast=True)
    server.prepare()
    log = os.open(os.devnull, os.O_WRONLY)
    child = server.spawn(log)
    os.close(log)
    try:
        assert wait_until(server.answers, 30)
    finally:
        child.send_signal(server.stop_signal)
        assert child.wait(20) == 0
        server.tidy()


def test_a_socket_path_is_short_and_private_however_deep_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    home = tmp_path / ("deep" * 40)
    directory = socket_directory(home, "redis", os.geteuid())
    try:
        assert len(str(directory / ".s.PGSQL.5432")) < servers.SOCKET_PATH_LIMIT
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert socket_directory(home, "redis", os.geteuid()) == directory
        directory.rmdir()
        directory.symlink_to(tmp_path)
        with pytest.raises(LocalError, match="belongs to somebody else"):
            socket_directory(home, "redis", os.geteuid())
    finally:
        if directory.is_symlink():
            directory.unlink()
        shutil.rmtree(directory, ignore_errors=True)


def test_a_recycled_process_id_is_left_alone(tmp_path: Path) -> None:
    """After a power cut the pid file may name a stranger, who must survive the next start."""
    with subprocess.Popen(["sleep", "30"]) as stranger:
        pid_file = tmp_path / "postmaster.pid"
        pid_file.write_text(f"{stranger.pid}\n{tmp_path}\n")
        end_leftover(pid_file, ("postgres",), signal.SIGINT)
        assert stranger.poll() is None
        assert not pid_file.exists()
        stranger.kill()


def test_a_left_over_server_is_ended_first(tmp_path: Path) -> None:
    program = tmp_path / "redis-server"
    program.symlink_to(shutil.which("sleep") or "/bin/sleep")
    with subprocess.Popen([program, "30"]) as server:
        pid_file = tmp_path / "redis.pid"
        pid_file.write_text(f"{server.pid}\n")
        # Our own child stays a zombie until it is reaped, as a left-over server would not.
        with pytest.raises(LocalError, match="does not end"):
            end_leftover(pid_file, ("redis-server",), signal.SIGTERM, patience=0.2)
        assert server.wait(5) == -signal.SIGTERM
        end_leftover(pid_file, ("redis-server",), signal.SIGTERM, patience=0.2)
        assert not pid_file.exists()
