"""Find stays: filters, views, search, order and pages, in a fixed number of statements."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, bindparam, false, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.sql.selectable import CTE, Subquery

from app import clock
from app.domain.folding import words
from app.domain.states import ReservationStatus as Status
from app.errors import Invalid, NotFound
from app.integrations import channels
from app.models import Accommodation, Property, Reservation, RoomType
from app.services import list_args, pin_views
from app.services.paging import DEFAULT_LIMIT, MAX_LIMIT, Page, page_args
from app.services.pin_views import PinView
from app.transaction import transaction

SOURCES = (*channels.KNOWN, "direct")
#: shorthands for status and dates; the day is each property's own (UI.md §5)
VIEWS: Final = ("active", "arriving", "in_house", "leaving", "upcoming", "past", "cancelled")
ORDERS = ("asc", "desc")
PHONE = re.compile(r"[+\d\s()./-]+", re.ASCII)
OPEN = (Status.PENDING, Status.PENDING_SYNC, Status.CONFIRMED, Status.CHECKED_IN)
#: in the text of a statement, where it shows that `ix_reservations_open` holds every match
_IS_OPEN = Reservation.status.in_(bindparam("open", OPEN, expanding=True, literal_execute=True))
SORTS: Final[dict[str, tuple[InstrumentedAttribute[Any], str]]] = {
    # name -> column and the order it has when none is asked for
    "created_at": (Reservation.created_at, "desc"),
    "updated_at": (Reservation.updated_at, "desc"),
    "check_in": (Reservation.check_in_at, "asc"),
    "check_out": (Reservation.check_out_at, "asc"),
    "guest": (Reservation.guest_name, "asc"),
    "room": (Accommodation.name, "asc"),
}


MAY_BE_MISSING = frozenset({"guest", "room"})


@dataclass(frozen=True, slots=True)
class ReservationFilter:
    """What a list asks for; `from_` bounds the arrival, `to` the departure, both days included."""

    status: tuple[str, ...] = ()
    source: str | None = None
    property_id: UUID | None = None
    accommodation_id: UUID | None = None
    from_: date | None = None
    to: date | None = None
    q: str | None = None
    view: str | None = None
    sort: str = "created_at"
    order: str | None = None
    page: int = 1
    limit: int = DEFAULT_LIMIT

    @classmethod
    def from_args(
        cls,
        args: Mapping[str, str],
        *,
        default_sort: str = "created_at",
        default_limit: int = DEFAULT_LIMIT,
        max_limit: int = MAX_LIMIT,
    ) -> ReservationFilter:
        """Read a query string. Raises Invalid naming the faulty parameter.

        `sort=-check_in` is the same as `sort=check_in&order=desc`.
        """
        sort, order = list_args.word(args, "sort"), list_args.choice(args, "order", ORDERS)
        if sort is not None and sort.startswith("-"):
            sort, order = sort[1:], order or "desc"
        if sort is not None and sort not in SORTS:
            raise Invalid.field("sort", "must be one of " + ", ".join(SORTS))
        page, limit = page_args(args, max_limit, default_limit)
        found = cls(
            status=list_args.choices(args, "status", tuple(Status)),
            source=list_args.choice(args, "source", SOURCES),
            property_id=list_args.key(args, "property_id"),
            accommodation_id=list_args.key(args, "accommodation_id"),
            from_=list_args.day(args, "from"),
            to=list_args.day(args, "to"),
            q=list_args.word(args, "q"),
            view=list_args.choice(args, "view", VIEWS),
            sort=sort or default_sort,
            order=order,
            page=page,
            limit=limit,
        )
        if found.from_ and found.to and found.from_ > found.to:
            raise Invalid.field("to", "must not be before from")
        return found

    @property
    def direction(self) -> str:
        return self.order or SORTS[self.sort][1]

    def to_args(self, **changes: Any) -> dict[str, str]:
        """The query string of this filter with `changes`, without what is at its default."""
        changed, standard = replace(self, **changes), ReservationFilter()
        args: dict[str, str] = {}
        for each in fields(changed):
            value = getattr(changed, each.name)
            if value != getattr(standard, each.name):
                text = ",".join(value) if isinstance(value, tuple) else str(value)
                args[each.name.rstrip("_")] = text
        return args


@dataclass(frozen=True, slots=True)
class ReservationRow:
    """A stay with what every list says about it."""

    reservation: Reservation
    property: Property
    accommodation: Accommodation | None
    room_type: RoomType | None
    pin: PinView


def search(filters: ReservationFilter) -> Page[ReservationRow]:
    """One page of the stays that fit, PIN states included: five statements, six for a view."""
    with transaction() as session:
        conditions = _conditions(session, filters)
        column = SORTS[filters.sort][0]
        matching = _with_room(select(Reservation.id, column.label("key")), filters.sort)
        # Named twice, a filter's matches are collected once; the planner would else believe that
        # they are spread evenly, and walk years of old stays to find a page of coming ones. The
        # stays of a property are spread evenly: their index is walked to the page, and counted.
        if conditions and not _is_whole(filters):
            ids: CTE | Subquery = matching.where(*conditions).cte("matching")
            counted = select(func.count()).select_from(ids)
        else:
            ids = matching.where(*conditions).subquery()
            counted = select(func.count()).select_from(Reservation).where(*conditions)
        # The page is cut before it is joined with all that belongs to a stay.
        chosen = (
            select(ids.c.id)
            .order_by(*_order(filters, ids.c.key, ids.c.id))
            .limit(filters.limit)
            .offset((filters.page - 1) * filters.limit)
            .subquery()
        )
        found = session.execute(
            _joined()
            .add_columns(counted.scalar_subquery())
            .join(chosen, chosen.c.id == Reservation.id)
            .order_by(*_order(filters, column, Reservation.id))
        ).all()
        # A page beyond the end has no row to carry the number.
        total = found[0][-1] if found else session.scalar(counted) if filters.page > 1 else 0
        rows = _rows(session, [tuple(row)[:4] for row in found])
    return Page(rows, filters.page, filters.limit, total or 0)


def get(reservation_id: UUID) -> ReservationRow:
    """One stay. Raises NotFound."""
    with transaction() as session:
        found = session.execute(_joined().where(Reservation.id == reservation_id)).all()
        rows = _rows(session, [tuple(row) for row in found])
    if not rows:
        raise NotFound("no such reservation")
    return rows[0]


def count_views(filters: ReservationFilter) -> dict[str, int]:
    """How many stays each view has under the other filters, in two statements."""
    with transaction() as session:
        days = _days(session)
        base = _conditions(session, replace(filters, view=None))
        counts = select(
            *(func.count().filter(_view(view, days)).label(view) for view in VIEWS)
        ).select_from(Reservation)
        row = session.execute(counts.where(*base)).one()
    return dict(zip(VIEWS, row, strict=True))


def search_query(q: str) -> str | None:
    """The text-search query for what someone typed: every word, each as a beginning.

    A telephone number is stored without what people write between its digits. None when nothing
    searchable is left ("—", "*").
    """
    found = " & ".join(f"'{word}':*" for word in words(q)[:12])
    digits = "".join(char for char in q if char.isdigit() and char.isascii())
    if len(digits) >= 6 and PHONE.fullmatch(q):
        return f"({found}) | '{digits}':*"
    return found or None


def _joined() -> Select[Reservation, Property, Accommodation, RoomType]:
    return (
        select(Reservation, Property, Accommodation, RoomType)
        .join(Property, Property.id == Reservation.property_id)
        .outerjoin(Accommodation, Accommodation.id == Reservation.accommodation_id)
        .outerjoin(RoomType, RoomType.id == Reservation.room_type_id)
    )


def _with_room(ids: Select[UUID, Any], sort: str) -> Select[UUID, Any]:
    """With the room's table when the order needs it."""
    if SORTS[sort][0].class_ is not Accommodation:
        return ids
    return ids.outerjoin(Accommodation, Accommodation.id == Reservation.accommodation_id)


