"""Both sides beside one another, and the decision under each (design/UI.md §4, B24R-21)."""

from __future__ import annotations

import html
import re
from datetime import date, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.integrations.errors import Unreachable
from app.models import Discrepancy, Reservation
from app.services import calendar_bookings, discrepancy_desk, vendors
from app.services.audit import Actor
from app.services.calendar_bookings import Live
from tests.beds24 import ROOM, FakeBeds24, House, make_beds24_house
from tests.conftest import Clock
from tests.discrepancies import ARRIVES, all_of, finding, night, nights, settle, side, the_one
from tests.factories import NO_SUCH_ID, make_mapping, make_property, make_stay, reload
from tests.outbound import change, events
from tests.services.test_discrepancies import counted
from tests.web.forms import HTMX, complaint_at, press, said_on, value_of

REF = "70000123"


@pytest.fixture
def house(clock: Clock) -> House:
    house = make_beds24_house()
    make_mapping(house.rooms[0])
    return house


@pytest.fixture
def stay(house: House) -> Reservation:
    """Ana's own booking of 12 to 14 March, which Beds24 has as well."""
    return make_stay(
        house.rooms[0], check_in=ARRIVES, source="direct", channel="beds24", external_id=REF,
        room_type_id=house.kind.id, amount=500, currency="BRL",
    )  # fmt: skip


@pytest.fixture
def beds24(monkeypatch: pytest.MonkeyPatch) -> FakeBeds24:
    account = FakeBeds24()
    account.put(arrival="2026-03-12", departure="2026-03-15", price=500, unitId=1)
    monkeypatch.setattr(vendors, "beds24_client", lambda connection_id: account)
    return account


def flag(house: House, stay: Reservation, kind: str = "dates", **theirs: Any) -> Discrepancy:
    said = theirs or {"check_out": "2026-03-15"}
    settle(
        house.connection,
        [finding(kind, REF, reservation_id=stay.id, theirs=side("beds24 reading", **said))],
        kinds=[kind],
    )
    return next(row for row in all_of() if row.kind == kind)


def flag_nights(house: House, count: int = 37, ours: int = 2, theirs: int = 1) -> None:
    found = [
        night(ROOM, ARRIVES + timedelta(days=n), ours, theirs, room_type_id=house.kind.id)
        for n in range(count)
    ]
    settle(house.connection, found, kinds=["availability"])


def test_both_sides_and_what_follows(admin: FlaskClient, house: House, stay: Reservation) -> None:
    row = flag(house, stay)
    page = admin.get("/discrepancies")
    said = said_on(page)
    assert "Dates differ High risk" in said
    assert "Ana Souza" in said
    assert "Here front desk 08:00 Beds24 read 08:00" in said
    assert "Check-out (differs) 14 Mar 15 Mar" in said
    assert "Nights (differs) 2 3" in said
    assert "Beds24 is told: 12–14 Mar" in said
    assert "The stay here becomes 12–15 Mar" in said
    assert "The PIN moves: 12 Mar 13:00 – 15 Mar 11:00 becomes 12 Mar 13:00 – 16 Mar 11:00" in said
    assert page.text.count('class="is-diff"') == 2
    assert f'href="/reservations/{stay.id}"' in page.text
    for action in ("accept_pms", "accept_channel", "dismiss"):
        assert f'href="/discrepancies/{row.id}/resolve?action={action}"' in page.text


def test_what_cannot_be_is_said_instead(
    admin: FlaskClient, house: House, stay: Reservation
) -> None:
    change(stay, source="beds24", partner="booking.com", status="checked_in")
    settle(
        house.connection,
        [finding("missing", REF, reservation_id=stay.id, theirs=None)],
        kinds=["missing"],
    )
    page = admin.get("/discrepancies")
    said = said_on(page)
    assert "has nothing" in said
    assert "The booking is from booking.com: change it there." in said
    assert "What the front desk has recorded is not undone." in said
    assert "action=accept" not in page.text
    assert "action=dismiss" in page.text


def test_a_cancellation_says_that_the_pin_goes(
    admin: FlaskClient, house: House, stay: Reservation
) -> None:
    flag(house, stay, "status", status="cancelled")
    assert "The stay here is cancelled The PIN is removed" in said_on(admin.get("/discrepancies"))


def test_nights_that_follow_one_another_are_one_card(
    admin: FlaskClient, house: House, beds24: FakeBeds24, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calendar_bookings, "read", lambda client, nights: Live())
    flag_nights(house)
    page = admin.get("/discrepancies")
    assert page.text.count("<article") == 1
    said = said_on(page)
    assert "Free units differ by 1" in said
    assert "37 nights" in said
    assert "Open 1 Resolved 0 Dismissed 0" in said
    assert "1 unit is closed here for maintenance (12 Mar – 17 Apr, 37 nights)" in said

    ask = admin.get(f"/discrepancies/{all_of()[5].id}/resolve?action=accept_pms")
    ids = value_of(ask, "ids").split(",")
    assert len(ids) == 37
    done = press(admin, f"/discrepancies/{ids[0]}/resolve", action="accept_pms", ids=",".join(ids))
    assert done.status_code == 303
    assert {row.status for row in all_of()} == {"resolved"}
    (event,) = events()
    assert event.payload["ranges"] == [["2026-03-12", "2026-04-17"]]
    assert "Open 0 Resolved 1" in said_on(admin.get("/discrepancies?status=resolved"))


