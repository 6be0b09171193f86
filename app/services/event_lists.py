"""Find channel events: one page, the counts, neighbours, and whom each is about (DLQ-01…08)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, null, or_, select, tuple_
from sqlalchemy.orm import Session, defer
from sqlalchemy.orm.interfaces import ORMOption

from app.domain.event_causes import cause_of
from app.domain.states import EventStatus
from app.models import (
    Accommodation,
    ChannelEvent,
    ChannelProperty,
    Property,
    Reservation,
    RoomType,
)
from app.models.columns import among
from app.services.event_filters import NOT_DONE, SORTS, EventFilter, conditions
from app.services.paging import Page
from app.transaction import transaction

#: failures looked at for a cause; more than that is no list to read
MOST_OF_A_CAUSE = 5000
#: events whose types the page offers as a filter
LATE = 2000
#: done events counted for a tab; a longer list says so only where it is looked at
MANY = 9_999
#: events shown beside the stay they are about
ABOUT = 8
#: what a list never reads: kilobytes per row, and guest data
HEAVY = (
    defer(ChannelEvent.payload, raiseload=True),
    defer(ChannelEvent.normalized_payload, raiseload=True),
    defer(ChannelEvent.raw_body, raiseload=True),
    defer(ChannelEvent.headers, raiseload=True),
)


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event with whom it is about; the event comes without its payload.

    `channel` is who sent it or is owed it; `room_type` is what nights and prices of ours are about.
    """

    event: ChannelEvent
    house: Property
    channel: str
    stay: Reservation | None
    room: Accommodation | None
    room_type: RoomType | None


@dataclass(frozen=True, slots=True)
class Numbers:
    """How many events each state has under the other filters, and the types of late.

    `more`: there are more that are done than were counted.
    """

    statuses: Mapping[str, int]
    types: tuple[str, ...]
    more: bool = False

    def of(self, statuses: Sequence[str]) -> int:
        chosen = statuses or tuple(self.statuses)
        return sum(self.statuses.get(status, 0) for status in chosen)


def search(filters: EventFilter, total: int | None = None) -> Page[EventRow]:
    """One page of the events that fit, in three statements; one more for a cause, and one less when
    the caller has counted."""
    with transaction() as session:
        matching = select(ChannelEvent.id).where(*_with_cause(session, filters))
        if total is None:
            total = session.scalar(select(func.count()).select_from(matching.subquery())) or 0
        chosen = (
            matching.order_by(*_order(filters))
            .limit(filters.limit)
            .offset((filters.page - 1) * filters.limit)
        )
        found = read(session, chosen, _order(filters)) if total else []
        return Page(found, filters.page, filters.limit, total)


def numbers(filters: EventFilter) -> Numbers:
    """The counts for the tabs, and the types of late for the list of types; one statement.

    The events that are done are counted no further than `MANY`, unless they are what is listed.
    """
    status = ChannelEvent.status
    others = conditions(replace(filters, status=()))
    listed = not filters.status or EventStatus.DONE in filters.status
    each = select(status).where(*others)
    if not listed:
        few = each.where(status == EventStatus.DONE).limit(MANY + 1)
        each = each.where(status.in_(NOT_DONE)).union_all(few)  # type: ignore[assignment]
    seen = each.subquery()
    by_status = select(seen.c.status, null().label("type"), func.count().label("n")).group_by(
        seen.c.status
    )
    # Every type there ever was would take a look at every row.
    late = (
        select(ChannelEvent.event_type)
        .order_by(ChannelEvent.received_at.desc(), ChannelEvent.id.desc())
        .limit(LATE)
        .subquery()
    )
    types = select(null(), late.c.event_type, func.count()).group_by(late.c.event_type)
    with transaction() as session:
        found = session.execute(by_status.union_all(types)).all()
    counts = {row.status: row.n for row in found if row.status is not None}
    types_of_late = sorted(row.type for row in found if row.type is not None)
    more = not listed and counts.get(EventStatus.DONE, 0) > MANY
    return Numbers(counts, tuple(types_of_late), more)


def matching_ids(filters: EventFilter, statuses: Sequence[str], most: int) -> list[UUID]:
    """The ids of at most `most` events of these states that fit, the longest waiting first."""
    wanted = [status for status in filters.status or statuses if status in statuses]
    if not wanted:
        return []
    with transaction() as session:
        return list(
            session.scalars(
                select(ChannelEvent.id)
                .where(*_with_cause(session, replace(filters, status=tuple(wanted))))
                .order_by(ChannelEvent.received_at, ChannelEvent.id)
                .limit(most)
            )
        )


