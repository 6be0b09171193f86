"""Beds24 bookings in our words (contracts/beds24.md §4)."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.integrations.channels import ChannelReservation
from app.integrations.channels.beds24_wire import parse_booking, without_card_data
from app.integrations.errors import Unreadable
from tests.integrations.channels.worlds import payload


def booking(**fields: Any) -> dict[str, Any]:
    """The contract's example with other fields; None as a value stays."""
    return payload("booking", "beds24") | fields


def read(**fields: Any) -> ChannelReservation:
    return parse_booking(booking(**fields))


def test_the_contracts_example() -> None:
    stay = parse_booking(booking(), home_currency="EUR")
    assert (stay.channel, stay.external_id) == ("beds24", "70000123")
    assert (stay.accommodation_ref, stay.property_ref) == ("610011:2", "51001")
    assert (stay.status, stay.raw_status, stay.kind) == ("confirmed", "confirmed", "stay")
    assert (stay.check_in_on, stay.check_out_on) == (date(2026, 11, 12), date(2026, 11, 15))
    assert (stay.guest_name, stay.guest_email) == ("Marta Example", "marta@example.org")
    assert stay.guest_phone == "+34000000000"
    assert (stay.amount, stay.currency) == (Decimal("412.5"), "EUR")
    assert (stay.adults, stay.children, stay.units) == (2, 0, 1)
    assert (stay.partner, stay.partner_ref) == ("Booking.com", "4400112233")
    assert stay.booked_on == date(2026, 10, 1)
    assert stay.modified_at == datetime(2026, 10, 3, 18, 0, 2, tzinfo=UTC)


def test_when_the_guest_means_to_arrive_moves_no_window() -> None:
    """`arrivalTime` is free text of the guest's, not the hour at which the house opens (§4.3)."""
    stay = read(arrivalTime="23:30")
    assert (stay.check_in_time, stay.check_in_at) == (None, None)


@pytest.mark.parametrize(
    ("word", "status", "kind"),
    [
        ("new", "confirmed", "stay"),
        ("confirmed", "confirmed", "stay"),
        ("request", "pending", "stay"),
        ("inquiry", "pending", "inquiry"),
        ("black", "confirmed", "block"),
        ("cancelled", "cancelled", "stay"),
        ("Confirmed", "confirmed", "stay"),
        ("waitlisted", None, "stay"),
        (None, None, "stay"),
    ],
)
def test_each_status(word: str | None, status: str | None, kind: str) -> None:
    """§4.4, P2-IN: nobody gets a PIN for asking, and a word we do not know is kept, not guessed."""
    stay = read(status=word)
    assert (stay.status, stay.kind, stay.raw_status) == (status, kind, word or "")


@pytest.mark.parametrize("unit", [None, 0, ""])
def test_a_stay_without_a_unit_names_its_room_alone(unit: object) -> None:
    assert read(unitId=unit).accommodation_ref == "610011"


def test_what_is_left_out_is_not_said() -> None:
    """§4.3, §8.1: unset texts come empty, and a webhook may leave the guest out altogether."""
    empty = read(firstName="", lastName="", email="", mobile="", phone="", apiReference="")
    bare = parse_booking(payload("webhook_v2_array", "beds24")[0]["booking"])
    for stay in (empty, bare):
        assert (stay.guest_name, stay.guest_email, stay.guest_phone) == (None, None, None)
    assert empty.partner_ref is None
    assert empty.currency is None


def test_a_room_of_a_group_names_it() -> None:
    master, member = payload("bookings_page", "beds24")["data"]
    assert parse_booking(master).group_ref is None
    assert parse_booking(member).group_ref == "70000123"
    assert parse_booking(master | {"bookingGroup": {"master": 70000123}}).group_ref == "70000123"


def test_several_units_in_one_booking() -> None:
    assert [read(roomQty=n).units for n in (3, 0, None, "2", True, 5000)] == [3, 1, 1, 1, 1, 1]


def test_a_price_is_a_decimal_to_the_cent() -> None:
    assert read(price=813.3799999999999).amount == Decimal("813.38")
    assert read(price="412.50").amount == Decimal("412.50")
    assert read(price=0).amount == Decimal(0)


@pytest.mark.parametrize("price", [-5, "a lot", [], True, None])
def test_a_senseless_price_costs_nobody_the_pin(price: object) -> None:
    assert read(price=price).amount is None


def test_a_cancellation_does_not_erase_the_price() -> None:
    """§8.1: the agreed sum stands in the invoice, and `price` is 0."""
    assert read(status="cancelled", price=0).amount is None
    assert read(status="cancelled", price=30).amount == Decimal(30)


