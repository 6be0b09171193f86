"""Reconciliation over JSON: status, runs, starting one (STAY-52…58, C-05, C-12)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.errors import Unavailable
from app.models import AuditEntry, ReconciliationLog
from app.services import channel_accounts, vendors
from app.transaction import transaction
from tests.api.conftest import Call, Headers
from tests.beds24 import make_beds24_house
from tests.conftest import Clock
from tests.factories import reload


def make_run(**fields: Any) -> ReconciliationLog:
    started = fields.pop("started_at", datetime(2026, 3, 10, 11, 30, tzinfo=UTC))
    values: dict[str, Any] = {
        "kind": "stays", "status": "success", "started_at": started,
        "completed_at": started + timedelta(seconds=135), "duration": 135_000,
        "fetched": 45, "created": 3, "updated": 12, "orphaned": 2, "deleted": 1, "errors": 1,
        "message": "1 of 45 reservations failed",
    }  # fmt: skip
    with transaction() as session:
        row = ReconciliationLog(**(values | fields))
        session.add(row)
        session.flush()
        session.refresh(row)
    return row


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stays is configured; nobody asks it anything here."""
    monkeypatch.setattr(vendors, "channel_client", lambda channel="stays": object())


def test_status_before_the_first_run(api: Call, clock: Clock) -> None:
    assert api("GET", "/reconciliation/status").json == {
        "data": {
            "lastRun": None,
            "nextRun": "2026-03-10T12:30:00Z",
            "currentStatus": "never_run",
            "schedule": "*/30 * * * * (Every 30 minutes)",
        }
    }


def test_status_after_a_run(api: Call, clock: Clock) -> None:
    row = make_run()
    data = api("GET", "/reconciliation/status").json["data"]
    assert data["lastRun"] == {
        "id": str(row.id), "startedAt": "2026-03-10T11:30:00Z",
        "completedAt": "2026-03-10T11:32:15Z", "duration": 135_000, "status": "success",
        "message": "1 of 45 reservations failed",
        "stats": {"fetched": 45, "created": 3, "updated": 12, "orphaned": 2, "deleted": 1,
                  "errors": 1},
    }  # fmt: skip
    assert data["currentStatus"] == "success"


def test_status_of_another_kind(api: Call) -> None:
    make_run()
    data = api("GET", "/reconciliation/status?kind=beds24_rates").json["data"]
    assert data["currentStatus"] == "never_run"
    wrong = api("GET", "/reconciliation/status?kind=hotels")
    assert (wrong.status_code, wrong.json["errors"][0]["field"]) == (400, "kind")


def test_runs_are_listed_newest_first_with_filters(api: Call) -> None:
    old = make_run(started_at=datetime(2026, 3, 9, tzinfo=UTC), status="failed")
    new = make_run(retry_of=old.id, attempt=2)

    def ids(query: str) -> list[str]:
        return [row["id"] for row in api("GET", f"/reconciliation/runs?{query}").json["runs"]]

    assert ids("") == [str(new.id), str(old.id)]
    assert ids("status=failed") == [str(old.id)]
    assert ids("kind=beds24_rates") == []
    assert ids("limit=1&page=2") == [str(old.id)]
    shown = api("GET", f"/reconciliation/runs/{new.id}").json
    assert (shown["retry_of"], shown["attempt"]) == (str(old.id), 2)
    assert (shown["duration"], shown["stats"]["fetched"], shown["plan"]) == (135_000, 45, None)
    assert api("GET", f"/reconciliation/runs/{uuid4()}").status_code == 404


def test_starting_a_run(app: Flask, api: Call, connected: None) -> None:
    answer = api("POST", "/reconciliation/runs", {"kind": "stays", "dry_run": True})
    assert answer.status_code == 202, answer.data
    row = reload(ReconciliationLog(id=answer.json["runId"]))
    assert (row.status, row.trigger, row.dry_run) == ("pending", "manual", True)
    assert row.requested_by is not None
    with transaction() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "start")).one()
    assert (entry.actor_id, entry.ip) == (row.requested_by, "127.0.0.1")
    again = api("POST", "/reconciliation/runs", {"kind": "stays"})
    assert again.status_code == 409
    assert api("GET", "/reconciliation/status").status_code == 200


