"""Faults that can be switched on, and how they spoil a vendor's answers."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable

from flask import Blueprint, Response, g, request

from app.sandbox.records import Fault, World
from app.sandbox.store import Store

#: the answer never comes, comes late, or is not what was promised
TRANSPORT = {
    "down": "the connection is closed without an answer",
    "slow": "the answer takes some seconds",
    "429": "too many requests, with Retry-After",
    "500": "internal error, nothing is done",
    "lost": "the order is carried out, then the connection is closed",
    "html": "a web page instead of data",
    "empty": "an empty body",
    "null": "the word null",
    "half": "half of the answer",
}
#: refusals of the lock cloud; each stands for a code of contracts/tuya.md §2
REFUSALS = {
    "code": (0, "refused by the sandbox"),
    "quota": (28841004, "your trial quota is exhausted"),
    "plan_expired": (28841002, "your cloud plan has expired"),
    "rate": (1199, "too frequent, please try again later"),
    "busy": (2328, "the lock is busy with another operation"),
    "no_permission": (1106, "permission deny"),
}
#: states of a lock, with the words the page uses
LOCK_STATES = {
    "sleeping": "asleep until its keypad is touched",
    "offline": "offline, every order for it is refused",
    "full": "no room for another code",
    "fail": "the lock does not take new codes",
    "drop": "new codes get stuck and vanish from the list",
}
WEBHOOK_KINDS = {
    "duplicate": "each message is sent twice",
    "reordered": "two messages swap places",
    "lost": "messages are not sent",
    "slow": "messages leave some seconds late",
}
#: done once, at the moment they are switched on
TOKEN_KINDS = {
    "token_expired": "token is expired",
    "token_invalid": "token invalid",
}
#: likewise, at Beds24
BEDS24_KINDS = {
    "401": "every access token has ended; a new one is minted",
    "no_scope": "its tokens are refused for lack of a scope",
    "no_credits": "no credits are left in this period",
    "partial": "a written booking loses its unit, and is reported as failed",
}
CLOCK_SKEW = "clock_skew"
DEFAULT_SECONDS = {"slow": 5.0, CLOCK_SKEW: 700.0, "drop": 20.0, "429": 2.0}


def kinds_of(scope: str, devices: Iterable[str]) -> set[str]:
    """What may go wrong with a scope; empty for a scope that does not exist."""
    if scope == "stays":
        return set(TRANSPORT)
    if scope == "beds24":
        return {*TRANSPORT, *BEDS24_KINDS}
    if scope == "tuya":
        return {*TRANSPORT, *REFUSALS, *TOKEN_KINDS, CLOCK_SKEW}
    if scope == "webhooks":
        return set(WEBHOOK_KINDS)
    if scope == "locks" or scope in devices:
        return {*LOCK_STATES, *TRANSPORT, *REFUSALS}
    return set()


def switch_on(
    world: World,
    scope: str,
    kind: str,
    *,
    operation: str = "",
    count: int | None = None,
    seconds: float | None = None,
    code: int | None = None,
    message: str = "",
    chance: int | None = None,
) -> Fault:
    """Add a fault. Raises ValueError for a kind this scope does not have."""
    if kind not in kinds_of(scope, world.locks):
        raise ValueError(f"{scope!r} has no fault {kind!r}")
    if count is not None and count < 1:
        raise ValueError("count must be at least 1")
    if chance is not None and not 1 <= chance <= 100:
        raise ValueError("chance must be from 1 to 100")
    default_code, default_message = REFUSALS.get(kind, (0, ""))
    fault = Fault(
        id=world.take_id(),
        scope=scope,
        kind=kind,
        operation=operation,
        remaining=count,
        seconds=DEFAULT_SECONDS.get(kind, 0.0) if seconds is None else seconds,
        code=code if code is not None else default_code,
        message=message or default_message,
        chance=chance or 100,
    )
    if kind == "code" and not fault.code:
        raise ValueError("this fault needs a code")
    if kind == "401":
        world.beds24.access_tokens.clear()
        return fault
    if kind == "no_credits":
        world.beds24.used = max(world.beds24.used, world.beds24.settings.credit_limit)
        return fault
    if kind in TOKEN_KINDS:
        world.token.expires_at = 0.0
        world.token.wording = TOKEN_KINDS[kind]
        return fault
    if kind == "sleeping":
        for lock in world.locks.values():
            if scope in (lock.device_id, "locks"):
                lock.awake_until = 0.0
    world.faults.append(fault)
    return fault


def switch_off(world: World, fault_id: int | None = None) -> int:
    """Remove one fault, or all of them; how many went."""
    before = len(world.faults)
    world.faults = [f for f in world.faults if fault_id is not None and f.id != fault_id]
    return before - len(world.faults)


def take(world: World, scopes: Iterable[str], kinds: Iterable[str], operation: str) -> Fault | None:
    """The first fault that applies to this call and hits it, counted down."""
    for fault in world.faults:
        if fault.scope not in scopes or fault.kind not in kinds:
            continue
        if fault.operation and fault.operation != operation:
            continue
        if fault.chance < 100 and secrets.randbelow(100) >= fault.chance:
            continue
        if fault.remaining is not None:
            fault.remaining -= 1
            if fault.remaining <= 0:
                world.faults.remove(fault)
        return fault
    return None


def hang_up() -> Response:
    """Close the caller's connection; the server finds it gone when it wants to answer."""
    connection = request.environ.get("werkzeug.socket")
    if connection is None:  # a test client has no connection to lose
        raise ConnectionResetError("the sandbox closed the connection")
    connection.shutdown(2)
    return Response(b"", headers={"Connection": "close"})


def spoil_answers(
    blueprint: Blueprint, store: Store, scope: str, error: Callable[[int, str], Response]
) -> None:
    """Let the faults of `scope` (and of the device in the path) act on every call of a vendor.

    `error` makes an error answer in the vendor's own shape from an HTTP status and a text.
    """

    @blueprint.before_request
    def before() -> Response | None:
        operation = (request.endpoint or "").rpartition(".")[2]
        device = (request.view_args or {}).get("device_id")
        scopes = {scope, "locks", str(device)} if device else {scope}
        with store.open() as world:
            name = f"{scope}.{operation}"
            world.calls[name] = world.calls.get(name, 0) + 1
            fault = take(world, scopes, TRANSPORT, operation)
        g.sandbox_fault = fault
        if fault is None:
            return None
        match fault.kind:
            case "down":
                return hang_up()
            case "slow":
                time.sleep(fault.seconds)
                return None
            case "429":
                answer = error(429, "too many requests")
                answer.headers["Retry-After"] = str(int(fault.seconds))
                return answer
            case "500":
                return error(500, "internal error")
            case "html":
                page = "<!doctype html><title>Bad gateway</title><h1>502 Bad gateway</h1>"
                status = fault.code or (500 if scope == "tuya" else 200)
                return Response(page, status=status, mimetype="text/html")
            case "empty":
                return Response(b"", mimetype="application/json")
            case "null":
                return Response(b"null", mimetype="application/json")
        return None  # `lost` and `half` let the call happen

    @blueprint.after_request
    def after(response: Response) -> Response:
        fault: Fault | None = g.get("sandbox_fault")
        if fault is not None and fault.kind == "lost":
            return hang_up()
        if fault is not None and fault.kind == "half":
            data = response.get_data()
            response.set_data(data[: len(data) // 2])
        return response
