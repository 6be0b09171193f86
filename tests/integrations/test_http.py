"""The HTTP client of every vendor: limits on a real socket, and errors that leak nothing."""

from __future__ import annotations

import os
import socket
import time
import traceback
from collections.abc import Iterator

import httpx
import pytest
import stamina

from app.integrations import http
from app.integrations.errors import (
    IntegrationError,
    NotFound,
    RateLimited,
    Rejected,
    Unauthorized,
    Unconfirmed,
    Unreachable,
    Unreadable,
)
from tests.conftest import Clock
from tests.integrations.vendor_server import answer, drip, hang_up, silence, vendor

KEY = "very-secret-key"
SECRET = f"Bearer {KEY}"


@pytest.fixture
def no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield


@pytest.fixture(autouse=True)
def no_pool_between_tests() -> Iterator[None]:
    yield
    http._pooled.cache_clear()


def on(url: str) -> http.VendorHttp:
    return http.VendorHttp("acme", http.make_client(url, headers={"Authorization": SECRET}))


def mocked(response: httpx.Response) -> http.VendorHttp:
    transport = httpx.MockTransport(lambda request: response)
    return http.VendorHttp("acme", http.make_client("https://acme.example", transport=transport))


def test_an_answer_is_its_document() -> None:
    with vendor(answer(b'{"a": [1, 2.5]}')) as server:
        assert on(server.url).read("/x", params=[("k", "a"), ("k", "b")]) == {"a": [1, 2.5]}
    head = server.requests[0].decode()
    assert head.startswith("GET /x?k=a&k=b HTTP/1.1\r\n")
    assert "User-Agent: Turnkey/0.1\r\n" in head
    assert f"Authorization: {SECRET}\r\n" in head


def test_a_refused_connection_is_unreachable(no_waiting: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unreachable) as caught:
        on(f"http://127.0.0.1:{port}").read("/x")
    assert caught.value.code == "ConnectError"


def test_a_hang_up_is_tried_three_times(no_waiting: None) -> None:
    with vendor(hang_up) as server, pytest.raises(Unreachable):
        on(server.url).read("/x")
    assert len(server.requests) == 3


def test_a_read_recovers_within_its_tries() -> None:
    scripts = (hang_up, answer(b"", status="502 Bad Gateway"), answer(b"[1]"))
    with vendor(*scripts) as server:
        assert on(server.url).read("/x") == [1]


def test_half_an_answer_is_unreadable(no_waiting: None) -> None:
    with vendor(answer(b'[{"id": 1}, {"i', length=500)) as server, pytest.raises(Unreadable) as e:
        on(server.url).read("/x")
    assert e.value.code == http.INCOMPLETE
    assert len(server.requests) == 3


def test_half_an_answer_may_be_whole_the_next_time(no_waiting: None) -> None:
    with vendor(answer(b"[1", length=500), answer(b"[1]")) as server:
        assert on(server.url).read("/x") == [1]


def test_cut_json_is_unreadable_at_once() -> None:
    with vendor(answer(b'[{"id": 1}, {"i')) as server, pytest.raises(Unreadable):
        on(server.url).read("/x")
    assert len(server.requests) == 1


def test_silence_ends_at_the_read_limit(no_waiting: None) -> None:
    with vendor(silence(1.0)) as server:
        began = time.monotonic()
        with pytest.raises(Unreachable) as caught:
            on(server.url).read("/x", read_seconds=0.1, budget_seconds=5)
        took = time.monotonic() - began
    assert caught.value.code == "ReadTimeout"
    assert took < 0.9


def test_all_tries_together_keep_the_budget() -> None:
    with vendor(silence(1.3)) as server:
        began = time.monotonic()
        with pytest.raises(Unreachable):
            on(server.url).read("/x", read_seconds=0.8, budget_seconds=1.0)
        took = time.monotonic() - began
    assert took < 1.9


def test_a_drip_ends_at_the_budget(no_waiting: None) -> None:
    with vendor(drip(0.05, 60)) as server:
        began = time.monotonic()
        with pytest.raises(Unreachable) as caught:
            on(server.url).read("/x", budget_seconds=0.5)
        took = time.monotonic() - began
    assert caught.value.code == "slow"
    assert took < 2.5


def test_a_huge_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_BODY_BYTES", 1000)
    with vendor(answer(b'"' + b"x" * 5000 + b'"')) as server, pytest.raises(Unreadable):
        on(server.url).read("/x")


def test_a_damaged_encoding_is_unreadable(no_waiting: None) -> None:
    script = answer(b"this is not gzip", headers="Content-Encoding: gzip\r\n")
    with vendor(script) as server, pytest.raises(Unreadable):
        on(server.url).read("/x")


STATUSES: list[tuple[int, type[IntegrationError], bool]] = [
    (301, Unreadable, False),
    (302, Unreadable, False),
    (400, Rejected, False),
    (401, Unauthorized, False),
    (403, Unauthorized, False),
    (404, NotFound, False),
    (408, Unreachable, True),
    (422, Rejected, False),
    (429, RateLimited, False),
    (500, Unreachable, True),
    (503, Unreachable, True),
]


