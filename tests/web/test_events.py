"""The events console (DLQ-15…19, INTERFACES §7, UI.md §4)."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import clock as app_clock
from app.models import ChannelEvent, Property, VendorState
from app.queue import status
from app.services import audit, event_desk, event_plans
from app.transaction import transaction
from app.web import json_view
from tests.conftest import Clock
from tests.events import deeds, make_event
from tests.factories import make_accommodation, make_property, make_stay, reload
from tests.web.forms import HTMX, press, said_on, value_of
from tests.web.scenes import make_order

pytestmark = pytest.mark.usefixtures("clock")
RESULTS = {"HX-Request": "true", "HX-Target": "results"}


def failed_stay(house: Property, guest: str, arrives: date, **fields: Any) -> Any:
    """An event that failed, about a stay that exists."""
    stay = make_stay(make_accommodation(house, name="Coral"), guest=guest, check_in=arrives)
    return make_event(house=house, entity_external_id=stay.external_id, **fields)


def headings(page: TestResponse) -> list[str]:
    return [html.unescape(each) for each in re.findall(r"<h2[^>]*>([^<]+)</h2>", page.text)]


def plan_in(page: TestResponse) -> dict[str, Any]:
    """What a browser would send back from the dialog."""
    ids = re.findall(r'name="id" value="([^"]+)"', page.text)
    return {"plan": value_of(page, "plan"), **({"id": ids} if ids else {"all": "true"})}


def test_nothing_has_failed(admin: FlaskClient) -> None:
    make_event("done")
    page = admin.get("/events")
    assert headings(page) == ["Nothing has failed"]
    assert "Retry selected" not in page.text
    assert "Done" in admin.get("/events?status=any").text
    assert "Nothing here" in said_on(admin.get("/events?status=ignored"))
    assert "No event matches" in said_on(admin.get("/events?q=nobody"))


def test_failures_stand_by_cause_the_largest_first(admin: FlaskClient) -> None:
    house = make_property()
    for n in range(5):
        make_event(house=house, error=f"booking E{n} has no room")
    make_event(house=house, kind="unreachable", error="no answer in 10 s")
    failed_stay(house, "Ana Souza", date(2026, 3, 12), kind="unreachable", error="no answer in 9 s")
    failed_stay(
        house, "Nils Aaltonen", date(2026, 3, 11), kind="unreachable", error="no answer in 8 s"
    )
    page = admin.get("/events")
    assert headings(page) == [
        "Stays sent something that cannot be used",
        "Stays could not be reached",
    ]
    said = said_on(page)
    assert "Booking … has no room" in said
    assert "Guests hit: Nils Aaltonen 11 Mar 15:00, Ana Souza 12 Mar 15:00" in said
    assert "Retry all 5…" in said
    assert said.count("Booking changed") == 6  # three of each are shown
    only = re.search(r'href="([^"]+)">Show all 5<', page.text)
    assert only
    listed = admin.get(html.unescape(only[1]))
    assert said_on(listed).count("Booking changed") == 5
    assert "Showing Stays sent something that cannot be used" in said_on(listed)


def test_the_last_day_is_drawn_hour_by_hour(admin: FlaskClient) -> None:
    house = make_property()
    for hours in (0.5, 0.7, 3.5, 30):
        make_event(house=house, received_at=app_clock.utcnow() - timedelta(hours=hours))
    bars = re.findall(
        r'<rect class="c-bar c-bar--(\w+)"[^>]*height="([\d.]+)"', admin.get("/events").text
    )
    assert bars == [("warn", "11.2"), ("warn", "22.5")]  # over the line of the quiet hours


def test_pin_orders_that_ran_out_of_tries_stand_with_them(
    admin: FlaskClient, staff: FlaskClient
) -> None:
    house = make_property()
    stay = make_stay(make_accommodation(house, number="203"), guest="Tomasz Wiśniewski")
    make_order(stay, status="failed", attempts=4, last_error_kind="lock_offline")
    make_order(
        make_stay(make_accommodation(house)),
        status="scheduled",
        attempts=1,
        last_error_kind="quota",
    )
    for client in (admin, staff):
        page = client.get("/events")
        assert headings(page) == [
            "The lock does not answer: touch its keypad, check batteries and gateway"
        ]
        assert f'href="/reservations/{stay.id}"' in page.text
        assert "Failed 1" in said_on(page)
    for query in ("type=reservation.updated", "direction=inbound", "status=done", "q=nobody"):
        assert "Tomasz" not in admin.get(f"/events?{query}").text
    assert "Tomasz" in admin.get("/events?q=wisn&group=none").text


def test_the_list_its_tabs_filters_and_pages(admin: FlaskClient, clock: Clock) -> None:
    house = make_property()
    for _ in range(27):
        make_event("done", house=house)
    make_event("processing", house=house)
    make_event("received", house=house, event_type="reservation.created")
    tabs = said_on(admin.get("/events"))
    assert "Failed 0 Trying again 0 In progress 2 Ignored 0 Done 27 All" in tabs
    page = admin.get("/events?status=done&page=2")
    assert said_on(page).count("Booking changed") == 2
    assert admin.get("/events?status=done&page=9").headers["Location"].endswith("page=2")
    both = said_on(admin.get("/events?status=received,processing"))
    assert "Booking created Received" in both
    assert "Booking changed In progress" in both
    narrow = admin.get("/events?status=any&type=reservation.created&direction=inbound")
    assert said_on(narrow).count("Booking created") == 1
    assert "Type: reservation.created" in said_on(narrow)
    assert admin.get("/events?status=any&from=2026-03-11").text.count("a-who") == 0
    assert admin.get("/events?limit=100").status_code == 422


def test_the_try_that_worked_counts(admin: FlaskClient) -> None:
    make_event("done", entity_external_id="FIRST")
    make_event("done", tries=1, entity_external_id="SECOND")
    make_event("received", entity_external_id="WAITS")
    said = said_on(admin.get("/events?status=done,received"))
    tries = dict(re.findall(r"(FIRST|SECOND|WAITS).*?Tries (\d)", said))
    assert tries == {"FIRST": "1", "SECOND": "2", "WAITS": "0"}


def test_a_day_is_a_day_at_the_property(admin: FlaskClient, clock: Clock) -> None:
    """23:30 in São Paulo is the next day in UTC."""
    late = app_clock.utcnow() + timedelta(hours=14, minutes=30)
    make_event("done", received_at=late, entity_external_id="LATE")
    assert "LATE" in admin.get("/events?status=done&from=2026-03-10&to=2026-03-10").text
    assert "LATE" not in admin.get("/events?status=done&from=2026-03-11").text


def test_a_poll_that_would_see_the_same_gets_nothing(admin: FlaskClient, clock: Clock) -> None:
    event = make_event()
    for path in ("/events", "/events?group=none", f"/events/{event.id}"):
        page = admin.get(path).text
        version = re.search(r"[?&;]v=([0-9a-f]{16})", page)
        assert version
        assert "every 30s" in page
        poll = f"{path}{'&' if '?' in path else '?'}v={version[1]}"
        assert admin.get(poll, headers=RESULTS).status_code == 204
    clock.move(seconds=1)
    press(admin, f"/events/{event.id}/retry")
    assert admin.get(poll, headers=RESULTS).status_code == 200
    assert "every 5s" in admin.get(f"/events/{event.id}").text  # it moves


def test_a_fragment_is_not_a_page(admin: FlaskClient) -> None:
    make_event()
    part = admin.get("/events", headers=RESULTS).text
    assert 'id="views"' in part
    assert "<html" not in part


@pytest.mark.parametrize("query", ["", "?group=none", "?status=any&limit=50"])
def test_a_page_asks_the_database_a_fixed_number_of_times(
    admin: FlaskClient, statements: Callable[[], Any], query: str
) -> None:
    counts = []
    for n in (1, 12):
        house = make_property()
        for k in range(n):
            failed_stay(house, "Ana", date(2026, 3, 12), error="abc"[k % 3])
        with statements() as seen:
            assert admin.get("/events" + query).status_code == 200
        counts.append(len(seen))
    assert counts[0] == counts[1] <= 9


def test_one_event_asks_the_database_a_fixed_number_of_times(
    admin: FlaskClient, statements: Callable[[], Any]
) -> None:
    house = make_property()
    for n in (0, 9):
        event = failed_stay(house, "Ana", date(2026, 3, 12), tries=n)
        with statements() as seen:
            assert admin.get(f"/events/{event.id}").status_code == 200
        assert len(seen) <= 10


# --- one event -----------------------------------------------------------------------------------


def test_an_event_shows_its_tries_and_what_was_sent(admin: FlaskClient) -> None:
    house = make_property()
    event = failed_stay(house, "Ana Souza", date(2026, 3, 12), tries=2)
    make_event(house=house)
    page = admin.get(f"/events/{event.id}")
    said = said_on(page)
    assert "Tries 2 of 3" in said
    assert said.index("Try 2") < said.index("Try 1")
    assert "payload._id: expected an id." in said
    assert "1 other failed alike" in said
    assert '<span class="k">&#34;guest_name&#34;</span>: <span class="x">hidden</span>' in page.text
    assert "no normalised form" in said_on(admin.get(f"/events/{event.id}?form=normal"))
    assert admin.get(f"/events/{uuid4()}").status_code == 404


def test_the_stored_reservation_and_the_event_side_by_side(admin: FlaskClient) -> None:
    house = make_property()
    stay = make_stay(make_accommodation(house), check_in=date(2026, 3, 20), amount="1950.00")
    event = make_event(
        "done", house=house, entity_internal_id=stay.id, processed_at=app_clock.utcnow(),
        normalized_payload={
            "check_in_on": "2026-03-21", "check_out_on": "2026-03-22", "status": "confirmed",
            "amount": "1950.0", "guest_name": "Ana",
        },
    )  # fmt: skip
    page = admin.get(f"/events/{event.id}?form=normal")
    rows = re.findall(r'<tr( class="is-diff")?><td class="soft">([^<]+)</td>', page.text)
    assert rows == [
        (' class="is-diff"', "Check-in"), ("", "Check-out"), ("", "Status"), ("", "Amount"),
    ]  # fmt: skip
    assert "<strong>Fri 20 Mar</strong></td><td><strong>Sat 21 Mar</strong>" in page.text


def test_the_next_event_is_the_next_of_the_same_list(admin: FlaskClient, clock: Clock) -> None:
    house = make_property()
    events = []
    for state in ("failed", "done", "failed", "failed"):
        events.append(make_event(state, house=house))
        clock.move(minutes=1)
    oldest, _, middle, newest = events

    def around(query: str) -> list[str]:
        page = admin.get(f"/events/{middle.id}{query}").text
        return re.findall(r'id="event-(?:prev|next)" href="/events/([0-9a-f-]{36})', page)

    assert around("") == [str(newest.id), str(oldest.id)]
    assert around("?status=any") == [str(newest.id), str(events[1].id)]
    assert around("?order=asc") == [str(oldest.id), str(newest.id)]
    assert around("?q=" + middle.entity_external_id) == []


def test_the_front_desk_reads_without_what_was_sent(staff: FlaskClient) -> None:
    event = failed_stay(make_property(), "Ana Souza", date(2026, 3, 12), tries=1)
    page = staff.get(f"/events/{event.id}")
    assert "Try 1" in page.text
    for word in ("payload", "hidden<", "guest_name", "do-retry", "do-ignore", "/retry"):
        assert word not in page.text.replace("payload._id", ""), word
    listed = staff.get("/events").text
    assert 'type="checkbox"' not in listed
    assert "/retry" not in listed
    for path in ("retry", "ignore", f"{event.id}/ignore", f"{event.id}/replay"):
        assert staff.get(f"/events/{path}").status_code == 403
        assert press(staff, f"/events/{path}").status_code == 403
    assert press(staff, f"/events/{event.id}/retry").status_code == 403
    assert reload(event).status == "failed"


def test_what_is_private_is_hidden_and_what_is_sent_is_escaped() -> None:
    sent = {
        "id": 1,
        "guestName": "Ana",
        "clientEmail": "a@b.c",
        "booking": {"firstName": "A", "notes": "<b>", "rooms": [{"roomName": "<i>", "x": None}]},
        "empty": [],
        "phone": "",
    }
    shown = str(json_view.shown(sent))
    for private in ("Ana", "a@b.c", "<b>", "<i>"):
        assert private not in shown
    assert "&lt;i&gt;" in shown
    plain = html.unescape(re.sub(r"<[^>]+>", "", shown)).replace("hidden", '"hidden"')
    hidden = {"guestName": "hidden", "clientEmail": "hidden"}
    booking = sent["booking"] | {"firstName": "hidden", "notes": "hidden"}  # type: ignore[operator]
    assert json.loads(plain) == sent | hidden | {"booking": booking}


# --- repairing one -------------------------------------------------------------------------------


def test_a_retry_acts_at_once_and_twice_does_no_harm(admin: FlaskClient) -> None:
    event = make_event()
    path = f"/events/{event.id}/retry"
    first = press(admin, path, next="/events?group=none")
    assert (first.status_code, first.headers["Location"]) == (303, "/events?group=none")
    assert reload(event).status == "received"
    assert press(admin, path).headers["Location"] == f"/events/{event.id}"
    again = press(admin, path, htmx=True)
    assert (again.status_code, again.headers["HX-Trigger"]) == (409, "changed")
    assert "somebody was faster" in again.text
    assert status.queue_depths()["stays.inbound"] == 1
    (row,) = deeds("retry")
    assert row.actor == "davi@vila.example"
    assert press(admin, f"/events/{uuid4()}/retry").status_code == 404


def test_a_retry_with_htmx_lets_the_page_read_itself(admin: FlaskClient) -> None:
    answer = press(admin, f"/events/{make_event().id}/retry", htmx=True)
    assert (answer.status_code, answer.headers["HX-Trigger"]) == (200, "changed")
    assert "The event is tried again" in answer.text


def test_ignoring_asks_for_the_reason(admin: FlaskClient) -> None:
    event = make_event()
    path = f"/events/{event.id}/ignore"
    assert "Ignore this event?" in admin.get(path).text
    without = press(admin, path, htmx=True, reason=" ")
    assert without.status_code == 422
    assert "Fill this in" in without.text
    assert "Write at most 500 characters" in press(admin, path, reason="x" * 501).text
    assert press(admin, path, reason="a test booking").status_code == 303
    assert reload(event).status == "ignored"
    shown = said_on(admin.get(f"/events/{event.id}"))
    assert "a test booking" in shown
    assert "Replay…" in shown
    late = press(admin, path, htmx=True, reason="again")
    assert late.status_code == 409
    assert "Only failed events can be ignored" in late.text
    assert admin.get(path).status_code == 409


def test_a_replay_says_what_it_does_first(admin: FlaskClient) -> None:
    event = make_event("done", processed_at=app_clock.utcnow())
    path = f"/events/{event.id}/replay"
    assert "exactly what was sent then" in admin.get(path, headers=HTMX).text
    assert press(admin, path).status_code == 303
    assert reload(event).status == "received"
    assert press(admin, path, htmx=True).status_code == 409
    assert "cannot be replayed" in admin.get(path).text


# --- repairing many ------------------------------------------------------------------------------


def test_a_cause_is_retried_as_planned(admin: FlaskClient) -> None:
    house = make_property()
    same = [make_event(house=house, error=f"booking E{n} has no room") for n in range(3)]
    other = make_event(house=house, kind="internal", error="an internal error (KeyError)")
    button = re.search(r'id="retry-all-[^"]+" href="([^"]+)"', admin.get("/events").text)
    assert button
    where = html.unescape(button[1])
    plan = admin.get(where)
    assert "Retry 3 events?" in said_on(plan)
    assert "All with “Stays sent something that cannot be used”." in said_on(plan)
    cause = value_of(plan, "cause")
    assert press(admin, "/events/retry", cause=cause, **plan_in(plan)).status_code == 303
    assert {reload(each).status for each in same} == {"received"}
    assert reload(other).status == "failed"
    assert len(deeds("retry")) == 3


def test_a_plan_that_has_changed_is_shown_anew(admin: FlaskClient) -> None:
    house = make_property()
    make_event(house=house)
    shown = plan_in(admin.get("/events/retry?all=true"))
    late = make_event(house=house)
    refused = press(admin, "/events/retry", htmx=True, **shown)
    assert refused.status_code == 409
    assert "It has changed meanwhile" in refused.text
    assert "Retry 2 now" in refused.text
    assert reload(late).status == "failed"
    done = press(admin, "/events/retry", htmx=True, **plan_in(refused))
    assert "2 events are tried again" in done.text
    assert reload(late).status == "received"


def test_ticked_events_of_which_one_cannot_be_retried(admin: FlaskClient, clock: Clock) -> None:
    house = make_property()
    one = failed_stay(house, "Ana Souza", date(2026, 3, 12))
    done = make_event("done", house=house)
    with transaction() as session:
        session.add(VendorState(vendor="stays", failing_since=app_clock.utcnow()))
    plan = admin.get(f"/events/retry?id={one.id}&id={done.id}&id={uuid4()}")
    said = said_on(plan)
    assert "Retry 1 event?" in said
    assert "Left out: Done 1" in said
    assert "Left out: not there any more 1" in said
    assert "Guests hit: Ana Souza 12 Mar 15:00" in said
    assert "Stays still does not answer" in said
    assert press(admin, "/events/retry", **plan_in(plan)).status_code == 303
    assert (reload(one).status, reload(done).status) == ("received", "done")
    nothing = admin.get(f"/events/retry?id={done.id}")
    assert "Nothing that is chosen can be retried now." in said_on(nothing)
    assert 'class="btn btn--primary" type="submit"' not in nothing.text
    assert admin.get("/events/retry?id=1").status_code == 422


def test_ticked_events_are_ignored_with_one_reason(admin: FlaskClient) -> None:
    house = make_property()
    events = [make_event(house=house) for _ in range(2)]
    plan = admin.get("/events/ignore?" + "&".join(f"id={each.id}" for each in events))
    fields = plan_in(plan)
    without = press(admin, "/events/ignore", htmx=True, **fields)
    assert without.status_code == 422
    assert "Fill this in" in without.text
    assert press(admin, "/events/ignore", reason="tests", **fields).status_code == 303
    assert {reload(each).status for each in events} == {"ignored"}
    assert [row.after["reason"] for row in deeds("ignore")] == ["tests", "tests"]


def test_a_batch_overtaken_by_another_admin_says_so(
    admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = make_property()
    one, two = make_event(house=house), make_event(house=house)
    fields = plan_in(admin.get("/events/retry?all=true"))
    looked = event_plans.plan

    def slowly(*args: Any) -> Any:
        found = looked(*args)
        event_desk.retry(two.id, actor=audit.SYSTEM)
        return found

    monkeypatch.setattr(event_plans, "plan", slowly)
    answer = press(admin, "/events/retry", htmx=True, **fields)
    told = admin.get(answer.headers["HX-Redirect"])
    assert "1 event is tried again" in said_on(told)
    assert "1 was left as it is" in said_on(told)
    assert f"/events/{two.id}" in told.text
    assert reload(one).status == "received"


def test_it_speaks_portuguese(admin: FlaskClient) -> None:
    event = make_event(tries=1)
    for path in ("/events", f"/events/{event.id}", f"/events/{event.id}/ignore"):
        page = admin.get(path, headers={"Accept-Language": "pt-BR"}).text
        assert 'lang="pt-BR"' in page
        assert "Stays enviou algo que não pode ser usado" in page or "Ignorar este evento?" in page


def test_guests_of_bookings_that_could_not_be_stored(admin: FlaskClient) -> None:
    """Nobody knows of them but the event: it says who would come, and when."""
    house = make_property()
    for number, (name, day) in enumerate((("Marta Example", 20), ("Ivo Sample", 15))):
        event = make_event(
            house=house,
            source="beds24",
            kind="unmapped",
            error="room 610099 of property 51001 is not mapped",
            entity_external_id=f"7000{number}",
        )
        said = {
            "guest_name": name,
            "check_in_on": f"2026-03-{day}",
            "check_out_on": f"2026-03-{day + 2}",
            "status": "confirmed",
        }
        with transaction() as session:
            session.get_one(ChannelEvent, event.id).normalized_payload = said
    assert "Guests hit: Ivo Sample 15 Mar, Marta Example 20 Mar" in said_on(admin.get("/events"))
