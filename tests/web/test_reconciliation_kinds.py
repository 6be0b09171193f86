"""The pages of runs with Beds24: how they stand per property, and plans from real dry runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.integrations.errors import CreditsSpent, Unreachable
from app.models import Property, Reservation
from app.services import reconciliation, reconciliation_rows
from app.transaction import transaction
from tests.beds24 import make_beds24_house
from tests.conftest import Clock
from tests.factories import make_property
from tests.web.run_scenes import (
    NIGHT,
    Panel,
    bookings_differ,
    connect,
    dry_run,
    nights_differ,
    run,
)
from tests.web.scenes import NOON
from tests.web.test_reconciliation_page import make_run, plain, post

Statements = Callable[[], AbstractContextManager[list[str]]]
BOOKINGS, UNITS, RATES = "beds24_bookings", "beds24_availability", "beds24_rates"


@pytest.fixture
def panel(app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Panel:
    return connect(monkeypatch)


def tables(page: TestResponse) -> list[list[str]]:
    """The rows of the plan's tables, as words."""
    rows = re.findall(r"<tr role=\"row\"><td.*?</tr>", page.text, re.S)
    return [
        [
            " ".join(re.sub(r"<[^>]+>", " ", cell).split()).replace(" ,", ",")
            for cell in row.split("</td>")[:-1]
        ]
        for row in rows
    ]


def marked(page: TestResponse) -> list[str]:
    return re.findall(r'<mark class="diff">([^<]+)</mark>', page.text)


# --- how each kind stands -------------------------------------------------------------------------


def test_nobody_is_connected(staff: FlaskClient, admin: FlaskClient, panel: Panel) -> None:
    make_property()
    for client, said, led in (
        (admin, "Runs begin by themselves once it is connected. Channels", True),
        (staff, "An administrator can connect it.", False),
    ):
        page = client.get("/reconciliation?kind=beds24_rates")
        assert f"This property is not connected to Beds24 {said}" in plain(page)
        assert ('class="btn btn--primary" href="/channels"' in page.text) is led
        assert 'id="run-now"' not in page.text
    refused = post(admin, "/reconciliation/run", kind=RATES)
    assert refused.status_code == 503
    assert "Beds24 is not set up No property is connected to Beds24." in plain(refused)


def test_every_kind_at_a_glance(staff: FlaskClient, panel: Panel) -> None:
    house = make_beds24_house()
    ours = {"property_id": house.home.id}
    make_run(NOON - timedelta(minutes=30))
    make_run(NOON - timedelta(minutes=8), kind=BOOKINGS, errors=2, **ours)
    make_run(NOON - timedelta(hours=2), kind=UNITS, **ours)
    make_run(
        NOON - timedelta(hours=1), kind=UNITS, status="failed", error_kind="unreachable", **ours
    )
    page = staff.get("/reconciliation?kind=beds24_availability")
    words = plain(page)
    for said in (
        "Stays Not connected every 30 min",
        "Beds24 bookings With errors 08:54, every 15 min",
        "Beds24 free units Failed 08:02, hourly",
        "Beds24 prices No run yet daily",
        "Beds24 could not be reached",
        "1 of 2 runs failed",
        "at 09:12",
    ):
        assert said in words, said
    here = re.search(r'<a id="kind-(\w+)"[^>]*aria-current="page"', page.text)
    assert here
    assert here[1] == UNITS


def test_one_property_of_several(staff: FlaskClient, panel: Panel) -> None:
    first, second = make_beds24_house(), make_beds24_house(ref="51002", room="610022")
    mine, other = ({"kind": BOOKINGS, "property_id": h.home.id} for h in (first, second))
    make_run(NOON - timedelta(minutes=8), created=3, **mine)
    make_run(
        NOON - timedelta(minutes=7), status="failed", error_kind="no_credits", created=4, **other
    )
    words = plain(staff.get("/reconciliation?kind=beds24_bookings"))
    assert "Beds24 bookings 1 of 2 failed" in words
    assert "Properties 2" in words
    assert "Changed today 7" in words
    assert "The credits at Beds24 did not suffice for one reading in an hour" in words
    with transaction() as session:
        session.get_one(Property, second.home.id).timezone = "Europe/Lisbon"
    words = plain(staff.get("/reconciliation?kind=beds24_bookings"))
    assert f"Today 08:52 {first.home.name}" in words
    assert f"Today 11:53 {second.home.name}" in words  # its own clock
    alone = plain(staff.get(f"/reconciliation?kind=beds24_bookings&property={first.home.id}"))
    assert "Beds24 bookings Success" in alone
    assert "Changed today 3" in alone
    assert "1–1 of 1" in alone
    assert "credits" not in alone


