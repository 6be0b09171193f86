"""One `bin/run` under test: its processes, what it says, its database and Redis."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from app.local.environment import ROOT, VENDORS

READY_SECONDS = 60
STOP_SECONDS = 45


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Run:
    """One `bin/run`, after its install, on a var/ and ports of its own."""

    def __init__(self, var: Path, **env: str) -> None:
        self.var = var
        configured = ("DATABASE_URL", "REDIS_", "SANDBOX", "APP_ENV", "ADMIN_", *VENDORS)
        clean = {k: v for k, v in os.environ.items() if not k.startswith(configured)}
        ports = {"PORT": str(free_port()), "SANDBOX_PORT": str(free_port())}
        self.env = clean | {"TURNKEY_VAR": str(var), "FLASK_SKIP_DOTENV": "1"} | ports | env
        self.out = var.with_name(f"{var.name}.{time.monotonic_ns()}.log")
        with self.out.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app.local.runner"],
                cwd=ROOT,
                env=self.env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self.out.read_text()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.env['PORT']}"

    def ready(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(self.said)
        with contextlib.suppress(OSError):
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(f"{self.url}/health/ready", timeout=2) as answer:
                return bool(answer.status == 200) and "Ctrl-C" in self.said
        return False

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal the whole process group, as a terminal does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        return self.process.wait(STOP_SECONDS)


def children_of(pid: int) -> list[int]:
    """The living children of a process, and theirs."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = entry.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                child = int(entry.parent.name)
                found += [child, *children_of(child)]
    return found


def never() -> str:
    """A cron whose next moment is months away, whenever a test runs."""
    month = (datetime.now(UTC).month + 5) % 12 + 1
    return f"0 0 1 {month} *"


def engine_url(run: Run, name: str) -> str:
    """Where an engine of this run listens ("postgres", "redis")."""
    return str(json.loads((run.var / f"{name}.json").read_text())["url"])
