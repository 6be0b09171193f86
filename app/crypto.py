"""PINs and vendors' secrets encrypted at rest, recognised without being read; tokens hashed."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from contextlib import suppress

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from app.domain.pins import Pin


class PinVault:
    """Encrypts with the first key, decrypts with any (rotation). One per app."""

    def __init__(self, keys: Sequence[str], fingerprint_key: str) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self._fingerprint_key = hashlib.sha256(
            b"pin-fingerprint:" + fingerprint_key.encode()
        ).digest()

    def seal(self, pin: Pin) -> str:
        """The PIN as url-safe text for the database."""
        return self._fernet.encrypt(pin.reveal().encode()).decode()

    def open(self, sealed: str) -> Pin:
        """The PIN again. Raises ValueError when no configured key opens it."""
        try:
            return Pin(self._fernet.decrypt(sealed.encode()).decode())
        except InvalidToken:
            raise ValueError("PIN_ENCRYPTION_KEYS: no key opens this PIN") from None

    def fingerprint(self, pin: Pin) -> str:
        """A keyed digest: tells that two PINs are equal, never what they are."""
        return hmac.new(self._fingerprint_key, pin.reveal().encode(), hashlib.sha256).hexdigest()


class SecretVault:
    """Vendors' tokens and webhook secrets, sealed with the keys of the PINs. One per app."""

    def __init__(self, keys: Sequence[str], fingerprint_key: str) -> None:
        self._first = Fernet(keys[0])
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self._fingerprint_key = hashlib.sha256(
            b"secret-fingerprint:" + fingerprint_key.encode()
        ).digest()

    def seal(self, text: str) -> str:
        """The secret as url-safe text for the database."""
        return self._fernet.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """The secret again. Raises ValueError when no configured key opens it."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise ValueError("PIN_ENCRYPTION_KEYS: no key opens this secret") from None

    def state(self, sealed: str) -> str:
        """Which key opens the secret: the `first`, an `older` one, or `none`."""
        with suppress(InvalidToken):
            self._first.decrypt(sealed.encode())
            return "first"
        with suppress(InvalidToken):
            self._fernet.decrypt(sealed.encode())
            return "older"
        return "none"

    def reseal(self, sealed: str) -> str | None:
        """The same secret sealed with the first key; None when it is, or when no key opens it."""
        return (
            self._fernet.rotate(sealed.encode()).decode() if self.state(sealed) == "older" else None
        )

    def fingerprint(self, text: str) -> str:
        """A keyed digest in hex: tells that two secrets are equal, never what they are."""
        return hmac.new(self._fingerprint_key, text.encode(), hashlib.sha256).hexdigest()


def hash_token(token: str) -> str:
    """The stored form of a random token (session, invite)."""
    return hashlib.sha256(token.encode()).hexdigest()


def signature(secret: str, body: bytes) -> str:
    """Lower-case hex HMAC-SHA256 of the raw bytes."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def same(left: str, right: str) -> bool:
    """Constant-time equality of two texts of any length."""
    return hmac.compare_digest(left.encode("utf-8", "replace"), right.encode("utf-8", "replace"))