def test_nights_that_vary_say_from_and_to(admin: FlaskClient, house: House) -> None:
    free = [(3, 1), (5, 3), (4, 2), (4, 3)]
    found = [
        night(ROOM, ARRIVES + timedelta(days=n), *each, room_type_id=house.kind.id)
        for n, each in enumerate(free)
    ]
    settle(house.connection, found, kinds=["availability"])
    page = admin.get("/discrepancies")
    assert page.text.count("<article") == 2
    assert "Free units (differs) 3 – 5 1 – 3" in said_on(page)
    assert "Beds24 is told: 3 – 5 free units" in said_on(page)
    assert "Free units (differs) 4 3" in said_on(page)
    ask = admin.get(f"/discrepancies/{all_of()[1].id}/resolve?action=accept_pms")
    assert "3 – 5 1 – 3" in said_on(ask)


def test_taking_theirs_by_form(
    admin: FlaskClient, house: House, stay: Reservation, beds24: FakeBeds24
) -> None:
    row = flag(house, stay)
    path = f"/discrepancies/{row.id}/resolve"
    ask = admin.get(path + "?action=accept_channel")
    assert "Take Beds24’s?" in html.unescape(ask.text)
    assert "The PIN moves" in said_on(ask)
    done = press(
        admin, path, action="accept_channel", seen=value_of(ask, "seen"), ids=value_of(ask, "ids")
    )
    assert (done.status_code, done.location) == (303, "/discrepancies")
    assert reload(stay).check_out_on == date(2026, 3, 15)
    history = said_on(admin.get("/discrepancies?status=resolved"))
    assert "Beds24’s was taken, davi@vila.example" in history

    again = press(admin, path, htmx=True, action="accept_channel")
    assert again.status_code == 409
    assert "Somebody was faster: it is resolved." in html.unescape(again.text)


def test_dismissing_with_and_without_scripts(
    admin: FlaskClient, house: House, stay: Reservation
) -> None:
    row = flag(house, stay)
    path = f"/discrepancies/{row.id}/resolve"
    refused = press(admin, path, action="dismiss", note=" ")
    assert refused.status_code == 422
    assert complaint_at(refused, "note")
    assert the_one().status == "open"

    assert "<dialog" in admin.get(path + "?action=dismiss", headers=HTMX).text
    done = press(admin, path, htmx=True, action="dismiss", note="agreed by phone")
    assert (done.status_code, done.headers["HX-Trigger"]) == (200, "changed")
    assert "“agreed by phone”" in said_on(admin.get("/discrepancies?status=dismissed"))


def test_a_silent_channel(
    admin: FlaskClient, house: House, stay: Reservation, beds24: FakeBeds24
) -> None:
    row = flag(house, stay)
    for htmx, status in ((False, 503), (True, 409)):
        beds24.faults.append(Unreachable("no answer", vendor="beds24"))
        answer = press(
            admin, f"/discrepancies/{row.id}/resolve", htmx=htmx, action="accept_channel"
        )
        assert answer.status_code == status
        assert "Nothing was changed" in answer.text
    assert the_one().status == "open"


def test_what_moved_is_shown_anew(
    admin: FlaskClient, house: House, stay: Reservation, beds24: FakeBeds24
) -> None:
    row = flag(house, stay)
    beds24.put(arrival="2026-03-12", departure="2026-03-18", price=500)
    answer = press(admin, f"/discrepancies/{row.id}/resolve", action="accept_channel")
    assert answer.status_code == 409
    said = said_on(answer)
    assert "It is not as it was shown any more" in said
    assert "18 Mar" in said
    assert value_of(answer, "seen") == the_one().fingerprint != row.fingerprint


def test_many_by_rule(admin: FlaskClient, house: House, stay: Reservation) -> None:
    flag_nights(house)
    flag(house, stay)
    page = admin.get("/discrepancies?kind=availability")
    assert "/discrepancies/resolve?kind=availability" in page.text
    ask = admin.get("/discrepancies/resolve?kind=availability")
    said = said_on(ask)
    assert f"37 nights of {house.kind.name}: Beds24 has 1 fewer to sell 37" in said
    ids = value_of(ask, "ids")

    refused = press(admin, "/discrepancies/resolve", ids=ids, action="dismiss", note="")
    assert refused.status_code == 422
    done = press(admin, "/discrepancies/resolve", ids=ids, action="dismiss", note="painting")
    assert done.status_code == 303
    assert [row.kind for row in all_of() if row.status == "open"] == ["dates"]

    late = press(admin, "/discrepancies/resolve", ids=ids, action="dismiss", note="painting")
    assert late.status_code == 409
    assert "Somebody was faster: it is dismissed. 37" in said_on(late)


