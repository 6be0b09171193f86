"""The chain from the booking to the lock, step by step, as the page tells it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from app.domain.diagnosis import Link
from app.domain.pin_causes import Cause, LinkKey, LinkState, Verdict
from app.domain.states import RevokeReason
from app.integrations import channels
from app.services.diagnosis import Explanation
from app.web import dates
from app.web.dates import gettext as _
from app.web.pin_sentences import hours, room_of, sentence

TITLES = {
    LinkKey.BOOKING: _l("Booking received and confirmed"),
    LinkKey.LOCK: _l("Room has a lock"),
    LinkKey.CREATED: _l("PIN created"),
    LinkKey.SENT: _l("Put on the lock"),
    LinkKey.CONFIRMED: _l("Confirmed by the lock"),
    LinkKey.REMOVED: _l("Removed from the lock"),
}
REASONS = {
    RevokeReason.WINDOW_OVER: _l("The stay is over"),
    RevokeReason.CANCELLED: _l("The booking was cancelled"),
    RevokeReason.MOVED: _l("The guest moved to another room"),
    RevokeReason.UNMAPPED: _l("The lock was disconnected from the room"),
    RevokeReason.REPROCESSED: _l("A new PIN was ordered"),
    RevokeReason.MANUAL: _l("A person revoked it"),
    RevokeReason.VANISHED: _l("The reservation is gone"),
    RevokeReason.DOUBLE_BOOKED: _l("Another stay has the room"),
}
MARKS = {
    LinkState.OK: ("is-ok", "check"),
    LinkState.BROKEN: ("is-bad is-break", "x"),
    LinkState.WAITING: ("is-info", "clock"),
    LinkState.NOT_REACHED: ("is-next", ""),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One link of the chain; `at` may lie ahead."""

    title: str
    text: str
    cls: str
    icon: str
    at: datetime | None = None


def steps(e: Explanation) -> list[Step]:
    """Every link, and what is still to come for a PIN that is on its lock."""
    told = [_step(e, link) for link in e.diagnosis.chain]
    if e.diagnosis.verdict == Verdict.YES and e.pin.expires_at is not None:
        grace = hours(e.pin.expires_at - e.reservation.check_out_at)
        after = e.pin.expires_at > e.reservation.check_out_at
        text = _("%(hours)s after check-out", hours=grace) if after else ""
        told.append(_ahead(_("Stops opening the door"), text, e.pin.expires_at))
        told.append(_ahead(str(TITLES[LinkKey.REMOVED])))
    return told


def _ahead(title: str, text: str = "", at: datetime | None = None) -> Step:
    cls, icon = MARKS[LinkState.NOT_REACHED]
    return Step(title, text, cls, icon, at)


def _step(e: Explanation, link: Link) -> Step:
    cls, icon = MARKS[link.state]
    reached = link.state != LinkState.NOT_REACHED
    title = str(TITLES[link.key])
    if link.key == LinkKey.BOOKING and link.state != LinkState.OK:
        title = _("Booking confirmed")
    elif link.key == LinkKey.BOOKING and e.reservation.status == "pending_sync":
        title = _("Booking received")  # its channel has not said so yet
    text = _TEXTS[link.key](e, link) if reached else ""
    return Step(title, text, cls, icon, link.at)


def _booking(e: Explanation, link: Link) -> str:
    sold_by = e.reservation.source
    source = channels.title(sold_by) if sold_by in channels.KNOWN else _("Direct")
    at = e.reservation.cancelled_at
    if e.diagnosis.cause == Cause.CANCELLED and at is not None:
        there = dates.local(at, e.house.timezone)
        return _("%(channel)s, cancelled on %(day)s", channel=source, day=dates.weekday(there))
    return source


def _lock(e: Explanation, link: Link) -> str:
    room = room_of(e)
    if e.lock is None or link.state == LinkState.BROKEN or e.lock.name == room:
        return room  # many a lock is called like its room
    return f"{room}, {e.lock.name}"


def _created(e: Explanation, link: Link) -> str:
    if link.state == LinkState.BROKEN:
        return ""
    at = link.at or (e.order.run_at if e.order else None)
    if at is None or at >= e.reservation.check_in_at:
        return ""
    return _("%(lead)s before check-in", lead=hours(e.reservation.check_in_at - at))


def _sent(e: Explanation, link: Link) -> str:
    tries = e.order.attempts if e.order else 0
    if link.state == LinkState.OK:
        return _("First try") if tries <= 1 else _tries(tries)
    said = sentence(e.order.last_error if e.order else None)
    if not tries:
        return said
    return f"{_tries(tries)}. {said}" if said else _tries(tries)


def _tries(count: int) -> str:
    return str(ngettext("%(num)d try", "%(num)d tries", count))


def _confirmed(e: Explanation, link: Link) -> str:
    credential = e.credential
    if credential is None:
        return ""
    if link.state == LinkState.OK and credential.installed_at and credential.accepted_at:
        took = credential.installed_at - credential.accepted_at
        if took.total_seconds() > 0:
            return _("After %(duration)s", duration=dates.duration(took))
        return ""
    if link.state == LinkState.WAITING:
        return ""  # the vendor's word for "not yet" adds nothing
    return sentence(credential.last_error or credential.vendor_detail)


def _removed(e: Explanation, link: Link) -> str:
    credential = e.credential
    if credential is None or credential.revoke_reason is None:
        return ""
    return str(REASONS[RevokeReason(credential.revoke_reason)])


_TEXTS = {
    LinkKey.BOOKING: _booking,
    LinkKey.LOCK: _lock,
    LinkKey.CREATED: _created,
    LinkKey.SENT: _sent,
    LinkKey.CONFIRMED: _confirmed,
    LinkKey.REMOVED: _removed,
}
