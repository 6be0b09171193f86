"""One event in full, in both directions, and the way there from its reservation (UI.md §4)."""

from __future__ import annotations

from datetime import date

import pytest
from flask.testing import FlaskClient

from app import clock as app_clock
from app.models import ChannelEventAttempt
from app.transaction import transaction
from tests.events import make_event
from tests.factories import make_accommodation, make_property, make_room_type, make_stay
from tests.web.forms import press, said_on

pytestmark = pytest.mark.usefixtures("clock")


def test_payload_and_normalised_form_stand_side_by_side(
    admin: FlaskClient, staff: FlaskClient
) -> None:
    event = make_event(
        "done", payload={"data": {"id": "A1", "colour": "teal"}},
        normalized_payload={"status": "confirmed", "partner": "Airbnb"},
    )  # fmt: skip
    page = admin.get(f"/events/{event.id}").text
    assert page.index('id="payload"') < page.index("teal") < page.index('id="normalised"')
    assert page.index('id="normalised"') < page.index("Airbnb")
    for word in ("teal", "Airbnb", 'id="payload"', 'id="normalised"'):
        assert word not in staff.get(f"/events/{event.id}").text


def test_an_older_copy_is_told_in_words(admin: FlaskClient) -> None:
    event = make_event("done", entity_modified_at=app_clock.utcnow())
    with transaction() as session:
        session.add(
            ChannelEventAttempt(
                event_id=event.id, number=1, outcome="stale",
                started_at=app_clock.utcnow(), finished_at=app_clock.utcnow(),
            )
        )  # fmt: skip
    said = said_on(admin.get(f"/events/{event.id}"))
    assert "Try 1 older than what we knew; nothing changed" in said
    assert "Changed there 10 Mar 2026" in said


def test_what_we_owe_a_channel(admin: FlaskClient) -> None:
    house = make_property()
    stay = make_stay(
        make_accommodation(house), source="direct", channel=None, external_id=None,
        guest="Mariana Fonseca", check_in=date(2026, 3, 20), nights=2,
    )  # fmt: skip
    event = make_event(
        house=house, direction="outbound", source="pms", event_type="pms.booking.update",
        entity_external_id=None, entity_internal_id=stay.id, kind="rejected",
        error="HTTP 422: dates not available",
        payload={"check_in": "2026-03-20", "check_out": "2026-03-23"},
    )  # fmt: skip
    listed = said_on(admin.get("/events"))
    assert "Beds24 refused our change" in listed
    assert "Send the changed booking" in listed
    assert "Mariana Fonseca" in listed
    assert "compare both sides, mend one, then retry" in listed
    assert "Mariana" in admin.get("/events?direction=outbound").text
    assert "Mariana" not in admin.get("/events?direction=inbound").text
    assert "Mariana" in admin.get("/events?type=pms.booking.update&status=any").text
    page = admin.get(f"/events/{event.id}")
    assert "Out, to Beds24" in said_on(page)
    assert '<tr class="is-diff"><td class="soft">Check-out</td>' in page.text
    assert "made from the reservation as it stands" in said_on(page)


def test_nights_of_ours_are_named_by_their_room_type(admin: FlaskClient) -> None:
    house = make_property()
    chalets = make_room_type(house, name="Chalets")
    make_event(
        house=house, direction="outbound", source="pms", event_type="pms.availability.update",
        entity_type="availability", entity_external_id=None, entity_internal_id=chalets.id,
        kind="unreachable", error="no answer in 30 s",
    )  # fmt: skip
    said = said_on(admin.get("/events"))
    assert "Beds24 could not be reached" in said
    assert "Send the free units Chalets" in said


def test_a_failed_delivery_is_queued_for_delivery(admin: FlaskClient, redis: object) -> None:
    event = make_event(
        direction="outbound", source="pms", event_type="pms.booking.create", entity_external_id=None
    )
    press(admin, f"/events/{event.id}/retry")
    assert redis.exists(f"rq:job:out-{event.id}")  # type: ignore[attr-defined]
    assert not redis.exists(f"rq:job:evt-{event.id}")  # type: ignore[attr-defined]


def test_a_reservation_lists_its_events(admin: FlaskClient, staff: FlaskClient) -> None:
    house = make_property()
    stay = make_stay(make_accommodation(house), external_id="FV02I")
    applied = make_event("done", house=house, entity_internal_id=stay.id)
    waiting = make_event(house=house, entity_external_id="FV02I")
    ours = make_event(
        "done", house=house, direction="outbound", source="pms", event_type="pms.booking.cancel",
        entity_external_id=None, entity_internal_id=stay.id,
    )  # fmt: skip
    other = make_event(house=house)
    for client in (admin, staff):
        page = client.get(f"/reservations/{stay.id}")
        for event in (applied, waiting, ours):
            assert f"/events/{event.id}" in page.text
        assert f"/events/{other.id}" not in page.text
        assert "Send the cancellation Done" in said_on(page)
    assert f"/reservations/{stay.id}" in admin.get(f"/events/{waiting.id}").text
    alone = make_stay(make_accommodation(house))
    assert 'id="told-h"' not in admin.get(f"/reservations/{alone.id}").text
