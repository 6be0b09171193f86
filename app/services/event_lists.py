"""Find channel events: filters, order, pages and neighbours (DLQ-01…08, C-25)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Text, and_, cast, func, null, or_, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session, defer

from app.domain.event_causes import KEY_LENGTH, cause_of
from app.domain.states import EventStatus
from app.errors import Invalid
from app.models import Accommodation, ChannelEvent, ChannelProperty, Property, Reservation
from app.services import list_args
from app.services.paging import DEFAULT_LIMIT, MAX_LIMIT, Page, page_args
from app.services.reservation_lists import search_query
from app.transaction import transaction

DIRECTIONS = ("inbound", "outbound")
ORDERS = ("asc", "desc")
#: all NOT NULL, so that (value, id) has one order
SORTS: Final[dict[str, InstrumentedAttribute[Any]]] = {
    "received_at": ChannelEvent.received_at,
    "created_at": ChannelEvent.created_at,
    "updated_at": ChannelEvent.updated_at,
    "event_type": ChannelEvent.event_type,
    "status": ChannelEvent.status,
    "attempts": ChannelEvent.attempts,
}
#: failures looked at for a cause; more than that is no list to read
MOST_OF_A_CAUSE = 5000
#: events whose types the page offers as a filter
LATE = 2000
#: what a list never reads: kilobytes per row, and guest data
HEAVY = (
    defer(ChannelEvent.payload, raiseload=True),
    defer(ChannelEvent.normalized_payload, raiseload=True),
    defer(ChannelEvent.raw_body, raiseload=True),
    defer(ChannelEvent.headers, raiseload=True),
)


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What a list asks for; `from_` and `to` bound the receipt, `to` excluded."""

    status: tuple[str, ...] = ()
    property_id: UUID | None = None
    type: str | None = None
    direction: str | None = None
    from_: datetime | None = None
    to: datetime | None = None
    q: str | None = None
    cause: str | None = None
    sort: str = "received_at"
    order: str = "desc"
    page: int = 1
    limit: int = DEFAULT_LIMIT

    @classmethod
    def from_args(
        cls,
        args: Mapping[str, str],
        *,
        zone: str = "UTC",
        default_limit: int = DEFAULT_LIMIT,
        max_limit: int = MAX_LIMIT,
    ) -> EventFilter:
        """Read a query string. Raises Invalid naming the faulty parameter.

        A day in `from` or `to` is that whole day in `zone`.
        """
        sort = list_args.choice(args, "sort", tuple(SORTS))
        page, limit = page_args(args, max_limit, default_limit)
        cause = list_args.word(args, "cause")
        if cause is not None and len(cause) != KEY_LENGTH:
            raise Invalid.field("cause", "must be the key of a cause")
        found = cls(
            status=list_args.choices(args, "status", tuple(EventStatus)),
            property_id=list_args.key(args, "property_id"),
            type=list_args.word(args, "type"),
            direction=list_args.choice(args, "direction", DIRECTIONS),
            from_=_bound(args, "from", zone),
            to=_bound(args, "to", zone, end=True),
            q=list_args.word(args, "q"),
            cause=cause,
            sort=sort or "received_at",
            order=list_args.choice(args, "order", ORDERS) or "desc",
            page=page,
            limit=limit,
        )
        if found.from_ and found.to and found.from_ >= found.to:
            raise Invalid.field("to", "must not be before from")
        return found

    @property
    def narrows(self) -> bool:
        """Whether anything but the state leaves events out."""
        mine = replace(self, status=(), property_id=None)
        return any(getattr(mine, each.name) for each in fields(mine) if each.name not in _NO_FILTER)


