"""Alerts in words, in the language of the page.

Alerts are written once, in English, wherever trouble is found, and stored. Here each sentence is
known by its shape, so that it can be said in another language; one that is new to us is shown as it
was written.
"""

from __future__ import annotations

from collections.abc import Iterable

from flask_babel import lazy_gettext as _l

from app import clock
from app.domain.states import ReservationStatus
from app.models import AlertNotice
from app.services.alert_stays import AlertStay
from app.web import dates
from app.web.dates import gettext as _
from app.web.stored_sentences import N_, Sentences

STATUSES = {
    "open": _l("Open alerts"),
    "acknowledged": _l("Somebody is on it"),
    "resolved": _l("Over"),
}
SEVERITIES = {"critical": _l("Urgent"), "warning": _l("Warning"), "info": _l("Note")}
KINDS = {
    "dead_letters": _l("Events out of tries"),
    "failed_events": _l("Failed events"),
    "success_rate": _l("Share of events that succeed"),
    "channel_unreachable": _l("Channel out of reach"),
    "queue_depth": _l("Queues"),
    "run_failed": _l("Failed run"),
    "no_run": _l("No run"),
    "run_slow": _l("Slow run"),
    "pin_late": _l("PIN late"),
    "revoke_overdue": _l("PIN not removed"),
    "lock_offline": _l("Lock silent or gone"),
    "lock_battery": _l("Lock battery"),
    "vendor_quota": _l("Quota or credentials"),
    "clock_skew": _l("Clock"),
    "process_gone": _l("Process gone"),
}
ICONS = {
    "dead_letters": "failed",
    "failed_events": "failed",
    "success_rate": "failed",
    "channel_unreachable": "signal",
    "queue_depth": "menu",
    "run_failed": "sync",
    "no_run": "sync",
    "run_slow": "clock",
    "pin_late": "key",
    "revoke_overdue": "key",
    "lock_offline": "off",
    "lock_battery": "batt",
    "vendor_quota": "ban",
    "clock_skew": "clock",
    "process_gone": "off",
}
WAYS = {"email": _l("E-mail"), "webhook": _l("Webhook")}
LIMITS = {
    "dead_letters": _l("Events out of tries, more than"),
    "failed_events": _l("Events failed within an hour, more than"),
    "success_rate": _l("Events of an hour that succeed, at least"),
    "success_rate_events": _l("… of at least this many"),
    "queue_depth": _l("Waiting in one queue, more than"),
    "channel_unreachable": _l("A channel without an answer for"),
    "no_run": _l("No run for"),
    "no_daily_run": _l("No daily run for"),
    "run_slow": _l("A run takes longer than"),
    "pin_late": _l("PIN not on the lock before check-in"),
    "revoke_overdue": _l("PIN on the lock past its end"),
    "process_gone": _l("A process is silent for"),
    "say_again": _l("What comes back is told again after"),
    "escalate_critical": _l("An urgent alert nobody is on is escalated after"),
    "escalate_warning": _l("Any other after"),
}
UNITS = {
    "events": _l("events"),
    "percent": "%",
    "seconds": _l("seconds"),
    "minutes": _l("minutes"),
    "hours": _l("hours"),
    "waiting": _l("waiting"),
}
#: how the page behind an alert is called on its button
PLACES = (
    ("/reservations/", _l("See the reservation")),
    ("/reservations", _l("See reservations")),
    ("/events", _l("See events")),
    ("/locks/", _l("See the lock")),
    ("/locks", _l("See locks")),
    ("/channels", _l("See channels")),
    ("/reconciliation", _l("See runs")),
    ("/accommodations", _l("See rooms")),
)


