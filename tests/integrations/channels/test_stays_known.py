"""Items that are to the letter what is stored are counted and not read (INTERFACES §11)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from app.integrations.channels import ChangeSet
from app.integrations.channels.stays_payloads import item_hash
from app.integrations.channels.stays_simple import StaysSimpleClient


class Canned(StaysSimpleClient):
    """Stays with one answer for everything."""

    def __init__(self, *items: Any) -> None:
        self.items = list(items)

    def _read_all(self, stamp: str) -> list[Any]:
        return self.items


def item(external_id: object = "S1", **fields: Any) -> dict[str, Any]:
    return {
        "id": external_id,
        "accommodation_id": "A1",
        "guest_name": "Ana",
        "status": "confirmed",
        "check_in": "2026-03-20",
        "check_out": "2026-03-22",
    } | fields


def changes(*items: Any, known: Mapping[str, str | None]) -> ChangeSet:
    since = datetime(2026, 3, 1, tzinfo=UTC)
    return Canned(*items).changes(since, today=date(2026, 3, 1), known=known)


def test_a_known_item_is_counted_only() -> None:
    found = changes(item("S1"), item("S2"), known={"S1": item_hash(item("S1"))})
    assert [copy.external_id for copy in found.reservations] == ["S2"]
    assert found.fetched == 2


def test_what_is_read_carries_its_mark() -> None:
    (copy,) = changes(item(), known={"S1": "another"}).reservations
    assert copy.sweep_hash == item_hash(item())


def test_any_difference_is_read() -> None:
    known = {"S1": item_hash(item())}
    for other in (item(guest_name="Bia"), item(status="cancelled"), item(extra=1)):
        assert len(changes(other, known=known).reservations) == 1


def test_a_broken_item_is_an_error_whatever_is_known() -> None:
    found = changes(item(check_out="soon"), "text", known={"S1": item_hash(item())})
    assert [error.external_id for error in found.errors] == ["S1", None]
    assert found.fetched == 2


def test_the_later_of_two_in_an_answer_counts() -> None:
    known = {"S1": item_hash(item())}
    assert changes(item(guest_name="Before"), item(), known=known).reservations == []
    (copy,) = changes(item(), item(guest_name="After"), known=known).reservations
    assert copy.guest_name == "After"
    newer = item(guest_name="Newer", updated_at="2026-03-02T00:00:00Z")
    assert len(changes(newer, item(), known=known).reservations) == 1


def test_a_number_for_an_id_is_read_each_time() -> None:
    known = {"7": item_hash(item(7))}
    assert [c.external_id for c in changes(item(7), known=known).reservations] == ["7"]


def test_equal_items_have_equal_marks_however_they_were_made() -> None:
    shared = "2026-03-20"
    one = item(check_in=shared, check_out=shared, nested={"a": [1, 2.5, None, True], "b": "é"})
    two = json.loads(json.dumps(one))
    assert item_hash(one) == item_hash(two)
    assert item_hash(item(guest_name="\ud800")) != item_hash(item())
