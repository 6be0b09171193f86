"""A signed message to the address that ALERT_WEBHOOK_URL names."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlsplit

import httpx

from app.integrations.http import CONNECT_SECONDS, READ_SECONDS, USER_AGENT
from app.integrations.notify import NotSent
from app.variables import LOOPBACK

SIGNATURE, EVENT_ID = "X-Turnkey-Signature", "X-Turnkey-Event-Id"


def sign(body: bytes, key: str) -> str:
    """The signature of a body: hex HMAC-SHA256 (INTERFACES §2)."""
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


def send(url: str, key: str, event_id: str, body: bytes) -> None:
    """Post the JSON `body`; any 2xx means that it was taken over. Redirects are not followed, and
    what the answer says is not read. Raises NotSent."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        EVENT_ID: event_id,
        SIGNATURE: sign(body, key),
    }
    try:
        with (
            httpx.Client(
                timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
                trust_env=urlsplit(url).hostname not in LOOPBACK,
            ) as client,
            client.stream("POST", url, content=body, headers=headers) as answer,
        ):
            status = answer.status_code
    except httpx.TimeoutException:
        raise NotSent("the webhook's receiver did not answer in time") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        said = f"the webhook's receiver cannot be reached ({type(error).__name__})"
        raise NotSent(said) from None
    if not 200 <= status < 300:
        raise NotSent(f"the webhook's receiver answered {status}")
