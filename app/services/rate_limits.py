"""Credits of a Beds24 account: one bucket for every process that calls in its name (OUT-13…23).

Beds24 gives an account a number of credits per five-minute period and refuses every call once they
are spent (contracts/beds24.md §3). So does the bucket: it is full when a period begins, with the
first call after the one before has ended, and nothing drips in meanwhile. What the answers say
corrects it: it is never fuller than Beds24 says, and its period ends when Beds24's does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import CursorResult, Select, SQLColumnExpression, func, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app import clock, meters
from app.domain.retries import RetryPolicy
from app.integrations.channels.beds24_tokens import Credits
from app.integrations.errors import CreditsSpent, RateLimited
from app.models import ChannelAccount, ChannelProperty
from app.runtime import secret_vault, settings
from app.services import channel_accounts
from app.transaction import transaction

log = structlog.get_logger(__name__)

PERIOD = timedelta(minutes=5)
CAPACITY = 100
#: credits that bulk work leaves to the urgent
RESERVE = 10
#: after a 429 that names no time: once, twice, and every time after (C-27)
REFUSED = RetryPolicy((60, 300, 900), max_attempts=4)
#: Beds24 cuts the seconds to its next period to whole ones
ROUNDING = timedelta(seconds=1)

_reserve: ContextVar[int] = ContextVar("turnkey_credit_reserve", default=0)


@dataclass(frozen=True, slots=True)
class Taken:
    """The call may be made; `left` credits remain in this period."""

    left: int


@dataclass(frozen=True, slots=True)
class Wait:
    """The call must not be made before `until`."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Meter:
    """A bucket as it stands. `refills_at` is None while it is full."""

    tokens: int
    capacity: int
    refills_at: datetime | None
    blocked_until: datetime | None


@dataclass(frozen=True, slots=True)
class Hooks:
    """What an account's client calls around each of its calls."""

    before_call: Callable[[], None]
    on_credits: Callable[[Credits], None]
    on_limited: Callable[[float | None], None]


#: what the bucket holds at :now, a period that has begun since included
_LEVEL = """CASE
    WHEN last_refill_at > :now + :period THEN capacity
    WHEN :now < last_refill_at + :period THEN LEAST(tokens, capacity)
    ELSE LEAST(capacity, tokens + refill_rate *
        LEAST(floor(extract(epoch FROM :now - last_refill_at) / :seconds), 1000)::int)
    END"""
_BEGUN = "(:now >= last_refill_at + :period OR last_refill_at > :now + :period)"
_OPEN = "(blocked_until IS NULL OR blocked_until <= :now)"
_ENOUGH = f"{_LEVEL} - :cost >= LEAST(:reserve, capacity / 2)"

#: a connection's settings may say what the account has bought; it counts from the next period on
_BOUGHT = """CASE WHEN jsonb_typeof(config -> 'credits_per_5_minutes') = 'number'
    AND (config ->> 'credits_per_5_minutes')::numeric BETWEEN 1 AND 100000
    THEN (config ->> 'credits_per_5_minutes')::numeric::int END"""

_TAKE = text(f"""
    UPDATE rate_limit_buckets AS bucket
       SET tokens = {_LEVEL} - :cost,
           capacity = COALESCE({_BOUGHT}, capacity),
           refill_rate = COALESCE({_BOUGHT}, refill_rate),
           last_refill_at = CASE WHEN {_BEGUN} THEN :now ELSE last_refill_at END,
           blocked_until = NULL,
           updated_at = :now
      FROM channel_properties
     WHERE bucket.channel_property_id = :id AND channel_properties.id = :id
       AND {_OPEN} AND {_ENOUGH}
    RETURNING tokens""")  # noqa: S608 - fragments of this module only
_LOOK = text(f"""
    SELECT {_LEVEL} AS tokens, capacity, last_refill_at, blocked_until,
           {_OPEN} AS is_open, {_ENOUGH} AS enough, {_BEGUN} AS begun
      FROM rate_limit_buckets WHERE channel_property_id = :id""")  # noqa: S608
_MAKE = text(f"""
    INSERT INTO rate_limit_buckets
           (channel_property_id, tokens, capacity, refill_rate, last_refill_at, updated_at)
    SELECT id, bought, bought, bought, :now, :now
      FROM (SELECT id, COALESCE({_BOUGHT}, :capacity) AS bought
              FROM channel_properties WHERE id = :id) AS connection
    ON CONFLICT DO NOTHING""")  # noqa: S608
