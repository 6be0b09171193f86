"""Temporary passwords: tickets, checks of an order, and what reading them answers."""

from __future__ import annotations

import secrets
import string
from typing import Any

from app.sandbox import lock_device
from app.sandbox.records import Code, Lock, Ticket, World
from app.sandbox.tuya_crypto import Undecipherable, decrypt_pin, pin_digest, wrap_ticket_key
from app.sandbox.tuya_errors import Refusal

TICKET_SECONDS = 300
KEY_ALPHABET = string.ascii_letters + string.digits
NAME_LENGTH = 20


def issue_ticket(world: World, lock: Lock, secret: str, now: float) -> dict[str, Any]:
    """A single-use key for one write on one lock, handed out encrypted."""
    world.tickets = {k: t for k, t in world.tickets.items() if t.expires_at > now - 3600}
    key = "".join(secrets.choice(KEY_ALPHABET) for _ in range(16))
    ticket = Ticket(secrets.token_urlsafe(9), lock.device_id, key, now + TICKET_SECONDS)
    world.tickets[ticket.id] = ticket
    return {
        "ticket_id": ticket.id,
        "ticket_key": wrap_ticket_key(secret, key),
        "expire_time": TICKET_SECONDS,
    }


def _use_ticket(world: World, lock: Lock, ticket_id: object, now: float) -> str:
    ticket = world.tickets.get(str(ticket_id))
    if ticket is None or ticket.used or ticket.expires_at <= now:
        raise Refusal(2302, "ticket is expired or was used")
    if ticket.device_id != lock.device_id:
        raise Refusal(2302, "ticket belongs to another device")
    ticket.used = True
    return ticket.key


def _epoch_seconds(body: dict[str, Any], field: str) -> int:
    value = body.get(field)
    if value is None:
        raise Refusal(1100)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refusal(1104)
    if not 10**9 <= value < 10**10:
        raise Refusal(1109)
    return value


def _name(body: dict[str, Any]) -> str:
    name = body.get("name")
    if not isinstance(name, str) or not name:
        raise Refusal(1100)
    if len(name) > NAME_LENGTH:
        raise Refusal(1109)
    return name


def _digits(world: World, lock: Lock, body: dict[str, Any], now: float) -> tuple[str, bool]:
    """The PIN, and whether the lock will read it: the case of the hex matters (§0.2)."""
    if body.get("password_type") != "ticket":
        raise Refusal(1109)
    ciphertext = body.get("password")
    if not isinstance(ciphertext, str) or not ciphertext:
        raise Refusal(1100)
    key = _use_ticket(world, lock, body.get("ticket_id"), now)
    try:
        digits = decrypt_pin(key, ciphertext)
    except Undecipherable:
        raise Refusal(1109) from None
    if not (digits.isascii() and digits.isdigit() and len(digits) == lock.pin_length):
        raise Refusal(1109)
    readable = {
        "any": True,
        "lower": ciphertext == ciphertext.lower(),
        "upper": ciphertext == ciphertext.upper(),
    }[lock.hex_case]
    return digits, readable


def _window(body: dict[str, Any], now: float) -> tuple[int, int]:
    effective, invalid = (
        _epoch_seconds(body, "effective_time"),
        _epoch_seconds(body, "invalid_time"),
    )
    if invalid <= effective:
        raise Refusal(1109)
    if invalid <= now or effective < int(now):
        raise Refusal(2318)
    return effective, invalid


def _reachable(world: World, lock: Lock) -> None:
    if lock_device.is_offline(world, lock):
        raise Refusal(2312 if lock.radio == "zigbee" else 2001)


def create(world: World, lock: Lock, body: dict[str, Any], secret: str, now: float) -> int:
    """Store the order; delivery to the lock follows. Raises Refusal."""
    lock_device.advance(world, lock, now)
    name = _name(body)
    digits, readable = _digits(world, lock, body, now)
    effective, invalid = _window(body, now)
    _reachable(world, lock)
    if any(code.name == name for code in lock.codes.values()):
        raise Refusal(2316)
    digest = pin_digest(secret, lock.device_id, digits)
    live = [code for code in lock.codes.values() if lock_device.is_live(code, now)]
    if lock.radio == "wifi" and any(code.digest == digest for code in live):
        raise Refusal(2322)
    if world.lock_has(lock.device_id, "full") or len(live) >= lock.capacity:
        raise Refusal(2303)
    code = Code(
        id=world.take_id(),
        sn=lock.next_sn,
        name=name,
        effective=effective,
        invalid=invalid,
        digest=digest if readable else f"unreadable-{secrets.token_hex(8)}",
        last2=digits[-2:],
        phase=1,
        created_at=now,
        type=1 if body.get("type") == 1 else 0,
    )
    lock.next_sn += 1
    lock.codes[code.id] = code
    lock_device.order(world, lock, code, "add", now)
    return code.id


