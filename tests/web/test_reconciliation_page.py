"""The reconciliation pages: figures, notices, running now, plans."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.integrations.channels.fake import FakeChannel
from app.integrations.errors import Unreachable
from app.models import ReconciliationFailure, ReconciliationLog, Reservation, VendorState
from app.services import reconciliation, reconciliation_reading, vendors
from app.transaction import transaction
from app.web import reconciliation as page_module
from app.web.charts import round_seconds, round_top
from app.web.reconciliation_figures import percent
from tests.channels import make_copy
from tests.conftest import Clock
from tests.factories import make_accommodation, make_property
from tests.web.conftest import token_in
from tests.web.forms import said_on
from tests.web.scenes import NOON

Statements = Callable[[], AbstractContextManager[list[str]]]
HTMX = {"HX-Request": "true", "HX-Target": "runs"}


@pytest.fixture(autouse=True)
def stays(app: object, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> FakeChannel:
    """Stays, in memory and connected."""
    channel = FakeChannel()
    monkeypatch.setattr(vendors, "channel_client", lambda name="stays": channel)
    monkeypatch.setattr(reconciliation_reading, "ASK_AGAIN_SECONDS", 0.0)
    connected = SimpleNamespace(stays_configured=True)
    monkeypatch.setattr(page_module, "settings", lambda: connected)
    return channel


def make_run(at: datetime, **fields: Any) -> ReconciliationLog:
    """A run as it ended."""
    defaults: dict[str, Any] = {
        "kind": "stays",
        "status": "success",
        "started_at": at,
        "completed_at": at + timedelta(seconds=135),
        "duration": 135_000,
    }
    with transaction() as session:
        row = ReconciliationLog(**(defaults | fields))
        session.add(row)
        session.flush()
        session.refresh(row)
    return row


def post(client: FlaskClient, path: str, htmx: bool = False, **fields: str) -> TestResponse:
    token = token_in(client.get("/"))
    return client.post(path, data={"csrf_token": token} | fields, headers=HTMX if htmx else {})


def plain(page: TestResponse) -> str:
    """The words of a page, without its tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.text).split())


def test_before_the_first_run(staff: FlaskClient) -> None:
    page = staff.get("/reconciliation")
    assert page.status_code == 200
    assert "No run yet" in page.text
    assert "The first one starts at 12:30." in page.text


