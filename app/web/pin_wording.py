"""The sentences about a PIN, by cause and by what helps (design/UI.md §13); names go in later."""

from __future__ import annotations

from typing import NamedTuple

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from app.domain.pin_causes import Cause, Help


class Line(NamedTuple):
    """The bold fact and what explains it; `undated` is the fact when no time is known."""

    fact: LazyString
    text: LazyString | None = None
    undated: LazyString | None = None


VERDICTS: dict[Cause, Line] = {
    Cause.ON_LOCK: Line(_l("Yes, since %(since)s."), undated=_l("Yes.")),
    Cause.CHANGE_PENDING: Line(
        _l("Yes, since %(since)s."),
        _l("The hours of the stay have changed: the lock still has the old ones."),
        _l("Yes."),
    ),
    Cause.CHANGE_FAILED: Line(
        _l("No. The lock of %(room)s still has the old hours."),
        _l("The stay has changed and the lock has not taken the new hours. It said: %(error)s"),
    ),
    Cause.UNKNOWN_STATUS: Line(
        _l("No. %(channel)s calls this booking “%(word)s”, a status we do not know."),
        _l("A booking gets its PIN once it is confirmed."),
    ),
    Cause.PENDING_BOOKING: Line(
        _l("Not needed: the booking is not confirmed yet."),
        _l("The PIN is planned once %(channel)s confirms it."),
    ),
    Cause.BOOKING_FAILED: Line(_l("Not needed: the booking could not be made.")),
    Cause.CANCELLED: Line(_l("Not needed: the booking is cancelled.")),
    Cause.NO_SHOW: Line(_l("Not needed: the guest did not come.")),
    Cause.STAY_OVER: Line(_l("Not needed: the stay is over.")),
    Cause.ROOM_LATER: Line(
        _l("Not yet: the booking gets its room at %(next)s."),
        _l("It was sold as %(kind)s. A free one is chosen just before its PIN is due."),
    ),
    Cause.NO_FREE_ROOM: Line(
        _l("No. No room is free for this booking."),
        _l("It was sold as %(kind)s, and each of these is taken or closed."),
    ),
    Cause.NO_ROOM: Line(
        _l("No. The booking has no room yet."), _l("Without a room there is no door to open.")
    ),
    Cause.ROOM_INACTIVE: Line(
        _l("No. %(room)s is not in use."),
        _l("The room is switched off in Turnkey, and no lock is connected to it."),
    ),
    Cause.NO_LOCK: Line(
        _l("No. %(room)s has no lock."), _l("A PIN needs a lock that is connected to the room.")
    ),
    Cause.DOUBLE_BOOKED: Line(
        _l("No. %(room)s is booked twice."),
        _l("%(rival)s has the room on some of these days, and the PIN with it."),
    ),
    Cause.NOT_DUE: Line(
        _l("Not yet: it comes at %(next)s."), _l("That is %(lead)s before check-in.")
    ),
    Cause.IN_LINE: Line(
        _l("Not yet: it is being put on the lock."), _l("This takes a few seconds.")
    ),
    Cause.WORKER_GONE: Line(
        _l("No. Nothing goes to any lock since %(since)s."),
        _l("The part of Turnkey that talks to the locks is not running."),
        _l("No. Nothing goes to any lock."),
    ),
    Cause.QUEUE_BEHIND: Line(
        _l("No. The PIN waits its turn since %(since)s."),
        _l("More PINs are due than are being sent."),
        _l("No. The PIN waits its turn."),
    ),
    Cause.REVOKED_BY_PERSON: Line(
        _l("No. %(who)s took it off the lock at %(since)s."),
        _l("No new one comes by itself."),
        _l("No. %(who)s took it off the lock."),
    ),
    Cause.KEY_MISSING: Line(
        _l("No. Turnkey cannot read the PIN it has stored."),
        _l("The key it was encrypted with is not among PIN_ENCRYPTION_KEYS."),
    ),
    Cause.NOT_CONFIGURED: Line(
        _l("No. No lock account is set up."),
        _l("Turnkey has no access to the account that %(lock)s belongs to."),
    ),
    Cause.UNAUTHORIZED: Line(
        _l("No. The lock account refuses us."),
        _l("Its access id, secret or permissions have changed. It said: %(error)s"),
    ),
    Cause.QUOTA: Line(
        _l("No. The plan of the lock account is used up."),
        _l("No PIN reaches any lock until it is renewed."),
    ),
    Cause.CLOCK_SKEW: Line(
        _l("No. The clock of this server is wrong."),
        _l("The lock account refuses orders whose time is off."),
    ),
    Cause.VENDOR_UNREACHABLE: Line(
        _l("No. The lock account cannot be reached since %(since)s."),
        _l("The lock itself may be fine: the connection to its cloud is missing."),
        _l("No. The lock account cannot be reached."),
    ),
    Cause.VENDOR_UNREADABLE: Line(
        _l("No. The lock account gives answers we cannot read."), _l("It said: %(error)s")
    ),
    Cause.RATE_LIMITED: Line(
        _l("No. The lock account asks us to slow down."), _l("It got too many calls at once.")
    ),
    Cause.LOCK_OFFLINE: Line(
        _l("No. The lock of %(room)s does not answer since %(since)s."),
        _l("The lock account is fine: only the way to this lock is missing."),
        _l("No. The lock of %(room)s does not answer."),
    ),
    Cause.NEIGHBOURS_OFFLINE: Line(
        _l("No. The lock of %(room)s does not answer since %(since)s."),
        undated=_l("No. The lock of %(room)s does not answer."),
    ),
    Cause.LOCK_BUSY: Line(
        _l("No. The lock of %(room)s is busy."), _l("It is doing something else right now.")
    ),
    Cause.LOCK_FULL: Line(
        _l("No. The lock of %(room)s is full."), _l("It holds as many PINs as it can.")
    ),
    Cause.REJECTED: Line(_l("No. The lock of %(room)s refuses the PIN."), _l("It said: %(error)s")),
    Cause.UNCERTAIN: Line(
        _l("Not yet: we are checking whether it arrived."),
        _l("The answer got lost. The lock is read before anything is sent again."),
    ),
    Cause.SLEEPING: Line(
        _l("Not yet: the lock of %(room)s sleeps."),
        _l("It runs on batteries and fetches the PIN when somebody touches its keypad."),
    ),
    Cause.DELIVERING: Line(
        _l("Not yet: it is on its way to the lock."),
        _l("The lock account took it at %(since)s. The lock has not confirmed it."),
    ),
    Cause.UNSEEN: Line(
        _l("Not yet: the lock account cannot be asked since %(since)s."),
        _l("It took the PIN before that. Whether the lock has it cannot be seen right now."),
    ),
    Cause.DELIVERY_FAILED: Line(
        _l("No. The lock of %(room)s did not take the PIN."), _l("It said: %(error)s")
    ),
    Cause.VANISHED: Line(
        _l("No. The PIN has disappeared from the lock of %(room)s."),
        _l("The list of the lock no longer shows it."),
    ),
    Cause.REMOVED_ELSEWHERE: Line(
        _l("No. Somebody removed the PIN outside Turnkey."),
        _l("The lock account shows it as deleted. It said: %(error)s"),
    ),
    Cause.UNKNOWN_STATE: Line(
        _l("No. The lock reports a state we do not know."), _l("It said: %(error)s")
    ),
    Cause.REMOVING: Line(_l("Not needed: the PIN is being removed.")),
    Cause.REVOKE_OVERDUE: Line(
        _l("No. It should be off the lock since %(since)s."),
        _l("It may still open %(room)s."),
        _l("No. It is still on the lock."),
    ),
}

