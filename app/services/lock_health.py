"""Locks that will let the next guest down: weak batteries, long silence, gone from the account.

A battery Wi-Fi lock sleeps between uses, so being offline says nothing about it (contracts/tuya.md
§7); only days of silence, or an order it did not answer, do. Nothing is an alert unless somebody
arrives soon, and every alert ends by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.domain.states import NEEDS_PIN
from app.models import Accommodation, Lock, LockMapping, Reservation
from app.models.columns import among
from app.services import alerts, room_names
from app.transaction import transaction

#: a row of `_door`
DoorRow: TypeAlias = Any

SUBJECT = "lock:"
LOW_BATTERY = 20
#: trouble with a lock matters when somebody arrives within this time, or is in the house
SOON = timedelta(hours=48)
#: how long a lock may be silent by radio; those with a gateway answer all the time
SILENCE = {
    "wifi": timedelta(hours=72),
    "zigbee": timedelta(minutes=30),
    "bluetooth": timedelta(minutes=30),
}
#: a lock that has not answered an order for this long is silent, whatever its radio
UNANSWERED = timedelta(hours=1)


class Trouble(StrEnum):
    """What is wrong with a lock, the worst first."""

    GONE = "gone"
    SILENT = "silent"
    LOW_BATTERY = "low_battery"


_KINDS = {
    Trouble.GONE: "lock_offline",
    Trouble.SILENT: "lock_offline",
    Trouble.LOW_BATTERY: "lock_battery",
}
_WORDS = {
    Trouble.GONE: (
        "{room}: {lock} is no longer in the lock account",
        "Link the device again in the vendor's app, or connect another lock to the room.",
    ),
    Trouble.SILENT: (
        "{room}: {lock} has not been heard of since {since:%d %b %H:%M} UTC",
        "Touch its keypad. If it stays silent, check its power, its gateway and the network.",
    ),
    Trouble.LOW_BATTERY: (
        "{room}: the battery of {lock} is low{percent}",
        "Change the batteries before the next arrival.",
    ),
}


@dataclass(frozen=True, slots=True)
class Ailing:
    """A lock in trouble, and when the next guest needs it."""

    lock_id: UUID
    trouble: Trouble
    since: datetime | None
    needed_at: datetime | None


def troubles(lock: Lock | DoorRow, now: datetime) -> list[tuple[Trouble, datetime | None]]:
    """What is wrong with one lock, whether or not it matters today."""
    found: list[tuple[Trouble, datetime | None]] = []
    if lock.gone_since is not None:
        found.append((Trouble.GONE, lock.gone_since))
    elif (since := silent_since(lock, now)) is not None:
        found.append((Trouble.SILENT, since))
    if lock.low_battery or (lock.battery is not None and lock.battery <= LOW_BATTERY):
        found.append((Trouble.LOW_BATTERY, None))
    return found


def silent_since(lock: Lock | DoorRow, now: datetime) -> datetime | None:
    """Since when the lock has been silent for too long; None when it has not."""
    if lock.silent_since is not None and lock.silent_since + UNANSWERED <= now:
        unanswered: datetime = lock.silent_since
        return unanswered
    offline: datetime | None = lock.offline_since
    return offline if offline is not None and offline + SILENCE[lock.radio] <= now else None


def watch(now: datetime) -> int:
    """Raise and resolve the alerts about locks, in a handful of statements; how many are in trouble
    that matters."""
    wanted: dict[tuple[str, str], DoorRow] = {}
    with transaction() as session:
        for door in _needed(session, now):
            for trouble, since in troubles(door, now):
                kind, subject = _KINDS[trouble], f"{SUBJECT}{door.id}"
                wanted[(kind, subject)] = door
                _raise(session, trouble, kind, subject, door, since)
        for kind in sorted(set(_KINDS.values())):
            over = [
                subject
                for subject in alerts.subjects(session, kind)
                if subject.startswith(SUBJECT) and (kind, subject) not in wanted
            ]
            if over:
                alerts.resolve(session, kind, *over)
    return len(wanted)


def ailing(session: Session, locks: Iterable[Lock], now: datetime) -> list[Ailing]:
    """All trouble of these locks, with the next guest each keeps waiting."""
    known = list(locks)
    next_at = _next_need(session, [lock.id for lock in known], now)
    return [
        Ailing(lock.id, trouble, since, next_at.get(lock.id))
        for lock in known
        for trouble, since in troubles(lock, now)
    ]


def _needed(session: Session, now: datetime) -> list[DoorRow]:
    """Mapped locks somebody needs soon: an arrival within two days, or a guest in the house."""
    soonest = (
        select(Reservation.accommodation_id, func.min(Reservation.check_in_at).label("at"))
        .where(
            Reservation.status.in_(NEEDS_PIN),
            Reservation.check_in_at <= now + SOON,
            Reservation.check_out_at > now,
        )
        .group_by(Reservation.accommodation_id)
        .subquery()
    )
    return list(
        session.execute(
            select(
                Lock.id,
                Lock.name,
                Lock.radio,
                Lock.battery,
                Lock.low_battery,
                Lock.offline_since,
                Lock.silent_since,
                Lock.gone_since,
                room_names.called().label("room"),
                soonest.c.at,
            )
            .join(LockMapping, LockMapping.lock_id == Lock.id)
            .join(Accommodation, Accommodation.id == LockMapping.accommodation_id)
            .join(soonest, soonest.c.accommodation_id == Accommodation.id)
            .order_by(soonest.c.at, Lock.id)
        )
    )


def _next_need(session: Session, locks: list[UUID], now: datetime) -> Mapping[UUID, datetime]:
    rows = session.execute(
        select(LockMapping.lock_id, func.min(Reservation.check_in_at))
        .join(Reservation, Reservation.accommodation_id == LockMapping.accommodation_id)
        .where(
            among(LockMapping.lock_id, locks),
            Reservation.status.in_(NEEDS_PIN),
            Reservation.check_out_at > now,
        )
        .group_by(LockMapping.lock_id)
    )
    return {row[0]: row[1] for row in rows}


def _raise(
    session: Session,
    trouble: Trouble,
    kind: str,
    subject: str,
    door: DoorRow,
    since: datetime | None,
) -> None:
    title, help_ = _WORDS[trouble]
    percent = f" ({door.battery} %)" if door.battery is not None else ""
    said = title.format(room=door.room, lock=door.name, since=since, percent=percent)
    alerts.raise_alert(session, kind, subject, "warning", said, help_)
