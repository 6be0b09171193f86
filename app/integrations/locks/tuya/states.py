"""What Tuya's numbers say about one PIN, by the lock's radio (contracts/tuya.md §5.1, §5.2)."""

from __future__ import annotations

from app.integrations.locks import LockPinState

S = LockPinState

#: 12, 17 and 19 are not in the documentation; they were seen on Wi-Fi keypads
PHASES: dict[str, dict[int, LockPinState]] = {
    "wifi": {
        0: S.GONE,
        1: S.PENDING,
        2: S.INSTALLED,
        3: S.DELETING,
        12: S.PENDING,
        17: S.GONE,
        19: S.GONE,
    },
    "bluetooth": {0: S.GONE, 1: S.PENDING, 2: S.INSTALLED, 3: S.DELETING, 7: S.FAILED},
    "zigbee": {1: S.PENDING, 2: S.INSTALLED, 3: S.FROZEN, 4: S.GONE, 5: S.FAILED},
}

#: delivery_status, reported for Zigbee only
DELIVERIES: dict[int, tuple[LockPinState, str]] = {
    1: (S.PENDING, "in progress"),
    2: (S.INSTALLED, "delivered"),
    3: (S.FAILED, "failed"),
    4: (S.FAILED, "duplicate PIN"),
    5: (S.FAILED, "lock memory full"),
    6: (S.FAILED, "overlapping validity"),
}


def pin_state(radio: str, phase: object, delivery: object = None) -> tuple[LockPinState, str]:
    """Our state and the vendor's in words. A number we do not know is UNKNOWN, never in or gone."""
    number = _number(phase)
    by_phase = PHASES.get(radio, {}).get(number, S.UNKNOWN) if number is not None else None
    detail = f"phase {number}" if number is not None else "no phase"
    if radio != "zigbee" or delivery is None:
        return by_phase or S.UNKNOWN, detail

    code = _number(delivery)
    by_delivery, words = DELIVERIES.get(code if code is not None else -1, (S.UNKNOWN, "unknown"))
    detail = f"{detail}, delivery {code if code is not None else '?'}: {words}"
    if by_phase in (S.GONE, S.FROZEN, S.FAILED, S.UNKNOWN):
        return by_phase, detail
    return by_delivery, detail


def _number(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return None
