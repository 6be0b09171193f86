"""Audit entries in words: what was done, to what, and what differs (design/UI.md §4)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from flask import url_for
from flask_babel import lazy_gettext as _l

from app.models import AuditEntry, ChannelEvent
from app.services.audit_lists import AuditFilter
from app.services.audit_names import INSIDE, Thing, as_id
from app.web import dates, event_wording
from app.web.dates import gettext as _
from app.web.pin_history import FIELDS as STAY_FIELDS
from app.web.settings import FIELDS as PROPERTY_FIELDS

#: characters of a value that fit the line of a list
LINE = 80
#: rows that stand out
LOUD = frozenset({"reveal"})
#: (icon, words) of a deed to a thing, or to any thing
DEEDS: dict[str, tuple[str, Any]] = {
    "reveal": ("eye", _l("PIN shown")),
    "reprocess": ("retry", _l("New PIN ordered")),
    "reservation revoke": ("ban", _l("PIN revoked")),
    "credential install": ("okc", _l("PIN on the lock")),
    "credential remove": ("ban", _l("PIN removed from the lock")),
    "reservation create": ("plus", _l("Booking made")),
    "reservation update": ("today", _l("Booking changed")),
    "reservation move": ("rooms", _l("Moved to another room, to make place")),
    "reservation confirm": ("okc", _l("Confirmed by the channel")),
    "reservation fail": ("alert", _l("Not accepted by the channel")),
    "reservation cancel": ("ban", _l("Booking cancelled")),
    "check_in": ("enter", _l("Guest checked in")),
    "check_out": ("leave", _l("Guest checked out")),
    "no_show": ("user", _l("Noted as a no-show")),
    "pin_order retry": ("retry", _l("PIN order tried again")),
    "event retry": ("retry", _l("Event retried")),
    "event ignore": ("ban", _l("Event ignored")),
    "event replay": ("replay", _l("Event replayed")),
    "accommodation map": ("link", _l("Lock connected")),
    "accommodation unmap": ("unlink", _l("Lock disconnected")),
    "match": ("link", _l("Match accepted")),
    "dismiss_match": ("ban", _l("Match dismissed")),
    "restore_match": ("undo", _l("Match brought back")),
    "undo_match": ("undo", _l("Match undone")),
    "reconcile": ("sync", _l("Put in step with the channel")),
    "room close": ("tool", _l("Room closed")),
    "room update": ("rooms", _l("Room status changed")),
    "channel_mapping revive": ("link", _l("Mapping brought back")),
    "lock test": ("key", _l("Lock test started")),
    "test_result": ("key", _l("Lock test answered")),
    "test_stop": ("key", _l("Lock test stopped")),
    "register": ("lock", _l("Lock taken over from the vendor")),
    "mark_gone": ("lock", _l("Lock gone from the vendor’s account")),
    "connect": ("signal", _l("Channel connected")),
    "hold extend": ("hold", _l("Hold extended")),
    "hold release": ("hold", _l("Hold released")),
    "accommodation start": ("sync", _l("Reading of the channel’s units started")),
    "start": ("play", _l("Reconciliation started")),
    "apply": ("play", _l("Plan applied")),
    "resolve": ("scale", _l("Discrepancy resolved")),
    "discrepancy open": ("scale", _l("Discrepancy found")),
    "discrepancy reopen": ("scale", _l("Discrepancy found again")),
    "discrepancy close": ("scale", _l("Discrepancy closed")),
    "acknowledge": ("bell", _l("Alert acknowledged")),
    "sign_in": ("user", _l("Signed in")),
    "sign_in_failed": ("alert", _l("Sign-in refused")),
    "sign_out": ("leave", _l("Signed out")),
    "user create": ("user", _l("User added")),
    "invite": ("user", _l("User invited")),
    "withdraw_invitation": ("user", _l("Invitation withdrawn")),
    "resend_invitation": ("user", _l("User invited")),
    "send_letters_again": ("user", _l("Letters sent again")),
    "accept_invitation": ("user", _l("Invitation accepted")),
    "reset_link": ("key", _l("Password link made")),
    "reset_password": ("key", _l("Password reset")),
    "deactivate": ("ban", _l("User deactivated")),
    "reactivate": ("user", _l("User reactivated")),
    "remove_second_factor": ("key", _l("Second factor removed")),
    "set_password": ("key", _l("Password set")),
    "change_password": ("key", _l("Password changed")),
    "end_session": ("leave", _l("Session ended")),
    "end_sessions": ("leave", _l("Sessions ended")),
    "begin_second_factor": ("key", _l("Second factor begun")),
    "enable_second_factor": ("key", _l("Second factor on")),
    "disable_second_factor": ("key", _l("Second factor off")),
    "renew_recovery_codes": ("key", _l("Recovery codes renewed")),
    "audit_log export": ("outgo", _l("Audit log exported")),
    "audit_log purge": ("broom", _l("Audit entries removed or emptied")),
    "guest export": ("outgo", _l("Guest’s data exported")),
    "guest erase": ("broom", _l("Guest erased")),
    "privacy retain": ("broom", _l("Old data removed")),
    "setting update": ("gear", _l("Setting changed")),
    "create": ("plus", _l("Created")),
    "update": ("gear", _l("Changed")),
    "delete": ("x", _l("Deleted")),
    "remove": ("x", _l("Removed")),
}
THINGS: dict[str, Any] = {
    "accommodation": _l("Accommodation"),
    "alert": _l("Alert"),
    "alert_settings": _l("Alert settings"),
    "audit_log": _l("Audit log"),
    "channel_mapping": _l("Channel mapping"),
    "channel_property": _l("Channel"),
    "credential": _l("PIN"),
    "discrepancy": _l("Discrepancy"),
    "event": _l("Event"),
    "guest": _l("Guest"),
    "hold": _l("Hold"),
    "lock": _l("Lock"),
    "maintenance_block": _l("Maintenance block"),
    "pin_order": _l("PIN order"),
    "privacy": _l("Privacy"),
    "property": _l("Property"),
    "rate": _l("Price"),
    "reconciliation_run": _l("Reconciliation"),
    "reservation": _l("Reservation"),
    "room": _l("Room"),
    "room_type": _l("Room type"),
    "setting": _l("Setting"),
    "user": _l("User"),
}
FIELDS: dict[str, Any] = (
    {
        "name": _l("Name"),
        "reason": _l("Reason"),
        "note": _l("Note"),
        "lock_id": _l("Lock"),
        "property_id": _l("Property"),
        "role": _l("Role"),
        "is_active": _l("Active"),
        "action": _l("Decision"),
        "check_in": _l("Check-in"),
        "check_out": _l("Check-out"),
        "hold_expires_at": _l("Until"),
        "rows": _l("Rows"),
        "removed": _l("Removed"),
        "scrubbed": _l("Emptied"),
        "housekeeping": _l("Housekeeping"),
        "kind": _l("Kind"),
        "attempts": _l("Tries"),
        "error": _l("Error"),
        "number": _l("Number"),
        "run": _l("Run"),
    }
    | PROPERTY_FIELDS
    | STAY_FIELDS
    | {
        "adults": _l("Adults"),
        "children": _l("Children"),
        "currency": _l("Currency"),
        "partner_ref": _l("Their number"),
        "check_in_on": _l("Arrival"),
        "check_out_on": _l("Departure"),
    }
)
#: actors that are no persons
NOBODY: dict[str, Any] = {"system": _l("System"), "command line": _l("Command line")}
#: what nobody has to read: how a purge, a request, a PIN is named inside
HIDDEN = frozenset({"transaction", "request", "credential_id", "test_id"})


class Difference(NamedTuple):
    """One field of an entry, before and after; an empty side was not there."""

    label: str
    before: str
    after: str


def deed(entry: AuditEntry) -> tuple[str, str]:
    """The icon and the words of what was done."""
    known = DEEDS.get(f"{entry.entity} {entry.action}") or DEEDS.get(entry.action)
    if known is None:
        return "audit", entry.action.replace("_", " ").capitalize()
    return known[0], str(known[1])


def thing(entry: AuditEntry, names: Mapping[UUID, Thing]) -> tuple[str, str]:
    """What it was done to, in words, and in small print what kind of thing that is."""
    kind = str(THINGS.get(entry.entity, entry.entity.replace("_", " ").capitalize()))
    found = names.get(as_id(entry.entity_id) or UUID(int=0))
    if found is None:
        last_known = (entry.after or {}).get("name") or (entry.before or {}).get("name")
        return (str(last_known), kind) if last_known else (kind, (entry.entity_id or "")[:8])
    name = found.name or (_("Guest without a name") if found.kind == "reservation" else "")
    if found.kind == "event":
        name = event_wording.title(ChannelEvent(event_type=name))
    return ", ".join(filter(None, (name or kind, found.detail))), kind


def link(entry: AuditEntry, names: Mapping[UUID, Thing]) -> str:
    """The page of the thing; empty when it has none or is gone."""
    found = names.get(as_id(entry.entity_id) or UUID(int=0))
    if found is None:
        if entry.entity == "reconciliation_run" and entry.entity_id:
            return f"/reconciliation/runs/{entry.entity_id}"
        return ""
    pages = {
        "reservation": "/reservations/{}",
        "event": "/events/{}",
        "accommodation": "/accommodations/{}",
        "lock": "/locks/{}",
        "property": "/settings/properties/{}",
        "room_type": "/settings/room-types/{}",
    }
    if found.about is not None:
        return f"/reservations/{found.about}"
    return pages[found.kind].format(found.id) if found.kind in pages else ""


def run_behind(entry: AuditEntry) -> str:
    """The id of the reconciliation run that did it; empty when none did."""
    said = (entry.after or {}).get("run")
    return said if isinstance(said, str) and as_id(said) is not None else ""


def who(actor: str, people: Mapping[str, str]) -> str:
    """The person's name, else what the entry says."""
    if actor in NOBODY:
        return str(NOBODY[actor])
    return people.get(actor) or actor


