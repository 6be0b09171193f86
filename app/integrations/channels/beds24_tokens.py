"""Beds24's keys and meter: invite code to refresh token to access token, and the credits left.

The refresh token may be replaced by any answer, and the old one is then dead at once
(contracts/beds24.md §2): what comes back is saved before it is used, by one caller at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

from app import clock
from app.integrations import http
from app.integrations.errors import (
    NotFound,
    RateLimited,
    Rejected,
    Unauthorized,
    Unconfirmed,
    Unreadable,
)

VENDOR = "beds24"
SETUP, TOKEN = "/authentication/setup", "/authentication/token"
#: an access token is replaced this long before its end
EARLY = timedelta(minutes=5)
#: after a 429 that says neither how long nor when the period ends: a whole period
PERIOD_SECONDS = 300.0
#: what integrators find on the wire, then what the vendor's document calls it (§3)
REMAINING = ("x-five-min-limit-remaining", "x-fivemincreditlimit-remaining")
RESETS_IN = ("x-five-min-limit-resets-in", "x-fivemincreditlimit-resetsin")
COST = ("x-request-cost", "x-requestcost")
IDEMPOTENCY = "X-Idempotency-Key"


@dataclass(frozen=True, slots=True)
class Tokens:
    """What an account was given. Kept out of `repr`."""

    refresh_token: str = field(repr=False)
    access_token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None

    def usable_at(self, now: datetime) -> bool:
        """Whether the access token is good for a while yet."""
        if self.access_token is None or self.expires_at is None:
            return False
        return now < self.expires_at - EARLY


class TokenStore(Protocol):
    """Where an account's tokens are kept, shared by every process that uses the account."""

    def load(self) -> Tokens:
        """The tokens as they are stored now."""
        ...

    def save(self, tokens: Tokens) -> None:
        """Keep them durably; they are used only once this has returned."""
        ...

    def refreshing(self) -> AbstractContextManager[None]:
        """Let one caller in at a time: a second mint with a replaced token would be refused."""
        ...


class Standing(Protocol):
    """Is told whether Beds24 accepts the account. Neither method may raise."""

    def refused(self, call: str | None, error: Unauthorized) -> None:
        """`call` ("POST /bookings") was refused; None: the refresh token itself."""
        ...

    def accepted(self, call: str) -> None:
        """`call` was carried out."""
        ...


class MemoryTokens:
    """Tokens of this process only: for an account that lives in the environment, and for tests."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._lock = threading.Lock()

    def load(self) -> Tokens:
        return self._tokens

    def save(self, tokens: Tokens) -> None:
        self._tokens = tokens

    @contextmanager
    def refreshing(self) -> Iterator[None]:
        with self._lock:
            yield


@dataclass(frozen=True, slots=True)
class Credits:
    """What an answer said of the account's credits; None where it said nothing, which is not 0."""

    remaining: Decimal | None
    resets_in: float | None  # seconds
    cost: Decimal | None
    seen_at: datetime


def read_credits(headers: Mapping[str, str]) -> Credits | None:
    """The meter of an answer, None when it carried none (`/authentication/details`, a 400)."""
    remaining, resets_in, cost = (_number(headers, names) for names in (REMAINING, RESETS_IN, COST))
    if remaining is None and resets_in is None and cost is None:
        return None
    seconds = None if resets_in is None else float(min(resets_in, Decimal(86_400)))
    return Credits(remaining, seconds, cost, clock.utcnow())


def _number(headers: Mapping[str, str], names: tuple[str, ...]) -> Decimal | None:
    said = next((headers[name] for name in names if name in headers), None)
    if said is None:
        return None
    try:
        value = Decimal(said.strip())
    except InvalidOperation:
        return None
    return max(value, Decimal(0)) if value.is_finite() else None


