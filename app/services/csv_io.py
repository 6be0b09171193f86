"""Accommodations and mappings as CSV: out, and in again, with a look before anything is written.

A preview is the import itself, rolled back; so what it shows is what happens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from app.errors import Invalid, ServiceError
from app.models import Accommodation, Lock, LockMapping, Property, RoomType
from app.services import accommodations, audit, csv_text, mappings
from app.services.accommodations import AccommodationChanges, NewAccommodation
from app.services.audit import Actor
from app.services.inputs import parse
from app.transaction import in_transaction, transaction

ACCOMMODATIONS = (
    "id",
    "property",
    "room_type",
    "name",
    "number",
    "description",
    "stays_id",
    "beds24_room_id",
    "beds24_unit_id",
    "is_active",
)
MAPPINGS = ("accommodation_id", "stays_id", "property", "accommodation", "device_id", "lock")
MAX_ROWS = 1000
_PLAIN = ("name", "number", "description", "stays_id", "beds24_room_id", "beds24_unit_id")
_YES = frozenset({"true", "1", "yes", "sim", "sí", "si", "x", "verdadeiro", "verdadero"})
_NO = frozenset({"false", "0", "no", "não", "nao", "falso"})

_Importer: TypeAlias = Callable[["_Known", Mapping[str, str], Actor], str]


@dataclass(frozen=True, slots=True)
class RowResult:
    """What a line does: create, update, map, remap, unchanged, or error and why."""

    line: int
    action: str
    name: str
    errors: tuple[tuple[str | None, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Imported:
    """A whole file; `written` only when every line is good and it was no preview."""

    kind: str  # accommodations | mappings
    rows: tuple[RowResult, ...]
    written: bool = False

    @property
    def errors(self) -> list[RowResult]:
        return [row for row in self.rows if row.errors]

    def count(self, action: str) -> int:
        """How many lines do this."""
        return sum(row.action == action for row in self.rows)


def export_accommodations() -> str:
    """Every unit."""
    with transaction() as session:
        rows = session.execute(
            select(Accommodation, Property.name, RoomType.name)
            .join(Property, Property.id == Accommodation.property_id)
            .outerjoin(RoomType, RoomType.id == Accommodation.room_type_id)
            .order_by(Property.name, Accommodation.name, Accommodation.id)
        ).all()
    return csv_text.write(
        ACCOMMODATIONS,
        (
            {
                "id": str(unit.id),
                "property": house,
                "room_type": kind or "",
                "is_active": "true" if unit.is_active else "false",
                **{name: getattr(unit, name) or "" for name in _PLAIN},
            }
            for unit, house, kind in rows
        ),
    )


def export_mappings() -> str:
    """Every unit with the lock it has; the lock's columns are empty for one without."""
    with transaction() as session:
        rows = session.execute(
            select(Accommodation, Property.name, Lock.device_id, Lock.name)
            .join(Property, Property.id == Accommodation.property_id)
            .outerjoin(LockMapping, LockMapping.accommodation_id == Accommodation.id)
            .outerjoin(Lock, Lock.id == LockMapping.lock_id)
            .order_by(Property.name, Accommodation.name, Accommodation.id)
        ).all()
    return csv_text.write(
        MAPPINGS,
        (
            {
                "accommodation_id": str(unit.id),
                "stays_id": unit.stays_id or "",
                "property": house,
                "accommodation": unit.name,
                "device_id": device or "",
                "lock": lock or "",
            }
            for unit, house, device, lock in rows
        ),
    )


def preview(text: str) -> Imported:
    """What `apply` would do, line by line; nothing is written. Raises Invalid for no such table."""
    return _import(text, audit.SYSTEM, write=False)


def apply(text: str, *, actor: Actor) -> Imported:
    """Take the file in, if every line is good; with a single bad one nothing is written.

    Lines that would take PINs off a lock are refused: that needs a person who has seen the guests.
    """
    return _import(text, actor, write=True)


class _Undone(Exception):
    """Ends the transaction of a preview, or of a file with bad lines."""


def _import(text: str, actor: Actor, *, write: bool) -> Imported:
    if in_transaction():
        raise RuntimeError("an import needs a transaction of its own, to roll back")
    columns, lines = csv_text.read(text)
    kind, importer = _kind(columns)
    if len(lines) > MAX_ROWS:
        raise Invalid(f"the file has {len(lines)} lines; at most {MAX_ROWS} go at once")
    results: list[RowResult] = []
    written = False
    try:
        with transaction() as session:
            known = _Known.load(session)
            for number, row in lines:
                results.append(_line(session, importer, known, number, row, actor))
            if not write or any(result.errors for result in results):
                raise _Undone
            written = True
    except _Undone:
        pass
    return Imported(kind, tuple(results), written)


def _kind(columns: list[str]) -> tuple[str, _Importer]:
    """Which of the two files it is, by its columns. Raises Invalid naming what does not fit."""
    mapping = "device_id" in columns
    wanted = MAPPINGS if mapping else ACCOMMODATIONS
    unknown = [column for column in columns if column not in wanted]
    if unknown:
        raise Invalid(f"unknown columns: {', '.join(unknown)}; known are {', '.join(wanted)}")
    if not mapping and "name" not in columns:
        raise Invalid("the column name is missing")
    return ("mappings", _mapping) if mapping else ("accommodations", _accommodation)


