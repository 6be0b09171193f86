"""The simple dialect on the wire: one GET, tolerant envelopes, no silent gaps (C-45, STAY-10)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import httpx
import pytest
import stamina

from app.config import Settings
from app.integrations import http
from app.integrations.channels import ChangeSet, load_channel
from app.integrations.channels.stays_payloads import parse_simple
from app.integrations.channels.stays_simple import StaysSimpleClient
from app.integrations.errors import NotConfigured, NotFound, Unreachable, Unreadable
from tests.integrations.channels.worlds import (
    LOGIN_PAGE,
    SINCE,
    TODAY,
    Booking,
    SimpleWorld,
    answering,
    payload,
)
from tests.integrations.vendor_server import answer, silence, vendor

ITEM = SimpleWorld.item(Booking())
HTML_404 = httpx.Response(404, html="<h1>Not Found</h1>")


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield
    http._pooled.cache_clear()


class Stays:
    """Answers in turn, the last one for all that follow; notes what was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.client = StaysSimpleClient(answering(self.handle, "https://stays.example/base"))

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return found if isinstance(found, httpx.Response) else httpx.Response(200, json=found)

    def changes(self, since: datetime = SINCE) -> ChangeSet:
        return self.client.changes(since, today=TODAY, known={})


def item(key: str, **more: Any) -> dict[str, Any]:
    return {**ITEM, "id": key, **more}


def make_settings(**more: Any) -> Settings:
    base: dict[str, Any] = {
        "app_env": "local",
        "database_url": "",
        "redis_url": "",
        "secret_key": "",
        "jwt_secret": "",
        "pin_encryption_keys": (),
    }
    return Settings(**base | more)


def test_one_get_asks_since_when_in_utc() -> None:
    stays = Stays([])
    since = datetime(2026, 11, 10, 9, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=-3)))
    answer = stays.changes(since)
    assert stays.asked == [
        "https://stays.example/base/api/reservations?updated_since=2026-11-10T12%3A00%3A00Z"
    ]
    assert (answer.fetched, answer.swept, answer.seen) == (0, None, frozenset())


@pytest.mark.parametrize(
    "envelope",
    [
        lambda items: items,
        lambda items: {"reservations": items},
        lambda items: {"data": items, "total": 3},
        lambda items: {"data": {"reservations": items}},
    ],
)
def test_every_envelope_is_opened(envelope: Callable[[Any], Any]) -> None:
    stays = Stays(envelope([item("A"), item("B")]))
    assert [stay.external_id for stay in stays.changes().reservations] == ["A", "B"]
    assert len(stays.asked) == 1


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"message": "please sign in"},
        {"reservations": None},
        {"reservations": {"A": ITEM}},
        {"error": {"code": 1}, "items": [ITEM]},
        "reservations",
        None,
        7,
        [1, 2],
        ["A"],
        [[ITEM]],
    ],
)
def test_another_shape_is_no_answer(document: Any) -> None:
    """P2-REC: what is not a list of reservations must fail the run."""
    with pytest.raises(Unreadable):
        Stays(httpx.Response(200, json=document)).changes()


def test_a_missing_path_fails_the_run_and_deletes_nothing() -> None:
    for missing in (httpx.Response(404, json={}), HTML_404):
        with pytest.raises(Unreadable):
            Stays(missing).changes()


def test_each_item_has_its_own_error_boundary() -> None:
    answer = Stays(
        [
            item("A"),
            item("B", check_out="2026-11-12"),
            item("C", check_in=None),
            5,
            item("", id=None),
        ]
    ).changes()
    assert [stay.external_id for stay in answer.reservations] == ["A"]
    assert [(error.external_id, error.reason) for error in answer.errors] == [
        ("B", "check_out 2026-11-12 is not after check_in 2026-11-12"),
        ("C", "check_in: expected a date YYYY-MM-DD or an ISO 8601 instant"),
        (None, "reservation: expected an object"),
        (None, "id: expected text or a whole number"),
    ]
    assert answer.fetched == 5


def test_one_copy_per_id_the_newest() -> None:
    newer = item("A", guest_name="New", updated_at="2026-11-10T10:00:00Z")
    older = item("A", guest_name="Old", updated_at="2026-11-10T09:00:00Z")
    for copies in ([newer, older], [older, newer]):
        (stay,) = Stays(copies).changes().reservations
        assert stay.guest_name == "New"
    unsaid = [item("A", guest_name="First"), item("A", guest_name="Last")]
    assert Stays(unsaid).changes().reservations[0].guest_name == "Last"


def test_a_named_next_page_is_read_too() -> None:
    stays = Stays(
        {"data": [item("A")], "next": "/base/api/reservations?page=2"},
        {"data": [item("B")], "next": "https://stays.example/base/api/reservations?page=3"},
        {"data": [item("C")], "next": None},
    )
    answer = stays.changes()
    assert [stay.external_id for stay in answer.reservations] == ["A", "B", "C"]
    assert stays.asked[1:] == [
        "https://stays.example/base/api/reservations?page=2",
        "https://stays.example/base/api/reservations?page=3",
    ]


def test_an_answer_without_a_new_id_ends_the_reading() -> None:
    """INTERFACES §2: a server that repeats itself is not read for ever."""
    stays = Stays(
        *({"data": [item("A")], "next": f"/api/reservations?page={n}"} for n in range(2, 50))
    )
    assert stays.changes().fetched == 1
    assert len(stays.asked) == 2


def test_a_lost_page_fails_the_whole_reading() -> None:
    first = {"data": [item("A")], "next": "/api/reservations?page=2"}
    with pytest.raises(Unreachable):
        Stays(first, httpx.Response(500)).changes()


