"""The one tolerant parser of the simple dialect (C-02, C-45, STAY-12)."""

from __future__ import annotations

import contextlib
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.integrations.channels.stays_payloads import (
    SIMPLE_STATUSES,
    parse_simple,
    reservation_id,
)
from app.integrations.errors import Unreadable
from tests.integrations.channels.worlds import payload

PLAIN: dict[str, Any] = {
    "id": "AB01C",
    "accommodation_id": "ZZ09A",
    "guest_name": "Marta Example",
    "guest_email": "marta@example.org",
    "status": "confirmed",
    "check_in": "2026-11-12",
    "check_out": "2026-11-15",
}


def test_the_design_documents_example() -> None:
    stay = parse_simple(payload("simple_envelope")["reservations"][0])
    assert (stay.channel, stay.external_id, stay.accommodation_ref) == ("stays", "AB01C", "ZZ09A")
    assert (stay.status, stay.raw_status, stay.kind) == ("confirmed", "confirmed", "stay")
    assert (stay.check_in_on, stay.check_out_on) == (date(2026, 11, 12), date(2026, 11, 15))
    assert (stay.guest_name, stay.guest_email) == ("Marta Example", "marta@example.org")
    unsaid = (stay.check_in_time, stay.check_in_at, stay.guest_phone, stay.amount, stay.currency)
    assert unsaid == (None,) * 5
    assert stay.raw["id"] == "AB01C"


def test_numbers_as_ids_and_text_as_amount() -> None:
    stay = parse_simple(payload("simple_envelope")["reservations"][1])
    assert (stay.external_id, stay.accommodation_ref) == ("4102", "17")
    assert (stay.status, stay.raw_status) == ("cancelled", "Canceled")
    assert (stay.check_in_time, stay.check_out_time) == (time(14), time(11))
    assert (stay.amount, stay.currency) == (Decimal("813.38"), "BRL")
    assert stay.modified_at == datetime(2026, 11, 1, 10, 15, 0, 250_000, tzinfo=UTC)


def test_camel_case_says_the_same() -> None:
    dated, exact, local, serialized = (
        parse_simple(item) for item in payload("simple_camel")["data"]
    )
    assert (dated.accommodation_ref, dated.guest_name, dated.guest_email, dated.status) == (
        "ZZ10A",
        "Ana Example",
        "ana@example.org",
        "pending",
    )
    assert (dated.amount, dated.currency) == (Decimal("560.1"), "EUR")
    assert exact.check_in_at == datetime(2026, 12, 1, 18, 0, tzinfo=UTC)
    assert exact.check_out_at == datetime(2026, 12, 3, 14, 0, tzinfo=UTC)
    assert (exact.check_in_on, exact.check_in_time) == (date(2026, 12, 1), None)
    assert (local.check_in_time, local.check_out_time) == (time(16, 30), time(10))
    assert (local.check_in_at, local.check_out_at) == (None, None)
    days = (serialized.check_in_on, serialized.check_out_on)
    assert days == (date(2026, 12, 1), date(2026, 12, 3))
    assert (serialized.check_in_at, serialized.check_in_time) == (None, None)


def test_a_webhooks_data_is_the_same_object() -> None:
    data = payload("simple_webhook")["data"]
    assert parse_simple(data).status == "cancelled"
    assert reservation_id({"id": 7}) == "7"
    assert reservation_id({"guest": 7}) is reservation_id([]) is None


SPELLINGS = [
    ("accommodation_id", "accommodationId", "ZZ10A", "accommodation_ref"),
    ("guest_name", "guestName", "Ana", "guest_name"),
    ("guest_email", "guestEmail", "a@example.org", "guest_email"),
    ("guest_phone", "guestPhone", "+5511", "guest_phone"),
    ("check_in_time", "checkInTime", "15:00", "check_in_time"),
    ("check_out_time", "checkOutTime", "11:00", "check_out_time"),
    ("amount", "total", 12.5, "amount"),
    ("amount", "price", "12.50", "amount"),
    ("updated_at", "updatedAt", "2026-11-01T10:00:00Z", "modified_at"),
    ("updated_at", "modified_at", "2026-11-01T10:00:00Z", "modified_at"),
    ("check_in", "checkIn", "2026-11-11", "check_in_on"),
    ("check_in", "check_in_date", "2026-11-11", "check_in_on"),
    ("check_in", "checkInDate", "2026-11-11", "check_in_on"),
    ("check_in", "check_in_at", "2026-11-11T15:00:00Z", "check_in_at"),
    ("check_in", "checkInAt", "2026-11-11T15:00:00Z", "check_in_at"),
    ("check_out", "checkOut", "2026-11-14", "check_out_on"),
    ("check_out", "check_out_date", "2026-11-14", "check_out_on"),
    ("check_out", "checkOutDate", "2026-11-14", "check_out_on"),
    ("check_out", "check_out_at", "2026-11-14T11:00:00Z", "check_out_at"),
    ("check_out", "checkOutAt", "2026-11-14T11:00:00Z", "check_out_at"),
]