#: a late answer of the period before says nothing about this one
_CORRECT = text("""
    UPDATE rate_limit_buckets
       SET tokens = LEAST(tokens, COALESCE(CAST(:remaining AS int), tokens)),
           last_refill_at = COALESCE(CAST(:started AS timestamptz), last_refill_at),
           updated_at = :now
     WHERE channel_property_id = :id AND last_refill_at <= :seen
       AND (tokens > CAST(:remaining AS int)
            OR abs(extract(epoch FROM last_refill_at - CAST(:started AS timestamptz))) > 2)""")
_BLOCK = text("""
    UPDATE rate_limit_buckets
       SET blocked_until = GREATEST(blocked_until, :until), updated_at = :now
     WHERE channel_property_id = :id""")


def take(
    channel_property_id: UUID, cost: int = 1, now: datetime | None = None, *, reserve: int = 0
) -> Taken | Wait:
    """Take `cost` credits of the property's account, or say when to ask again.

    One statement checks and takes, so no two callers spend the same credit (OUT-22). With a
    `reserve`, that many stay for the urgent.
    """
    now = now or clock.utcnow()
    with transaction() as session:
        bucket = _leader(session, channel_property_id)
        return _take(session, bucket, cost, now, reserve)


def check(
    channel_property_id: UUID, cost: int = 1, now: datetime | None = None, *, reserve: int = 0
) -> Wait | None:
    """When the credits will be there, None when they are now. Takes nothing (OUT-21)."""
    now = now or clock.utcnow()
    with transaction() as session:
        bucket = _leader(session, channel_property_id)
        row = session.execute(_LOOK, _asked(bucket, now, cost, reserve)).first()
        free = row is None or (row.is_open and row.enough)
        return None if free else Wait(_until(row, now))


def meter(session: Session, channel_property_id: UUID) -> Meter:
    """How the account of a connected property stands, for pages and answers."""
    now = clock.utcnow()
    bucket = _leader(session, channel_property_id)
    row = session.execute(_LOOK, _asked(bucket, now, 0, 0)).first()
    if row is None:
        return Meter(CAPACITY, CAPACITY, None, None)
    full = row.begun or row.tokens >= row.capacity
    blocked = row.blocked_until if row.blocked_until and row.blocked_until > now else None
    return Meter(row.tokens, row.capacity, None if full else row.last_refill_at + PERIOD, blocked)


def peers(session: Session, channel_property_id: UUID) -> list[UUID]:
    """The connections that spend from the same bucket, the one that leads them first."""
    own = select(_speaks()).where(ChannelProperty.id == channel_property_id).scalar_subquery()
    found = session.scalars(_line().where(_speaks().is_not_distinct_from(own)))
    return list(found) or [channel_property_id]


def note(channel_property_id: UUID, credits_: Credits) -> None:
    """Believe what an answer said: never more credits than Beds24 counts, and its period (C-26)."""
    with transaction() as session:
        _correct(session, _leader(session, channel_property_id), credits_)


def block(channel_property_id: UUID, until: datetime) -> None:
    """Let nobody call in this account's name before `until`: Beds24 asked for it."""
    with transaction() as session:
        _block(session, _leader(session, channel_property_id), until)


def hooks(account_id: UUID) -> Hooks:
    """What counts each call of an account's client, whoever makes it, and heeds its answers.

    `before_call` raises CreditsSpent instead of letting a call be made that Beds24 would refuse.
    An account that no connected property uses has no bucket and is not counted.
    """

    def before_call() -> None:
        now = clock.utcnow()
        with transaction() as session:
            bucket = _leader_of_account(session, account_id)
            taken = _take(session, bucket, 1, now, _reserve.get()) if bucket else None
        if isinstance(taken, Wait):
            meters.count("turnkey_limit_hits_total", limit="beds24_credits")
            raise CreditsSpent(
                "the credits of this five-minute period are spent",
                vendor=channel_accounts.BEDS24,
                retry_after=max((taken.until - now).total_seconds(), 0.0),
            )

    def on_credits(said: Credits) -> None:
        _noting(lambda session, bucket: _correct(session, bucket, said))

    def on_limited(seconds: float | None) -> None:
        pause = timedelta(seconds=REFUSED.delays[0] if seconds is None else seconds)
        until = clock.utcnow() + pause
        _noting(lambda session, bucket: _block(session, bucket, until))

    def _noting(write: Callable[[Session, UUID], None]) -> None:
        """The answer itself is worth more than our note of it."""
        try:
            with transaction() as session:
                bucket = _leader_of_account(session, account_id)
                if bucket is not None:
                    write(session, bucket)
        except OperationalError:
            log.warning("credits_not_noted", account_id=str(account_id))

    return Hooks(before_call, on_credits, on_limited)


