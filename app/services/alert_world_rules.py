"""When what is around us fails: channels and the lock account, PINs past their end, processes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import and_, func, or_, select

from app.domain.states import WANTED, CredentialState
from app.integrations import channels, locks
from app.models import (
    Accommodation,
    Credential,
    LockMapping,
    ProcessHeartbeat,
    VendorState,
)
from app.models.columns import among
from app.runtime import settings
from app.services import alerts, metric_points, room_names
from app.services.alert_rules import CRITICAL, WARNING, Finding, Found, Look, Rule
from app.services.pin_warnings import REVOKE_HELP

#: a row of `process_gone`: one kind of process on one host
Place: TypeAlias = Any

#: errors that say nothing of the lock or the booking and all of the vendor
SILENT = ("unreachable", "unconfirmed", "unreadable")
#: begins the subject of an alert about refused credentials; Beds24's have accounts of their own
CREDENTIALS = "credentials:"
PIN = "credential:"
#: how long before its end those may have come that replace a process
DEPLOY = timedelta(minutes=10)
ROLES = {"web": "web process", "worker": "worker", "clock": "clock process"}
START_HELP = {
    "web": "Start the web process again. Pages and webhooks need it.",
    "worker": "Start the worker again. PINs are put on locks and taken off by workers only.",
    "clock": "Start the clock process again. Without it nothing begins by itself but what is due.",
}


def unreachable(look: Look) -> Found:
    """MON-11: a vendor that has not given one answer for too long, as real traffic has it. One call
    that failed, and none since, says so only after twice that time: a blip in an idle house."""
    span = look.limits.span("channel_unreachable")
    rows = look.session.scalars(
        select(VendorState).where(
            VendorState.failing_since <= look.now - span,
            VendorState.last_error_kind.in_(SILENT),
            or_(
                VendorState.last_error_at > VendorState.failing_since,
                VendorState.failing_since <= look.now - 2 * span,
            ),
        )
    )
    help_ = (
        "Look at the vendor's status page. Nothing is lost meanwhile: what is owed is kept and "
        "tried again, and what was missed is read once it answers."
    )
    return {
        row.vendor: Finding(
            CRITICAL,
            f"{_name(row.vendor)} cannot be reached since {row.failing_since:%d %b %H:%M} UTC",
            help_,
        )
        for row in rows
        if _in_use(row.vendor)
    }


def refused(look: Look) -> Found:
    """Credentials from the environment that a vendor refuses."""
    rows = look.session.scalars(
        select(VendorState).where(
            VendorState.failing_since.is_not(None), VendorState.last_error_kind == "unauthorized"
        )
    )
    return {
        CREDENTIALS + row.vendor: Finding(
            CRITICAL,
            f"{_name(row.vendor)} refuses our credentials",
            "Check the key and the secret in the environment against the vendor's console, then "
            "restart Turnkey.",
        )
        for row in rows
        if row.vendor != "beds24" and _in_use(row.vendor)
    }


def left_on_lock(look: Look) -> Found:
    """PINs past their end, grace included, that no lock has proven gone. Alerts of removals that
    somebody else found overdue stay as long as the PIN is not proven gone, and end with it."""
    known = {
        subject
        for subject in alerts.subjects(look.session, "revoke_overdue")
        if subject.startswith(PIN)
    }
    late = and_(
        Credential.state.in_((*WANTED, CredentialState.REVOKING)),
        Credential.installed_at.is_not(None),
        Credential.expires_at <= look.now - look.limits.span("revoke_overdue"),
    )
    told = among(Credential.id, [UUID(subject.removeprefix(PIN)) for subject in known])
    rows = look.session.execute(
        select(Credential.id, room_names.called().label("room"))
        .outerjoin(LockMapping, LockMapping.lock_id == Credential.lock_id)
        .outerjoin(Accommodation, Accommodation.id == LockMapping.accommodation_id)
        .where(or_(late, told & (Credential.state != CredentialState.REVOKED)))
    )
    found: dict[str, Finding | None] = {}
    for row in rows:
        room = f"{row.room}: a PIN" if row.room else "A PIN"
        subject = f"{PIN}{row.id}"
        title = f"{room} is still on the lock past its end"
        found[subject] = None if subject in known else Finding(CRITICAL, title, REVOKE_HELP)
    return found


def process_gone(look: Look) -> Found:
    """Kinds of processes that have fallen silent on a host and were not replaced. Those that end in
    order take their rows with them; one that came after their last word stands in for them, and so
    do those of a deploy, which came shortly before it (`_deployed`)."""
    if not look.watching:
        return None
    alive_after = look.now - look.limits.span("process_gone")
    rows = look.session.execute(
        select(
            ProcessHeartbeat.kind,
            func.split_part(ProcessHeartbeat.name, ":", 1).label("place"),
            func.min(ProcessHeartbeat.started_at).label("came_at"),
            func.max(ProcessHeartbeat.started_at).label("started_at"),
            func.max(ProcessHeartbeat.seen_at).label("seen_at"),
            func.count().filter(ProcessHeartbeat.seen_at > alive_after).label("living"),
        ).group_by("kind", "place")
    ).all()
    alive = [row for row in rows if row.seen_at > alive_after]
    found: dict[str, Finding | None] = {}
    for row in rows:
        kin = [other for other in alive if other.kind == row.kind]
        if row.seen_at > alive_after or any(other.started_at > row.seen_at for other in kin):
            continue
        if _deployed(row, kin):
            continue
        found[row.place] = _gone(row.kind, row.place.partition("@")[2], row.seen_at, len(kin))
    return found


def _deployed(gone: Place, kin: Sequence[Place]) -> bool:
    """Whether others came just before its last word, as when a deploy starts the new ones before it
    kills the old, and as many live now as lived before they came. One of two that dies alone is
    missed by that count, however lately the other one was started again."""
    came = [each.came_at for each in kin if gone.seen_at - DEPLOY < each.came_at <= gone.seen_at]
    if not came:
        return False
    until = min(came).replace(second=0, microsecond=0)
    before = metric_points.series(
        "turnkey_processes", {"kind": gone.kind}, until - DEPLOY, until, "minute"
    )
    living = sum(each.living for each in kin)
    return bool(before) and living >= max(point.value for point in before)


def _gone(kind: str, host: str, seen_at: datetime, others: int) -> Finding:
    """The last of its kind stops everything it does; one of several only makes it slower."""
    title = f"The {ROLES[kind]} on {host} has been silent since {seen_at:%d %b %H:%M} UTC"
    if others:
        return Finding(WARNING, title, f"Others of its kind still run. {START_HELP[kind]}")
    return Finding(CRITICAL, f"{title}, and no other runs", START_HELP[kind])


def _in_use(vendor: str) -> bool:
    """Whether we work with the vendor at all; what was switched off is not down."""
    if vendor in locks.KNOWN:
        return locks.KNOWN[vendor].ready(settings())
    known = channels.KNOWN.get(vendor)
    return known is not None and (known.dialect is None or known.dialect(settings()) is not None)


def _name(vendor: str) -> str:
    return locks.KNOWN[vendor].title if vendor in locks.KNOWN else channels.title(vendor)


def _known(vendor: str) -> bool:
    return vendor in locks.KNOWN or vendor in channels.KNOWN


RULES = (
    Rule("channel_unreachable", unreachable, _known),
    Rule("vendor_quota", refused, lambda subject: subject.startswith(CREDENTIALS)),
    Rule("revoke_overdue", left_on_lock, lambda subject: subject.startswith(PIN)),
    Rule("process_gone", process_gone),
)
