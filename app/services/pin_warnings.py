"""Tell people of a PIN that is not where it should be, or still is where it should not be."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import Accommodation, Credential, Lock, Reservation
from app.services import alerts, room_names

REVOKE_HELP = "Wake the lock: touch its keypad. If nothing changes, check its power and radio."


def not_on_lock(session: Session, reservation_id: UUID | None) -> None:
    """A PIN of this stay is not on its lock and should be; a PIN of no stay is nobody's to miss."""
    if reservation_id is None:
        return
    room = session.scalar(
        select(room_names.called())
        .join(Reservation, Reservation.accommodation_id == Accommodation.id)
        .where(Reservation.id == reservation_id)
    )
    late(session, reservation_id, room)


def late(session: Session, reservation_id: UUID, room: str | None) -> None:
    """The same of a stay whose room is known."""
    alerts.raise_alert(
        session,
        "pin_late",
        f"reservation:{reservation_id}",
        "critical",
        f"{room}: the PIN is not on the lock" if room else "A PIN is not on its lock",
        "Open the reservation: it says what failed, and what helps.",
    )


def double_booked(session: Session, reservation_id: UUID) -> None:
    """Another stay has the room: no PIN, and a person must know (DECISIONS 5)."""
    alerts.raise_alert(
        session,
        "pin_late",
        f"reservation:{reservation_id}",
        "critical",
        "Room double-booked: the later booking gets no PIN",
        "Move one of the two stays to a free room in the channel it came from.",
    )


def not_removed(session: Session, credential: Credential) -> None:
    """A PIN should be gone and is not proven so."""
    lock = session.scalar(select(Lock.name).where(Lock.id == credential.lock_id))
    alerts.raise_alert(
        session,
        "revoke_overdue",
        f"credential:{credential.id}",
        "critical",
        f"{lock}: a PIN could not be removed",
        REVOKE_HELP,
    )
