"""Read PINs and devices out of Tuya's answers; a part that cannot be read spoils the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from app.integrations.errors import Unreadable
from app.integrations.locks import Device, LockPin
from app.integrations.locks.tuya.codes import VENDOR
from app.integrations.locks.tuya.states import pin_state

#: what Tuya calls a lock (§7); the category does not tell the radio
LOCK_CATEGORIES = frozenset(
    {
        "ms",
        "mc",
        "jtmspro",
        "jtmsbh",
        "jtmsjh",
        "hotelms",
        "gyms",
        "mk",
        "msp",
        "videolock",
        "photolock",
        "wf_jtmspro",
    }
)
MOST_PAGES = 100

Raw = dict[str, Any]


def lock_pins(radio: str, result: Any) -> list[LockPin]:
    """Every entry of a temporary-password list."""
    return [_lock_pin(radio, entry) for entry in _dicts(result, "PIN list")]


def _lock_pin(radio: str, entry: Raw) -> LockPin:
    state, detail = pin_state(radio, entry.get("phase"), entry.get("delivery_status"))
    name = entry.get("name")
    return LockPin(
        ref=pin_ref(entry),
        name=name if isinstance(name, str) else "",
        state=state,
        valid_from=_moment(entry.get("effective_time")),
        expires_at=_moment(entry.get("invalid_time")),
        detail=detail,
    )


def pin_ref(entry: Any) -> str:
    """The vendor's id of a PIN, a Long. Raises Unreadable when there is none."""
    ref = entry.get("id") if isinstance(entry, dict) else None
    if isinstance(ref, bool) or not str(ref).isdigit():
        raise Unreadable("a PIN without its id", vendor=VENDOR)
    return str(int(ref))  # type: ignore[arg-type]


def _moment(value: object) -> datetime | None:
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 10**11:
        return None
    return datetime.fromtimestamp(value, UTC)


def every_page(
    page: Callable[[dict[str, str]], Any], key: str, query: dict[str, str]
) -> Iterator[Raw]:
    """All entries of a paged list under `key`; raises Unreadable instead of giving a part."""
    row_key: str | None = None
    for _ in range(MOST_PAGES):
        result = page(query if row_key is None else {**query, "last_row_key": row_key})
        if not isinstance(result, dict) or not isinstance(result.get(key), list):
            raise Unreadable("a device list without devices", vendor=VENDOR)
        yield from _dicts(result[key], "device list")
        if result.get("has_more") is not True:
            return
        following = result.get("last_row_key")
        if not isinstance(following, str) or not following or following == row_key:
            raise Unreadable("a device list says more but not where", vendor=VENDOR)
        row_key = following
    raise Unreadable("a device list without end", vendor=VENDOR)


def locks(entries: Iterable[Raw]) -> list[tuple[Device, Any]]:
    """The locks among `entries`, each with the status list the listing may carry. Local keys and
    everything else are left behind here (§7)."""
    by_id: dict[str, Raw] = {}
    for entry in entries:
        device_id = entry.get("id")
        if not isinstance(device_id, str) or not device_id:
            raise Unreadable("a device without its id", vendor=VENDOR)
        by_id[device_id] = entry
    found = []
    for device_id, entry in by_id.items():
        category = entry.get("category")
        if category not in LOCK_CATEGORIES:
            continue
        gateway_id = _text(entry.get("gateway_id"))
        gateway = by_id.get(gateway_id) if gateway_id else None
        online = entry.get("online") is True and (gateway is None or gateway.get("online") is True)
        device = Device(
            device_id=device_id,
            name=_text(entry.get("name")) or device_id,
            category=str(category),
            online=online,
            gateway_id=gateway_id,
            time_zone=_text(entry.get("time_zone")),
        )
        found.append((device, entry.get("status")))
    return found


def battery(status: Any) -> tuple[int | None, bool] | None:
    """Percent and whether the lock warns, from a status list; None when it is no such list."""
    if not isinstance(status, list):
        return None
    values = {s.get("code"): s.get("value") for s in status if isinstance(s, dict)}
    percent = values.get("residual_electricity")
    known = isinstance(percent, int) and not isinstance(percent, bool) and 0 <= percent <= 100
    alarm = values.get("alarm_lock")
    warned = alarm == "low_battery" or (isinstance(alarm, list) and "low_battery" in alarm)
    return (percent if known else None), warned


def _text(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _dicts(value: Any, what: str) -> list[Raw]:
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise Unreadable(f"the {what} is not a list", vendor=VENDOR)
    return value
