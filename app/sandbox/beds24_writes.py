"""Writes to the pretended Beds24: item by item, each with a result of its own (§5, §6)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from app.sandbox import beds24_bookings, beds24_queries, beds24_wire
from app.sandbox.beds24_records import Beds24Account, Beds24Write
from app.sandbox.context import Sandbox
from app.sandbox.faults import take

#: how many of the latest writes are remembered
REMEMBERED = 50
Result = dict[str, Any]


def bookings(sandbox: Sandbox, items: Sequence[Any], key: str) -> list[Result]:
    """Make and change bookings. The key is noted and otherwise nothing to us (§9)."""
    results = [_write(sandbox, item) for item in items]
    _remember(sandbox, "POST /bookings", key, results)
    return results


def deletions(sandbox: Sandbox, refs: Sequence[str], key: str) -> list[Result]:
    """Let bookings vanish."""
    results: list[Result] = []
    for ref in refs:
        try:
            beds24_bookings.delete(sandbox, ref, announce=False)
        except beds24_bookings.Unknown:
            results.append(_failed("delete booking", "id", "booking not found"))
        else:
            results.append({"success": True, "modified": {"id": int(ref)}})
    _remember(sandbox, "DELETE /bookings", key, results)
    return results


def calendars(
    sandbox: Sandbox, account: Beds24Account, items: Sequence[Any], key: str
) -> list[Result]:
    """Set nights of rooms."""
    results = [_set_calendar(account, item) for item in items]
    _remember(sandbox, "POST /inventory/rooms/calendar", key, results)
    return results


def _remember(sandbox: Sandbox, call: str, key: str, results: Sequence[Result]) -> None:
    with sandbox.store.open() as world:
        words = [_word(result) for result in results]
        world.beds24.writes.append(Beds24Write(sandbox.now(), call, key, words))
        del world.beds24.writes[:-REMEMBERED]


def _word(result: Result) -> str:
    """A result in a word or two, for the page."""
    if not result["success"]:
        return f"refused: {result['errors'][0]['field']}"
    if "new" in result:
        return f"made {result['new']['id']}"
    part = result["modified"]
    return f"changed {part.get('id') or part.get('roomId')}"


def _keeps_references(sandbox: Sandbox) -> bool:
    with sandbox.store.open(changes=False) as world:
        return world.beds24.settings.keep_reference


def _breaks(sandbox: Sandbox) -> bool:
    with sandbox.store.open() as world:
        return take(world, {"beds24"}, {"partial"}, "post_bookings") is not None


def _failed(action: str, field: str, message: str) -> dict[str, Any]:
    return {
        "success": False,
        "errors": [{"action": action, "field": field, "message": message}],
    }


def _write(sandbox: Sandbox, item: Any) -> dict[str, Any]:
    """One item of a POST; writes send no webhook unless they ask for it (§5)."""
    if not isinstance(item, dict):
        return _failed("new booking", "item", "must be an object")
    actions = item.get("actions")
    actions = actions if isinstance(actions, dict) else {}
    announce = actions.get("allowWebhooks") is True
    ref = item.get("id")
    action = "new booking" if ref is None else "modify booking"
    fields = {k: v for k, v in item.items() if k not in ("id", "actions", "makeGroup")}
    try:
        if ref is not None:
            beds24_bookings.change(sandbox, ref, fields, announce=announce)
            return {"success": True, "modified": {"id": int(ref)}}
        if actions.get("checkAvailability") and not _has_room(sandbox, item):
            return _failed(action, "roomId", "not available")
        fields["makeGroup"] = actions.get("makeGroup") is True
        if not _keeps_references(sandbox):
            fields.pop("apiReference", None)
        if broken := _breaks(sandbox):
            fields.pop("unitId", None)
        made = beds24_bookings.create(sandbox, fields, announce=announce)
        if broken:
            return _failed(action, "unitId", "could not be assigned") | {"new": {"id": made}}
    except beds24_bookings.Invalid as exc:
        return _failed(action, exc.field, exc.message)
    except beds24_bookings.Unknown:
        return _failed(action, "id", "booking not found")
    return {"success": True, "new": {"id": made}}


def _has_room(sandbox: Sandbox, item: dict[str, Any]) -> bool:
    try:
        first = date.fromisoformat(str(item.get("arrival")))
        last = date.fromisoformat(str(item.get("departure"))) - timedelta(days=1)
    except ValueError:
        return True  # refused for its dates in a moment
    with sandbox.store.open(changes=False) as world:
        room = world.beds24.room(item.get("roomId"))
        return room is None or all(
            world.beds24.left(room, day) >= 1 for day in beds24_wire.days(first, last)
        )


def _set_calendar(account: Beds24Account, item: Any) -> dict[str, Any]:
    room = account.room(item.get("roomId")) if isinstance(item, dict) else None
    ranges = item.get("calendar") if isinstance(item, dict) else None
    if room is None or not isinstance(ranges, list):
        return _failed("modify calendar", "roomId", "unknown room, or no calendar")
    try:
        beds24_queries.set_calendar(account, room, ranges)
    except beds24_bookings.Invalid as exc:
        return _failed("modify calendar", exc.field, exc.message)
    return {"success": True, "modified": {"roomId": room.id}}
