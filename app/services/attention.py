"""What needs a hand today, in the order of the arrival it endangers (design/UI.md §4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.room_status import STICKY, Housekeeping
from app.domain.states import NEEDS_PIN, PinState
from app.domain.states import ReservationStatus as Status
from app.models import Accommodation, Alert, Property, Reservation
from app.services.pin_views import PinView
from app.services.room_conflicts import Alternative, alternatives

#: how the subject of an alert about a stay begins
STAY_SUBJECT = "reservation:"
#: ... and of one about a lock, as `lock_health` writes it
LOCK_SUBJECT = "lock:"


class Kind(StrEnum):
    """Why somebody should look; the page has a sentence for each."""

    ROOM_CONFLICT = "room_conflict"
    ROOM_CLOSED = "room_closed"
    DOUBLE_BOOKED = "double_booked"
    PIN_FAILED = "pin_failed"
    NOT_REMOVED = "not_removed"
    NO_ROOM = "no_room"
    NO_LOCK = "no_lock"
    LOCK_SLEEPS = "lock_sleeps"
    PIN_LATE = "pin_late"
    ROOM_DIRTY = "room_dirty"
    LATE_CHECK_OUT = "late_check_out"
    LATE_CHECK_IN = "late_check_in"
    ALERT = "alert"


#: kinds that put a guest in front of a closed door
GRAVE = frozenset(
    {
        Kind.ROOM_CONFLICT,
        Kind.ROOM_CLOSED,
        Kind.DOUBLE_BOOKED,
        Kind.PIN_FAILED,
        Kind.NOT_REMOVED,
    }
)
#: kinds that wait until those that endanger an arrival are seen to
LATER = frozenset({Kind.LATE_CHECK_OUT, Kind.LATE_CHECK_IN, Kind.NOT_REMOVED})


@dataclass(frozen=True, slots=True)
class Stay:
    """A stay with its house, room and PIN, as seen at `now`."""

    reservation: Reservation
    house: Property
    accommodation: Accommodation | None
    pin: PinView
    now: datetime
    today: date  # at the house
    has_desk: bool = True  # guests are checked in here: one who is not may be late

    @property
    def guest(self) -> str:
        return self.reservation.guest_name or ""

    @property
    def room_name(self) -> str:
        room = self.accommodation
        return f"{room.number or ''} {room.name}".strip() if room is not None else ""

    @property
    def is_late_out(self) -> bool:
        """Checked in, and past the hour of leaving."""
        r = self.reservation
        return r.status == Status.CHECKED_IN and r.check_out_at < self.now

    @property
    def is_expected(self) -> bool:
        """Due today or before, and not here yet."""
        r = self.reservation
        arriving = r.status in (Status.CONFIRMED, Status.PENDING_SYNC)
        return arriving and r.check_in_on <= self.today and r.check_out_at > self.now

    @property
    def is_late_in(self) -> bool:
        """Expected before today and still not here (P2-ROOM)."""
        return self.is_expected and self.has_desk and self.reservation.check_in_on < self.today

    @property
    def is_dirty(self) -> bool:
        """Somebody arrives into a room that has to be cleaned (C-35)."""
        room = self.accommodation
        return self.is_expected and room is not None and room.housekeeping == Housekeeping.DIRTY

    @property
    def is_in_closed_room(self) -> bool:
        """A guest is in a room that is closed, or is to be let into it today."""
        room = self.accommodation
        concerns = self.is_expected or self.reservation.status == Status.CHECKED_IN
        return concerns and room is not None and room.status in STICKY

    @property
    def has_left(self) -> bool:
        """Checked out; a stay nobody checked in is over when its hour is."""
        r = self.reservation
        return r.status == Status.CHECKED_OUT or (
            r.status != Status.CHECKED_IN and r.check_out_at <= self.now
        )

    def day(self, days: Mapping[date, Sequence[UUID]]) -> date | None:
        """The day looked at in this stay's house."""
        house_id = self.reservation.property_id
        return next((day for day, ids in days.items() if house_id in ids), None)

    def arrives_on(self, days: Mapping[date, Sequence[UUID]]) -> bool:
        return self.reservation.check_in_on == self.day(days)

    def leaves_on(self, days: Mapping[date, Sequence[UUID]]) -> bool:
        """Leaves that day, or should have left before it and is still there."""
        day = self.day(days)
        r = self.reservation
        late = self.is_late_out and day is not None and r.check_out_on < day
        return r.check_out_on == day or late

    def sleeps_on(self, days: Mapping[date, Sequence[UUID]]) -> bool:
        """Whether the night that begins on the day belongs to this stay."""
        day = self.day(days)
        r = self.reservation
        present = r.status not in (Status.CHECKED_OUT, Status.NO_SHOW)
        return present and day is not None and r.check_in_on <= day < r.check_out_on

    def stays_through(self, days: Mapping[date, Sequence[UUID]]) -> bool:
        """Came before the day and leaves after it."""
        day = self.day(days)
        return self.sleeps_on(days) and self.reservation.check_in_on != day


