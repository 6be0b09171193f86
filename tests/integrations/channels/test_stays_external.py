"""The External API v1 dialect: what its sweeps read, skip and never lose (contracts §1-§10)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, time, timedelta
from typing import Any

import httpx
import pytest
import stamina

from app.integrations import http
from app.integrations.channels import ChangeSet, ChannelReservation, load_channel
from app.integrations.channels.stays_external import StaysExternalClient
from app.integrations.errors import NotConfigured, NotFound, RateLimited, Unreachable, Unreadable
from tests.integrations.channels.test_stays_simple import make_settings
from tests.integrations.channels.worlds import (
    LOGIN_PAGE,
    SINCE,
    TODAY,
    Booking,
    ExternalWorld,
    answering,
    payload,
)
from tests.integrations.vendor_server import answer, vendor

KEY = Booking.key
LIST = "/external/v1/booking/reservations"
EXPORT = "/external/v1/booking/reservations-export"
CLIENTS = "/external/v1/booking/clients/"
DETAIL = LIST + "/"


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield
    http._pooled.cache_clear()


@pytest.fixture
def world() -> ExternalWorld:
    """Nothing was created these days, so that only the export speaks."""
    world = ExternalWorld()
    world.created = set()
    world.put_unit(Booking.unit, "Room 101")
    return world


def run(world: ExternalWorld, known: dict[str, str | None] | None = None) -> ChangeSet:
    world.requests.clear()
    return world.client.changes(SINCE, today=TODAY, known=known or {})


def key(n: int) -> str:
    return f"65aa00000000000000{n:06d}"


def hashes(answer: ChangeSet) -> dict[str, str | None]:
    return {stay.external_id: stay.sweep_hash for stay in answer.reservations}


def only(answer: ChangeSet) -> ChannelReservation:
    (stay,) = answer.reservations
    return stay


# What a run asks for


def test_a_run_asks_for_two_sweeps(world: ExternalWorld) -> None:
    run(world)
    bodies = [json.loads(r.content) for r in world.requests if r.url.path == EXPORT]
    assert bodies[0] == {
        "from": "2026-11-09",
        "to": "2026-12-09",
        "dateType": "included",
        "type": ["reserved", "booked", "contract", "canceled"],
    }
    assert [body["from"] for body in bodies[1:]] == [body["to"] for body in bodies[:-1]]
    assert bodies[-1]["to"] == (TODAY + timedelta(days=120)).isoformat()
    listed = next(r.url.params for r in world.requests if r.url.path == LIST)
    assert (listed["from"], listed["to"]) == ("2026-11-08", "2026-11-11")
    assert (listed["dateType"], listed["limit"], listed["skip"]) == ("creation", "20", "0")
    assert listed.get_list("type") == ["reserved", "booked", "contract", "canceled"]


def test_a_stay_beyond_the_horizon_comes_by_its_creation(world: ExternalWorld) -> None:
    world.created = {KEY}
    world.put(Booking(arrival="2027-11-12", departure="2027-11-15"))
    answer = run(world)
    assert only(answer).sweep_hash is None
    assert only(answer).guest_email == "marta@example.org"
    assert world.paths(CLIENTS) == [CLIENTS + "client-" + KEY]


def test_a_new_row_is_read_with_its_times(world: ExternalWorld) -> None:
    world.put(Booking())
    stay = only(run(world))
    assert (stay.check_in_time, stay.check_out_time) == (time(15), time(11))
    assert (stay.guest_name, stay.guest_email) == ("Marta Example", "marta@example.org")
    assert stay.sweep_hash is not None
    assert world.paths(DETAIL) == [DETAIL + KEY]
    assert world.paths(CLIENTS) == []  # the export had the contact inline


def test_an_unchanged_row_is_not_read_again(world: ExternalWorld) -> None:
    world.put(Booking())
    known = hashes(run(world))
    answer = run(world, known)
    assert (list(answer.reservations), answer.fetched) == ([], 1)
    assert answer.seen == {KEY}
    assert world.paths(DETAIL) == []


@pytest.mark.parametrize(
    "change",
    [
        {"departure": "2026-11-16"},
        {"unit": "65aa0000000000000000d002"},
        {"state": "cancelled"},
        {"guest": "Ana Example"},
        {"total": 600.0},
    ],
)
def test_a_changed_row_is_read_by_id(world: ExternalWorld, change: dict[str, Any]) -> None:
    world.put_unit("65aa0000000000000000d002", "Room 102")
    world.put(Booking())
    known = hashes(run(world))
    world.put(replace(Booking(), **change))
    stay = only(run(world, known))
    assert world.paths(DETAIL) == [DETAIL + KEY]
    assert stay.sweep_hash not in (None, known[KEY])


def test_a_stay_stored_without_a_hash_is_read(world: ExternalWorld) -> None:
    world.put(Booking())
    assert only(run(world, {KEY: None})).external_id == KEY


def test_a_strangers_cancellation_needs_no_call(world: ExternalWorld) -> None:
    """Cancelled rows stay on record for good (§4): reading each by id every run would cost most."""
    for n in range(5):
        world.put(Booking(key=key(n), state="cancelled"))
    answer = run(world)
    assert [stay.status for stay in answer.reservations] == ["cancelled"] * 5
    assert {stay.accommodation_ref for stay in answer.reservations} == {Booking.unit}
    assert world.paths(DETAIL) == []


def test_a_cancellation_in_an_unlisted_unit_is_read_by_id(world: ExternalWorld) -> None:
    world.put(Booking(state="cancelled", unit="65aa0000000000000000d777"))
    assert only(run(world)).accommodation_ref == "65aa0000000000000000d777"
    assert world.paths(DETAIL) == [DETAIL + KEY]


def test_many_new_rows_come_by_pages(world: ExternalWorld) -> None:
    for n in range(100):
        world.put(Booking(key=key(n)))
    answer = run(world)
    assert len(answer.reservations) == 100
    assert all(stay.check_in_time == time(15) for stay in answer.reservations)
    assert len(world.requests) < 20


def test_what_creation_lists_is_not_read_by_id(world: ExternalWorld) -> None:
    world.created = {KEY}
    world.put(Booking())
    stay = only(run(world))
    assert stay.sweep_hash is not None
    assert (world.paths(DETAIL), world.paths(CLIENTS)) == ([], [])


def test_a_guest_is_read_once_per_run_and_only_when_needed(world: ExternalWorld) -> None:
    world.contact_inline = False
    world.put(Booking())
    stay = only(run(world))
    assert (stay.guest_name, stay.guest_phone) == ("Marta Example", "+5500000000000")
    assert world.paths(CLIENTS) == [CLIENTS + "client-" + KEY]
    world.created = {KEY}
    again = run(world, hashes(run(world)))
    assert only(again).guest_name is None  # not said, so nothing stored is erased
    assert world.paths(CLIENTS) == []


def test_a_guest_of_two_stays_is_read_once(world: ExternalWorld) -> None:
    world.contact_inline = False
    world.put(Booking())
    world.put(Booking(key=key(2), client=KEY))
    answer = run(world)
    assert [stay.guest_email for stay in answer.reservations] == ["marta@example.org"] * 2
    assert world.paths(CLIENTS) == [CLIENTS + "client-" + KEY]


def test_an_account_without_client_rights_still_gets_its_stays(world: ExternalWorld) -> None:
    world.contact_inline = False
    world.put(Booking())
    inner = world.answer

    def forbidding(request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith(CLIENTS):
            return httpx.Response(403, json={"message": "no"})
        return inner(request)

    world.answer = forbidding  # type: ignore[method-assign]
    assert only(run(world)).guest_name is None
    assert world.client.get(KEY).guest_email is None


def test_the_type_style_is_probed_once_and_remembered() -> None:
    """§2: some accounts answer `type=a&type=b` with an empty list."""
    world = ExternalWorld(type_key="type[]")
    for n in range(25):
        world.put(Booking(key=key(n)))
    assert len(run(world).reservations) == 25
    styles = ["type[]" in r.url.params for r in world.requests if r.url.path == LIST]
    assert styles == [False, True, True]
    run(world)
    assert all("type[]" in r.url.params for r in world.requests if r.url.path == LIST)


def test_an_empty_account_decides_nothing(world: ExternalWorld) -> None:
    run(world)
    assert world.paths().count(LIST) == 2
    world.created = {KEY}
    world.put(Booking())
    run(world)
    assert world.paths().count(LIST) == 1


# What a run may claim


def test_the_swept_range_and_all_seen_in_it(world: ExternalWorld) -> None:
    for n in range(3):
        world.put(Booking(key=key(n)))
    answer = run(world)
    assert answer.swept == (date(2026, 11, 9), date(2027, 3, 10))
    assert answer.seen == {key(0), key(1), key(2)}


def test_a_row_without_an_id_forbids_the_claim(world: ExternalWorld) -> None:
    world.put(Booking())
    world.put(Booking(key=""))
    answer = run(world)
    assert answer.swept is None
    assert {error.external_id for error in answer.errors} == {None}
    assert [stay.external_id for stay in answer.reservations] == [KEY]


def test_an_unreadable_stay_was_seen_all_the_same(world: ExternalWorld) -> None:
    world.put(Booking(departure="2026-11-12"))
    answer = run(world)
    assert [error.external_id for error in answer.errors] == [KEY]
    assert KEY in answer.seen
    assert answer.swept is not None


def test_what_goes_between_export_and_detail_is_not_seen(world: ExternalWorld) -> None:
    world.put(Booking())
    inner = world.exported

    def exporting(body: dict[str, Any]) -> list[Any]:
        rows = inner(body)
        world.bookings.clear()
        return rows

    world.exported = exporting  # type: ignore[method-assign]
    answer = run(world)
    assert (list(answer.reservations), answer.seen) == ([], frozenset())
    assert answer.swept is not None


@pytest.mark.parametrize("path", [EXPORT, LIST, DETAIL + KEY, CLIENTS + "client-" + KEY])
@pytest.mark.parametrize(
    ("response", "error"),
    [
        (httpx.Response(500), Unreachable),
        (LOGIN_PAGE, Unreadable),
        (httpx.Response(200, json={"message": "try later"}), Unreadable),
        (httpx.Response(429, json={}), RateLimited),
    ],
)
def test_a_part_that_fails_fails_the_run(
    world: ExternalWorld, path: str, response: httpx.Response, error: type[Exception]
) -> None:
    world.contact_inline = False
    world.put(Booking())
    inner = world.answer
    world.answer = lambda request: (  # type: ignore[method-assign]
        response if request.url.path == path else inner(request)
    )
    with pytest.raises(error):
        run(world)


def test_a_missing_path_is_not_a_missing_reservation(world: ExternalWorld) -> None:
    world.answer = lambda request: httpx.Response(404, json={})  # type: ignore[method-assign]
    with pytest.raises(Unreadable):
        run(world)
    with pytest.raises(Unreadable):
        world.client.listings()


def test_paging_steps_by_what_came_and_ends() -> None:
    asked: list[int] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(int(request.url.params["skip"]))
        return httpx.Response(200, json=[{"_id": key(n)} for n in range(20)])

    client = StaysExternalClient(answering(handler, "https://a.example/external/v1"))
    assert len(client.listings()) == 20
    assert asked == [0, 20]


# One by id


def test_one_by_id_or_code_with_its_guest(world: ExternalWorld) -> None:
    world.put(Booking())
    world.requests.clear()
    stay = world.client.get(KEY)
    assert (stay.guest_email, stay.guest_phone) == ("marta@example.org", "+5500000000000")
    assert stay.sweep_hash is None
    assert world.paths() == [DETAIL + KEY, CLIENTS + "client-" + KEY]


def test_another_reservation_is_not_the_answer(world: ExternalWorld) -> None:
    other = world.item(Booking(key=key(7)))
    world.answer = lambda request: httpx.Response(200, json=other)  # type: ignore[method-assign]
    with pytest.raises(Unreadable, match="the reservation that was asked for"):
        world.client.get(KEY)


@pytest.mark.parametrize(("listing_answers", "error"), [(True, NotFound), (False, Unreadable)])
def test_a_page_for_a_404_counts_while_the_account_answers(
    world: ExternalWorld, listing_answers: bool, error: type[Exception]
) -> None:
    page = httpx.Response(404, html="<h1>Not Found</h1>")
    inner = world.answer
    world.answer = lambda request: (  # type: ignore[method-assign]
        inner(request) if listing_answers and "listings" in request.url.path else page
    )
    with pytest.raises(error):
        world.client.get(KEY)


def test_settings_make_a_client_with_basic_auth() -> None:
    body = json.dumps(payload("external_listings")).encode()
    with vendor(answer(body)) as server:
        client = load_channel("stays_external")(
            make_settings(
                stays_api_url=server.url + "/external/v1",
                stays_client_id="login",
                stays_client_secret="passwörd",
            )
        )
        assert len(client.listings()) == 3
    head = server.requests[0].decode()
    assert head.startswith("GET /external/v1/content/listings?skip=0&limit=20 HTTP/1.1")
    expected = base64.b64encode("login:passwörd".encode()).decode()
    assert f"Authorization: Basic {expected}\r\n" in head


def test_without_credentials_stays_is_off() -> None:
    with pytest.raises(NotConfigured, match="STAYS_CLIENT_ID"):
        load_channel("stays_external")(make_settings(stays_api_url="https://a.example/external/v1"))


def test_a_long_gap_reaches_back_to_where_we_stopped(world: ExternalWorld) -> None:
    world.requests.clear()
    world.client.changes(SINCE - timedelta(days=40), today=TODAY, known={})
    listed = next(r.url.params for r in world.requests if r.url.path == LIST)
    assert (listed["from"], listed["to"]) == ("2026-09-29", "2026-11-11")
