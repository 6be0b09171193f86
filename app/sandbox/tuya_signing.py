"""Tuya's request signature, as projects made after June 2021 need it (contracts/tuya.md §1.3)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence


def signed_url(path: str, query: Sequence[tuple[str, str]]) -> str:
    """Path and decoded query, keys in ASCII order; unsorted or encoded ones do not match."""
    if not query:
        return path
    ordered = sorted(query, key=lambda pair: pair[0])
    return path + "?" + "&".join(f"{name}={value}" for name, value in ordered)


def string_to_sign(method: str, body: bytes, headers: Mapping[str, str], url: str) -> str:
    """METHOD, SHA-256 of the body, the signed headers each on a line, the URL."""
    block = "".join(f"{name}:{value}\n" for name, value in headers.items())
    return "\n".join((method.upper(), hashlib.sha256(body).hexdigest(), block, url))


def sign(
    secret: str,
    client_id: str,
    t: str,
    to_sign: str,
    *,
    access_token: str = "",
    nonce: str = "",
) -> str:
    """Upper-case hex HMAC-SHA256; a token call has no access token."""
    message = client_id + access_token + t + nonce + to_sign
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest().upper()
