"""Every answer Tuya can give, told apart: done, refused for good, try again, or unknown outcome."""

from __future__ import annotations

import re
from typing import Any

from app.integrations.errors import (
    ClockSkewed,
    IntegrationError,
    LockBusy,
    LockFull,
    LockOffline,
    NameTaken,
    NotFound,
    NotSupported,
    PinTaken,
    QuotaExhausted,
    RateLimited,
    Rejected,
    StartInPast,
    Unauthorized,
    Unconfirmed,
    Unreachable,
    Unreadable,
)

VENDOR = "tuya"

#: the token is missing, expired or invalid, in every number and wording seen (§0.1, §2.1)
TOKEN_CODES = frozenset({1002, 1010, 1011, 1012, 1400})
INTERNAL_ERROR = 500
PARAMETER = 1109
#: a delete that finds nothing has nothing left to do (§2.4)
ABSENT_PIN = frozenset({"2310", "2321", "2323"})
#: this path is not for this project: not subscribed, not authorized, unknown (§2.1, §2.2)
CLOSED_PATH = frozenset({"1106", "1108", "28841101", "28841105"})

#: contracts/tuya.md §2; the number in brackets is the pause in seconds worth keeping
_MEANINGS: dict[int, tuple[type[IntegrationError], str, float | None]] = {
    1001: (Unauthorized, "the access secret is wrong", None),
    1005: (Unauthorized, "the client id is wrong", None),
    1008: (Unauthorized, "the access id is wrong", None),
    1003: (Unauthorized, "the grant type was refused", None),
    1004: (Unauthorized, "the signature was refused; check the access secret", None),
    1106: (
        Unauthorized,
        "no permission: device or app account not linked, or wrong data centre",
        None,
    ),
    1107: (Unauthorized, "the authorization code was refused", None),
    2406: (Unauthorized, "wrong app account or data centre", None),
    28841101: (Unauthorized, "the project has not subscribed to this API", None),
    28841105: (Unauthorized, "the project is not authorized for this API", None),
    28841107: (Unauthorized, "the data centre is not enabled for the project", None),
    28841002: (QuotaExhausted, "the cloud plan has expired", None),
    28841004: (QuotaExhausted, "the cloud quota is spent", None),
    1013: (ClockSkewed, "our clock is too far from the cloud's", None),
    1000: (NotFound, "data not found", None),
    1006: (Rejected, "content type not accepted", None),
    1100: (Rejected, "a parameter is missing", None),
    1101: (Rejected, "a parameter is out of range", None),
    1102: (Rejected, "a parameter is null", None),
    1104: (Rejected, "a parameter has the wrong type", None),
    1105: (Rejected, "a header is missing", None),
    1108: (Rejected, "path unknown, or wrong verb for it", None),
    1109: (Rejected, "a parameter is not acceptable: PIN length, window or encryption", None),
    1103: (LockBusy, "the command could not be issued", None),
    1110: (RateLimited, "too many calls at once", None),
    1111: (LockBusy, "the cloud is busy", None),
    1112: (LockBusy, "the account is still being synchronised", None),
    1113: (RateLimited, "repeated too quickly", None),
    1199: (RateLimited, "too many calls", 60),
    429: (RateLimited, "too many calls", 60),
    2001: (LockOffline, "the device is offline", None),
    2003: (NotSupported, "the device does not have this function", None),
    2004: (NotSupported, "this lock type does not support the operation", None),
    2008: (NotSupported, "the device does not support this command or value", None),
    2009: (NotSupported, "the device is not supported", None),
    2005: (NotFound, "the product does not exist", None),
    2006: (NotFound, "the user does not exist", None),
    2010: (NotFound, "the device does not exist", None),
    2018: (Rejected, "decryption failed", None),
    2301: (Rejected, "the PIN is not confirmed", None),
    2302: (Rejected, "the PIN's encryption is wrong", None),
    2303: (LockFull, "the lock holds as many PINs as it can", None),
    2305: (LockFull, "the lock holds as many created PINs as it can", None),
    2307: (LockFull, "the lock holds its cap of 99 PINs", None),
    2304: (Rejected, "the PIN has expired already", None),
    2306: (Rejected, "the operation is not allowed", None),
    2308: (RateLimited, "the cap on PIN operations is reached", 300),
    2309: (Rejected, "the phone number's format is wrong", None),
    2310: (NotFound, "the lock has no such PIN", None),
    2311: (LockBusy, "the gateway is still setting other PINs", None),
    2312: (LockOffline, "the lock is not online", None),
    2313: (LockOffline, "the lock is still initialising after pairing", None),
    2314: (Rejected, "the PIN is abnormal", None),
    2315: (Rejected, "no effective PIN", None),
    2316: (NameTaken, "the name is on the lock already", None),
    2317: (LockBusy, "another device of the gateway is updating", None),
    2318: (StartInPast, "the window starts or ends before the cloud's now", None),
    2319: (Rejected, "no SMS balance", None),
    2320: (Rejected, "no SMS balance", None),
    2321: (NotFound, "the lock has no such PIN", None),
    2322: (PinTaken, "the lock has a PIN with these digits", None),
    2323: (NotFound, "the PIN's record does not exist", None),
    2324: (LockBusy, "the lock's present state forbids the operation", 300),
    2328: (LockBusy, "the lock is busy with another operation", 60),
}

