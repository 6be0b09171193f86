"""Discrepancies over JSON: found and decided (INTERFACES §5)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.integrations.errors import Unreachable
from app.models import Discrepancy
from app.services import vendors
from app.services.discrepancy_desk import MOST
from tests.api.conftest import Call, Headers
from tests.beds24 import ROOM, FakeBeds24, House, make_beds24_house
from tests.conftest import Clock
from tests.discrepancies import ARRIVES, all_of, finding, night, settle, side, the_one
from tests.factories import NO_SUCH_ID, make_stay

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def house(api: Call) -> House:
    return make_beds24_house()


@pytest.fixture
def row(house: House) -> Discrepancy:
    settle(house.connection, [finding()])
    return the_one()


def test_an_item(api: Call, house: House, row: Discrepancy) -> None:
    (item,) = api("GET", "/discrepancies").json["discrepancies"]
    assert item == api("GET", f"/discrepancies/{row.id}").json
    assert {name: item[name] for name in (
        "kind", "reservation_id", "external_id", "status", "severity", "note", "property_id",
    )} == {
        "kind": "dates", "reservation_id": None, "external_id": "84107733", "status": "open",
        "severity": "high", "note": None, "property_id": str(house.home.id),
    }  # fmt: skip
    assert item["ours"] == side()
    assert item["theirs"]["check_out"] == "2026-03-15"
    assert item["opened_at"] == "2026-03-10T12:00:00Z"
    assert api("GET", f"/discrepancies/{NO_SUCH_ID}").status_code == 404


def test_every_filter(api: Call, house: House, clock: Clock) -> None:
    stay = make_stay(house.rooms[0], guest="João Lima", search_text="joao lima")
    settle(house.connection, [finding("dates", "1", reservation_id=stay.id)])
    clock.move(minutes=1)
    settle(house.connection, [finding("guest", "X22", severity="medium")])
    clock.move(minutes=1)
    settle(
        house.connection,
        [night(ROOM, ARRIVES, 3, 1, room_type_id=house.kind.id)],
        kinds=["availability"],
    )
    other = make_beds24_house("51002", "610022")
    settle(other.connection, [finding("amount", "3")], kinds=["amount"])
    verdict = {"action": "dismiss", "note": "known"}
    (dates,) = [each for each in all_of() if each.kind == "dates"]
    assert api("POST", f"/discrepancies/{dates.id}/resolve", verdict).status_code == 200

    def kinds(query: str) -> list[str]:
        answer = api("GET", f"/discrepancies?{query}")
        assert answer.status_code == 200, answer.json
        return [each["kind"] for each in answer.json["discrepancies"]]

    assert kinds("sort=opened_at&order=asc")[:2] == ["dates", "guest"]
    assert kinds("status=dismissed") == ["dates"]
    assert sorted(kinds("kind=guest,amount")) == ["amount", "guest"]
    assert kinds("severity=medium") == ["guest"]
    assert kinds(f"property_id={other.home.id}") == ["amount"]
    assert kinds(f"room_type_id={house.kind.id}") == ["availability"]
    assert kinds(f"reservation_id={stay.id}") == ["dates"]
    assert kinds("external_id=X22") == ["guest"]
    assert kinds("q=jo%C3%A3o") == ["dates"]
    assert kinds("q=X22") == ["guest"]
    assert kinds(f"q={house.kind.name.replace(' ', '+')}") == ["availability"]
    assert kinds("sort=severity&order=asc")[0] == "guest"
    page = api("GET", "/discrepancies?limit=3&page=2").json["pagination"]
    assert page == {"page": 2, "limit": 3, "total": 4, "totalPages": 2}
    for bad in ("status=new", "kind=x", "severity=x", "property_id=x", "sort=x", "limit=0"):
        answer = api("GET", f"/discrepancies?{bad}")
        assert answer.status_code == 400
        assert answer.json["errors"][0]["field"] == bad.partition("=")[0]


def test_a_verdict(api: Call, row: Discrepancy) -> None:
    path = f"/discrepancies/{row.id}/resolve"
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"action": "dismiss"}, "note"),
        ({"action": "dismiss", "note": " "}, "note"),
        ({"action": "dismiss", "note": "x" * 501}, "note"),
        ({"action": "agreed"}, "action"),
        ({"note": "x"}, "action"),
    ]
    for body, field in wrong:
        answer = api("POST", path, body)
        assert answer.status_code == 400
        assert answer.json["errors"][0]["field"] == field

    stale = {"action": "dismiss", "note": "x", "fingerprint": "0" * 64}
    refused = api("POST", path, stale)
    assert refused.status_code == 409
    assert refused.json["discrepancy"]["fingerprint"] == row.fingerprint
    done = api("POST", path, {"action": "dismiss", "note": "known", "fingerprint": row.fingerprint})
    assert (done.status_code, done.json["status"], done.json["note"]) == (200, "dismissed", "known")
    assert done.json["closed_by"].startswith("admin")
    assert api("POST", path, {"action": "dismiss", "note": "x"}).status_code == 409
    gone = f"/discrepancies/{NO_SUCH_ID}/resolve"
    assert api("POST", gone, {"action": "dismiss", "note": "x"}).status_code == 404


def test_one_that_is_open_again_is_undecided(
    api: Call, house: House, row: Discrepancy, clock: Clock
) -> None:
    path = f"/discrepancies/{row.id}"
    said = {"action": "dismiss", "note": "known"}
    assert api("POST", f"{path}/resolve", json=said).status_code == 200
    last = ("action", "note", "closed_at", "closed_by")
    assert all(api("GET", path).json[name] for name in last)
    clock.move(minutes=1)
    settle(house.connection, [finding(theirs=side(check_out="2026-03-20"))])
    again = api("GET", path).json
    assert (again["status"], again["times_opened"]) == ("open", 2)
    assert [again[name] for name in last] == [None] * 4


def test_what_moved_comes_with_the_refusal(
    api: Call, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = FakeBeds24()
    account.put(id=84107733, arrival="2026-03-12", departure="2026-03-19", price=500)
    monkeypatch.setattr(vendors, "beds24_client", lambda connection_id: account)
    stay = make_stay(
        house.rooms[0], check_in=ARRIVES, channel="beds24", source="beds24", amount=500,
        external_id="84107733", currency="BRL",
    )  # fmt: skip
    settle(house.connection, [finding(reservation_id=stay.id)])
    path = f"/discrepancies/{the_one().id}/resolve"
    refused = api("POST", path, {"action": "accept_channel"})
    assert (refused.status_code, refused.content_type) == (409, "application/problem+json")
    assert refused.json["discrepancy"]["theirs"]["check_out"] == "2026-03-19"
    assert refused.json["discrepancy"]["ours"]["check_out"] == "2026-03-14"


def test_a_silent_channel_is_503(
    api: Call, row: Discrepancy, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = FakeBeds24()
    account.faults.append(Unreachable("no answer", vendor="beds24"))
    monkeypatch.setattr(vendors, "beds24_client", lambda connection_id: account)
    answer = api("POST", f"/discrepancies/{row.id}/resolve", {"action": "accept_channel"})
    assert (answer.status_code, the_one().status) == (503, "open")


def test_many_by_rule(api: Call, house: House) -> None:
    found = [night(ROOM, ARRIVES + timedelta(days=n), 2, 1) for n in range(37)]
    settle(house.connection, [*found], kinds=["availability"])
    settle(house.connection, [finding()])
    verdict = {"action": "dismiss", "note": "painting"}

    for bad in ({}, {"kind": ""}, {"page": "2"}, {"kind": "x"}):
        assert api("POST", "/discrepancies/resolve", verdict | {"filter": bad}).status_code == 400
    assert api("POST", "/discrepancies/resolve", verdict).status_code == 400
    answer = api("POST", "/discrepancies/resolve", verdict | {"filter": {"kind": "availability"}})

    assert len(answer.json["resolved"]) == 37
    assert answer.json["skipped"] == []
    assert [row.kind for row in all_of() if row.status == "open"] == ["dates"]


def test_many_by_id_say_why_not(api: Call, row: Discrepancy) -> None:
    body = {"action": "dismiss", "note": "x", "ids": [str(row.id), NO_SUCH_ID]}
    answer = api("POST", "/discrepancies/resolve", body).json
    assert answer["resolved"] == [str(row.id)]
    assert answer["skipped"] == [{"id": NO_SUCH_ID, "reason": "no such discrepancy"}]
    too_many = {"action": "dismiss", "note": "x", "ids": [NO_SUCH_ID] * (MOST + 1)}
    assert api("POST", "/discrepancies/resolve", too_many).status_code == 400


def test_it_is_for_admins(client: FlaskClient, staff: Headers, row: Discrepancy) -> None:
    path = "/api/admin/discrepancies"
    for method, url in (
        ("GET", path),
        ("GET", f"{path}/{row.id}"),
        ("POST", f"{path}/{row.id}/resolve"),
        ("POST", f"{path}/resolve"),
    ):
        assert client.open(url, method=method, headers=staff, json={}).status_code == 403
        assert client.open(url, method=method, json={}).status_code == 401