def _rows(session: Session, found: Sequence[tuple[Any, ...]]) -> list[ReservationRow]:
    pins = pin_views.views(session, [reservation.id for reservation, *_ in found])
    return [
        ReservationRow(reservation, building, accommodation, room_type, pins[reservation.id])
        for reservation, building, accommodation, room_type in found
    ]


def _is_whole(filters: ReservationFilter) -> bool:
    """Whether nothing is filtered but the property."""
    return filters == ReservationFilter(
        property_id=filters.property_id,
        sort=filters.sort,
        order=filters.order,
        page=filters.page,
        limit=filters.limit,
    )


def _conditions(session: Session, filters: ReservationFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if filters.status:
        found.append(Reservation.status.in_(filters.status))
    if filters.source:
        found.append(Reservation.source == filters.source)
    if filters.property_id:
        found.append(Reservation.property_id == filters.property_id)
    if filters.accommodation_id:
        found.append(Reservation.accommodation_id == filters.accommodation_id)
    if filters.from_:
        found.append(Reservation.check_in_on >= filters.from_)
    if filters.to:
        found.append(Reservation.check_out_on <= filters.to)
    if filters.q:
        query = search_query(filters.q)
        found.append(
            Reservation.search.op("@@")(func.to_tsquery("simple", query)) if query else false()
        )
    if filters.view:
        found.append(_view(filters.view, _days(session)))
    return found


def _days(session: Session) -> dict[date, list[UUID]]:
    """Today at each property: buildings in different time zones may be in different days."""
    days: dict[date, list[UUID]] = defaultdict(list)
    for property_id, timezone in session.execute(select(Property.id, Property.timezone)):
        days[clock.local_today(timezone)].append(property_id)
    return days


def _view(view: str, days: Mapping[date, Sequence[UUID]]) -> ColumnElement[bool]:
    status, arrives, leaves = Reservation.status, Reservation.check_in_on, Reservation.check_out_on
    now = clock.utcnow()
    # A day lies within two of now wherever it is; the instants have an index, the days have none.
    recently, soon = now - timedelta(days=2), now + timedelta(days=2)

    def local(condition: Callable[[date], ColumnElement[bool]]) -> ColumnElement[bool]:
        """`condition(today)` with each property's own day."""
        if len(days) == 1:
            return condition(next(iter(days)))
        parts = [
            and_(condition(today), Reservation.property_id.in_(ids)) for today, ids in days.items()
        ]
        return or_(false(), *parts)

    if view == "active":
        coming = and_(Reservation.check_out_at > recently, local(lambda today: leaves >= today))
        return and_(_IS_OPEN, or_(status == Status.CHECKED_IN, coming))
    if view == "arriving":
        near = Reservation.check_in_at.between(recently, soon)
        return and_(near, _IS_OPEN, local(lambda today: arrives == today))
    if view == "in_house":
        # Without a front desk that checks guests in, the hours of the stay tell who is there.
        present = and_(Reservation.check_in_at <= now, Reservation.check_out_at > now)
        expected = status.in_((Status.CONFIRMED, Status.PENDING_SYNC))
        return and_(_IS_OPEN, or_(status == Status.CHECKED_IN, and_(expected, present)))
    if view == "leaving":
        near = Reservation.check_out_at.between(recently, soon)
        there = status.in_((*OPEN, Status.CHECKED_OUT))
        return and_(near, there, local(lambda today: leaves == today))
    if view == "upcoming":
        ahead = Reservation.check_in_at > recently
        return and_(ahead, _IS_OPEN, local(lambda today: arrives > today))
    if view == "past":
        return or_(
            status.in_((Status.CHECKED_OUT, Status.NO_SHOW)),
            and_(
                status.in_((Status.PENDING, Status.PENDING_SYNC, Status.CONFIRMED)),
                local(lambda today: leaves < today),
            ),
        )
    return status.in_((Status.CANCELLED, Status.FAILED))


def _order(filters: ReservationFilter, key: Any, id_: Any) -> list[Any]:
    """A total order, so that no stay is on two pages or on none.

    Those without a guest or a room come last; naming that for other columns would keep the
    database from walking their index backwards.
    """
    falling = filters.direction == "desc"
    ordered = key.desc() if falling else key.asc()
    if filters.sort in MAY_BE_MISSING:
        ordered = ordered.nulls_last()
    return [ordered, id_.desc() if falling else id_.asc()]
