"""The HTTP under tinytuya: time limits, one kept connection, no redirects, no secrets in logs.

tinytuya calls `requests.get` and `requests.request` of its own module without a time limit and with
redirects (contracts/tuya.md §8.2); this module takes the place of that `requests` (§9).
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
import requests.adapters
import tinytuya
import urllib3
import urllib3.connection
import urllib3.connectionpool

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class NotSent(Exception):
    """No byte of the request left this machine."""


class NoAnswer(Exception):
    """The request left, at least in part, and no complete answer came back."""


@dataclass(slots=True)
class Reply:
    """What tinytuya sees of an answer.

    `text` is always empty: tinytuya looks there for "token invalid" and then repeats the call, also
    when the phrase stands in a successful answer to a write (§8.3), and it logs it at DEBUG.
    """

    status_code: int
    content: bytes
    text: str = ""


@dataclass(slots=True)
class Route:
    """How one call goes out, its limits in seconds, and what came of it."""

    session: requests.Session
    base_url: str | None
    connect: float
    read: float
    total: float
    counted: Callable[[], None] = lambda: None
    status: int | None = None
    retry_after: float | None = None
    sent: bool = False
    cut_short: bool = False
    connection: Any = None
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def address(self, url: str) -> str:
        """Where `url` is really asked for. tinytuya writes https:// into every URL; a cloud mounted
        under a path, as a twin may be, signs and knows its own paths without that prefix."""
        if self.base_url is None:
            return url
        base, asked = urlsplit(self.base_url), urlsplit(url)
        return asked._replace(scheme=base.scheme, path=base.path.rstrip("/") + asked.path).geturl()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Cut the connection when the whole call outlasts `total`: the read limit alone starts
        anew with every byte that trickles in."""
        timer = threading.Timer(self.total, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            with self._guard:
                self.connection = None

    def _cut(self) -> None:
        with self._guard:
            self.cut_short = True
            sock = getattr(self.connection, "sock", None)
            if isinstance(sock, socket.socket):
                with contextlib.suppress(OSError):
                    # The plain socket's shutdown: SSLSocket's would race with the reader.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)


_route: ContextVar[Route | None] = ContextVar("tuya_route", default=None)


@contextlib.contextmanager
def routed(route: Route) -> Iterator[None]:
    """Send what tinytuya asks for within this block along `route`."""
    token = _route.set(route)
    try:
        yield
    finally:
        _route.reset(token)


class _Watched:
    """Tells the current route when the first byte leaves, and on which connection."""

    sock: Any

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()  # type: ignore[attr-defined]
        if (route := _route.get()) is not None:
            route.connection = self
            route.sent = True
        super().send(data)  # type: ignore[misc]


class _HTTPConnection(_Watched, urllib3.connection.HTTPConnection):
    pass


class _HTTPSConnection(_Watched, urllib3.connection.HTTPSConnection):
    pass


class _HTTPPool(urllib3.connectionpool.HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(urllib3.connectionpool.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


class _Adapter(requests.adapters.HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
        return manager


def open_session(base_url: str | None = None) -> requests.Session:
    """One kept connection; the environment's proxies, not its CA, are ignored for this machine."""
    session = requests.Session()
    if base_url is not None and urlsplit(base_url).hostname in LOOPBACK:
        session.trust_env = False
        bundles = (os.environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"))
        session.verify = next(filter(None, bundles), True)
    session.auth = lambda request: request  # otherwise requests looks for a ~/.netrc
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = _Adapter(pool_connections=1, pool_maxsize=1, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class Transport:
    """Stands where tinytuya's Cloud module has `requests`."""

    Request = requests.Request

    def get(self, url: str, headers: dict[str, str]) -> Any:
        return self.request("GET", url, headers=headers)

    def request(self, method: str, url: str, headers: dict[str, str], data: Any = None) -> Any:
        route = _route.get()
        if route is None:  # a Cloud object that is not ours: limits all the same
            with open_session() as session:
                return session.request(
                    method, url, headers=headers, data=data, timeout=(3, 7), allow_redirects=False
                )
        url = route.address(url)
        route.counted()
        failure: Exception
        with route.watched():
            try:
                response = route.session.request(
                    method,
                    url,
                    headers=headers,
                    data=data,
                    timeout=(min(route.connect, route.total), min(route.read, route.total)),
                    allow_redirects=False,
                )
                route.status = response.status_code
                route.retry_after = _seconds(response.headers.get("Retry-After"))
                return Reply(response.status_code, response.content)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                # The error carries the request with its secret header: keep its name only.
                reason = _reason(error, route)
                failure = NoAnswer(reason) if route.sent else NotSent(reason)
        raise failure


def _reason(error: Exception, route: Route) -> str:
    if route.cut_short or isinstance(error, requests.ReadTimeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectTimeout):
        return "no connection in time"
    return f"connection failed: {type(error).__name__}"


def _seconds(value: str | None) -> float | None:
    return float(value) if value and value.isascii() and value.isdigit() else None


def _quiet(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


def _refuse_debug(*args: object, **kwargs: object) -> None:
    raise RuntimeError("tinytuya's debug log writes the access secret; it stays off")


TRANSPORT = Transport()


def install() -> None:
    """Take the place of tinytuya's `requests` and keep its debug log shut (§8.6); repeatable."""
    # The attribute `tinytuya.Cloud` is the class; the module is found under its full name.
    sys.modules["tinytuya.Cloud"].requests = TRANSPORT  # type: ignore[attr-defined]
    names = [n for n in logging.root.manager.loggerDict if n.partition(".")[0] == "tinytuya"]
    for name in {"tinytuya", "tinytuya.core", "tinytuya.core.core", *names}:
        logger = logging.getLogger(name)
        if logger.level < logging.WARNING:
            logger.setLevel(logging.WARNING)
        logger.addFilter(_quiet)  # also when somebody lowers the level later
    for module in ("tinytuya", "tinytuya.core", "tinytuya.core.core"):
        sys.modules[module].set_debug = _refuse_debug  # type: ignore[attr-defined]
    tinytuya.set_debug = _refuse_debug


install()
