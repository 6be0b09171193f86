"""An account's tokens in the database, renewed by one process at a time.

Beds24 may replace the refresh token with any answer, and the old one is then dead at once
(contracts/beds24.md §2). Renewing therefore happens under a lock that belongs to a database
session of its own: it goes with the process that held it, however that ends.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar
from uuid import UUID

import structlog
from psycopg import errors as pg
from sqlalchemy import NullPool, create_engine, func, select
from sqlalchemy.exc import DBAPIError, OperationalError

from app.extensions import db
from app.integrations.channels.beds24_tokens import Tokens
from app.integrations.errors import NotConfigured, Unauthorized, Unreachable
from app.models import ChannelAccount
from app.runtime import secret_vault
from app.services import channel_accounts
from app.transaction import in_transaction, transaction

log = structlog.get_logger(__name__)
T = TypeVar("T")

VENDOR = "beds24"
#: longer than a mint and its tries may take
LOCK_SECONDS = 25
#: how long tokens that exist nowhere else are held on to while the database is away
SAVING_SECONDS = 15.0
#: a machine that vanished is noticed within a minute
KEEPALIVE = "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
UNREADABLE = (
    "the stored tokens of Beds24 cannot be opened with PIN_ENCRYPTION_KEYS: put the old key back, "
    "or connect the property again with a new invite code"
)


class AccountTokens:
    """The `TokenStore` and `Standing` of one account, for any number of processes."""

    def __init__(self, account_id: UUID) -> None:
        self.account_id = account_id
        self._refused_call: str | None = None

    def load(self) -> Tokens:
        """The tokens as stored now. Raises Unauthorized when they cannot be opened."""
        _outside_transactions()
        with transaction() as session:
            row = session.get(ChannelAccount, self.account_id)
        if row is None:
            raise NotConfigured("this Beds24 account is no longer connected", vendor=VENDOR)
        self._refused_call = row.refused_call
        vault, sealed = secret_vault(), row.access_token_encrypted
        try:
            return Tokens(
                vault.open(row.refresh_token_encrypted),
                vault.open(sealed) if sealed else None,
                row.access_expires_at,
            )
        except ValueError:
            refusal = Unauthorized(UNREADABLE, vendor=VENDOR)
        self.refused(None, refusal)
        raise refusal

    def save(self, tokens: Tokens) -> None:
        """Keep them; a database that is away is waited for, since they may exist nowhere else."""
        _outside_transactions()

        def write() -> None:
            with transaction() as session:
                channel_accounts.keep(session, self.account_id, tokens)

        insist(write)

    @contextmanager
    def refreshing(self) -> Iterator[None]:
        """One caller at a time in all processes. Raises Unreachable when the one before takes too
        long: nothing was asked of Beds24, so trying again later is safe."""
        _outside_transactions()
        engine = create_engine(
            db.engine.url,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,
            connect_args={
                "connect_timeout": 5,
                "application_name": "turnkey-tokens",
                "options": f"-c lock_timeout={LOCK_SECONDS * 1000} {KEEPALIVE}",
            },
        )
        with engine.connect() as connection:
            try:
                connection.execute(select(func.pg_advisory_lock(_key(self.account_id))))
            except DBAPIError as exc:
                if not isinstance(exc.orig, pg.LockNotAvailable):
                    raise
                taken = True
            else:
                taken = False
            if taken:
                raise Unreachable("another process is still renewing this token", vendor=VENDOR)
            yield  # the connection is closed on every way out, and the lock with it

    def refused(self, call: str | None, error: Unauthorized) -> None:
        """Beds24 refused `call`, or with None the account as a whole."""
        self._note(lambda: channel_accounts.note_refused(self.account_id, error.message, call))

    def accepted(self, call: str) -> None:
        """Beds24 carried `call` out."""
        if self._refused_call == call:
            self._note(lambda: channel_accounts.note_accepted(self.account_id, call))

    def _note(self, write: Callable[[], None]) -> None:
        """What Beds24 answered is worth more than our note of it."""
        try:
            write()
        except OperationalError:
            log.warning("standing_not_noted", account_id=str(self.account_id))


def insist(write: Callable[[], T]) -> T:
    """Do it, and again for a while as long as the database is away."""
    deadline = time.monotonic() + SAVING_SECONDS
    pause = 0.1
    while True:
        try:
            return write()
        except OperationalError:
            if time.monotonic() + pause > deadline:
                raise
        log.warning("tokens_not_saved_yet")
        time.sleep(pause)
        pause = min(pause * 2, 2.0)


def _key(account_id: UUID) -> int:
    """The account's place among PostgreSQL's advisory locks: 64 bits, signed."""
    digest = hashlib.sha256(b"beds24-tokens:" + account_id.bytes).digest()
    return int.from_bytes(digest[:8], signed=True)


def _outside_transactions() -> None:
    if in_transaction():
        raise RuntimeError("a channel is never called inside a transaction")
