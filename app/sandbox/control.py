"""Works a running sandbox over HTTP: what the operator commands `sandbox …` call."""

from __future__ import annotations

import os
from typing import Any

import httpx

from app.sandbox.credentials import port_from


class SandboxError(Exception):
    """The sandbox is not running, or refused; the message says which and why."""


def base_url() -> str:
    return f"http://127.0.0.1:{port_from(os.environ)}"


def _call(method: str, path: str, base: str | None, json: Any = None) -> dict[str, Any]:
    base = base or base_url()
    try:
        answer = httpx.request(
            method, f"{base}/control/{path}", json=json, timeout=10.0, trust_env=False
        )
    except httpx.HTTPError:
        raise SandboxError(f"no sandbox answers at {base}") from None
    try:
        body: dict[str, Any] = answer.json()
    except ValueError:
        raise SandboxError(f"what answers at {base} is not the sandbox") from None
    if answer.is_error:
        raise SandboxError(str(body.get("error", answer.status_code)))
    return body


def list_bookings(*, base: str | None = None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = _call("GET", "bookings", base)["bookings"]
    return rows


def create_booking(
    listing: str,
    guest_name: str,
    check_in: str,
    check_out: str,
    *,
    base: str | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """Book a room by its listing code; days are ISO. `fields` as `change_booking`."""
    body = {
        "listing": listing,
        "guest_name": guest_name,
        "check_in": check_in,
        "check_out": check_out,
        **fields,
    }
    return _call("POST", "bookings", base, body)


def change_booking(ref: str, *, base: str | None = None, **fields: Any) -> dict[str, Any]:
    """Change `listing, guest_name, guest_email, guest_phone, check_in, check_out, check_in_time,
    check_out_time, type, adults, children` or `amount` of a booking."""
    return _call("PATCH", f"bookings/{ref}", base, fields)


def cancel_booking(ref: str, *, base: str | None = None) -> dict[str, Any]:
    return _call("POST", f"bookings/{ref}/cancel", base, {})


def delete_booking(ref: str, *, base: str | None = None) -> dict[str, Any]:
    """Let a booking vanish, as the real channel does with unpaid ones."""
    return _call("DELETE", f"bookings/{ref}", base)


def list_beds24_bookings(*, base: str | None = None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = _call("GET", "beds24/bookings", base)["bookings"]
    return rows


def create_beds24_booking(
    room_id: int, arrival: str, departure: str, *, base: str | None = None, **fields: Any
) -> dict[str, Any]:
    """Book a room of Beds24, in the words of its API; days are ISO."""
    body = {"roomId": room_id, "arrival": arrival, "departure": departure, **fields}
    return _call("POST", "beds24/bookings", base, body)


def change_beds24_booking(ref: str, *, base: str | None = None, **fields: Any) -> dict[str, Any]:
    """Change `roomId, unitId, arrival, departure, status, firstName, lastName, email, mobile,
    numAdult, numChild, roomQty, price, masterId` or `comments` of a booking."""
    return _call("PATCH", f"beds24/bookings/{ref}", base, fields)


def delete_beds24_booking(ref: str, *, base: str | None = None) -> dict[str, Any]:
    return _call("DELETE", f"beds24/bookings/{ref}", base)


def change_beds24_settings(*, base: str | None = None, **settings: Any) -> dict[str, Any]:
    """How the account behaves: `credit_limit, rotate, token_seconds, page_size, webhook_shape,
    webhook_proof, personal_data`; without any, how it does."""
    return _call("PATCH", "beds24/settings", base, settings)


def make_beds24_invite(*, base: str | None = None) -> str:
    """An invite code: good for one use within a day."""
    return str(_call("POST", "beds24/invites", base, {})["code"])


def list_locks(*, base: str | None = None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = _call("GET", "locks", base)["locks"]
    return rows


def touch_lock(device_id: str, *, base: str | None = None) -> dict[str, Any]:
    return _call("POST", f"locks/{device_id}/touch", base, {})


def list_faults(*, base: str | None = None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = _call("GET", "faults", base)["faults"]
    return rows


def set_fault(scope: str, kind: str, *, base: str | None = None, **options: Any) -> dict[str, Any]:
    """Switch a fault on. `scope`: stays, beds24, tuya, webhooks, locks or a device id; options:
    `operation`, `count`, `chance` (per cent), `seconds`, `code`, `message`."""
    return _call("POST", "faults", base, {"scope": scope, "kind": kind, **options})


def clear_faults(fault_id: int | None = None, *, base: str | None = None) -> int:
    """Switch one fault off, or all; how many were on."""
    path = "faults" if fault_id is None else f"faults/{fault_id}"
    return int(_call("DELETE", path, base)["removed"])


def reset_demo(*, base: str | None = None) -> dict[str, Any]:
    return _call("POST", "demo", base, {})
