"""Bring our units in line with what a channel lists, in a handful of statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from app import clock
from app.integrations.channels import ChannelListing
from app.models import Accommodation, ChannelProperty, Property, RoomType
from app.models.columns import among
from app.services import audit, channel_units, house_hours, pin_plan
from app.services.channel_places import NO_PROPERTY, placeholder_name

STAYS = "stays"
BEDS24 = "beds24"
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class UnitError:
    """One unit that could not be taken in, and in which step."""

    external_id: str | None
    reason: str
    action: str  # fetch | create | update


@dataclass(slots=True)
class Tally:
    """What came of a list."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    inactivated: int = 0
    returned: int = 0
    errors: list[UnitError] = field(default_factory=list)


def key_of(channel: str) -> ColumnElement[str | None]:
    """What the channel calls a unit, as we store it: Beds24 has `roomId:unitId` (INTERFACES §5)."""
    if channel == STAYS:
        return Accommodation.stays_id.expression
    return func.nullif(
        func.concat(
            Accommodation.beds24_room_id, ":", func.coalesce(Accommodation.beds24_unit_id, "1")
        ),
        func.concat(":", func.coalesce(Accommodation.beds24_unit_id, "1")),
    )


def apply(session: Session, channel: str, listed: Sequence[ChannelListing]) -> Tally:
    """Create, update, retire and bring back. Inside the caller's transaction.

    A unit that a person made inactive stays so. Only a placeholder takes its house from the list:
    where a person has put a unit, it stays.
    """
    tally = Tally()
    by_id = _by_id(channel, listed, tally)
    houses = _Houses.load(session, channel)
    known = _known(session, channel)
    moved: list[UUID] = []
    for external_id, unit in by_id.items():
        row = known.get(external_id)
        if row is None:
            _create(session, channel, unit, external_id, houses, tally)
        else:
            _update(session, row, unit, houses, tally, moved)
    covered: set[UUID] = set()
    if channel != STAYS:  # an account lists only its own houses
        covered = {house.id for unit in by_id.values() if (house := houses.named(unit))}
        known = {key: row for key, row in known.items() if row.property_id in covered}
    _retire(session, known, by_id, tally)
    session.flush()
    channel_units.adopt(session, covered, actor=audit.SYSTEM)
    pin_plan.plan(session, accommodations=moved)
    return tally


@dataclass(slots=True)
class _Houses:
    """Where a listed unit belongs: by the property its channel names, else the oldest."""

    channel: str
    by_ref: dict[str, Property]
    first: Property | None
    kinds: dict[tuple[UUID, str], RoomType]

    @classmethod
    def load(cls, session: Session, channel: str) -> _Houses:
        rows = session.execute(
            select(ChannelProperty.channel_property_id, Property)
            .join(Property, Property.id == ChannelProperty.property_id)
            .where(ChannelProperty.channel_name == channel)
            .order_by(Property.created_at, Property.id)
        ).all()
        first = session.scalars(
            select(Property).order_by(Property.created_at, Property.id).limit(1)
        ).first()
        kinds = {(kind.property_id, kind.name): kind for kind in session.scalars(select(RoomType))}
        by_ref = {row[0]: row[1] for row in reversed(rows)}
        return cls(channel, by_ref, first, kinds)

    def named(self, unit: ChannelListing) -> Property | None:
        """The house the channel itself names, when that is connected."""
        return self.by_ref.get(unit.property_ref) if unit.property_ref else None

    def of(self, unit: ChannelListing) -> Property | None:
        named = self.named(unit)
        if named is not None or self.channel != STAYS:
            return named
        return self.first  # Stays has no id for most houses (DECISIONS 19)

    def kind(self, session: Session, house_id: UUID, unit: ChannelListing) -> RoomType | None:
        """The room type the channel sells the unit as, made when it is new."""
        if not unit.room_type:
            return None
        found = self.known_kind(house_id, unit)
        if found is None:
            found = RoomType(
                property_id=house_id,
                name=unit.room_type[:LONGEST_NAME],
                total_units=unit.room_type_units or 0,
            )
            session.add(found)
            session.flush()
            self.kinds[(house_id, found.name)] = found
        return found

    def known_kind(self, house_id: UUID, unit: ChannelListing) -> RoomType | None:
        """The room type of that name, with the number of units the channel sells."""
        found = self.kinds.get((house_id, (unit.room_type or "")[:LONGEST_NAME]))
        if found is not None and unit.room_type_units is not None:
            found.total_units = unit.room_type_units
        return found