_NO_FILTER = frozenset({"sort", "order", "page", "limit"})


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event with whom it is about; the event comes without its payload."""

    event: ChannelEvent
    house: Property
    stay: Reservation | None
    room: Accommodation | None


@dataclass(frozen=True, slots=True)
class Numbers:
    """How many events each state and each type has under the other filters."""

    statuses: Mapping[str, int]
    types: tuple[str, ...]

    def of(self, statuses: Sequence[str]) -> int:
        chosen = statuses or tuple(self.statuses)
        return sum(self.statuses.get(status, 0) for status in chosen)


def search(filters: EventFilter, total: int | None = None) -> Page[EventRow]:
    """One page of the events that fit, in four statements; one more for a cause, and one less when
    the caller has counted."""
    with transaction() as session:
        matching = select(ChannelEvent.id).where(*_with_cause(session, filters))
        if total is None:
            total = session.scalar(select(func.count()).select_from(matching.subquery())) or 0
        chosen = (
            matching.order_by(*_order(filters))
            .limit(filters.limit)
            .offset((filters.page - 1) * filters.limit)
            .subquery()
        )
        events = session.scalars(
            select(ChannelEvent)
            .join(chosen, chosen.c.id == ChannelEvent.id)
            .options(*HEAVY)
            .order_by(*_order(filters))
        ).all()
        return Page(rows(session, events), filters.page, filters.limit, total)


def numbers(filters: EventFilter) -> Numbers:
    """The counts for the tabs, and the types of late for the list of types; one statement."""
    by_status = (
        select(ChannelEvent.status.label("status"), null().label("type"), func.count().label("n"))
        .where(*conditions(replace(filters, status=())))
        .group_by(ChannelEvent.status)
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
    return Numbers(
        {row.status: row.n for row in found if row.status is not None},
        tuple(sorted(row.type for row in found if row.type is not None)),
    )


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


def rows(session: Session, events: Sequence[ChannelEvent]) -> list[EventRow]:
    """The events with their houses and the stays they are about, in one more statement each.

    An event that failed before it was applied knows only its booking's own id.
    """
    if not events:
        return []
    known = {event.entity_internal_id for event in events if event.entity_internal_id}
    named = {
        (event.source, event.entity_external_id) for event in events if event.entity_external_id
    }
    stays = session.execute(
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
    by_id = {stay.id: (stay, room) for stay, room in stays}
    by_name = {
        (stay.channel, stay.external_id): (stay, room) for stay, room in stays if stay.unit_no == 1
    }
    connected = session.execute(
        select(ChannelProperty.id, Property)
        .join(Property, Property.id == ChannelProperty.property_id)
        .where(ChannelProperty.id.in_({event.channel_property_id for event in events}))
    )
    houses = {row.id: row.Property for row in connected}
    found = []
    for event in events:
        about: tuple[Reservation, Accommodation] | None = None
        if event.entity_internal_id is not None:
            about = by_id.get(event.entity_internal_id)
        if about is None and event.entity_external_id is not None:
            about = by_name.get((event.source, event.entity_external_id))
        stay, room = about or (None, None)
        found.append(EventRow(event, houses[event.channel_property_id], stay, room))
    return found


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
    return [*fits, ChannelEvent.id.in_(ids)]


def conditions(filters: EventFilter) -> list[ColumnElement[bool]]:
    """What the filters ask for, but for the cause."""
    found: list[ColumnElement[bool]] = []
    if filters.status:
        found.append(ChannelEvent.status.in_(filters.status))
    if filters.property_id:
        found.append(
            ChannelEvent.channel_property_id.in_(
                select(ChannelProperty.id).where(ChannelProperty.property_id == filters.property_id)
            )
        )
    if filters.type:
        found.append(_of_type(filters.type))
    if filters.direction:
        found.append(ChannelEvent.direction == filters.direction)
    if filters.from_:
        found.append(ChannelEvent.received_at >= filters.from_)
    if filters.to:
        found.append(ChannelEvent.received_at < filters.to)
    if filters.q:
        found.append(_naming(filters.q))
    return found


def _of_type(event_type: str) -> ColumnElement[bool]:
    """Bare, or with the source in front (C-25)."""
    source, _, bare = event_type.partition(".")
    return or_(
        ChannelEvent.event_type == event_type,
        and_(ChannelEvent.source == source, ChannelEvent.event_type == bare),
    )


def _naming(q: str) -> ColumnElement[bool]:
    """Text in the ids, or the guest, booking code or room of the stay it is about."""
    found = [
        ChannelEvent.entity_external_id.icontains(q, autoescape=True),
        ChannelEvent.idempotency_key.icontains(q, autoescape=True),
        cast(ChannelEvent.id, Text).istartswith(q, autoescape=True),
    ]
    wanted = search_query(q)
    if wanted is not None:
        about = Reservation.search.op("@@")(func.to_tsquery("simple", wanted))
        stays = select(Reservation.id).where(about)
        names = select(Reservation.channel, Reservation.external_id).where(about)
        found.append(ChannelEvent.entity_internal_id.in_(stays))
        found.append(tuple_(ChannelEvent.source, ChannelEvent.entity_external_id).in_(names))
    return or_(*found)


def _bound(args: Mapping[str, str], name: str, zone: str, *, end: bool = False) -> datetime | None:
    """A moment (ISO 8601 with its offset) or a whole day."""
    raw = list_args.word(args, name)
    if raw is None:
        return None
    if list_args.DAY.fullmatch(raw):
        found: date | None = list_args.day(args, name)
        assert found is not None
        if end and found < date.max:
            found += timedelta(days=1)
        return _moment(name, datetime.combine(found, time.min, ZoneInfo(zone)))
    try:
        # An unquoted + of an offset arrives as a blank.
        at: datetime | None = datetime.fromisoformat(raw.replace(" ", "+"))
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Invalid.field(name, "must be a day (YYYY-MM-DD) or a moment with its offset")
    return _moment(name, at)


def _moment(name: str, at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise Invalid.field(name, "is beyond the calendar") from None
