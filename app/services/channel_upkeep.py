"""What accounts at channels need now and then: use, so that they live, and an end."""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from app import clock
from app.integrations import http
from app.integrations.channels.beds24_tokens import VENDOR, revoke
from app.integrations.errors import IntegrationError
from app.models import ChannelAccount
from app.runtime import secret_vault, settings
from app.services import channel_accounts, vendors
from app.transaction import transaction

log = structlog.get_logger(__name__)

#: a refresh token lives while it is used once in 30 days (contracts/beds24.md §2)
IDLE = timedelta(days=5)
LIFE = timedelta(days=30)
#: longer than any access token, so that no call in its name is under way
LET_GO = timedelta(days=2)
#: what is not reached in one run is idle for a day more
BUDGET_SECONDS = 90.0


def keep_alive() -> None:
    """Renew the tokens of accounts that nobody has used for five days, the longest idle first, and
    let go of accounts that no property uses any more. A refusal is noted at its properties."""
    deadline = time.monotonic() + BUDGET_SECONDS
    now = clock.utcnow()
    with transaction() as session:
        used = channel_accounts.in_use(session)
        idle = _last_used_before(session, now - IDLE, used)
        unused = session.scalars(
            select(ChannelAccount.id).where(ChannelAccount.id.not_in(used))
        ).all()
        over = _last_used_before(session, now - LET_GO, unused)
    for account_id in idle:
        if time.monotonic() > deadline:
            return
        try:
            vendors.beds24_account(account_id).account.refresh()
        except IntegrationError as error:
            log.warning("account_not_renewed", account_id=str(account_id), kind=error.kind)
    for account_id in over:
        if time.monotonic() > deadline:
            return
        _let_go(account_id, now)


def _last_used_before(session: Session, moment: datetime, accounts: Collection[UUID]) -> list[UUID]:
    last_used = func.coalesce(ChannelAccount.refreshed_at, ChannelAccount.created_at)
    return list(
        session.scalars(
            select(ChannelAccount.id)
            .where(ChannelAccount.id.in_(accounts), last_used < moment)
            .order_by(last_used)
        )
    )


def _let_go(account_id: UUID, now: datetime) -> None:
    """Forget an account. Its token is ended at Beds24 only if an invite code of ours made it: one
    that somebody pasted may serve them elsewhere, and is kept for as long as it can live."""
    with transaction() as session:
        row = session.get(ChannelAccount, account_id)
        if row is None:
            return
        invited, sealed = row.origin == "invite", row.refresh_token_encrypted
        if not invited and (row.refreshed_at or row.created_at) > now - LIFE:
            return
    if invited:
        try:
            token = secret_vault().open(sealed)
            revoke(http.pooled(VENDOR, settings().beds24_api_url), token)
        except IntegrationError as error:
            log.warning("account_not_revoked", account_id=str(account_id), kind=error.kind)
            return
        except ValueError:
            log.warning("account_not_revoked", account_id=str(account_id), kind="unreadable")
    with transaction() as session:
        session.execute(
            delete(ChannelAccount).where(
                ChannelAccount.id == account_id, ~channel_accounts.is_used()
            )
        )
    log.info("account_let_go", account_id=str(account_id), revoked=invited)
