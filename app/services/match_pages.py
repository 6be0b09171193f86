"""How far the pairing of rooms and locks has come, for the head of the matches page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select

from app.models import Accommodation, Lock, LockMapping
from app.transaction import transaction


@dataclass(frozen=True, slots=True)
class Coverage:
    """Active rooms, those of them with a lock, and the locks that open no room."""

    rooms: int
    with_lock: int
    free_locks: Sequence[Lock]

    @property
    def is_complete(self) -> bool:
        return self.rooms > 0 and self.rooms == self.with_lock


def coverage(property_id: UUID | None = None) -> Coverage:
    """Of one property, or of all; a lock without a room belongs to none. Two statements."""
    counted = (
        select(func.count(), func.count(LockMapping.id))
        .select_from(Accommodation)
        .outerjoin(LockMapping, LockMapping.accommodation_id == Accommodation.id)
        .where(Accommodation.is_active)
    )
    if property_id is not None:
        counted = counted.where(Accommodation.property_id == property_id)
    with transaction() as session:
        rooms, with_lock = session.execute(counted).one()
        free = session.scalars(
            select(Lock)
            .where(Lock.gone_since.is_(None), Lock.id.not_in(select(LockMapping.lock_id)))
            .order_by(Lock.name, Lock.id)
        ).all()
    return Coverage(rooms, with_lock, free)