def test_run_now_and_dry_run(admin: FlaskClient, staff: FlaskClient, panel: Panel) -> None:
    house = make_beds24_house()
    given: dict[str, Any] = {"kind": BOOKINGS, "property_id": str(house.home.id)}
    page = admin.get("/reconciliation?kind=beds24_bookings").text
    assert f'name="property_id" value="{house.home.id}"' in page
    assert 'id="run-now"' not in staff.get("/reconciliation?kind=beds24_bookings").text
    assert post(staff, "/reconciliation/run", **given).status_code == 403
    done = post(admin, "/reconciliation/run", **given)
    assert (done.status_code, done.location) == (303, "/reconciliation?kind=beds24_bookings")
    again = post(admin, "/reconciliation/run", htmx=True, dry_run="true", **given)
    assert again.status_code == 409
    assert "A run is under way already" in again.text
    (waiting,) = reconciliation.runs(reconciliation.RunFilter()).items
    assert (waiting.property_id, waiting.trigger) == (house.home.id, "manual")
    reconciliation.run(waiting.id)
    dry = post(admin, "/reconciliation/run", dry_run="true", **given)
    assert dry.status_code == 303
    assert "Run: Beds24 bookings" not in admin.get(dry.location).text
    assert "Dry run: Beds24 bookings" in admin.get(dry.location).text


def test_waiting_for_credits_is_no_failure(staff: FlaskClient, panel: Panel) -> None:
    house = make_beds24_house()
    panel.down = CreditsSpent("spent", vendor="beds24", retry_after=90)
    row = run(BOOKINGS, house)
    assert (row.status, row.message) == ("pending", reconciliation.NO_CREDITS)
    for path in (f"/reconciliation/runs/{row.id}", "/reconciliation?kind=beds24_bookings"):
        words = plain(staff.get(path))
        assert "Waits until 09:01:30" in words, path
        assert "The credits of these five minutes at Beds24 are spent" in words, path
        assert "Waiting" in words, path
    assert "Waiting costs no try." in plain(staff.get(f"/reconciliation/runs/{row.id}"))


def test_stepping_aside_says_so_in_portuguese(staff: FlaskClient, panel: Panel) -> None:
    house = make_beds24_house()
    run_id = reconciliation.start(BOOKINGS, trigger="schedule", property_id=house.home.id)
    reconciliation_rows.postpone(run_id, NOON + timedelta(minutes=1), reconciliation.GIVES_WAY)
    words = plain(staff.get(f"/reconciliation/runs/{run_id}?lang=pt"))
    assert "Espera até 09:01:00" in words
    assert "Mensagens urgentes ao Beds24 vão primeiro." in words


@pytest.mark.parametrize("kind", [BOOKINGS, UNITS, RATES])
def test_an_outage_by_its_name(staff: FlaskClient, panel: Panel, kind: str) -> None:
    house = make_beds24_house()
    panel.down = Unreachable("no route", vendor="beds24")
    row = run(kind, house)
    page = plain(staff.get(f"/reconciliation/runs/{row.id}"))
    assert "Beds24 could not be reached It is tried again at 09:00:02." in page
    assert "Stays" not in page
    index = plain(staff.get(f"/reconciliation?kind={kind}"))
    assert "Beds24 cannot be reached Since 09:00. They have not been compared yet." in index


# --- plans ----------------------------------------------------------------------------------------


