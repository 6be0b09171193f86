"""Child processes that are started again when they end, and stopped in order when asked."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.local.processes import die_with_parent

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
#: A child that lived this long fell for a new reason, so its pauses begin anew.
STEADY_SECONDS = 60.0
STOP_SECONDS = 10.0


def say(text: str) -> None:
    """A line to the person at the terminal, who may have closed it."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


@dataclass
class Child:
    """One kept process and the line it is in the middle of."""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    due: float = 0.0  # when to start it (again), on the monotonic clock
    pause: float = FIRST_PAUSE
    rest: bytes = b""


@dataclass
class Supervisor:
    """Runs children from one thread: Linux ends a child when the *thread* that made it ends."""

    directory: Path
    environment: Mapping[str, str]
    _children: list[Child] = field(default_factory=list)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _width: int = 8

    def add(self, name: str, command: Sequence[str]) -> None:
        """Start `command` now and keep it running."""
        child = Child(name, command)
        self._children.append(child)
        self._start(child)

    def turn(self, seconds: float = 0.2) -> None:
        """Pass on what the children print for up to `seconds`, and start again who fell."""
        if self._selector.get_map():
            for key, _ in self._selector.select(seconds):
                self._pass_on(key)
        else:
            time.sleep(seconds)
        now = time.monotonic()
        for child in self._children:
            if child.process is None:
                if now >= child.due:
                    self._start(child)
            elif child.process.poll() is not None:
                self._fell(child, now)

    def run_once(
        self, name: str, command: Sequence[str], stopped: Callable[[], bool], fd: int = -1
    ) -> int | None:
        """Run a command to its end, passing on its lines; None when told to stop meanwhile."""
        child = Child(name, command)
        self._start(child, pass_fds=(fd,) if fd >= 0 else ())
        while child.process is not None and child.process.poll() is None:
            if stopped():
                self._stop(child)
                return None
            self.turn(0.05)
        self._drain(child)
        return child.process.returncode if child.process is not None else None

    def stop(self, order: Sequence[str] = ()) -> None:
        """Stop the children one after the other: those of `order` first, then the others."""
        rank = {name: position for position, name in enumerate(order)}
        for child in sorted(self._children, key=lambda c: rank.get(c.name, len(rank))):
            self._stop(child)
        self._children.clear()

    def _start(self, child: Child, pass_fds: Sequence[int] = ()) -> None:
        child.process = subprocess.Popen(
            child.command,
            cwd=self.directory,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Ctrl-C reaches a whole process group; the order of stopping is ours to keep.
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM),
            pass_fds=pass_fds,
        )
        assert child.process.stdout is not None
        os.set_blocking(child.process.stdout.fileno(), False)
        child.started = time.monotonic()
        self._selector.register(child.process.stdout, selectors.EVENT_READ, child)

    def _fell(self, child: Child, now: float) -> None:
        assert child.process is not None
        # What it left behind would keep its port or its place in a queue.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.process.pid, signal.SIGKILL)
        self._drain(child)
        if now - child.started >= STEADY_SECONDS:
            child.pause = FIRST_PAUSE
        status = child.process.returncode
        self._note(child, f"ended with {status}; starting again in {child.pause:.0f} s")
        child.due = now + child.pause
        child.pause = min(child.pause * 2, LONGEST_PAUSE)
        child.process = None

    def _stop(self, child: Child) -> None:
        process = child.process
        if process is None:
            return
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            deadline = time.monotonic() + STOP_SECONDS
            while process.poll() is None and time.monotonic() < deadline:
                for key, _ in self._selector.select(0.05):
                    self._pass_on(key)
            if process.poll() is None:
                say(
                    f"{child.name.ljust(self._width)}| does not end in {STOP_SECONDS:.0f} s: killed"
                )
                # Its session holds its own children, which must not outlive it.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._drain(child)
        child.process = None

    def _pass_on(self, key: selectors.SelectorKey) -> None:
        try:
            chunk = os.read(key.fd, 65536)
        except BlockingIOError:
            return
        if chunk:
            self._feed(key.data, chunk)
        else:
            self._selector.unregister(key.fileobj)

    def _feed(self, child: Child, chunk: bytes) -> None:
        *lines, child.rest = (child.rest + chunk).split(b"\n")
        for line in lines:
            self._note(child, line.decode(errors="replace"))

    def _drain(self, child: Child) -> None:
        """Pass on the last words of a process that has ended, and close its pipe."""
        assert child.process is not None
        stream = child.process.stdout
        assert stream is not None
        with contextlib.suppress(KeyError):
            self._selector.unregister(stream)
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(stream.fileno(), 65536):
                self._feed(child, chunk)
        stream.close()
        if child.rest:
            self._note(child, child.rest.decode(errors="replace"))
            child.rest = b""

    def _note(self, child: Child, text: str) -> None:
        say(f"{child.name.ljust(self._width)}| {text.rstrip()}")
