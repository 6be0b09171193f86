"""The words for every cause: what is so, what happens next, and the one thing that helps.

The wording rules are design/UI.md §13: plain fact first, no blame, the guest and the room by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from flask_babel import ngettext
from flask_babel.speaklater import LazyString

from app import clock
from app.domain.pin_causes import Cause, Help, Verdict
from app.domain.states import NEEDS_PIN
from app.integrations import channels
from app.services import alert_settings
from app.services.diagnosis import Explanation
from app.web import dates
from app.web.dates import gettext as _
from app.web.pin_wording import (
    ADMIN_ONLY,
    CONTINGENCIES,
    HELPS,
    NEXT,
    NEXT_AT,
    NEXT_TRY,
    OFFERS_REPROCESS,
    VERDICTS,
    Line,
)


@dataclass(frozen=True, slots=True)
class Said:
    """The verdict panel in words; `action` names the button that helps, if this person has it."""

    verdict: str
    fact: str
    text: str
    next: str
    helps: str
    action: str = ""


def say(e: Explanation, *, is_admin: bool) -> Said:
    """The whole panel, for one role."""
    diagnosis = e.diagnosis
    values = _values(e)
    line = VERDICTS[diagnosis.cause]
    dated = diagnosis.since is not None or line.undated is None
    action = _action(diagnosis.help) if is_admin else ""
    return Said(
        verdict=diagnosis.verdict,
        fact=_filled(line.fact if dated else line.undated, values),
        text=_text(e, line, values),
        next=_next(e, values),
        helps=_helps(e, values, is_admin=is_admin),
        action=action,
    )


def room_of(e: Explanation) -> str:
    """203 Coral, as `ui.stays.room` writes it."""
    room = e.accommodation
    if room is None:
        return _("No room yet")
    if room.number and not room.name.startswith(room.number):
        return f"{room.number} {room.name}"
    return room.name


def until(at: datetime, timezone: str) -> str:
    """11:00 today, else Mon 23 Nov 11:00: a day this week needs its name."""
    there = dates.local(at, timezone)
    if there.date() == clock.local_today(timezone):
        return f"{there:%H:%M}"
    return f"{dates.weekday(there.date())}, {there:%H:%M}"


def hours(span: timedelta) -> str:
    """2 h, 26 h; whole days from three on"""
    whole, rest = divmod(int(span.total_seconds()), 3600)
    return _("%(h)s h", h=whole) if not rest and 0 < whole < 72 else dates.coarse(span)


def _filled(text: LazyString | None, values: dict[str, str]) -> str:
    return "" if text is None else str(text) % values


def _values(e: Explanation) -> dict[str, str]:
    diagnosis, zone = e.diagnosis, e.house.timezone
    reservation = e.reservation
    at = diagnosis.next_at
    return {
        "room": room_of(e),
        "kind": e.room_type.name if e.room_type else "",
        "lock": e.lock.name if e.lock else _("the lock"),
        "digits": str(e.lock.pin_length) if e.lock else "",
        "channel": _channel(reservation.source),
        "word": reservation.unknown_status or "",
        "since": until(diagnosis.since, zone) if diagnosis.since else "",
        "next": until(at, zone) if at else "",
        "lead": hours(reservation.check_in_at - at) if at else "",
        "error": _error(e),
        "rival": (e.rival.guest_name if e.rival else None) or _("Another stay"),
        "who": _who_revoked(e),
    }


def _error(e: Explanation) -> str:
    """The vendor's own words, small and last."""
    credential, order = e.credential, e.order
    said = (credential.last_error if credential else None) or (order.last_error if order else None)
    if said is None and credential is not None:
        said = credential.vendor_detail
    return sentence(said) or _("Nothing more.")


def sentence(said: str | None) -> str:
    """A vendor's words, with a capital and a full stop."""
    words = (said or "").strip().rstrip(".")
    return f"{words[:1].upper()}{words[1:]}." if words else ""


def _who_revoked(e: Explanation) -> str:
    entry = next((entry for entry in e.history if entry.action == "revoke"), None)
    return name_of(e, entry.actor_id, entry.actor) if entry else _("A person")


