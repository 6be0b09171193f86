"""What failed, by cause; and one event with everything that was tried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, exists, false, func, select
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
    ChannelMapping,
    ChannelProperty,
    PinJob,
    Property,
    Reservation,
)
from app.models.columns import among
from app.services import event_lists
from app.services.event_filters import EventFilter, conditions
from app.services.event_lists import MOST_OF_A_CAUSE, EventRow
from app.transaction import transaction

#: failures that are put into groups at most; the page says so
WINDOW = 1000
#: rows shown under each cause, and causes shown at all
SHOWN = 3
CAUSES = 10
#: guests named under a cause
HIT = 2
DAY_HOURS = 24
PIN_ORDERS = "pin"

# The stay an event is about: by its own id, or by its booking's while it is not applied. Made once,
# for an alias of a wide table costs a millisecond.
_KNOWN, _NAMED = aliased(Reservation), aliased(Reservation)
_STAY = [
    func.coalesce(getattr(_KNOWN, name), getattr(_NAMED, name)).label(name)
    for name in ("check_in_at", "check_out_at", "status")
]


#: what the normalised form of an event that was refused says of its guest
_SAID = ("guest_name", "check_in_on", "check_out_on", "status")


class Waiting(NamedTuple):
    """A room of the channel that failed events wait for, and whether it is mapped by now."""

    channel_property_id: UUID
    room: str
    mapped: bool


class Struck(NamedTuple):
    """A guest whom a failure concerns. Without a `stay` it is what the event says of one: it could
    not be stored."""

    house: Property
    stay: Reservation | None
    name: str | None = None
    arrives_on: date | None = None


@dataclass(frozen=True, slots=True)
class Failures:
    """One cause: how many, since when, where, and the few that are shown."""

    cause: Cause
    ids: tuple[UUID, ...]
    first_at: datetime
    last_at: datetime
    shown: tuple[EventRow, ...]
    hit: tuple[Struck, ...]  # those who come soonest
    hours: tuple[int, ...]  # how many came in each of the last 24 hours, the oldest first
    houses: tuple[tuple[str, int], ...]  # the properties hit and how often, the worst first
    waiting: Waiting | None = None


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
    waiting: Waiting | None = None


def by_cause(filters: EventFilter) -> tuple[list[Failures], int]:
    """The latest failures by cause, the largest first, and how many causes are not shown.

    Three statements, however many failed; only what is shown is read in full.
    """
    failed = replace(filters, status=(EventStatus.FAILED,), page=1)
    with transaction() as session:
        found = session.execute(
            select(
                ChannelEvent.id,
                ChannelEvent.source,
                ChannelEvent.last_error_kind,
                ChannelEvent.last_error,
                ChannelEvent.received_at,
                ChannelEvent.channel_property_id,
                ChannelEvent.waiting_for,
                _mapped().label("mapped"),
                Property.name.label("house"),
                func.coalesce(_KNOWN.id, _NAMED.id).label("stay_id"),
                *_STAY,
                ChannelEvent.entity_external_id.label("ref"),
                *_said(),
            )
            .join(ChannelProperty, ChannelProperty.id == ChannelEvent.channel_property_id)
            .join(Property, Property.id == ChannelProperty.property_id)
            .outerjoin(_KNOWN, _KNOWN.id == ChannelEvent.entity_internal_id)
            .outerjoin(
                _NAMED,
                and_(
                    _NAMED.channel == ChannelEvent.source,
                    _NAMED.external_id == ChannelEvent.entity_external_id,
                    _NAMED.unit_no == 1,
                ),
            )
            .where(*conditions(failed))
            .order_by(ChannelEvent.received_at.desc(), ChannelEvent.id.desc())
            .limit(WINDOW)
        ).all()
        groups = grouped(
            (cause_of(row.source, row.last_error_kind, row.last_error), row) for row in found
        )
        shown = [(group, _soonest(group.members)) for group in groups[:CAUSES]]
        wanted = {row.id for group, hit in shown for row in (*group.members[:SHOWN], *hit)}
        chosen = select(ChannelEvent.id).where(among(ChannelEvent.id, wanted))
        rows = {row.event.id: row for row in event_lists.read(session, chosen)} if wanted else {}
    return [_failures(group, hit, rows) for group, hit in shown], len(groups) - len(shown)


def _said() -> list[ColumnElement[Any]]:
    form = ChannelEvent.normalized_payload
    return [form[name].astext.label(f"said_{name}") for name in _SAID]


def _mapped() -> ColumnElement[bool]:
    """Whether the channel's room that an event waits for is mapped by now."""
    of_room = exists().where(
        ChannelMapping.channel_property_id == ChannelEvent.channel_property_id,
        ChannelMapping.mapping_type.in_(("room", "room_type")),
        ChannelMapping.is_active,
        func.split_part(ChannelMapping.external_id, ":", 1) == ChannelEvent.waiting_for,
    )
    return case((ChannelEvent.waiting_for.is_not(None), of_room), else_=false())


