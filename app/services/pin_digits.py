"""Digits for a credential: free on its lock, sealed, and recognised without being read."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import pins
from app.domain.states import CredentialState
from app.models import Credential, Lock
from app.runtime import pin_vault


def fresh_pin(session: Session, lock: Lock) -> pins.Pin:
    """Digits that no live credential on this lock has."""
    taken = set(
        session.scalars(
            select(Credential.pin_fingerprint).where(
                Credential.lock_id == lock.id, Credential.state != CredentialState.REVOKED
            )
        )
    )
    vault = pin_vault()
    return pins.generate(lock.pin_length, lambda pin: vault.fingerprint(pin) in taken)


def write(credential: Credential, pin: pins.Pin) -> None:
    """Let the credential have these digits."""
    credential.pin_encrypted = pin_vault().seal(pin)
    credential.pin_last2 = pin.last2
    credential.pin_fingerprint = pin_vault().fingerprint(pin)