def name_of(e: Explanation, user_id: object, actor: str) -> str:
    """A person by name, a process by its own."""
    person = next((user for id_, user in e.people.items() if id_ == user_id), None)
    if person is not None:
        return person.display_name
    if actor == "system":
        return _("System")
    return channels.title(actor) if actor in channels.KNOWN else actor


def _channel(source: str) -> str:
    return channels.title(source) if source in channels.KNOWN else _("the channel")


def _text(e: Explanation, line: Line, values: dict[str, str]) -> str:
    diagnosis, zone, pin = e.diagnosis, e.house.timezone, e.pin
    if diagnosis.cause == Cause.ON_LOCK and pin.expires_at is not None:
        shown = values | {"until": until(pin.expires_at, zone)}
        if pin.valid_from is not None and pin.valid_from > clock.utcnow():
            shown["from"] = until(pin.valid_from, zone)
            return _("It opens %(room)s from %(from)s until %(until)s.", **shown)
        return _("It opens %(room)s until %(until)s.", **shown)
    if diagnosis.cause == Cause.NEIGHBOURS_OFFLINE:
        silent, others = e.facts.other_locks_silent, e.facts.other_locks
        return str(
            ngettext(
                "%(num)d of %(others)d other locks in the house is silent too.",
                "%(num)d of %(others)d other locks in the house are silent too.",
                silent,
                others=others,
            )
        )
    if diagnosis.cause == Cause.REMOVING:
        return _("Until the lock confirms it, the PIN may still open %(room)s.", **values)
    if diagnosis.verdict == Verdict.NOT_NEEDED and diagnosis.since is not None:
        return _("The PIN left the lock at %(since)s.", **values)
    return _filled(line.text, values)


def _next(e: Explanation, values: dict[str, str]) -> str:
    diagnosis = e.diagnosis
    if diagnosis.cause == Cause.ON_LOCK:
        return ""
    soon = diagnosis.next_at is not None and diagnosis.next_at > clock.utcnow()
    if soon and diagnosis.cause != Cause.REMOVING:  # its next order is only a reserve
        told = _filled(NEXT_AT.get(diagnosis.cause, NEXT_TRY), values)
    elif diagnosis.cause in NEXT:
        told = _filled(NEXT[diagnosis.cause], values)
    elif diagnosis.next_at is not None:
        told = _("It is tried again right now.")
    elif diagnosis.verdict == Verdict.NOT_NEEDED:
        return _("Nothing: no PIN is planned.")
    else:
        told = ""
    return f"{told} {_alarm(e)}".strip()


def _alarm(e: Explanation) -> str:
    """When administrators are told without anybody looking at this page."""
    late = e.reservation.check_in_at - alert_settings.current().limits.span("pin_late")
    waiting = e.diagnosis.verdict in (Verdict.NO, Verdict.NOT_YET)
    if not waiting or e.lock is None or e.reservation.status not in NEEDS_PIN:
        return ""
    if late <= clock.utcnow() or e.diagnosis.cause == Cause.NOT_DUE:
        return ""
    return _(
        "If it is not on the lock at %(time)s, the administrators are alerted.",
        time=until(late, e.house.timezone),
    )


def _helps(e: Explanation, values: dict[str, str], *, is_admin: bool) -> str:
    diagnosis = e.diagnosis
    told = _filled(HELPS.get(diagnosis.help), values)
    if told and not is_admin and diagnosis.help in ADMIN_ONLY:
        told += " " + _("An administrator can do that.")
    waits = e.reservation.status in NEEDS_PIN and e.reservation.check_out_at > clock.utcnow()
    if diagnosis.verdict != Verdict.NO or diagnosis.cause == Cause.REVOKE_OVERDUE or not waits:
        return told
    spare = _filled(CONTINGENCIES.get(e.house.contingency), values)
    if spare:
        told = f"{told} {spare}".strip()
    if e.house.contact:
        told += " " + _("Whom to call: %(contact)s.", contact=e.house.contact)
    return told.strip()


def _action(help_: Help) -> str:
    if help_ in OFFERS_REPROCESS:
        return "reprocess"
    return "connect" if help_ in (Help.CONNECT_LOCK, Help.ACTIVATE_ROOM) else ""
