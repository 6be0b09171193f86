"""The list of accommodations as its page shows it: with lock, type and channel ids."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select

from app.errors import NotFound
from app.models import Accommodation, Lock, LockMapping, Property, RoomType
from app.services import list_args
from app.services.list_search import matching, natural
from app.services.paging import Page, page_args
from app.transaction import transaction

VIEWS = ("active", "unmapped", "inactive", "all")


@dataclass(frozen=True, slots=True)
class Unit:
    """An accommodation with what belongs to it."""

    accommodation: Accommodation
    property: Property
    room_type: RoomType | None
    lock: Lock | None


@dataclass(frozen=True, slots=True)
class Filter:
    """What the page asks for."""

    view: str = "active"
    q: str | None = None
    property_id: UUID | None = None
    room_type_id: UUID | None = None
    page: int = 1
    limit: int = 25

    @classmethod
    def from_args(cls, args: Mapping[str, str], property_id: UUID | None) -> Filter:
        """Raises Invalid naming a faulty parameter."""
        q = list_args.word(args, "q")
        view = list_args.choice(args, "view", VIEWS) or ("all" if q else "active")
        page, limit = page_args(args, max_limit=100, default_limit=25)
        return cls(view, q, property_id, list_args.key(args, "room_type_id"), page, limit)

    @property
    def narrowed(self) -> bool:
        return bool(self.q or self.room_type_id)


@dataclass(frozen=True, slots=True)
class Units:
    """One page of the list, and how many stand under each tab."""

    page: Page[Unit]
    counts: Mapping[str, int]


def search(filters: Filter) -> Units:
    """One page and the tabs' counts, in two statements."""
    where = matching(
        filters.q,
        func.coalesce(Accommodation.number, ""),
        Accommodation.name,
        func.coalesce(Accommodation.stays_id, ""),
        func.coalesce(Accommodation.beds24_room_id, ""),
        func.coalesce(Lock.name, ""),
    )
    if filters.property_id:
        where.append(Accommodation.property_id == filters.property_id)
    if filters.room_type_id:
        where.append(Accommodation.room_type_id == filters.room_type_id)
    views: dict[str, ColumnElement[bool]] = {
        "active": Accommodation.is_active.is_(True),
        "unmapped": Accommodation.is_active & Lock.id.is_(None),
        "inactive": ~Accommodation.is_active,
    }
    with transaction() as session:
        counted = session.execute(
            _joined(
                func.count().label("all"),
                *(func.count().filter(shown).label(name) for name, shown in views.items()),
            ).where(*where)
        ).one()
        counts = {name: int(getattr(counted, name)) for name in VIEWS}
        if filters.view in views:
            where.append(views[filters.view])
        rows = session.execute(
            _joined(Accommodation, Property, RoomType, Lock)
            .where(*where)
            .order_by(
                Property.name,
                *natural(func.coalesce(Accommodation.number, Accommodation.name)),
                Accommodation.id,
            )
            .limit(filters.limit)
            .offset((filters.page - 1) * filters.limit)
        ).all()
    units: Sequence[Unit] = [Unit(*row) for row in rows]
    return Units(Page(units, filters.page, filters.limit, counts[filters.view]), counts)


def get(accommodation_id: UUID) -> Unit:
    """One accommodation with what belongs to it. Raises NotFound."""
    with transaction() as session:
        row = session.execute(
            _joined(Accommodation, Property, RoomType, Lock).where(
                Accommodation.id == accommodation_id
            )
        ).one_or_none()
    if row is None:
        raise NotFound("no such accommodation")
    return Unit(*row)


def named(ids: Collection[UUID]) -> Sequence[Unit]:
    """These accommodations with what belongs to them; those that are gone are left out."""
    with transaction() as session:
        rows = session.execute(
            _joined(Accommodation, Property, RoomType, Lock).where(Accommodation.id.in_(ids))
        ).all()
    return [Unit(*row) for row in rows]


def least_ready() -> UUID | None:
    """The property with most rooms without a lock; one without any rooms counts as well."""
    bare = func.count(Accommodation.id).filter(LockMapping.id.is_(None))
    rooms = func.count(Accommodation.id)
    with transaction() as session:
        return session.scalar(
            select(Property.id)
            .outerjoin(
                Accommodation,
                (Accommodation.property_id == Property.id) & Accommodation.is_active,
            )
            .outerjoin(LockMapping, LockMapping.accommodation_id == Accommodation.id)
            .group_by(Property.id, Property.created_at)
            .order_by((rooms == 0).desc(), bare.desc(), Property.created_at, Property.id)
            .limit(1)
        )


def room_types() -> Sequence[tuple[RoomType, Property]]:
    """Every kind of room with its property, by name: the choices of a form."""
    with transaction() as session:
        rows = session.execute(
            select(RoomType, Property)
            .join(Property, Property.id == RoomType.property_id)
            .order_by(Property.name, RoomType.name)
        ).all()
    return [(kind, house) for kind, house in rows]


def _joined(*columns: Any) -> Any:
    return (
        select(*columns)
        .select_from(Accommodation)
        .join(Property, Property.id == Accommodation.property_id)
        .outerjoin(RoomType, RoomType.id == Accommodation.room_type_id)
        .outerjoin(LockMapping, LockMapping.accommodation_id == Accommodation.id)
        .outerjoin(Lock, Lock.id == LockMapping.lock_id)
    )
