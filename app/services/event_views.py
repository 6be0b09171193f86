"""What failed, by cause; and one event with everything that was tried."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, select
from sqlalchemy.orm import aliased, undefer

from app import clock
from app.domain.event_causes import Cause, Group, cause_of, grouped
from app.domain.folding import fold
from app.domain.states import EventStatus, PinJobStatus
from app.errors import NotFound
from app.models import (
    Accommodation,
    AuditEntry,
    ChannelEvent,
    ChannelEventAttempt,
    PinJob,
    Property,
    Reservation,
    VendorState,
)
from app.services import event_lists
from app.services.event_lists import HEAVY, MOST_OF_A_CAUSE, EventFilter, EventRow
from app.transaction import transaction

#: failures that are put into groups at most; the page says so
WINDOW = 1000
#: rows shown under each cause, and causes shown at all
SHOWN = 3
CAUSES = 20
#: guests named under a cause
HIT = 2
DAY_HOURS = 24
PIN_ORDERS = "pin"


@dataclass(frozen=True, slots=True)
class Failures:
    """One cause: how many, since when, and the few that are shown."""

    cause: Cause
    ids: tuple[UUID, ...]
    first_at: datetime
    last_at: datetime
    shown: tuple[EventRow, ...]
    hit: tuple[EventRow, ...]  # those whose guests come soonest
    hours: tuple[int, ...]  # how many came in each of the last 24 hours, the oldest first


@dataclass(frozen=True, slots=True)
class PinOrder:
    """A PIN order that ran out of tries, with whom it keeps out (or lets in for too long)."""

    order: PinJob
    stay: Reservation | None
    room: Accommodation | None
    house: Property | None


@dataclass(frozen=True, slots=True)
class Detail:
    """An event, its tries, who did something about it, and how many failed alike."""

    row: EventRow
    attempts: tuple[ChannelEventAttempt, ...]
    deeds: tuple[AuditEntry, ...]
    alike: int


def by_cause(filters: EventFilter) -> tuple[list[Failures], int]:
    """The latest failures by cause, the largest first, and how many causes are not shown.

    Four statements, however many failed; only what is shown is read in full.
    """
    failed = replace(filters, status=(EventStatus.FAILED,), page=1)
    named, known = aliased(Reservation), aliased(Reservation)
    stay = {
        name: func.coalesce(getattr(known, name), getattr(named, name)).label(name)
        for name in ("check_in_at", "check_out_at", "status")
    }
    with transaction() as session:
        found = session.execute(
            select(
                ChannelEvent.id,
                ChannelEvent.source,
                ChannelEvent.last_error_kind,
                ChannelEvent.last_error,
                ChannelEvent.received_at,
                func.coalesce(known.id, named.id).label("stay_id"),
                *stay.values(),
            )
            .outerjoin(known, known.id == ChannelEvent.entity_internal_id)
            .outerjoin(
                named,
                and_(
                    named.channel == ChannelEvent.source,
                    named.external_id == ChannelEvent.entity_external_id,
                    named.unit_no == 1,
                ),
            )
            .where(*event_lists.conditions(failed))
            .order_by(ChannelEvent.received_at.desc(), ChannelEvent.id.desc())
            .limit(WINDOW)
        ).all()
        groups = grouped(
            (cause_of(row.source, row.last_error_kind, row.last_error), row) for row in found
        )
        shown = [(group, _soonest(group.members)) for group in groups[:CAUSES]]
        wanted = {row.id for group, hit in shown for row in (*group.members[:SHOWN], *hit)}
        events = session.scalars(
            select(ChannelEvent).where(ChannelEvent.id.in_(wanted)).options(*HEAVY)
        ).all()
        rows = {row.event.id: row for row in event_lists.rows(session, events)}
    return [_failures(group, hit, rows) for group, hit in shown], len(groups) - len(shown)


def pin_orders(filters: EventFilter) -> list[Group[PinOrder]]:
    """PIN orders among the failures, by cause; empty where the filters speak of events only."""
    if filters.status and EventStatus.FAILED not in filters.status:
        return []
    if filters.type or filters.direction == "inbound" or filters.cause:
        return []
    wanted = (
        select(PinJob, Reservation, Accommodation, Property)
        .outerjoin(Reservation, Reservation.id == PinJob.reservation_id)
        .outerjoin(Accommodation, Accommodation.id == Reservation.accommodation_id)
        .outerjoin(Property, Property.id == Reservation.property_id)
        .where(PinJob.status == PinJobStatus.FAILED)
        .order_by(Reservation.check_in_at, PinJob.id)
        .limit(WINDOW)
    )
    if filters.property_id:
        wanted = wanted.where(Reservation.property_id == filters.property_id)
    if filters.from_:
        wanted = wanted.where(PinJob.updated_at >= filters.from_)
    if filters.to:
        wanted = wanted.where(PinJob.updated_at < filters.to)
    with transaction() as session:
        found = [PinOrder(*row) for row in session.execute(wanted)]
    return grouped(
        (cause_of(PIN_ORDERS, each.order.last_error_kind, None), each)
        for each in found
        if filters.q is None or _names(each, filters.q)
    )


def detail(event_id: UUID) -> Detail:
    """One event with its payload. Raises NotFound. Six statements."""
    with transaction() as session:
        event = session.get(ChannelEvent, event_id, options=[undefer("*")])
        if event is None:
            raise NotFound("no such event")
        (row,) = event_lists.rows(session, [event])
        attempts = session.scalars(
            select(ChannelEventAttempt)
            .where(ChannelEventAttempt.event_id == event_id)
            .order_by(ChannelEventAttempt.number.desc(), ChannelEventAttempt.started_at.desc())
        ).all()
        deeds = session.scalars(
            select(AuditEntry)
            .where(AuditEntry.entity == "event", AuditEntry.entity_id == str(event_id))
            .order_by(AuditEntry.at.desc())
            .limit(20)
        ).all()
        alike = 0
        if event.status == EventStatus.FAILED and event.last_error_kind:
            others = session.scalars(
                select(ChannelEvent.last_error)
                .where(
                    ChannelEvent.status == EventStatus.FAILED,
                    ChannelEvent.source == event.source,
                    ChannelEvent.last_error_kind == event.last_error_kind,
                    ChannelEvent.id != event_id,
                )
                .limit(MOST_OF_A_CAUSE)
            )
            mine, kind = _cause(event), event.last_error_kind
            alike = sum(cause_of(event.source, kind, error) == mine for error in others)
    return Detail(row, tuple(attempts), tuple(deeds), alike)


def hit_soonest(rows: Sequence[EventRow]) -> tuple[EventRow, ...]:
    """Whose guests are here or come next, each stay once."""
    now = clock.utcnow()
    stays = {
        row.stay.id: row
        for row in rows
        if row.stay is not None and row.stay.check_out_at > now and row.stay.status != "cancelled"
    }
    ordered = sorted(stays.values(), key=_arrival)
    return tuple(ordered[:HIT])


def _arrival(row: EventRow) -> datetime:
    assert row.stay is not None
    return row.stay.check_in_at


def _cause(event: ChannelEvent) -> Cause:
    return cause_of(event.source, event.last_error_kind, event.last_error)


def _soonest(members: Sequence[Any]) -> list[Any]:
    """As `hit_soonest`, of rows that are not read in full."""
    now = clock.utcnow()
    stays = {
        row.stay_id: row
        for row in members
        if row.stay_id is not None and row.check_out_at > now and row.status != "cancelled"
    }
    return sorted(stays.values(), key=lambda row: row.check_in_at)[:HIT]


def _failures(group: Group[Any], hit: Sequence[Any], rows: Mapping[UUID, EventRow]) -> Failures:
    moments = [row.received_at for row in group.members]
    return Failures(
        group.cause,
        tuple(row.id for row in group.members),
        min(moments),
        max(moments),
        tuple(rows[row.id] for row in group.members[:SHOWN]),
        tuple(rows[row.id] for row in hit),
        _hours(moments),
    )


def _hours(moments: Sequence[datetime]) -> tuple[int, ...]:
    now = clock.utcnow()
    counts = Counter(int((now - at).total_seconds() // 3600) for at in moments)
    return tuple(counts[hour] for hour in reversed(range(DAY_HOURS)))


def _names(each: PinOrder, q: str) -> bool:
    said = [str(each.order.id)]
    if each.stay is not None:
        said += [
            each.stay.guest_name or "",
            each.stay.external_id or "",
            each.stay.external_code or "",
        ]
    if each.room is not None:
        said += [each.room.name, each.room.number or ""]
    return fold(q) in fold(" ".join(said))


@dataclass(frozen=True, slots=True)
class Plan:
    """What a batch would do, before it is done: whom it touches and whom it leaves out."""

    ids: tuple[UUID, ...]
    left_out: tuple[tuple[str, int], ...]  # a state and how many; "" are those that are gone
    hit: tuple[EventRow, ...]
    down: tuple[str, ...]  # sources that do not answer at present

    @property
    def digest(self) -> str:
        """Names this very plan: another one is not carried out in its place."""
        joined = "\n".join(sorted(str(id_) for id_ in self.ids))
        return hashlib.sha256(joined.encode()).hexdigest()[:16]


def plan(ids: Sequence[UUID], allowed: Sequence[str]) -> Plan:
    """Look at the events that are meant, in five statements at most."""
    unique = list(dict.fromkeys(ids))
    with transaction() as session:
        found = {
            row.id: row
            for row in session.execute(
                select(ChannelEvent.id, ChannelEvent.status, ChannelEvent.source).where(
                    ChannelEvent.id.in_(unique)
                )
            )
        }
        touched = [id_ for id_ in unique if id_ in found and found[id_].status in allowed]
        chosen = set(touched)
        left = Counter(
            found[id_].status if id_ in found else "" for id_ in unique if id_ not in chosen
        )
        events = session.scalars(
            select(ChannelEvent).where(ChannelEvent.id.in_(touched[:WINDOW])).options(*HEAVY)
        ).all()
        rows = event_lists.rows(session, events)
        down = session.scalars(
            select(VendorState.vendor)
            .where(
                VendorState.vendor.in_({found[id_].source for id_ in touched}),
                VendorState.failing_since.is_not(None),
            )
            .order_by(VendorState.vendor)
        ).all()
    return Plan(tuple(touched), tuple(left.items()), hit_soonest(rows), tuple(down))
