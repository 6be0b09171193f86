"""What a call to a vendor may raise: every failure says whether trying again can help.

A message never carries a PIN, a secret, a ticket, a token or guest data: it is stored and shown.
"""

from __future__ import annotations


class IntegrationError(Exception):
    """A vendor call did not give what was asked.

    `code` is the vendor's own code as text, `trace_id` the vendor's reference for the call, and
    `retry_after` the pause in seconds the vendor asked for.
    """

    #: whether the same call, made again later, can succeed
    retryable = True
    #: a stable word for logs, rows and the "why" page
    kind = "error"

    def __init__(
        self,
        message: str,
        *,
        vendor: str = "",
        code: str | None = None,
        trace_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.vendor = vendor
        self.code = code
        self.trace_id = trace_id
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.message} ({self.code})" if self.code else self.message


class Unreachable(IntegrationError):
    """Nothing was executed: no connection, DNS, TLS failure, a read timed out or got a 5xx."""

    kind = "unreachable"


class Unconfirmed(IntegrationError):
    """A write was sent and its outcome is unknown: read back before sending it again."""

    kind = "unconfirmed"


class RateLimited(IntegrationError):
    """Too many calls; wait `retry_after` seconds when given. `asked` says that the vendor named
    that time; otherwise it is our own guess."""

    kind = "rate_limited"
    asked = True


class CreditsSpent(RateLimited):
    """Our own count says that the vendor would refuse the call: it was not made."""

    kind = "no_credits"
    asked = False


class QuotaExhausted(IntegrationError):
    """The plan has expired or its quota is spent: nothing works until it is renewed."""

    kind = "quota"


class Unauthorized(IntegrationError):
    """The credentials, the entitlement or the signature was refused; a person must act."""

    retryable = False
    kind = "unauthorized"


class Unreadable(IntegrationError):
    """An answer that is not what the contract says: HTML, empty, half a page, a missing field."""

    kind = "unreadable"


class NotFound(IntegrationError):
    """The vendor says, in a readable answer, that the object does not exist."""

    retryable = False
    kind = "not_found"


class Rejected(IntegrationError):
    """The vendor understood and refused; the same request will be refused again."""

    retryable = False
    kind = "rejected"


class ClockSkewed(IntegrationError):
    """The vendor refuses our time stamp: the machine's clock is wrong."""

    kind = "clock_skew"


class LockOffline(IntegrationError):
    """The lock or its gateway cannot be reached by the vendor right now."""

    kind = "lock_offline"


class LockBusy(IntegrationError):
    """The lock is doing something else; a new try in seconds works."""

    kind = "lock_busy"


class LockFull(IntegrationError):
    """The lock holds as many PINs as it can; a slot must be freed first."""

    kind = "lock_full"


class NameTaken(IntegrationError):
    """The lock has a PIN of this name already: an earlier try succeeded; adopt it."""

    kind = "name_taken"


class PinTaken(IntegrationError):
    """Another PIN on this lock has the same digits; choose others."""

    kind = "pin_taken"


class StartInPast(IntegrationError):
    """The window begins before the vendor's now; recompute and send again."""

    kind = "start_in_past"


class NotSupported(Rejected):
    """This lock cannot do that operation at all."""

    kind = "not_supported"


class NotConfigured(Unauthorized):
    """No account of this vendor is set up here."""

    kind = "not_configured"
