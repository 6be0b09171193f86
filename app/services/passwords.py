"""Passwords: the rules, and Argon2 around them; a password is never kept, logged or told."""

from __future__ import annotations

import base64
import secrets
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from app.domain import password_rules
from app.errors import Invalid

#: what an operator may set; people choose by `password_rules`
MIN_PASSWORD, MAX_PASSWORD = 8, 1024

#: about 0.1 s and 19 MiB a try
_hasher = PasswordHasher(time_cost=8, memory_cost=19 * 1024, parallelism=1)
#: one thread for all of it: the C library keeps what a thread has used once, so hashing in each of
#: the request threads would cost eight times the memory, and web has 150 MB in all
_hashing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="passwords")

_FAULTS: dict[password_rules.Fault, str] = {
    "short": f"must have at least {password_rules.SHORTEST} characters",
    "email": "must not be made of the e-mail address",
    "common": "is one of those that are guessed first",
}


def checked(password: str) -> str:
    """The password when an operator may set it. Raises Invalid."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise Invalid.field("password", f"must be {MIN_PASSWORD} to {MAX_PASSWORD} characters long")
    return password


def chosen(password: str, email: str) -> str:
    """The password when the person of that address may choose it. Raises Invalid."""
    if len(password) > MAX_PASSWORD:
        raise Invalid.field("password", f"must have at most {MAX_PASSWORD} characters")
    if (fault := password_rules.fault(password, email)) is not None:
        raise Invalid.field("password", _FAULTS[fault])
    return password


def make_hash(password: str) -> str:
    """The stored form."""
    return _hashing.submit(_hasher.hash, _octets(password)).result()


def matches(stored: str, password: str) -> bool:
    """Whether this is the password; the same work whatever the answer."""
    try:
        _hashing.submit(_hasher.verify, stored, _octets(password)).result()
    except (VerifyMismatchError, VerificationError, InvalidHashError):
        return False
    return len(password) <= MAX_PASSWORD


def is_outdated(stored: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(stored)


def stand_in() -> str:
    """A hash with today's parameters that nothing matches; made without doing the work."""

    def octets(size: int) -> str:
        return base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=")

    cost = f"m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
    return f"$argon2id$v=19${cost}${octets(_hasher.salt_len)}${octets(_hasher.hash_len)}"


def _octets(password: str) -> bytes:
    # JSON can carry half a surrogate pair, which plain UTF-8 refuses.
    return password[:MAX_PASSWORD].encode("utf-8", "surrogatepass")


#: what an unknown address is checked against: the same work, never a match
NOBODY = stand_in()
