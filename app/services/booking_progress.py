"""How a stay stands at its channel: what is on its way there, and the unit that is kept for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from app.domain.states import EventStatus
from app.models import AuditEntry, ChannelEvent, InventoryHold, Reservation, User
from app.models.columns import among
from app.services import holds, outbound
from app.services.event_lists import HEAVY
from app.services.event_rows import OUTBOUND
from app.services.outbound_places import CHANNEL
from app.transaction import transaction

UNFINISHED = (EventStatus.RECEIVED, EventStatus.PROCESSING, EventStatus.RETRYING)
#: messages looked at; what is open is among the latest
LATEST = 12


@dataclass(frozen=True, slots=True)
class Progress:
    """`orders` are the messages that are not delivered, and the last that was; newest first.

    `hold` is the stay's latest, active or ended. `units` are the rows of its booking.
    """

    orders: Sequence[ChannelEvent] = ()
    hold: InventoryHold | None = None
    units: int = 1

    @property
    def is_moving(self) -> bool:
        """Whether something goes out by itself."""
        return any(order.status in UNFINISHED for order in self.orders)

    @property
    def failed(self) -> ChannelEvent | None:
        """The latest message that was given up."""
        given_up = (each for each in self.orders if each.status == EventStatus.FAILED)
        return next(given_up, None)

    @property
    def is_open(self) -> bool:
        """Whether somebody may have to look at it."""
        return self.is_moving or self.is_kept or self.failed is not None

    @property
    def is_kept(self) -> bool:
        """Whether a unit is held for the stay right now."""
        return self.hold is not None and self.hold.status == holds.ACTIVE


def of(stay: Reservation) -> Progress:
    """Read for the stay's page, in at most five statements; nothing for another channel's stay."""
    if stay.channel not in (None, CHANNEL):
        return Progress()
    with transaction() as session:
        rows = outbound.units_of(session, stay.id) or [stay]
        orders = session.scalars(
            select(ChannelEvent)
            .where(
                ChannelEvent.entity_type == "booking",
                among(ChannelEvent.entity_internal_id, {row.id for row in rows}),
                ChannelEvent.direction == OUTBOUND,
            )
            .options(*HEAVY)
            .order_by(ChannelEvent.received_at.desc(), ChannelEvent.id.desc())
            .limit(LATEST)
        ).all()
        return Progress(_told(orders), _hold(session, stay.id), len(rows))


@dataclass(frozen=True, slots=True)
class Change:
    """Who changed what of a stay, and when; `fields` are columns."""

    who: str
    at: datetime
    fields: tuple[str, ...]


def last_change(reservation_id: UUID) -> Change | None:
    """The latest entry about the stay that changed something of it."""
    with transaction() as session:
        row = session.execute(
            select(AuditEntry, User)
            .outerjoin(User, User.id == AuditEntry.actor_id)
            .where(
                AuditEntry.entity == "reservation",
                AuditEntry.entity_id == str(reservation_id),
                AuditEntry.after.is_not(None),
                AuditEntry.action != "create",
            )
            .order_by(AuditEntry.at.desc(), AuditEntry.id.desc())
            .limit(1)
        ).first()
    if row is None:
        return None
    entry, user = row
    who = user.display_name if user is not None else entry.actor
    return Change(who, entry.at, tuple(entry.after or ()))


def latest(session: Session, reservation_ids: Sequence[UUID]) -> dict[UUID, ChannelEvent]:
    """By stay, the message that makes its booking at the channel; one statement."""
    rows = session.scalars(
        select(ChannelEvent)
        .ext(distinct_on(ChannelEvent.entity_internal_id))
        .where(
            ChannelEvent.entity_type == "booking",
            among(ChannelEvent.entity_internal_id, reservation_ids),
            ChannelEvent.direction == OUTBOUND,
        )
        .options(*HEAVY)
        .order_by(
            ChannelEvent.entity_internal_id,
            (ChannelEvent.event_type == outbound.CREATE).desc(),
            ChannelEvent.received_at.desc(),
        )
    )
    return {row.entity_internal_id: row for row in rows if row.entity_internal_id is not None}


def _told(orders: Sequence[ChannelEvent]) -> list[ChannelEvent]:
    """What is open or was given up, and the last that arrived."""
    done = next((each for each in orders if each.status == EventStatus.DONE), None)
    return [
        each for each in orders if each.status in (*UNFINISHED, EventStatus.FAILED) or each is done
    ]


def _hold(session: Session, reservation_id: UUID) -> InventoryHold | None:
    return session.scalar(
        select(InventoryHold)
        .where(InventoryHold.reservation_id == reservation_id)
        .order_by(InventoryHold.created_at.desc(), InventoryHold.id.desc())
        .limit(1)
    )
