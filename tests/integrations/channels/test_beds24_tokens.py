"""Beds24's tokens and credits (contracts/beds24.md §2, §3, §11.5)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
import stamina

from app.integrations import http
from app.integrations.channels.beds24_tokens import (
    Account,
    Credits,
    MemoryTokens,
    Tokens,
    exchange_invite,
    read_credits,
)
from app.integrations.errors import (
    IntegrationError,
    RateLimited,
    Rejected,
    Unauthorized,
    Unconfirmed,
    Unreachable,
    Unreadable,
)
from tests.conftest import Clock
from tests.integrations.vendor_server import hang_up, vendor

NOW = datetime.now(UTC)
REFUSED = httpx.Response(401, json={"success": False, "error": "Token not valid"})


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield


class Beds24:
    """Mints tokens a1, a2, … and knows which are good."""

    def __init__(self, tokens: Tokens, *, rotate: bool = False, seconds: float = 86_400) -> None:
        self.store = Noted(tokens)
        self.account = Account(self._connect, self.store)
        self.good = {"a0"}
        self.refresh = {"r0"}
        self.rotate = rotate
        self.seconds = seconds
        self.minted = 0
        self.calls: list[httpx.Request] = []
        self.meter: dict[str, str] = {}
        self.answer: Callable[[httpx.Request], httpx.Response | None] = lambda request: None

    def _connect(self, observer: http.Observer) -> http.VendorHttp:
        transport = httpx.MockTransport(self._handle)
        made = http.make_client("https://beds24.example", transport=transport)
        return http.VendorHttp("beds24", made, observer=observer)

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(request)
        if (special := self.answer(request)) is not None:
            return special
        if request.url.path == "/authentication/token":
            return self._mint(request.headers["refreshToken"])
        if request.headers["token"] not in self.good:
            return REFUSED
        return httpx.Response(200, json={"data": []}, headers=self.meter)

    def _mint(self, refresh: str) -> httpx.Response:
        if refresh not in self.refresh:
            return httpx.Response(400, json={"success": False, "error": "secret-detail"})
        self.minted += 1
        time.sleep(0.01)
        body: dict[str, Any] = {"token": f"a{self.minted}", "expiresIn": self.seconds}
        self.good = {f"a{self.minted}"}
        if self.rotate:
            self.refresh = {f"r{self.minted}"}
            body["refreshToken"] = f"r{self.minted}"
        return httpx.Response(200, json=body)

    def paths(self) -> list[str]:
        return [call.url.path for call in self.calls]


class Noted(MemoryTokens):
    """Notes what was saved, and can fail to."""

    def __init__(self, tokens: Tokens) -> None:
        super().__init__(tokens)
        self.saved: list[Tokens] = []
        self.broken = False
        self.waiting = 0

    def save(self, tokens: Tokens) -> None:
        if self.broken:
            raise OSError("the database is away")
        self.saved.append(tokens)
        super().save(tokens)

    @contextmanager
    def refreshing(self) -> Iterator[None]:
        self.waiting += 1
        with super().refreshing():
            yield


def tokens(*, minutes: float = 600) -> Tokens:
    return Tokens("r0", "a0", NOW + timedelta(minutes=minutes))


def test_a_good_token_is_used_as_it_is() -> None:
    beds24 = Beds24(tokens())
    beds24.account.read("/bookings")
    assert beds24.paths() == ["/bookings"]


@pytest.mark.parametrize(
    "known", [Tokens("r0"), tokens(minutes=-1), tokens(minutes=4.9), Tokens("r0", "a0")]
)
def test_a_token_near_its_end_is_replaced_before(known: Tokens) -> None:
    """P2-OUT: five minutes early."""
    beds24 = Beds24(known)
    beds24.account.read("/bookings")
    assert beds24.paths() == ["/authentication/token", "/bookings"]
    (saved,) = beds24.store.saved
    assert (saved.refresh_token, saved.access_token) == ("r0", "a1")
    assert saved.expires_at is not None
    assert abs(saved.expires_at - datetime.now(UTC) - timedelta(days=1)) < timedelta(minutes=1)


def test_a_refused_token_is_replaced_once() -> None:
    beds24 = Beds24(tokens())
    beds24.good = set()
    assert beds24.account.read("/bookings") == {"data": []}
    assert beds24.paths() == ["/bookings", "/authentication/token", "/bookings"]


def test_a_write_after_a_refusal_is_sent_again() -> None:
    """A 401 was carried out by nobody, so this is no second write."""
    beds24 = Beds24(tokens())
    beds24.good = set()
    beds24.account.write("/bookings", [{"id": 1}])
    assert [(c.method, c.url.path) for c in beds24.calls] == [
        ("POST", "/bookings"),
        ("GET", "/authentication/token"),
        ("POST", "/bookings"),
    ]


def test_a_missing_scope_is_no_loop() -> None:
    """§2: the same 401 stands for an ended token and for a missing scope."""
    beds24 = Beds24(tokens())
    beds24.answer = lambda request: REFUSED if request.url.path == "/bookings" else None
    with pytest.raises(Unauthorized, match="scope") as caught:
        beds24.account.read("/bookings")
    assert beds24.paths() == ["/bookings", "/authentication/token", "/bookings"]
    assert caught.value.__cause__ is None


def test_a_refused_refresh_token_needs_a_person() -> None:
    beds24 = Beds24(tokens(minutes=0))
    beds24.refresh = set()
    with pytest.raises(Unauthorized, match="invite code") as caught:
        beds24.account.read("/bookings")
    assert "secret" not in f"{caught.value!r}"
    assert beds24.paths() == ["/authentication/token"]


class TestRotation:
    """§2: an answer may bring a new refresh token, and the old one is dead at once."""

    def test_the_new_one_is_saved_before_it_is_used(self) -> None:
        beds24 = Beds24(tokens(minutes=0), rotate=True)
        beds24.account.read("/bookings")
        assert beds24.store.load().refresh_token == "r1"
        beds24.account.refresh()
        assert [t.refresh_token for t in beds24.store.saved] == ["r1", "r2"]

    def test_what_could_not_be_saved_is_not_used(self) -> None:
        beds24 = Beds24(tokens(minutes=0), rotate=True)
        beds24.store.broken = True
        with pytest.raises(OSError, match="database"):
            beds24.account.read("/bookings")
        assert beds24.paths() == ["/authentication/token"]

    @pytest.mark.parametrize("refused", [False, True])
    def test_many_at_once_mint_one(self, refused: bool) -> None:
        """Twenty callers meet an ended token together; a second mint would be with a dead one."""
        beds24 = Beds24(tokens(minutes=600 if refused else 0), rotate=True)
        if refused:
            beds24.good = set()
        answers: list[Any] = []
        gate = threading.Barrier(20)

        def ask() -> None:
            gate.wait()
            try:
                answers.append(beds24.account.read("/bookings"))
            except IntegrationError as exc:
                answers.append(exc)

        threads = [threading.Thread(target=ask) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [{"data": []}] * 20
        assert beds24.minted == 1

    def test_a_token_another_process_brought_is_used(self) -> None:
        beds24 = Beds24(tokens())
        beds24.good = {"theirs"}

        def bring(request: httpx.Request) -> None:
            theirs = Tokens("r9", "theirs", NOW + timedelta(hours=9))
            MemoryTokens.save(beds24.store, theirs)

        beds24.answer = bring
        beds24.account.read("/bookings")
        assert beds24.paths() == ["/bookings", "/bookings"]

    def test_a_refusal_is_none_when_somebody_else_was_faster(self) -> None:
        """The lock can go with the database's session while Beds24 is answering."""
        beds24 = Beds24(tokens(minutes=0))
        beds24.refresh, beds24.good = {"r9"}, {"theirs"}
        theirs = Tokens("r9", "theirs", NOW + timedelta(hours=9))

        def bring(request: httpx.Request) -> None:
            MemoryTokens.save(beds24.store, theirs)

        beds24.answer = bring
        assert beds24.account.read("/bookings") == {"data": []}
        assert beds24.paths() == ["/authentication/token", "/bookings"]


