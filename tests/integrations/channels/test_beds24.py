"""Beds24's API on the wire: filters, pages, units, calendars and writes (contracts/beds24.md)."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
import stamina

from app.config import Settings
from app.integrations import http
from app.integrations.channels import ChangeSet, load_channel
from app.integrations.channels.beds24 import Beds24Client, connect
from app.integrations.channels.beds24_tokens import Account, MemoryTokens, Tokens
from app.integrations.channels.beds24_wire import STATUSES
from app.integrations.errors import (
    IntegrationError,
    NotConfigured,
    NotFound,
    RateLimited,
    Rejected,
    Unauthorized,
    Unconfirmed,
    Unreadable,
)
from tests.integrations.channels.worlds import SINCE, TODAY, Beds24World, Booking, payload
from tests.integrations.vendor_server import answer, hang_up, vendor


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield


def fresh() -> MemoryTokens:
    return MemoryTokens(Tokens("refresh", "access", datetime.now(UTC) + timedelta(hours=1)))


def client(*bodies: Any, status: int = 200) -> tuple[Beds24Client, list[httpx.Request]]:
    """A client whose calls are answered with `bodies` in turn, the last one for all that follow."""
    requests: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(status, json=bodies[min(len(requests), len(bodies)) - 1])

    def join(observer: http.Observer) -> http.VendorHttp:
        transport = httpx.MockTransport(handle)
        made = http.make_client("https://beds24.example/api/v2", transport=transport)
        return http.VendorHttp("beds24", made, observer=observer)

    return Beds24Client(Account(join, fresh()), {"51001": "EUR"}), requests


def query(request: httpx.Request) -> dict[str, list[str]]:
    return parse_qs(request.url.query.decode())


def page(*rows: Any, more: object = False) -> dict[str, Any]:
    return {"success": True, "pages": {"nextPageExists": more}, "data": list(rows)}


def changes(beds24: Beds24Client, **known: str | None) -> ChangeSet:
    return beds24.changes(SINCE, today=TODAY, known=known)


class TestChanges:
    def test_every_status_is_named(self) -> None:
        """§10.1: who does not name `cancelled` never hears of a cancellation."""
        beds24, requests = client(page())
        changes(beds24)
        assert query(requests[0])["status"] == list(STATUSES)
        assert len(STATUSES) == 6

    def test_the_start_overlaps_and_is_in_utc(self) -> None:
        """§4.1: whether the second itself is included is not said, nor the zone but in practice."""
        beds24, requests = client(page())
        local = SINCE.astimezone(timezone(timedelta(hours=-3)))
        beds24.changes(local, today=TODAY, known={})
        assert query(requests[0])["modifiedFrom"] == ["2026-11-10T08:50:00"]

    def test_the_contracts_page(self) -> None:
        beds24, requests = client(payload("bookings_page", "beds24"))
        found = changes(beds24)
        assert [r.accommodation_ref for r in found.reservations] == ["610011:2", "610012"]
        assert {r.currency for r in found.reservations} == {"EUR"}
        assert requests[0].headers["token"] == "access"
        assert "authorization" not in requests[0].headers

    def test_pages_are_counted_and_links_never_followed(self) -> None:
        world = Beds24World()
        for n in range(45):
            world.put(Booking(key=f"B{n}"))
        assert world.client.changes(SINCE, today=TODAY, known={}).fetched == 45
        assert [query(r).get("page") for r in world.requests] == [None, ["2"], ["3"]]
        assert {r.url.host for r in world.requests} == {"beds24.example"}

    def test_an_end_that_never_comes_is_no_answer(self) -> None:
        row = payload("booking", "beds24")
        beds24, requests = client(page(row, more=True))
        with pytest.raises(Unreadable):
            changes(beds24)
        assert len(requests) == 2

    def test_a_repeated_row_counts_once_and_the_newest_wins(self) -> None:
        """§4.1: a walk over a moving set repeats rows."""
        old = payload("booking", "beds24")
        new = old | {"departure": "2026-11-16", "modifiedTime": "2026-10-04T00:00:00Z"}
        for first, second in ((old, new), (new, old)):
            beds24, _ = client(page(first, more=True), page(second, old | {"id": 1}))
            found = changes(beds24)
            assert found.fetched == 2
            assert found.reservations[0].check_out_on == date(2026, 11, 16)

    def test_what_is_known_to_the_letter_is_counted_only(self) -> None:
        beds24, _ = client(page(payload("booking", "beds24")))
        (stay,) = changes(beds24).reservations
        again = changes(beds24, **{stay.external_id: stay.sweep_hash})
        assert (list(again.reservations), again.fetched) == ([], 1)

    @pytest.mark.parametrize(
        "body",
        [
            {"success": True, "data": None},
            {"success": True, "data": {}},
            {"success": True, "data": ["x"]},
            {"success": True, "data": [], "pages": {"nextPageExists": "no"}},
            {"success": True, "data": [], "pages": {}},
            [],
            "text",
        ],
    )
    def test_half_an_answer_is_no_answer(self, body: Any) -> None:
        beds24, _ = client(body)
        with pytest.raises(Unreadable):
            changes(beds24)

    def test_a_full_page_that_does_not_say_whether_there_is_more(self) -> None:
        rows = [payload("booking", "beds24") | {"id": n} for n in range(1, 101)]
        beds24, _ = client({"success": True, "data": rows})
        with pytest.raises(Unreadable):
            changes(beds24)

    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            (400, Rejected),
            (401, Unauthorized),
            (429, RateLimited),
            (500, Unreadable),
            ("x", Unreadable),
        ],
    )
    def test_an_error_that_comes_as_200(self, code: object, kind: type[IntegrationError]) -> None:
        """§4.2: `success: false` counts, whatever the status."""
        beds24, _ = client({"success": False, "code": code, "error": "secret-detail", "data": []})
        with pytest.raises(kind) as caught:
            changes(beds24)
        assert "secret" not in str(caught.value)
        if kind is RateLimited:
            assert caught.value.retry_after == 300

    def test_a_missing_path_is_not_a_missing_booking(self) -> None:
        beds24, _ = client({"success": False, "code": 404}, status=404)
        with pytest.raises(Unreadable):
            beds24.get("70000123")


class TestSweep:
    def test_it_reads_a_range_whole(self) -> None:
        beds24, requests = client(payload("bookings_page", "beds24"))
        first, last = date(2026, 11, 9), date(2027, 3, 1)
        found = beds24.sweep(first, last, known={})
        asked = query(requests[0])
        assert (asked["departureFrom"], asked["arrivalTo"]) == (["2026-11-09"], ["2027-03-01"])
        assert len(asked["status"]) == 6
        assert found.swept == (first, last)
        assert found.seen == {"70000123", "70000124"}

    def test_what_cannot_be_read_was_still_seen(self) -> None:
        broken = payload("booking", "beds24") | {"departure": "2026-11-12"}
        beds24, _ = client(page(broken))
        found = beds24.sweep(TODAY, TODAY, known={})
        assert found.seen == {"70000123"}
        assert len(found.errors) == 1


class TestGet:
    def test_an_empty_list_says_it_is_gone(self) -> None:
        beds24, requests = client(page())
        with pytest.raises(NotFound):
            beds24.get("70000123")
        assert query(requests[0])["id"] == ["70000123"]
        assert "cancelled" in query(requests[0])["status"]

    def test_another_booking_is_no_answer(self) -> None:
        beds24, _ = client(payload("bookings_page", "beds24"))
        with pytest.raises(Unreadable):
            beds24.get("1")

    def test_nothing_is_asked_for_an_empty_id(self) -> None:
        beds24, requests = client(page())
        with pytest.raises(NotFound):
            beds24.get(" ")
        assert requests == []

    def test_many_in_few_calls(self) -> None:
        world = Beds24World()
        world.page_size = 100
        for n in range(0, 250, 2):
            world.put(Booking(key=f"B{n}"))
        world.put_broken("B1")
        found = world.client.get_many([f"B{n}" for n in range(250)])
        assert found.seen == {f"B{n}" for n in range(0, 250, 2)} | {"B1"}
        assert (found.fetched, len(found.errors), len(world.requests)) == (126, 1, 3)
        assert world.client.get_many([]).fetched == 0
        assert len(world.requests) == 3

    def test_bookings_nobody_asked_for(self) -> None:
        beds24, _ = client(payload("bookings_page", "beds24"))
        with pytest.raises(Unreadable):
            beds24.get_many(["70000123"])

    def test_a_reference_is_looked_up_in_every_status(self) -> None:
        """§9: there is no idempotency key; what was created is found by our reference."""
        ours = payload("booking", "beds24") | {"apiReference": "tk-1"}
        beds24, requests = client(page(ours, ours | {"id": 2, "apiReference": "tk-10"}))
        assert [r.external_id for r in beds24.find_by_reference("tk-1")] == ["70000123"]
        assert query(requests[0])["apiReference"] == ["tk-1"]
        assert len(query(requests[0])["status"]) == 6


class TestListings:
    def test_units_of_every_room(self) -> None:
        beds24, requests = client(payload("properties", "beds24"))
        units = beds24.listings()
        assert [(u.external_id, u.name) for u in units] == [
            ("610011:1", "A1"),
            ("610011:2", "Studio 2"),
            ("610012:1", "Penthouse"),
            ("610013:1", "Double 1"),
            ("610013:2", "Double 2"),
            ("610013:3", "Double 3"),
        ]
        assert {u.property_ref for u in units} == {"51001"}
        assert (units[0].room_type, units[0].room_type_units) == ("Studio", 2)
        assert query(requests[0])["includeAllRooms"] == ["true"]

    def test_a_house_without_its_rooms_is_no_answer(self) -> None:
        """§7: rooms come only when asked for; taking that for an empty house would close it."""
        beds24, _ = client(page({"id": 51001, "name": "Casa Ejemplo"}))
        with pytest.raises(Unreadable, match="roomTypes"):
            beds24.listings()


class TestCalendar:
    def test_ranges_of_nights(self) -> None:
        beds24, requests = client(payload("calendar", "beds24"))
        first, second = beds24.calendar(["610011"], date(2026, 12, 1), date(2026, 12, 6))
        assert (first.first, first.last) == (date(2026, 12, 1), date(2026, 12, 5))
        assert (first.available, first.min_stay, first.price) == (1, 2, Decimal("95.0"))
        assert (second.available, second.min_stay, second.price) == (-1, None, None)
        asked = query(requests[0])
        assert (asked["startDate"], asked["endDate"]) == (["2026-12-01"], ["2026-12-06"])
        flags = ("includeNumAvail", "includeMinStay", "includePrices")
        assert all(asked[flag] == ["true"] for flag in flags)

    @pytest.mark.parametrize(
        "row", [{"roomId": 1}, {"calendar": []}, {"roomId": 1, "calendar": [{"from": "x"}]}]
    )
    def test_a_faulty_row(self, row: dict[str, Any]) -> None:
        beds24, _ = client(page(row))
        with pytest.raises(Unreadable):
            beds24.calendar(["1"], TODAY, TODAY)


class TestWrites:
    ITEMS = ({"roomId": 1}, {"id": 2}, {"id": 70000123})

    def test_each_item_has_its_result(self) -> None:
        beds24, requests = client(payload("write_results", "beds24"), status=201)
        new, refused, changed = beds24.write_bookings(self.ITEMS)
        assert (new.ok, new.created, new.external_id) == (True, True, "70000200")
        assert (refused.ok, refused.fields) == (False, ("id",))
        assert (changed.ok, changed.created, changed.external_id) == (True, False, "70000123")
        assert json.loads(requests[0].content) == list(self.ITEMS)

    @pytest.mark.parametrize("body", [[], {}, [{"success": True}], [{}, {}, {}], None])
    def test_an_answer_that_leaves_it_open_is_unconfirmed(self, body: Any) -> None:
        beds24, _ = client(body, status=201)
        with pytest.raises(Unconfirmed):
            beds24.write_bookings(self.ITEMS)

    def test_cancelling_is_not_deleting(self) -> None:
        beds24, requests = client([{"success": True, "modified": {"id": 7}}], status=201)
        assert beds24.cancel_booking("7", "by the guest").ok
        assert (requests[0].method, requests[0].url.path) == ("POST", "/api/v2/bookings")
        assert json.loads(requests[0].content) == [
            {"id": 7, "status": "cancelled", "comments": "by the guest"}
        ]

    def test_a_calendar_is_pushed(self) -> None:
        beds24, requests = client([{"success": True}], status=201)
        nights = [{"from": "2026-12-01", "to": "2026-12-02", "numAvail": 1}]
        assert beds24.push_calendar([{"roomId": 610011, "calendar": nights}])[0].ok
        assert requests[0].url.path == "/api/v2/inventory/rooms/calendar"

    def test_too_much_at_once(self) -> None:
        beds24, _ = client([])
        for count in (0, 501):
            with pytest.raises(ValueError, match="at once"):
                beds24.write_bookings([{"id": 1}] * count)

    @pytest.mark.parametrize(
        "script",
        [
            hang_up,
            answer(b'[{"success": tr', length=40, status="201 Created"),
            answer(b"{}", status="502 Bad Gateway"),
            answer(b"[]", status="201 Created"),
        ],
    )
    def test_a_lost_answer_is_never_sent_again(self, script: Callable[..., None]) -> None:
        with vendor(script) as server:
            beds24 = connect(server.url, fresh())
            with pytest.raises(Unconfirmed) as caught:
                beds24.write_bookings([{"roomId": 1, "firstName": "secret"}])
            assert len(server.requests) == 1
        assert "secret" not in f"{caught.value!r}"


class TestSettings:
    def settings(self, url: str, token: str | None) -> Settings:
        names = ("database_url", "redis_url", "secret_key", "jwt_secret")
        secrets: dict[str, Any] = dict.fromkeys(names, "x" * 32)
        return Settings(
            app_env="local",
            pin_encryption_keys=(),
            beds24_api_url=url,
            beds24_refresh_token=token,
            **secrets,
        )

    def test_the_environments_account(self) -> None:
        granted = b'{"token": "access-1", "expiresIn": 86400}'
        with vendor(answer(granted), answer(json.dumps(page()).encode())) as server:
            beds24 = load_channel("beds24")(self.settings(server.url, "refresh-1"))
            assert beds24.changes(SINCE, today=TODAY, known={}).fetched == 0
        first, second = (head.decode() for head in server.requests)
        assert first.startswith("GET /authentication/token HTTP/1.1")
        assert "refreshToken: refresh-1\r\n" in first
        assert "token: access-1\r\n" in second

    def test_without_a_token_beds24_is_off(self) -> None:
        with pytest.raises(NotConfigured, match="BEDS24_REFRESH_TOKEN"):
            load_channel("beds24")(self.settings("https://beds24.example", None))


def test_threads_share_one_account() -> None:
    """Web threads and workers use one client: what one call sends is never another's."""
    world = Beds24World()
    for n in range(30):
        world.put(Booking(key=f"B{n}"))
    found: list[str] = []

    def ask(key: str) -> None:
        found.append(world.client.get(key).external_id)

    threads = [threading.Thread(target=ask, args=(f"B{n}",)) for n in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(f"B{n}" for n in range(30))
