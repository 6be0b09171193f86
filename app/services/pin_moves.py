"""What a change of the house does to PINs, found by doing it and looking: the forecast is the deed.

    before = pin_moves.look(session, rooms)
    ...                                       # change rows and plan again
    found = pin_moves.compare(session, before)

A forecast is the same work, rolled back; alarms and jobs wait for the commit and never start.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import clock
from app.domain.states import OPEN_JOBS, WANTED, PinJobKind
from app.errors import Conflict, FieldError
from app.models import Accommodation, Credential, PinJob, Reservation
from app.models.columns import among
from app.services.pin_doors import MEMORY as _MEMORY
from app.transaction import in_transaction, transaction


@dataclass(frozen=True, slots=True)
class GuestMove:
    """A guest whose PIN, on a lock already, gets other hours or is taken off."""

    reservation_id: UUID
    guest: str
    room: str
    check_in_on: date
    check_out_on: date
    removed: bool

    @property
    def sentence(self) -> str:
        what = "loses the PIN" if self.removed else "gets other hours for the PIN"
        return f"{self.guest}, {self.room}, {self.check_in_on} to {self.check_out_on}, {what}"


@dataclass(frozen=True, slots=True)
class Consequences:
    """How many stays change their times or windows, and whose PINs move because of it."""

    stays: int = 0
    planned_moved: int = 0
    live_moved: int = 0
    live_removed: int = 0
    guests: tuple[GuestMove, ...] = ()

    @property
    def touches_live_pins(self) -> bool:
        return bool(self.guests)

    def refusal(self) -> Conflict:
        """The question to the person: the guests are in `errors`, never in the message (SEC-08)."""
        return Conflict(
            f"this change moves {self.live_moved} and removes {self.live_removed} PINs that are on "
            f"locks, and moves {self.planned_moved} planned ones; send confirm to go on",
            [FieldError(None, guest.sentence) for guest in self.guests],
        )


@dataclass(frozen=True, slots=True)
class _Live:
    """A PIN with its digits drawn; `sent` says that its vendor has it, or may have."""

    reservation_id: UUID
    valid_from: datetime
    expires_at: datetime
    wanted: bool
    sent: bool

    def differs(self, other: _Live, now: datetime) -> bool:
        """Whether the lock has to be told; a start that is over moves nothing."""
        both_open = self.valid_from <= now and other.valid_from <= now
        same_start = both_open or self.valid_from == other.valid_from
        return not (same_start and self.expires_at == other.expires_at)


@dataclass(slots=True)
class Look:
    """PINs and planned ones of some rooms at one moment."""

    rooms: tuple[UUID, ...]
    live: dict[UUID, _Live] = field(default_factory=dict)
    planned: dict[UUID, tuple[datetime, ...]] = field(default_factory=dict)
    times: dict[UUID, tuple[datetime, ...]] = field(default_factory=dict)


def look(session: Session, rooms: Collection[UUID]) -> Look:
    """What is on locks and planned for the stays in these rooms, before a change."""
    found = Look(tuple(rooms))
    stays = list(
        session.scalars(
            select(Reservation.id).where(
                among(Reservation.accommodation_id, rooms),
                Reservation.check_out_at > clock.utcnow() - _MEMORY,
            )
        )
    )
    _read(session, found, stays)
    return found


def compare(session: Session, before: Look) -> Consequences:
    """What the change since `before` did. Call after the plan, in the same transaction."""
    now = clock.utcnow()
    session.flush()
    after = Look(before.rooms)
    _read(session, after, list(before.times))
    moved: dict[UUID, bool] = {}  # reservation -> whether its PIN is removed
    for key, old in before.live.items():
        new = after.live.get(key)
        if not old.wanted or old.expires_at <= now:
            continue
        if new is None or not new.wanted:
            moved[old.reservation_id] = True
        elif old.sent and old.differs(new, now):
            moved.setdefault(old.reservation_id, False)
    replanned = {
        stay
        for stay, old in before.planned.items()
        if stay not in moved and after.planned.get(stay, old) != old
    }
    retimed = {stay for stay, old in before.times.items() if after.times.get(stay, old) != old}
    removed = sum(moved.values())
    return Consequences(
        stays=len(retimed | replanned | moved.keys()),
        planned_moved=len(replanned),
        live_moved=len(moved) - removed,
        live_removed=removed,
        guests=_guests(session, moved),
    )


class _Undone(Exception):
    """Carries a forecast out of the transaction that must not stay."""

    def __init__(self, found: Consequences) -> None:
        super().__init__()
        self.found = found


def foresee(work: Callable[[Session], Consequences]) -> Consequences:
    """Do the work, keep what it found, and undo it."""
    if in_transaction():
        raise RuntimeError("a forecast needs a transaction of its own, to roll back")
    try:
        with transaction() as session:
            raise _Undone(work(session))
    except _Undone as undone:
        return undone.found


def _read(session: Session, into: Look, stays: list[UUID]) -> None:
    for pin in session.execute(
        select(
            Credential.id,
            Credential.reservation_id,
            Credential.valid_from,
            Credential.expires_at,
            Credential.state,
            (Credential.sent_at.is_not(None) | Credential.vendor_ref.is_not(None)).label("sent"),
        ).where(among(Credential.reservation_id, stays))
    ):
        into.live[pin.id] = _Live(
            pin.reservation_id, pin.valid_from, pin.expires_at, pin.state in WANTED, pin.sent
        )
    for order in session.execute(
        select(PinJob.reservation_id, PinJob.run_at, PinJob.valid_from, PinJob.expires_at).where(
            among(PinJob.reservation_id, stays),
            PinJob.kind == PinJobKind.GENERATE,
            PinJob.status.in_(OPEN_JOBS),
        )
    ):
        into.planned[order.reservation_id] = (order.run_at, order.valid_from, order.expires_at)
    for stay in session.execute(
        select(Reservation.id, Reservation.check_in_at, Reservation.check_out_at).where(
            among(Reservation.id, stays)
        )
    ):
        into.times[stay.id] = (stay.check_in_at, stay.check_out_at)


def _guests(session: Session, moved: dict[UUID, bool]) -> tuple[GuestMove, ...]:
    if not moved:
        return ()
    rows = session.execute(
        select(
            Reservation.id,
            Reservation.guest_name,
            Accommodation.name,
            Reservation.check_in_on,
            Reservation.check_out_on,
        )
        .join(Accommodation, Accommodation.id == Reservation.accommodation_id)
        .where(among(Reservation.id, moved))
        .order_by(Reservation.check_in_at, Reservation.id)
    )
    return tuple(
        GuestMove(id_, guest or "a guest", room, arrives, leaves, moved[id_])
        for id_, guest, room, arrives, leaves in rows
    )
