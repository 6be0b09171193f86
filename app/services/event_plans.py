"""What a repair of many would touch, said before it is done (UI.md §10, DLQ-16)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import CompoundSelect, and_, case, exists, func, select, union
from sqlalchemy.orm import Session

from app import clock
from app.domain.states import CredentialState, PinJobStatus
from app.models import ChannelEvent, Credential, PinJob, Property, Reservation, VendorState
from app.models.columns import among
from app.services import event_desk, event_views
from app.services.event_desk import RETRY, Deed
from app.services.event_filters import EventFilter
from app.services.outbound_places import CHANNEL as OWED
from app.transaction import transaction

#: guests named in a plan
NAMED = 2
#: our own source is the channel we write to
PARTNER = {"pms": OWED}


@dataclass(frozen=True, slots=True)
class Chosen:
    """Events and PIN orders that are meant: those ticked, or all that the filters find."""

    ids: Sequence[UUID] = ()
    orders: Sequence[UUID] = ()


class Hit(NamedTuple):
    """A stay that a plan touches, with its house."""

    stay: Reservation
    house: Property


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done: to which events and PIN orders, and whom it reaches."""

    ids: tuple[UUID, ...]
    orders: tuple[UUID, ...]
    left_out: tuple[tuple[str, int], ...]  # a state and how many; "" are those that are gone
    orders_left_out: int
    hit: tuple[Hit, ...]  # whose guests are here or come next
    guests: int  # stays that are not over
    pins: int  # stays with a PIN that is, or may be, on a lock
    down: tuple[str, ...]  # channels that do not answer at present

    @property
    def total(self) -> int:
        return len(self.ids) + len(self.orders)

    @property
    def digest(self) -> str:
        """Names this very plan: another one is not carried out in its place."""
        joined = "\n".join(sorted(str(id_) for id_ in (*self.ids, *self.orders)))
        return hashlib.sha256(joined.encode()).hexdigest()[:16]


def matching(filters: EventFilter, deed: Deed) -> Chosen:
    """What "all that match" means, PIN orders among it where the list shows them."""
    groups = event_views.pin_orders(filters) if deed is RETRY else []
    orders = [each.order.id for group in groups for each in group.members]
    return Chosen(event_desk.matching(filters, deed), orders)


def plan(chosen: Chosen, deed: Deed) -> Plan:
    """Look at what is meant, in six statements at most. PIN orders can only be retried: they go on
    by themselves, and one that is given up would keep a guest out."""
    unique = list(dict.fromkeys(chosen.ids))
    wanted = list(dict.fromkeys(chosen.orders))
    with transaction() as session:
        found = {
            row.id: row
            for row in session.execute(
                select(ChannelEvent.id, ChannelEvent.status, ChannelEvent.source).where(
                    among(ChannelEvent.id, unique)
                )
            )
        }
        touched = [id_ for id_ in unique if id_ in found and found[id_].status in deed.allowed]
        orders = _failed_orders(session, wanted) if deed is RETRY and wanted else []
        meant = set(touched)
        left = Counter(
            found[id_].status if id_ in found else "" for id_ in unique if id_ not in meant
        )
        stays = _stays(touched, orders)
        guests, pins = _reach(session, stays) if touched or orders else (0, 0)
        hit = _soonest(session, stays) if guests else ()
        sources = {found[id_].source for id_ in touched}
        down = _down(session, {PARTNER.get(source, source) for source in sources})
    return Plan(
        tuple(touched),
        tuple(orders),
        tuple(left.items()),
        len(wanted) - len(orders),
        hit,
        guests,
        pins,
        down,
    )


def _failed_orders(session: Session, wanted: Sequence[UUID]) -> list[UUID]:
    there = set(
        session.scalars(
            select(PinJob.id).where(among(PinJob.id, wanted), PinJob.status == PinJobStatus.FAILED)
        )
    )
    return [id_ for id_ in wanted if id_ in there]


def _stays(ids: Collection[UUID], orders: Collection[UUID]) -> CompoundSelect[Any]:
    """The stays that these are about, each once."""
    known = select(ChannelEvent.entity_internal_id.label("id")).where(
        among(ChannelEvent.id, ids), ChannelEvent.entity_internal_id.is_not(None)
    )
    named = (
        select(Reservation.id)
        .join(
            ChannelEvent,
            and_(
                ChannelEvent.source == Reservation.channel,
                ChannelEvent.entity_external_id == Reservation.external_id,
            ),
        )
        .where(
            among(ChannelEvent.id, ids),
            ChannelEvent.entity_internal_id.is_(None),
            Reservation.unit_no == 1,
        )
    )
    owed = select(PinJob.reservation_id).where(
        among(PinJob.id, orders), PinJob.reservation_id.is_not(None)
    )
    return union(known, named, owed)


def _reach(session: Session, stays: CompoundSelect[Any]) -> tuple[int, int]:
    has_pin = exists().where(
        Credential.reservation_id == Reservation.id,
        Credential.state != CredentialState.REVOKED,
    )
    row = session.execute(
        select(
            func.count(case((_ahead(), 1))).label("guests"),
            func.count(case((has_pin, 1))).label("pins"),
        ).where(Reservation.id.in_(stays))
    ).one()
    return row.guests, row.pins


def _soonest(session: Session, stays: CompoundSelect[Any]) -> tuple[Hit, ...]:
    found = session.execute(
        select(Reservation, Property)
        .join(Property, Property.id == Reservation.property_id)
        .where(Reservation.id.in_(stays), _ahead())
        .order_by(Reservation.check_in_at, Reservation.id)
        .limit(NAMED)
    )
    return tuple(Hit(*row) for row in found)


def _ahead() -> Any:
    """Stays that are not over: somebody is here or comes."""
    return and_(Reservation.check_out_at > clock.utcnow(), Reservation.status != "cancelled")


def _down(session: Session, channels: Collection[str]) -> tuple[str, ...]:
    if not channels:
        return ()
    found = session.scalars(
        select(VendorState.vendor)
        .where(VendorState.vendor.in_(channels), VendorState.failing_since.is_not(None))
        .order_by(VendorState.vendor)
    )
    return tuple(found)
