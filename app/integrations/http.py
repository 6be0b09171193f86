"""One pooled httpx client per vendor: hard time limits, JSON or an error, and nothing leaked.

What leaves this module is a decoded document or an `IntegrationError` that names the vendor, the
call and the status; never a body, a header, a query or the exception httpx raised with them.
"""

from __future__ import annotations

import base64
import functools
import json
import os
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import stamina

from app import clock
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
from app.integrations.measured import READ, TOKEN, WRITE, measured

USER_AGENT = "Turnkey/0.1"
CONNECT_SECONDS = 3.0
READ_SECONDS = 10.0
#: what one read may take in all, its retries included
BUDGET_SECONDS = 12.0
ATTEMPTS = 3
MAX_BODY_BYTES = 64 * 1024 * 1024
LOOPBACK = ("127.0.0.1", "localhost", "::1")
#: codes of an `Unreadable` that a caller may want to tell apart
INCOMPLETE, PAGE_404 = "incomplete", "404-page"

Params = Sequence[tuple[str, str]]
#: is shown the headers of every answer, refusals and failures among them
Observer = Callable[[Mapping[str, str]], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """A readable answer: the decoded JSON document and the headers it came with."""

    document: Any
    headers: Mapping[str, str]


def basic(user: str, password: str) -> str:
    """The value of an `Authorization` header for HTTP Basic."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


def bearer(vendor: str, key: str) -> str:
    """The value of an `Authorization` header for a key, refused here if no header can carry it."""
    if not (key.isascii() and key.isprintable()):
        raise Unauthorized(
            f"the API key of {vendor} has characters no header can carry", vendor=vendor
        )
    return f"Bearer {key}"


@functools.cache
def _certificates() -> ssl.SSLContext:
    """Whom to believe: read once for all clients, since it takes 20 ms each time."""
    return httpx.create_ssl_context()


def make_client(
    base_url: str,
    *,
    headers: Mapping[str, str] | None = None,
    transport: httpx.BaseTransport | None = None,
) -> httpx.Client:
    """A client with our limits; the caller closes it. Redirects are answers, never followed: a
    followed one would carry credentials to another host or end on a login page."""
    return httpx.Client(
        base_url=base_url,
        headers={"User-Agent": USER_AGENT, "Accept": "application/json", **(headers or {})},
        timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
        limits=httpx.Limits(max_connections=4, max_keepalive_connections=2),
        follow_redirects=False,
        verify=_certificates(),
        trust_env=urlsplit(base_url).hostname not in LOOPBACK,
        transport=transport,
    )


@functools.cache
def _pooled(pid: int, base_url: str, authorization: str | None) -> httpx.Client:
    return make_client(
        base_url, headers={"Authorization": authorization} if authorization else None
    )


def pooled(
    vendor: str,
    base_url: str,
    authorization: str | None = None,
    *,
    observer: Observer | None = None,
) -> VendorHttp:
    """The process's one client for this vendor and account. Keyed by process id, since a forked
    worker must not share its parent's sockets."""
    return VendorHttp(vendor, _pooled(os.getpid(), base_url, authorization), observer=observer)


class VendorHttp:
    """Calls to one vendor, with every failure translated."""

    def __init__(
        self, vendor: str, client: httpx.Client, *, observer: Observer | None = None
    ) -> None:
        self.vendor = vendor
        self._client: Final = client
        self._observer: Final = observer

    def read(
        self,
        path: str,
        *,
        method: str = "GET",
        params: Params = (),
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        read_seconds: float = READ_SECONDS,
        budget_seconds: float = BUDGET_SECONDS,
    ) -> Any:
        """A call that changes nothing, tried again while the vendor is silent and time is left."""
        deadline = time.monotonic() + budget_seconds
        for attempt in stamina.retry_context(
            on=_worth_retrying,
            attempts=ATTEMPTS,
            timeout=budget_seconds,
            wait_initial=0.2,
            wait_max=1.0,
            wait_jitter=0.3,
        ):
            with attempt, measured(self.vendor, _operation(path, safe=True)):
                return self._send(
                    method, path, params, body, read_seconds, deadline, True, headers
                ).document
        raise AssertionError("unreachable: the last attempt returns or raises")

    def exchange(
        self,
        method: str,
        path: str,
        *,
        params: Params = (),
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        safe: bool = False,
        read_seconds: float = READ_SECONDS,
    ) -> Answer:
        """One call, tried once. Unless `safe`, a lost or damaged answer is `Unconfirmed`: the call
        may have worked."""
        deadline = time.monotonic() + CONNECT_SECONDS + read_seconds
        try:
            with measured(self.vendor, _operation(path, safe=safe)):
                return self._send(method, path, params, body, read_seconds, deadline, safe, headers)
        except Unreadable as exc:
            if safe:
                raise
            raise Unconfirmed(exc.message, vendor=self.vendor, code=exc.code) from None

    def same_origin(self, url: str) -> str | None:
        """`url` made absolute if it stays on the vendor's host, else None."""
        try:
            target = self._client.base_url.join(url)
        except (httpx.InvalidURL, ValueError):
            return None
        home = self._client.base_url
        same = (target.scheme, target.host, target.port) == (home.scheme, home.host, home.port)
        return str(target) if same else None

    def _send(
        self,
        method: str,
        path: str,
        params: Params,
        body: Any,
        read_seconds: float,
        deadline: float,
        safe: bool,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        left = max(0.1, deadline - time.monotonic())
        where = f"{method} {urlsplit(path).path}"
        started = False
        try:
            with self._client.stream(
                method,
                path,
                params=list(params) or None,
                json=body,
                headers=headers,
                timeout=httpx.Timeout(min(read_seconds, left), connect=min(CONNECT_SECONDS, left)),
            ) as response:
                started = True
                if self._observer is not None:
                    self._observer(response.headers)
                self._check_status(response, where, safe)
                raw = self._body(response, where, deadline, safe)
                return Answer(decode_json(raw, self.vendor, where), response.headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as exc:
            failure: IntegrationError = self._silence(Unreachable, where, exc)
        except (httpx.RemoteProtocolError, httpx.DecodingError) as exc:
            if started and safe:
                failure = Unreadable(
                    f"{self.vendor}: the answer to {where} ended early or is damaged",
                    vendor=self.vendor,
                    code=INCOMPLETE,
                )
            else:
                failure = self._silence(Unreachable if safe else Unconfirmed, where, exc)
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            failure = self._silence(Unreachable if safe else Unconfirmed, where, exc)
        # Raised outside the handlers, so that no httpx exception with its request hangs on to it.
        raise failure

    def _silence(
        self, kind: type[IntegrationError], where: str, exc: Exception
    ) -> IntegrationError:
        return kind(
            f"{self.vendor} gave no answer to {where}", vendor=self.vendor, code=type(exc).__name__
        )

    def _body(self, response: httpx.Response, where: str, deadline: float, safe: bool) -> bytes:
        """The whole body, within the time and size a vendor may take; a drip is not an answer."""
        chunks: list[bytes] = []
        size = 0
        for chunk in response.iter_bytes():
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise Unreadable(
                    f"{self.vendor}: too large an answer to {where}", vendor=self.vendor
                )
            if time.monotonic() > deadline:
                kind = Unreachable if safe else Unconfirmed
                raise kind(
                    f"{self.vendor} was too slow to answer {where}", vendor=self.vendor, code="slow"
                )
            chunks.append(chunk)
        return b"".join(chunks)

    def _check_status(self, response: httpx.Response, where: str, safe: bool) -> None:
        status = response.status_code
        media = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        is_json = media in ("application/json", "text/json") or media.endswith("+json")
        vendor, code = self.vendor, str(status)
        if 200 <= status < 300:
            # A login page comes as 200 with HTML (contracts/stays.md §1); no type at all is parsed.
            if media and not is_json:
                raise Unreadable(f"{vendor} answered {where} with {_word(media)}", vendor=vendor)
            return
        pause = _retry_after(response.headers.get("Retry-After"))
        if status in (401, 403):
            raise Unauthorized(
                f"{vendor} refused the credentials for {where}", vendor=vendor, code=code
            )
        if status == 404 and not is_json:
            # A proxy's page or a wrong path, and not a word about the object that was asked for.
            raise Unreadable(f"{vendor} answered {where} with a page", vendor=vendor, code=PAGE_404)
        if status == 404:
            raise NotFound(f"{vendor} has nothing at {where}", vendor=vendor, code=code)
        if status == 429:
            raise RateLimited(
                f"{vendor} asks for fewer calls", vendor=vendor, code=code, retry_after=pause
            )
        if status >= 500 or status == 408:
            kind = Unreachable if safe else Unconfirmed
            raise kind(f"{vendor} failed at {where}", vendor=vendor, code=code, retry_after=pause)
        if 300 <= status < 400:
            raise Unreadable(f"{vendor} redirects {where} elsewhere", vendor=vendor, code=code)
        raise Rejected(f"{vendor} refused {where}", vendor=vendor, code=code)


def decode_json(raw: bytes, vendor: str, where: str) -> Any:
    """The document in `raw`; text PostgreSQL cannot store (NUL, lone surrogates) is cleaned."""
    problem = "an empty body"
    if raw.strip():
        try:
            document = json.loads(raw, parse_constant=_refuse_constant)
            if b"\\u0000" in raw or b"\\ud" in raw or b"\\uD" in raw:
                document = _storable(document)
        except (ValueError, RecursionError):
            problem = "something that is not JSON"
        else:
            return document
    raise Unreadable(f"{vendor} answered {where} with {problem}", vendor=vendor)


def _refuse_constant(name: str) -> float:
    raise ValueError(name)


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_storable(entry) for entry in value]
    if isinstance(value, dict):
        return {_storable(key): _storable(entry) for key, entry in value.items()}
    return value


def _operation(path: str, *, safe: bool) -> str:
    """The class a call is counted in."""
    if "authentication/" in path:
        return TOKEN
    return READ if safe else WRITE


def _worth_retrying(exc: Exception) -> bool:
    return isinstance(exc, Unreachable) or (isinstance(exc, Unreadable) and exc.code == INCOMPLETE)


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait, from either form RFC 9110 allows; None when absent or nonsense."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(min(int(value.strip()), 86_400))
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - clock.utcnow()).total_seconds()), 86_400.0)


def _word(media: str) -> str:
    """A media type fit for a message; anything that does not look like one is not repeated."""
    plain = media.replace("/", "").replace("-", "").replace("+", "").replace(".", "")
    return media if plain.isascii() and plain.isalnum() and len(media) < 60 else "no JSON"