def test_filters_and_empty_lists(admin: FlaskClient, house: House, stay: Reservation) -> None:
    assert "Not compared yet What a comparison leaves to people stands here." in said_on(
        admin.get("/discrepancies")
    )
    flag(house, stay)
    for query, fits in (
        ("q=ana+souza", True), ("q=bia", False), ("kind=dates", True), ("kind=amount", False),
        ("severity=high", True), ("severity=low", False), ("status=dismissed", False),
    ):  # fmt: skip
        assert ("<article" in admin.get(f"/discrepancies?{query}").text) is fits, query
    assert "No discrepancy matches" in said_on(admin.get("/discrepancies?q=bia"))
    assert "Nothing has been dismissed" in said_on(admin.get("/discrepancies?status=dismissed"))
    assert admin.get("/discrepancies?kind=x").status_code == 422
    other = make_property()
    assert "<article" not in admin.get(f"/discrepancies?property={other.id}").text


def test_one_that_came_back_says_what_was_decided(
    admin: FlaskClient, house: House, stay: Reservation, clock: Clock
) -> None:
    row = flag(house, stay)
    desk = Actor("marta@vila.example", role="admin")
    discrepancy_desk.resolve(row.id, "dismiss", "by phone", actor=desk)
    clock.move(hours=1)
    flag(house, stay, check_out="2026-03-16")
    said = said_on(admin.get("/discrepancies"))
    assert "Came back" in said
    assert "Last time: Dismissed, marta@vila.example: “by phone”" in said


def test_the_statements_do_not_grow_with_the_cards(
    admin: FlaskClient, house: House, clock: Clock
) -> None:
    seen = {}
    for count in (2, 20):
        for n in range(count):
            made = make_stay(
                house.rooms[n % 2], check_in=ARRIVES + timedelta(days=5 * n), channel="beds24",
                source="beds24", external_id=f"{count}{n:03}",
            )  # fmt: skip
            settle(
                house.connection,
                [finding("dates", f"{count}{n:03}", reservation_id=made.id)],
                kinds=["dates"],
            )
        flag_nights(house, count)
        admin.get("/discrepancies")
        with counted() as statements:
            assert admin.get("/discrepancies").status_code == 200
        seen[count] = len(statements)
    assert seen[2] == seen[20]


def test_pages_of_decisions(admin: FlaskClient, house: House) -> None:
    settle(house.connection, [finding("dates", f"{n:03}") for n in range(30)], kinds=["dates"])
    settle(house.connection, nights(ROOM, ARRIVES, 50, 3, 1), kinds=["availability"])
    assert admin.get("/discrepancies").text.count("<article") == 25
    assert admin.get("/discrepancies?page=2").text.count("<article") == 6
    assert admin.get("/discrepancies?page=9").location.endswith("page=2")
    poll = admin.get("/discrepancies")
    (version,) = re.findall(r"data-poll hx-get=\"/discrepancies\?v=(\w+)\"", poll.text)
    same = admin.get(f"/discrepancies?v={version}", headers={"HX-Request": "true"})
    assert same.status_code == 204


@pytest.mark.parametrize("open_", [True, False])
def test_the_navigation_counts_what_is_open(
    admin: FlaskClient, house: House, stay: Reservation, open_: bool
) -> None:
    if open_:
        flag(house, stay)
        flag_nights(house)
    shown = '<span class="tally">2<span class="vh"> open</span></span>' if open_ else ""
    assert f'<span class="nav__label">Discrepancies</span>{shown}</a>' in admin.get("/").text


def test_it_is_for_administrators(staff: FlaskClient, house: House, stay: Reservation) -> None:
    row = flag(house, stay)
    for path in ("/discrepancies", f"/discrepancies/{row.id}/resolve?action=dismiss"):
        assert staff.get(path).status_code == 403
    for path in (f"/discrepancies/{row.id}/resolve", "/discrepancies/resolve"):
        assert press(staff, path, action="dismiss", note="x").status_code == 403
    assert "/discrepancies" not in staff.get("/").text
    assert the_one().status == "open"


def test_odd_requests(admin: FlaskClient, house: House, stay: Reservation) -> None:
    row = flag(house, stay)
    path = f"/discrepancies/{row.id}/resolve"
    assert admin.get(f"/discrepancies/{NO_SUCH_ID}/resolve?action=dismiss").status_code == 404
    assert admin.get(path + "?action=forget").status_code == 422
    assert press(admin, path, action="dismiss", note="x", ids="1,2").status_code == 422
