"""PINs, in the background."""

from __future__ import annotations

from uuid import UUID

from app.services import credentials


def generate(reservation_id: str) -> None:
    """Do everything due for the PINs of a stay."""
    credentials.generate(UUID(reservation_id))


def revoke(reservation_id: str) -> None:
    """Take the PINs of a stay off their locks."""
    credentials.revoke(UUID(reservation_id))


def revoke_one(credential_id: str) -> None:
    """Take one PIN off its lock."""
    credentials.revoke_one(UUID(credential_id))


def read_lock(lock_id: str) -> None:
    """Read a lock that owes us an answer."""
    credentials.read_lock(UUID(lock_id))
