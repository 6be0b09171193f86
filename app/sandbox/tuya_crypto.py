"""Ticket keys and encrypted PINs, as the lock cloud makes and reads them (contracts/tuya.md §3)."""

from __future__ import annotations

import hashlib
import hmac

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


class Undecipherable(Exception):
    """The ciphertext is not hex, not one block, or does not decrypt with this key."""


def _encrypt(key: bytes, plain: bytes) -> bytes:
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - Tuya's choice
    return encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()


def _decrypt(key: bytes, cipher: bytes) -> bytes:
    decryptor = Cipher(algorithms.AES(key), modes.ECB()).decryptor()  # noqa: S305 - Tuya's choice
    unpadder = padding.PKCS7(128).unpadder()
    try:
        padded = decryptor.update(cipher) + decryptor.finalize()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        raise Undecipherable from None


def wrap_ticket_key(secret: str, key: str) -> str:
    """A ticket's 16-character key as the project receives it: 64 upper-case hex digits."""
    return _encrypt(secret.encode(), key.encode()).hex().upper()


def unwrap_ticket_key(secret: str, ticket_key: str) -> str:
    return _decrypt(secret.encode(), bytes.fromhex(ticket_key)).decode()


def encrypt_pin(key: str, digits: str) -> str:
    return _encrypt(key.encode(), digits.encode()).hex()


def decrypt_pin(key: str, ciphertext: str) -> str:
    """The digits under a ticket's key. Raises Undecipherable."""
    try:
        cipher = bytes.fromhex(ciphertext)
    except ValueError:
        raise Undecipherable from None
    if len(cipher) != 16:
        raise Undecipherable
    try:
        return _decrypt(key.encode(), cipher).decode("ascii")
    except UnicodeDecodeError:
        raise Undecipherable from None


def pin_digest(secret: str, device_id: str, digits: str) -> str:
    """What is kept in place of the digits: equal digits on one lock give equal digests."""
    message = f"{device_id}:{digits}".encode()
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
