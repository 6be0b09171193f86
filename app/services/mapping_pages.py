"""What the pages show before and after a lock and an accommodation are connected."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select

from app import clock
from app.domain.states import WANTED
from app.models import (
    Accommodation,
    Credential,
    Lock,
    LockMapping,
    MappingValidationLog,
    Property,
    Reservation,
    User,
)
from app.transaction import transaction

HISTORY = 10


@dataclass(frozen=True, slots=True)
class Side:
    """A lock and the accommodation it opens, or either of them alone."""

    lock: Lock | None
    accommodation: Accommodation | None
    property: Property | None


@dataclass(frozen=True, slots=True)
class Affected:
    """A guest whose PIN leaves the door when its lock changes."""

    reservation_id: UUID
    guest: str | None
    check_in_on: date
    check_out_on: date
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """One line of the validation log, with names instead of ids (LOCK-04)."""

    entry: MappingValidationLog
    lock: str | None
    accommodation: str | None
    who: str | None


def locks() -> Sequence[Side]:
    """Every lock with its room, those without one first."""
    with transaction() as session:
        rows = session.execute(
            select(Lock, Accommodation, Property)
            .outerjoin(LockMapping, LockMapping.lock_id == Lock.id)
            .outerjoin(Accommodation, Accommodation.id == LockMapping.accommodation_id)
            .outerjoin(Property, Property.id == Accommodation.property_id)
            .order_by(Accommodation.id.is_not(None), Lock.name)
        ).all()
    return [Side(lock, unit, house) for lock, unit, house in rows]


def rooms() -> Sequence[Side]:
    """Every active accommodation with its lock, those without one first."""
    with transaction() as session:
        rows = session.execute(
            select(Lock, Accommodation, Property)
            .select_from(Accommodation)
            .join(Property, Property.id == Accommodation.property_id)
            .outerjoin(LockMapping, LockMapping.accommodation_id == Accommodation.id)
            .outerjoin(Lock, Lock.id == LockMapping.lock_id)
            .where(Accommodation.is_active)
            .order_by(Lock.id.is_not(None), Property.name, Accommodation.number, Accommodation.name)
        ).all()
    return [Side(lock, unit, house) for lock, unit, house in rows]


def affected(accommodation_id: UUID) -> Sequence[Affected]:
    """The guests whose live PIN stands on this accommodation's lock, next arrival first (C-19)."""
    with transaction() as session:
        rows = session.execute(
            select(
                Reservation.id,
                Reservation.guest_name,
                Reservation.check_in_on,
                Reservation.check_out_on,
                Credential.expires_at,
            )
            .join(Credential, Credential.reservation_id == Reservation.id)
            .join(
                LockMapping,
                (LockMapping.lock_id == Credential.lock_id)
                & (LockMapping.accommodation_id == Reservation.accommodation_id),
            )
            .where(
                Reservation.accommodation_id == accommodation_id,
                Credential.state.in_(WANTED),
                Credential.expires_at > clock.utcnow(),
            )
            .order_by(Reservation.check_in_at, Reservation.id)
        ).all()
    return [Affected(*row) for row in rows]


def mark_of(guests: Sequence[Affected]) -> str:
    """Stands for what a person was shown; another list is asked about again."""
    seen = sorted(str(guest.reservation_id) for guest in guests)
    return hashlib.sha256("\n".join(seen).encode()).hexdigest()[:16] if seen else ""


def history(
    *, accommodation_id: UUID | None = None, lock_id: UUID | None = None
) -> Sequence[Attempt]:
    """The latest attempts to pair this accommodation or this lock, newest first."""
    log = MappingValidationLog
    of = log.accommodation_id == accommodation_id if accommodation_id else log.lock_id == lock_id
    with transaction() as session:
        rows = session.execute(
            select(log, Lock.name, Accommodation.name, User.name, User.email)
            .outerjoin(Lock, Lock.id == log.lock_id)
            .outerjoin(Accommodation, Accommodation.id == log.accommodation_id)
            .outerjoin(User, User.id == log.user_id)
            .where(of)
            .order_by(log.created_at.desc(), log.id)
            .limit(HISTORY)
        ).all()
    return [Attempt(entry, lock, unit, name or email) for entry, lock, unit, name, email in rows]
