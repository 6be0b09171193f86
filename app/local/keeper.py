"""Keeps one engine running while somebody uses it: `python -m app.local.keeper postgres <home>`.

Every process that uses the engine holds a shared lock on `<name>.users`. The kernel drops the lock
when that process ends, however it ends, so the keeper, which waits for the exclusive lock, stops
the engine exactly when its last user is gone.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from app.local.processes import LocalError, open_lock, try_lock, wait_until
from app.local.servers import Postgres, Redis, Server

SERVERS: dict[str, type[Postgres] | type[Redis]] = {"postgres": Postgres, "redis": Redis}
START_SECONDS = 300  # a database that recovers from a crash may take its time
STOP_SECONDS = 30
POLL_SECONDS = 0.1
LONGEST_PAUSE = 30.0
LOG_LIMIT = 5 * 1024 * 1024


class _Keeper:
    def __init__(self, server: Server, home: Path) -> None:
        self.server = server
        self.ready_file = home / f"{server.name}.json"
        self.ready_file.unlink(missing_ok=True)
        self.users = open_lock(home / f"{server.name}.users")
        self.log_path = home / "log" / f"{server.name}.log"
        self.log_path.parent.mkdir(mode=0o700, exist_ok=True)
        if self.log_path.exists() and self.log_path.stat().st_size > LOG_LIMIT:
            self.log_path.replace(self.log_path.with_suffix(".log.1"))
        self.log = os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.child: subprocess.Popen[bytes] | None = None
        self.noted: int | None = None  # the engine that the ready file names
        self.told_to_stop = False

    def start(self) -> None:
        """Start the engine and wait until it answers."""
        self.server.prepare()
        child = self.child = self.server.spawn(self.log)

        def settled() -> bool:
            return self.told_to_stop or child.poll() is not None or self.server.answers()

        if not wait_until(settled, START_SECONDS) or child.poll() is not None:
            raise LocalError(f"{self.server.name} did not start: see {self.log_path}")
        self._note(child.pid)

    def _note(self, server_pid: int) -> None:
        """Name the running engine to whoever wants to use it."""
        details = {"pid": os.getpid(), "server_pid": server_pid, "url": self.server.url()}
        partial = self.ready_file.with_suffix(".json.new")
        partial.write_text(json.dumps(details))
        partial.replace(self.ready_file)
        self.noted = server_pid

    def keep(self) -> None:
        """Until the last user is gone: watch the engine, and start it again when it fell.

        A full disk ends the engine and refuses our own lines too; it must not end this loop.
        """
        pause = 1.0
        while not self._dismissed():
            assert self.child is not None
            if self.child.poll() is None:
                if self.noted != self.child.pid:
                    with contextlib.suppress(OSError):
                        self._note(self.child.pid)
                time.sleep(POLL_SECONDS)
                continue
            self._say(f"{self.server.name} ended by itself; starting again")
            self._rest(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            if not self._dismissed():
                try:
                    self.start()
                except (LocalError, OSError, subprocess.SubprocessError) as error:
                    self._say(str(error))
                else:
                    pause = 1.0

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(self.log, f"{text}\n".encode())

    def _rest(self, seconds: float) -> None:
        wait_until(self._dismissed, seconds, every=POLL_SECONDS)

    def _dismissed(self) -> bool:
        return self.told_to_stop or try_lock(self.users, fcntl.LOCK_EX)

    def stop(self) -> None:
        """Stop the engine cleanly; only one that does not end in time is killed."""
        self.ready_file.unlink(missing_ok=True)
        if self.child is None:
            return
        if self.child.poll() is None:
            self.child.send_signal(self.server.stop_signal)
        try:
            self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            # Both recover from their logs, so this loses nothing that was committed.
            self.child.kill()
            self.child.wait()
        self.server.tidy()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("server", choices=sorted(SERVERS))
    parser.add_argument("home", type=Path)
    parser.add_argument("--fast", action="store_true", help="for tests: no durability")
    options = parser.parse_args()
    alone = open_lock(options.home / f"{options.server}.keeper")
    if not wait_until(lambda: try_lock(alone, fcntl.LOCK_EX), STOP_SECONDS):
        print("another keeper does not let go", flush=True)
        return 1
    keeper = _Keeper(SERVERS[options.server](options.home, fast=options.fast), options.home)

    def dismiss(number: int, frame: object) -> None:
        keeper.told_to_stop = True

    signal.signal(signal.SIGTERM, dismiss)
    signal.signal(signal.SIGINT, dismiss)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    status = 0
    try:
        keeper.start()
    except (LocalError, OSError) as error:
        print(error, flush=True)
        status = 1
    else:
        _report_ready()
        keeper.keep()
    keeper.stop()
    return status


def _report_ready() -> None:
    """Tell whoever started us, and let go of the pipe they read."""
    with contextlib.suppress(BrokenPipeError):
        print("ready", flush=True)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
