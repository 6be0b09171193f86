"""What Beds24 tells us unasked, in three shapes (contracts/beds24.md §8, INTERFACES §6)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.integrations.channels.beds24_events import EVENTS, Beds24Event, parse_event, parse_webhook
from app.integrations.errors import Unreadable
from tests.integrations.channels.worlds import payload


def hook(name: str) -> Any:
    return payload(f"webhook_{name}", "beds24")


def read(document: Any) -> Beds24Event:
    (event,) = parse_webhook(json.dumps(document).encode())
    return event


def test_the_v2_body() -> None:
    event = read(hook("v2_cancelled"))
    assert (event.type, event.booking_id, event.property_ref) == (
        "booking.cancelled",
        "70000123",
        "51001",
    )
    assert (event.status, event.room_ref, event.unit_ref) == ("cancelled", "610011", "2")
    assert event.modified_at == datetime(2026, 10, 3, 18, 0, 2, tzinfo=UTC)
    assert event.sent_at == datetime(2026, 10, 3, 18, 1, 10, tzinfo=UTC)
    assert event.reservation is not None
    assert event.reservation.amount is None


def test_the_v2_body_in_an_array() -> None:
    event = read(hook("v2_array"))
    assert (event.type, event.status) == ("booking.created", "confirmed")
    assert event.reservation is not None
    assert event.reservation.guest_name is None


def test_a_later_change_is_a_modification() -> None:
    document = hook("v2_array")
    document[0]["booking"]["modifiedTime"] = "2026-10-02T00:00:00Z"
    assert read(document).type == "booking.modified"


def test_the_design_documents_body() -> None:
    event = read(hook("design"))
    assert (event.type, event.event_id, event.key) == ("booking.created", "evt_5f0c", "evt_5f0c")
    assert event.reservation is not None
    assert event.reservation.guest_name == "Marta Example"
    assert (event.reservation.accommodation_ref, event.reservation.currency) == ("610011:2", "EUR")


@pytest.mark.parametrize("name", ["booking.cancelled", "booking.deleted"])
def test_an_end_is_an_end_whatever_the_copy_says(name: str) -> None:
    """INTERFACES §6: `booking.deleted` cancels the stay."""
    event = read(hook("design") | {"event": name})
    assert (event.type, event.status) == (name, "cancelled")
    assert event.reservation is not None
    assert event.reservation.status == "cancelled"


def test_a_sparse_cancellation_says_what_it_lacks() -> None:
    event = read(hook("sparse"))
    assert event.sparse
    assert (event.booking_id, event.status, event.reservation) == ("70000123", "cancelled", None)
    assert event.problem == "the booking comes without its days"


def test_a_faulty_booking_is_an_event_with_a_problem() -> None:
    document = hook("design")
    document["booking"]["arrivalDate"] = "soon"
    event = read(document)
    assert event.sparse
    assert event.problem == "arrival: expected a date YYYY-MM-DD"


def test_a_room_call() -> None:
    """§8.3: one call per room, its values as text; two of them cannot be told apart."""
    event = read(hook("room"))
    assert (event.type, event.room_ref, event.property_ref, event.booking_id) == (
        "availability.updated",
        "610011",
        "51001",
        None,
    )
    assert event.key is None
    assert not event.sparse


@pytest.mark.parametrize(
    "part",
    [
        {"roomId": 610011},
        {"availability": {"roomId": 610011}},
        {"booking": {"roomId": 610011}},
        {"data": {"roomId": 610011}},
    ],
)
def test_availability_in_the_design_documents_shape(part: dict[str, Any]) -> None:
    stamp = {"event": "availability.updated", "timestamp": "2026-10-03T18:01:10Z"}
    event = read(stamp | part)
    assert (event.type, event.room_ref) == ("availability.updated", "610011")
    assert event.key is not None
    assert event.key != read(stamp | {"timestamp": "2026-10-03T18:01:11Z"} | part).key


class TestKey:
    """DECISIONS 12: booking, modifiedTime and the booking's content, not the count of tries."""

    def test_a_second_delivery_has_the_same(self) -> None:
        first = hook("v2_cancelled")
        again = first | {"retries": 3, "timeStamp": "2026-10-03T18:09:00Z"}
        assert read(first).key == read(again).key
        assert read([first]).key == read(first).key

    def test_the_order_of_fields_does_not_matter(self) -> None:
        first = hook("v2_cancelled")
        turned = first | {"booking": dict(reversed(first["booking"].items()))}
        assert read(first).key == read(turned).key

    @pytest.mark.parametrize(
        "change", [{"modifiedTime": "2026-10-03T18:00:03Z"}, {"unitId": 1}, {"id": 70000124}]
    )
    def test_another_state_has_another(self, change: dict[str, Any]) -> None:
        first = hook("v2_cancelled")
        assert read(first).key != read(first | {"booking": first["booking"] | change}).key

    def test_it_fits_its_column(self) -> None:
        first = hook("v2_cancelled")
        long = first["booking"] | {"id": "9" * 200, "modifiedTime": "x" * 500}
        key = read(first | {"booking": long}).key
        assert key is not None
        assert len(key) < 220


def test_an_unknown_event_about_a_booking_is_a_hint() -> None:
    assert read(hook("design") | {"event": "booking.moved"}).type == "booking.modified"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"[]",
        b"null",
        b"7",
        b"{}",
        b'{"booking": 7}',
        b'{"booking": {}}',
        b'{"booking": {"id": true}}',
        b'{"event": "availability.updated"}',
        b'{"booking": {"id": NaN}}',
        b"[{}]",
    ],
)
def test_what_names_nothing_is_refused(body: bytes) -> None:
    with pytest.raises(Unreadable):
        parse_webhook(body)


def test_the_stored_form_reads_the_same() -> None:
    document = hook("v2_cancelled")
    assert parse_event(document) == read(document)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["booking", "id", "roomId", "status", "event", "arrival", "guest"]),
            inner,
        )
    ),
    max_leaves=12,
)


@given(JSON)
@settings(max_examples=150, deadline=None)
def test_any_json_is_read_or_refused(document: Any) -> None:
    try:
        events = parse_webhook(json.dumps(document).encode())
    except Unreadable:
        return
    for event in events:
        assert event.type in EVENTS
        assert event.booking_id or event.room_ref
