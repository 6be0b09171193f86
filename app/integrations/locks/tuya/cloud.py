"""One Tuya project's line: a single tinytuya client behind one lock, its token kept alive."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from time import monotonic
from typing import Any, TypeVar

from app.clock import utcnow
from app.integrations.errors import IntegrationError, Unconfirmed, Unreachable, Unreadable
from app.integrations.locks.tuya import transport
from app.integrations.locks.tuya.api import Api, check
from app.integrations.locks.tuya.codes import VENDOR, TokenRefused, interpret
from app.integrations.measured import READ, TOKEN, WRITE, measured

T = TypeVar("T")
log = logging.getLogger(__name__)

#: renewed ahead of its 7200 s; tokens have also died earlier (§1.4), which TOKEN_CODES catch
RENEW_AFTER = timedelta(minutes=90)
RENEW_AGAIN_AFTER = timedelta(minutes=1)
IDLE_SECONDS = 15.0
KEEP_DAYS = 31


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: for one call's parts, for waiting in line, and for a whole method."""

    connect: float = 3.0
    read: float = 7.0
    token: float = 10.0  # the first call after a start is slow (§12)
    wait: float = 10.0
    total: float = 20.0
    least: float = 1.0  # with less left, another call is not begun


class TuyaCloud:
    """Calls to one project, one at a time (§8.4); nothing is sent before the first one.

    `calls` counts requests by UTC day, token requests included, for the quota guard.
    """

    def __init__(
        self,
        *,
        region: str | None,
        access_id: str,
        access_secret: str,
        base_url: str | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.access_secret = access_secret
        self.limits = limits or Limits()
        self.calls: Counter[date] = Counter()
        self.clock_offset: float | None = None
        check(region, access_id, access_secret, base_url)
        self._base_url = base_url
        self._api = Api(region or "eu", access_id, access_secret, base_url)
        self._session = transport.open_session(base_url)
        self._lock = threading.Lock()
        self._deadline = 0.0
        self._used_at = 0.0
        self._renew_at: datetime | None = None
        self._failures = 0
        self._resume_at = 0.0
        self._last_failure: IntegrationError | None = None
        _lines.add(self)

    def read(
        self, path: str, query: dict[str, str] | None = None, *, until: float | None = None
    ) -> Any:
        """The `result` of a GET, not begun after `until`. Safe to repeat whatever it raises."""
        return self.run(lambda: self.exchange("GET", path, query=query, writes=False), until=until)

    def write(self, method: str, path: str) -> Any:
        """The `result` of a change without a body. Unconfirmed when its outcome is unknown."""
        return self.run(lambda: self.exchange(method, path, writes=True))

    def run(self, steps: Callable[[], T], *, until: float | None = None) -> T:
        """Hold the line for `steps` (calls of `exchange`), and repeat them once with a new token
        when theirs was refused: a refused call was not executed."""
        with self._held(until):
            self._ensure_token()
            with contextlib.suppress(TokenRefused):
                return steps()
            self._renew()
            with contextlib.suppress(TokenRefused):
                return steps()
        raise Unreachable("the cloud refuses the token it has just issued", vendor=VENDOR)

    def exchange(
        self,
        method: str,
        path: str,
        *,
        writes: bool,
        query: dict[str, str] | None = None,
        body: dict[str, Any] | None = None,
    ) -> Any:
        """One request; only within `run`. The method is explicit: tinytuya guesses (§8.2 #1)."""

        def send() -> Any:
            if method == "PUT" and body is not None:
                # cloudrequest sends no Content-Type with a PUT (§8.2 #4)
                return self._api._tuyaplatform(
                    path, action="PUT", post=body, ver=None, content_type="application/json"
                )
            return self._api.cloudrequest(path, action=method, post=body, query=query)

        label = f"{method} {path}"
        with measured(VENDOR, WRITE if writes else READ):
            return self._talk(label, send, read=self.limits.read, writes=writes)

    def close(self) -> None:
        """Close the kept connection; the next call opens another."""
        self._session.close()

    @contextlib.contextmanager
    def _held(self, until: float | None) -> Iterator[None]:
        now = monotonic()
        deadline = min(now + self.limits.total, until or now + self.limits.total)
        if not self._lock.acquire(timeout=max(0.0, min(self.limits.wait, deadline - now))):
            raise Unreachable("the line to the cloud is taken by a slow call", vendor=VENDOR)
        try:
            self._deadline = deadline
            yield
        finally:
            self._lock.release()

    def _talk(self, label: str, send: Callable[[], Any], *, read: float, writes: bool) -> Any:
        remaining = self._deadline - monotonic()
        if remaining < self.limits.least:
            raise Unreachable("no time left for another call; nothing was sent", vendor=VENDOR)
        transport.install()
        if monotonic() - self._used_at > IDLE_SECONDS:
            self._session.close()  # a reset on a stale connection would look like a lost answer
        route = transport.Route(
            session=self._session,
            base_url=self._base_url,
            connect=self.limits.connect,
            read=read,
            total=min(self.limits.connect + read, remaining),
            counted=self._count,
        )
        reply: Any = None
        lost: IntegrationError | None = None
        began, started = utcnow(), monotonic()
        try:
            with transport.routed(route):
                reply = send()
        except transport.NotSent as error:
            lost = Unreachable(f"{error}; nothing was sent", vendor=VENDOR)
        except transport.NoAnswer as error:
            lost = (Unconfirmed if writes else Unreachable)(str(error), vendor=VENDOR)
        except (AttributeError, KeyError, TypeError, ValueError):
            # tinytuya trips over replies of another shape
            reply = []
        self._used_at = monotonic()
        took = monotonic() - started
        if lost is not None:
            log.info("tuya %s failed after %d ms: %s", label, took * 1000, lost)
            raise lost
        self._read_clock(reply, began + timedelta(seconds=took / 2))
        try:
            return interpret(
                reply, status=route.status, retry_after=route.retry_after, writes=writes
            )
        except IntegrationError as error:
            log.info("tuya %s refused: %s, trace %s", label, error, error.trace_id)
            raise

    def _ensure_token(self) -> None:
        if not self._api.token:
            self._renew()
        elif self._renew_at is not None and utcnow() >= self._renew_at:
            kept = self._api.token
            try:
                self._renew()
            except IntegrationError:
                # The token in hand is good for a while yet; its end is noticed by its refusal.
                self._api.token = kept
                self._renew_at = utcnow() + RENEW_AGAIN_AFTER

    def _renew(self) -> None:
        """Fetch a token. After two failures in a row the next waits 1, 2, 4 … 30 s, and calls in
        between fail at once; tinytuya alone would stay dead for good (§8.3)."""
        if self._last_failure is not None and monotonic() < self._resume_at:
            raise _again(self._last_failure)
        try:
            result = self._fetch_token()
        except IntegrationError as error:
            self._failures += 1
            pause = min(30.0, 2.0 ** (self._failures - 2)) if self._failures > 1 else 0.0
            self._resume_at = monotonic() + pause
            self._last_failure = error
            raise
        self._failures, self._last_failure = 0, None
        life = result.get("expire_time")
        if isinstance(life, int) and life > 0:
            # The cloud hands back its current token with what is left of it (§1.4).
            ahead = min(RENEW_AFTER, max(timedelta(seconds=life * 0.75), RENEW_AGAIN_AFTER))
        else:
            ahead = RENEW_AFTER
        self._renew_at = utcnow() + ahead

    def _fetch_token(self) -> dict[str, Any]:
        def send() -> Any:
            self._api.token_reply = None
            self._api._gettoken()
            return self._api.token_reply

        error: IntegrationError | None = None
        result: Any = None
        try:
            with measured(VENDOR, TOKEN):
                result = self._talk("GET token", send, read=self.limits.token, writes=False)
        except TokenRefused:
            error = Unreachable("the cloud refuses to issue a token", vendor=VENDOR)
        except IntegrationError as refused:
            error = refused
        if error is None and not (
            isinstance(result, dict)
            and isinstance(result.get("access_token"), str)
            and result["access_token"]
        ):
            error = Unreadable("the token answer has no token", vendor=VENDOR)
        if error is not None:
            self._api.token = None
            raise error
        self._api.token = result["access_token"]
        return dict(result)

    def _count(self) -> None:
        today = utcnow().date()
        self.calls[today] += 1
        if len(self.calls) > KEEP_DAYS:
            del self.calls[min(self.calls)]

    def _read_clock(self, reply: Any, at: datetime) -> None:
        stamp = reply.get("t") if isinstance(reply, dict) else None
        if isinstance(stamp, int) and not isinstance(stamp, bool) and stamp > 10**12:
            self.clock_offset = stamp / 1000 - at.timestamp()

    def _after_fork(self) -> None:
        """A child must not talk on its parent's connection, nor wait for a lock nobody holds."""
        self._lock = threading.Lock()
        self._session = transport.open_session(self._base_url)


_lines: weakref.WeakSet[TuyaCloud] = weakref.WeakSet()


def _refork() -> None:
    for line in list(_lines):
        line._after_fork()


os.register_at_fork(after_in_child=_refork)


def _again(error: IntegrationError) -> IntegrationError:
    return type(error)(
        error.message,
        vendor=error.vendor,
        code=error.code,
        trace_id=error.trace_id,
        retry_after=error.retry_after,
    )