def _by_id(
    channel: str, listed: Sequence[ChannelListing], tally: Tally
) -> dict[str, ChannelListing]:
    """The listed units by id; one without is an error of its own."""
    found: dict[str, ChannelListing] = {}
    for unit in listed:
        external_id = unit.external_id.strip()
        if not external_id or len(external_id) > 255:
            tally.errors.append(UnitError(external_id[:255] or None, "no usable id", "fetch"))
            continue
        if channel == BEDS24 and ":" not in external_id:
            external_id = f"{external_id}:1"  # a bare room is its unit 1
        found[external_id] = unit
    return found


def _known(session: Session, channel: str) -> dict[str, Accommodation]:
    key = key_of(channel)
    # Placeholders may turn out to be of another house.
    house_hours.hold(session, key.is_not(None) & ~Accommodation.is_active)
    rows = session.execute(
        select(key, Accommodation)
        .where(key.is_not(None))
        .order_by(Accommodation.id)
        .with_for_update(key_share=True, of=Accommodation)
    ).all()
    return {row[0]: row[1] for row in rows if row[0]}


def _create(
    session: Session,
    channel: str,
    unit: ChannelListing,
    external_id: str,
    houses: _Houses,
    tally: Tally,
) -> None:
    house = houses.of(unit)
    if house is None:
        reason = (
            NO_PROPERTY
            if channel == STAYS
            else f"its property {unit.property_ref} is not connected here"
        )
        tally.errors.append(UnitError(external_id, reason, "create"))
        return
    kind = houses.kind(session, house.id, unit)
    row = Accommodation(
        property_id=house.id,
        room_type_id=kind.id if kind else None,
        name=_name(unit, external_id),
        is_active=unit.active,
        absent_since=None if unit.active else clock.utcnow(),
        **_ids(channel, external_id),
    )
    session.add(row)
    session.flush()
    audit.record(session, audit.SYSTEM, "create", "accommodation", row.id, after={"name": row.name})
    tally.created += 1


def _ids(channel: str, external_id: str) -> dict[str, str]:
    if channel == STAYS:
        return {"stays_id": external_id}
    room, _, unit = external_id.partition(":")
    return {"beds24_room_id": room, "beds24_unit_id": unit}


def _name(unit: ChannelListing, external_id: str) -> str:
    return unit.name.strip()[:LONGEST_NAME] or placeholder_name(external_id)


def _update(
    session: Session,
    row: Accommodation,
    unit: ChannelListing,
    houses: _Houses,
    tally: Tally,
    moved: list[UUID],
) -> None:
    before = _state(row)
    placeholder = (
        not row.is_active
        and row.absent_since is None
        and row.stays_id is not None
        and row.name == placeholder_name(row.stays_id)
    )
    if unit.name.strip():
        row.name = unit.name.strip()[:LONGEST_NAME]
    if placeholder:
        row.is_active = unit.active
        house = houses.named(unit)
        if house is not None and house.id != row.property_id:
            _move(session, row, house)
            moved.append(row.id)
    kind = houses.known_kind(row.property_id, unit)
    if row.room_type_id is None:  # what a person chose stays
        kind = kind or houses.kind(session, row.property_id, unit)
        row.room_type_id = kind.id if kind else None
    if not unit.active and row.is_active:
        row.is_active, row.absent_since = False, clock.utcnow()
        tally.inactivated += 1
    elif unit.active and row.absent_since is not None:
        row.is_active, row.absent_since = True, None
        tally.returned += 1
    after = _state(row)
    if after == before:
        tally.unchanged += 1
        return
    tally.updated += 1
    changed = {name for name in before if before[name] != after[name]}
    audit.record(
        session,
        audit.SYSTEM,
        "update",
        "accommodation",
        row.id,
        {name: before[name] for name in changed},
        {name: after[name] for name in changed},
    )


def _move(session: Session, row: Accommodation, house: Property) -> None:
    old = session.get_one(Property, row.property_id)
    row.property_id, row.room_type_id = house.id, None
    session.flush()
    house_hours.move(session, row.id, old, house)


def _state(row: Accommodation) -> dict[str, Any]:
    return {
        "name": row.name,
        "is_active": row.is_active,
        "property_id": str(row.property_id),
        "room_type_id": str(row.room_type_id) if row.room_type_id else None,
    }


def _retire(
    session: Session,
    known: dict[str, Accommodation],
    by_id: dict[str, ChannelListing],
    tally: Tally,
) -> None:
    """Units that are no longer listed become inactive; their rows and their guests' PINs stay."""
    absent = [row for key, row in known.items() if key not in by_id and row.is_active]
    if not absent:
        return
    session.flush()
    session.execute(
        update(Accommodation)
        .where(among(Accommodation.id, [row.id for row in absent]))
        .values(is_active=False, absent_since=clock.utcnow())
        .execution_options(synchronize_session=False)
    )
    tally.inactivated += len(absent)
    for row in absent:
        audit.record(
            session,
            audit.SYSTEM,
            "update",
            "accommodation",
            row.id,
            {"is_active": True},
            {"is_active": False},
        )