@pytest.mark.parametrize(("snake", "other", "value", "attribute"), SPELLINGS)
def test_spellings_mean_the_same(snake: str, other: str, value: Any, attribute: str) -> None:
    base = {key: kept for key, kept in PLAIN.items() if key != snake}
    expected = getattr(parse_simple({**base, snake: value}), attribute)
    assert expected is not None
    assert getattr(parse_simple({**base, other: value}), attribute) == expected


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("CONFIRMED", "confirmed"),
        (" Pending ", "pending"),
        ("canceled", "cancelled"),
        ("Cancelled", "cancelled"),
        ("checked-in", "confirmed"),
        ("checked_in", "confirmed"),
        ("Checked Out", "confirmed"),
        ("completed", "confirmed"),
        ("no-show", "confirmed"),
        ("NO_SHOW", "confirmed"),
        ("modified", None),
        ("cancelled?", None),
        ("", None),
        (None, None),
        (3, None),
        ({"is": "cancelled"}, None),
    ],
)
def test_a_status_is_known_or_left_open(word: Any, status: str | None) -> None:
    """Unknown is never cancelled (contracts §4); a channel never moves the desk (DECISIONS 17)."""
    stay = parse_simple({**PLAIN, "status": word})
    assert stay.status == status
    assert stay.raw_status == (word.strip() if isinstance(word, str) else "")


@pytest.mark.parametrize("word", ["blocked", "Maintenance", "block"])
def test_a_closed_calendar_is_no_stay(word: str) -> None:
    stay = parse_simple({**PLAIN, "status": word})
    assert (stay.kind, stay.status) == ("block", None)


def test_statuses_are_those_a_channel_may_say() -> None:
    assert set(SIMPLE_STATUSES.values()) == {"confirmed", "pending", "cancelled"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": None}, "id: expected text or a whole number"),
        ({"id": ""}, "id: expected text or a whole number"),
        ({"id": True}, "id: expected text or a whole number"),
        ({"id": 1.5}, "id: expected text or a whole number"),
        ({"id": "x" * 256}, "id: expected text or a whole number"),
        ({"accommodation_id": None}, "accommodation_id: expected text or a whole number"),
        ({"check_in": None}, "check_in: expected a date YYYY-MM-DD or an ISO 8601 instant"),
        ({"check_in": 20261112}, "check_in: expected a date YYYY-MM-DD or an ISO 8601 instant"),
        ({"check_in": "12/11/2026"}, "check_in: expected a date YYYY-MM-DD"),
        ({"check_in": "2026-W46-4"}, "check_in: expected a date YYYY-MM-DD"),
        ({"check_in": "2026-02-30"}, "check_in: expected a date YYYY-MM-DD"),
        ({"check_in": "0001-01-01"}, "check_in: expected a date YYYY-MM-DD"),
        (
            {"check_out": "2026-11-15T25:00:00Z"},
            "check_out: expected a date YYYY-MM-DD or an ISO 8601 instant",
        ),
        (
            {"check_out": "2026-11-15x"},
            "check_out: expected a date YYYY-MM-DD or an ISO 8601 instant",
        ),
        ({"check_out": "2026-11-12"}, "check_out 2026-11-12 is not after check_in 2026-11-12"),
        ({"check_out": "2026-11-10"}, "check_out 2026-11-10 is not after check_in 2026-11-12"),
        ({"check_in_time": "3 pm"}, "check_in_time: expected a time HH:MM"),
        ({"check_in_time": "24:00"}, "check_in_time: expected a time HH:MM"),
        ({"check_out_time": 11}, "check_out_time: expected a time HH:MM"),
        ({"amount": "12,50"}, "amount: expected a decimal number, not negative"),
        ({"amount": "-1"}, "amount: expected a decimal number, not negative"),
        ({"amount": -1}, "amount: expected a decimal number, not negative"),
        ({"amount": True}, "amount: expected a decimal number, not negative"),
        ({"amount": "NaN"}, "amount: expected a decimal number, not negative"),
        ({"amount": "1_000"}, "amount: expected a decimal number, not negative"),
        ({"amount": 1e30}, "amount: expected a decimal number, not negative"),
        ({"amount": 10**40}, "amount: expected a decimal number, not negative"),
        ({"total": ["5"]}, "amount: expected a decimal number, not negative"),
    ],
)
def test_a_fault_names_the_field_and_what_was_expected(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        parse_simple({**PLAIN, **change})
    assert str(caught.value) == reason


def test_what_is_no_object_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="reservation: expected an object"):
        parse_simple(["AB01C"])  # type: ignore[arg-type]