def exchange_invite(
    vendor_http: http.VendorHttp, code: str, *, device_name: str = "Turnkey"
) -> Tokens:
    """The tokens for an invite code, which works once: save them before anything else.

    Raises Rejected for a code that is used, expired or mistyped, and Unconfirmed when no answer
    came: the code may be spent, and only a new one helps.
    """
    headers = {"code": _fit_for_header(code.strip(), "invite code"), "deviceName": device_name}
    try:
        answer = vendor_http.exchange("GET", SETUP, headers=headers)
    except (Rejected, Unauthorized) as exc:
        refused, lost = exc.code, False
    except Unconfirmed as exc:
        refused, lost = exc.code, True
    else:
        tokens = _granted(answer.document, None)
        if tokens is None:
            raise Unreadable(f"{VENDOR} gave no refresh token for the invite code", vendor=VENDOR)
        return tokens
    if lost:
        raise Unconfirmed(
            "Beds24 gave no answer, and the invite code may be used up: make a new one",
            vendor=VENDOR,
            code=refused,
        )
    raise Rejected(
        "Beds24 refused the invite code: it works once, and for 24 hours",
        vendor=VENDOR,
        code=refused,
    )


def revoke(vendor_http: http.VendorHttp, refresh_token: str) -> None:
    """End a refresh token at Beds24; one that is dead already is fine."""
    headers = {"refreshToken": _fit_for_header(refresh_token, "refresh token")}
    with suppress(Rejected, Unauthorized, NotFound):
        vendor_http.exchange("DELETE", TOKEN, headers=headers, safe=True)


