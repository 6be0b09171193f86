"""The list of holds as its page shows it: until when, for whom, and how far the channel is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import clock
from app.models import ChannelEvent, InventoryHold, Property, Reservation, RoomType
from app.models.columns import among
from app.models.holds import HOLD_STATUSES
from app.services import booking_progress, hold_desk, holds
from app.services.hold_desk import HoldRow
from app.services.paging import Page
from app.transaction import transaction

#: minutes one press adds
STEP = 10
#: a hold that ends sooner than this wants a look
SOON = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Kept:
    """A hold with its property and the message that its channel is owed, if there is one."""

    row: HoldRow
    house: Property
    order: ChannelEvent | None

    @property
    def hold(self) -> InventoryHold:
        return self.row.hold

    @property
    def stay(self) -> Reservation:
        return self.row.reservation

    @property
    def room_type(self) -> RoomType | None:
        return self.row.room_type

    @property
    def last_until(self) -> datetime:
        """The latest moment it may be extended to (C-28)."""
        return holds.end_of_patience(self.hold)

    @property
    def to_add(self) -> int:
        """Minutes one press adds: 0 when the cap is reached or the hold has ended."""
        if not self.row.is_active:
            return 0
        left = (self.last_until - self.hold.hold_expires_at) // timedelta(minutes=1)
        return max(0, min(STEP, left))

    @property
    def is_ending(self) -> bool:
        return self.row.is_active and self.hold.hold_expires_at - clock.utcnow() < SOON


@dataclass(frozen=True, slots=True)
class Holds:
    """One page of holds in one state, and how many there are in each."""

    page: Page[Kept]
    counts: Mapping[str, int]

    @property
    def version(self) -> str:
        """What changes when the page would."""
        seen = [
            (
                str(each.hold.id),
                each.hold.updated_at,
                each.stay.updated_at,
                each.order.updated_at if each.order else None,
                each.to_add,
                each.is_ending,
            )
            for each in self.page.items
        ]
        text = repr((seen, sorted(self.counts.items()), self.page.total))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def search(args: Mapping[str, str], property_id: UUID | None, status: str) -> Holds:
    """One page: active ones by their end, ended ones newest first. Raises Invalid."""
    wanted = {name: args[name] for name in ("page", "limit", "q") if args.get(name)}
    wanted["status"] = status
    if status == holds.ACTIVE:
        wanted["sort"] = "hold_expires_at"
    if property_id is not None:
        wanted["property_id"] = str(property_id)
    with transaction() as session:
        found = hold_desk.search(wanted)
        kept = _kept(session, found.items)
        counts = _counts(session, property_id)
    return Holds(Page(kept, found.page, found.limit, found.total), counts)


def get(hold_id: UUID) -> Kept:
    """One hold. Raises NotFound."""
    with transaction() as session:
        return _kept(session, [hold_desk.get(hold_id)])[0]


def _kept(session: Session, rows: Sequence[HoldRow]) -> list[Kept]:
    if not rows:
        return []
    orders = booking_progress.latest(session, [row.reservation.id for row in rows])
    ids = {row.reservation.property_id for row in rows}
    houses = {
        house.id: house
        for house in session.scalars(select(Property).where(among(Property.id, ids)))
    }
    return [
        Kept(row, houses[row.reservation.property_id], orders.get(row.reservation.id))
        for row in rows
    ]


def _counts(session: Session, property_id: UUID | None) -> dict[str, int]:
    statement = select(InventoryHold.status, func.count()).group_by(InventoryHold.status)
    if property_id is not None:
        statement = statement.join(
            Reservation, Reservation.id == InventoryHold.reservation_id
        ).where(Reservation.property_id == property_id)
    found: dict[str, int] = {row[0]: row[1] for row in session.execute(statement)}
    return {status: found.get(status, 0) for status in HOLD_STATUSES}
