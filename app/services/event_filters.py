"""What may be asked of the list of events, and the conditions that say so (DLQ-02…07, C-25)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, false, func, null, or_, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from app.domain.event_causes import KEY_LENGTH
from app.domain.states import EventStatus
from app.errors import Invalid
from app.models import ChannelEvent, ChannelProperty, Reservation
from app.models.columns import among
from app.services import list_args
from app.services.paging import DEFAULT_LIMIT, MAX_LIMIT, page_args
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
#: the beginning of an event's own id, as the pages show it, or more of it
ID_BEGINNING = re.compile(r"[0-9a-f]{8}[0-9a-f-]*", re.IGNORECASE)
#: what stands before a sender's own id in our keys (C-23)
KEYS = ("", "in:stays:", "in:beds24:")
#: stays that a text may name and still be little
FEW = 200
NOT_DONE = tuple(status for status in EventStatus if status != EventStatus.DONE)


@dataclass(frozen=True, slots=True)
class Named:
    """What a text names besides the ids themselves: a few stays, and events by their key."""

    stays: tuple[UUID, ...]
    names: tuple[tuple[str, str], ...]  # channel and external id of those stays
    events: tuple[UUID, ...]


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
    named: Named | None = None  # what `q` names, once it is looked up

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
            from_=list_args.bound(args, "from", zone),
            to=list_args.bound(args, "to", zone, end=True),
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


_NO_FILTER = frozenset({"sort", "order", "page", "limit", "named"})


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
        found.append(_naming(filters.q, filters.named))
    return found


def _of_type(event_type: str) -> ColumnElement[bool]:
    """Bare, or with the source in front (C-25)."""
    source, _, bare = event_type.partition(".")
    return or_(
        ChannelEvent.event_type == event_type,
        and_(ChannelEvent.source == source, ChannelEvent.event_type == bare),
    )


def look_up(filters: EventFilter) -> EventFilter:
    """The same filters, with what their text names looked up where that is little; one statement.

    The database then goes straight to the events of a few stays; those of many it finds faster by
    looking at all.
    """
    if filters.q is None:
        return filters
    keys = _keys(filters.q)
    wanted = search_query(filters.q)
    text = func.to_tsquery("simple", wanted) if wanted is not None else None
    with transaction() as session:
        found = session.execute(
            select(Reservation.id, Reservation.channel, Reservation.external_id)
            .where(Reservation.search.op("@@")(text) if text is not None else false())
            .limit(FEW + 1)
            .union_all(
                select(ChannelEvent.id, null(), null()).where(
                    ChannelEvent.idempotency_key.in_(keys)
                )
            )
        ).all()
    if len(found) > FEW:
        return filters
    stays = [row for row in found if row.channel is not None]
    return replace(
        filters,
        named=Named(
            tuple(row.id for row in stays),
            tuple((row.channel, row.external_id) for row in stays if row.external_id),
            tuple(row.id for row in found if row.channel is None),
        ),
    )


def _keys(q: str) -> list[str]:
    return [f"{before}{q}" for before in KEYS]


def _naming(q: str, named: Named | None) -> ColumnElement[bool]:
    """Text in the channel's id, the beginning of ours, a whole key, or the guest, booking code or
    room of the stay it is about. Of the many that are done the id has to begin with it."""
    id_, key, status = ChannelEvent.id, ChannelEvent.entity_external_id, ChannelEvent.status
    begins = func.lower(key).startswith(q.lower(), autoescape=True)
    contains = key.icontains(q, autoescape=True)
    name = tuple_(ChannelEvent.source, key)
    found: list[ColumnElement[bool]] = []
    if named is not None:  # each of these has an index of its own
        found += [
            (ChannelEvent.entity_type == "booking")
            & among(ChannelEvent.entity_internal_id, named.stays),
            among(id_, named.events),
            name.in_(named.names),
            begins,
            status.in_(NOT_DONE) & contains,
        ]
    else:  # one walk through the covering index: what decides most often comes first
        no_stay = ChannelEvent.entity_internal_id.is_(None)
        wanted = search_query(q)
        about = Reservation.search.op("@@")(func.to_tsquery("simple", wanted or ""))
        if wanted is not None:
            stays = select(Reservation.id).where(about)
            found.append(ChannelEvent.entity_internal_id.in_(stays))
        keys = select(ChannelEvent.id).where(ChannelEvent.idempotency_key.in_(_keys(q)))
        found += [id_.in_(keys), no_stay & begins, (status != EventStatus.DONE) & contains]
        if wanted is not None:
            names = select(Reservation.channel, Reservation.external_id).where(about)
            found.append(no_stay & name.in_(names))
    digits = q.replace("-", "")
    if ID_BEGINNING.fullmatch(q) and len(digits) <= 32:
        first, last = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
        found.append(id_.between(first, last))
    return or_(*found)