@contextmanager
def bulk(reserve: int = RESERVE) -> Iterator[None]:
    """Calls made in this block leave a reserve to urgent work."""
    token = _reserve.set(reserve)
    try:
        yield
    finally:
        _reserve.reset(token)


def pause_after(error: RateLimited, refusals: int) -> timedelta:
    """How long to wait after Beds24 refused a call for the `refusals`-th time in a row: as long as
    it asked, else 60, 300 and 900 seconds."""
    if error.asked and error.retry_after is not None:
        return timedelta(seconds=error.retry_after)
    return timedelta(seconds=REFUSED.delays[min(refusals, len(REFUSED.delays)) - 1])


def _take(session: Session, bucket: UUID, cost: int, now: datetime, reserve: int) -> Taken | Wait:
    asked = _asked(bucket, now, cost, reserve)
    left = session.scalar(_TAKE, asked)
    if left is None:
        row = session.execute(_LOOK, asked).first()
        if row is not None:
            return Wait(_until(row, now))
        _make(session, bucket, now)
        left = session.scalar(_TAKE, asked)
    # Another one may have emptied it since; a connection that is gone has nothing to count.
    return Wait(now + PERIOD) if left is None else Taken(left)


def _until(row: Any, now: datetime) -> datetime:
    """When a call that was refused a credit can have one, going by what the bucket holds now."""
    until = now + timedelta(seconds=1)
    if not row.is_open:
        until = max(until, row.blocked_until)
    if not row.enough:
        until = max(until, now + PERIOD if row.begun else row.last_refill_at + PERIOD)
    return until


def _correct(session: Session, bucket: UUID, said: Credits) -> None:
    started = None
    if said.resets_in is not None:
        started = said.seen_at + timedelta(seconds=said.resets_in) + ROUNDING - PERIOD
    remaining = None if said.remaining is None else int(said.remaining // Decimal(1))
    session.execute(
        _CORRECT,
        {
            "id": bucket,
            "remaining": remaining,
            "started": started,
            "seen": said.seen_at,
            "now": clock.utcnow(),
        },
    )


def _block(session: Session, bucket: UUID, until: datetime) -> None:
    now = clock.utcnow()
    values = {"id": bucket, "until": until, "now": now}
    found: CursorResult[Any] = session.execute(_BLOCK, values)  # type: ignore[assignment]
    if not found.rowcount:
        _make(session, bucket, now)
        session.execute(_BLOCK, values)


def _make(session: Session, bucket: UUID, now: datetime) -> None:
    """A full bucket, on first use (OUT-23)."""
    session.execute(_MAKE, {"id": bucket, "now": now, "capacity": CAPACITY})


def _asked(bucket: UUID, now: datetime, cost: int, reserve: int) -> dict[str, Any]:
    return {
        "id": bucket,
        "now": now,
        "period": PERIOD,
        "seconds": PERIOD.total_seconds(),
        "cost": cost,
        "reserve": reserve,
    }


def _leader(session: Session, channel_property_id: UUID) -> UUID:
    """The connection whose row is the bucket of the account (DECISIONS 13)."""
    return peers(session, channel_property_id)[0]


def _leader_of_account(session: Session, account_id: UUID) -> UUID | None:
    return session.scalar(_line().where(_speaks() == account_id).limit(1))


def _line() -> Select[UUID]:
    return (
        select(ChannelProperty.id)
        .where(ChannelProperty.channel_name == channel_accounts.BEDS24)
        .order_by(ChannelProperty.created_at, ChannelProperty.id)
    )


def _speaks() -> SQLColumnExpression[UUID | None]:
    """The account that speaks for a connection: its own, else the environment's."""
    token = settings().beds24_refresh_token
    if token is None:
        return ChannelProperty.account_id
    shared = (
        select(ChannelAccount.id)
        .where(
            ChannelAccount.channel_name == channel_accounts.BEDS24,
            ChannelAccount.seed_fingerprint == secret_vault().fingerprint(token),
        )
        .scalar_subquery()
    )
    return func.coalesce(ChannelProperty.account_id, shared)
