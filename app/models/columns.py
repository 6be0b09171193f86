"""Column shapes that every table shares."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ColumnElement, DateTime, any_, func, literal, text
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column

#: database-generated key (OPS-19)
Key = Annotated[UUID, mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))]
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
    """CHECK that `column` holds one of the words."""
    words = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({words})", name=column)


def a_name(column: str) -> CheckConstraint:
    """CHECK that `column` holds a name of ours for a channel, a vendor or what is done with one;
    which there are is for the maps in the code to say, so that one more needs no migration."""
    return CheckConstraint(f"{column} ~ '^[a-z][a-z0-9_]{{0,49}}$'", name=column)


def among(column: InstrumentedAttribute[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """`column = ANY(array)`: one bound parameter however many values there are."""
    return column == any_(literal(list(values), ARRAY(column.type)))
