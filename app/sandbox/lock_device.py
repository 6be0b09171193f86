"""How a lock behaves: codes reach it with delay, it sleeps, and its keypad judges by itself."""

from __future__ import annotations

from app.sandbox.records import Attempt, Code, DeviceCode, Lock, World
from app.sandbox.tuya_crypto import pin_digest

AWAKE_SECONDS = 60.0
#: from the cloud to the lock, once the lock can be reached (contracts/tuya.md §5.2)
SYNC_SECONDS = {"zigbee": 2.5, "mk": 4.0, "wifi": 2.0}
KEPT_ATTEMPTS = 50
GONE_PHASES = (0, 4, 17, 19)


def is_offline(world: World, lock: Lock) -> bool:
    return world.lock_has(lock.device_id, "offline") is not None


def is_asleep(world: World, lock: Lock, now: float) -> bool:
    """A battery Wi-Fi lock sleeps between uses; a fault can put any lock to sleep."""
    sleeper = lock.radio == "wifi" and lock.power == "battery"
    if not sleeper and world.lock_has(lock.device_id, "sleeping") is None:
        return False
    return now >= lock.awake_until


def is_online(world: World, lock: Lock, now: float) -> bool:
    """What the cloud's device list shows."""
    return not is_offline(world, lock) and not is_asleep(world, lock, now)


def sync_seconds(lock: Lock) -> float:
    return SYNC_SECONDS["mk" if lock.category == "mk" else lock.radio]


def is_live(code: Code, now: float) -> bool:
    """Whether the code takes one of the lock's slots."""
    return code.invalid > now and (code.device is not None or code.pending == "add")


def order(world: World, lock: Lock, code: Code, step: str, now: float) -> None:
    """Note a step that has to reach the lock and show the matching phase."""
    if step == "delete" and code.device is None and code.pending == "add":
        code.pending = "delete"
        _complete(lock, code)  # it never left the cloud
        return
    code.pending = "add" if code.device is None and step == "modify" else step
    if step == "delete":
        code.phase = 2 if lock.radio == "zigbee" else 3
    else:
        code.phase = 12 if lock.category == "mk" else 1
    code.delivery = 1 if lock.radio == "zigbee" else None
    code.due_at = None
    advance(world, lock, now)


def advance(world: World, lock: Lock, now: float) -> None:
    """Let everything happen that has become due by `now`."""
    dropping = world.lock_has(lock.device_id, "drop")
    failing = world.lock_has(lock.device_id, "fail") is not None
    unreachable = is_offline(world, lock)
    asleep = is_asleep(world, lock, now)
    for code in list(lock.codes.values()):
        if not code.pending:
            continue
        if dropping is not None and code.pending == "add":
            if now - code.created_at >= dropping.seconds:
                del lock.codes[code.id]
            continue
        if unreachable:
            code.due_at = None
            continue
        if code.due_at is None:
            if asleep:
                continue
            code.due_at = now + sync_seconds(lock)
        if code.due_at > now:
            continue
        if failing and code.pending == "add":
            _refuse(lock, code, delivery=3)
        elif code.pending == "add" and lock.radio == "zigbee" and _has_twin(lock, code):
            _refuse(lock, code, delivery=4)
        else:
            _complete(lock, code)


def _has_twin(lock: Lock, code: Code) -> bool:
    return any(
        other.device is not None and other.device.digest == code.digest
        for other in lock.codes.values()
        if other is not code
    )


def _refuse(lock: Lock, code: Code, *, delivery: int) -> None:
    """Zigbee reports why; a Wi-Fi code simply disappears (contracts/tuya.md §5)."""
    code.pending, code.due_at = "", None
    if lock.radio == "zigbee":
        code.phase, code.delivery = 5, delivery
    else:
        del lock.codes[code.id]


def _complete(lock: Lock, code: Code) -> None:
    if code.pending == "delete":
        code.device = None
        code.phase = 4 if lock.radio == "zigbee" else 17 if lock.category == "mk" else 0
    else:
        code.device = DeviceCode(code.digest, code.effective, code.invalid)
        code.phase = 2
    code.delivery = 2 if lock.radio == "zigbee" else None
    code.pending, code.due_at = "", None


def touch(world: World, lock: Lock, now: float) -> None:
    """A finger on the keypad wakes the lock, which then asks the cloud for news."""
    advance(world, lock, now)
    lock.awake_until = max(lock.awake_until, now + AWAKE_SECONDS)
    advance(world, lock, now)


def try_keypad(world: World, lock: Lock, digits: str, secret: str, now: float) -> bool:
    """Type digits and turn the handle. Only what is on the lock itself decides."""
    touch(world, lock, now)
    digest = pin_digest(secret, lock.device_id, digits)
    opened, reason, code = _judge(lock, digest, now)
    lock.attempts.insert(
        0, Attempt(now, opened, reason, code.id if code else None, code.sn if code else None)
    )
    del lock.attempts[KEPT_ATTEMPTS:]
    if opened and code is not None and code.type == 1:
        code.device = None
        code.phase = 4 if lock.radio == "zigbee" else 0
    return opened


def would_open(world: World, lock: Lock, digits: str, secret: str, now: float) -> bool:
    """What the keypad would say to these digits, without a finger that wakes it or a trace."""
    advance(world, lock, now)
    return _judge(lock, pin_digest(secret, lock.device_id, digits), now)[0]


def _judge(lock: Lock, digest: str, now: float) -> tuple[bool, str, Code | None]:
    on_lock = [c for c in lock.codes.values() if c.device is not None and c.device.digest == digest]
    verdict: tuple[bool, str, Code | None] = (False, "no code with these digits", None)
    for code in on_lock:
        assert code.device is not None
        if code.frozen:
            verdict = (False, "the code is frozen", code)
        elif now < code.device.effective:
            verdict = (False, "too early: the window has not begun", code)
        elif now >= code.device.invalid:
            verdict = (False, "too late: the window is over", code)
        else:
            late = " (the cloud has deleted it, the lock does not know yet)"
            return True, "opened" + (late if code.pending == "delete" else ""), code
    if not on_lock:
        for code in lock.codes.values():
            if code.digest == digest and code.pending in ("add", "modify"):
                return False, "the cloud knows this code, the lock has not fetched it yet", code
            if code.digest == digest and code.phase in GONE_PHASES:
                return False, "the code was deleted", code
    return verdict
