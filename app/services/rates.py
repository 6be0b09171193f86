"""What a night costs, per room type, and how short a stay that begins on it may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.errors import Invalid, NotFound
from app.models import Rate, RoomType
from app.services import audit, edits, list_args, listing, outbound
from app.services.audit import Actor
from app.services.booking_inputs import Amount, Day
from app.services.inputs import Changes, Input
from app.services.paging import Page
from app.transaction import transaction

#: nights priced at once
MAX_NIGHTS = 731
NIGHT = timedelta(days=1)

MinStay = Annotated[int, Field(ge=1, le=365)]


class NewRate(Input):
    """The price of one night (`date`), or of every night `from` up to and without `to`.

    Nights that have a price get this one. The currency is the property's.
    """

    room_type_id: UUID
    price: Amount
    date: Day | None = None
    from_: Day | None = Field(None, alias="from")
    to: Day | None = None
    min_stay: MinStay | None = None

    @property
    def single(self) -> bool:
        return self.date is not None


class RateChanges(Changes):
    """Another price for the night, or another shortest stay."""

    price: Amount = Decimal(0)
    min_stay: MinStay | None = None


def nights_of(new: NewRate) -> list[date]:
    """The nights that are meant. Raises Invalid."""
    if new.date is not None:
        if new.from_ is not None or new.to is not None:
            raise Invalid.field("date", "either date, or from and to")
        return [new.date]
    if new.from_ is None or new.to is None:
        raise Invalid.field("date", "is required, or from and to")
    count = (new.to - new.from_).days
    if count <= 0:
        raise Invalid.field("to", "must be after from")
    if count > MAX_NIGHTS:
        raise Invalid.field("to", f"must be at most {MAX_NIGHTS} nights after from")
    return [new.from_ + NIGHT * n for n in range(count)]


def put(new: NewRate, *, actor: Actor) -> Sequence[Rate]:
    """Price nights, in one statement; their rates by night. Raises Invalid."""
    nights = nights_of(new)
    with transaction() as session:
        if session.get(RoomType, new.room_type_id) is None:
            raise listing.unknown("room_type_id", "room type")
        values = {"price": new.price, "min_stay": new.min_stay}
        statement = insert(Rate).values(
            [{"room_type_id": new.room_type_id, "date": night, **values} for night in nights]
        )
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["room_type_id", "date"], set_={**values, "updated_at": func.now()}
            )
        )
        rows = session.scalars(
            select(Rate)
            .where(Rate.room_type_id == new.room_type_id, Rate.date.in_(nights))
            .order_by(Rate.date)
            .execution_options(populate_existing=True)
        ).all()
        after = new.model_dump(mode="json", by_alias=True, exclude_none=True)
        audit.record(session, actor, "create", "rate", new.room_type_id, after=after)
        outbound.rates_changed(session, new.room_type_id, nights[0], nights[-1])
    return rows


def change(rate_id: UUID, changes: RateChanges, *, actor: Actor) -> Rate:
    """Change the price of a night. Raises NotFound, Invalid."""
    given = changes.given()
    if given.get("price", 0) is None:
        raise Invalid.field("price", "must not be null")
    with transaction() as session:
        row = _locked(session, rate_id)
        before, after = edits.apply(row, given)
        if before:
            audit.record(session, actor, "update", "rate", row.id, _text(before), _text(after))
            outbound.rates_changed(session, row.room_type_id, row.date, row.date)
        session.flush()
        session.refresh(row)
    return row


def remove(rate_id: UUID, *, actor: Actor) -> None:
    """Let the night have no price of ours. Raises NotFound."""
    with transaction() as session:
        row = _locked(session, rate_id)
        before = edits.snapshot(row, ("room_type_id", "date", "price", "min_stay"))
        session.delete(row)
        session.flush()
        audit.record(session, actor, "delete", "rate", rate_id, _text(before))
        outbound.rates_changed(session, row.room_type_id, row.date, row.date)


def get(rate_id: UUID) -> Rate:
    """One rate. Raises NotFound."""
    with transaction() as session:
        row = session.get(Rate, rate_id)
    if row is None:
        raise NotFound("no such rate")
    return row


def search(args: Mapping[str, str]) -> Page[Rate]:
    """A page of rates; filters `property_id,room_type_id` and the nights `from` up to and without
    `to`. Raises Invalid naming a faulty parameter."""
    where: list[Any] = []
    if of := list_args.key(args, "property_id"):
        kinds = select(RoomType.id).where(RoomType.property_id == of)
        where.append(Rate.room_type_id.in_(kinds))
    if kind := list_args.key(args, "room_type_id"):
        where.append(Rate.room_type_id == kind)
    if first := list_args.day(args, "from"):
        where.append(Rate.date >= first)
    if last := list_args.day(args, "to"):
        where.append(Rate.date < last)
    sorts = {"created_at": Rate.created_at, "date": Rate.date, "price": Rate.price}
    plain = {name: args[name] for name in args if name != "q"}  # a rate has no words
    return listing.fetch(Rate, plain, sorts=sorts, where=where)


def of_nights(session: Session, room_type_id: UUID, first: date, last: date) -> dict[date, Rate]:
    """The rates of a room type by night, `first` up to and without `last`."""
    rows = session.scalars(
        select(Rate).where(Rate.room_type_id == room_type_id, Rate.date >= first, Rate.date < last)
    )
    return {row.date: row for row in rows}


def _locked(session: Session, rate_id: UUID) -> Rate:
    row = session.get(Rate, rate_id, with_for_update=True)
    if row is None:
        raise NotFound("no such rate")
    return row


def _text(values: Mapping[str, Any]) -> dict[str, Any]:
    """Amounts as text; everything else is JSON already."""
    return {k: str(v) if isinstance(v, Decimal) else v for k, v in values.items()}