def test_the_houses_own_bookings_have_no_partner() -> None:
    assert read(apiSource="Direct", channel="direct").partner is None
    assert read(apiSource="", channel="airbnb").partner == "airbnb"
    assert read(apiSource="Direct", channel="booking").partner == "booking"
    assert read(apiSource="Direct", channel="direct", referer="Friends").partner is None
    assert read(apiSource="", channel="", referer="Friends").partner == "Friends"


def test_older_spellings() -> None:
    """§10.11: in the older API the last night stands where the day of departure does now."""
    stay = parse_booking(
        {
            "bookId": "70000123",
            "propId": "51001",
            "roomId": "610011",
            "unitId": "2",
            "status": "confirmed",
            "firstNight": "2026-11-12",
            "lastNight": "2026-11-14",
            "guestFirstName": "Marta",
            "guestName": "Example",
            "guestEmail": "marta@example.org",
        }
    )
    assert (stay.external_id, stay.property_ref) == ("70000123", "51001")
    assert (stay.check_in_on, stay.check_out_on) == (date(2026, 11, 12), date(2026, 11, 15))
    assert (stay.guest_name, stay.guest_email) == ("Marta Example", "marta@example.org")


@pytest.mark.parametrize(
    "guest",
    [
        {"guest": {"name": "Marta Example", "email": "marta@example.org"}},
        {"guests": [{"firstName": "Marta", "lastName": "Example", "email": "marta@example.org"}]},
        {"fullName": "Marta Example", "email": "marta@example.org"},
    ],
)
def test_where_a_guest_may_stand(guest: dict[str, Any]) -> None:
    """P2-IN: in an object, in a list, or beside the stay."""
    names = ("firstName", "lastName", "email")
    plain = {k: v for k, v in booking().items() if k not in names}
    stay = parse_booking(plain | guest)
    assert (stay.guest_name, stay.guest_email) == ("Marta Example", "marta@example.org")


def test_days_that_a_serializer_made_instants() -> None:
    stay = read(arrival="2026-11-12T00:00:00Z", departure="2026-11-15 00:00:00")
    assert (stay.check_in_on, stay.check_out_on) == (date(2026, 11, 12), date(2026, 11, 15))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"id": None}, "id: expected text or a whole number"),
        ({"roomId": None}, "roomId: expected text or a whole number"),
        ({"arrival": "tomorrow"}, "arrival: expected a date YYYY-MM-DD"),
        ({"departure": ""}, "departure: expected a date YYYY-MM-DD"),
        (
            {"departure": "2026-11-12"},
            "check_out 2026-11-12 is not after check_in 2026-11-12",
        ),
    ],
)
def test_a_fault_names_its_field(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(**fields)
    assert (caught.value.message, caught.value.vendor) == (message, "beds24")
    assert caught.value.__cause__ is None


def test_card_data_is_dropped() -> None:
    """Issue "card data is dropped before storage"; §4.3 and §8.1 say where it comes from."""
    kept = without_card_data(payload("webhook_v2_card", "beds24"))
    written = json.dumps(kept)
    assert "tok_example" not in written
    assert "4111" not in written
    assert (
        kept["booking"]["notes"] == "virtual card [card ending 1111] exp 12/28, call +34000000000"
    )
    assert [item["code"] for item in kept["infoItems"]] == ["LATE"]
    assert kept["booking"]["apiReference"] == "4400112233"


def test_a_number_that_is_no_card_stays() -> None:
    text = "voucher 4111 1111 1111 1112, reference 4400112233"
    assert without_card_data({"notes": text, "apiReference": "4111111111111111"}) == {
        "notes": text,
        "apiReference": "4111111111111111",
    }


def test_what_is_kept_raw_has_no_card_data() -> None:
    assert "stripeToken" not in read(stripeToken="tok_example").raw


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.sampled_from(["2026-11-12", "2026-02-30", "confirmed", "0", "-1", "+55\0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from([*booking(), "guest", "guests", "units"]), VALUES))
@settings(max_examples=150, deadline=None)
def test_any_nonsense_is_read_or_refused(fields: dict[str, Any]) -> None:
    try:
        stay = read(**fields)
    except Unreadable:
        return
    assert stay.check_in_on < stay.check_out_on
    assert stay.amount is None or 0 <= stay.amount < 10**10
    assert all("\0" not in (t or "") for t in (stay.guest_name, stay.guest_email, stay.partner))
    assert 1 <= stay.units <= 99