def test_one_run_for_each_property_at_beds24(
    app: Flask, api: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_accounts, "of_property", lambda connection_id: connection_id)
    asked = {"kind": "beds24_bookings"}
    assert api("POST", "/reconciliation/runs", asked).status_code == 503
    first, second = make_beds24_house(), make_beds24_house("51002", "620022")
    alone = api("POST", "/reconciliation/runs", asked | {"property_id": str(second.home.id)})
    assert alone.json["runIds"] == [alone.json["runId"]]
    both = api("POST", "/reconciliation/runs", asked)
    assert (both.status_code, len(both.json["runIds"])) == (202, 1)
    assert reload(ReconciliationLog(id=both.json["runId"])).property_id == first.home.id
    assert api("POST", "/reconciliation/runs", asked).status_code == 409
    listed = api("GET", f"/reconciliation/runs?property_id={first.home.id}").json["runs"]
    assert [run["id"] for run in listed] == both.json["runIds"]
    assert (listed[0]["property_id"], listed[0]["stats"]["flagged"]) == (str(first.home.id), 0)
    for query, last in ((f"property_id={second.home.id}", alone), ("", both)):
        shown = api("GET", f"/reconciliation/status?kind=beds24_bookings&{query}").json["data"]
        assert (shown["currentStatus"], shown["schedule"]) == ("pending", "7,22,37,52 * * * *")
        assert shown["lastRun"]["id"] == last.json["runId"]
    assert api("GET", "/reconciliation/status?property_id=x").status_code == 400


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"kind": "beds24_rates", "since": "2026-03-01T00:00:00Z"}, "since"),
        ({}, "kind"),
        ({"kind": "hotels"}, "kind"),
        ({"kind": 7}, "kind"),
        ({"kind": "stays", "since": "yesterday"}, "since"),
        ({"kind": "stays", "since": "2026-03-01T00:00:00"}, "since"),
        ({"kind": "stays", "since": "2999-01-01T00:00:00Z"}, "since"),
        ({"kind": "stays", "dry_run": "yes"}, "dry_run"),
        ({"kind": "stays", "property_id": "x"}, "property_id"),
        ({"kind": "stays", "force": True}, "force"),
    ],
)
def test_a_bad_field_is_named(
    api: Call, connected: None, given: dict[str, Any], field: str
) -> None:
    answer = api("POST", "/reconciliation/runs", given)
    assert answer.status_code == 400, answer.data
    assert [error["field"] for error in answer.json["errors"]] == [field]


def test_a_channel_that_is_not_configured_is_503(
    api: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off(channel: str = "stays") -> None:
        raise Unavailable("Stays is not configured")

    monkeypatch.setattr(vendors, "channel_client", off)
    assert api("POST", "/reconciliation/runs", {"kind": "stays"}).status_code == 503


def test_applying_needs_a_plan_that_waits(api: Call, connected: None) -> None:
    row = make_run()
    path = f"/reconciliation/runs/{row.id}/apply"
    assert api("POST", path, {}).status_code == 400
    assert api("POST", path, {"plan_hash": "abc"}).status_code == 409
    unknown = f"/reconciliation/runs/{uuid4()}/apply"
    assert api("POST", unknown, {"plan_hash": "abc"}).status_code == 404


def test_staff_look_and_do_not_start(client: FlaskClient, staff: Headers) -> None:
    base = "/api/admin/reconciliation"
    assert client.get(f"{base}/status", headers=staff).status_code == 200
    assert client.get(f"{base}/runs", headers=staff).status_code == 200
    started = client.post(f"{base}/runs", json={"kind": "stays"}, headers=staff)
    assert started.status_code == 403


def test_runs_are_searched_and_ordered(api: Call, clock: Clock) -> None:
    first = make_run(duration=9_000)
    second = make_run(
        started_at=datetime(2026, 3, 10, 11, 45, tzinfo=UTC), duration=1_000,
        message="Failed to fetch from Stays API", status="failed",
    )  # fmt: skip

    def ids(query: str) -> list[str]:
        return [run["id"] for run in api("GET", f"/reconciliation/runs{query}").json["runs"]]

    newest_first = [str(second.id), str(first.id)]
    assert ids("") == newest_first
    assert ids("?order=asc") == newest_first[::-1]
    assert ids("?sort=duration&order=desc") == newest_first[::-1]
    assert ids("?q=failed%20to%20FETCH") == [str(second.id)]
    assert ids("?q=%25") == []
    for query in ("sort=zz", "order=up"):
        answer = api("GET", f"/reconciliation/runs?{query}")
        assert answer.status_code == 400
        assert answer.json["errors"][0]["field"] == query.split("=")[0]
