"""What `bin/run` runs: engines, sandbox, migrations, first admin, then web, worker and clock."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from app import config
from app.local import environment
from app.local.engines import Engine, attach
from app.local.environment import ROOT, Running
from app.local.processes import LocalError, open_lock, try_lock
from app.local.supervisor import Supervisor, say
from app.sandbox.credentials import DEFAULT_PORT

READY_SECONDS = 60.0
#: Between two looks at the engines; after a start that failed, it is longer.
LOOK_SECONDS, FAILED_SECONDS = 1.0, 10.0
STOP_ORDER = ("web", "worker", "clock", "sandbox")


class Runner:
    """One start of the whole product, from nothing to its last process."""

    def __init__(self) -> None:
        os.umask(0o077)
        environment.load_dotenv()
        self.var = environment.var_directory()
        self.stopping = False
        self.engines: list[Engine] = []
        self.look_due = 0.0  # on the monotonic clock
        self.supervisor: Supervisor | None = None
        self.lock = -1

    def run(self) -> int:
        """Until told to stop; the exit status."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._told_to_stop)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup means: stay
            signal.signal(signal.SIGHUP, self._told_to_stop)
        try:
            self._claim()
            sandbox = self._choose_vendors()
            settings = _check_settings()
            _check_port("PORT", settings.port)
            if sandbox:
                _check_port("SANDBOX_PORT", _sandbox_port())
            url = f"http://localhost:{settings.port}"
            there = _sandbox_port() if sandbox else None
            Running(os.getpid(), url, sandbox, there).write(self.var)
            self._start_engines()
            return self._serve(settings.port, url, sandbox=sandbox)
        except (LocalError, config.SettingsError) as error:
            say(str(error))
            return 1
        finally:
            self._stop()

    def _told_to_stop(self, number: int, frame: object) -> None:
        if not self.stopping:
            say("\nStopping…")
        self.stopping = True

    def _claim(self) -> None:
        lock = open_lock(self.var / "run.lock")
        if not try_lock(lock, fcntl.LOCK_EX):
            os.close(lock)
            running = Running.read(self.var)
            where = f": {running.url} (process {running.pid})" if running else ""
            raise LocalError(f"Turnkey already runs here{where}")
        self.lock = lock
        (self.var / "run.json").unlink(missing_ok=True)

    def _choose_vendors(self) -> bool:
        """Whether the sandbox runs: when asked for, or when nothing says which vendor to use."""
        wanted = environment.sandbox_asked_for()
        if wanted is None:
            wanted = not environment.configured_vendors() and not environment.is_production()
        if wanted and not environment.is_production():  # there the settings check refuses it
            _sandbox_port()
            environment.point_at_sandbox()
            return True
        return False

    def _start_engines(self) -> None:
        if environment.is_production():
            return
        for name, variable in environment.unset_servers().items():
            if self.stopping:
                return
            engine = attach(name, self.var)
            self.engines.append(engine)
            os.environ[variable] = engine.url

    def _look_after_engines(self) -> None:
        """Start again an engine that was ended together with its keeper."""
        if time.monotonic() < self.look_due:
            return
        self.look_due = time.monotonic() + LOOK_SECONDS
        for engine in self.engines:
            try:
                if not self.stopping and engine.revive():
                    say(f"{engine.name} had been ended; it runs again")
            except (LocalError, OSError) as error:
                say(f"{engine.name} does not start again: {error}")
                self.look_due = time.monotonic() + FAILED_SECONDS

    def _serve(self, port: int, url: str, *, sandbox: bool) -> int:
        os.environ |= {"PYTHONUNBUFFERED": "1", "PORT": str(port)}
        self.supervisor = keep = Supervisor(ROOT, os.environ)
        python = sys.executable
        if sandbox:
            keep.add("sandbox", [python, "-m", "app.sandbox"])
        welcome = self._first_start()
        if welcome is None:
            return 0 if self.stopping else 1
        web = [python, "-m", "gunicorn", "--config", "gunicorn.conf.py"]
        keep.add("web", [*web, "--bind", f"127.0.0.1:{port}", "wsgi:app"])
        keep.add("worker", [python, "worker.py"])
        keep.add("clock", [python, "-m", "app.queue.clock"])
        self._announce(url, port, welcome, sandbox=sandbox)
        while not self.stopping:
            keep.turn()
            self._look_after_engines()
        return 0

    def _first_start(self) -> str | None:
        """Migrate and make sure an admin exists; what to tell them once, None when it failed."""
        assert self.supervisor is not None
        # A pipe of its own: the password must not pass through anybody's log lines.
        reading, writing = os.pipe()
        command = [sys.executable, "-m", "app.local.first_start", "--tell", str(writing)]
        with os.fdopen(reading) as stream:
            try:
                status = self.supervisor.run_once(
                    "setup", command, lambda: self.stopping, fd=writing
                )
            finally:
                os.close(writing)
            if status == 0:
                return stream.read().strip()
        if not self.stopping:
            say("The database could not be prepared: see above.")
        return None

    def _announce(self, url: str, port: int, welcome: str, *, sandbox: bool) -> None:
        """Print the URL when the page behind it can be opened."""
        assert self.supervisor is not None
        deadline = time.monotonic() + READY_SECONDS
        while not (ready := _ready(port)) and not self.stopping and time.monotonic() < deadline:
            self.supervisor.turn(0.1)
        lines = ["", f"  Turnkey is at {url}"]
        if self.stopping:  # the password is told even so: it cannot be asked for again
            lines = [""]
        elif not ready:
            lines = ["", f"  Turnkey is starting at {url} but is not ready yet: see above"]
        if welcome:
            lines.append(f"  {welcome}")
        if not self.stopping:
            if sandbox:
                lines.append(f"  The sandbox is at http://localhost:{_sandbox_port()}")
            lines.append("  Ctrl-C stops everything.")
        say("\n".join([*lines, ""]))

    def _stop(self) -> None:
        if self.supervisor is not None:
            self.supervisor.stop(STOP_ORDER)
        for engine in self.engines:  # Redis, then PostgreSQL
            if not engine.stop():
                say(f"{engine.name} still runs: another process uses it or it is slow to end")
        if self.lock >= 0:
            (self.var / "run.json").unlink(missing_ok=True)
            os.close(self.lock)


def _check_settings() -> config.Settings:
    """Settings as the processes will find them; the engines' URLs are not known yet."""
    filled = dict(os.environ)
    if not environment.is_production():
        for name, variable in environment.unset_servers().items():
            filled[variable] = f"{'postgresql' if name == 'postgres' else 'redis'}://localhost/0"
    return config.load(filled, var=environment.var_directory())


def _sandbox_port() -> int:
    text = os.environ.get("SANDBOX_PORT", "").strip() or str(DEFAULT_PORT)
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise LocalError("SANDBOX_PORT: expected a whole number from 1 to 65535")
    return int(text)


def _check_port(name: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise LocalError(
                f"port {port} cannot be used ({error.strerror}):"
                f" stop what uses it, or set {name} to another"
            ) from None


def _ready(port: int) -> bool:
    with contextlib.suppress(OSError, ValueError, urllib.error.URLError):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{port}/health/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    return False


def main() -> int:
    if Path.cwd() != ROOT:
        os.chdir(ROOT)
    return Runner().run()


if __name__ == "__main__":
    sys.exit(main())
