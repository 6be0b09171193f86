"""Our bookings and nights in Beds24's words."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from app.integrations.channels import beds24_items
from app.integrations.channels.beds24_items import Order
from app.integrations.channels.beds24_wire import parse_booking
from app.integrations.channels.beds24_writes import read_results
from app.integrations.errors import Rejected

ORDER = Order(
    room_ref="610011",
    unit_ref="2",
    arrival=date(2026, 12, 1),
    departure=date(2026, 12, 4),
    guest_name="Ana Maria de Souza",
    guest_email="ana@example.org",
    guest_phone="+351 900 000 000",
    adults=2,
    children=0,
    amount=Decimal("412.50"),
    reference="turnkey-7f3c",
)


def test_a_new_booking_says_all_and_asks_for_no_echo() -> None:
    assert beds24_items.new_booking(ORDER) == {
        "roomId": 610011,
        "unitId": 2,
        "status": "confirmed",
        "arrival": "2026-12-01",
        "departure": "2026-12-04",
        "firstName": "Ana",
        "lastName": "Maria de Souza",
        "email": "ana@example.org",
        "mobile": "+351 900 000 000",
        "numAdult": 2,
        "numChild": 0,
        "price": 412.5,
        "apiReference": "turnkey-7f3c",
        "notes": "turnkey-7f3c",
        "actions": {"allowWebhooks": False},
    }


def test_a_change_says_what_is_true_now_and_nothing_of_what_is_unknown() -> None:
    order = Order("610011", None, date(2026, 12, 1), date(2026, 12, 5), guest_name="Ana", units=2)
    assert beds24_items.changed_booking("70000123", order) == {
        "id": 70000123,
        "roomId": 610011,
        "roomQty": 2,
        "arrival": "2026-12-01",
        "departure": "2026-12-05",
        "firstName": "Ana",
        "lastName": "",
    }


def test_an_otas_booking_is_only_given_its_unit() -> None:
    """§5: dates written to Beds24 do not change the OTA's."""
    item = beds24_items.changed_booking("70000123", replace(ORDER, sold_elsewhere=True))
    assert item == {"id": 70000123, "roomId": 610011, "unitId": 2}
    nowhere = replace(ORDER, sold_elsewhere=True, room_ref=None)
    assert beds24_items.changed_booking("70000123", nowhere) == {"id": 70000123}


def test_what_was_not_taken_is_named() -> None:
    there = parse_booking(
        {
            "id": 70000200,
            "roomId": 610011,
            "unitId": None,
            "status": "confirmed",
            "arrival": "2026-12-01",
            "departure": "2026-12-05",
            "numAdult": 2,
            "numChild": 0,
            "email": "ana@example.org",
            "price": 412.5,
        }
    )
    missing = beds24_items.not_taken(beds24_items.new_booking(ORDER), there)
    assert sorted(missing) == ["departure", "unitId"]


def test_equal_nights_in_a_row_are_one_range() -> None:
    first = date(2026, 12, 1)
    free = [2, 2, 1, 1, None, 1, 2]
    days = [
        (first + timedelta(days=n), {} if value is None else {"numAvail": value})
        for n, value in enumerate(free)
    ]
    assert beds24_items.calendar("610011", days) == {
        "roomId": 610011,
        "calendar": [
            {"from": "2026-12-01", "to": "2026-12-02", "numAvail": 2},
            {"from": "2026-12-03", "to": "2026-12-04", "numAvail": 1},
            {"from": "2026-12-06", "to": "2026-12-06", "numAvail": 1},
            {"from": "2026-12-07", "to": "2026-12-07", "numAvail": 2},
        ],
    }
    assert beds24_items.calendar("610011", [(first, {})]) is None


def test_an_id_that_is_no_number_is_refused() -> None:
    with pytest.raises(Rejected):
        beds24_items.changed_booking("abc", ORDER)


def test_warnings_are_read_beside_errors() -> None:
    (result,) = read_results(
        [
            {
                "success": True,
                "new": {"id": 7},
                "warnings": [{"action": "new booking", "field": "mobile", "message": "too long"}],
                "errors": None,
            }
        ],
        1,
    )
    assert (result.ok, result.fields, result.warnings) == (True, (), ("mobile",))
