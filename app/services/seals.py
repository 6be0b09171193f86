"""What is sealed with PIN_ENCRYPTION_KEYS, sealed anew with the first of them, so that old ones go.

A seal is the same for PINs and for secrets: either vault opens and renews both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import inspect, or_, select

from app.extensions import Base
from app.models import ChannelAccount, ChannelProperty, Credential, LockTest, User
from app.runtime import secret_vault
from app.transaction import transaction

SEALED: dict[type[Base], tuple[str, ...]] = {
    ChannelAccount: ("refresh_token_encrypted", "access_token_encrypted"),
    ChannelProperty: ("webhook_secret_encrypted",),
    Credential: ("pin_encrypted",),
    LockTest: ("pin_encrypted",),
    User: ("totp_secret_encrypted",),
}


@dataclass(frozen=True, slots=True)
class Renewal:
    """Rows sealed anew, and rows that no configured key opens: those are left as they are."""

    renewed: int
    unreadable: int


def reseal() -> Renewal:
    """Seal everything with the first of PIN_ENCRYPTION_KEYS. Each row on its own, locked only when
    it needs it: a due PIN and a token's renewal must not wait for all."""
    renewed = unreadable = 0
    for model, columns in SEALED.items():
        for key, readable in _old(model, columns):
            if readable:
                renewed += _renew(model, key, columns)
            else:
                unreadable += 1
    return Renewal(renewed, unreadable)


def _old(model: type[Base], columns: tuple[str, ...]) -> Iterator[tuple[Any, bool]]:
    """The keys of rows that the first key does not open, and whether another one does."""
    vault = secret_vault()
    sealed = [getattr(model, column) for column in columns]
    filled = or_(*(each.is_not(None) for each in sealed))
    with transaction() as session:
        rows = session.execute(select(inspect(model).primary_key[0], *sealed).where(filled)).all()
    for key, *values in rows:
        states = [vault.state(value) for value in values if value]
        if any(state != "first" for state in states):
            yield key, "older" in states


def _renew(model: type[Base], key: Any, columns: tuple[str, ...]) -> int:
    vault = secret_vault()
    with transaction() as session:
        row = session.get(model, key, with_for_update=True)
        changed = 0
        for column in columns:
            stored = getattr(row, column, None)
            fresh = vault.reseal(stored) if stored else None
            if fresh is not None:
                setattr(row, column, fresh)
                changed = 1
        return changed
