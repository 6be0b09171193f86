"""What the things in the audit log are called, and which of them a text names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, String, cast, func, literal, null, select, union_all
from sqlalchemy.orm import InstrumentedAttribute

from app.models import (
    Accommodation,
    AuditEntry,
    ChannelEvent,
    ChannelProperty,
    Credential,
    InventoryHold,
    Lock,
    PinJob,
    Property,
    Reservation,
    RoomType,
    User,
)
from app.models.columns import among
from app.services.list_search import matching
from app.services.reservation_lists import search_query
from app.transaction import transaction

#: every kind of thing that an entry may be about
KINDS: Final = (
    "accommodation",
    "alert",
    "alert_settings",
    "audit_log",
    "channel_mapping",
    "channel_property",
    "credential",
    "discrepancy",
    "event",
    "guest",
    "hold",
    "lock",
    "maintenance_block",
    "pin_order",
    "privacy",
    "property",
    "rate",
    "reconciliation_run",
    "reservation",
    "room",
    "room_type",
    "session",
    "setting",
    "user",
)
#: things that a text may name and still be looked for one by one
FEW = 200
#: what an id inside an entry's values may stand for
INSIDE = frozenset(
    {
        "accommodation_id",
        "lock_id",
        "room_type_id",
        "property_id",
        "reservation_id",
        "internal_id",
    }
)


@dataclass(frozen=True, slots=True)
class Thing:
    """What an id stands for. `about` is the stay it belongs to, where it has no page of its own."""

    kind: str
    id: UUID
    name: str | None
    detail: str | None = None
    about: UUID | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """What a text names: things by kind, and people."""

    things: Mapping[str, set[str]]
    actors: set[str]


def of(entries: Iterable[AuditEntry]) -> dict[UUID, Thing]:
    """The things that these entries are about or mention, by id, in one statement; what was
    deleted since is not among them."""
    ids: set[UUID] = set()
    for entry in entries:
        ids |= _ids(entry)
    if not ids:
        return {}
    statements = [shown.where(among(model.id, ids)) for model, shown in _SHOWN]
    with transaction() as session:
        rows = session.execute(union_all(*statements)).all()
    return {row[1]: Thing(*row) for row in rows}


def look_up(q: str) -> Named:
    """The stays, rooms, locks and people that a text names, and what has the id it is; one
    statement."""
    things: dict[str, set[str]] = defaultdict(set)
    actors: set[str] = {q}
    found: list[Select[Any, Any]] = [
        _few("accommodation", Accommodation.id, *matching(q, Accommodation.name)),
        _few("accommodation", Accommodation.id, *matching(q, Accommodation.number)),
        _few("lock", Lock.id, *matching(q, Lock.name)),
        _few("property", Property.id, *matching(q, Property.name)),
        _few("room_type", RoomType.id, *matching(q, RoomType.name)),
        _few("user", User.email, *matching(q, User.email)),
        _few("user", User.email, *matching(q, User.name)),
    ]
    wanted = search_query(q)
    if wanted is not None:
        named = Reservation.search.op("@@")(func.to_tsquery("simple", wanted))
        stays = select(Reservation.id).where(named).limit(FEW)
        found += [
            _few("reservation", Reservation.id, named),
            _few("hold", InventoryHold.id, InventoryHold.reservation_id.in_(stays)),
            _few("pin_order", PinJob.id, PinJob.reservation_id.in_(stays)),
            _few("credential", Credential.id, Credential.reservation_id.in_(stays)),
            _few(
                "event",
                ChannelEvent.id,
                ChannelEvent.entity_type == "booking",
                ChannelEvent.entity_internal_id.in_(stays),
            ),
        ]
    with transaction() as session:
        for kind, key in session.execute(union_all(*(select(each.subquery()) for each in found))):
            if kind == "user":
                actors.add(key)
            else:
                things[kind].add(key)
                if kind == "accommodation":
                    things["room"].add(key)
    if (id_ := as_id(q)) is not None:
        for kind in KINDS:
            things[kind].add(str(id_))
    return Named(things, actors)


def as_id(text: object) -> UUID | None:
    """The id that a text is, None for any other text."""
    try:
        return UUID(text) if isinstance(text, str) and len(text) == 36 else None
    except ValueError:
        return None


def _few(kind: str, key: InstrumentedAttribute[Any], *where: Any) -> Select[Any, Any]:
    return select(literal(kind), cast(key, String)).where(*where).limit(FEW)


def _ids(entry: AuditEntry) -> set[UUID]:
    found = {as_id(entry.entity_id)}
    for values in (entry.before, entry.after):
        found |= {as_id((values or {}).get(name)) for name in INSIDE}
    return {each for each in found if each is not None}


_text = cast(null(), String)
_no_id = cast(null(), Reservation.id.type)


def _plain(kind: str, model: Any, name: Any, detail: Any = _text) -> Select[Any, Any]:
    return select(literal(kind), model.id, name, detail, _no_id)


def _of_stay(kind: str, model: Any, about: Any = _no_id) -> Select[Any, Any]:
    return select(literal(kind), model.id, Reservation.guest_name, Accommodation.name, about)


#: the table whose ids are looked for, and what is said of each
_SHOWN: Final[tuple[tuple[Any, Select[Any, Any]], ...]] = (
    (
        Accommodation,
        _plain("accommodation", Accommodation, Accommodation.name, Accommodation.number),
    ),
    (Lock, _plain("lock", Lock, Lock.name)),
    (Property, _plain("property", Property, Property.name)),
    (RoomType, _plain("room_type", RoomType, RoomType.name)),
    (User, _plain("user", User, User.name, User.email)),
    (
        ChannelProperty,
        _plain("channel_property", ChannelProperty, Property.name, ChannelProperty.channel_name)
        .select_from(ChannelProperty)
        .join(Property, Property.id == ChannelProperty.property_id),
    ),
    (
        ChannelEvent,
        _plain("event", ChannelEvent, ChannelEvent.event_type, ChannelEvent.entity_external_id),
    ),
    (
        Reservation,
        _of_stay("reservation", Reservation)
        .select_from(Reservation)
        .outerjoin(Accommodation, Accommodation.id == Reservation.accommodation_id),
    ),
    (
        InventoryHold,
        _of_stay("hold", InventoryHold, Reservation.id)
        .select_from(InventoryHold)
        .join(Reservation, Reservation.id == InventoryHold.reservation_id)
        .outerjoin(Accommodation, Accommodation.id == Reservation.accommodation_id),
    ),
    (
        Credential,
        _of_stay("credential", Credential, Reservation.id)
        .select_from(Credential)
        .join(Reservation, Reservation.id == Credential.reservation_id)
        .outerjoin(Accommodation, Accommodation.id == Reservation.accommodation_id),
    ),
    (
        PinJob,
        _of_stay("pin_order", PinJob, Reservation.id)
        .select_from(PinJob)
        .join(Reservation, Reservation.id == PinJob.reservation_id)
        .outerjoin(Accommodation, Accommodation.id == Reservation.accommodation_id),
    ),
)