@pytest.mark.parametrize("document", [{}, [], {"token": ""}, {"token": 7, "expiresIn": 9}, "a"])
def test_a_mint_that_brings_nothing(document: Any) -> None:
    beds24 = Beds24(tokens(minutes=0))
    beds24.answer = lambda request: httpx.Response(200, json=document)
    with pytest.raises(Unreadable):
        beds24.account.read("/bookings")
    assert beds24.store.saved == []


@pytest.mark.parametrize("seconds", [None, 0, -1, "60", True])
def test_a_senseless_lifetime_counts_as_an_hour(seconds: Any) -> None:
    beds24 = Beds24(tokens(minutes=0), seconds=seconds)
    expires_at = beds24.account.refresh().expires_at
    assert expires_at is not None
    assert abs(expires_at - datetime.now(UTC) - timedelta(hours=1)) < timedelta(minutes=1)


@pytest.mark.parametrize("token", ["", "two\r\nlines", "é"])
def test_a_token_no_header_can_carry(token: str) -> None:
    beds24 = Beds24(Tokens(token))
    with pytest.raises(Unauthorized):
        beds24.account.read("/bookings")
    assert beds24.calls == []


def test_tokens_are_not_printed() -> None:
    assert "r0" not in repr(tokens())
    assert "a0" not in repr(tokens())