SENTENCES = (
    N_("%(n)s events have run out of tries"),
    N_("%(n)s events failed within the last hour"),
    N_("%(n)s of the %(all)s events of the last hour failed"),
    N_("%(n)s messages to take in are waiting"),
    N_("%(n)s messages to send are waiting"),
    N_("%(n)s jobs of the queue %(queue)s are waiting"),
    N_("%(who)s cannot be reached since %(when)s"),
    N_("%(who)s refuses our credentials"),
    N_("The lock account"),
    N_("%(run)s has not run lately"),
    N_("%(run)s has not run since %(when)s"),
    N_("%(run)s took %(n)s seconds"),
    N_("The reconciliation with Stays"),
    N_("The comparison of bookings with Beds24 of %(house)s"),
    N_("The comparison of availability with Beds24 of %(house)s"),
    N_("The comparison of prices with Beds24 of %(house)s"),
    N_("A PIN is still on the lock past its end"),
    N_("%(room)s: a PIN is still on the lock past its end"),
    N_("The web process on %(host)s has been silent since %(when)s, and no other runs"),
    N_("The worker on %(host)s has been silent since %(when)s, and no other runs"),
    N_("The clock process on %(host)s has been silent since %(when)s, and no other runs"),
    N_("The web process on %(host)s has been silent since %(when)s"),
    N_("The worker on %(host)s has been silent since %(when)s"),
    N_("The clock process on %(host)s has been silent since %(when)s"),
    N_("A PIN is not on its lock"),
    N_("%(room)s: the PIN is not on the lock"),
    N_("Room double-booked: the later booking gets no PIN"),
    N_("No free room of type %(kind)s for %(ref)s"),
    N_("A PIN could not be removed from its lock"),
    N_("%(lock)s: a PIN could not be removed"),
    N_("A test PIN could not be removed from its lock"),
    N_("A test PIN could not be removed from %(lock)s"),
    N_("%(room)s: %(lock)s is no longer in the lock account"),
    N_("%(room)s: %(lock)s has not been heard of since %(when)s"),
    N_("%(room)s: the battery of %(lock)s is low (%(n)s %%)"),
    N_("%(room)s: the battery of %(lock)s is low"),
    N_("The lock account lists no devices at all"),
    N_("The last reconciliation failed"),
    N_("The accommodations could not be synchronised"),
    N_("Overbooked on %(nights)s: the channel took a booking after its hold had ended"),
    N_("A booking from %(first)s to %(last)s was not accepted by its channel"),
    N_("A checked-in guest's booking was not accepted by its channel"),
    N_("This machine's clock is %(n)s s off"),
    N_("The lock vendor refuses this machine's clock"),
    N_("The lock account's plan has expired or its quota is spent"),
    # what to do
    N_(
        "Open Events and start with the largest cause: retry what is mended, ignore what no longer "
        "matters."
    ),
    N_(
        "Look at Channels whether one of them is down, then at Events for the largest cause. What "
        "failed can be retried from there once the cause is gone."
    ),
    N_(
        "Check that the workers run. If they do, look at Channels whether one of them is slow; "
        "more workers may be started at any time."
    ),
    N_(
        "Look at the vendor's status page. Nothing is lost meanwhile: what is owed is kept and "
        "tried again, and what was missed is read once it answers."
    ),
    N_(
        "Check the key and the secret in the environment against the vendor's console, then "
        "restart Turnkey."
    ),
    N_(
        "Check that the clock process and a worker for reconciliation run. A run can be "
        "started by hand on the page Reconciliation."
    ),
    N_(
        "Open the run: it says how much was read. If it stays slow, look at Channels whether the "
        "channel answers slowly, and give reconciliation a worker of its own."
    ),
    N_("Others of its kind still run. %(help)s"),
    N_("Start the web process again. Pages and webhooks need it."),
    N_("Start the worker again. PINs are put on locks and taken off by workers only."),
    N_("Start the clock process again. Without it nothing begins by itself but what is due."),
    N_("Open the reservation: it says what failed, and what helps."),
    N_("Move one of the two stays to a free room in the channel it came from."),
    N_("Free a room of this type, or give the booking another one in the channel it came from."),
    N_("Wake the lock: touch its keypad. If nothing changes, check its power and radio."),
    N_("Link the device again in the vendor's app, or connect another lock to the room."),
    N_("Touch its keypad. If it stays silent, check its power, its gateway and the network."),
    N_("Change the batteries before the next arrival."),
    N_(
        "Check in the vendor's console that the locks are still linked to the project. "
        "Until it lists them again, nothing here is changed."
    ),
    N_("%(why)s. The page Reconciliation shows the run; start a new one from there."),
    N_("%(why)s. Check the listings in the channel, then start the sync again."),
    N_(
        "%(why)s. Make a new invite code in Beds24 (Settings, Marketplace, API) and connect the "
        "property again with it. Until then nothing is read from Beds24 or sent there in this "
        "account's name."
    ),
    N_("Move one of the stays of these nights to another room type, or cancel one."),
    N_("Its room is free again and it has no PIN. Book it anew, or tell the guest."),
    N_("Enter the booking in the channel by hand, so that it does not sell the room again."),
    N_("Set the clock by NTP: locks refuse orders from a machine with a wrong clock."),
    N_("Renew the plan in the vendor's console. No PIN reaches any lock until then."),
)


