"""The weekly reports as pages and as a file: who may, what they say, what they leave out."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.integrations.channels import ItemError
from app.integrations.channels.fake import FakeChannel
from app.integrations.errors import Unreachable
from app.models import ComparisonReport, Property, ReconciliationLog, Reservation
from app.services import reconciliation, vendors
from app.transaction import transaction
from app.web import comparison_reports as page_module
from tests.channels import make_copy
from tests.conftest import Clock
from tests.factories import make_accommodation, make_property, make_stay
from tests.web.conftest import token_in
from tests.web.test_reconciliation_page import plain

Statements = Callable[[], AbstractContextManager[list[str]]]
PATH = "/reconciliation/reports"


@pytest.fixture(autouse=True)
def stays(app: object, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> FakeChannel:
    """Stays, in memory and connected."""
    channel = FakeChannel()
    monkeypatch.setattr(vendors, "channel_client", lambda name="stays": channel)
    connected = SimpleNamespace(stays_configured=True)
    monkeypatch.setattr(page_module, "settings", lambda: connected)
    return channel


def side(**fields: Any) -> dict[str, Any]:
    return {
        "status": "confirmed", "check_in": "2026-03-20", "check_out": "2026-03-22",
        "room": "Suite 1", "amount": "300.00", "currency": "BRL",
    } | fields  # fmt: skip


def difference(number: int, kinds: list[str], **fields: Any) -> dict[str, Any]:
    return {
        "id": f"S{number}", "kinds": kinds, "ours": side(), "theirs": side(),
        "reservation_id": None,
    } | fields  # fmt: skip


def make_report(
    differences: list[dict[str, Any]], home: Property | None = None, **figures: Any
) -> ReconciliationLog:
    """A comparison as it ended on 10 March, of 2,000 stays."""
    found: dict[str, Any] = {
        "compared": 2000, "agree": 2000 - len(differences), "differ": len(differences),
        "kinds": {"dates": len(differences)}, "not_compared": {}, "money": {}, "before": None,
        "kept": len(differences), "runs": {"stays": {"succeeded": 335, "failed": 1}},
        "doors": {"due": 4, "on_lock": 3, "on_time": 21, "late": 2, "never": 0, "left_behind": 0},
    }  # fmt: skip
    at = datetime(2026, 3, 10, 2, 20, tzinfo=UTC)
    with transaction() as session:
        row = ReconciliationLog(
            kind="stays_deep" if home is None else "beds24_deep",
            property_id=home.id if home else None, status="success", started_at=at,
            completed_at=at, duration=1000,
        )  # fmt: skip
        session.add(row)
        session.flush()
        session.add(
            ComparisonReport(run_id=row.id, figures=found | figures, differences=differences)
        )
        session.refresh(row)
    return row


def rows_of(answer: TestResponse) -> list[dict[str, str]]:
    text = answer.get_data(as_text=True)
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def test_staff_may_not(staff: FlaskClient) -> None:
    row = make_report([])
    for path in (PATH, f"{PATH}/{row.id}", f"{PATH}/{row.id}/csv"):
        assert staff.get(path).status_code == 403


def test_the_page_says_what_differs(admin: FlaskClient) -> None:
    make_property(timezone="America/Sao_Paulo")
    stay = make_stay(guest="Marta Queiroz", external_id="S1")
    found = [
        difference(1, ["only_here"], theirs=None, reservation_id=str(stay.id)),
        difference(2, ["only_there"], ours=None),
        difference(3, ["dates", "amount"], theirs=side(check_out="2026-03-24", amount="450.00"),
                   reservation_id="00000000-0000-0000-0000-000000000001"),
        difference(4, ["status", "room"], theirs=side(status="cancelled", room="Suite 2")),
    ]  # fmt: skip
    row = make_report(
        found,
        kinds={"only_here": 1, "only_there": 1, "status": 1, "dates": 1, "room": 1, "amount": 1},
        not_compared={"moving": 2, "not_asked": 1},
        money={"BRL": {"more": "150.00", "only_there": "300.00"}},
        before={"run_id": str(stay.id), "at": "2026-03-03T02:20:00+00:00", "compared": 1990,
                "agree": 1985, "differ": 5, "kinds": {"dates": 4, "guest": 1}},
    )  # fmt: skip
    page = admin.get(f"{PATH}/{row.id}")
    words = plain(page)
    assert page.status_code == 200
    for said in (
        "Weekly report: Stays",
        "Mon 9 Mar, 23:20",  # at the property
        "Agree 99.8% 1,996 of 2,000 stays",
        "Differ 4 1 fewer than before",
        "Not compared 3",
        "PINs on locks now 3 / 4",
        "Only here 1 0",
        "Dates 1 4",
        "Guest 0 1",
        "Before: the report of Mon 2 Mar, 99.7% agreed.",
        "The channel says more R$150.00",
        "Bookings only at the channel R$300.00",
        "Changing at that moment; the next run has them 2",
        "PIN on the lock in time 21 Late 2",
        "Stays 1 of 336 failed",
        "Marta Queiroz S1 Only here Here: 20–22 Mar, Suite 1, Confirmed, R$300.00 Stays: —",
        "S2 Only at the channel Here: — Stays: 20–22 Mar, Suite 1, Confirmed, R$300.00",
        "S3 Dates Here: 20–22 Mar Stays: 20–24 Mar Price Here: R$300.00 Stays: R$450.00",
        "S4 Status Here: Confirmed Stays: Cancelled Room Here: Suite 1 Stays: Suite 2",
    ):
        assert said in words, said
    assert f'href="/reservations/{stay.id}"' in page.text
    assert "00000000-0000-0000-0000-000000000001" not in page.text  # that stay is gone
    with transaction() as session:
        session.get_one(Reservation, stay.id).guest_name = None  # forgotten
    assert "Marta" not in admin.get(f"{PATH}/{row.id}").text


def test_all_agree_only_when_all_do(admin: FlaskClient) -> None:
    row = make_report([difference(1, ["dates"])], compared=20_000, agree=19_999)
    assert "Agree 99.9%" in plain(admin.get(f"{PATH}/{row.id}"))
    row = make_report([], kinds={})
    words = plain(admin.get(f"{PATH}/{row.id}"))
    assert "Agree 100%" in words
    assert "Nothing. Both sides agree." in words


def test_the_page_lists_some_and_the_file_all(admin: FlaskClient, statements: Statements) -> None:
    row = make_report([difference(n, ["dates"]) for n in range(2500)], differ=2600)
    with statements() as seen:
        page = admin.get(f"{PATH}/{row.id}")
    assert len(seen) < 15
    assert page.text.count('class="a-sides"') == 300
    assert "and 2200 more in the CSV 100 more were counted and not kept" in plain(page)
    found = rows_of(admin.get(f"{PATH}/{row.id}/csv"))
    assert [each["booking"] for each in found] == [f"S{n}" for n in range(2500)]


def test_the_file_is_no_formula_and_names_no_guest(admin: FlaskClient) -> None:
    stay = make_stay(guest="Marta Queiroz")
    home = make_property(timezone="Asia/Tokyo")
    row = make_report(
        [
            difference(1, ["room", "amount"], theirs=side(room="=HYPERLINK(1)", amount="310.00"),
                       reservation_id=str(stay.id)),
            difference(2, ["only_there"], ours=None),
        ],
        home,
    )  # fmt: skip
    answer = admin.get(f"{PATH}/{row.id}/csv")
    name = "beds24-differences-2026-03-10.csv"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Marta" not in answer.text
    first, second = rows_of(answer)
    assert first["differs_in"] == "room amount"
    assert (first["our_room"], first["their_room"]) == ("Suite 1", "'=HYPERLINK(1)")
    assert (first["our_amount"], first["their_amount"]) == ("300.00", "310.00")
    assert first["reservation_id"] == str(stay.id)
    assert (second["our_status"], second["their_check_in"]) == ("", "2026-03-20")


def test_a_comparison_is_started_by_hand_and_followed(
    admin: FlaskClient, stays: FakeChannel
) -> None:
    stays.put(make_copy(make_accommodation(), "S1"))
    assert 'id="compare-stays"' in admin.get(PATH).text
    assert 'id="compare-beds24"' not in admin.get(PATH).text  # nobody is connected
    fields = {"csrf_token": token_in(admin.get("/")), "channel": "stays"}
    answer = admin.post(PATH, data=fields)
    assert answer.status_code == 303
    page = admin.get(answer.location)
    assert "Running since" in plain(page)
    assert "data-poll" in page.text
    refused = admin.post(PATH, data=fields)
    assert refused.status_code == 409
    assert "This comparison is under way already" in plain(refused)
    reconciliation.run(reconciliation.runs(reconciliation.RunFilter()).items[0].id)
    page = admin.get(answer.location)
    assert "data-poll" not in page.text
    assert "S1 Only at the channel" in plain(page)
    assert admin.post(PATH, data=fields | {"channel": "beds24"}).status_code == 503


def test_what_could_not_be_read_is_named_by_its_run(admin: FlaskClient, stays: FakeChannel) -> None:
    stays.errors.append(ItemError("S7", "check_out 2026-03-20 is not after check_in 2026-03-20"))
    (run_id,) = reconciliation.start_deep("stays", trigger="manual")
    reconciliation.run(run_id)
    page = admin.get(f"{PATH}/{run_id}")
    assert "The channel's copy could not be read 1" in plain(page)
    assert f'href="/reconciliation/runs/{run_id}"' in page.text
    named = plain(admin.get(f"/reconciliation/runs/{run_id}"))
    assert "Everything at Stays" in named
    assert "S7" in named


def test_the_list_has_good_and_failed_ones(
    admin: FlaskClient, stays: FakeChannel, clock: Clock
) -> None:
    assert "No report yet" in plain(admin.get(PATH))
    home, other = make_property(name="Vila"), make_property(name="Casa")
    make_report([difference(1, ["dates"])], home, not_compared={"moving": 7})
    make_report([], other)
    stays.fail("active", Unreachable("stays gave no answer"))
    (run_id,) = reconciliation.start_deep("stays", trigger="schedule")
    reconciliation.run(run_id)
    words = plain(admin.get(PATH))
    assert "Beds24, Vila 99.9% agree Compared 2,000 Differ 1 Not compared 7" in words
    assert "Beds24, Casa 100% agree" in words
    assert "Stays Failed Stays could not be reached" in words
    assert "Stays could not be reached" in plain(admin.get(f"{PATH}/{run_id}"))
    assert "Casa 100%" not in plain(admin.get(f"{PATH}?property={home.id}"))


def test_another_kind_of_run_has_no_report(admin: FlaskClient) -> None:
    run_id = reconciliation.start("stays", trigger="manual")
    assert admin.get(f"{PATH}/{run_id}").status_code == 404
    assert admin.get(f"{PATH}/{run_id}/csv").status_code == 404