@pytest.mark.parametrize(("status", "error", "again"), STATUSES)
def test_a_status_says_whether_to_try_again(
    status: int, error: type[IntegrationError], again: bool, no_waiting: None
) -> None:
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        headers = {"Location": "https://elsewhere.example", "X-Token": KEY}
        return httpx.Response(status, headers=headers, json={"guest": KEY})

    client = http.make_client(
        "https://acme.example",
        headers={"Authorization": SECRET},
        transport=httpx.MockTransport(handler),
    )
    with pytest.raises(error) as caught:
        http.VendorHttp("acme", client).read("/x", params=[("token", KEY)])
    assert len(asked) == (3 if again else 1)
    assert all(request.url.host == "acme.example" for request in asked)
    shown = "".join(traceback.format_exception(caught.value, chain=True))
    assert KEY not in shown + repr(caught.value)
    assert caught.value.vendor == "acme"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30.0),
        (" 7 ", 7.0),
        ("Tue, 10 Mar 2026 12:01:00 GMT", 60.0),
        ("Tue, 10 Mar 2026 11:00:00 GMT", 0.0),
        ("99999999999", 86_400.0),
        ("soon", None),
        ("-5", None),
    ],
)
def test_retry_after_in_both_forms(header: str, seconds: float | None, clock: Clock) -> None:
    response = httpx.Response(429, headers={"Retry-After": header}, json={})
    with pytest.raises(RateLimited) as caught:
        mocked(response).read("/x")
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(200, html="<html>Sign in</html>"),
        httpx.Response(200, text="ok"),
        httpx.Response(200, headers={"Content-Type": "application/json"}),
        httpx.Response(204),
        httpx.Response(200, headers={"Content-Type": "application/json"}, content=b" \n"),
        httpx.Response(200, headers={"Content-Type": "application/json"}, content=b"\xff\xfe{"),
        httpx.Response(200, headers={"Content-Type": "application/json"}, content=b"[NaN]"),
        httpx.Response(200, headers={"Content-Type": "application/json"}, content=b"[" * 100_000),
        httpx.Response(200, headers={"Content-Type": "text/<script>"}, content=b"[]"),
    ],
)
def test_what_is_not_json_is_unreadable(response: httpx.Response) -> None:
    with pytest.raises(Unreadable) as caught:
        mocked(response).read("/x")
    assert "<" not in str(caught.value)


@pytest.mark.parametrize(
    "media", ["application/json; charset=utf-8", "application/problem+json", "", "text/json"]
)
def test_json_is_read_under_its_names(media: str) -> None:
    headers = {"Content-Type": media} if media else {}
    assert mocked(httpx.Response(200, headers=headers, content=b"[1]")).read("/x") == [1]


def test_text_no_table_can_hold_is_cleaned() -> None:
    body = rb'{"a": ["x\u0000y", "\ud83d\ude00", "\ud800!"], "n": 1}'
    response = httpx.Response(200, headers={"Content-Type": "application/json"}, content=body)
    assert mocked(response).read("/x") == {"a": ["xy", "😀", "?!"], "n": 1}


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(404, html="<h1>Not Found</h1>"),
        httpx.Response(404, text="not found"),
        httpx.Response(404),
    ],
)
def test_a_404_that_says_nothing_readable_is_told_apart(response: httpx.Response) -> None:
    """A proxy's error page or a wrong path must not read as: this reservation was deleted."""
    with pytest.raises(Unreadable) as caught:
        mocked(response).read("/x")
    assert caught.value.code == http.PAGE_404


def test_a_lost_answer_to_a_write_is_unconfirmed() -> None:
    scripts = (hang_up, answer(b"", status="502 Bad Gateway"), answer(b"{", length=9))
    with vendor(*scripts) as server:
        for _ in scripts:
            with pytest.raises(Unconfirmed):
                on(server.url).exchange("POST", "/x", body={"a": 1})
    assert len(server.requests) == 3


def test_a_write_that_never_left_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unreachable):
        on(f"http://127.0.0.1:{port}").exchange("POST", "/x", body={})


def test_an_exchange_gives_the_headers_too() -> None:
    with vendor(answer(b"{}", headers="X-RequestCost: 3\r\n")) as server:
        found = on(server.url).exchange("GET", "/x", safe=True)
    assert (found.document, found.headers["X-RequestCost"]) == ({}, "3")


def test_the_pool_is_one_per_account_and_process(monkeypatch: pytest.MonkeyPatch) -> None:
    one = http.pooled("acme", "https://acme.example", SECRET)
    assert http.pooled("acme", "https://acme.example", SECRET)._client is one._client
    assert http.pooled("acme", "https://acme.example", "Bearer b")._client is not one._client
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert http.pooled("acme", "https://acme.example", SECRET)._client is not one._client


def test_a_key_no_header_can_carry_is_named_without_its_value() -> None:
    for key in ("clé-secrète", "line\nbreak"):
        with pytest.raises(Unauthorized) as caught:
            http.bearer("acme", key)
        assert key not in str(caught.value)


def test_a_link_stays_on_the_vendors_host() -> None:
    acme = mocked(httpx.Response(200, json=[]))
    assert acme.same_origin("/api?page=2") == "https://acme.example/api?page=2"
    for link in ("https://evil.example/", "http://acme.example/", "//evil.example", "https://[::"):
        assert acme.same_origin(link) is None


def test_headers_of_every_answer_are_shown() -> None:
    """contracts/beds24.md §3: a vendor's meter comes with refusals and failures as well."""
    seen: list[str] = []
    statuses = iter((200, 429, 500, 401))

    def handle(request: httpx.Request) -> httpx.Response:
        assert request.headers["token"] == "one"
        return httpx.Response(next(statuses), json={}, headers={"x-left": str(len(seen))})

    client = http.make_client("https://acme.example", transport=httpx.MockTransport(handle))
    acme = http.VendorHttp("acme", client, observer=lambda headers: seen.append(headers["X-Left"]))
    acme.read("/x", headers={"token": "one"})
    for _ in range(3):
        with pytest.raises(IntegrationError):
            acme.exchange("POST", "/x", headers={"token": "one"})
    assert seen == ["0", "1", "2", "3"]
