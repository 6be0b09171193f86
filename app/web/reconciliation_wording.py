"""The words of the reconciliation pages: kinds, states, failures, and what a plan comes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from app.domain.states import RunStatus
from app.integrations import channels
from app.models import ReconciliationLog
from app.services import channel_accounts, reconciliation, reconciliation_turns
from app.services.changes_comparison import CLEANUP_FAILED
from app.services.channel_accounts import BEDS24
from app.services.reconciliation_kinds import channel_of
from app.web.dates import gettext as _

#: kind -> its name, and how often it runs
KINDS = {
    "stays": (_l("Stays"), _l("every 30 min")),
    "beds24_bookings": (_l("Beds24 bookings"), _l("every 15 min")),
    "beds24_availability": (_l("Beds24 free units"), _l("hourly")),
    "beds24_rates": (_l("Beds24 prices"), _l("daily")),
}
#: the weekly comparison of everything
DEEP = {"stays_deep": _l("Everything at Stays"), "beds24_deep": _l("Everything at Beds24")}
#: kinds that compare nights of a calendar
CALENDARS = ("beds24_availability", "beds24_rates")
#: what the discrepancies of a kind are about
FOUND = {
    "beds24_bookings": "missing,dates,room,status,amount,currency,guest",
    "beds24_availability": "availability",
    "beds24_rates": "rate,currency",
}
#: why a run failed, by the kind of the error
FAILURES = {
    "unreachable": _l("%(channel)s could not be reached"),
    "unauthorized": _l("%(channel)s refuses our credentials"),
    "rate_limited": _l("%(channel)s asked us to slow down"),
    "quota": _l("The account at %(channel)s has used up what it may ask for"),
    "unreadable": _l("%(channel)s gave an answer we cannot read"),
    "unconfirmed": _l("%(channel)s left open whether it has heard us"),
    "rejected": _l("%(channel)s refused the request"),
    "not_supported": _l("%(channel)s does not offer this"),
    "not_found": _l("%(channel)s does not know this address"),
    "not_configured": _l("%(channel)s is not set up"),
    "error": _l("%(channel)s could not be read"),
    "no_credits": _l("The credits at %(channel)s did not suffice for one reading in an hour"),
    "not_connected": _l("The property is not connected to %(channel)s any more"),
    "out_of_time": _l("The run took longer than it may"),
    "stale": _l("The process that ran it was gone"),
    "stopped": _l("Stopped: it would have changed unusually many stays"),
    "world_changed": _l("The plan no longer fits: nothing was applied"),
}
#: what else a run says of itself
MESSAGES = {
    reconciliation.GIVES_WAY: _l("Urgent messages to Beds24 go first"),
    reconciliation.NO_CREDITS: _l(
        "The credits of these five minutes at Beds24 are spent; it goes on with the next ones"
    ),
    reconciliation.MORE_BY_NOW: _l(
        "Interrupted, and by now it would cancel or move what nobody has agreed to"
    ),
    CLEANUP_FAILED: _l("Clearing up orphaned PIN jobs failed; the next run does it again"),
    "An internal error ended the run": _l("An internal error ended it"),
}
#: the services' refusals as people read them
REFUSALS = {
    reconciliation.RUNNING: _l("A run is under way already"),
    reconciliation.WORLD_CHANGED: _l(
        "The world has changed since this plan was made. Make a new dry run and look again."
    ),
    reconciliation_turns.NOT_CONNECTED: _l("No property is connected to Beds24."),
    reconciliation_turns.NOT_THIS_ONE: _l("This property is not connected to Beds24."),
    channel_accounts.NOT_CONFIGURED: _l(
        "Beds24 has no credentials of ours: connect the property with an invite code."
    ),
    "the plan is another one by now: look at it again": _l(
        "The plan is another one by now. Look at it again."
    ),
}
TRIGGERS = {
    "schedule": _l("Schedule"),
    "manual": _l("By hand"),
    "retry": _l("Retry"),
    "command": _l("Command line"),
}


def name(kind: str) -> str:
    """What a kind of run compares."""
    return str(KINDS[kind][0] if kind in KINDS else DEEP.get(kind, channels.title(kind)))


def channel(kind: str) -> str:
    """The channel of a kind, as people know it."""
    return channels.title(channel_of(kind))


def failure(error_kind: str | None, kind: str) -> str:
    """Why a run of the kind failed; empty when these words do not know."""
    found = FAILURES.get(error_kind or "")
    return "" if found is None else str(found) % {"channel": channel(kind)}


def why(run: ReconciliationLog) -> str:
    """One line about a run that did not go well; empty for one that did."""
    if run.status == RunStatus.FAILED:
        known = MESSAGES.get(run.message or "")
        cause = failure(run.error_kind, run.kind) if known is None else str(known)
        return cause or message(run) or _("An internal error ended it")
    if run.status != RunStatus.SUCCESS:
        return ""
    said = [left_alone(run.kind, run.errors)] if run.errors else []
    if run.message and run.message.endswith(CLEANUP_FAILED):
        # It is counted with the errors, and nothing has to be asked for again.
        said = [left_alone(run.kind, run.errors - 1)] if run.errors > 1 else []
        said.append(str(MESSAGES[CLEANUP_FAILED]))
    return "; ".join(said)


def left_alone(kind: str, number: int) -> str:
    """What becomes of items that could not be taken in."""
    if kind in CALENDARS:
        return str(
            ngettext(
                "%(num)d value at Beds24 could not be read; its nights were left alone",
                "%(num)d values at Beds24 could not be read; their nights were left alone",
                number,
            )
        )
    return str(
        ngettext(
            "%(num)d could not be taken in and is asked for again",
            "%(num)d could not be taken in and are asked for again",
            number,
        )
    )


def message(run: ReconciliationLog) -> str:
    """What a run says of itself, in our words where they are known."""
    return str(MESSAGES.get(run.message or "", run.message or ""))


def refusal(said: str, kind: str) -> str:
    """A refusal of the services; its own words when new to us."""
    if said in REFUSALS:
        return str(REFUSALS[said])
    if "cannot be read right now" in said:
        return _("%(channel)s cannot be reached. Try again in a minute.", channel=channel(kind))
    return said[:1].upper() + said[1:]


def down(error_kind: str | None, kind: str) -> str:
    """What to say while a channel fails."""
    if error_kind in (None, "unreachable"):
        return _("%(channel)s cannot be reached", channel=channel(kind))
    return failure(error_kind, kind) or _("%(channel)s cannot be read", channel=channel(kind))


def consequences(plan: Mapping[str, Any]) -> list[str]:
    """What a plan would do at the doors, gravest first; empty when it touches none."""
    counted = plan.get("consequences") or {}
    said: dict[str, Callable[[int], str]] = {
        "pins_revoked": lambda n: ngettext(
            "%(num)d PIN would be revoked", "%(num)d PINs would be revoked", n
        ),
        "pins_moved": lambda n: ngettext(
            "%(num)d PIN would move to other hours or another door",
            "%(num)d PINs would move to other hours or another door",
            n,
        ),
        "pins_new": lambda n: ngettext(
            "%(num)d new PIN would be made", "%(num)d new PINs would be made", n
        ),
        "rooms_freed": lambda n: ngettext(
            "%(num)d room would become free", "%(num)d rooms would become free", n
        ),
    }
    return [words(counted[name]) for name, words in said.items() if counted.get(name)]


def is_beds24(kind: str) -> bool:
    """Whether a kind is run for each property."""
    return channel_of(kind) == BEDS24


def unconnected(property_id: UUID | None) -> str:
    """That Beds24 cannot be compared with anything, or not with this property."""
    if property_id is None:
        return _("No property is connected to Beds24")
    return _("This property is not connected to Beds24")


def after(plan: Mapping[str, Any], kind: str) -> str:
    """What a plan means for guests and doors, as one sentence; empty when it was not counted."""
    said = consequences(plan)
    if "consequences" not in plan and kind not in CALENDARS:
        return ""
    if said:
        return _("%(consequences)s.", consequences=", ".join(said))
    return _("No PIN changes and no room becomes free.")
