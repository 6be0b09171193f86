"""The units a channel names in its reservations, and a place for those we do not know yet."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.domain.stay_times import House
from app.models import Accommodation, Property

NO_PROPERTY = "there is no property yet: create one, and the next run takes this reservation in"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stay is, as far as its row needs it. `accommodation_id` is None only in a forecast:
    the unit would be made."""

    accommodation_id: UUID | None
    property_id: UUID
    room_type_id: UUID | None
    name: str
    house: House


def find(session: Session, refs: Collection[str], *, create: bool) -> dict[str, Place]:
    """The place of every channel id, in two to four statements however many there are.

    A unit nobody has entered yet lands, inactive, in the oldest property (DECISIONS 19); without
    `create` it is only foreseen. Without any property such a ref is missing from the answer.
    """
    places = _known(session, refs)
    unknown = sorted(set(refs) - places.keys())
    if not unknown:
        return places
    home = session.scalars(select(Property).order_by(Property.created_at, Property.id)).first()
    if home is None:
        return places
    if create:
        session.execute(
            insert(Accommodation)
            .values(
                [
                    {
                        "property_id": home.id,
                        "name": placeholder_name(ref),
                        "stays_id": ref,
                        "is_active": False,
                    }
                    for ref in unknown
                ]
            )
            .on_conflict_do_nothing(index_elements=["stays_id"])
        )
        return places | _known(session, unknown)
    house = house_of(home)
    return places | {
        ref: Place(None, home.id, None, placeholder_name(ref), house) for ref in unknown
    }


def placeholder_name(ref: str) -> str:
    """What a unit is called until somebody names it."""
    return f"Accommodation {ref}"


def house_of(property_: Property) -> House:
    """The clock and the hours of a property."""
    return House(ZoneInfo(property_.timezone), property_.check_in_time, property_.check_out_time)


def _known(session: Session, refs: Collection[str]) -> dict[str, Place]:
    rows = session.execute(
        select(
            Accommodation.stays_id,
            Accommodation.id,
            Accommodation.room_type_id,
            Accommodation.name,
            Accommodation.property_id,
        ).where(Accommodation.stays_id.in_(set(refs)))
    ).all()
    homes = {row.property_id for row in rows}
    houses = {
        property_.id: house_of(property_)
        for property_ in session.scalars(select(Property).where(Property.id.in_(homes)))
    }
    return {
        row.stays_id: Place(
            row.id, row.property_id, row.room_type_id, row.name, houses[row.property_id]
        )
        for row in rows
    }