def differences(entry: AuditEntry, names: Mapping[UUID, Thing], zone: str) -> list[Difference]:
    """The fields of both sides, those that differ alone where there are two."""
    before, after = entry.before or {}, entry.after or {}
    keys = [key for key in dict.fromkeys([*before, *after]) if key not in HIDDEN]
    # What became of it comes first, what was only true before last; being active says least.
    keys.sort(key=lambda key: (bool(after) and key not in after, key == "is_active"))
    return [
        Difference(
            str(FIELDS.get(key, key.replace("_", " ").capitalize())),
            value(key, before.get(key), names, zone),
            value(key, after.get(key), names, zone),
        )
        for key in keys
        if not (key in before and key in after and before[key] == after[key])
    ]


def summary(entry: AuditEntry, names: Mapping[UUID, Thing], zone: str) -> str:
    """The first differences as a line: Check-out 23 Nov → 24 Nov."""
    shown = []
    found = differences(entry, names, zone)
    for label, before, after in found[:2]:
        if entry.before and entry.after and before:
            if len(before) + len(after) > LINE:
                continue
            shown.append(_("%(field)s: %(a)s → %(b)s", field=label, a=before, b=after or "—"))
        elif after and len(after) <= LINE:
            shown.append(f"{label}: {after}")
    more = f" +{len(found) - 2}" if len(found) > 2 else ""
    return " · ".join(shown) + more if shown else ""


