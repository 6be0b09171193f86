"""Why a lock did not do what it was asked, in one sentence and what helps."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

CAUSES = {
    "no_mapping": _l("The room has no lock: connect one, and its PIN follows."),
    "double_booked": _l("The room is double-booked: an earlier booking has it."),
    "unreachable": _l("The lock account cannot be reached. It is tried again."),
    "unconfirmed": _l("The answer was lost: the lock is read before anything is sent again."),
    "unreadable": _l("The lock account gave an answer we cannot read. It is tried again."),
    "rate_limited": _l("The lock account asks us to slow down. It is tried again."),
    "quota": _l("The plan of the lock account is used up: renew it in its console."),
    "unauthorized": _l("The lock account refuses us: check access id, secret and permissions."),
    "not_configured": _l("No lock account is set up in the configuration of the server."),
    "not_found": _l("The lock account does not know this device: read the locks again."),
    "clock_skew": _l("The clock of this server is wrong: set it by NTP."),
    "lock_offline": _l("The lock does not answer: touch its keypad, check batteries and gateway."),
    "lock_busy": _l("The lock is doing something else. It is tried again."),
    "lock_full": _l("The lock holds as many PINs as it can: delete some nobody needs."),
    "pin_taken": _l("The lock has these digits already: others are tried."),
    "name_taken": _l("An earlier try has reached the lock: it is read."),
    "not_supported": _l("This lock cannot take PINs for a time."),
    "rejected": _l("The lock account refused the PIN: check radio and digits of this lock."),
    "delivery_failed": _l("The lock refused the PIN: check radio and digits of this lock."),
    "vanished": _l("The PIN is not on the lock any more: somebody took it off outside Turnkey."),
}


def cause_of(kind: str | None) -> str:
    """The sentence for an error kind of ours."""
    return str(CAUSES.get(kind or "", _l("The lock did not do it. It is tried again.")))