#: what happens by itself where no moment is known
NEXT: dict[Cause, LazyString] = {
    Cause.UNKNOWN_STATUS: _l("The PIN is planned once the booking is confirmed."),
    Cause.ROOM_LATER: _l("The booking gets its room, and then its PIN."),
    Cause.NO_FREE_ROOM: _l("It gets a room of its type as soon as one is free."),
    Cause.NO_ROOM: _l("The PIN is planned once the booking has a room."),
    Cause.ROOM_INACTIVE: _l("The PIN is planned once the room has a lock."),
    Cause.NO_LOCK: _l("The PIN is planned once the room has a lock."),
    Cause.DOUBLE_BOOKED: _l("The PIN is planned once one of the two stays has another room."),
    Cause.IN_LINE: _l("The PIN goes to the lock."),
    Cause.CHANGE_PENDING: _l("The new hours go to the lock."),
    Cause.WORKER_GONE: _l("The PIN goes to the lock once the workers run."),
    Cause.QUEUE_BEHIND: _l("The PIN goes to the lock when its turn comes."),
    Cause.SLEEPING: _l("The lock is read again every minute at first, then every ten minutes."),
    Cause.DELIVERING: _l("The lock is read again until it confirms the PIN."),
    Cause.UNSEEN: _l("The lock is read as soon as its account answers."),
    Cause.UNKNOWN_STATE: _l("The lock is read again."),
    Cause.REVOKED_BY_PERSON: _l("Nothing, until somebody orders a new PIN."),
    Cause.REMOVING: _l("The lock is read until it no longer has the PIN."),
    Cause.REVOKE_OVERDUE: _l("The removal is tried until the lock proves the PIN gone."),
}
#: the same with a moment
NEXT_AT: dict[Cause, LazyString] = {
    Cause.NOT_DUE: _l("The PIN is made and sent at %(next)s."),
    Cause.ROOM_LATER: _l("The booking gets its room at %(next)s, and its PIN right after."),
    Cause.CHANGE_PENDING: _l("The new hours are sent at %(next)s."),
    Cause.UNCERTAIN: _l("The lock is read at %(next)s, and the PIN sent again if it is not there."),
    Cause.QUOTA: _l("The next PIN is tried at %(next)s."),
}