def value(key: str, stored: Any, names: Mapping[UUID, Thing], zone: str) -> str:
    """One value for reading: ids by name, moments on the property's clock."""
    if stored is None:
        return ""
    if isinstance(stored, bool):
        return _("yes") if stored else _("no")
    if isinstance(stored, dict):
        parts = (f"{name}: {value(name, each, names, zone)}" for name, each in stored.items())
        return ", ".join(parts)
    if isinstance(stored, list):
        return ", ".join(value(key, each, names, zone) for each in stored)
    text = str(stored)
    if text == "[removed]":
        return _("[removed]")
    if key in INSIDE and (id_ := as_id(text)) is not None:
        found = names.get(id_)
        return (found.name or "") if found is not None else text[:8]
    if key in ("run", "event_id") and as_id(text) is not None:
        return text[:8]
    if (key.endswith("_at") or key in ("since", "until")) and (at := _moment(text)) is not None:
        return dates.clock_seconds(at, zone)
    if key.endswith("_on") or key in ("check_in", "check_out", "from", "to"):
        return _day(text) or text
    return text


def tags(filters: AuditFilter, zone: str, people: Mapping[str, str]) -> list[tuple[str, str]]:
    """The filters in words, each with the parameter that takes it away."""
    found: list[tuple[str, str]] = []
    if filters.q:
        found.append((f"“{filters.q}”", "q"))
    if filters.actor:
        found.append((_("Who: %(value)s", value=who(filters.actor, people)), "actor"))
    if filters.entity:
        label = THINGS.get(filters.entity, filters.entity)
        found.append((_("On: %(value)s", value=str(label)), "entity"))
    if filters.entity_id:
        found.append((_("ID: %(value)s", value=filters.entity_id[:8]), "entity_id"))
    if filters.from_:
        found.append(
            (
                _("From %(day)s", day=dates.day_month(dates.local(filters.from_, zone).date())),
                "from",
            )
        )
    if filters.to:
        last = dates.local(filters.to - timedelta(seconds=1), zone).date()
        found.append((_("To %(day)s", day=dates.day_month(last)), "to"))
    return found


def here_or_nothing(entry: AuditEntry) -> str:
    """All entries about the same thing."""
    if entry.entity_id is None:
        return ""
    return url_for("audit.index", entity=entry.entity, entity_id=entry.entity_id)


def action_label(action: str) -> str:
    """The words of an action for the list of filters, whatever it was done to."""
    known = DEEDS.get(action) or next(
        (words for key, words in DEEDS.items() if key.endswith(f" {action}")), None
    )
    several = sum(key.split()[-1] == action for key in DEEDS) > 1
    if known is None or several:
        return action.replace("_", " ").capitalize()
    return str(known[1])


def _moment(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _day(text: str) -> str | None:
    try:
        return dates.day_month(date.fromisoformat(text))
    except ValueError:
        return None
