"""The objects of the External API v1 in our words (contracts §3, §4, §5, §6, §8)."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.integrations.channels.stays_external_payloads import (
    parse_external,
    parse_listing,
    payload_id,
    row_hash,
)
from app.integrations.channels.stays_external_wire import Client, read
from app.integrations.errors import Unreadable
from tests.integrations.channels.worlds import payload


def test_the_detail_in_our_words() -> None:
    stay = parse_external(payload("external_detail"))
    assert (stay.external_id, stay.code) == ("65aa0000000000000000c001", "AB01C")
    assert (stay.status, stay.raw_status, stay.kind) == ("confirmed", "booked", "stay")
    assert (stay.check_in_on, stay.check_in_time) == (date(2026, 11, 12), time(15))
    assert (stay.check_out_on, stay.check_out_time) == (date(2026, 11, 15), time(11))
    assert (stay.adults, stay.children) == (2, 1)
    assert (stay.amount, stay.currency) == (Decimal("560.1"), "BRL")
    assert (stay.partner, stay.partner_ref) == ("booking.com", "4400112233")
    assert stay.booked_on == date(2026, 9, 30)
    assert (stay.guest_name, stay.guest_phone) == ("Marta E.", "+5500000000009")


def test_the_client_completes_names_and_addresses() -> None:
    contact = read(Client, payload("external_client")).contact()
    assert (contact.name, contact.email) == ("Marta Example", "marta@example.org")
    assert contact.phone == "+5500000000000"


def test_a_phone_reads_the_same_from_export_and_client() -> None:
    """Otherwise each webhook would change what each sweep had stored."""
    (row,) = payload("external_export")
    inline = read(Client, row["client"]).contact()
    assert inline == read(Client, payload("external_client")).contact()


def test_a_webhook_carries_a_hint_or_a_reservation() -> None:
    modified = payload("external_webhook_modified")["payload"]
    assert parse_external(modified).amount == Decimal("420.0")
    deleted = payload("external_webhook_deleted")["payload"]
    assert payload_id(deleted) == "65aa0000000000000000c002"
    with pytest.raises(Unreadable, match="checkInDate: expected a value"):
        parse_external(deleted)


@pytest.mark.parametrize(
    ("word", "status", "kind"),
    [
        ("reserved", "pending", "stay"),
        ("booked", "confirmed", "stay"),
        ("contract", "confirmed", "stay"),
        ("canceled", "cancelled", "stay"),
        ("Cancelled", "cancelled", "stay"),
        ("CANCELED", "cancelled", "stay"),
        ("blocked", None, "block"),
        ("Maintenance", None, "block"),
        ("new", None, "stay"),
        (None, None, "stay"),
        (["booked"], None, "stay"),
    ],
)
def test_types(word: Any, status: str | None, kind: str) -> None:
    """One spelling of cancelled once hid 248 reservations (contracts §4)."""
    stay = parse_external({**payload("external_detail"), "type": word})
    assert (stay.status, stay.kind) == (status, kind)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"_id": None}, "_id: expected an id"),
        ({"_idlisting": {}}, "_idlisting: expected an id"),
        ({"checkInDate": "12/11/2026"}, "checkInDate: expected a date YYYY-MM-DD"),
        ({"checkOutTime": "noon"}, "checkOutTime: expected a time HH:MM"),
        (
            {"price": {"_f_total": "Marta"}},
            "price._f_total: expected a decimal number, not negative",
        ),
        ({"checkOutDate": "2026-11-12"}, "check_out 2026-11-12 is not after check_in 2026-11-12"),
    ],
)
def test_a_fault_names_the_field(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        parse_external({**payload("external_detail"), **change})
    assert str(caught.value) == reason


def test_optional_parts_of_a_wrong_type_count_as_not_said() -> None:
    odd = {"price": 5, "partner": "x", "guestsDetails": [], "creationDate": 7, "id": [], "x": 1}
    stay = parse_external({**payload("external_detail"), **odd})
    assert (stay.amount, stay.partner, stay.adults, stay.booked_on, stay.code) == (None,) * 5


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates().map(str),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["_f_total", "list"]), inner),
    max_leaves=4,
)


@settings(deadline=None)
@given(
    changes=st.dictionaries(
        st.sampled_from(sorted({*payload("external_detail"), "client", "listing"})), ANYTHING
    )
)
def test_any_object_is_read_or_unreadable(changes: dict[str, Any]) -> None:
    item = {**payload("external_detail"), **changes}
    assert len(row_hash(item)) == 64
    try:
        stay = parse_external(item)
    except Unreadable:
        return
    assert stay.check_in_on < stay.check_out_on


def test_listings_by_their_name_or_title() -> None:
    units = [parse_listing(item) for item in payload("external_listings")]
    assert [(unit.name, unit.code, unit.active) for unit in units] == [
        ("SMP101", "ZZ09A", True),
        ("Vista mar", "ZZ10A", True),
        ("SMP103", "ZZ11A", False),
    ]
    assert units[0].property_ref == "65aa0000000000000000b001"


@pytest.mark.parametrize(
    ("field", "value", "differs"),
    [
        ("type", "canceled", True),
        ("checkInDate", "2026-11-13", True),
        ("checkOutDate", "2026-11-16", True),
        ("listing", {"id": "ZZ10A"}, True),
        ("client", {"name": "Ana"}, True),
        ("reserveTotal", 1, True),
        ("type", "BOOKED", False),
        ("nightCount", 4, False),
        ("documents", ["x"], False),
        ("listing", {"id": "ZZ09A", "internalName": "renamed"}, False),
    ],
)
def test_the_hash_notices_what_matters(field: str, value: Any, differs: bool) -> None:
    (row,) = payload("external_export")
    assert (row_hash(row) != row_hash({**row, field: value})) is differs
