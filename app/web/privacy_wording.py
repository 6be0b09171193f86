"""What is kept for how long, and why it must stay, as an administrator reads it."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l

#: limit -> its name, and what happens when it is over
LIMITS: dict[str, tuple[Any, Any]] = {
    "guest_days": (
        _l("Guest’s name, e-mail and phone"),
        _l("After the stay. Dates, room and amount stay, without a guest."),
    ),
    "payload_days": (
        _l("What channels sent"),
        _l("After it was dealt with. That it came, and what became of it, stays."),
    ),
    "stay_days": (
        _l("Stays"),
        _l("After check-out. Check what tax law asks of you before you lower this."),
    ),
    "pin_days": (_l("Last digits of a PIN"), _l("After it expired.")),
    "pin_log_days": (
        _l("Who saw or changed a PIN"),
        _l("In the audit log, and the orders to the locks."),
    ),
    "activity_days": (
        _l("Audit log and other logs"),
        _l("Everything else that people and the system did."),
    ),
    "sign_in_days": (_l("Who signed in"), _l("In the audit log, with the tries that failed.")),
    "address_days": (_l("From which address"), _l("Of sign-ins and sessions.")),
    "session_days": (_l("Sessions and links"), _l("After they have ended.")),
    "run_days": (
        _l("Runs of the reconciliation"),
        _l("They name no guest. The latest good one always stays."),
    ),
    "try_days": (_l("Tries of an event"), _l("After the event was dealt with.")),
    "finding_days": (_l("Discrepancies and alerts"), _l("After they were closed.")),
}
#: step of the night -> what its rows are
STEPS: dict[str, Any] = {
    "guests": _l("guests"),
    "payloads": _l("events emptied"),
    "pin_digits": _l("PINs emptied"),
    "test_digits": _l("test PINs emptied"),
    "pin_orders": _l("PIN orders"),
    "pin_entries": _l("audit entries about PINs"),
    "sign_ins": _l("sign-ins"),
    "sign_in_addresses": _l("addresses of sign-ins"),
    "session_addresses": _l("addresses of sessions"),
    "sessions": _l("sessions"),
    "links": _l("links"),
    "entries": _l("audit entries"),
    "mapping_attempts": _l("mapping attempts"),
    "room_changes": _l("room status changes"),
    "batches": _l("repairs of many events"),
    "tries": _l("tries"),
    "runs": _l("runs"),
    "reports": _l("weekly reports"),
    "syncs": _l("syncs of rooms"),
    "discrepancies": _l("discrepancies"),
    "alerts": _l("alerts"),
    "test_notices": _l("test notices"),
    "account_letters": _l("e-mails about accounts that could not be sent"),
    "events": _l("events"),
    "stays": _l("stays"),
}
#: why a guest cannot be erased yet, and what helps
OBSTACLES: dict[str, Any] = {
    "in_house": _l("The guest is checked in: check them out first."),
    "coming": _l("The stay is still to come: cancel it first, or wait until it is over."),
    "pin": _l("A PIN may still open the door: revoke it first."),
    "sending": _l("A change is on its way to the channel: wait until it has arrived."),
    "event": _l("An event about it is not dealt with: retry or ignore it first."),
    "discrepancy": _l("A discrepancy about it is open: decide it first."),
}
#: what an export holds
SECTIONS: dict[str, Any] = {
    "stays": _l("Stays"),
    "pins": _l("PINs, without their digits"),
    "events": _l("Messages from and to channels"),
    "discrepancies": _l("Discrepancies"),
    "entries": _l("Who did what"),
    "holds": _l("Holds"),
    "room_changes": _l("Room status changes"),
    "alerts": _l("Alerts"),
}
