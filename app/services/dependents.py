"""What stands in the way of a deletion, in numbers a person can act on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from app.errors import Conflict, FieldError
from app.extensions import Base


@dataclass(frozen=True, slots=True)
class Dependent:
    """Rows that need the thing: "1 accommodation", "3 accommodations"."""

    one: str
    many: str
    model: type[Base]
    where: ColumnElement[bool]


def refuse(session: Session, name: str, kinds: Sequence[Dependent]) -> None:
    """Raise Conflict naming how many of each kind need `name`, in one statement.

    The caller has locked the row, so nothing can come to depend on it in the meantime.
    """
    counts = session.execute(
        select(
            *(
                select(func.count()).select_from(kind.model).where(kind.where).scalar_subquery()
                for kind in kinds
            )
        )
    ).one()
    found = [
        f"{count} {kind.one if count == 1 else kind.many}"
        for kind, count in zip(kinds, counts, strict=True)
        if count
    ]
    if found:
        raise Conflict(
            f"{name} is still needed by {', '.join(found)}",
            [FieldError(None, each) for each in found],
        )