def _line(
    session: Session,
    importer: _Importer,
    known: _Known,
    number: int,
    row: Mapping[str, str],
    actor: Actor,
) -> RowResult:
    """One line in a savepoint of its own, so that the next ones are looked at as well."""
    name = row.get("name") or row.get("accommodation") or ""
    try:
        if "" in row:
            raise Invalid("the line has more cells than the file has columns")
        with session.begin_nested():
            action = importer(known, row, actor)
            session.flush()
    except ServiceError as error:
        found = tuple((each.field, each.message) for each in error.errors)
        return RowResult(number, "error", name, found or ((None, error.message),))
    return RowResult(number, action, name)


@dataclass(slots=True)
class _Known:
    """Houses, kinds of rooms and locks by the words a file uses for them."""

    session: Session
    houses: dict[str, list[UUID]]
    kinds: dict[tuple[UUID, str], UUID]
    locks: dict[str, UUID]

    @classmethod
    def load(cls, session: Session) -> _Known:
        houses: dict[str, list[UUID]] = {}
        for key, name in session.execute(select(Property.id, Property.name)):
            houses.setdefault(name.casefold(), []).append(key)
            houses.setdefault(str(key), []).append(key)
        kinds = session.execute(select(RoomType.property_id, RoomType.name, RoomType.id))
        locks = session.execute(select(Lock.device_id, Lock.id))
        return cls(
            session,
            houses,
            {(house, name.casefold()): key for house, name, key in kinds},
            {row[0]: row[1] for row in locks},
        )

    def house(self, word: str) -> UUID:
        found = self.houses.get(word.casefold(), [])
        if len(found) != 1:
            why = "several properties have this name; use its id" if found else "no such property"
            raise Invalid.field("property", why)
        return found[0]

    def unit(self, row: Mapping[str, str], key: str) -> Accommodation | None:
        """The unit a line is about: by our id, else by a channel's."""
        found = Accommodation
        if own := row.get(key):
            try:
                unit = self.session.get(found, UUID(own))
            except ValueError:
                raise Invalid.field(key, "must be an id (UUID)") from None
            if unit is None:
                raise Invalid.field(key, "no such accommodation")
            return unit
        if stays_id := row.get("stays_id"):
            return self.session.scalar(select(found).where(found.stays_id == stays_id))
        if room := row.get("beds24_room_id"):
            number = row.get("beds24_unit_id") or "1"
            return self.session.scalar(
                select(found).where(
                    found.beds24_room_id == room,
                    func.coalesce(found.beds24_unit_id, "1") == number,
                )
            )
        return None


def _accommodation(known: _Known, row: Mapping[str, str], actor: Actor) -> str:
    unit = known.unit(row, "id")
    data: dict[str, Any] = {name: row[name] or None for name in _PLAIN if name in row}
    if row.get("is_active"):
        data["is_active"] = _flag(row["is_active"])
    home = unit.property_id if unit else None
    if row.get("property"):
        home = known.house(row["property"])
        data["property_id"] = str(home)
    if row.get("room_type"):
        kind = known.kinds.get((home, row["room_type"].casefold())) if home else None
        if kind is None:
            raise Invalid.field("room_type", "this property has no such room type")
        data["room_type_id"] = str(kind)
    elif "room_type" in row:
        data["room_type_id"] = None
    if unit is None:
        if home is None:
            raise Invalid.field("property", "is required")
        new = {name: value for name, value in data.items() if value is not None}
        accommodations.create(parse(NewAccommodation, new), actor=actor)
        return "create"
    before = _state(unit)
    accommodations.change(unit.id, parse(AccommodationChanges, data), actor=actor)
    return "unchanged" if _state(unit) == before else "update"


def _state(unit: Accommodation) -> tuple[object, ...]:
    return (
        unit.property_id,
        unit.room_type_id,
        unit.is_active,
        *(getattr(unit, name) for name in _PLAIN),
    )


def _flag(word: str) -> bool:
    if word.casefold() in _YES:
        return True
    if word.casefold() in _NO:
        return False
    raise Invalid.field("is_active", "must be true or false")


def _mapping(known: _Known, row: Mapping[str, str], actor: Actor) -> str:
    """A line without a device says nothing about the unit: it is not parted from its lock."""
    device = row.get("device_id")
    unit = known.unit(row, "accommodation_id") or _named(known, row)
    if not device:
        return "unchanged"
    if device not in known.locks:
        raise Invalid.field("device_id", "no such lock")
    had = known.session.scalar(
        select(LockMapping.lock_id).where(LockMapping.accommodation_id == unit.id)
    )
    mapped = mappings.map_lock(unit.id, known.locks[device], actor=actor)
    if not mapped.changed:
        return "unchanged"
    return "remap" if had else "map"


def _named(known: _Known, row: Mapping[str, str]) -> Accommodation:
    """The unit by its house and name, when no id is given and the name is the only one."""
    name = row.get("accommodation", "")
    if not name:
        raise Invalid.field("accommodation_id", "is required, or a stays_id, or a name")
    unit = aliased(Accommodation)
    wanted = select(unit).where(func.lower(unit.name) == name.lower())
    if row.get("property"):
        wanted = wanted.where(unit.property_id == known.house(row["property"]))
    found = known.session.scalars(wanted.limit(2)).all()
    if len(found) != 1:
        why = "several have this name; use the id" if found else "no such accommodation"
        raise Invalid.field("accommodation", why)
    return found[0]
