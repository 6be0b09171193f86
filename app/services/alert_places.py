"""Where an alert is mended: the address of the page, below this installation's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.integrations import locks
from app.models import Credential
from app.models.columns import among

GUIDE = "/alerts/guide"
_BY_KIND = {
    "dead_letters": "/events",
    "failed_events": "/events",
    "success_rate": "/events",
    "queue_depth": "/channels",
    "channel_unreachable": "/channels",
    "run_failed": "/reconciliation",
    "no_run": "/reconciliation",
    "run_slow": "/reconciliation",
    "pin_late": "/reservations",
    "revoke_overdue": "/locks",
    "lock_offline": "/locks",
    "lock_battery": "/locks",
    "vendor_quota": "/locks",
}
#: how a subject begins, and the page of the thing it names
_BY_SUBJECT = {
    "reservation": "/reservations/",
    "overbooked": "/reservations/",
    "lock": "/locks/",
}


def places(session: Session, about: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
    """The page for each kind and subject, in one statement however many there are."""
    known = set(about)
    keys = (_key(subject, "credential") for _, subject in known)
    ids = [key for key in keys if key is not None]
    stays: dict[UUID, UUID] = {}
    if ids:
        rows = session.execute(
            select(Credential.id, Credential.reservation_id).where(
                among(Credential.id, ids), Credential.reservation_id.is_not(None)
            )
        )
        stays = {row[0]: row[1] for row in rows if row[1] is not None}
    return {each: _place(*each, stays) for each in known}


def _place(kind: str, subject: str, stays: Mapping[UUID, UUID]) -> str:
    for noun, page in _BY_SUBJECT.items():
        if (key := _key(subject, noun)) is not None:
            return f"{page}{key}"
    credential = _key(subject, "credential")
    if credential is not None and credential in stays:
        return f"/reservations/{stays[credential]}"
    if subject.startswith("accommodations:"):
        return "/accommodations"
    if kind == "channel_unreachable" and subject in locks.KNOWN:
        return "/locks"
    if kind == "vendor_quota" and subject.endswith("stays"):
        return "/channels"
    return _BY_KIND.get(kind, f"{GUIDE}#{kind}")


def _key(subject: str, noun: str) -> UUID | None:
    """The id in "noun:id"."""
    begin, _, rest = subject.partition(":")
    if begin != noun:
        return None
    try:
        return UUID(rest)
    except ValueError:
        return None