_SECRET_LIKE = re.compile(r"[0-9A-Fa-f]{16,}|\d{4,}")


class TokenRefused(Exception):
    """The call was not executed because of its token: renew it and call again, once."""


def interpret(reply: Any, *, status: int | None, retry_after: float | None, writes: bool) -> Any:
    """The `result` of a good envelope; anything else raises what it means.

    Only a dict whose `success` is True is a success (§8.2). `writes` says that the call may have
    changed something, so that an answer nobody can read leaves the outcome unknown.
    """
    if isinstance(reply, dict) and "Err" not in reply:
        if reply.get("success") is True:
            return reply.get("result")
        code = _code(reply)
        if code is not None:
            raise _refusal(code, reply, status=status, retry_after=retry_after, writes=writes)
    if status is None:
        raise TokenRefused  # tinytuya answered by itself: it holds no token (§8.3)
    if status == 429:
        raise RateLimited(
            "too many calls", vendor=VENDOR, code="HTTP 429", retry_after=retry_after or 60
        )
    if writes:
        raise Unconfirmed(
            "the answer to a change cannot be read", vendor=VENDOR, code=f"HTTP {status}"
        )
    if status >= 500:
        raise Unreachable("the cloud is failing", vendor=VENDOR, code=f"HTTP {status}")
    raise Unreadable("the answer is not an envelope", vendor=VENDOR, code=f"HTTP {status}")


def _refusal(
    code: int, reply: dict[str, Any], *, status: int | None, retry_after: float | None, writes: bool
) -> Exception:
    if code in TOKEN_CODES:
        return TokenRefused()
    tid = reply.get("tid")
    said = _said(reply.get("msg"))
    pause: float | None = None
    kind: type[IntegrationError]
    if code in _MEANINGS:
        kind, message, pause = _MEANINGS[code]
    elif code == INTERNAL_ERROR:
        kind, message = (Unconfirmed if writes else Unreachable), "internal error of the cloud"
    elif status == 429:
        kind, message, pause = RateLimited, "too many calls", 60
    elif re.search(r"\bip\b", said, re.IGNORECASE):
        # The allow-list refusal has no published number; it is answered before anything runs.
        kind, message = Unauthorized, f"our address is not allowed: {said}"
    else:
        kind = Unconfirmed if writes else Unreadable
        message = f"unknown answer: {said}" if said else "unknown answer"
    return kind(
        message,
        vendor=VENDOR,
        code=str(code),
        trace_id=tid if isinstance(tid, str) else None,
        retry_after=retry_after or pause,
    )


def _code(reply: dict[str, Any]) -> int | None:
    code = reply.get("code")
    if isinstance(code, int) and not isinstance(code, bool):
        return code
    if isinstance(code, str) and code.isascii() and code.isdigit():
        return int(code)
    return None


def _said(message: object) -> str:
    """The vendor's words, short and without anything that could be a key, a token or a PIN."""
    text = message if isinstance(message, str) else ""
    printable = "".join(c for c in text if c.isprintable())
    return _SECRET_LIKE.sub("…", printable)[:120]