def test_while_stays_is_not_set_up(admin: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    off = SimpleNamespace(stays_configured=False)
    monkeypatch.setattr(page_module, "settings", lambda: off)
    page = admin.get("/reconciliation").text
    assert "Stays is not connected yet" in page
    assert 'id="run-now"' not in page


def test_the_last_run_in_figures(staff: FlaskClient) -> None:
    """STAY-59, STAY-60: 45 in 2 min 15 s."""
    make_run(NOON - timedelta(minutes=30), fetched=45, created=3, updated=12, orphaned=0, errors=0)
    page = staff.get("/reconciliation")
    words = plain(page)
    for said in (
        "2 min 15 s",
        "45 read, 3 s each",
        "0.33 per second",
        "3 new, 12 changed",
        "Success, 24 hours 100%",
        "1 run took longer than 2 minutes.",
    ):
        assert said in words, said
    assert "style=" not in page.text
    assert f'data-until="{(NOON + timedelta(minutes=30)).isoformat(timespec="seconds")}"' in (
        page.text
    )


def test_errors_and_failures_are_counted(staff: FlaskClient) -> None:
    make_run(NOON - timedelta(hours=3), errors=2, fetched=9)
    make_run(NOON - timedelta(hours=2), status="failed", errors=1, error_kind="unreachable")
    make_run(NOON - timedelta(hours=1))
    make_run(NOON - timedelta(hours=1), dry_run=True, status="failed")
    words = plain(staff.get("/reconciliation"))
    assert "Success, 24 hours 66.7%" in words
    assert "1 of 3 runs failed" in words
    assert "Success, 2 errors" in words
    assert "Stays could not be reached" in words
    failed = plain(staff.get("/reconciliation?show=failed"))
    assert "1–2 of 2" in failed


def test_a_day_is_the_day_of_the_property(staff: FlaskClient) -> None:
    """02:00 UTC is still yesterday in São Paulo."""
    make_property()
    make_run(NOON - timedelta(hours=10), created=5)
    make_run(NOON - timedelta(hours=8), created=2)
    words = plain(staff.get("/reconciliation"))
    assert "Changed today 2" in words
    assert "Mon 9 Mar: 5 new, 0 changed" in words


def test_stays_cannot_be_reached(staff: FlaskClient) -> None:
    make_run(NOON - timedelta(hours=2))
    with transaction() as session:
        since = NOON - timedelta(minutes=90)
        session.add(VendorState(vendor="stays", failing_since=since, last_error_kind="unreachable"))
    words = plain(staff.get("/reconciliation"))
    assert (
        "Stays cannot be reached Since 10:30. Reservations from Stays are as of 10:00."
        " We try again at 12:30; PINs already planned are not affected."
    ) in words


def test_what_was_left_out_stands_on_the_page(staff: FlaskClient) -> None:
    make_run(NOON - timedelta(hours=1), errors=1)
    with transaction() as session:
        session.add(
            ReconciliationFailure(
                channel="stays",
                external_id="RES-77",
                kind="invalid",
                reason="check-out is before check-in",
                first_failed_at=NOON,
                last_failed_at=NOON,
            )
        )
    words = plain(staff.get("/reconciliation"))
    assert "RES-77 check-out is before check-in" in words


# --- run now ---------------------------------------------------------------------------------


def test_staff_read_and_admins_run(staff: FlaskClient, admin: FlaskClient) -> None:
    assert "Run now" not in staff.get("/reconciliation").text
    assert post(staff, "/reconciliation/run").status_code == 403
    assert "Run now" in admin.get("/reconciliation").text
    assert admin.post("/reconciliation/run").status_code == 403  # without its token


def test_run_now(admin: FlaskClient, stays: FakeChannel) -> None:
    done = post(admin, "/reconciliation/run")
    assert (done.status_code, done.location) == (303, "/reconciliation")
    page = admin.get("/reconciliation")
    assert "Running since 12:00:00" in page.text
    assert 'hx-trigger="every 2s, refresh"' in page.text
    assert "Davi Lacerda" in page.text
    run = reconciliation.overview().running
    assert run is not None
    reconciliation.run(run.id)
    page = admin.get("/reconciliation")
    assert "Running" not in plain(page)
    assert 'hx-trigger="every 30s, refresh"' in page.text


def test_one_at_a_time(admin: FlaskClient) -> None:
    """STAY-04: the second one says so, in place."""
    assert post(admin, "/reconciliation/run", htmx=True).status_code == 200
    again = post(admin, "/reconciliation/run", htmx=True)
    assert again.status_code == 409
    assert again.text.lstrip().startswith('<div class="stack" id="runs"')
    assert "A run is under way already" in again.text
    assert "/reconciliation/run?" not in again.text  # its links lead to the page, not the button
    plain_again = post(admin, "/reconciliation/run")
    assert plain_again.status_code == 409
    assert "<h1>Reconciliation</h1>" in plain_again.text
    assert "A run is under way already" in plain_again.text


def test_a_poll_without_news_gets_nothing(staff: FlaskClient) -> None:
    make_run(NOON - timedelta(hours=1))
    page = staff.get("/reconciliation?show=failed").text
    poll = re.search(r'data-poll hx-get="([^"]+)"', page)
    assert poll
    url = poll[1].replace("&amp;", "&")
    assert "show=failed" in url
    assert staff.get(url, headers=HTMX).status_code == 204
    make_run(NOON - timedelta(minutes=1), status="failed", error_kind="unreachable")
    news = staff.get(url, headers=HTMX)
    assert news.status_code == 200
    assert news.text.lstrip().startswith('<div class="stack" id="runs"')


def test_pages_of_runs(staff: FlaskClient) -> None:
    for number in range(30):
        make_run(NOON - timedelta(minutes=30 * number))
    words = plain(staff.get("/reconciliation"))
    assert "1–25 of 30" in words
    assert "26–30 of 30" in plain(staff.get("/reconciliation?page=2"))
    beyond = staff.get("/reconciliation?page=9")
    assert beyond.status_code == 303
    assert "page=2" in beyond.location
    assert staff.get("/reconciliation?page=x").status_code == 422


def test_the_number_of_statements_does_not_grow(staff: FlaskClient, statements: Statements) -> None:
    make_run(NOON - timedelta(minutes=30))
    staff.get("/reconciliation")
    with statements() as first:
        staff.get("/reconciliation")
    for number in range(60):
        make_run(NOON - timedelta(hours=number + 1))
    with statements() as later:
        staff.get("/reconciliation?limit=50")
    assert len(later) == len(first)
    assert len(later) <= 16


# --- one run ---------------------------------------------------------------------------------


def test_a_run_that_is_nowhere(staff: FlaskClient) -> None:
    assert staff.get(f"/reconciliation/runs/{uuid4()}").status_code == 404


def test_the_tries_of_a_run(admin: FlaskClient, stays: FakeChannel, clock: Clock) -> None:
    """C-10: each in a row of its own; the page shows them as one story."""
    stays.fail("changes", Unreachable("no route", vendor="stays"))
    first = reconciliation.start("stays", trigger="schedule")
    reconciliation.run(first)
    page = admin.get(f"/reconciliation/runs/{first}")
    assert "Stays could not be reached" in page.text
    assert "It is tried again at 12:00:02." in page.text
    assert 'hx-trigger="every 2s, refresh"' in page.text
    clock.move(seconds=2)
    reconciliation.run(first)
    page = admin.get(f"/reconciliation/runs/{first}")
    assert "Try 1 (this one)" in plain(page)
    assert "Try 2" in plain(page)
    assert "data-poll" not in page.text


def test_a_dry_run_writes_nothing_and_is_applied_as_seen(
    admin: FlaskClient, staff: FlaskClient, stays: FakeChannel
) -> None:
    room = make_accommodation(name="Coral", number="203")
    stays.put(make_copy(room))
    done = post(admin, "/reconciliation/run", dry_run="true")
    assert done.status_code == 303
    path = done.location
    reconciliation.run(path.rpartition("/")[2])
    page = admin.get(path)
    assert "Nothing written" in page.text
    assert "203 Coral" in page.text
    assert "Apply exactly this plan…" in page.text
    assert "Apply exactly" not in staff.get(path).text
    assert staff.get(f"{path}/apply").status_code == 403
    with transaction() as session:
        assert session.query(Reservation).count() == 0
    asked = admin.get(f"{path}/apply")
    assert "Apply 1 change" in asked.text
    plan_hash = re.search(r'name="plan_hash" value="(\w+)"', asked.text)
    assert plan_hash
    assert post(admin, f"{path}/apply", plan_hash="another").status_code == 409
    applied = post(admin, f"{path}/apply", plan_hash=plan_hash[1])
    assert applied.status_code == 303
    reconciliation.run(applied.location.rpartition("/")[2])
    with transaction() as session:
        assert session.query(Reservation).count() == 1


def test_single_errors_are_told_in_the_language_of_the_page(admin: FlaskClient) -> None:
    reasons = {
        "1": "unit 2 of room 610011 of property 51001 is not mapped",
        "2": "room 610011 of property 51001 is not mapped to a room type",
        "3": "room 610011: price from 2026-03-11 to 2026-03-12 cannot be read",
        "4": "something new to us",
    }
    errors = [{"external_id": id_, "reason": said} for id_, said in reasons.items()]
    plan = {"counts": {"create": 0}, "items": [], "more": 0, "errors": errors}
    run = make_run(NOON, dry_run=True, errors=4, plan=plan)
    path = f"/reconciliation/runs/{run.id}"
    said = said_on(admin.get(path))
    for id_, reason in reasons.items():
        assert f"{id_} : {reason}" in said
    said = said_on(admin.get(f"{path}?lang=pt"))
    assert "1 : a unidade 2 do quarto 610011 da propriedade 51001 não está mapeada" in said
    assert "2 : o quarto 610011 da propriedade 51001 não está mapeado a um tipo de quarto" in said
    assert "3 : quarto 610011: price de 2026-03-11 a 2026-03-12 não pôde ser lido" in said
    assert "4 : something new to us" in said


def stopped_run() -> ReconciliationLog:
    """The brake has stopped it: seven of nine active stays."""
    plan = {
        "counts": {"create": 0, "update": 0, "move": 0, "cancel": 7},
        "risky": 7,
        "active": 9,
        "stopped": True,
        "more": 0,
        "items": [
            {
                "action": "cancel",
                "external_id": f"RES-{number}",
                "reservation_id": str(uuid4()),
                "from": {"status": "confirmed"},
                "to": {"status": "cancelled"},
            }
            for number in range(7)
        ],
    }
    return make_run(NOON, status="failed", error_kind="stopped", plan=plan, plan_hash="abc")


def test_the_brake_says_why_and_asks_for_the_number(admin: FlaskClient) -> None:
    path = f"/reconciliation/runs/{stopped_run().id}"
    page = plain(admin.get(path))
    assert "Stopped before anything was written" in page
    assert "It would cancel or move 7 of 9 active stays." in page
    asked = admin.get(f"{path}/apply")
    assert "Type 7 to go on." in asked.text
    assert "btn--danger" in asked.text
    for typed in ("", "6"):
        refused = post(admin, f"{path}/apply", plan_hash="abc", count=typed)
        assert refused.status_code == 422
        assert 'aria-invalid="true"' in refused.text
    moved_on = post(admin, f"{path}/apply", plan_hash="abc", count="7")
    assert moved_on.status_code == 409
    assert "Nothing was applied" in moved_on.text


def test_a_run_without_a_plan_has_nothing_to_apply(admin: FlaskClient) -> None:
    path = f"/reconciliation/runs/{make_run(NOON).id}"
    assert "Apply" not in admin.get(path).text
    assert admin.get(f"{path}/apply").status_code == 409


# --- charts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "top"), [(0, 2), (2, 2), (3, 4), (7, 10), (11, 20), (51, 60)])
def test_a_round_top(value: int, top: int) -> None:
    assert round_top(value) == top


@pytest.mark.parametrize(("seconds", "top"), [(0.2, 0.5), (3, 4), (121, 180), (90_000, 90_000)])
def test_a_round_duration(seconds: float, top: float) -> None:
    assert round_seconds(timedelta(seconds=seconds)) == top


def test_percentages_have_one_decimal(app: Flask) -> None:
    with app.test_request_context():
        assert [percent(share) for share in (None, 1, 0.9375, 0)] == ["—", "100%", "93.8%", "0%"]


def test_the_limit_is_drawn_once_runs_come_near(staff: FlaskClient) -> None:
    make_run(NOON - timedelta(hours=1), duration=800)
    page = staff.get("/reconciliation").text
    assert "c-ref" not in page
    assert "The limit of 2 minutes is far above." in page
    make_run(NOON - timedelta(minutes=30), duration=90_000)
    page = staff.get("/reconciliation").text
    assert 'class="c-ref"' in page
    assert "The dashed line is the 2-minute limit." in page
