"""Embedded engines: shared, private, stopped with their last user (issue "Engines", OPS)."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from redis import Redis as RedisClient
from redis.exceptions import RedisError

from app.local.engines import Engine, attach, start_test_engines
from app.local.environment import ROOT
from app.local.processes import LocalError, is_locked, wait_until


def _gone(home: Path, name: str) -> bool:
    return wait_until(lambda: not is_locked(home / f"{name}.keeper"), 20)


def _count(engine: Engine) -> int:
    with psycopg.connect(engine.url) as connection:
        (count,) = connection.execute("SELECT count(*) FROM guests").fetchone() or (0,)
    return int(count)


def test_data_outlives_the_engines(tmp_path: Path) -> None:
    engine = attach("postgres", tmp_path)
    with psycopg.connect(engine.url) as connection:
        connection.execute("CREATE TABLE guests AS SELECT generate_series(1, 3) AS id")
    assert engine.stop()
    redis = attach("redis", tmp_path)
    with RedisClient.from_url(redis.url) as client:
        client.set("room", "12")
    assert redis.stop()

    engine, redis = attach("postgres", tmp_path), attach("redis", tmp_path)
    assert _count(engine) == 3
    with RedisClient.from_url(redis.url) as client:
        assert client.get("room") == b"12"
        assert client.config_get("appendonly") == {"appendonly": "yes"}
    assert engine.stop()
    assert redis.stop()


def test_the_database_speaks_utf8_and_utc_and_is_durable(tmp_path: Path) -> None:
    engine = attach("postgres", tmp_path)
    with psycopg.connect(engine.url) as connection:
        shown = {
            name: (connection.execute(f"SHOW {name}").fetchone() or ("",))[0]
            for name in ("server_encoding", "timezone", "fsync", "listen_addresses")
        }
        assert connection.execute("SELECT lower('ÁÉ')").fetchone() == ("áé",)
    assert engine.stop()
    assert shown == {
        "server_encoding": "UTF8",
        "timezone": "UTC",
        "fsync": "on",
        "listen_addresses": "",
    }


def test_nothing_is_open_to_others(tmp_path: Path) -> None:
    """Sockets only, in directories nobody else can enter; var/ stays 0700 even as root."""
    home = tmp_path / "var"
    engine, redis = attach("postgres", home), attach("redis", home)
    sockets = Path(engine.url.partition("host=")[2])
    private = [
        home,
        home / "postgres",
        home / "redis",
        sockets,
        sockets.with_name(sockets.name.replace("postgres", "redis")),
    ]
    modes = {stat.S_IMODE(path.stat().st_mode) for path in private}
    with RedisClient.from_url(redis.url) as client:
        assert client.config_get("port") == {"port": "0"}
    engine.stop()
    redis.stop()
    assert modes == {0o700}
    assert not sockets.exists()


def test_two_processes_share_one_engine_and_the_last_one_ends_it(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from app.local.engines import attach\n"
        "print(attach('redis', Path(sys.argv[1]), fast=True).url, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    with start() as first, start() as second:
        assert first.stdout is not None
        assert second.stdout is not None
        url = first.stdout.readline().strip()
        assert second.stdout.readline().strip() == url
        first.kill()  # a killed user lets go as well
        first.wait()
        time.sleep(0.5)
        with RedisClient.from_url(url) as client:
            assert client.ping()
        second.kill()
    assert _gone(tmp_path, "redis")


def test_a_command_alone_brings_its_engines_and_takes_them_along(tmp_path: Path) -> None:
    """`flask --app wsgi …` and `worker.py` from a shell, with nothing configured."""
    code = (
        "import os; from app.local.engines import fill_environment; fill_environment()\n"
        "print(os.environ['DATABASE_URL'], os.environ['REDIS_URL'])"
    )
    configured = ("DATABASE_URL", "REDIS_", "APP_ENV")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(configured)}
    answer = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=clean | {"TURNKEY_VAR": str(tmp_path), "FLASK_SKIP_DOTENV": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    database, redis = answer.stdout.split()
    assert database.startswith("postgresql://postgres@/turnkey?host=/")
    assert redis.startswith("unix:///")
    assert _gone(tmp_path, "postgres")
    assert _gone(tmp_path, "redis")


@pytest.mark.faults
def test_an_engine_that_falls_is_started_again(tmp_path: Path) -> None:
    engine = attach("postgres", tmp_path)
    with psycopg.connect(engine.url) as connection:
        connection.execute("CREATE TABLE guests AS SELECT generate_series(1, 3) AS id")
    first_line = (tmp_path / "postgres" / "postmaster.pid").read_text().splitlines()[0]
    os.kill(int(first_line), signal.SIGKILL)

    def back() -> bool:
        try:
            return _count(engine) == 3
        except psycopg.OperationalError:
            return False

    assert wait_until(back, 30, every=0.2)
    assert engine.stop()


@pytest.mark.faults
def test_a_full_disk_does_not_end_the_keeper(tmp_path: Path) -> None:
    """What it wants to note is refused; the engine is there all the same, and is noted later."""
    engine = attach("redis", tmp_path)
    noted = tmp_path / "redis.json"
    (in_the_way := tmp_path / "redis.json.new").mkdir()
    fallen = json.loads(noted.read_text())["server_pid"]
    os.kill(fallen, signal.SIGKILL)

    def back() -> bool:
        try:
            with RedisClient.from_url(engine.url) as client:
                return bool(client.ping())
        except RedisError:
            return False

    assert wait_until(lambda: not Path(f"/proc/{fallen}").exists(), 5)
    assert wait_until(back, 20, every=0.1)
    time.sleep(0.3)  # it has looked at its engine more than once since
    assert is_locked(tmp_path / "redis.keeper")
    in_the_way.rmdir()
    assert wait_until(lambda: json.loads(noted.read_text())["server_pid"] != fallen, 5)
    assert engine.stop()


@pytest.mark.faults
def test_a_killed_keeper_leaves_no_second_server_on_the_data(tmp_path: Path) -> None:
    engine = attach("postgres", tmp_path)
    os.kill(engine.keeper_pid, signal.SIGKILL)
    assert _gone(tmp_path, "postgres")
    engine.release()
    again = attach("postgres", tmp_path)
    with psycopg.connect(again.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert again.stop()


@pytest.mark.faults
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_engine_is_revived_whose_keeper_was_ended(
    tmp_path: Path, number: signal.Signals
) -> None:
    engine = attach("postgres", tmp_path)
    with psycopg.connect(engine.url) as connection:
        connection.execute("CREATE TABLE guests AS SELECT generate_series(1, 3) AS id")
    assert not engine.revive()
    os.kill(first := engine.keeper_pid, number)
    assert _gone(tmp_path, "postgres")
    assert engine.revive()
    assert engine.keeper_pid != first
    assert _count(engine) == 3
    time.sleep(0.3)  # its new keeper has looked whether anybody still uses it
    assert not engine.revive()
    assert engine.stop()


def test_test_engines_are_shared_by_base(tmp_path: Path) -> None:
    engines = start_test_engines(tmp_path)
    assert start_test_engines(tmp_path).database_url == engines.database_url
    with psycopg.connect(engines.database_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE another")
        assert connection.execute("SHOW fsync").fetchone() == ("off",)
    engines.stop()
    assert _gone(tmp_path / "engines", "postgres")


def test_foreign_files_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "notes.txt").write_text("mine")
    with pytest.raises(LocalError, match="holds files but no database"):
        attach("postgres", tmp_path)
    assert (tmp_path / "postgres" / "notes.txt").read_text() == "mine"
