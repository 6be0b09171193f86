"""Names of our PINs on a lock, and how one is found again when an answer was lost."""

from __future__ import annotations

import secrets
import time

from app.integrations.locks import LockClient, LockPin, LockPinState, LockTarget

#: pause before a PIN that was not found is looked for once more
SECOND_LOOK_SECONDS = 2.0
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def new_name() -> str:
    """Our unique name on the lock: no guest data, 13 characters (contracts/tuya.md §10)."""
    return "TK-" + "".join(secrets.choice(_ALPHABET) for _ in range(10))


def find(client: LockClient, target: LockTarget, name: str) -> LockPin | None:
    """Our PIN of that name as the vendor lists it, looking twice with a pause between. Of several,
    one that may open rather than the record of one that is gone."""
    for pause in (0.0, SECOND_LOOK_SECONDS):
        time.sleep(pause)
        listed = [pin for pin in client.list_pins(target) if pin.name == name]
        if listed:
            return min(listed, key=lambda pin: pin.state == LockPinState.GONE)
    return None
