"""Accounts at Beds24: which one speaks for a property, and whether its credentials still hold.

Locks are taken in one order: the account's row, then the rows of its channel properties.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import clock
from app.errors import NotFound, Unavailable
from app.integrations.channels.beds24_tokens import Tokens
from app.models import ChannelAccount, ChannelProperty
from app.runtime import secret_vault, settings
from app.services import alerts
from app.transaction import transaction

log = structlog.get_logger(__name__)

BEDS24 = "beds24"
NOT_CONFIGURED = (
    "Beds24 is not configured: connect the property with an invite code or a refresh token, "
    "or set BEDS24_REFRESH_TOKEN"
)
WHAT_TO_DO = (
    "Make a new invite code in Beds24 (Settings, Marketplace, API) and connect the property again "
    "with it. Until then nothing is read from Beds24 or sent there in this account's name."
)


def of_property(channel_property_id: UUID) -> UUID:
    """The account that speaks for a connected property: its own, else the environment's.

    Raises NotFound for a property that is not connected to Beds24, Unavailable without any token.
    """
    with transaction() as session:
        row = session.execute(
            select(ChannelProperty.account_id).where(
                ChannelProperty.id == channel_property_id, ChannelProperty.channel_name == BEDS24
            )
        ).one_or_none()
        if row is None:
            raise NotFound("No such channel property at Beds24.")
        account_id: UUID | None = row[0] or environment(session)
    if account_id is None:
        raise Unavailable(NOT_CONFIGURED)
    return account_id


def environment(session: Session) -> UUID | None:
    """The account of BEDS24_REFRESH_TOKEN, made on first use; None when the variable is not set.

    Another value of the variable is another account: the new value wins at once.
    """
    token = settings().beds24_refresh_token
    if token is None:
        return None
    known = _by_seed(session, token)
    return known if known is not None else adopt(session, Tokens(token), "environment")


def is_environment(session: Session, account_id: UUID) -> bool:
    """Whether this is the account of BEDS24_REFRESH_TOKEN; makes none."""
    token = settings().beds24_refresh_token
    return token is not None and _by_seed(session, token) == account_id


def adopt(session: Session, tokens: Tokens, origin: str) -> UUID:
    """The account these tokens were given for, made when they are new to us.

    A seed that is known already keeps what the channel has put in its place since, unless that was
    refused: then whoever gives the token again is believed.
    """
    vault, now = secret_vault(), clock.utcnow()
    fingerprint = vault.fingerprint(tokens.refresh_token)
    values = {
        "refresh_token_encrypted": vault.seal(tokens.refresh_token),
        "access_token_encrypted": vault.seal(tokens.access_token) if tokens.access_token else None,
        "access_expires_at": tokens.expires_at,
        "refreshed_at": now if tokens.access_token else None,
    }
    made: UUID | None = session.scalar(
        insert(ChannelAccount)
        .values(channel_name=BEDS24, origin=origin, seed_fingerprint=fingerprint, **values)
        .on_conflict_do_nothing(index_elements=["channel_name", "seed_fingerprint"])
        .returning(ChannelAccount.id)
    )
    if made is not None:
        return made
    row = session.scalars(
        select(ChannelAccount)
        .where(
            ChannelAccount.channel_name == BEDS24, ChannelAccount.seed_fingerprint == fingerprint
        )
        .with_for_update()
    ).one()
    if row.last_error is not None and origin != "environment":
        for name, value in values.items():
            setattr(row, name, value)
        _recover(session, row)
    return row.id


def in_use(session: Session) -> list[UUID]:
    """The accounts of all properties connected to Beds24; the environment's is among them when a
    property has no account of its own."""
    found = session.scalars(
        select(ChannelProperty.account_id).where(ChannelProperty.channel_name == BEDS24).distinct()
    ).all()
    accounts = {account_id for account_id in found if account_id is not None}
    if None in found and (shared := environment(session)) is not None:
        accounts.add(shared)
    return sorted(accounts)


def is_used() -> ColumnElement[bool]:
    """Whether a property speaks through an account of its own, for a statement about accounts."""
    return exists().where(ChannelProperty.account_id == ChannelAccount.id)


def origins(rows: Sequence[ChannelProperty]) -> dict[UUID, str | None]:
    """Where the tokens of each connection come from: `invite`, `token`, `environment`, or None
    when it has none to speak with. One statement for all of them."""
    wanted = {row.account_id for row in rows if row.account_id is not None}
    with transaction() as session:
        found = session.execute(
            select(ChannelAccount.id, ChannelAccount.origin).where(ChannelAccount.id.in_(wanted))
        ).all()
    known = {row.id: row.origin for row in found}
    fallback = "environment" if settings().beds24_refresh_token else None
    return {
        row.id: (known[row.account_id] if row.account_id else fallback)
        if row.channel_name == BEDS24
        else None
        for row in rows
    }


def note_refused(account_id: UUID, reason: str, call: str | None) -> None:
    """Beds24 refused the credentials: the account and all its properties say so.

    `call` ("POST /bookings") is the one thing refused, None when the account can do nothing at all.
    Nothing is written when it is known.
    """
    with transaction() as session:
        row = session.get(ChannelAccount, account_id, with_for_update=True)
        if row is None:
            return
        if (row.last_error, row.refused_call) != (reason, call):
            row.last_error, row.refused_call = reason, call
            row.last_error_at = clock.utcnow()
            log.warning("channel_account_refused", account_id=str(account_id), call=call)
        session.execute(
            update(ChannelProperty)
            .where(
                _uses(row),
                or_(
                    ChannelProperty.status == "active",
                    and_(
                        ChannelProperty.status == "error",
                        ChannelProperty.status_reason.is_distinct_from(reason),
                    ),
                ),
            )
            .values(status="error", status_reason=reason)
            .execution_options(synchronize_session=False)
        )
        alerts.raise_alert(
            session,
            "channel_unreachable",
            _subject(account_id),
            "critical",
            "Beds24 refuses our credentials",
            f"{reason}. {WHAT_TO_DO}",
        )


def note_accepted(account_id: UUID, call: str | None) -> None:
    """What had been refused works again: `call`, or with None the refresh token."""
    with transaction() as session:
        row = session.get(ChannelAccount, account_id, with_for_update=True)
        if row is not None and row.last_error is not None and row.refused_call == call:
            _recover(session, row)


def keep(session: Session, account_id: UUID, tokens: Tokens) -> None:
    """Store what Beds24 gave; a refusal of the refresh token is over with that."""
    vault = secret_vault()
    row = session.get(ChannelAccount, account_id, with_for_update=True)
    if row is None:
        return  # taken away while Beds24 was answering
    row.refresh_token_encrypted = vault.seal(tokens.refresh_token)
    row.access_token_encrypted = vault.seal(tokens.access_token) if tokens.access_token else None
    row.access_expires_at = tokens.expires_at
    row.refreshed_at = clock.utcnow()
    if row.last_error is not None and row.refused_call is None:
        _recover(session, row)


def _recover(session: Session, row: ChannelAccount) -> None:
    row.last_error = row.last_error_at = row.refused_call = None
    session.execute(
        update(ChannelProperty)
        .where(_uses(row), ChannelProperty.status == "error")
        .values(status="active", status_reason=None)
        .execution_options(synchronize_session=False)
    )
    alerts.resolve(session, "channel_unreachable", _subject(row.id))


def _uses(row: ChannelAccount) -> ColumnElement[bool]:
    """The connections that speak through this account."""
    own = ChannelProperty.account_id == row.id
    token = settings().beds24_refresh_token
    if token is None or secret_vault().fingerprint(token) != row.seed_fingerprint:
        return own
    shared = and_(ChannelProperty.channel_name == BEDS24, ChannelProperty.account_id.is_(None))
    return or_(own, shared)


def _by_seed(session: Session, token: str) -> UUID | None:
    return session.scalar(
        select(ChannelAccount.id).where(
            ChannelAccount.channel_name == BEDS24,
            ChannelAccount.seed_fingerprint == secret_vault().fingerprint(token),
        )
    )


def _subject(account_id: UUID) -> str:
    return f"account:{account_id}"
