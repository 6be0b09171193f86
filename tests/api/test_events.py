"""Events over JSON: found, read and repaired (DLQ-01…19, C-25, C-34)."""

from __future__ import annotations

from uuid import uuid4

import pytest
from flask.testing import FlaskClient

from app.domain.event_causes import cause_of
from app.queue import status
from tests.api.conftest import Call, Headers
from tests.conftest import Clock
from tests.events import deeds, make_event
from tests.factories import make_accommodation, make_property, make_stay, reload

HIDDEN = {"payload", "normalized_payload", "raw_body", "headers"}


def test_a_page_of_events(api: Call, clock: Clock) -> None:
    house = make_property()
    for _ in range(7):
        make_event("done", house=house)
        clock.move(seconds=1)
    found = api("GET", "/events?limit=3&page=3").json
    assert found["pagination"] == {"page": 3, "limit": 3, "total": 7, "totalPages": 3}
    (oldest,) = found["events"]
    assert oldest["received_at"] == "2026-03-10T12:00:00Z"
    assert oldest["property_id"] == str(house.id)
    assert not HIDDEN & set(oldest)


def test_the_same_stands_at_the_path_of_the_design_document(
    client: FlaskClient, admin: Headers
) -> None:
    event = make_event()
    assert client.get("/admin/events", headers=admin).json["pagination"]["limit"] == 50
    path = f"/admin/events/{event.id}/retry"
    assert client.post(path, headers=admin).json["status"] == "received"
    assert client.post(path, headers=admin).status_code == 409


def test_every_filter(api: Call, clock: Clock) -> None:
    house = make_property()
    room = make_accommodation(house, name="Coral", number="203")
    make_stay(room, external_id="E-STAY", guest="João Lima", search_text="joao lima e-stay")
    old = make_event(house=house, entity_external_id="E-STAY")
    clock.move(days=2)
    new = make_event(
        "done", event_type="reservation.created", direction="inbound", entity_external_id="FV02I"
    )

    def ids(query: str) -> list[str]:
        answer = api("GET", f"/events?{query}")
        assert answer.status_code == 200, answer.json
        return [each["id"] for each in answer.json["events"]]

    both = [str(new.id), str(old.id)]
    assert ids("") == both
    assert ids("order=asc") == both[::-1]
    assert ids("sort=event_type&order=asc") == both
    assert ids("status=failed") == [str(old.id)]
    assert ids("status=failed,done") == both
    assert ids(f"property_id={house.id}") == [str(old.id)]
    assert ids("type=reservation.created") == [str(new.id)]
    assert ids("type=stays.reservation.created") == [str(new.id)]  # C-25
    assert ids("type=beds24.reservation.created") == []
    assert ids("direction=outbound") == []
    assert ids("from=2026-03-11") == [str(new.id)]
    assert ids("to=2026-03-10") == [str(old.id)]
    assert ids("from=2026-03-10T12:00:01Z") == [str(new.id)]
    assert ids("q=fv02") == [str(new.id)]
    assert ids("q=joao") == [str(old.id)]
    assert ids(f"q={str(new.id)[:13]}") == [str(new.id)]
    assert ids("q=%25") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=broken", "status"),
        ("property_id=1", "property_id"),
        ("direction=up", "direction"),
        ("sort=payload", "sort"),
        ("order=up", "order"),
        ("from=yesterday", "from"),
        ("from=2026-03-10T12:00:00", "from"),
        ("from=0001-01-01T00:00:00%2B14:00", "from"),
        ("from=2026-03-11&to=2026-03-10", "to"),
        ("limit=201", "limit"),
        ("page=0", "page"),
        ("cause=x", "cause"),
        ("q=" + "x" * 201, "q"),
    ],
)
def test_a_bad_parameter_is_named(api: Call, query: str, field: str) -> None:
    answer = api("GET", f"/events?{query}")
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (400, field)


def test_one_event_with_its_tries(api: Call, client: FlaskClient, staff: Headers) -> None:
    event = make_event(tries=2, error="data.check_in: expected a day")
    seen = api("GET", f"/events/{event.id}").json
    assert seen["payload"] == event.payload
    assert seen["normalized_payload"] is None
    assert [each["number"] for each in seen["attempts_log"]] == [2, 1]
    assert seen["attempts_log"][0]["error"] == "data.check_in: expected a day"
    hers = client.get(f"/api/admin/events/{event.id}", headers=staff).json
    assert hers["attempts_log"] == seen["attempts_log"]
    assert not HIDDEN & set(hers)  # INTERFACES §4: staff reads events without payload
    assert api("GET", f"/events/{uuid4()}").status_code == 404


def test_retry_ignore_and_replay(api: Call) -> None:
    event = make_event()
    path = f"/events/{event.id}"
    assert api("POST", f"{path}/ignore", {}).status_code == 400
    assert api("POST", f"{path}/ignore", {"reason": "a test"}).json["status"] == "ignored"
    assert api("POST", f"{path}/ignore", {"reason": "a test"}).status_code == 409
    assert api("POST", f"{path}/retry").status_code == 409
    assert api("POST", f"{path}/replay").json["status"] == "received"
    refused = api("POST", f"{path}/replay")
    assert (refused.status_code, refused.json["detail"]) == (
        409,
        "the event is in flight (received)",
    )
    assert api("POST", f"/events/{uuid4()}/replay").status_code == 404
    assert [row.actor.split("@")[1] for row in deeds("replay")] == ["example.org"]


def test_a_batch_by_ids_and_by_filter(api: Call) -> None:
    house = make_property()
    one, two = make_event(house=house), make_event(house=house, kind="internal", error="oh")
    done = make_event("done", house=house)
    answer = api("POST", "/events/batch-retry", {"ids": [str(one.id), str(done.id)]})
    assert answer.json == {
        "retried": [str(one.id)],
        "skipped": [
            {
                "id": str(done.id),
                "reason": "the event is done; only failed or retrying ones can be retried",
            }
        ],
    }
    matching = {"filter": {"property_id": str(house.id)}}
    assert api("POST", "/events/batch-retry", matching).json["retried"] == [str(two.id)]
    assert reload(done).status == "done"
    assert status.queue_depths()["stays.inbound"] == 2


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ids": [], "filter": {}},
        {"ids": ["x"]},
        {"ids": ["00000000-0000-0000-0000-000000000000"] * 5001},
        {"filter": {"page": "2"}},
        {"filter": {"status": "broken"}},
        {"filter": {"from": 3}},
    ],
)
def test_a_batch_that_makes_no_sense(api: Call, body: dict[str, object]) -> None:
    assert api("POST", "/events/batch-retry", body).status_code == 400


def test_a_cause_is_a_filter_too(api: Call, clock: Clock) -> None:
    same = [make_event(error=f"booking E{n} has no room") for n in (1, 2)]
    make_event(error="something else")
    clock.move(minutes=1)
    key = cause_of("stays", "invalid", "booking E9 has no room").key
    found = api("GET", f"/events?cause={key}").json
    assert {each["id"] for each in found["events"]} == {str(each.id) for each in same}
    assert found["pagination"]["total"] == 2
    retried = api("POST", "/events/batch-retry", {"filter": {"cause": key}}).json["retried"]
    assert set(retried) == {str(each.id) for each in same}
