"""Alerts over JSON (INTERFACES §5)."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select

from app.models import Alert
from app.services import alerts
from app.transaction import transaction
from tests.api.conftest import Call
from tests.conftest import Clock
from tests.factories import NO_SUCH_ID


@pytest.fixture
def three(app: Flask, clock: Clock) -> list[str]:
    """Their ids: a warning, a critical one a minute later, and one that is over."""
    with transaction() as session:
        alerts.raise_alert(session, "run_slow", "stays", "warning", "Slow", "Look.")
        clock.move(minutes=1)
        alerts.raise_alert(session, "pin_late", "reservation:1", "critical", "No PIN", "Go.")
        clock.move(minutes=1)
        alerts.raise_alert(session, "lock_battery", "lock:1", "info", "100%_low", "Change it.")
        alerts.resolve(session, "lock_battery", "lock:1")
    with transaction() as session:
        return [str(each) for each in session.scalars(select(Alert.id).order_by(Alert.opened_at))]


def kinds(api: Call, query: str = "") -> list[str]:
    return [each["kind"] for each in api("GET", f"/alerts{query}").json["alerts"]]  # type: ignore[index]


def test_all_of_them_newest_first(api: Call, three: list[str]) -> None:
    answer = api("GET", "/alerts").json
    assert answer is not None
    assert [each["id"] for each in answer["alerts"]] == three[::-1]
    assert answer["pagination"] == {"page": 1, "limit": 50, "total": 3, "totalPages": 1}
    assert answer["alerts"][1] == {
        "id": three[1],
        "kind": "pin_late",
        "subject": "reservation:1",
        "severity": "critical",
        "title": "No PIN",
        "what_to_do": "Go.",
        "status": "open",
        "opened_at": "2026-03-10T12:01:00Z",
        "acknowledged_at": None,
        "acknowledged_by": None,
        "escalated_at": None,
        "resolved_at": None,
        "path": "/reservations",
        "notices": [],
    }
    assert answer["alerts"][0]["resolved_at"] == "2026-03-10T12:02:00Z"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?status=open", ["pin_late", "run_slow"]),
        ("?status=open,resolved&kind=lock_battery", ["lock_battery"]),
        ("?severity=critical", ["pin_late"]),
        ("?q=slow", ["run_slow"]),
        ("?q=%25_", ["lock_battery"]),
        ("?sort=severity", ["pin_late", "run_slow", "lock_battery"]),
        ("?sort=opened_at&order=asc", ["run_slow", "pin_late", "lock_battery"]),
        ("?sort=kind", ["lock_battery", "pin_late", "run_slow"]),
        ("?limit=1&page=2", ["pin_late"]),
    ],
)
def test_filters(api: Call, three: list[str], query: str, found: list[str]) -> None:
    assert kinds(api, query) == found


@pytest.mark.parametrize("query", ["status=lost", "kind=x", "severity=x", "sort=x", "page=0"])
def test_what_makes_no_sense_is_named(api: Call, query: str) -> None:
    answer = api("GET", f"/alerts?{query}")
    assert answer.status_code == 400
    assert query.split("=")[0] in answer.text


def test_acknowledging(api: Call, three: list[str], clock: Clock) -> None:
    first = api("POST", f"/alerts/{three[0]}/acknowledge")
    assert first.status_code == 200
    assert first.json is not None
    assert first.json["status"] == "acknowledged"
    assert first.json["acknowledged_at"] == "2026-03-10T12:02:00Z"
    assert "@" in first.json["acknowledged_by"]
    clock.move(minutes=5)
    assert api("POST", f"/alerts/{three[0]}/acknowledge").json == first.json
    assert api("GET", f"/alerts/{three[0]}").json == first.json
    assert api("POST", f"/alerts/{three[2]}/acknowledge").status_code == 409
    assert api("POST", f"/alerts/{NO_SUCH_ID}/acknowledge").status_code == 404


def test_a_test_names_every_way(api: Call) -> None:
    answer = api("POST", "/alerts/test")
    assert answer.status_code == 200
    off = {"configured": False, "ok": False, "error": None, "detail": None}
    assert answer.json == {"ways": [{"way": "email", **off}, {"way": "webhook", **off}]}