_SAID = Sentences(SENTENCES)


def said(text: str) -> str:
    """A stored sentence in the language of the page; its own words when it is new to us."""
    return _SAID.said(text)


def about(stay: AlertStay, title: str) -> str:
    """Whom it is about: "Ana Souza, 102, arrives 15:00"; the room only where the title has none."""
    r, room, zone = stay.reservation, stay.accommodation, stay.house.timezone
    now = clock.utcnow()
    parts = [r.guest_name or _("Guest without a name")]
    if room is not None and room.name not in title:
        named = not room.number or room.number in room.name
        parts.append(room.name if named else f"{room.number} {room.name}")
    if r.status == ReservationStatus.CHECKED_IN and r.check_out_at > now:
        parts.append(_("here until %(day)s", day=dates.weekday(r.check_out_on)))
    elif r.check_in_at > now:
        parts.append(_("arrives %(time)s", time=dates.moment(r.check_in_at, zone)))
    elif r.check_out_at > now:
        parts.append(_("due since %(time)s", time=dates.moment(r.check_in_at, zone)))
    else:
        parts.append(_("left %(day)s", day=dates.weekday(r.check_out_on)))
    return ", ".join(parts)


def button(place: str) -> str:
    """What the button to that page says; empty for the runbook, which has a link of its own."""
    return next((str(said_) for begin, said_ in PLACES if place.startswith(begin)), "")


def told(notices: Iterable[AlertNotice]) -> str:
    """By which ways people know: "Told by e-mail and webhook."; empty when nobody was told."""
    sent = {each.way for each in notices if each.status == "sent"}
    if not sent:
        return ""
    if len(sent) == 2:
        return _("Told by e-mail and webhook.")
    return _("Told by e-mail.") if "email" in sent else _("Told by webhook.")


def untold(notices: Iterable[AlertNotice]) -> list[tuple[str, str, AlertNotice]]:
    """Notices that did not arrive: the way, why, and the row, which says whether another try is
    made."""
    return [
        (str(WAYS[each.way]), trouble(each.last_error or ""), each)
        for each in notices
        if each.status == "failed" or (each.status == "pending" and each.last_error)
    ]


def trouble(error: str) -> str:
    """Why a message was not taken over, in the language of the page."""
    return _TROUBLES.said(error)


TROUBLES = (
    N_("the mail server refused every recipient (%(code)s)"),
    N_("the mail server refused user and password (%(code)s)"),
    N_("the mail server refused the message (%(code)s)"),
    N_("the mail server ended the conversation (%(code)s)"),
    N_("the mail server cannot be reached (%(code)s)"),
    N_("the mail server refused %(n)s of %(all)s recipients"),
    N_("no trustworthy TLS connection to the mail server"),
    N_("the mail server offers no TLS, and a password is never sent in the clear"),
    N_("no mail server or no recipient is configured any more"),
    N_("the webhook's receiver did not answer in time"),
    N_("the webhook's receiver cannot be reached (%(code)s)"),
    N_("the webhook's receiver answered %(code)s"),
    N_("no webhook is configured any more"),
    N_("the process that was sending it ended; it may have arrived"),
    N_("the processes that were sending it ended; it may have arrived"),
    N_("no mail server is configured any more"),
)
_TROUBLES = Sentences(TROUBLES)
