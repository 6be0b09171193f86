"""Open a Tuya ticket and encrypt a PIN with it (contracts/tuya.md §3)."""

from __future__ import annotations

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from app.domain.pins import Pin

SECRET_BYTES = 32
BLOCK_BYTES = 16


class TicketLocked(Exception):
    """The ticket does not open with this access secret, which is therefore the wrong one."""


class TicketMalformed(Exception):
    """The ticket is not what the contract says."""


def ticket_secret(access_secret: str, ticket_key: str) -> bytes:
    """The 16 bytes inside `ticket_key`: AES-256-ECB under the whole access secret as UTF-8 text.

    The secret is not hex, although it looks like it. Raises TicketLocked when the padding does not
    fit, the only sign of a wrong secret, and TicketMalformed for anything that cannot be a ticket.
    """
    key = access_secret.encode()
    if len(key) != SECRET_BYTES:
        raise TicketLocked("the access secret is not 32 bytes long")
    try:
        sealed = bytes.fromhex(ticket_key)
    except (TypeError, ValueError):
        raise TicketMalformed("the ticket key is not hexadecimal") from None
    if not sealed or len(sealed) % BLOCK_BYTES:
        raise TicketMalformed("the ticket key is not whole AES blocks")
    try:
        opened = _decrypt(key, sealed)
    except ValueError:
        raise TicketLocked("the access secret does not open the ticket") from None
    if len(opened) != BLOCK_BYTES:
        raise TicketLocked("the opened ticket is not 16 bytes long")
    return opened


def encrypt_pin(key: bytes, pin: Pin, hex_case: str) -> str:
    """The PIN under the opened ticket, as hex in the case the lock wants (§0.2, §3.3)."""
    if len(key) != BLOCK_BYTES:
        raise TicketMalformed("a PIN is encrypted under 16 bytes")
    padder = padding.PKCS7(BLOCK_BYTES * 8).padder()
    clear = padder.update(pin.reveal().encode("ascii")) + padder.finalize()
    encryptor = _cipher(key).encryptor()
    sealed = encryptor.update(clear) + encryptor.finalize()
    # ECB has no integrity check: a wrong length would only show at the door.
    if len(sealed) != BLOCK_BYTES or _decrypt(key, sealed).decode("ascii") != pin.reveal():
        raise TicketMalformed("the encrypted PIN does not decrypt to itself")
    return sealed.hex().upper() if hex_case == "upper" else sealed.hex()


def _decrypt(key: bytes, sealed: bytes) -> bytes:
    decryptor = _cipher(key).decryptor()
    padded = decryptor.update(sealed) + decryptor.finalize()
    unpadder = padding.PKCS7(BLOCK_BYTES * 8).unpadder()
    return unpadder.update(padded) + unpadder.finalize()


def _cipher(key: bytes) -> Cipher[modes.ECB]:
    return Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - the vendor's wire format