def test_a_strange_guest_field_does_not_cost_the_pin() -> None:
    stay = parse_simple(
        {**PLAIN, "guest_name": ["x"], "guest_email": 3, "currency": "R$", "updated_at": "soon"}
    )
    assert (stay.guest_name, stay.guest_email, stay.currency, stay.modified_at) == (None,) * 4


def test_guest_text_fits_a_table() -> None:
    assert parse_simple({**PLAIN, "guest_name": " Jo\0ão\ud800 "}).guest_name == "João?"
    assert parse_simple({**PLAIN, "guest_name": "  "}).guest_name is None


@pytest.mark.parametrize(
    ("said", "amount"),
    [(560.1, "560.1"), (813.3799999999999, "813.38"), (0, "0"), ("0.125", "0.13"), (5, "5")],
)
def test_money_goes_through_its_text(said: Any, amount: str) -> None:
    assert parse_simple({**PLAIN, "amount": said}).amount == Decimal(amount)


def test_a_time_in_the_date_comes_before_the_time_beside_it() -> None:
    stay = parse_simple({**PLAIN, "check_in": "2026-11-12 14:30", "check_in_time": "15:00"})
    assert (stay.check_in_time, stay.check_out_time) == (time(14, 30), None)


def test_an_instant_sharpens_a_date() -> None:
    stay = parse_simple(
        {**PLAIN, "check_in_at": "2026-11-13T00:00:00Z", "check_out_at": "2026-11-15T21:00:00Z"}
    )
    assert stay.check_in_on == date(2026, 11, 12)
    assert stay.check_in_at == datetime(2026, 11, 13, tzinfo=UTC)


def test_a_night_far_west_may_be_one_utc_day() -> None:
    """Honolulu: 14:00 to 11:00 the next morning falls on one day in UTC."""
    stay = parse_simple(
        {**PLAIN, "check_in": "2026-11-13T00:00:00Z", "check_out": "2026-11-13T21:00:00Z"}
    )
    assert stay.check_out_at is not None
    assert stay.check_in_at is not None
    assert stay.check_out_at - stay.check_in_at == timedelta(hours=21)
    with pytest.raises(Unreadable, match="is not after"):
        parse_simple(
            {**PLAIN, "check_in": "2026-11-13T21:00:00Z", "check_out": "2026-11-13T18:00:00-03:00"}
        )


KEYS = sorted({name for row in SPELLINGS for name in row[:2]} | set(PLAIN) | {"currency", "adults"})
OFFSETS = [timezone(timedelta(hours=h, minutes=m)) for h, m in [(0, 0), (-10, 0), (13, 45)]]
DATEISH = st.one_of(
    st.dates().map(str),
    st.datetimes().map(str),
    st.datetimes(timezones=st.sampled_from(OFFSETS)).map(lambda moment: moment.isoformat()),
    st.from_regex(r"[0-9]{4}-[0-9W]{2}-[0-9]{2}([T ][0-9:+Z-]*)?", fullmatch=True),
)
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.decimals(allow_nan=True),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    changes=st.dictionaries(st.sampled_from(KEYS), DATEISH | ANYTHING, max_size=6),
    dropped=st.sets(st.sampled_from(sorted(PLAIN)), max_size=2),
)
def test_any_object_is_read_or_unreadable(changes: dict[str, Any], dropped: set[str]) -> None:
    item = {key: value for key, value in {**PLAIN, **changes}.items() if key not in dropped}
    with contextlib.suppress(Unreadable):
        stay = parse_simple(item)
        assert stay.external_id
        assert stay.accommodation_ref
        assert stay.status in {"confirmed", "pending", "cancelled", None}
        if stay.check_in_at is None or stay.check_out_at is None:
            assert stay.check_in_on < stay.check_out_on
        else:
            assert stay.check_in_at < stay.check_out_at
        assert stay.amount is None or stay.amount.is_finite()


@settings(deadline=None)
@given(value=DATEISH | st.text(min_size=4), field=st.sampled_from(KEYS))
def test_a_reason_never_repeats_what_stood_there(value: str, field: str) -> None:
    secret = f"{value}-Marta-Example"
    item = {**{key: kept for key, kept in PLAIN.items() if key != field}, field: secret}
    told = ""
    try:
        parse_simple(item)
    except Unreadable as exc:
        told = f"{exc} {exc.message}"
    assert "Marta" not in told
