"""Find discrepancies, row by row: pages, and what a rule is about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    and_,
    case,
    func,
    or_,
    select,
)

from app.models import (
    ChannelProperty,
    Discrepancy,
    ReconciliationLog,
    Reservation,
    RoomType,
)
from app.models.columns import among
from app.models.reconciliation import DISCREPANCY_KINDS
from app.services import list_args, list_search
from app.services.discrepancies import OPEN
from app.services.discrepancy_nights import fewer
from app.services.paging import DEFAULT_LIMIT, MAX_LIMIT, Page, page_args
from app.transaction import transaction

STATUSES = ("open", "resolved", "dismissed")
SEVERITIES = ("high", "medium", "low")
SORTS: Mapping[str, Any] = {
    "opened_at": Discrepancy.opened_at,
    "created_at": Discrepancy.created_at,
    "last_seen_at": Discrepancy.last_seen_at,
    "closed_at": Discrepancy.closed_at,
    "first_day": Discrepancy.first_day,
    "severity": case(
        {word: rank for rank, word in enumerate(reversed(SEVERITIES))}, value=Discrepancy.severity
    ),
    "kind": Discrepancy.kind,
    "status": Discrepancy.status,
}


@dataclass(frozen=True, slots=True)
class DiscrepancyFilter:
    """What a list asks for."""

    status: tuple[str, ...] = ()
    kind: tuple[str, ...] = ()
    severity: tuple[str, ...] = ()
    property_id: UUID | None = None
    room_type_id: UUID | None = None
    reservation_id: UUID | None = None
    external_id: str | None = None
    run_id: UUID | None = None  # of the run that saw it last
    q: str | None = None
    sort: str = "opened_at"
    order: str = "desc"
    page: int = 1
    limit: int = DEFAULT_LIMIT

    @classmethod
    def from_args(
        cls,
        args: Mapping[str, str],
        *,
        default_limit: int = DEFAULT_LIMIT,
        max_limit: int = MAX_LIMIT,
    ) -> DiscrepancyFilter:
        """Read a query string. Raises Invalid naming the faulty parameter."""
        page, limit = page_args(args, max_limit, default_limit)
        return cls(
            status=list_args.choices(args, "status", STATUSES),
            kind=list_args.choices(args, "kind", DISCREPANCY_KINDS),
            severity=list_args.choices(args, "severity", SEVERITIES),
            property_id=list_args.key(args, "property_id"),
            room_type_id=list_args.key(args, "room_type_id"),
            reservation_id=list_args.key(args, "reservation_id"),
            external_id=list_args.word(args, "external_id"),
            run_id=list_args.key(args, "run_id"),
            q=list_args.word(args, "q"),
            sort=list_args.choice(args, "sort", tuple(SORTS)) or "opened_at",
            order=list_args.choice(args, "order", ("asc", "desc")) or "desc",
            page=page,
            limit=limit,
        )

    @property
    def narrows(self) -> bool:
        """Whether anything but the state leaves some out."""
        chosen = (self.kind, self.severity, self.room_type_id, self.reservation_id, self.q)
        return any(chosen) or self.external_id is not None or self.run_id is not None


@dataclass(frozen=True, slots=True)
class Row:
    """A discrepancy, and the property it is in."""

    row: Discrepancy
    property_id: UUID


def search(filters: DiscrepancyFilter) -> Page[Row]:
    """One page, in two statements."""
    where = conditions(filters)
    column = SORTS[filters.sort]
    falling = filters.order == "desc"
    order = [
        column.desc().nulls_last() if falling else column.asc().nulls_last(),
        Discrepancy.id.desc() if falling else Discrepancy.id.asc(),
    ]
    with transaction() as session:
        total = session.scalar(_from(select(func.count())).where(*where)) or 0
        found = session.execute(
            _from(select(Discrepancy, ChannelProperty.property_id))
            .where(*where)
            .order_by(*order)
            .limit(filters.limit)
            .offset((filters.page - 1) * filters.limit)
        ).all()
    rows = [Row(*each) for each in found]
    return Page(rows, filters.page, filters.limit, total)


def read(discrepancy_id: UUID) -> Row | None:
    """One, with its property."""
    with transaction() as session:
        found = session.execute(
            _from(select(Discrepancy, ChannelProperty.property_id)).where(
                Discrepancy.id == discrepancy_id
            )
        ).first()
    return None if found is None else Row(*found)


def matching_ids(filters: DiscrepancyFilter, most: int) -> list[UUID]:
    """The open ones that a rule names, the riskiest and nearest first; at most `most`."""
    with transaction() as session:
        return list(
            session.scalars(
                _from(select(Discrepancy.id))
                .where(*conditions(filters), Discrepancy.status == OPEN)
                .order_by(
                    SORTS["severity"].desc(),
                    Discrepancy.first_day.asc().nulls_last(),
                    Discrepancy.id,
                )
                .limit(most)
            )
        )


@dataclass(frozen=True, slots=True)
class Group:
    """Open ones that are alike: their kind, by how many units the channel has fewer, and where."""

    kind: str
    fewer: int
    room_type: str | None
    count: int


def groups(ids: Sequence[UUID]) -> list[Group]:
    """What these are about, the most numerous first; one statement."""
    counts: Counter[tuple[str, int, str | None]] = Counter()
    with transaction() as session:
        found = session.execute(
            select(Discrepancy, RoomType.name)
            .outerjoin(RoomType, RoomType.id == Discrepancy.room_type_id)
            .where(among(Discrepancy.id, ids))
        )
        for row, name in found:
            nights = row.kind == "availability"
            counts[(row.kind, fewer(row.ours, row.theirs) if nights else 0, name)] += 1
    return [Group(*key, number) for key, number in counts.most_common()]


def compared_at(property_id: UUID | None) -> datetime | None:
    """When a comparison with the channel last ended well."""
    run = ReconciliationLog
    ended = [run.status == "success", run.dry_run.is_(False), run.kind.startswith("beds24_")]
    if property_id is not None:
        ended.append(or_(run.property_id == property_id, run.property_id.is_(None)))
    with transaction() as session:
        return session.scalar(select(func.max(run.completed_at)).where(*ended))


def room_types(property_id: UUID | None) -> Sequence[RoomType]:
    """Room types that have discrepancies, for the list to choose from."""
    concerned = select(Discrepancy.room_type_id).where(Discrepancy.room_type_id.is_not(None))
    statement = select(RoomType).where(RoomType.id.in_(concerned)).order_by(RoomType.name)
    if property_id is not None:
        statement = statement.where(RoomType.property_id == property_id)
    with transaction() as session:
        return session.scalars(statement).all()


def conditions(filters: DiscrepancyFilter) -> list[ColumnElement[bool]]:
    """What the filters ask for."""
    found: list[ColumnElement[bool]] = []
    if filters.status:
        found.append(Discrepancy.status.in_(filters.status))
    if filters.kind:
        found.append(Discrepancy.kind.in_(filters.kind))
    if filters.severity:
        found.append(Discrepancy.severity.in_(filters.severity))
    if filters.property_id:
        found.append(
            Discrepancy.channel_property_id.in_(
                select(ChannelProperty.id).where(ChannelProperty.property_id == filters.property_id)
            )
        )
    if filters.room_type_id:
        found.append(Discrepancy.room_type_id == filters.room_type_id)
    if filters.reservation_id:
        found.append(Discrepancy.reservation_id == filters.reservation_id)
    if filters.external_id:
        found.append(Discrepancy.external_id == filters.external_id)
    if filters.run_id:
        found.append(Discrepancy.last_run_id == filters.run_id)
    if filters.q:
        stays = select(Reservation.id).where(
            *list_search.matching(filters.q, Reservation.search_text)
        )
        kinds = select(RoomType.id).where(*list_search.matching(filters.q, RoomType.name))
        found.append(
            or_(
                and_(*list_search.matching(filters.q, Discrepancy.subject)),
                Discrepancy.reservation_id.in_(stays),
                Discrepancy.room_type_id.in_(kinds),
            )
        )
    return found


def _from(statement: Any) -> Any:
    return statement.select_from(Discrepancy).join(
        ChannelProperty, ChannelProperty.id == Discrepancy.channel_property_id
    )
