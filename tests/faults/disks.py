"""A disk under one product's data that can be full, and have room again."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg

from tests.local.product import children_of

ENGINES = ("postgres", "redis")
MEGABYTES = 400
#: "limit" takes the way of machines that let nobody mount
WAY = os.environ.get("PLAN_DISK", "")


class Disk(Protocol):
    """What holds `var/`."""

    def fill(self) -> None:
        """From now on nothing grows."""

    def free(self) -> None:
        """There is room again; twice changes nothing."""


class SmallDisk:
    """A file system of its own, filled with a file that has no name: it ends with this process."""

    def __init__(self, var: Path) -> None:
        self._var = var
        self._ballast = -1

    def fill(self) -> None:
        if self._ballast < 0:
            self._ballast = os.open(self._var, os.O_TMPFILE | os.O_WRONLY, 0o600)
        block = bytes(1 << 20)
        while block:
            try:
                os.write(self._ballast, block)
            except OSError:
                block = block[: len(block) // 2]

    def free(self) -> None:
        if self._ballast >= 0:
            os.close(self._ballast)
            self._ballast = -1


class FileLimits:
    """Where nothing may be mounted: no file of the engines may grow, and none may be begun.

    Their processes are told by the limit on the size of files, which each user may set for the own
    ones; who is started later inherits it. PostgreSQL meets refused writes as on a full disk;
    Redis ends by them, and is started again to no avail until there is room.
    """

    def __init__(self, var: Path) -> None:
        self._var = var

    def fill(self) -> None:
        self._limit("1")

    def free(self) -> None:
        self._limit("unlimited")

    def _limit(self, size: str) -> None:
        for _ in range(2):  # whoever was just being started in the first round
            for name in ENGINES:
                with contextlib.suppress(OSError, ValueError):
                    keeper = json.loads((self._var / f"{name}.json").read_text())["pid"]
                    for pid in (keeper, *children_of(keeper)):
                        _limit_one(pid, size)


def _limit_one(pid: int, size: str) -> None:
    try:
        owner = Path(f"/proc/{pid}").stat()
    except OSError:
        return
    identity: dict[str, Any] = {}
    if owner.st_uid != os.geteuid():  # root may be without the right to do it for others
        identity = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    subprocess.run(
        ["prlimit", f"--fsize={size}:", "--pid", str(pid)],
        check=False,  # it may just have ended
        capture_output=True,
        **identity,
    )


@contextmanager
def under(var: Path) -> Iterator[Disk]:
    """A disk for `var`, which must not hold anything yet."""
    var.mkdir(mode=0o700, parents=True, exist_ok=True)
    if WAY == "limit" or not _mount(var):
        yield FileLimits(var)
        return
    disk = SmallDisk(var)
    try:
        yield disk
    finally:
        disk.free()
        subprocess.run(["umount", "--lazy", str(var)], check=True)


def _mount(var: Path) -> bool:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    options = f"size={MEGABYTES}m,mode=0700"
    command = ["mount", "-t", "tmpfs", "-o", options, "turnkey-test", str(var)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def use_up_the_log(url: str) -> None:
    """Have PostgreSQL need a new file for its log of writes, which on a full disk is its end."""
    with (
        contextlib.suppress(psycopg.Error),
        psycopg.connect(url, autocommit=True, connect_timeout=3) as connection,
    ):
        for _ in range(8):
            connection.execute("SELECT pg_logical_emit_message(true, 'turnkey', 'full')")
            connection.execute("SELECT pg_switch_wal()")