def find(lock: Lock, password_id: int) -> Code:
    code = lock.codes.get(password_id)
    if code is None:
        raise Refusal(2310 if lock.radio == "zigbee" else 2321)
    return code


def modify(
    world: World, lock: Lock, password_id: int, body: dict[str, Any], secret: str, now: float
) -> bool:
    """Change window, name or digits; takes a ticket and the PIN again (§4.4)."""
    lock_device.advance(world, lock, now)
    code = find(lock, password_id)
    name = _name(body)
    digits, readable = _digits(world, lock, body, now)
    effective = _epoch_seconds(body, "effective_time")
    invalid = _epoch_seconds(body, "invalid_time")
    if invalid <= effective:
        raise Refusal(1109)
    if invalid <= now or (effective < int(now) and effective != code.effective):
        raise Refusal(2318)
    if code.pending == "delete" or code.phase in lock_device.GONE_PHASES:
        raise Refusal(2324)
    _reachable(world, lock)
    if any(other.name == name for other in lock.codes.values() if other is not code):
        raise Refusal(2316)
    code.name, code.effective, code.invalid = name, effective, invalid
    digest = pin_digest(secret, lock.device_id, digits)
    code.digest = digest if readable else f"unreadable-{secrets.token_hex(8)}"
    code.last2 = digits[-2:]
    lock_device.order(world, lock, code, "modify", now)
    return True


def freeze(world: World, lock: Lock, password_id: int, frozen: bool, now: float) -> bool:
    """Zigbee only (§4.5)."""
    lock_device.advance(world, lock, now)
    if lock.radio != "zigbee":
        raise Refusal(2004)
    code = find(lock, password_id)
    if code.phase not in (2, 3) or code.pending:
        raise Refusal(2324)
    code.frozen, code.phase = frozen, 3 if frozen else 2
    return True


def delete(world: World, lock: Lock, password_id: int, now: float) -> bool:
    """Order removal; the lock opens until it has heard of it."""
    lock_device.advance(world, lock, now)
    code = find(lock, password_id)
    if code.phase in lock_device.GONE_PHASES and not code.pending:
        raise Refusal(2323)
    _reachable(world, lock)
    if code.pending != "delete":
        lock_device.order(world, lock, code, "delete", now)
    return True


def purge(world: World, lock: Lock, password_id: int, now: float) -> bool:
    """Remove the history entry of a code that is gone, failed or over."""
    lock_device.advance(world, lock, now)
    code = lock.codes.get(password_id)
    if code is None:
        raise Refusal(2323)
    over = code.invalid <= now and not code.pending
    if code.phase not in (*lock_device.GONE_PHASES, 5, 7) and not over:
        raise Refusal(2324)
    del lock.codes[password_id]
    return True


def clear(world: World, lock: Lock, now: float) -> bool:
    """Remove every code of everybody; the product must never call this (§4.6)."""
    for code in list(lock.codes.values()):
        if code.phase not in lock_device.GONE_PHASES:
            lock_device.order(world, lock, code, "delete", now)
    return True


def as_listed(lock: Lock, code: Code) -> dict[str, Any]:
    """One entry of the list; the PIN itself is never returned (§4.3)."""
    if lock.category == "mk" and code.phase in (17, 19):
        code.phase = 36 - code.phase  # seen on real keypads: the two alternate
    entry: dict[str, Any] = {
        "id": code.id,
        "sn": code.sn,
        "name": code.name,
        "phase": code.phase,
        "effective_time": code.effective,
        "invalid_time": code.invalid,
        "phone": "",
        "time_zone": "",
        "schedule_list": [],
        "type": code.type,
    }
    if lock.radio == "zigbee":
        entry["delivery_status"] = code.delivery
    return entry


def listed(world: World, lock: Lock, valid: bool | None, now: float) -> list[dict[str, Any]]:
    """Everything on the lock, foreign codes included; `valid` leaves out what is over or gone."""
    lock_device.advance(world, lock, now)
    codes = [
        code
        for code in lock.codes.values()
        if valid is None
        or valid == (code.invalid > now and code.phase not in lock_device.GONE_PHASES)
    ]
    return [as_listed(lock, code) for code in codes]
