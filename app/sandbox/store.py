"""The sandbox's memory: one world under one lock, written to disk shortly after each change."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import TypeAdapter

from app.sandbox.records import World

_ADAPTER = TypeAdapter(World)


class Store:
    """Guards the world; `open()` is the only way to it. Reads count as changes unless told."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = directory / "state.json"
        self._lock = threading.RLock()
        self._writing = threading.Lock()
        self._dirty = False
        self._world = self._load()

    def _load(self) -> World:
        try:
            return _ADAPTER.validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return World()
        except ValueError:
            # An older shape or a damaged file: keep it for a look, start afresh.
            self.path.replace(self.path.with_suffix(".unreadable"))
            return World()

    @contextmanager
    def open(self, *, changes: bool = True) -> Iterator[World]:
        with self._lock:
            try:
                yield self._world
            finally:
                self._dirty = self._dirty or changes

    def replace(self, world: World) -> None:
        with self._lock:
            self._world = world
            self._dirty = True

    def flush(self) -> None:
        """Write the world if it has changed: a temporary file, then one rename. What a full disk
        refuses (OSError) is still to be written afterwards."""
        with self._writing:
            with self._lock:
                if not self._dirty:
                    return
                data = _ADAPTER.dump_json(self._world)
                self._dirty = False
            try:
                self._write(data)
            except OSError:
                with self._lock:
                    self._dirty = True
                raise

    def _write(self, data: bytes) -> None:
        temporary = self.path.with_suffix(".tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(self.path)