class TestCredits:
    WIRE = {  # noqa: RUF012
        "x-five-min-limit-remaining": "97.6",
        "x-five-min-limit-resets-in": "212",
        "x-request-cost": "1.2",
    }

    def test_the_names_on_the_wire_and_in_the_document(self) -> None:
        """§3: code that reads only the documented ones never throttles."""
        documented = {
            "X-FiveMinCreditLimit-Remaining": "97.6",
            "X-FiveMinCreditLimit-ResetsIn": "212",
            "X-RequestCost": "1.2",
        }
        for headers in (self.WIRE, documented):
            found = read_credits(httpx.Headers(headers))
            assert found is not None
            assert (found.remaining, found.resets_in, found.cost) == (
                Decimal("97.6"),
                212.0,
                Decimal("1.2"),
            )

    @pytest.mark.parametrize("value", ["", "many", "NaN", "Infinity"])
    def test_nonsense_is_unknown_and_not_zero(self, value: str) -> None:
        headers = httpx.Headers({"x-five-min-limit-remaining": value, "x-request-cost": "1"})
        found = read_credits(headers)
        assert found is not None
        assert found.remaining is None
        assert read_credits(httpx.Headers({"x-request-cost": value})) is None

    def test_every_answer_is_told(self) -> None:
        told: list[Credits] = []
        beds24 = Beds24(tokens())
        beds24.account = Account(beds24._connect, beds24.store, on_credits=told.append)
        beds24.meter = self.WIRE
        beds24.account.read("/bookings")
        beds24.meter = {}
        beds24.account.read("/bookings")
        assert [c.remaining for c in told] == [Decimal("97.6")]
        assert beds24.account.credits == told[0]

    @pytest.mark.parametrize(
        ("headers", "pause"),
        [
            ({"Retry-After": "30", "x-five-min-limit-resets-in": "212"}, 30),
            ({"x-five-min-limit-remaining": "0", "x-five-min-limit-resets-in": "212"}, 212),
            ({}, 300),
        ],
    )
    def test_a_429_always_says_how_long(self, headers: dict[str, str], pause: float) -> None:
        """§3: 429s were seen with the meter and without Retry-After."""
        beds24 = Beds24(tokens())
        beds24.answer = lambda request: httpx.Response(429, json={}, headers=headers)
        with pytest.raises(RateLimited) as caught:
            beds24.account.read("/bookings")
        assert caught.value.retry_after == pytest.approx(pause, abs=2)
        assert len(beds24.calls) == 1

    def test_an_old_meter_is_counted_on(self, clock: Clock) -> None:
        beds24 = Beds24(Tokens("r0", "a0", clock() + timedelta(hours=9)))
        beds24.meter = self.WIRE
        beds24.account.read("/bookings")
        beds24.answer = lambda request: httpx.Response(429, json={})
        for moved, pause in ((100, 112), (100, 12), (100, 300)):
            clock.move(seconds=moved)
            with pytest.raises(RateLimited) as caught:
                beds24.account.read("/bookings")
            assert caught.value.retry_after == pause

    def test_a_call_can_be_held_back(self) -> None:
        def hold() -> None:
            raise RateLimited("no credits left", retry_after=60)

        beds24 = Beds24(tokens())
        beds24.account = Account(beds24._connect, beds24.store, before_call=hold)
        with pytest.raises(RateLimited):
            beds24.account.read("/bookings")
        assert beds24.calls == []


class TestInvite:
    GRANTED = {"token": "a1", "expiresIn": 3600, "refreshToken": "r1"}  # noqa: RUF012

    def exchange(self, response: httpx.Response) -> tuple[Tokens, httpx.Request]:
        seen: list[httpx.Request] = []

        def handle(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return response

        made = http.make_client("https://b.example", transport=httpx.MockTransport(handle))
        return exchange_invite(http.VendorHttp("beds24", made), " code-1 "), seen[0]

    def test_a_code_becomes_tokens(self) -> None:
        granted, request = self.exchange(httpx.Response(200, json=self.GRANTED))
        assert (granted.refresh_token, granted.access_token) == ("r1", "a1")
        assert request.url.path == "/authentication/setup"
        assert (request.headers["code"], request.headers["deviceName"]) == ("code-1", "Turnkey")

    @pytest.mark.parametrize("status", [400, 401])
    def test_a_used_code(self, status: int) -> None:
        with pytest.raises(Rejected, match="works once"):
            self.exchange(httpx.Response(status, json={"error": "secret-detail"}))

    def test_without_a_refresh_token_there_is_no_account(self) -> None:
        with pytest.raises(Unreadable):
            self.exchange(httpx.Response(200, json={"token": "a1", "expiresIn": 3600}))

    def test_a_lost_answer_may_have_used_the_code(self) -> None:
        with vendor(hang_up) as server:
            joined = http.pooled("beds24", server.url)
            with pytest.raises(Unconfirmed, match="make a new one"):
                exchange_invite(joined, "code-1")
            assert len(server.requests) == 1

    def test_nobody_there_used_nothing(self) -> None:
        with pytest.raises(Unreachable):
            exchange_invite(http.pooled("beds24", "http://127.0.0.1:9"), "code-1")
