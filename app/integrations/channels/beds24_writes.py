"""What Beds24 says about each item that was written (contracts/beds24.md §5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.integrations.channels.beds24_tokens import VENDOR
from app.integrations.channels.stays_payloads import identifier, text
from app.integrations.errors import Unconfirmed


@dataclass(frozen=True, slots=True)
class Written:
    """The result of one item. Not `ok` does not mean that nothing was written: read it back.

    `fields` are the names Beds24 complained about, `warnings` those it took with a remark; its
    texts can repeat a guest's data and are left behind.
    """

    ok: bool
    external_id: str | None = None
    created: bool = False
    fields: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def read_results(document: object, expected: int) -> list[Written]:
    """One result per item sent. Anything else than as many leaves open which were written."""
    if not isinstance(document, list) or len(document) != expected:
        raise Unconfirmed(
            f"{VENDOR} did not answer for each of the {expected} items", vendor=VENDOR
        )
    return [_result(entry) for entry in document]


def _result(entry: object) -> Written:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("success"), bool):
        raise Unconfirmed(f"{VENDOR} did not say whether an item was written", vendor=VENDOR)
    new, modified = _part(entry, "new"), _part(entry, "modified")
    return Written(
        ok=bool(entry["success"]),
        external_id=identifier(new.get("id")) or identifier(modified.get("id")),
        created=identifier(new.get("id")) is not None,
        fields=_fields(entry, "errors"),
        warnings=_fields(entry, "warnings"),
    )


def _part(entry: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = entry.get(name)
    if isinstance(part, list) and part:
        part = part[0]
    return part if isinstance(part, Mapping) else {}


def _fields(entry: Mapping[str, Any], name: str) -> tuple[str, ...]:
    said = entry.get(name)
    listed = said if isinstance(said, list) else [said]
    found = [_field(each) for each in listed if isinstance(each, Mapping)]
    return tuple(dict.fromkeys(found))


def _field(error: Mapping[str, Any]) -> str:
    """The complaint in a word: the field, else the action."""
    return (text(error.get("field")) or text(error.get("action")) or "unknown")[:64]