def test_a_plan_of_bookings(
    admin: FlaskClient, staff: FlaskClient, panel: Panel, clock: Clock
) -> None:
    """Gravest first, both sides, what it does at the doors; then exactly this plan, or nothing."""
    house = bookings_differ(panel, clock)
    path = dry_run(BOOKINGS, house)
    page = staff.get(path)
    words = plain(page)
    assert "If you apply it 1 PIN would be revoked, 1 new PIN would be made, 1 room" in words
    rows = tables(page)
    assert [row[0] for row in rows] == [
        "Rosa Example 1", "Kenji Example 3", "Kenji Example 3", "Annika Example 4",
        "Teresa Example 2", f"10–12 Apr, {house.rooms[1].name} 5",
    ]  # fmt: skip
    cancel, *kenji, missing, adjust, create = rows
    room = house.rooms[1].name
    assert cancel[1:] == [
        f"Here 20–22 Mar, {room}, Confirmed",
        f"Beds24 20–22 Mar, {room}, Cancelled",
        "It is cancelled in Beds24",
    ]
    assert missing[2:] == ["Beds24 —", "High risk We have this booking and Beds24 does not"]
    assert {row[3] for row in kenji} == {
        "High risk The days of the stay differ",
        "High risk The price is off by more than 5%",
    }
    assert adjust[1:] == [
        f"Here 24–27 Mar, {room}, R$1,000.00",
        f"Beds24 24–27 Mar, {room}, R$1,030.00",
        "The price is off by no more than 5%",
    ]
    assert create[1:3] == ["Here —", f"Beds24 10–12 Apr, {room}, Confirmed, R$500.00"]
    days, amounts = ["28–30 Mar", "28–31 Mar"], ["R$1,000.00", "R$1,400.00", "R$1,030.00"]
    assert set(marked(page)) == {"Confirmed", "Cancelled", *days, *amounts}
    assert 'id="apply"' not in page.text  # for administrators
    asked = admin.get(f"{path}/apply")
    assert "1 PIN would be revoked" in asked.text
    assert "Apply 3 changes" in asked.text
    plan_hash = re.search(r'name="plan_hash" value="(\w+)"', asked.text)
    assert plan_hash
    panel.change(2, price=1040.0)
    refused = post(admin, f"{path}/apply", plan_hash=plan_hash[1])
    assert refused.status_code == 409
    assert "The world has changed since this plan was made." in refused.text
    assert 'action="/reconciliation/run"' in refused.text
    assert f'name="property_id" value="{house.home.id}"' in refused.text
    panel.change(2, price=1030.0)
    applied = post(admin, f"{path}/apply", plan_hash=plan_hash[1])
    assert applied.status_code == 303
    reconciliation.run(UUID(applied.location.rpartition("/")[2]))
    assert tables(staff.get(path))[-1][0] == "Rebecca Example 5"  # a stay by now
    done = admin.get(applied.location)
    assert "Left to a person 3" in plain(done)
    flagged = re.search(r'id="flagged" href="([^"]+)"', done.text)
    assert flagged
    found = plain(admin.get(flagged[1].replace("&amp;", "&")))
    assert "3 decisions fit" in found
    assert "We have this booking and Beds24 does not" in found
    with transaction() as session:
        gone = session.query(Reservation).filter_by(external_id="1").one()
    assert gone.status == "cancelled"


def test_a_new_booking_without_a_unit_is_told_by_its_room_type(
    staff: FlaskClient, panel: Panel, clock: Clock
) -> None:
    house = bookings_differ(panel, clock)
    panel.change(5, unitId=0)
    page = staff.get(dry_run(BOOKINGS, house))
    kind = house.kind.name
    assert tables(page)[-1][:3] == [
        f"10–12 Apr, {kind} 5",
        "Here —",
        f"Beds24 10–12 Apr, {kind}, Confirmed, R$500.00",
    ]
    assert "Rebecca" not in page.text


def test_a_plan_of_free_units(staff: FlaskClient, panel: Panel) -> None:
    house = nights_differ(panel)
    page = staff.get(dry_run(UNITS, house))
    assert tables(page) == [
        [
            f"{house.kind.name} 14 May 610011",
            "Here 2 free units",
            "Beds24 4 free units",
            "High risk Beds24 sells 2 more than are free here: possible overbooking",
        ],
        [
            f"{house.kind.name} 9–10 May, 2 nights 610011",
            "Here 2 free units",
            "Beds24 1 free unit",
            "Beds24 sells more again; none of its bookings is missing here",
        ],
    ]
    words = plain(page)
    assert "Tell Beds24 again 2 nights" in words
    assert "Leave to a person 1 night" in words
    assert "No PIN changes and no room becomes free." in words
    assert NIGHT.isoformat() == "2026-05-09"


def test_a_plan_of_prices_in_portuguese(staff: FlaskClient, panel: Panel) -> None:
    house = nights_differ(panel)
    rows = tables(staff.get(f"{dry_run(RATES, house)}?lang=pt"))
    assert rows == [
        [
            f"{house.kind.name} 14 mai 610011",
            "Aqui R$ 1.250,00, pelo menos 2 noites",
            "Beds24 R$ 990,00, pelo menos 3 noites",
            "Risco alto O preço difere em mais de 5%",
        ],
        [
            f"{house.kind.name} 9–10 mai, 2 noites 610011",
            "Aqui R$ 1.250,00, pelo menos 2 noites",
            "Beds24 R$ 1.240,00, pelo menos 2 noites",
        ],
    ]


