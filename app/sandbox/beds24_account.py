"""Keys and credits of the pretended Beds24 (contracts/beds24.md §2, §3)."""

from __future__ import annotations

import base64
import hmac
import secrets
from dataclasses import dataclass

from app.sandbox.beds24_records import Beds24Account

PERIOD_SECONDS = 300.0
INVITE_SECONDS = 86_400.0


@dataclass(frozen=True)
class Meter:
    """What the headers of an answer say."""

    remaining: float
    resets_in: int
    cost: float | None
    exhausted: bool = False


def make_token() -> str:
    """160 characters, among them some that only a careful client carries unharmed."""
    return base64.b64encode(secrets.token_bytes(120)).decode()


def make_invite(account: Beds24Account, now: float) -> str:
    code = secrets.token_hex(16)
    account.invites[code] = now + INVITE_SECONDS
    return code


def take_invite(account: Beds24Account, code: str, now: float) -> str | None:
    """The refresh token for an invite code, which is spent by this."""
    if account.invites.pop(code, 0.0) <= now:
        return None
    token = make_token()
    account.refresh_tokens.append(token)
    return token


def is_alive(account: Beds24Account, token: str, key: str) -> bool:
    """Whether a refresh token is good; `key` is the one the product finds in its environment."""
    known = [key] if key not in account.revoked else []
    return any(_equal(token, alive) for alive in (*known, *account.refresh_tokens))


def revoke(account: Beds24Account, token: str) -> None:
    if token in account.refresh_tokens:
        account.refresh_tokens.remove(token)
    else:
        account.revoked.append(token)


def mint(account: Beds24Account, refresh: str, now: float) -> tuple[str, str | None]:
    """An access token and, in an account that rotates, the next refresh token."""
    account.access_tokens = {t: end for t, end in account.access_tokens.items() if end > now}
    access = make_token()
    account.access_tokens[access] = now + account.settings.token_seconds
    if not account.settings.rotate:
        return access, None
    revoke(account, refresh)
    account.refresh_tokens.append(make_token())
    return access, account.refresh_tokens[-1]


def allows(account: Beds24Account, access: str, now: float) -> bool:
    """Whether an access token is good now."""
    return any(_equal(access, t) and end > now for t, end in account.access_tokens.items())


def charge(account: Beds24Account, cost: float, now: float) -> Meter:
    """Take the credits of one call, or say that none are left until the period ends."""
    if now >= account.period_ends:
        account.period_ends, account.used = now + PERIOD_SECONDS, 0.0
    limit, resets_in = account.settings.credit_limit, int(account.period_ends - now)
    if account.used >= limit:
        return Meter(0.0, resets_in, None, exhausted=True)
    account.used += cost
    return Meter(max(limit - account.used, 0.0), resets_in, cost)


def _equal(given: str, known: str) -> bool:
    return hmac.compare_digest(given.encode(), known.encode())
