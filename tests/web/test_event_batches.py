"""Selections of events and PIN orders: the plan, the deed, and what became of each (DLQ-16)."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.models import ChannelMapping, Property
from app.queue import status
from app.services import event_batches
from app.transaction import transaction
from tests.events import deeds, make_connection, make_event
from tests.factories import make_accommodation, make_property, make_stay, reload
from tests.web.forms import HTMX, press, said_on, value_of
from tests.web.scenes import make_order

pytestmark = pytest.mark.usefixtures("clock")


def sent_back(page: TestResponse) -> dict[str, Any]:
    """What a browser would send from the plan."""
    fields: dict[str, Any] = {"plan": value_of(page, "plan")}
    for name in ("id", "pin_order", "all", "cause", "status"):
        found = re.findall(rf'name="{name}" value="([^"]+)"', page.text)
        if found:
            fields[name] = found
    return fields


def followed(client: FlaskClient, answer: TestResponse) -> TestResponse:
    assert answer.status_code == 303
    return client.get(answer.headers["Location"])


def test_the_bar_offers_what_the_view_allows(admin: FlaskClient, staff: FlaskClient) -> None:
    for state in ("failed", "done", "ignored", "retrying"):
        make_event(state)
    offered = {
        "": ["retry", "ignore", "replay"],
        "?status=done": ["replay"],
        "?status=ignored": ["replay"],
        "?status=retrying": ["retry"],
        "?status=any": ["retry", "ignore", "replay"],
    }
    for query, verbs in offered.items():
        page = admin.get("/events" + query).text
        assert re.findall(r'id="bulk-(\w+)"', page) == verbs, query
        assert re.findall(r'formaction="/events/(\w+)"', page) == verbs, query
    assert "data-bulk" not in staff.get("/events").text


def test_a_selection_longer_than_an_address_is_posted(admin: FlaskClient) -> None:
    house = make_property()
    ids = [str(make_event(house=house).id) for _ in range(60)]
    plan = press(admin, "/events/retry", id=ids)  # no plan yet: nothing is done
    assert plan.status_code == 200
    assert "Retry 60 events?" in said_on(plan)
    assert deeds("retry") == []
    page = followed(admin, press(admin, "/events/retry", **sent_back(plan)))
    assert "60 events are tried again" in said_on(page)
    assert len(deeds("retry")) == 60


def test_a_pin_order_is_retried_where_it_stands(admin: FlaskClient, staff: FlaskClient) -> None:
    stay = make_stay(make_accommodation(number="203"), guest="Tomasz Wiśniewski")
    order = make_order(stay, status="failed", attempts=4, last_error_kind="lock_offline")
    path = f"/events/pins/{order.id}/retry"
    assert path in admin.get("/events").text
    assert path not in staff.get("/events").text
    assert press(staff, path).status_code == 403
    page = followed(admin, press(admin, path, next="/events"))
    assert "The PIN order is tried again" in said_on(page)
    assert reload(order).status == "scheduled"
    assert "somebody was faster" in said_on(followed(admin, press(admin, path)))
    again = press(admin, path, htmx=True)
    assert (again.status_code, again.headers["HX-Trigger"]) == (409, "changed")
    assert status.queue_depths()["pins"] == 1
    assert press(admin, f"/events/pins/{uuid4()}/retry").status_code == 404


def test_events_and_pin_orders_are_planned_and_retried_together(admin: FlaskClient) -> None:
    house = make_property()
    stay = make_stay(make_accommodation(house), guest="Ana Souza", check_in=date(2026, 3, 12))
    event = make_event(house=house, entity_external_id=stay.external_id)
    order = make_order(stay, status="failed", attempts=4, last_error_kind="quota")
    plan = admin.get("/events/retry?all=true")
    said = said_on(plan)
    assert "Retry 2 failed ones?" in said
    assert "Will be tried again 1" in said
    assert "PIN orders, tried again at the lock 1" in said
    assert "Guests concerned 1" in said
    assert "PINs that may change with their stay 0" in said
    told = followed(admin, press(admin, "/events/retry", **sent_back(plan)))
    assert "2 failed ones are tried again" in said_on(told)
    assert "PIN orders Trying again 1" in said_on(told)
    assert f"/events/{event.id}" in told.text
    assert (reload(event).status, reload(order).status) == ("received", "scheduled")


def test_pin_orders_alone_by_their_cause(admin: FlaskClient) -> None:
    make_event()
    orders = [
        make_order(
            make_stay(make_accommodation()), status="failed", attempts=4, last_error_kind=kind
        )
        for kind in ("quota", "quota", "quota", "quota", "lock_full")
    ]
    page = admin.get("/events")
    more = re.search(r'href="([^"]+)">Show all 4<', page.text)
    assert more
    listed = admin.get(html.unescape(more[1]))
    assert listed.text.count('name="pin_order"') == 4
    cause = re.search(r"cause=(\w{12})", more[1])
    assert cause
    plan = admin.get(f"/events/retry?all=true&cause={cause[1]}")
    assert "Retry 4 PIN orders?" in said_on(plan)
    press(admin, "/events/retry", **sent_back(plan))
    assert sorted(reload(each).status for each in orders) == ["failed"] + ["scheduled"] * 4


def test_pin_orders_are_never_ignored(admin: FlaskClient) -> None:
    order = make_order(make_stay(make_accommodation()), status="failed", attempts=4)
    event = make_event()
    plan = press(admin, "/events/ignore", id=[str(event.id)], pin_order=[str(order.id)])
    said = said_on(plan)
    assert "Left out: PIN orders, which go on by themselves 1" in said
    assert "No reservation and no PIN changes." in said
    assert press(admin, "/events/ignore", reason="tests", **sent_back(plan)).status_code == 303
    assert (reload(event).status, reload(order).status) == ("ignored", "failed")


def test_all_that_are_done_are_replayed(admin: FlaskClient, staff: FlaskClient) -> None:
    house = make_property()
    done = [make_event("done", house=house) for _ in range(3)]
    failed = make_event(house=house)
    plan = admin.get("/events/replay?all=true&status=done")
    assert "Replay 3 events?" in said_on(plan)
    assert "Where we know something newer, nothing changes." in said_on(plan)
    told = followed(admin, press(admin, "/events/replay", **sent_back(plan)))
    assert "3 events are processed again" in said_on(told)
    assert {reload(each).status for each in done} == {"received"}
    assert reload(failed).status == "failed"
    assert len(deeds("replay")) == 3
    assert staff.get("/events/replay?all=true").status_code == 403
    assert press(staff, "/events/replay", all="true").status_code == 403


def test_a_large_batch_shows_how_far_it_is(
    admin: FlaskClient, staff: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_batches, "AT_ONCE", 2)
    monkeypatch.setattr(event_batches.carry_out, "__defaults__", (0.0,))
    house = make_property()
    for _ in range(5):
        make_event(house=house)
    plan = admin.get("/events/ignore?all=true")
    answer = press(admin, "/events/ignore", htmx=True, reason="a test", **sent_back(plan))
    where = answer.headers["HX-Redirect"]
    page = admin.get(where)
    said = said_on(page)
    assert "2 events are ignored In progress" in said
    assert "2 of 5 dealt with" in said
    assert "Ignored by davi@vila.example at" in said
    assert "a test" in said
    assert 'max="5" value="2"' in page.text
    version = re.search(r"v=([0-9a-f]{16})", page.text)
    assert version
    poll = {"HX-Request": "true", "HX-Target": "batch"}
    assert admin.get(f"{where}?v={version[1]}", headers=poll).status_code == 204
    batch_id = where.rpartition("/")[2]
    assert event_batches.carry_out(batch_id, 60)
    part = admin.get(f"{where}?v={version[1]}", headers=poll)
    assert "<html" not in part.text
    assert "5 events are ignored Done" in " ".join(re.sub(r"<[^>]+>", " ", part.text).split())
    assert "Ignored 5" in said_on(staff.get(where))
    assert staff.get(f"/events/batches/{uuid4()}").status_code == 404


def test_a_batch_that_is_done_at_once_is_told_in_a_toast(admin: FlaskClient) -> None:
    make_event()
    fields = sent_back(admin.get("/events/retry?all=true", headers=HTMX))
    answer = press(admin, "/events/retry", htmx=True, **fields)
    assert (answer.status_code, answer.headers["HX-Trigger"]) == (200, "changed")
    assert "1 event is tried again" in answer.text
    link = re.search(r'href="(/events/batches/[^"]+)">See each<', answer.text)
    assert link
    assert "In progress" not in said_on(admin.get(link[1])).split("How they stand")[0]


def test_bad_ids_are_named(admin: FlaskClient) -> None:
    for query in ("id=1", "pin_order=1"):
        assert admin.get(f"/events/retry?{query}").status_code == 422


# --- a room that is not mapped -------------------------------------------------------------------


def unmapped(house: Property, n: int, room: str = "610011") -> list[Any]:
    return [
        make_event(
            house=house,
            source="beds24",
            event_type="booking.created",
            kind="unmapped",
            error=f"room {room} of property 51001 is not mapped",
            waiting_for=room,
        )
        for _ in range(n)
    ]


def test_events_that_wait_for_a_room_lead_to_its_mapping(
    admin: FlaskClient, staff: FlaskClient, statements: Callable[[], Any]
) -> None:
    house = make_property()
    events = unmapped(house, 2)
    connection = events[0].channel_property_id
    unmapped(house, 1, "610012")
    with statements() as seen:
        page = admin.get("/events")
    assert len(seen) <= 8
    assert "Room 610011 of property 51001 is not mapped" in said_on(page)
    assert "the 2 events that wait for it are then offered for retry. Connect room 610011" in (
        said_on(page)
    )
    assert f"/channels/{connection}/map?room=610011" in page.text
    assert f"/channels/{connection}/map?room=610012" in page.text
    assert "Beds24 610011" in said_on(page)
    detail = admin.get(f"/events/{events[0].id}")
    assert f"/channels/{connection}/map?room=610011" in detail.text
    assert "Waits for room 610011 of Beds24" in said_on(detail)
    assert "Connect room" not in staff.get("/events").text


def test_once_the_room_is_mapped_those_that_waited_are_offered(admin: FlaskClient) -> None:
    house = make_property()
    events = unmapped(house, 2)
    other = unmapped(house, 1, "610012")[0]
    connection = make_connection(None, "beds24")  # of another house: its mapping does not count
    with transaction() as session:
        for place, room in ((events[0].channel_property_id, "610011:1"), (connection.id, "610012")):
            session.add(
                ChannelMapping(
                    channel_property_id=place,
                    mapping_type="room",
                    internal_id=make_accommodation().id,
                    external_id=room,
                )
            )
    page = admin.get("/events")
    assert "Room 610011 is mapped by now. Retry the 2 events that waited" in said_on(page)
    assert "Connect room 610012" in said_on(page)
    link = re.search(r'href="([^"]+)"[^>]*>Retry the 2 events that waited', page.text)
    assert link
    plan = admin.get(html.unescape(link[1]))
    assert "Retry 2 events?" in said_on(plan)
    press(admin, "/events/retry", **sent_back(plan))
    assert {reload(each).status for each in events} == {"received"}
    assert {reload(each).waiting_for for each in events} == {None}
    assert reload(other).status == "failed"


def test_a_cause_names_the_properties_it_hits(admin: FlaskClient) -> None:
    for name, n in (("Vila", 3), ("Solar", 1)):
        house = make_property(name=name)
        for _ in range(n):
            make_event(house=house)
    assert "· Vila 3, Solar 1 ·" in said_on(admin.get("/events"))
