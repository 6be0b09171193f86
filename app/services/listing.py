"""The short lists of things that are configured: search, order and pages alike for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from app.errors import Invalid
from app.extensions import Base
from app.services import list_args
from app.services.paging import Page, page_args
from app.transaction import transaction

T = TypeVar("T", bound=Base)
Column = InstrumentedAttribute[Any]


def fetch(
    model: type[T],
    args: Mapping[str, str],
    *,
    sorts: Mapping[str, Column],
    search: Sequence[Column] = (),
    where: Sequence[Any] = (),
) -> Page[T]:
    """One page of `model`, newest first unless `sort`/`order` say otherwise. Raises Invalid.

    `sorts` names the columns one may sort by; it holds `created_at`.
    """
    page, limit = page_args(args)
    q = list_args.word(args, "q")
    sort = list_args.choice(args, "sort", tuple(sorts)) or "created_at"
    order = list_args.choice(args, "order", ("asc", "desc"))
    conditions = [*where]
    if q:
        conditions.append(or_(*(column.icontains(q, autoescape=True) for column in search)))
    column = sorts[sort]
    key: Any = model.__mapper__.primary_key[0]
    falling = (order or ("desc" if sort == "created_at" else "asc")) == "desc"
    ordering = [column.desc(), key.desc()] if falling else [column.asc(), key.asc()]
    statement: Select[T] = select(model).where(*conditions).order_by(*ordering)
    with transaction() as session:
        total = session.scalar(select(func.count()).select_from(model).where(*conditions)) or 0
        rows = session.scalars(statement.limit(limit).offset((page - 1) * limit)).all()
    return Page(rows, page, limit, total)


def unknown(field: str, noun: str) -> Invalid:
    """The complaint about an id in a body that names nothing."""
    return Invalid.field(field, f"no such {noun}")