HELPS: dict[Help, LazyString] = {
    Help.WAIT: _l("Nothing to do."),
    Help.CONFIRM_IN_CHANNEL: _l("Confirm the booking in %(channel)s."),
    Help.ASSIGN_ROOM: _l("Give the booking a room in %(channel)s."),
    Help.ACTIVATE_ROOM: _l("Switch the room on again and connect its lock."),
    Help.CONNECT_LOCK: _l("Connect a lock to %(room)s."),
    Help.MOVE_ONE_STAY: _l("Move one of the two stays to a free room in %(channel)s."),
    Help.REPROCESS: _l("Order a new PIN."),
    Help.START_WORKERS: _l("Start the worker processes of Turnkey on the server."),
    Help.SET_UP_VENDOR: _l("Set up the lock account in the configuration of the server."),
    Help.CHECK_CREDENTIALS: _l("Check access id, secret and permissions in the lock account."),
    Help.RENEW_PLAN: _l("Renew the plan in the console of the lock account, then reprocess."),
    Help.SET_CLOCK: _l("Set the clock of the server by NTP."),
    Help.RESTORE_KEY: _l("Put the old key back into PIN_ENCRYPTION_KEYS, or order a new PIN."),
    Help.CHECK_LOCK_POWER: _l("Check the batteries and the radio of %(lock)s."),
    Help.CHECK_GATEWAY: _l("Check the power and the network of the gateway."),
    Help.FREE_SLOTS: _l("Delete PINs nobody needs from %(lock)s."),
    Help.CHECK_LOCK_SETTINGS: _l("Check that %(lock)s takes PINs of %(digits)s digits."),
    Help.TOUCH_KEYPAD: _l("Touch the keypad of %(room)s once: that wakes the lock."),
    Help.ASK_VENDOR: _l("Look at %(lock)s in the app of its maker."),
}
NEXT_TRY = _l("Next try at %(next)s.")

#: what only an administrator can do: the front desk is told whom to ask
ADMIN_ONLY = frozenset(
    {
        Help.ACTIVATE_ROOM,
        Help.CONNECT_LOCK,
        Help.REPROCESS,
        Help.START_WORKERS,
        Help.SET_UP_VENDOR,
        Help.CHECK_CREDENTIALS,
        Help.RENEW_PLAN,
        Help.SET_CLOCK,
        Help.RESTORE_KEY,
        Help.FREE_SLOTS,
        Help.ASK_VENDOR,
        Help.CHECK_LOCK_SETTINGS,
    }
)
#: where a new PIN is what helps, or the quickest way after the cause is mended
OFFERS_REPROCESS = frozenset(
    {Help.REPROCESS, Help.RENEW_PLAN, Help.RESTORE_KEY, Help.CHECK_LOCK_SETTINGS}
)
CONTINGENCIES = {
    "spare_card": _l("Until then have the spare card of %(room)s ready."),
    "key": _l("Until then have the key of %(room)s ready."),
    "master_code": _l("Until then have the master code ready."),
}
