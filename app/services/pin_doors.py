"""The doors a plan is about: their policy, their lock, and every stay with a claim to them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.states import NEEDS_PIN, ReservationStatus
from app.domain.stay_windows import Policy, Stay
from app.models import Accommodation, LockMapping, Property, Reservation
from app.models.columns import among

#: a row of `_STAY`
StayRow: TypeAlias = Any
#: stays that ended longer ago than the longest grace leave nothing to plan
MEMORY = timedelta(days=8)


@dataclass(slots=True)
class Door:
    """What is known about one accommodation while it is planned."""

    policy: Policy
    lock_id: UUID | None
    stays: list[StayRow] = field(default_factory=list)


def lock_doors(
    session: Session, reservations: Collection[UUID], accommodations: Collection[UUID]
) -> dict[UUID, Door]:
    """Lock the accommodations concerned, always in the same order."""
    wanted = set(accommodations)
    if reservations:
        wanted.update(
            session.scalars(
                select(Reservation.accommodation_id)
                .where(
                    among(Reservation.id, reservations),
                    Reservation.accommodation_id.is_not(None),
                )
                .distinct()
            )
        )
    if not wanted:
        return {}
    session.execute(
        select(Accommodation.id)
        .where(among(Accommodation.id, wanted))
        .order_by(Accommodation.id)
        # Not plain FOR UPDATE: two writers of stays in one room hold its key share already.
        .with_for_update(key_share=True)
    ).all()
    rows = session.execute(
        select(
            Accommodation.id,
            LockMapping.lock_id,
            Property.pin_lead_hours,
            Property.pin_grace_hours,
            Property.pin_preload_hours,
        )
        .join(Property, Property.id == Accommodation.property_id)
        .outerjoin(LockMapping, LockMapping.accommodation_id == Accommodation.id)
        .where(among(Accommodation.id, wanted))
    )
    return {row.id: Door(policy_of(row), row.lock_id) for row in rows}


def policy_of(house: Any) -> Policy:
    """The PIN hours of a property, or of a row with its columns."""
    return Policy(
        timedelta(hours=house.pin_lead_hours),
        timedelta(hours=house.pin_grace_hours),
        timedelta(hours=house.pin_preload_hours),
    )


_STAY = (
    Reservation.id,
    Reservation.accommodation_id,
    Reservation.status,
    Reservation.check_in_at,
    Reservation.check_out_at,
    Reservation.checked_out_at,
    Reservation.booked_at,
    Reservation.created_at,
)


def stays_at(
    session: Session, doors: Iterable[UUID], reservations: Collection[UUID], now: datetime
) -> list[StayRow]:
    found = {
        row.id: row
        for row in session.execute(
            select(*_STAY).where(
                among(Reservation.accommodation_id, doors),
                Reservation.check_out_at > now - MEMORY,
            )
        )
    }
    missing = [r for r in reservations if r not in found]
    if missing:
        for row in session.execute(select(*_STAY).where(among(Reservation.id, missing))):
            found[row.id] = row
    return list(found.values())


def claims(stays: Iterable[StayRow]) -> list[Stay]:
    """The stays that have, or had until lately, a right to the door.

    Who is in the room comes first, and who has left comes last: a guest who left early, after the
    hour at which the next one may come, has nothing to keep the next one out for.
    """
    found = []
    for stay in stays:
        leaves = stay.check_out_at
        here = 0 if stay.status == ReservationStatus.CHECKED_IN else 1
        if stay.status == ReservationStatus.CHECKED_OUT:
            here = 2
            leaves = min(leaves, stay.checked_out_at or leaves)
            if leaves <= stay.check_in_at:
                continue
        elif stay.status not in NEEDS_PIN:
            continue
        rank = (here, stay.booked_at or stay.created_at, str(stay.id))
        found.append(Stay(stay.id, stay.check_in_at, leaves, rank))
    return found
