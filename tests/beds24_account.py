"""An account at Beds24 in memory, behind the real client: bookings by page, faults on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest

from app.integrations.channels.beds24 import PAGE_ROWS, Beds24Client
from app.services import vendors
from tests.beds24 import booking


class Beds24Memory:
    """Answers `GET /bookings` as Beds24 does: window, ids, property, statuses, pages of 100.

    `faults` maps the number of a call to what it raises; `on_call` is run before each.
    """

    credits = None

    def __init__(self) -> None:
        self.bookings: dict[str, dict[str, Any]] = {}
        self.calls: list[list[tuple[str, str]]] = []
        self.faults: dict[int, Exception] = {}
        self.on_call: Callable[[int], None] | None = None

    def put(self, **fields: Any) -> dict[str, Any]:
        """A booking of room 610011, unit 2, from 20 to 22 March, as `tests.beds24.booking`."""
        item = booking(**fields)
        self.bookings[str(item["id"])] = item
        return item

    def change(self, external_id: str | int, **fields: Any) -> None:
        self.bookings[str(external_id)].update(fields)

    def remove(self, external_id: str | int) -> None:
        del self.bookings[str(external_id)]

    def read(self, path: str, params: Sequence[tuple[str, str]]) -> dict[str, Any]:
        assert path == "/bookings"
        self.calls.append([*params])
        if self.on_call is not None:
            self.on_call(len(self.calls))
        if (fault := self.faults.pop(len(self.calls), None)) is not None:
            raise fault
        said: dict[str, list[str]] = {}
        for name, value in params:
            said.setdefault(name, []).append(value)
        found = [item for item in self.bookings.values() if _matches(item, said)]
        page = int(said.get("page", ["1"])[0])
        rows = found[(page - 1) * PAGE_ROWS : page * PAGE_ROWS]
        more = page * PAGE_ROWS < len(found)
        return {"success": True, "data": rows, "pages": {"nextPageExists": more}}


def _matches(item: dict[str, Any], said: dict[str, list[str]]) -> bool:
    if "id" in said and str(item["id"]) not in said["id"]:
        return False
    if "propertyId" in said and str(item["propertyId"]) not in said["propertyId"]:
        return False
    try:
        first, last = said["departureFrom"][0], said["arrivalTo"][0]
        return bool(
            date.fromisoformat(item["departure"]) >= date.fromisoformat(first)
            and date.fromisoformat(item["arrival"]) <= date.fromisoformat(last)
        )
    except (KeyError, ValueError):
        return True


@contextmanager
def beds24_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Beds24Memory]:
    """Every connection speaks to one account in memory."""
    account = Beds24Memory()
    client = Beds24Client(account)  # type: ignore[arg-type]
    with monkeypatch.context() as patch:
        patch.setattr(vendors, "beds24_client", lambda connection_id: client)
        yield account