class Account:
    """Calls in the name of one Beds24 account: with its token, and with an eye on its credits.

    `before_call` may raise RateLimited to keep a call from being made; `on_credits` is told what
    every answer said of the credits, `on_limited` of each 429 and the seconds it asked for, if it
    did; `standing` whether the credentials hold.
    """

    #: Beds24 thinks longer than most about a full page of bookings
    READ_SECONDS = 20.0
    BUDGET_SECONDS = 30.0

    def __init__(
        self,
        connect: Callable[[http.Observer], http.VendorHttp],
        store: TokenStore,
        *,
        before_call: Callable[[], None] | None = None,
        on_credits: Callable[[Credits], None] | None = None,
        on_limited: Callable[[float | None], None] | None = None,
        standing: Standing | None = None,
    ) -> None:
        self._http = connect(self._observe)
        self._on_limited = on_limited
        self._standing = standing
        self._store = store
        self._before_call = before_call
        self._on_credits = on_credits
        #: the latest known meter of the account
        self.credits: Credits | None = None

    def read(self, path: str, params: http.Params = ()) -> Any:
        """A GET, tried again while the vendor is silent."""
        return self._authorised(
            f"GET {path}",
            lambda headers: self._http.read(
                path,
                params=params,
                headers=headers,
                read_seconds=self.READ_SECONDS,
                budget_seconds=self.BUDGET_SECONDS,
            ),
        )

    def write(self, path: str, items: list[Any], *, idempotency_key: str | None = None) -> Any:
        """A POST of an array, tried once; a lost answer is Unconfirmed. The key travels in a header
        that Beds24 does not document (§9): nobody may rely on it."""
        extra = {} if idempotency_key is None else {IDEMPOTENCY: idempotency_key}
        return self._authorised(
            f"POST {path}",
            lambda headers: (
                self._http.exchange(
                    "POST",
                    path,
                    body=items,
                    headers={**headers, **extra},
                    read_seconds=self.READ_SECONDS,
                ).document
            ),
        )

    def refresh(self) -> Tokens:
        """Mint a new access token now, whatever is left of the old one: keeps the account alive."""
        return self._mint(self._store.load().access_token)

    def _authorised(self, name: str, call: Callable[[Mapping[str, str]], Any]) -> Any:
        """The call with a good token, and once more with a new one after a 401: that was carried
        out by nobody, so repeating it is safe for a write as well."""
        tokens = self._store.load()
        if not tokens.usable_at(clock.utcnow()):
            tokens = self._mint(tokens.access_token)
        try:
            return self._carried_out(name, call, tokens)
        except Unauthorized as exc:
            refusal = exc
        if refusal.code == "401":
            tokens = self._mint(tokens.access_token)
            try:
                return self._carried_out(name, call, tokens)
            except Unauthorized as exc:
                refusal = Unauthorized(
                    f"Beds24 refuses {name} with a fresh token: it lacks a scope, or this address "
                    "is not on its list",
                    vendor=VENDOR,
                    code=exc.code,
                )
        raise self._refused(name, refusal)

    def _carried_out(
        self, name: str, call: Callable[[Mapping[str, str]], Any], tokens: Tokens
    ) -> Any:
        document = self._metered(call, tokens)
        if self._standing is not None:
            self._standing.accepted(name)
        return document

    def _refused(self, name: str | None, error: Unauthorized) -> Unauthorized:
        if self._standing is not None:
            self._standing.refused(name, error)
        return error

    def _metered(self, call: Callable[[Mapping[str, str]], Any], tokens: Tokens) -> Any:
        if self._before_call is not None:
            self._before_call()
        token = _fit_for_header(tokens.access_token or "", "access token")
        try:
            return call({"token": token})
        except RateLimited as exc:
            raise self.pausing(exc) from None

    def pausing(self, error: RateLimited) -> RateLimited:
        """The same error with a pause that holds: 429s were seen without Retry-After (§3)."""
        if error.retry_after is None:
            error.retry_after = self._until_reset()
        error.asked = error.retry_after is not None
        if self._on_limited is not None:
            self._on_limited(error.retry_after)
        if error.retry_after is None:
            error.retry_after = PERIOD_SECONDS
        return error

    def _until_reset(self) -> float | None:
        """Seconds to the end of the period by the latest meter; None when that is over."""
        if self.credits is None or self.credits.resets_in is None:
            return None
        ends_at = self.credits.seen_at + timedelta(seconds=self.credits.resets_in)
        left = (ends_at - clock.utcnow()).total_seconds()
        return left if left > 0 else None

    def _mint(self, stale: str | None) -> Tokens:
        """A new access token in place of `stale`, unless another caller has brought one."""
        with self._store.refreshing():
            known = self._store.load()
            if known.access_token != stale and known.usable_at(clock.utcnow()):
                return known
            if self._before_call is not None:
                self._before_call()
            headers = {"refreshToken": _fit_for_header(known.refresh_token, "refresh token")}
            code: str | None = None
            try:
                document = self._http.read(TOKEN, headers=headers)
            except RateLimited as exc:
                raise self.pausing(exc) from None
            except (Rejected, Unauthorized) as exc:
                code = exc.code
                latest = self._store.load()
                if latest.refresh_token != known.refresh_token and latest.usable_at(clock.utcnow()):
                    return latest  # the lock was lost with the database: somebody else was faster
            else:
                tokens = _granted(document, known)
                if tokens is None:
                    raise Unreadable(f"{VENDOR} gave no access token", vendor=VENDOR)
                self._store.save(tokens)
                return tokens
        raise self._refused(
            None,
            Unauthorized(
                "Beds24 refused the refresh token: connect the property again with a new invite "
                "code",
                vendor=VENDOR,
                code=code,
            ),
        )

    def _observe(self, headers: Mapping[str, str]) -> None:
        found = read_credits(headers)
        if found is None:
            return
        if self.credits is not None:  # an answer may carry a part of the meter
            found = replace(
                found,
                remaining=self.credits.remaining if found.remaining is None else found.remaining,
            )
        self.credits = found
        if self._on_credits is not None:
            self._on_credits(found)


def _granted(document: object, known: Tokens | None) -> Tokens | None:
    """The tokens in an answer: those it names, else the refresh token we have. The time given is
    believed, since documents and integrators name different ones (§2)."""
    if not isinstance(document, Mapping):
        return None
    token, refresh = document.get("token"), document.get("refreshToken")
    seconds = document.get("expiresIn")
    if not isinstance(token, str) or not token:
        return None
    if not isinstance(refresh, str) or not refresh:
        if known is None:
            return None
        refresh = known.refresh_token
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        seconds = 3600
    expires_at = clock.utcnow() + timedelta(seconds=min(float(seconds), 30 * 86_400.0))
    return Tokens(refresh, token, expires_at)


def _fit_for_header(value: str, what: str) -> str:
    if not (value and value.isascii() and value.isprintable()):
        raise Unauthorized(f"the {what} of Beds24 is empty or unfit for a header", vendor=VENDOR)
    return value