def pin_orders(filters: EventFilter) -> list[Group[PinOrder]]:
    """PIN orders among the failures, by cause; empty where the filters speak of events only."""
    if filters.status and EventStatus.FAILED not in filters.status:
        return []
    if filters.type or filters.direction == "inbound":
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
    groups = grouped(
        (cause_of(PIN_ORDERS, each.order.last_error_kind, None), each)
        for each in found
        if filters.q is None or _names(each, filters.q)
    )
    return [group for group in groups if filters.cause in (None, group.cause.key)]


def detail(event_id: UUID) -> Detail:
    """One event with its payload. Raises NotFound. Six statements."""
    with transaction() as session:
        one = select(ChannelEvent.id).where(ChannelEvent.id == event_id)
        row = next(iter(event_lists.read(session, one, options=[undefer("*")])), None)
        if row is None:
            raise NotFound("no such event")
        event = row.event
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
        waiting = None
        if event.status == EventStatus.FAILED and event.waiting_for:
            mapped = session.scalar(select(_mapped()).where(ChannelEvent.id == event_id))
            waiting = Waiting(event.channel_property_id, event.waiting_for, bool(mapped))
    return Detail(row, tuple(attempts), tuple(deeds), alike, waiting)


def _cause(event: ChannelEvent) -> Cause:
    return cause_of(event.source, event.last_error_kind, event.last_error)


def _soonest(members: Sequence[Any]) -> list[Any]:
    """Those whose guests are here or come next, each booking once."""
    now = clock.utcnow()
    found: dict[object, tuple[datetime, Any]] = {}
    for row in members:
        if row.stay_id is not None:
            if row.check_out_at > now and row.status != "cancelled":
                found[row.stay_id] = (row.check_in_at, row)
        elif (days := _told(row)) and days[1] > now and row.said_status != "cancelled":
            found[row.ref] = (days[0], row)
    return [row for _, row in sorted(found.values(), key=lambda each: each[0])[:HIT]]


def _told(row: Any) -> tuple[datetime, datetime] | None:
    """The days a refused booking names, as the moments at which they begin in UTC: near enough for
    an order, which is all they are for."""
    if not row.said_check_in_on or not row.said_check_out_on:
        return None
    first, last = (
        datetime.combine(date.fromisoformat(day), time(), UTC)
        for day in (row.said_check_in_on, row.said_check_out_on)
    )
    return first, last


def _struck(row: Any, shown: EventRow) -> Struck:
    if shown.stay is not None:
        return Struck(shown.house, shown.stay)
    return Struck(shown.house, None, row.said_guest_name, date.fromisoformat(row.said_check_in_on))


def _failures(
    group: Group[Any],
    hit: Sequence[Any],
    rows: Mapping[UUID, EventRow],
) -> Failures:
    moments = [row.received_at for row in group.members]
    room = next((row for row in group.members if row.waiting_for), None)
    return Failures(
        group.cause,
        tuple(row.id for row in group.members),
        min(moments),
        max(moments),
        tuple(rows[row.id] for row in group.members[:SHOWN]),
        tuple(_struck(row, rows[row.id]) for row in hit),
        _hours(moments),
        tuple(Counter(row.house for row in group.members).most_common()),
        Waiting(room.channel_property_id, room.waiting_for, room.mapped) if room else None,
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
