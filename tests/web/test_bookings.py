"""Selling a stay at the desk, and changing one (design/UI.md §4, HOLD-20…26)."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.models import Accommodation, InventoryHold, Reservation, RoomType
from app.services import booking_changes, booking_ends, direct_bookings, maintenance_blocks
from app.services.booking_inputs import BookingChanges
from app.services.maintenance_blocks import NewBlock
from app.transaction import transaction
from app.web import booking_edits
from tests.bookings import ARRIVES, DESK, book, free
from tests.conftest import Clock
from tests.factories import make_accommodation, make_property, make_room_type, make_stay, reload
from tests.outbound import events, make_sold
from tests.web.forms import chosen_in, complaint_at, press, said_on, value_of

LEAVES = ARRIVES + timedelta(days=2)


@pytest.fixture
def kind(clock: Clock) -> RoomType:
    """Two superior rooms, Duna and Coral, in a house no channel sells."""
    house = make_property(name="Vila Jasmim")
    kind = make_room_type(house, name="Superior", total_units=2)
    make_accommodation(house, name="Coral", number="203", room_type_id=kind.id)
    make_accommodation(house, name="Duna", number="204", room_type_id=kind.id)
    return kind


def stays() -> list[Reservation]:
    with transaction() as session:
        return list(session.scalars(select(Reservation).order_by(Reservation.created_at)))


def holds() -> list[InventoryHold]:
    with transaction() as session:
        return list(session.scalars(select(InventoryHold)))


def room(name: str) -> Accommodation:
    with transaction() as session:
        return session.scalars(select(Accommodation).filter_by(name=name)).one()


def fields(kind: RoomType, **more: Any) -> dict[str, Any]:
    return {
        "room_type_id": str(kind.id),
        "check_in": ARRIVES.isoformat(),
        "check_out": LEAVES.isoformat(),
        "guest_name": "Ingrid Solberg",
        **more,
    }


def nights(page: TestResponse) -> list[tuple[str, str]]:
    """Each night with the units that are free."""
    found = re.findall(r'nightgrid__day">([^<]+)</span><span[^>]*><b>(−?\d+)</b>', page.text)
    return [(html.unescape(day), n) for day, n in found]


def options(page: TestResponse, name: str) -> list[str]:
    box = re.search(rf'<select[^>]* name="{name}".*?</select>', page.text, re.S)
    assert box
    return [html.unescape(text) for text in re.findall(r"<option[^>]*>([^<]+)<", box[0])]


def form_of(page: TestResponse) -> dict[str, str]:
    """Everything the form of the page would send, as a browser would."""
    body = re.search(r'<form class="cols.*?</form>', page.text, re.S)
    assert body
    found: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", body[0]):
        name = re.search(r' name="([^"]+)"', tag)
        if name is None or " disabled" in tag or 'type="checkbox"' in tag:
            continue
        value = re.search(r' value="([^"]*)"', tag)
        found[name[1]] = html.unescape(value[1]) if value else ""
    for box in re.findall(r"<select.*?</select>", body[0], re.S):
        head = box.split(">", 1)[0]
        name = re.search(r' name="([^"]+)"', head)
        if name is None or " disabled" in head:
            continue
        chosen = re.search(r'<option value="([^"]*)" selected', box)
        first = re.search(r'<option value="([^"]*)"', box)
        found[name[1]] = (chosen or first)[1] if first else ""  # type: ignore[index]
    return found


def send(client: FlaskClient, path: str, page: TestResponse, **typed: Any) -> TestResponse:
    """Fill in the form of a page and press its button."""
    return client.post(path, data=form_of(page) | typed)


# --- a new one -----------------------------------------------------------------------------------


def test_the_form_begins_with_tonight_and_the_nights_that_are_free(
    staff: FlaskClient, kind: RoomType
) -> None:
    page = staff.get("/reservations/new")
    assert (value_of(page, "check_in"), value_of(page, "check_out")) == ("2026-03-10", "2026-03-11")
    assert chosen_in(page, "room_type_id") == str(kind.id)
    assert nights(page) == [("Tue 10 Mar", "2")]
    assert chosen_in(page, "currency") == "BRL"
    assert "Told by us nobody: the booking is confirmed at once" in said_on(page)


def test_a_change_of_dates_brings_the_nights_and_the_free_rooms(
    staff: FlaskClient, kind: RoomType
) -> None:
    coral = room("Coral")
    book(kind, nights=1, accommodation_id=coral.id)
    asked = {"room_type_id": kind.id, "check_in": ARRIVES, "check_out": LEAVES}
    page = staff.get(
        "/reservations/new",
        query_string=asked,
        headers={"HX-Request": "true", "HX-Target": "offer"},
    )
    assert nights(page) == [("Thu 12 Mar", "1"), ("Fri 13 Mar", "2")]
    assert options(page, "accommodation_id") == ["Choose later", "204 Duna"]
    assert 'id="summary"' in page.text
    assert "<html" not in page.text


def test_a_booking_is_made_and_found_on_its_page(staff: FlaskClient, kind: RoomType) -> None:
    page = staff.get("/reservations/new")
    sent = send(
        staff,
        "/reservations/new",
        page,
        **fields(kind, amount="1,950.00", guest_email="ingrid@example.com", adults="2"),
    )
    (stay,) = stays()
    assert (sent.status_code, sent.headers["Location"]) == (303, f"/reservations/{stay.id}")
    assert (stay.guest_name, stay.status, stay.source) == ("Ingrid Solberg", "confirmed", "direct")
    assert (str(stay.amount), stay.currency, stay.adults) == ("1950.00", "BRL", 2)
    assert (stay.check_in_on, stay.check_out_on) == (ARRIVES, LEAVES)
    assert "The booking is made" in said_on(staff.get(sent.headers["Location"]))
    assert free(kind) == [1, 1]


def test_pressing_twice_books_once(staff: FlaskClient, kind: RoomType) -> None:
    page = staff.get("/reservations/new")
    first = send(staff, "/reservations/new", page, **fields(kind))
    second = send(staff, "/reservations/new", page, **fields(kind))
    assert first.headers["Location"] == second.headers["Location"]
    assert len(stays()) == 1
    other = send(staff, "/reservations/new", page, **fields(kind, guest_name="Caio Bastos"))
    assert other.status_code == 409
    assert "This form has made a booking already" in said_on(other)
    assert value_of(other, "guest_name") == "Caio Bastos"
    again = send(staff, "/reservations/new", other)
    assert again.status_code == 303
    assert [stay.guest_name for stay in stays()] == ["Ingrid Solberg", "Caio Bastos"]


def test_what_is_wrong_stands_at_its_field_and_nothing_typed_is_lost(
    staff: FlaskClient, kind: RoomType
) -> None:
    page = send(
        staff,
        "/reservations/new",
        staff.get("/reservations/new"),
        **fields(
            kind,
            check_in="2026-03-09",
            check_out="2026-03-09",
            guest_name=" ",
            guest_email="ingrid",
            guest_phone="call me",
            amount="much",
        ),
    )
    assert page.status_code == 422
    assert complaint_at(page, "guest_name") == "Fill this in"
    assert complaint_at(page, "guest_email").startswith("Write an e-mail address")
    assert complaint_at(page, "guest_phone").startswith("Write a phone number")
    assert complaint_at(page, "amount") == "Write an amount, such as 450.00"
    typed = {name: value_of(page, name) for name in ("guest_email", "guest_phone", "amount")}
    assert typed == {"guest_email": "ingrid", "guest_phone": "call me", "amount": "much"}
    page = send(
        staff, "/reservations/new", page, **fields(kind, check_in="2026-03-09", amount="450")
    )
    assert complaint_at(page, "guest_email").startswith("Write an e-mail")
    page = send(
        staff,
        "/reservations/new",
        page,
        **fields(kind, check_in="2026-03-09", guest_email="", guest_phone=""),
    )
    assert complaint_at(page, "check_in") == "Choose today or a later day"
    assert page.text.count("<title>Error: New booking") == 1
    assert stays() == []


def test_no_room_left_names_the_nights(staff: FlaskClient, kind: RoomType) -> None:
    book(kind, 1, nights=1)
    book(kind, 1, nights=1)
    page = send(staff, "/reservations/new", staff.get("/reservations/new"), **fields(kind))
    assert page.status_code == 409
    assert complaint_at(page, "check_in") == "No room left on Fri 13 Mar"
    assert nights(page) == [("Thu 12 Mar", "2"), ("Fri 13 Mar", "0")]
    assert "Superior is full on 1 night" in said_on(page)
    assert value_of(page, "guest_name") == "Ingrid Solberg"
    assert len(stays()) == 2


def test_a_walk_in_is_in_its_room_at_once(staff: FlaskClient, kind: RoomType) -> None:
    tonight = {"check_in": "2026-03-10", "check_out": "2026-03-11", "check_in_now": "true"}
    page = staff.get("/reservations/new")
    late = send(staff, "/reservations/new", page, **fields(kind, check_in_now="true"))
    assert (late.status_code, complaint_at(late, "check_in_now")) == (
        422,
        "The stay begins later than today",
    )
    sent = send(staff, "/reservations/new", late, **fields(kind, **tonight))
    assert sent.status_code == 303
    (stay,) = stays()
    assert (stay.status, stay.accommodation_id is not None) == ("checked_in", True)
    with transaction() as session:
        for each in session.scalars(select(Accommodation)):
            each.status = "OUT_OF_SERVICE"
    refused = send(
        staff,
        "/reservations/new",
        staff.get("/reservations/new"),
        **fields(kind, **tonight, accommodation_id=str(room("Duna").id)),
    )
    assert refused.status_code == 409
    assert complaint_at(refused, "check_in_now").startswith("Room 204 is out of service")
    assert len(stays()) == 1


def test_several_rooms_are_several_reservations(staff: FlaskClient, kind: RoomType) -> None:
    sent = send(
        staff, "/reservations/new", staff.get("/reservations/new"), **fields(kind, units="2")
    )
    assert "2 reservations are made" in said_on(staff.get(sent.headers["Location"]))
    assert free(kind) == [0, 0]
    many = send(
        staff, "/reservations/new", staff.get("/reservations/new"), **fields(kind, units="3")
    )
    assert complaint_at(many, "units") == "Superior has 2 in all"


def test_without_scripts_a_button_shows_the_nights_and_keeps_what_was_typed(
    staff: FlaskClient, kind: RoomType
) -> None:
    page = staff.get("/reservations/new")
    assert re.search(r'only-noscript[^>]* name="show" value="nights"', page.text)
    first = re.search(r"<button[^>]*>", page.text.split('<form class="cols')[1])
    assert first
    assert "name=" not in first[0], "Enter creates the booking"
    shown = send(staff, "/reservations/new", page, show="nights", **fields(kind))
    assert shown.status_code == 200
    assert [night for night, _ in nights(shown)] == ["Thu 12 Mar", "Fri 13 Mar"]
    assert value_of(shown, "guest_name") == "Ingrid Solberg"
    assert stays() == []


def test_the_form_is_for_people_who_are_signed_in(client: FlaskClient, staff: FlaskClient) -> None:
    assert client.get("/reservations/new").status_code == 303
    empty = staff.get("/reservations/new")
    assert "Nothing to sell yet" in said_on(empty)
    assert 'href="/reservations/new"' in staff.get("/reservations").text
    assert 'href="/reservations/new"' in staff.get("/").text


@pytest.mark.parametrize(
    ("typed", "lang", "stored"),
    [
        ("1.950,50", "pt", "1950.50"),
        ("1950,5", "pt", "1950.50"),
        ("1.950", "pt", "1950.00"),
        ("1950.50", "pt", "1950.50"),
        ("1,950", "en", "1950.00"),
        ("12,345,678.90", "en", "12345678.90"),
        ("0", "en", "0.00"),
        (",5", "pt", "0.50"),
    ],
)
def test_amounts_are_read_as_people_write_them(
    staff: FlaskClient, kind: RoomType, typed: str, lang: str, stored: str
) -> None:
    page = staff.get(f"/reservations/new?lang={lang}")
    assert send(staff, "/reservations/new", page, **fields(kind, amount=typed)).status_code == 303
    assert str(stays()[-1].amount) == stored


@pytest.mark.parametrize("typed", ["1.95.0", "1,2,3", "12 euros", "1.234,56.78", "-5", "."])
def test_amounts_nobody_writes_are_asked_about(
    staff: FlaskClient, kind: RoomType, typed: str
) -> None:
    page = send(
        staff, "/reservations/new", staff.get("/reservations/new"), **fields(kind, amount=typed)
    )
    assert page.status_code == 422
    assert complaint_at(page, "amount")
    assert value_of(page, "amount") == typed


# --- on its way to the channel -------------------------------------------------------------------


def test_a_booking_for_a_channel_waits_with_a_hold(
    staff: FlaskClient, admin: FlaskClient, clock: Clock
) -> None:
    sold = make_sold(make_property(name="Vila Jasmim"), name="Superior")
    form = staff.get("/reservations/new", query_string=fields(sold.kind, guest_name=""))
    assert "Told by us Beds24" in said_on(form)
    sent = send(staff, "/reservations/new", form, **fields(sold.kind))
    page = staff.get(sent.headers["Location"])
    said = said_on(page)
    assert "Waiting for channel. Beds24 has not confirmed this booking yet." in said
    assert "Room kept until 09:15" in said
    assert "Send the new booking Received" in said
    assert "See all holds" not in said
    assert "See all holds" in said_on(admin.get(sent.headers["Location"]))
    poll = re.search(r'hx-get="(/reservations/[^"]+\?v=\w+)"', page.text)
    assert poll
    assert "every 10s" in page.text
    headers = {"HX-Request": "true", "HX-Target": "stay"}
    assert staff.get(poll[1], headers=headers).status_code == 204
    (event,) = events()
    with transaction() as session:
        session.get_one(type(event), event.id).attempts = 1
        session.get_one(InventoryHold, holds()[0].id).updated_at = clock.move(seconds=1)
    assert staff.get(poll[1], headers=headers).status_code == 200


def test_a_booking_the_channel_refused_says_what_it_means(
    staff: FlaskClient, admin: FlaskClient, clock: Clock
) -> None:
    sold = make_sold(make_property(), name="Superior")
    stay = book(sold.kind, guest_phone="+55 48 99999-0000")
    (event,) = events()
    with transaction() as session:
        row = session.get_one(type(event), event.id)
        row.status, row.last_error = "failed", "room 610011 is closed"
        row.last_error_kind = "rejected"
        direct_bookings.failed(session, stay.id, "room 610011 is closed")
    page = staff.get(f"/reservations/{stay.id}")
    said = said_on(page)
    assert "Beds24 does not have this booking. Room 610011 is closed." in said
    assert "The guest has no room" in said
    assert "Retry" not in page.text
    again = staff.get(f"/reservations/new?again={stay.id}")
    assert value_of(again, "guest_phone") == "+55 48 99999-0000"
    assert value_of(again, "check_in") == ARRIVES.isoformat()
    admins = admin.get(f"/reservations/{stay.id}")
    assert "Retry delivery" in said_on(admins)
    assert press(admin, f"/events/{event.id}/retry", next=f"/reservations/{stay.id}").status_code
    assert reload(event).status == "received"


# --- a change ------------------------------------------------------------------------------------


def test_only_what_was_changed_is_saved(staff: FlaskClient, kind: RoomType) -> None:
    stay = book(kind, accommodation_id=room("Duna").id, guest_phone="+55 48 99999-0000")
    path = f"/reservations/{stay.id}/edit"
    page = staff.get(path)
    assert value_of(page, "version") == str(stay.version)
    assert chosen_in(page, "accommodation_id") == str(room("Duna").id)
    assert nights(page) == [("Thu 12 Mar", "2"), ("Fri 13 Mar", "2")], "its own unit is free for it"
    later = (LEAVES + timedelta(days=1)).isoformat()
    sent = send(staff, path, page, check_out=later, guest_phone="", amount="900")
    assert (sent.status_code, sent.headers["Location"]) == (303, f"/reservations/{stay.id}")
    now = reload(stay)
    assert (now.check_out_on.isoformat(), now.guest_phone, str(now.amount)) == (
        later,
        None,
        "900.00",
    )
    assert (now.guest_name, now.accommodation_id) == ("Ana Souza", room("Duna").id)
    assert "The booking is changed" in said_on(staff.get(sent.headers["Location"]))
    untouched = send(staff, path, staff.get(path))
    assert (untouched.status_code, reload(stay).version) == (303, now.version)


def test_a_stale_form_comes_back_with_both_versions(staff: FlaskClient, kind: RoomType) -> None:
    stay = book(kind)
    path = f"/reservations/{stay.id}/edit"
    page = staff.get(path)
    later = LEAVES + timedelta(days=1)
    other = BookingChanges(version=stay.version, check_out=later, guest_name="Ana Souza Lima")
    booking_changes.change(stay.id, other, actor=DESK)
    clash = send(staff, path, page, guest_name="Anna Souza", guest_phone="+55 48 99999-0000")
    assert clash.status_code == 409
    said = said_on(clash)
    assert "Somebody changed this meanwhile" in said
    assert "desk@example.org changed it at 09:00 (Guest, Check-out)." in said
    assert "Guest Ana Souza Ana Souza Lima Anna Souza" in said
    assert "Check-out Sat 14 Mar Sun 15 Mar not changed by you" in said
    assert value_of(clash, "guest_name") == "Anna Souza"
    assert value_of(clash, "guest_phone") == "+55 48 99999-0000"
    assert reload(stay).guest_name == "Ana Souza Lima", "nothing is written"
    saved = send(staff, path, clash)
    assert saved.status_code == 303
    now = reload(stay)
    assert (now.guest_name, now.guest_phone) == ("Anna Souza", "+55 48 99999-0000")
    assert now.check_out_on == later, "what the other one wrote is not undone"


def test_two_people_may_change_different_things_only_one_after_the_other(
    staff: FlaskClient, kind: RoomType
) -> None:
    stay = book(kind)
    path = f"/reservations/{stay.id}/edit"
    mine, yours = staff.get(path), staff.get(path)
    assert send(staff, path, mine, amount="500").status_code == 303
    clash = send(staff, path, yours, guest_name="Ana Lima")
    assert clash.status_code == 409
    assert send(staff, path, clash).status_code == 303
    now = reload(stay)
    assert (str(now.amount), now.guest_name) == ("500.00", "Ana Lima")


def test_pressing_save_twice_changes_once(staff: FlaskClient, kind: RoomType) -> None:
    stay = book(kind)
    path = f"/reservations/{stay.id}/edit"
    page = staff.get(path)
    typed = {"amount": "900", "guest_name": "Ana Lima"}
    assert send(staff, path, page, **typed).status_code == 303
    version = reload(stay).version
    assert send(staff, path, page, **typed).status_code == 303
    assert reload(stay).version == version
    assert send(staff, path, page, amount="901").status_code == 409


def test_a_walk_in_is_on_its_way_to_the_channel_too(staff: FlaskClient, clock: Clock) -> None:
    sold = make_sold(make_property(), name="Superior")
    sent = send(
        staff,
        "/reservations/new",
        staff.get("/reservations/new"),
        **fields(sold.kind, check_in="2026-03-10", check_out="2026-03-11", check_in_now="true"),
    )
    said = said_on(staff.get(sent.headers["Location"]))
    assert "On its way to Beds24. The guest notices nothing of it" in said
    assert "In house" in said or "Leaving today" in said


@given(
    words=st.dictionaries(
        st.sampled_from(
            [*booking_edits.FIELDS, "units", "form_key", "show", "version", "was_amount"]
        ),
        st.text(max_size=60) | st.sampled_from(["9999-12-31", "0001-01-01", "1e99", "-1", "NaN"]),
        max_size=8,
    )
)
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_is_typed_gets_an_answer(
    staff: FlaskClient, kind: RoomType, words: dict[str, str]
) -> None:
    with transaction() as session:
        stay = session.scalars(select(Reservation).limit(1)).first()
    stay = stay or book(kind)
    for path in ("/reservations/new", f"/reservations/{stay.id}/edit"):
        page = staff.get(path, query_string=words)
        assert page.status_code == 200
        sent = staff.post(path, data=form_of(page) | words)
        assert sent.status_code in (200, 303, 409, 422)


def test_the_owner_decides_what_may_be_changed(staff: FlaskClient, clock: Clock) -> None:
    house = make_property()
    kind = make_room_type(house, name="Superior")
    duna = make_accommodation(house, name="Duna", number="204", room_type_id=kind.id)
    stay = make_stay(duna, check_in=ARRIVES, room_type_id=kind.id, amount=100, currency="BRL")
    page = staff.get(f"/reservations/{stay.id}/edit")
    for name in ("check_in", "check_out", "room_type_id", "accommodation_id", "amount"):
        tag = re.search(rf'<(?:input|select)[^>]* name="{name}"[^>]*>', page.text)
        assert tag, name
        assert " disabled" in tag[0], name
    assert said_on(page).count("From Stays: change it there.") == 6
    assert chosen_in(page, "accommodation_id") == str(duna.id)
    forced = send(staff, f"/reservations/{stay.id}/edit", page, check_out="2026-03-20")
    assert forced.status_code == 409
    assert reload(stay).check_out_on == LEAVES
    allowed = send(staff, f"/reservations/{stay.id}/edit", page, guest_name="Ana Lima")
    assert allowed.status_code == 303
    assert reload(stay).guest_name == "Ana Lima"


def test_an_ended_booking_has_nothing_left_to_change(staff: FlaskClient, kind: RoomType) -> None:
    stay = book(kind)
    assert 'id="do-edit"' in staff.get(f"/reservations/{stay.id}").text
    booking_ends.cancel(stay.id, actor=DESK)
    page = staff.get(f"/reservations/{stay.id}/edit")
    said = said_on(page)
    assert "Nothing of this booking can be changed any more. The booking is cancelled." in said
    assert said.count("The booking is cancelled.") == 1
    assert re.search(r'<select[^>]* name="accommodation_id" disabled', page.text)
    assert "Save changes" not in page.text
    assert 'id="do-edit"' not in staff.get(f"/reservations/{stay.id}").text


def test_a_room_that_is_not_free_on_the_new_nights_is_said(
    staff: FlaskClient, kind: RoomType
) -> None:
    duna = room("Duna")
    stay = book(kind, accommodation_id=duna.id)
    maintenance_blocks.create(
        NewBlock(start_date=LEAVES, end_date=LEAVES + timedelta(days=2), accommodation_id=duna.id),
        actor=DESK,
    )
    path = f"/reservations/{stay.id}/edit"
    later = (LEAVES + timedelta(days=1)).isoformat()
    asked = {
        "room_type_id": kind.id,
        "check_in": ARRIVES,
        "check_out": later,
        "accommodation_id": duna.id,
    }
    part = staff.get(path, query_string=asked, headers={"HX-Request": "true", "HX-Target": "offer"})
    assert "204 Duna is not free on these nights" in html.unescape(part.text)
    refused = send(staff, path, staff.get(path), check_out=later, accommodation_id=str(duna.id))
    assert refused.status_code == 409
    assert complaint_at(refused, "accommodation_id").startswith("Duna is taken on some")
    assert value_of(refused, "check_out") == later


def test_a_room_out_of_use_is_not_lost_by_opening_the_form(
    staff: FlaskClient, kind: RoomType
) -> None:
    duna = room("Duna")
    stay = book(kind, accommodation_id=duna.id)
    with transaction() as session:
        session.get_one(Accommodation, duna.id).is_active = False
    path = f"/reservations/{stay.id}/edit"
    assert send(staff, path, staff.get(path), guest_name="Ana Lima").status_code == 303
    assert reload(stay).accommodation_id == duna.id