@dataclass(frozen=True, slots=True)
class Attention:
    """One thing to look at; `next_try` is when we do something about it ourselves."""

    kind: Kind
    stay: Stay
    next_try: datetime | None = None
    title: str = ""  # an alert's own words
    text: str = ""
    rival: Stay | None = None  # who else has the room
    options: Sequence[Alternative] = ()  # where the stay could go instead

    @property
    def is_grave(self) -> bool:
        return self.kind in GRAVE


def attention(
    session: Session, stays: Sequence[Stay], rivals: Mapping[UUID, UUID], now: datetime
) -> list[Attention]:
    """At most one line per stay, the next guest first; somebody already here comes before all.

    `rivals` are stays that share a night of their room with one that has the better right to it.
    """
    alerts = _alerts(session, stays, now)
    by_id = {stay.reservation.id: stay for stay in stays}
    misplaced = [id_ for id_, stay in by_id.items() if id_ in rivals or stay.is_in_closed_room]
    options = alternatives(session, misplaced, now)
    found: list[Attention] = []
    for id_, stay in by_id.items():
        kind = Kind.ROOM_CONFLICT if id_ in rivals else _kind(stay, now)
        alert = alerts.get(id_)
        if kind is not None:
            rival = by_id.get(rivals[id_]) if id_ in rivals else None
            found.append(
                Attention(
                    kind,
                    stay,
                    _next_try(stay.pin, now),
                    rival=rival,
                    options=options.get(id_, ()),
                )
            )
        elif alert is not None:
            found.append(Attention(Kind.ALERT, stay, None, alert.title, alert.what_to_do))
    return sorted(found, key=lambda item: (_endangered(item), not item.is_grave, item.stay.guest))


def _kind(stay: Stay, now: datetime) -> Kind | None:
    """The gravest thing about a stay, or None."""
    pin, reservation = stay.pin, stay.reservation
    if pin.revoke_failed:
        return Kind.NOT_REMOVED
    if stay.is_in_closed_room:
        return Kind.ROOM_CLOSED
    if reservation.status in NEEDS_PIN and reservation.check_out_at > now:
        if pin.state == PinState.FAILED:
            return Kind.DOUBLE_BOOKED if pin.error_kind == "double_booked" else Kind.PIN_FAILED
        if pin.state == PinState.NO_MAPPING:
            return Kind.NO_LOCK if reservation.accommodation_id else Kind.NO_ROOM
        moving = pin.state in (PinState.AWAITING, PinState.GENERATING, PinState.DELIVERING)
        if moving and pin.sleeping:
            return Kind.LOCK_SLEEPS
        if moving and reservation.check_in_at <= now:
            return Kind.PIN_LATE
    if stay.is_late_out:
        return Kind.LATE_CHECK_OUT
    if stay.is_late_in:
        return Kind.LATE_CHECK_IN
    return Kind.ROOM_DIRTY if stay.is_dirty else None


def _endangered(item: Attention) -> tuple[int, datetime]:
    """When it hurts: a guest at the door first, a late departure after the arrivals."""
    reservation = item.stay.reservation
    if item.kind in LATER:
        return (1, reservation.check_out_at)
    return (0, reservation.check_in_at)


def _next_try(pin: PinView, now: datetime) -> datetime | None:
    at = pin.next_attempt_at
    return at if at is not None and at > now else None


def _alerts(session: Session, stays: Sequence[Stay], now: datetime) -> dict[UUID, Alert]:
    """Open alerts about these stays, and about the lock the next guest of a room needs; the
    gravest of each stay is kept."""
    subjects = {f"{STAY_SUBJECT}{stay.reservation.id}": stay.reservation.id for stay in stays}
    for stay in sorted(stays, key=lambda each: each.reservation.check_in_at, reverse=True):
        wanted = stay.reservation.status in NEEDS_PIN and stay.reservation.check_out_at > now
        if wanted and stay.pin.lock_id is not None:
            subjects[f"{LOCK_SUBJECT}{stay.pin.lock_id}"] = stay.reservation.id
    found = session.scalars(
        select(Alert)
        .where(Alert.status != "resolved", Alert.subject.in_(subjects))
        .order_by(Alert.severity == "critical", Alert.opened_at.desc())
    )
    return {subjects[alert.subject]: alert for alert in found}  # the last one of a stay is kept
