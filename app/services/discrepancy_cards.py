"""Discrepancies as people decide them: a booking each, or a run of nights that differ alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, ScalarSelect, and_, case, cast, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from app.models import (
    Accommodation,
    ChannelProperty,
    Discrepancy,
    Property,
    Reservation,
    RoomType,
)
from app.models.columns import among
from app.services import discrepancy_lists
from app.services.discrepancies import OPEN
from app.services.discrepancy_lists import SORTS, STATUSES, DiscrepancyFilter
from app.services.discrepancy_nights import KINDS as NIGHTS
from app.services.paging import Page
from app.transaction import transaction

#: open rows that are counted beside the navigation entry; it stands on every page
MANY = 1000


@dataclass(frozen=True, slots=True)
class Card:
    """One decision: a booking's difference, or `count` nights that differ alike, of which `row` is
    the first and `last_day` the last, with from `free` to `free` units left here and there."""

    row: Discrepancy
    house: Property
    stay: Reservation | None
    room: Accommodation | None
    room_type: RoomType | None
    count: int = 1
    last_day: date | None = None
    free: Mapping[str, tuple[int, int]] | None = None


@dataclass(frozen=True, slots=True)
class Cards:
    """One page of decisions, and how many there are in each state."""

    page: Page[Card]
    counts: Mapping[str, int]


def search(filters: DiscrepancyFilter) -> Cards:
    """One page of decisions, the riskiest and nearest first, or the latest first once they are
    decided; three statements however many there are."""
    others = replace(filters, status=())
    grouped = _grouped(discrepancy_lists.conditions(others))
    with transaction() as session:
        counted = session.execute(
            select(grouped.c.status, func.count()).group_by(grouped.c.status)
        ).all()
        counts = dict.fromkeys(STATUSES, 0) | {row[0]: row[1] for row in counted}
        wanted = filters.status or STATUSES
        heads = session.execute(
            select(grouped)
            .where(grouped.c.status.in_(wanted))
            .order_by(
                grouped.c.closed_at.desc().nulls_first(),
                grouped.c.rank.desc(),
                grouped.c.first_day.asc().nulls_last(),
                grouped.c.head,
            )
            .limit(filters.limit)
            .offset((filters.page - 1) * filters.limit)
        ).all()
        shown = {each.head: (each.n, each.last_day, _free(each)) for each in heads}
        found = _read(session, list(shown))
    items = [
        Card(each.row, each.house, each.stay, each.room, each.room_type, *shown[each.row.id])
        for each in found
    ]
    total = sum(counts[status] for status in wanted)
    return Cards(Page(items, filters.page, filters.limit, total), counts)


def of(rows: Sequence[Discrepancy]) -> Card:
    """The decision that these rows are."""
    with transaction() as session:
        (found,) = _read(session, [rows[0].id])
    return Card(
        rows[0],
        found.house,
        found.stay,
        found.room,
        found.room_type,
        len(rows),
        rows[-1].last_day,
        _free_of(rows),
    )


def _free(head: Any) -> dict[str, tuple[int, int]] | None:
    if head.n == 1 or head.ours_from is None or head.theirs_from is None:
        return None
    return {
        "ours": (head.ours_from, head.ours_to),
        "theirs": (head.theirs_from, head.theirs_to),
    }


def _free_of(rows: Sequence[Discrepancy]) -> dict[str, tuple[int, int]] | None:
    found = {}
    for name in ("ours", "theirs"):
        said = [(getattr(row, name) or {}).get("available") for row in rows]
        numbers = [int(number) for number in said if number is not None]
        if len(rows) == 1 or len(numbers) < len(rows):
            return None
        found[name] = (min(numbers), max(numbers))
    return found


def open_ones() -> ScalarSelect[int]:
    """How many decisions wait, as far as `MANY` open rows hold them: part of a statement."""
    few = select(Discrepancy.id).where(Discrepancy.status == OPEN).limit(MANY)
    grouped = _grouped([Discrepancy.id.in_(few)])
    return select(func.count()).select_from(grouped).scalar_subquery()


def _grouped(where: Sequence[ColumnElement[bool]]) -> Any:
    """Decisions: nights that follow one another, differ alike and stand alike are one. What is
    alike says the same as `discrepancy_nights.runs`."""
    ours = cast(Discrepancy.ours["available"].astext, Integer)
    theirs = cast(Discrepancy.theirs["available"].astext, Integer)
    fewer = case(
        (ours.is_(None) | theirs.is_(None), 0),
        else_=func.greatest(ours, 0) - func.greatest(theirs, 0),
    )
    alike = (
        Discrepancy.kind,
        Discrepancy.channel_property_id,
        Discrepancy.room_type_id,
        Discrepancy.status,
        Discrepancy.closed_at,
        Discrepancy.action,
        case(
            (
                Discrepancy.kind == "availability",
                func.concat(cast(fewer, Integer), " ", Discrepancy.severity),
            ),
            else_=Discrepancy.fingerprint,
        ),
    )
    place = func.row_number().over(partition_by=alike, order_by=Discrepancy.first_day)
    island = Discrepancy.first_day - cast(place, Integer)
    is_night = and_(Discrepancy.kind.in_(NIGHTS), Discrepancy.first_day.is_not(None))
    each = (
        select(
            Discrepancy.id,
            Discrepancy.status,
            Discrepancy.first_day,
            Discrepancy.last_day,
            Discrepancy.closed_at,
            SORTS["severity"].label("rank"),
            ours.label("ours"),
            theirs.label("theirs"),
            case(
                (is_night, func.concat_ws("|", *alike[:3], *alike[4:], island)),
                else_=func.concat(Discrepancy.id, ""),
            ).label("decision"),
        )
        .where(*where)
        .subquery()
    )
    return (
        select(
            each.c.status,
            func.count().label("n"),
            func.min(each.c.first_day).label("first_day"),
            func.max(each.c.last_day).label("last_day"),
            func.max(each.c.closed_at).label("closed_at"),
            func.max(each.c.rank).label("rank"),
            func.min(each.c.ours).label("ours_from"),
            func.max(each.c.ours).label("ours_to"),
            func.min(each.c.theirs).label("theirs_from"),
            func.max(each.c.theirs).label("theirs_to"),
            func.array_agg(aggregate_order_by(each.c.id, each.c.first_day))[1].label("head"),
        )
        .group_by(each.c.status, each.c.decision)
        .subquery()
    )


def _read(session: Session, ids: Sequence[UUID]) -> list[Card]:
    """Rows with what they are about, in the order given; one statement."""
    if not ids:
        return []
    stay = Reservation
    found = session.execute(
        select(Discrepancy, Property, stay, Accommodation, RoomType)
        .join(ChannelProperty, ChannelProperty.id == Discrepancy.channel_property_id)
        .join(Property, Property.id == ChannelProperty.property_id)
        .outerjoin(stay, stay.id == Discrepancy.reservation_id)
        .outerjoin(Accommodation, Accommodation.id == stay.accommodation_id)
        .outerjoin(
            RoomType, RoomType.id == func.coalesce(Discrepancy.room_type_id, stay.room_type_id)
        )
        .where(among(Discrepancy.id, ids))
    )
    by_id = {row[0].id: Card(*row) for row in found}
    return [by_id[id_] for id_ in ids]
