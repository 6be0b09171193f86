"""Each lock vendor on a bench: its client, and the hands that move its locks."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Protocol

from app.clock import utcnow
from app.integrations import errors
from app.integrations.locks import LockClient
from app.integrations.locks.fake import FakeLocks
from app.integrations.locks.tuya import TuyaCloud, TuyaLocks
from app.sandbox import faults, lock_device, server
from app.sandbox.app import create_sandbox
from app.sandbox.credentials import Keys
from app.sandbox.records import Lock
from app.sandbox.tuya_crypto import pin_digest
from tests.integrations.locks.conftest import QUICK
from tests.integrations.locks.tuya_standin import ACCESS_ID, ACCESS_SECRET, StandIn


class Bench(Protocol):
    """A vendor's client and the hands to move its locks."""

    client: LockClient

    def sync(self) -> None: ...
    def keypad(self, digits: str, at: datetime) -> bool: ...
    def lose_answer(self, call: str) -> None: ...
    def refuse(self, call: str, word: str) -> None: ...
    def fill(self, capacity: int) -> None: ...
    def close(self) -> None: ...


class FakeBench:
    kinds: ClassVar[dict[str, type[errors.IntegrationError]]] = {
        "offline": errors.LockOffline,
        "busy": errors.LockBusy,
        "quota": errors.QuotaExhausted,
        "credentials": errors.Unauthorized,
        "down": errors.Unreachable,
    }

    def __init__(self) -> None:
        self.client = FakeLocks()
        self.client.add_lock("lock1", battery=77)

    def sync(self) -> None:
        self.client.sync("lock1")

    def keypad(self, digits: str, at: datetime) -> bool:
        return self.client.keypad("lock1", digits, at)

    def lose_answer(self, call: str) -> None:
        self.client.fail_next(call, errors.Unconfirmed("lost"), after_execution=True)

    def refuse(self, call: str, word: str) -> None:
        self.client.fail_next(call, self.kinds[word]("refused", vendor="fake"))

    def fill(self, capacity: int) -> None:
        self.client.locks["lock1"].capacity = capacity

    def close(self) -> None:
        pass


class TuyaBench:
    paths: ClassVar[dict[str, str]] = {
        "create_pin": "/temp-password",
        "change_pin": "/modify-password",
        "list_pins": "/temp-passwords",
        "delete_pin": "/temp-passwords/{ref}",
        "purge_record": "/record",
        "devices": "/v1.3/iot-03/devices",
    }
    faults: ClassVar[dict[str, Any]] = {
        "offline": 2312,
        "busy": 2328,
        "quota": 28841002,
        "credentials": 1004,
        "down": (503, b"<html>down</html>"),
    }

    def __init__(self) -> None:
        self.cloud = StandIn()
        self.cloud.add_door("lock1")
        self.line = TuyaCloud(
            region="eu",
            access_id=ACCESS_ID,
            access_secret=ACCESS_SECRET,
            base_url=self.cloud.url,
            limits=QUICK,
        )
        self.client = TuyaLocks(self.line)

    def sync(self) -> None:
        self.cloud.sync("lock1")

    def keypad(self, digits: str, at: datetime) -> bool:
        return self.cloud.keypad("lock1", digits, at.timestamp())

    def _path(self, call: str) -> str:
        return self.paths[call].format(ref=self.cloud.next_id)

    def lose_answer(self, call: str) -> None:
        self.cloud.fail(self._path(call), "lost")

    def refuse(self, call: str, word: str) -> None:
        self.cloud.fail(self._path(call), self.faults[word])

    def fill(self, capacity: int) -> None:
        self.cloud.doors["lock1"].capacity = capacity

    def close(self) -> None:
        self.line.close()
        self.cloud.stop()


class SandboxBench:
    """Tuya once more, through the product's own sandbox: written by other hands than the stand-in,
    mounted under a path, and with locks that take their time."""

    operations: ClassVar[dict[str, str]] = {
        "create_pin": "create",
        "change_pin": "modify",
        "list_pins": "list",
        "delete_pin": "delete",
        "purge_record": "purge",
        "devices": "devices",
    }
    words: ClassVar[dict[str, tuple[str, int | None]]] = {
        "offline": ("code", 2312),
        "busy": ("busy", None),
        "quota": ("plan_expired", None),
        "credentials": ("code", 1004),
        "down": ("500", None),
    }

    def __init__(self) -> None:
        self.stack = ExitStack()
        state = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        keys = Keys.make()
        self.secret = keys.tuya_access_secret
        self.ahead = timedelta(0)
        app = create_sandbox(
            state / "sandbox", keys=keys, clock=lambda: utcnow() + self.ahead, with_demo=False
        )
        self.store = app.extensions["sandbox"].store
        self.sandbox = app.extensions["sandbox"]
        with self.store.open() as world:
            world.locks["lock1"] = Lock(
                "lock1", "Door", "ms", "wifi", "mains", "America/Sao_Paulo", "p1", 77, 7, 20
            )
        url = self.stack.enter_context(server.running(app))
        self.line = TuyaCloud(
            region="us",
            access_id=keys.tuya_access_id,
            access_secret=self.secret,
            base_url=f"{url}/tuya",
            limits=QUICK,
        )
        self.stack.callback(self.line.close)
        self.client = TuyaLocks(self.line)

    def sync(self) -> None:
        """Long enough for the way from the cloud to the lock; clocks still agree within limits."""
        self.ahead += timedelta(seconds=lock_device.SYNC_SECONDS["wifi"] + 1)
        with self.store.open() as world:
            lock_device.advance(world, world.locks["lock1"], self.sandbox.now())
        self.ahead = timedelta(0)

    def keypad(self, digits: str, at: datetime) -> bool:
        """By what the lock remembers; its own keypad would also wake it."""
        digest = pin_digest(self.secret, "lock1", digits)
        with self.store.open(changes=False) as world:
            return any(
                code.device is not None
                and code.device.digest == digest
                and code.device.effective <= at.timestamp() < code.device.invalid
                for code in world.locks["lock1"].codes.values()
            )

    def lose_answer(self, call: str) -> None:
        self._fault("lost", call)

    def refuse(self, call: str, word: str) -> None:
        kind, code = self.words[word]
        self._fault(kind, call, code)

    def _fault(self, kind: str, call: str, code: int | None = None) -> None:
        with self.store.open() as world:
            operation = self.operations[call]
            faults.switch_on(world, "tuya", kind, operation=operation, count=1, code=code)

    def fill(self, capacity: int) -> None:
        with self.store.open() as world:
            world.locks["lock1"].capacity = capacity

    def close(self) -> None:
        self.stack.close()


#: by vendor of LOCK_VENDORS; a vendor without one fails the suite
BENCHES: dict[str, list[type[Bench]]] = {"fake": [FakeBench], "tuya": [TuyaBench, SandboxBench]}
