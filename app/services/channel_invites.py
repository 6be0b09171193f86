"""Turn Beds24's invite code, which works once, into an account of ours."""

from __future__ import annotations

from uuid import UUID

from app.errors import Invalid, Unavailable
from app.integrations import http
from app.integrations.channels.beds24_tokens import VENDOR, Tokens, exchange_invite
from app.integrations.errors import (
    IntegrationError,
    RateLimited,
    Rejected,
    Unauthorized,
    Unreachable,
)
from app.runtime import settings
from app.services import channel_accounts
from app.services.channel_tokens import insist
from app.transaction import in_transaction, transaction

LOST = "Beds24 gave no usable answer, and the invite code may be used up: make a new one"
AWAY = "Beds24 cannot be reached; the invite code is not used up, try again in a while"
BUSY = "Beds24 asks for fewer calls; the invite code is not used up, try again in five minutes"


def exchange(code: str) -> UUID:
    """The account behind an invite code; its tokens are stored before anything else happens.

    Raises Invalid on `invite_code` when Beds24 refuses the code, and Unavailable, which says
    whether a new code is needed, when there is no answer. Never inside a transaction.
    """
    if in_transaction():
        raise RuntimeError("a channel is never called inside a transaction")
    tokens = _ask(code)

    def store() -> UUID:
        with transaction() as session:
            return channel_accounts.adopt(session, tokens, "invite")

    return insist(store)


def _ask(code: str) -> Tokens:
    try:
        return exchange_invite(http.pooled(VENDOR, settings().beds24_api_url), code)
    except (Rejected, Unauthorized) as refusal:
        raise Invalid.field("invite_code", refusal.message) from None
    except Unreachable:
        raise Unavailable(AWAY) from None
    except RateLimited:
        raise Unavailable(BUSY) from None
    except IntegrationError:  # unconfirmed or unreadable: it was carried out, or may have been
        raise Unavailable(LOST) from None
