"""Column shapes that every table shares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    ColumnElement,
    DateTime,
    FromClause,
    Table,
    any_,
    func,
    literal,
    text,
)
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column

#: database-generated key (OPS-19)
Key = Annotated[UUID, mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))]
#: how we call a channel, a vendor or a kind of work
A_NAME = "^[a-z][a-z0-9_]{0,49}$"
#: an instant, always with time zone (OPS-18)
Moment = Annotated[datetime, mapped_column(DateTime(timezone=True))]


class Stamped:
    """When the row was made and last changed."""

    created_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), nullable=False
    )
    updated_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), onupdate=func.now(), nullable=False
    )


def one_of(column: str, values: type[StrEnum] | tuple[str, ...]) -> CheckConstraint:
    """CHECK that `column` holds one of the words; `rule_of` tells them."""
    words = ", ".join(f"'{value}'" for value in values)
    told = {"column": column, "words": tuple(str(value) for value in values)}
    return CheckConstraint(f"{column} IN ({words})", name=column, info=told)


def rule_of(table: FromClause, column: str) -> Mapping[str, Any]:
    """What a text column may hold: `words`, or the `pattern` of a name. Raises LookupError where no
    CHECK says."""
    for each in table.constraints if isinstance(table, Table) else ():
        if each.info.get("column") == column:
            return each.info
    raise LookupError(f"no CHECK says what {column} may hold")


def a_name(column: str) -> CheckConstraint:
    """CHECK that `column` holds a name of ours for a channel, a vendor or what is done with one;
    which there are is for the maps in the code to say, so that one more needs no migration."""
    told = {"column": column, "pattern": A_NAME}
    return CheckConstraint(f"{column} ~ '{A_NAME}'", name=column, info=told)


def among(column: InstrumentedAttribute[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """`column = ANY(array)`: one bound parameter however many values there are."""
    return column == any_(literal(list(values), ARRAY(column.type)))
