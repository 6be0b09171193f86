"""What starting a process on this machine needs: file locks, plain users, death with the parent."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

#: Root may not run PostgreSQL; the first of these that exists does it instead.
PLAIN_USERS = ("postgres", "pgserver")


class LocalError(Exception):
    """Something this machine lacks or refuses; the message is one line for the person at it."""


def die_with_parent(number: signal.Signals) -> Callable[[], None]:
    """A `preexec_fn` that makes the child receive `number` when the thread that started it ends.

    A SIGKILLed parent cannot stop what it started, and a left-over worker swallows the next job
    (DECISIONS, measured). Linux only; elsewhere the next start clears what was left.
    """
    parent = os.getpid()

    def prepare() -> None:
        os.umask(0o077)
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
            if os.getppid() != parent:
                os._exit(0)

    return prepare


def plain_user(directory: Path) -> pwd.struct_passwd:
    """The unprivileged account that owns `directory` or may come to own it; called as root."""
    owner = directory.stat().st_uid if directory.exists() else 0
    if owner != 0:
        with contextlib.suppress(KeyError):
            return pwd.getpwuid(owner)
    for name in PLAIN_USERS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    with contextlib.suppress(OSError):
        subprocess.run(
            ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", "pgserver"],
            check=False,
            capture_output=True,
        )
    for name in ("pgserver", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise LocalError("PostgreSQL does not run as root, and no other user could be made here")


def try_lock(descriptor: int, kind: int) -> bool:
    """Take a file lock without waiting; False when somebody else's is in the way."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def open_lock(path: Path) -> int:
    """The lock file's descriptor. Whoever dies loses its locks, whatever killed it."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def is_locked(path: Path) -> bool:
    """Whether some process holds the exclusive lock of `path`."""
    if not path.exists():
        return False
    descriptor = open_lock(path)
    try:
        return not try_lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold `path` alone for the length of the block, waiting for it as long as it takes."""
    descriptor = open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def wait_until(condition: Callable[[], bool], seconds: float, *, every: float = 0.02) -> bool:
    """Poll `condition` until it holds or the time is up; whether it came to hold."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


def command_of(pid: int) -> str | None:
    """The command name of a living process, or None when it is gone."""
    try:
        output = subprocess.run(
            ["ps", "-o", "comm=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout
    except FileNotFoundError:  # slim images have no ps, but they have /proc
        try:
            output = Path(f"/proc/{pid}/comm").read_text()
        except OSError:
            return None
    return output.strip() or None


def end_leftover(
    pid_file: Path, names: tuple[str, ...], number: signal.Signals, *, patience: float = 20
) -> None:
    """End the server an earlier, killed start left on our data, and clear a pid file that now
    points at a stranger: two servers on one directory would destroy it."""
    try:
        pid = int(pid_file.read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return

    def ours() -> bool:
        command = command_of(pid)
        return command is not None and command.startswith(names)

    if not wait_until(lambda: not ours(), patience / 10):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        if not wait_until(lambda: not ours(), patience):
            raise LocalError(f"process {pid} still uses {pid_file.parent} and does not end")
    pid_file.unlink(missing_ok=True)
