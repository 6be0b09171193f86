"""What the lock cloud says about devices: lists, status and the log of openings."""

from __future__ import annotations

import secrets
from typing import Any

from flask import request

from app.sandbox import lock_device
from app.sandbox.records import Lock, World
from app.sandbox.tuya_errors import Refusal

LOW_BATTERY = 20


def _device(world: World, lock: Lock, now: float) -> dict[str, Any]:
    return {
        "id": lock.device_id,
        "name": lock.name,
        "category": lock.category,
        "online": lock_device.is_online(world, lock, now),
        "sub": lock.radio == "zigbee",
        "gateway_id": lock.gateway_id or "",
        "time_zone": lock.time_zone,
        "product_id": f"p{lock.category}0001",
        "product_name": {"mk": "Keypad", "jtmspro": "Smart lock Pro"}.get(
            lock.category, "Smart lock"
        ),
        "local_key": secrets.token_hex(8),
        "asset_id": lock.property_id,
    }


def all_devices(world: World, now: float) -> list[dict[str, Any]]:
    """Locks and the gateways between them: the product has to tell them apart by category."""
    found = [_device(world, lock, now) for lock in world.locks.values()]
    for gateway, zone in world.gateways.items():
        found.append(
            {
                "id": gateway,
                "name": "Gateway",
                "category": "wg2",
                "online": True,
                "sub": False,
                "gateway_id": "",
                "time_zone": zone,
                "product_id": "pwg20001",
                "product_name": "Zigbee gateway",
                "local_key": secrets.token_hex(8),
                "asset_id": "",
            }
        )
    return sorted(found, key=lambda device: str(device["id"]))


def page(world: World, now: float) -> dict[str, Any]:
    """One page, after `last_row_key`; at most 200 devices, 20 unless asked."""
    try:
        size = int(request.args.get("page_size", "20"))
    except ValueError:
        raise Refusal(1104) from None
    if not 1 <= size <= 200:
        raise Refusal(1101)
    found = all_devices(world, now)
    total = len(found)
    if ids := request.args.get("device_ids"):
        found = [d for d in found if d["id"] in ids.split(",")]
    if category := request.args.get("category"):
        found = [d for d in found if d["category"] in category.split(",")]
    after = request.args.get("last_row_key", "")
    found = [d for d in found if d["id"] > after]
    page = found[:size]
    return {
        "list": page,
        "has_more": len(found) > size,
        "last_row_key": page[-1]["id"] if page else "",
        "total": total,
    }


def status(lock: Lock) -> list[dict[str, Any]]:
    return [
        {"code": "residual_electricity", "value": lock.battery},
        {"code": "alarm_lock", "value": "low_battery" if lock.battery <= LOW_BATTERY else ""},
    ]


def open_logs(lock: Lock, unit: int) -> dict[str, Any]:
    """Entries between `start_time` and `end_time`: seconds in v1.0, milliseconds in v1.1."""
    try:
        page, size, start, end = (
            int(request.args[name]) for name in ("page_no", "page_size", "start_time", "end_time")
        )
    except (KeyError, ValueError):
        raise Refusal(1100) from None
    entries = [
        {
            "status": {"code": "unlock_temporary", "value": str(attempt.code_id)},
            "update_time": int(attempt.at * unit),
            "unlock_name": "",
            "user_id": "",
            "nick_name": "",
        }
        for attempt in lock.attempts
        if attempt.opened and start <= attempt.at * unit <= end
    ]
    first = max(page - 1, 0) * size
    return {"total": len(entries), "logs": entries[first : first + size]}
