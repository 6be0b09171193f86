"""Lock vendors: the port, its shapes, and the map from a vendor's name to its client.

To add a vendor: one module with a `LockClient`, one line in `LOCK_VENDORS` and one in `KNOWN`, and
the contract suite in tests/contracts runs against it. Raise what happened; a returned False hides
whether to retry. docs/extending.md leads through all of it.
"""

from __future__ import annotations

import enum
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from app.domain.pins import Pin


class LockPinState(enum.StrEnum):
    """What a vendor says about one PIN, translated by radio (contracts/tuya.md §5.1)."""

    PENDING = "pending"  # accepted by the cloud, not proven on the lock
    INSTALLED = "installed"  # the lock has it
    FAILED = "failed"  # the lock refused it or delivery failed
    DELETING = "deleting"  # delete accepted, the lock may still open
    GONE = "gone"  # the lock no longer has it; a record may remain
    FROZEN = "frozen"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class LockTarget:
    """The device a call is about; plain values, so that no row outlives its transaction."""

    device_id: str
    radio: str  # wifi | zigbee | bluetooth
    hex_case: str = "lower"  # lower | upper: case of the encrypted PIN (contracts/tuya.md §0.2)
    pin_length: int = 7


@dataclass(frozen=True, slots=True)
class PinOrder:
    """Put these digits on this lock for this window. `name` is our unique key on the lock."""

    target: LockTarget
    name: str
    pin: Pin
    valid_from: datetime  # aware UTC
    expires_at: datetime  # aware UTC


@dataclass(frozen=True, slots=True)
class LockPin:
    """One PIN as the vendor lists it; the digits are never returned."""

    ref: str
    name: str
    state: LockPinState
    valid_from: datetime | None
    expires_at: datetime | None
    detail: str = (
        ""  # the vendor's raw state in words, e.g. "phase 12" or "delivery 5: lock memory full"
    )


@dataclass(frozen=True, slots=True)
class Device:
    """A lock as the vendor's account lists it. `online` False is normal for a sleeping lock."""

    device_id: str
    name: str
    category: str
    online: bool
    battery: int | None = None  # percent, last reported
    low_battery: bool = False
    gateway_id: str | None = None
    time_zone: str | None = None


class LockClient(Protocol):
    """What every lock vendor can do. Every method blocks for at most about 20 seconds and raises
    `app.integrations.errors.IntegrationError` subclasses only."""

    def create_pin(self, order: PinOrder) -> str:
        """Order the PIN and return the vendor's reference. Raises Unconfirmed when the answer was
        lost, NameTaken when an earlier try succeeded, PinTaken, LockFull, StartInPast."""
        ...

    def change_pin(self, ref: str, order: PinOrder) -> None:
        """Change the window of an existing PIN, same digits."""
        ...

    def list_pins(self, target: LockTarget) -> list[LockPin]:
        """Everything on the lock, foreign codes included. Raises instead of returning a part."""
        ...

    def delete_pin(self, target: LockTarget, ref: str) -> None:
        """Order removal. Returns also when the vendor says the PIN does not exist. Asynchronous:
        the lock may open until `list_pins` proves otherwise."""
        ...

    def purge_record(self, target: LockTarget, ref: str) -> None:
        """Remove the history entry of a PIN that is gone; missing is success."""
        ...

    def devices(self) -> list[Device]:
        """Every lock of the account; raises instead of answering an empty list on failure."""
        ...

    def clock_offset(self) -> float | None:
        """Seconds the vendor's clock is ahead of ours at the last answer, None before one."""
        ...


#: vendor name -> dotted path of a factory that takes the app's Settings
LOCK_VENDORS: dict[str, str] = {
    "tuya": "app.integrations.locks.tuya:client_from_settings",
    "fake": "app.integrations.locks.fake:client_from_settings",
}


@dataclass(frozen=True, slots=True)
class Vendor:
    """A maker of locks as the rest of the product knows it.

    `title` is what people read, `ready` whether the app's Settings hold an account of it, and
    `variables` says what would set one up.
    """

    title: str
    variables: str
    ready: Callable[[Any], bool]


#: vendors whose locks people may register, by name
KNOWN: dict[str, Vendor] = {
    "tuya": Vendor(
        "The lock account",
        "TUYA_ACCESS_ID and its companions",
        lambda settings: bool(settings.tuya_configured),
    ),
}


def load_vendor(name: str) -> Callable[[object], LockClient]:
    """The factory of a vendor by name; KeyError for an unknown one."""
    module, _, attribute = LOCK_VENDORS[name].partition(":")
    factory: Callable[[object], LockClient] = getattr(importlib.import_module(module), attribute)
    return factory