def neighbours(filters: EventFilter, event: ChannelEvent) -> tuple[UUID | None, UUID | None]:
    """The ids of the events before and after this one in the same list."""
    column = SORTS[filters.sort]
    key = tuple_(column, ChannelEvent.id)
    here = tuple_(getattr(event, column.key), event.id)
    falling = filters.order == "desc"

    def nearest(fits: Sequence[ColumnElement[bool]], later: bool) -> Any:
        beyond = key > here if later else key < here
        ordering = (column.asc(), ChannelEvent.id.asc())
        if not later:
            ordering = (column.desc(), ChannelEvent.id.desc())
        return (
            select(ChannelEvent.id)
            .where(*fits, beyond)
            .order_by(*ordering)
            .limit(1)
            .scalar_subquery()
        )

    with transaction() as session:
        fits = _with_cause(session, filters)
        before, after = session.execute(
            select(nearest(fits, falling), nearest(fits, not falling))
        ).one()
    return before, after


def read(
    session: Session,
    chosen: Select[Any],
    order: Sequence[Any] = (),
    options: Sequence[ORMOption] = HEAVY,
) -> list[EventRow]:
    """The events whose ids `chosen` selects, with their houses, channels and the stays they are
    about, in two statements.

    An event that failed before it was applied knows only its booking's own id.
    """
    ids = chosen.subquery()
    found = session.execute(
        select(ChannelEvent, Property, ChannelProperty.channel_name, RoomType)
        .join(ids, ids.c.id == ChannelEvent.id)
        .join(ChannelProperty, ChannelProperty.id == ChannelEvent.channel_property_id)
        .join(Property, Property.id == ChannelProperty.property_id)
        .outerjoin(RoomType, RoomType.id == ChannelEvent.entity_internal_id)
        .options(*options)
        .order_by(*order)
    ).all()
    stays = _stays(session, [row.ChannelEvent for row in found])
    rows = []
    for event, house, channel, room_type in found:
        stay, room = stays.get(event.id, (None, None))
        rows.append(EventRow(event, house, channel, stay, room, room_type))
    return rows


def about(stay: Reservation, most: int = ABOUT) -> list[ChannelEvent]:
    """The latest events about a booking, ours to its channel included; one statement."""
    same = [(ChannelEvent.entity_type == "booking") & (ChannelEvent.entity_internal_id == stay.id)]
    if stay.external_id is not None:
        same.append(
            (ChannelEvent.entity_external_id == stay.external_id)
            & (ChannelEvent.source == stay.channel)
        )
    with transaction() as session:
        return list(
            session.scalars(
                select(ChannelEvent)
                .where(or_(*same))
                .options(*HEAVY)
                .order_by(ChannelEvent.received_at.desc(), ChannelEvent.id.desc())
                .limit(most)
            )
        )


def _stays(
    session: Session, events: Sequence[ChannelEvent]
) -> dict[UUID, tuple[Reservation, Accommodation | None]]:
    """By event, the stay it is about and its room."""
    if not events:
        return {}
    known = {event.entity_internal_id for event in events if event.entity_internal_id}
    named = {
        (event.source, event.entity_external_id) for event in events if event.entity_external_id
    }
    found = session.execute(
        select(Reservation, Accommodation)
        .outerjoin(Accommodation, Accommodation.id == Reservation.accommodation_id)
        .where(
            or_(
                Reservation.id.in_(known),
                and_(
                    tuple_(Reservation.channel, Reservation.external_id).in_(named),
                    Reservation.unit_no == 1,
                ),
            )
        )
    ).all()
    by_id = {stay.id: (stay, room) for stay, room in found}
    by_name = {
        (stay.channel, stay.external_id): (stay, room) for stay, room in found if stay.unit_no == 1
    }
    about = {
        event.id: by_id.get(event.entity_internal_id)  # type: ignore[arg-type]
        or by_name.get((event.source, event.entity_external_id))
        for event in events
    }
    return {event_id: each for event_id, each in about.items() if each is not None}


def _order(filters: EventFilter) -> list[Any]:
    column = SORTS[filters.sort]
    if filters.order == "desc":
        return [column.desc(), ChannelEvent.id.desc()]
    return [column.asc(), ChannelEvent.id.asc()]


def _with_cause(session: Session, filters: EventFilter) -> list[ColumnElement[bool]]:
    """All the conditions; a cause is no column, so the failures are read and their ids taken."""
    fits = conditions(filters)
    if filters.cause is None:
        return fits
    failures = session.execute(
        select(
            ChannelEvent.id,
            ChannelEvent.source,
            ChannelEvent.last_error_kind,
            ChannelEvent.last_error,
        )
        .where(*fits, ChannelEvent.status == EventStatus.FAILED)
        .order_by(ChannelEvent.received_at.desc())
        .limit(MOST_OF_A_CAUSE)
    )
    ids = [
        row.id
        for row in failures
        if cause_of(row.source, row.last_error_kind, row.last_error).key == filters.cause
    ]
    return [*fits, among(ChannelEvent.id, ids)]
