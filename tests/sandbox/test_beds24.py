"""The pretended Beds24, worked by the product's own client over real sockets (contracts/beds24.md).

What the client hides (headers, page links, the meter) is asked for without it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import stamina
from flask import Flask

from app import config
from app.integrations import http
from app.integrations.channels import beds24_items
from app.integrations.channels.beds24 import Beds24Client, connect
from app.integrations.channels.beds24_items import Order
from app.integrations.channels.beds24_tokens import MemoryTokens, Tokens, exchange_invite
from app.integrations.errors import (
    NotFound,
    RateLimited,
    Rejected,
    Unauthorized,
    Unconfirmed,
    Unreachable,
    Unreadable,
)
from app.sandbox.app import create_sandbox
from app.sandbox.credentials import Keys, credentials
from app.sandbox.records import World
from app.sandbox.server import running
from tests.sandbox.wire import KEYS, Clock

HOUSE = "51001"
STUDIO, PENTHOUSE = 610_011, 610_013
FAR = {"arrival": "2027-03-01", "departure": "2027-03-04"}


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=2):
        yield


@dataclass
class Live:
    """A running sandbox, its control door, and a client of its Beds24."""

    base: str
    app: Flask
    clock: Clock
    tokens: MemoryTokens
    client: Beds24Client

    def control(self, method: str, path: str, body: Any = None, *, status: int = 0) -> Any:
        answer = httpx.request(
            method, f"{self.base}/control/{path}", json=body, trust_env=False, timeout=10
        )
        assert answer.status_code == status or (not status and answer.is_success), answer.text
        return answer.json()

    def book(self, **fields: Any) -> dict[str, Any]:
        body = {"roomId": STUDIO, "unitId": 1, "firstName": "Inês", **FAR, **fields}
        made: dict[str, Any] = self.control("POST", "beds24/bookings", body)
        return made

    def manners(self, **settings: Any) -> None:
        self.control("PATCH", "beds24/settings", settings)

    def fault(self, kind: str, **options: Any) -> None:
        self.control("POST", "faults", {"scope": "beds24", "kind": kind, **options})

    def raw(self, path: str, params: Any = None, **headers: str) -> httpx.Response:
        """A call past the client, with its token."""
        if self.tokens.load().access_token is None:
            self.client.account.refresh()
        given = {"token": self.tokens.load().access_token or ""} | headers
        return httpx.get(
            f"{self.base}/beds24{path}", params=params, headers=given, trust_env=False, timeout=10
        )

    @property
    def world(self) -> World:
        with self.app.extensions["sandbox"].store.open(changes=False) as world:
            found: World = world
        return found

    def changed(self, since: datetime | None = None) -> dict[str, Any]:
        since = since or self.clock.now
        found = self.client.changes(since, today=self.clock.now.date(), known={})
        assert not found.errors
        return {stay.external_id: stay for stay in found.reservations}


@pytest.fixture
def live(sandbox_app: Flask, clock: Clock) -> Iterator[Live]:
    with running(sandbox_app) as base:
        tokens = MemoryTokens(Tokens(KEYS.beds24_refresh_token))
        client = connect(f"{base}/beds24", tokens, currencies={HOUSE: "EUR"})
        yield Live(base, sandbox_app, clock, tokens, client)


class TestDemo:
    def test_the_house_in_lisbon_is_sold_here_too(self, live: Live) -> None:
        units = live.client.listings()
        assert len(units) == 8
        assert {u.property_ref for u in units} == {HOUSE}
        assert units[0].external_id == f"{STUDIO}:1"
        stays = [u.name for u in live.world.listings.values() if u.code.startswith("MA")]
        assert [u.name for u in units] == stays

    def test_every_status_and_a_group_are_there(self, live: Live) -> None:
        stays = live.changed(live.clock.now - timedelta(days=2)).values()
        words = {"confirmed", "new", "request", "cancelled", "black", "inquiry"}
        assert {stay.raw_status for stay in stays} == words
        groups = [stay.group_ref for stay in stays if stay.group_ref]
        assert len(groups) == 2
        assert len(set(groups)) == 1

    def test_no_night_is_sold_twice(self, live: Live) -> None:
        world = live.world
        for booking in world.beds24.bookings.values():
            room = world.beds24.room(booking.room_id)
            assert room is not None
            assert booking.unit_id is not None
            listing = room.listings[booking.unit_id - 1]
            for other in world.bookings.values():
                if other.listing == listing and other.type != "canceled":
                    assert other.check_out < booking.arrival or booking.departure < other.check_in

    def test_stays_knows_nothing_of_it(self, live: Live) -> None:
        names = {b.guest.long_id for b in live.world.bookings.values()}
        rows = live.control("GET", "bookings")["bookings"]
        assert len(rows) == len(live.world.bookings)
        assert len(names) == len(rows)

    def test_an_older_state_is_given_an_account(self, tmp_path: Path, clock: Clock) -> None:
        directory = tmp_path / "old"
        app = create_sandbox(directory, keys=KEYS, clock=clock)
        app.extensions["sandbox"].store.flush()
        state = json.loads((directory / "state.json").read_text())
        del state["beds24"]
        (directory / "state.json").write_text(json.dumps(state))
        again = create_sandbox(directory, keys=KEYS, clock=clock)
        with again.extensions["sandbox"].store.open(changes=False) as world:
            assert len(world.beds24.bookings) == 8
            assert len(world.bookings) == len(state["bookings"])

    def test_it_survives_a_restart_and_goes_on(self, live: Live, tmp_path: Path) -> None:
        made = live.book()
        store = live.app.extensions["sandbox"].store
        store.flush()
        live.clock.advance(days=20)
        again = create_sandbox(store.path.parent, keys=KEYS, clock=live.clock)
        with again.extensions["sandbox"].store.open(changes=False) as world:
            assert world.beds24.booking(made["id"]) is not None
            ids = [booking.id for booking in world.beds24.bookings.values()]
            assert len(ids) == len(set(ids)) >= 8


class TestKeys:
    def test_the_product_is_pointed_here(self, tmp_path: Path) -> None:
        given = credentials(tmp_path, port=9001)
        assert given["BEDS24_API_URL"] == "http://127.0.0.1:9001/beds24"
        assert 152 <= len(given["BEDS24_REFRESH_TOKEN"]) <= 172
        assert len(given["BEDS24_WEBHOOK_SECRET"]) >= 32
        assert credentials(tmp_path, port=9001) == given
        assert given["BEDS24_REFRESH_TOKEN"] not in repr(KEYS)

    def test_the_product_starts_with_them(self, tmp_path: Path) -> None:
        servers = {"DATABASE_URL": "postgres://localhost/x", "REDIS_URL": "redis://localhost"}
        given = credentials(tmp_path, port=9001)
        settings = config.load(servers | given, var=tmp_path)
        assert settings.beds24_api_url == given["BEDS24_API_URL"]
        assert settings.beds24_refresh_token == given["BEDS24_REFRESH_TOKEN"]
        assert settings.beds24_webhook_secret == given["BEDS24_WEBHOOK_SECRET"]

    def test_another_machine_has_others(self) -> None:
        assert Keys.make().beds24_refresh_token != KEYS.beds24_refresh_token


class TestTokens:
    def test_a_wrong_refresh_token(self, live: Live) -> None:
        with pytest.raises(Unauthorized):
            connect(f"{live.base}/beds24", MemoryTokens(Tokens("wrong"))).listings()

    def test_an_ended_token_is_refused_and_replaced(self, live: Live) -> None:
        live.client.listings()
        first = live.tokens.load().access_token
        live.fault("401")
        assert live.raw("/bookings").json()["error"] == "Token not valid"
        assert len(live.client.listings()) == 8
        assert live.tokens.load().access_token != first

    def test_a_missing_scope_looks_the_same(self, live: Live) -> None:
        live.fault("no_scope")
        with pytest.raises(Unauthorized, match="scope"):
            live.client.listings()

    def test_rotation_kills_the_old_one_at_once(self, live: Live) -> None:
        live.manners(rotate=True, token_seconds=60)
        for _ in range(3):
            live.client.listings()
        assert live.tokens.load().refresh_token != KEYS.beds24_refresh_token
        old = MemoryTokens(Tokens(KEYS.beds24_refresh_token))
        with pytest.raises(Unauthorized):
            connect(f"{live.base}/beds24", old).listings()

    def test_an_invite_code_works_once(self, live: Live) -> None:
        code = live.control("POST", "beds24/invites")["code"]
        joined = http.pooled("beds24", f"{live.base}/beds24")
        tokens = exchange_invite(joined, code)
        assert len(connect(f"{live.base}/beds24", MemoryTokens(tokens)).listings()) == 8
        with pytest.raises(Rejected):
            exchange_invite(joined, code)

    def test_an_invite_code_lasts_a_day(self, live: Live) -> None:
        code = live.control("POST", "beds24/invites")["code"]
        live.clock.advance(hours=25)
        with pytest.raises(Rejected):
            exchange_invite(http.pooled("beds24", f"{live.base}/beds24"), code)

    def test_a_revoked_token_is_dead(self, live: Live) -> None:
        headers = {"refreshToken": KEYS.beds24_refresh_token}
        url = f"{live.base}/beds24/authentication/token"
        assert httpx.delete(url, headers=headers, trust_env=False).status_code == 200
        with pytest.raises(Unauthorized):
            live.client.listings()

    def test_details_carry_no_meter(self, live: Live) -> None:
        answer = live.raw("/authentication/details")
        assert answer.json()["validToken"] is True
        assert not [name for name in answer.headers if "limit" in name or "cost" in name]


class TestCredits:
    def test_the_meter_runs_and_starts_anew(self, live: Live) -> None:
        live.client.listings()  # 1 for the token, 1.5 for the list
        assert live.client.credits is not None
        assert live.client.credits.remaining == Decimal("97.5")
        assert live.client.credits.cost == Decimal("1.5")
        live.clock.advance(minutes=6)
        live.client.listings()
        assert live.client.credits.remaining == Decimal("98.5")

    def test_without_credits_there_is_a_pause_and_no_retry_after(self, live: Live) -> None:
        live.client.listings()
        live.clock.advance(seconds=100)
        live.fault("no_credits")
        answer = live.raw("/bookings")
        assert answer.status_code == 429
        assert "retry-after" not in answer.headers
        assert answer.headers["x-five-min-limit-remaining"] == "0.0"
        with pytest.raises(RateLimited) as caught:
            live.client.listings()
        assert caught.value.retry_after == pytest.approx(200, abs=5)

    def test_a_bad_parameter_costs_nothing(self, live: Live) -> None:
        live.client.listings()
        answer = live.raw("/bookings", {"modifiedFrom": "yesterday"})
        assert answer.status_code == 400
        assert "modifiedFrom" in answer.json()["error"]
        assert "x-request-cost" not in answer.headers
        assert live.world.beds24.used == 2.5


class TestBookings:
    def test_booked_changed_and_cancelled(self, live: Live) -> None:
        live.clock.advance(hours=1)
        made = live.book(lastName="Falcão", email="ines@example.org", price=252, status="confirmed")
        ref = str(made["id"])
        stay = live.changed()[ref]
        assert (stay.guest_name, stay.amount, stay.currency) == (
            "Inês Falcão",
            Decimal("252.0"),
            "EUR",
        )
        assert stay.accommodation_ref == f"{STUDIO}:1"
        live.control("PATCH", f"beds24/bookings/{ref}", {"departure": "2027-03-05", "unitId": 2})
        moved = live.client.get(ref)
        assert (moved.check_out_on, moved.accommodation_ref) == (date(2027, 3, 5), f"{STUDIO}:2")
        live.clock.advance(minutes=30)
        live.control("POST", f"beds24/bookings/{ref}/cancel", {})
        assert live.changed()[ref].status == "cancelled"
        assert live.client.get(ref).modified_at == live.clock.now

    def test_cancelled_ones_come_only_when_asked_for(self, live: Live) -> None:
        ref = live.book(status="cancelled")["id"]
        assert live.raw("/bookings", {"id": ref}).json()["data"] == []
        assert live.client.get(str(ref)).status == "cancelled"

    def test_without_a_filter_what_is_over_does_not_come(self, live: Live) -> None:
        ref = live.book(arrival="2026-11-01", departure="2026-11-03")["id"]
        plain = [row["id"] for row in live.raw("/bookings").json()["data"]]
        assert ref not in plain
        assert plain
        assert str(ref) in live.changed()

    def test_pages(self, live: Live) -> None:
        live.manners(page_size=3)
        assert len(live.changed(live.clock.now - timedelta(days=2))) == 8
        first = live.raw("/bookings", {"departureFrom": "2026-01-01"}).json()
        assert first["pages"]["nextPageExists"] is True
        assert "page=2" in first["pages"]["nextPageLink"]

    def test_a_deleted_one_is_gone_without_a_trace(self, live: Live) -> None:
        ref = str(live.book()["id"])
        live.control("DELETE", f"beds24/bookings/{ref}")
        with pytest.raises(NotFound):
            live.client.get(ref)
        assert ref not in live.changed()
        swept = live.client.sweep(date(2027, 3, 1), date(2027, 3, 9), known={})
        assert ref not in swept.seen

    def test_a_sweep_takes_what_touches_its_days(self, live: Live) -> None:
        ref = str(live.book()["id"])
        for first, last, inside in (
            (date(2027, 3, 4), date(2027, 3, 9), True),
            (date(2027, 2, 1), date(2027, 3, 1), True),
            (date(2027, 3, 5), date(2027, 3, 9), False),
        ):
            assert (ref in live.client.sweep(first, last, known={}).seen) is inside

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"roomId": 1}, "roomId"),
            ({"unitId": 9}, "unitId"),
            ({"departure": "2027-03-01"}, "departure"),
            ({"status": "booked"}, "status"),
            ({"arrival": "soon"}, "arrival"),
            ({"price": "much"}, "price"),
        ],
    )
    def test_a_senseless_booking(self, live: Live, fields: dict[str, Any], field: str) -> None:
        body = {"roomId": STUDIO, **FAR, **fields}
        answer = live.control("POST", "beds24/bookings", body, status=400)
        assert answer["error"].startswith(f"{field}: ")
        assert live.control("GET", "beds24/bookings/1", status=404) == {"error": "no such booking"}


class TestWrites:
    def test_create_change_and_refuse_in_one_call(self, live: Live) -> None:
        known = live.book()["id"]
        made, changed, missing = live.client.write_bookings(
            [
                {"roomId": PENTHOUSE, "apiReference": "tk-1", "status": "confirmed", **FAR},
                {"id": known, "departure": "2027-03-06"},
                {"id": 1, "status": "cancelled"},
            ]
        )
        assert made.created
        assert changed.external_id == str(known)
        assert (missing.ok, missing.fields) == (False, ("id",))
        (found,) = live.client.find_by_reference("tk-1")
        assert found.external_id == made.external_id
        assert found.accommodation_ref == str(PENTHOUSE)  # no unit yet
        assert live.client.get(str(known)).check_out_on == date(2027, 3, 6)

    def test_a_full_room_is_not_sold_again_when_asked_to_look(self, live: Live) -> None:
        live.book(roomId=PENTHOUSE)
        item = {"roomId": PENTHOUSE, **FAR}
        looked = live.client.write_bookings([item | {"actions": {"checkAvailability": True}}])[0]
        assert (looked.ok, looked.fields) == (False, ("roomId",))
        assert live.client.write_bookings([item])[0].ok
        night = live.client.calendar([str(PENTHOUSE)], date(2027, 3, 1), date(2027, 3, 1))[0]
        assert night.available == -1

    def test_a_lost_answer_was_carried_out_once(self, live: Live) -> None:
        """§9: look for the reference before sending again."""
        live.client.listings()
        live.fault("lost", count=1, operation="post_bookings")
        with pytest.raises(Unconfirmed):
            live.client.write_bookings([{"roomId": STUDIO, "apiReference": "tk-9", **FAR}])
        assert len(live.client.find_by_reference("tk-9")) == 1

    def test_an_account_that_drops_references_keeps_the_notes(self, live: Live) -> None:
        live.manners(keep_reference=False)
        order = Order(str(STUDIO), "1", date(2027, 3, 1), date(2027, 3, 4), reference="tk-10")
        made = live.client.write_bookings([beds24_items.new_booking(order)])[0]
        assert live.client.find_by_reference("tk-10") == []
        (found,) = live.client.find_by_stay(
            str(STUDIO), date(2027, 3, 1), date(2027, 3, 4), "tk-10"
        )
        assert found.external_id == made.external_id

    def test_a_booking_may_be_written_in_part(self, live: Live) -> None:
        """§5: not all right does not mean that nothing was written."""
        live.fault("partial", count=1)
        item = {"roomId": STUDIO, "unitId": 2, **FAR}
        partly, wholly = live.client.write_bookings([item, item])
        assert (partly.ok, partly.fields, wholly.ok) == (False, ("unitId",), True)
        assert partly.external_id is not None
        assert live.client.get(partly.external_id).accommodation_ref == str(STUDIO)

    def test_the_key_is_noted_and_does_not_matter(self, live: Live) -> None:
        item = {"roomId": STUDIO, **FAR}
        made = [
            live.client.write_bookings([item], idempotency_key="outbound:1")[0] for _ in range(2)
        ]
        assert made[0].external_id != made[1].external_id
        writes = live.world.beds24.writes
        assert [(w.call, w.key) for w in writes] == [("POST /bookings", "outbound:1")] * 2
        assert writes[0].results == [f"made {made[0].external_id}"]
        page = httpx.get(f"{live.base}/beds24-bookings", trust_env=False, timeout=10).text
        assert "outbound:1" in page
        assert f"made {made[0].external_id}" in page

    def test_a_fault_may_hit_some_calls_only(self, live: Live) -> None:
        live.client.listings()
        live.fault("lost", chance=50, operation="post_bookings")
        lost = 0
        for n in range(40):
            item = {"roomId": STUDIO, "apiReference": f"tk-{n}", **FAR}
            try:
                live.client.write_bookings([item])
            except Unconfirmed:
                lost += 1
        assert 0 < lost < 40
        held = [b for b in live.world.beds24.bookings.values() if b.api_reference[:3] == "tk-"]
        assert len(held) == 40
        refused = {"scope": "beds24", "kind": "lost", "chance": 101}
        live.control("POST", "faults", refused, status=400)

    def test_a_calendar(self, live: Live) -> None:
        live.book(roomId=PENTHOUSE)
        values = {"from": "2027-03-01", "to": "2027-03-10", "price1": 199.5, "minStay": 3}
        item = {"roomId": PENTHOUSE, "calendar": [values]}
        assert live.client.push_calendar([item])[0].ok
        nights = live.client.calendar([str(PENTHOUSE)], date(2027, 2, 28), date(2027, 3, 10))
        assert [(n.first.day, n.last.day, n.available, n.price) for n in nights] == [
            (28, 28, 1, Decimal("168.0")),
            (1, 3, 0, Decimal("199.5")),
            (4, 10, 1, Decimal("199.5")),
        ]
        closed = {"from": "2027-03-08", "to": "2027-03-08", "numAvail": 0}
        live.client.push_calendar([{"roomId": PENTHOUSE, "calendar": [closed]}])
        params = {"startDate": "2027-03-07", "endDate": "2027-03-08", "roomId": PENTHOUSE}
        (row,) = live.raw("/inventory/rooms/availability", params).json()["data"]
        assert row["availability"] == {"2027-03-07": True, "2027-03-08": False}
        bare = live.raw("/inventory/rooms/calendar", params).json()["data"]
        assert bare[0]["calendar"] == []  # §6: nothing without a flag

    def test_a_faulty_calendar_sets_nothing(self, live: Live) -> None:
        values = [
            {"from": "2027-03-01", "to": "2027-03-02", "numAvail": 0},
            {"from": "2027-03-03", "to": "2027-03-02"},
        ]
        result = live.client.push_calendar([{"roomId": PENTHOUSE, "calendar": values}])[0]
        assert (result.ok, result.fields) == (False, ("to",))
        night = live.client.calendar([str(PENTHOUSE)], date(2027, 3, 1), date(2027, 3, 1))[0]
        assert night.available == 1

    def test_deleting_by_id(self, live: Live) -> None:
        ref = live.book()["id"]
        live.client.listings()
        answer = httpx.delete(
            f"{live.base}/beds24/bookings",
            params={"id": [ref, 1]},
            headers={"token": live.tokens.load().access_token or ""},
            trust_env=False,
        )
        assert (answer.status_code, [r["success"] for r in answer.json()]) == (201, [True, False])


class TestFaults:
    @pytest.mark.parametrize(
        ("kind", "error"),
        [
            ("down", Unreachable),
            ("500", Unreachable),
            ("html", Unreadable),
            ("empty", Unreadable),
            ("null", Unreadable),
            ("half", Unreadable),
        ],
    )
    def test_a_spoiled_answer_is_an_error(
        self, live: Live, kind: str, error: type[Exception]
    ) -> None:
        live.client.listings()
        live.fault(kind)
        with pytest.raises(error):
            live.client.listings()
        live.control("DELETE", "faults")
        assert len(live.client.listings()) == 8

    def test_a_429_with_retry_after(self, live: Live) -> None:
        live.client.listings()
        live.fault("429", seconds=7)
        with pytest.raises(RateLimited) as caught:
            live.client.listings()
        assert caught.value.retry_after == 7

    def test_slow_is_late_and_good(self, live: Live) -> None:
        live.fault("slow", seconds=0.2, count=1)
        assert len(live.client.listings()) == 8

    def test_stays_is_not_touched(self, live: Live) -> None:
        live.fault("down")
        url = f"{live.base}/stays/api/reservations"
        headers = {"Authorization": f"Bearer {KEYS.stays_api_key}"}
        assert httpx.get(url, headers=headers, trust_env=False).status_code == 200

    def test_an_unknown_path(self, live: Live) -> None:
        answer = live.raw("/nothing")
        assert (answer.status_code, answer.json()["success"]) == (404, False)


class TestSettings:
    @pytest.mark.parametrize(
        "wanted",
        [
            {"nothing": 1},
            {"rotate": "yes"},
            {"credit_limit": 0},
            {"credit_limit": True},
            {"webhook_shape": "v1"},
        ],
    )
    def test_a_senseless_one_changes_nothing(self, live: Live, wanted: dict[str, Any]) -> None:
        before = live.control("GET", "beds24/settings")
        body = {"page_size": 7, **wanted}
        assert "error" in live.control("PATCH", "beds24/settings", body, status=400)
        assert live.control("GET", "beds24/settings") == before

    def test_the_time_zone_of_answers_is_utc(self, live: Live) -> None:
        row = live.book()
        assert row["modifiedTime"] == live.clock.now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
