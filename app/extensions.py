"""Extensions, created unbound; models subclass `Base` so that their types survive."""

from __future__ import annotations

import hashlib
import math
import time
from typing import Any, cast

import redis
from flask import Flask, Response, g, request, session
from flask_limiter import Limiter
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import MetaData, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import ConnectionPoolEntry, Pool, PoolProxiedConnection

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """The parent of every table."""

    metadata = MetaData(naming_convention=NAMING)


db = SQLAlchemy(metadata=Base.metadata)
migrate = Migrate()


#: A connection that was good so long ago need not be asked again: a check is a round trip, and a
#: door that stores a message has a few milliseconds for everything. Should the server have gone in
#: just that time, the first statement fails, and the pool replaces every connection it had.
IDLE_SECONDS = 1.0
_SEEN = "turnkey_seen"


def check_idle() -> None:
    """Have pools check a connection before use once it has lain idle; twice changes nothing."""
    if not event.contains(Pool, "checkout", _check):
        event.listen(Pool, "checkout", _check)
        event.listen(Pool, "checkin", _note)


def _note(connection: Any, entry: ConnectionPoolEntry) -> None:
    entry.info[_SEEN] = time.monotonic()


def _check(connection: Any, entry: ConnectionPoolEntry, proxy: PoolProxiedConnection) -> None:
    seen = entry.info.get(_SEEN)
    if seen is None or time.monotonic() - seen < IDLE_SECONDS:
        return
    try:
        connection.autocommit = True
        connection.execute("")
        connection.autocommit = False
    except Exception:
        raise DisconnectionError("an idle connection has gone") from None


def _address() -> str:
    return request.remote_addr or "unknown"


def _told_email() -> str:
    """The address that was typed into the form, or sent in the body."""
    try:
        body = request.get_json(silent=True) if request.is_json else request.form
    except RecursionError:  # a body nested too deeply; its door refuses it
        body = None
    return str((body.get("email") if isinstance(body, dict) else None) or "")


def _address_and_email() -> str:
    """Who tries to be whom: a guesser does not lock the whole front desk out."""
    return f"{_address()}|{_unnamed(_told_email())}"


def _unnamed(email: str) -> str:
    """Stands for an address where no name must be read."""
    told = email.strip().lower()[:254].encode("utf-8", "surrogatepass")
    return hashlib.sha256(told).hexdigest()[:24]


def _whose_code() -> str:
    """Whom a code is asked for, from wherever it is guessed and at whichever door."""
    if request.is_json:
        return _unnamed(_told_email())
    user = g.get("user")
    return _unnamed(user.email if user is not None else session.get("half", {}).get("email", ""))


def _person() -> str:
    """Who is signed in; pages only."""
    user = g.get("user")
    return str(user.id) if user is not None else _address()


_WRONG_CODE = "turnkey.wrong_code"


def count_wrong_code() -> None:
    """This request brought a code of the second factor that does not hold."""
    request.environ[_WRONG_CODE] = True


def _wrong_code(response: Response) -> bool:
    return _WRONG_CODE in request.environ


def _no_such_link(response: Response) -> bool:
    return response.status_code in (404, 422)


def _failed(response: Response) -> bool:
    return response.status_code in (401, 422)


class _DoorLimiter(Limiter):
    """Every limit of ours stands on a view and is checked there: nothing is left to look for
    before each of all the other requests."""

    def _check_request_limit(
        self, callable_name: str | None = None, in_middleware: bool = True
    ) -> None:
        if not in_middleware:
            super()._check_request_limit(callable_name, in_middleware)


#: counts in Redis, and in this process's memory while Redis is away
limiter = _DoorLimiter(
    key_func=_address,
    in_memory_fallback_enabled=True,
    key_prefix="turnkey",
)
#: failed sign-ins, at whichever door: per address and e-mail, then per address; both go between
#: the route and the view
sign_in_limits = (
    limiter.shared_limit(
        "10 per minute; 60 per hour",
        scope="sign-in",
        key_func=_address_and_email,
        deduct_when=_failed,
    ),
    limiter.shared_limit(
        "40 per minute; 300 per hour",
        scope="sign-in-address",
        key_func=_address,
        deduct_when=_failed,
    ),
)

#: wrong codes of the second factor, at whichever door and from wherever they come
code_limit = limiter.shared_limit(
    "10 per minute; 40 per hour",
    scope="second-factor",
    key_func=_whose_code,
    deduct_when=_wrong_code,
)
#: passwords typed by somebody who is signed in
own_password_limit = limiter.shared_limit(
    "10 per minute; 40 per hour", scope="own-password", key_func=_person, deduct_when=_failed
)
#: PINs shown, on every device of a person together: signing in again brings no more of them
reveal_limit = limiter.shared_limit("20 per minute; 200 per hour", scope="reveal", key_func=_person)
#: links that do not work
link_limit = limiter.shared_limit(
    "20 per minute; 100 per hour", scope="links", key_func=_address, deduct_when=_no_such_link
)


def retry_after() -> int:
    """In how many seconds the limit that refused this request lets the next one through."""
    limit = limiter.current_limit
    if limit is None:
        return 60
    # The moment comes rounded up to a whole second: never more than the whole window.
    left = math.ceil(limit.reset_at - time.time())
    return min(max(1, left), limit.limit.get_expiry())


def init_limiter(app: Flask, redis_url: str) -> None:
    """Bind the limiter to Redis with short patience: a missing Redis must not slow a sign-in."""
    pool = redis.ConnectionPool.from_url(
        redis_url,
        socket_connect_timeout=0.5,
        socket_timeout=0.5,
        retry=Retry(NoBackoff(), 1),  # the pool may hold sockets from before an outage
    )
    options = cast(dict[str, Any], {"connection_pool": pool})
    app.config.update(RATELIMIT_STORAGE_URI="redis://", RATELIMIT_STORAGE_OPTIONS=options)
    limiter.init_app(app)