def test_credentials_never_follow_a_link_elsewhere() -> None:
    stays = Stays({"data": [item("A")], "next": "https://evil.example/api"})
    with pytest.raises(Unreadable):
        stays.changes()
    assert len(stays.asked) == 1


@pytest.mark.parametrize(
    "envelope",
    [
        lambda one: one,
        lambda one: {"reservation": one},
        lambda one: {"data": one},
        lambda one: {"data": {"reservation": one}},
    ],
)
def test_one_reservation_in_every_envelope(envelope: Callable[[Any], Any]) -> None:
    stays = Stays(envelope(item("A/1 b")))
    assert stays.client.get("A/1 b").external_id == "A/1 b"
    assert stays.asked == ["https://stays.example/base/api/reservations/A%2F1%20b"]


@pytest.mark.parametrize("document", [[ITEM], {}, {"message": "gone"}, item("another"), None])
def test_another_object_is_not_the_reservation(document: Any) -> None:
    with pytest.raises(Unreadable):
        Stays(httpx.Response(200, json=document)).client.get(Booking.key)


@pytest.mark.parametrize("page", [HTML_404, httpx.Response(404, text="not found")])
def test_a_page_for_a_404_counts_while_the_list_answers(page: httpx.Response) -> None:
    stays = Stays(page, [])
    with pytest.raises(NotFound):
        stays.client.get("A")
    assert "updated_since=" in stays.asked[1]


@pytest.mark.parametrize("other", [HTML_404, LOGIN_PAGE, httpx.Response(404, json={})])
def test_a_page_for_a_404_is_an_outage_otherwise(other: httpx.Response) -> None:
    """A proxy in front of a dead server must not cancel stays one by one."""
    with pytest.raises(Unreadable):
        Stays(HTML_404, other).client.get("A")


@pytest.mark.parametrize("external_id", ["", ".", ".."])
def test_an_id_that_would_change_the_path_is_not_asked(external_id: str) -> None:
    stays = Stays(ITEM)
    with pytest.raises(NotFound):
        stays.client.get(external_id)
    assert stays.asked == []


@pytest.mark.parametrize("envelope", [None, "accommodations", "data"])
def test_units_in_every_envelope(envelope: str | None) -> None:
    units = [
        {"id": 17, "name": "Room 17", "code": "R17", "propertyId": 3},
        {"accommodationId": "Z", "title": "Loft", "isActive": False},
        {"id": "Y", "status": "Inactive"},
    ]
    found = Stays({envelope: units} if envelope else units).client.listings()
    assert [(u.external_id, u.name, u.code, u.property_ref, u.active) for u in found] == [
        ("17", "Room 17", "R17", "3", True),
        ("Z", "Loft", None, None, False),
        ("Y", "Y", None, None, False),
    ]


@pytest.mark.parametrize("missing", [httpx.Response(404, json={}), HTML_404])
def test_a_stays_without_a_unit_list_says_so(missing: httpx.Response) -> None:
    with pytest.raises(NotFound):
        Stays(missing).client.listings()


def test_a_unit_without_an_id_is_not_left_out() -> None:
    with pytest.raises(Unreadable, match="accommodation id"):
        Stays([{"id": "A"}, {"name": "no id"}]).client.listings()


def test_settings_make_a_client_with_its_key() -> None:
    body = json.dumps(payload("simple_envelope")).encode()
    with vendor(answer(body)) as server:
        settings = make_settings(stays_api_url=server.url, stays_api_key="key-1")
        client = load_channel("stays_simple")(settings)
        stays = client.changes(SINCE, today=TODAY, known={}).reservations
    assert [stay.amount for stay in stays] == [None, Decimal("813.38")]
    head = server.requests[0].decode()
    assert head.startswith("GET /api/reservations?updated_since=2026-11-10T09%3A00%3A00Z HTTP/1.1")
    assert "Authorization: Bearer key-1\r\n" in head


def test_without_a_url_stays_is_off() -> None:
    with pytest.raises(NotConfigured, match="STAYS_API_URL"):
        load_channel("stays_simple")(make_settings())


@pytest.mark.parametrize("cut", [1, 40, 200, -1])
def test_half_a_list_is_never_taken_for_a_whole_one(cut: int) -> None:
    body = json.dumps([item(str(n)) for n in range(50)]).encode()
    for script in (answer(body[:cut]), answer(body[:cut], length=len(body))):
        with vendor(script) as server:
            settings = make_settings(stays_api_url=server.url)
            client = load_channel("stays_simple")(settings)
            with pytest.raises(Unreadable):
                client.changes(SINCE, today=TODAY, known={})


def test_a_silent_stays_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http.VendorHttp.read, "__kwdefaults__", _impatient())
    with vendor(silence(0.5)) as server:
        client = load_channel("stays_simple")(make_settings(stays_api_url=server.url))
        with pytest.raises(Unreachable):
            client.changes(SINCE, today=TODAY, known={})


def _impatient() -> dict[str, Any]:
    defaults = dict(http.VendorHttp.read.__kwdefaults__ or {})
    return defaults | {"read_seconds": 0.1, "budget_seconds": 0.4}


def test_ten_thousand_items_are_read_in_reasonable_time() -> None:
    """INTERFACES §11 measures this properly; here only an accidental slowness is caught."""
    raw = json.dumps([item(f"A{n}", updated_at="2026-11-10T09:00:00Z") for n in range(10_000)])
    began = time.perf_counter()
    stays = [parse_simple(one) for one in json.loads(raw)]
    assert time.perf_counter() - began < 2
    assert len(stays) == 10_000
    assert stays[0].modified_at == datetime(2026, 11, 10, 9, 0, tzinfo=UTC)
