"""What a plan would do at the doors: PINs that go, move or come, and rooms that become free.

Counted from what stands behind the stays now, a constant number of statements however many there
are; PINs that other stays lose or gain by it are not foreseen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import clock
from app.domain.states import NEEDS_PIN, OPEN_JOBS, WANTED, PinJobKind, ReservationStatus
from app.models import Credential, LockMapping, PinJob, Reservation
from app.models.columns import among

NAMES = ("pins_revoked", "pins_moved", "pins_new", "rooms_freed")
_SLEEPING = (*NEEDS_PIN, ReservationStatus.PENDING)


@dataclass(frozen=True, slots=True)
class Change:
    """What a plan does to one stay: it `ends`, `moves` to other nights or another room (`leaves`
    its own), or `begins`, in `accommodation_id` where the stay is not here yet."""

    reservation_id: UUID | None = None
    ends: bool = False
    moves: bool = False
    leaves: bool = False
    begins: bool = False
    accommodation_id: UUID | None = None


def count(session: Session, changes: Iterable[Change]) -> dict[str, int]:
    """`pins_revoked`, `pins_moved`, `pins_new` and `rooms_freed`, a PIN being one on a lock or on
    order for one."""
    found = list(changes)
    ending = {c.reservation_id for c in found if c.ends and c.reservation_id}
    moving = {c.reservation_id for c in found if c.moves and c.reservation_id}
    leaving = {c.reservation_id for c in found if c.leaves and c.reservation_id}
    begun = {c.reservation_id for c in found if c.begins and c.reservation_id}
    rooms = [c.accommodation_id for c in found if c.begins and c.accommodation_id]
    return {
        "pins_revoked": _pins(session, ending),
        "pins_moved": _pins(session, moving),
        "pins_new": _doors_of(session, begun) + _doors(session, rooms),
        "rooms_freed": _rooms(session, ending | leaving),
    }


def _pins(session: Session, ids: Collection[UUID]) -> int:
    """Stays with a PIN that opens or is about to, or with one on order."""
    if not ids:
        return 0
    live = select(Credential.reservation_id).where(
        among(Credential.reservation_id, ids), Credential.state.in_(WANTED)
    )
    ordered = select(PinJob.reservation_id).where(
        among(PinJob.reservation_id, ids),
        PinJob.kind == PinJobKind.GENERATE,
        PinJob.status.in_(OPEN_JOBS),
    )
    either = live.union(ordered).subquery()
    return session.scalar(select(func.count()).select_from(either)) or 0


def _doors_of(session: Session, ids: Collection[UUID]) -> int:
    """Stays to come whose room has a lock."""
    if not ids:
        return 0
    return (
        session.scalar(
            select(func.count())
            .select_from(Reservation)
            .join(LockMapping, LockMapping.accommodation_id == Reservation.accommodation_id)
            .where(among(Reservation.id, ids), Reservation.check_out_at > clock.utcnow())
        )
        or 0
    )


def _doors(session: Session, rooms: Collection[UUID]) -> int:
    if not rooms:
        return 0
    locked = set(
        session.scalars(
            select(LockMapping.accommodation_id).where(
                among(LockMapping.accommodation_id, set(rooms))
            )
        )
    )
    return sum(room in locked for room in rooms)


def _rooms(session: Session, ids: Collection[UUID]) -> int:
    """Rooms in which a stay to come would not sleep any more."""
    if not ids:
        return 0
    return (
        session.scalar(
            select(func.count(func.distinct(Reservation.accommodation_id))).where(
                among(Reservation.id, ids),
                Reservation.accommodation_id.is_not(None),
                Reservation.status.in_(_SLEEPING),
                Reservation.check_out_at > clock.utcnow(),
            )
        )
        or 0
    )