def test_another_currency_is_said_of_the_property(staff: FlaskClient, panel: Panel) -> None:
    house = nights_differ(panel)
    panel.currency = "EUR"
    (row,) = tables(staff.get(dry_run(RATES, house)))
    assert row == [
        "The whole property", "Here BRL", "Beds24 EUR",
        "High risk Beds24 sells this property in another currency: no price can be compared",
    ]  # fmt: skip


@pytest.mark.parametrize("dry", [True, False])
def test_what_could_not_be_read_is_named(staff: FlaskClient, panel: Panel, dry: bool) -> None:
    house = nights_differ(panel)
    panel.nights[NIGHT]["price1"] = "cheap"
    row = run(RATES, house, dry_run=dry)
    words = plain(staff.get(f"/reconciliation/runs/{row.id}"))
    assert "1 value at Beds24 could not be read; its nights were left alone" in words
    assert "room 610011: price from 2026-05-09 to 2026-05-09 cannot be read" in words
    if not dry:
        assert not reconciliation.is_plan(row)


def test_rooms_that_are_left_to_the_next_run(staff: FlaskClient, panel: Panel) -> None:
    plan = {
        "counts": {"tell": 0, "flag": 0}, "items": [], "more": 0,
        "waiting": [{"room": "610011", "room_type": "Deluxe", "reason": "a booking is on its way"}],
    }  # fmt: skip
    row = make_run(NOON, kind=UNITS, dry_run=True, plan=plan, plan_hash="x")
    words = plain(staff.get(f"/reconciliation/runs/{row.id}"))
    assert "1 room type is left to the next run Deluxe 610011 : a booking is on its way" in words
    assert "Both sides agree" not in words


def test_the_brake_of_beds24(admin: FlaskClient, panel: Panel) -> None:
    house = make_beds24_house()
    item = {
        "action": "cancel", "external_id": "1", "reservation_id": None, "reason": "x",
        "from": {"status": "confirmed"}, "to": {"status": "cancelled"},
    }  # fmt: skip
    plan = {
        "counts": {"cancel": 7}, "risky": 7, "active": 9, "stopped": True, "items": [item],
        "more": 6, "consequences": {"pins_revoked": 7, "rooms_freed": 5},
    }  # fmt: skip
    row = make_run(
        NOON, kind=BOOKINGS, property_id=house.home.id, status="failed", error_kind="stopped",
        plan=plan, plan_hash="abc",
    )  # fmt: skip
    words = plain(admin.get(f"/reconciliation/runs/{row.id}"))
    assert "It would cancel or move 7 of 9 active stays. Check in Beds24 whether" in words
    assert "7 PINs would be revoked, 5 rooms would become free." in words
    assert "and 6 more" in words
    refused = post(admin, f"/reconciliation/runs/{row.id}/apply", plan_hash="abc", count="6")
    assert refused.status_code == 422
    assert "Check in Beds24 first" in refused.text


def test_a_resumed_run_that_would_do_more_asks_again(admin: FlaskClient, panel: Panel) -> None:
    item = {"action": "cancel", "external_id": "1", "from": {"status": "confirmed"}, "to": None}
    plan = {"counts": {"cancel": 1}, "stopped": False, "items": [item], "more": 0}
    row = make_run(
        NOON,
        kind=BOOKINGS,
        status="failed",
        error_kind="stopped",
        message=reconciliation.MORE_BY_NOW,
        plan=plan,
        plan_hash="abc",
    )
    page = admin.get(f"/reconciliation/runs/{row.id}")
    assert "by now it would cancel or move what nobody has agreed to Look at what is left" in (
        plain(page)
    )
    assert 'id="apply"' in page.text
    assert "No PIN changes" not in page.text  # nobody has counted


def test_the_number_of_statements_does_not_grow(
    staff: FlaskClient, panel: Panel, clock: Clock, statements: Statements
) -> None:
    def count(path: str) -> int:
        with statements() as seen:
            assert staff.get(path).status_code == 200
        return len(seen)

    house = bookings_differ(panel, clock)
    index = "/reconciliation?kind=beds24_bookings&limit=50"
    path = dry_run(BOOKINGS, house)
    count(index)
    first = count(index), count(path)
    for n in range(20):
        panel.put(id=100 + n, arrival=f"2026-04-{n + 1:02}", departure=f"2026-04-{n + 2:02}")
        make_run(NOON - timedelta(minutes=n), kind=BOOKINGS, property_id=house.home.id)
    assert (count(index), count(dry_run(BOOKINGS, house))) == first
    assert first[0] <= 20
    assert first[1] <= 12
