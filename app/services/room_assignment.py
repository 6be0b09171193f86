"""Give stays without a room theirs: the one their channel meant, or a free one when it is time.

A channel may sell a kind of room and name none (DECISIONS 18). Whoever gives rooms away locks the
room type first, then the stays, then the rooms by id, and finds out what is free after that: no
two stays are given the same room. Where no room is free on all nights of a stay, others that were
given theirs by us move, if that helps (`room_shuffle`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, Interval, cast, literal, select
from sqlalchemy.orm import Session

from app import clock
from app.domain.states import NEEDS_PIN
from app.domain.stay_windows import ROOM_AHEAD
from app.errors import Conflict
from app.models import (
    Accommodation,
    Alert,
    ChannelMapping,
    ChannelProperty,
    Property,
    Reservation,
    RoomType,
)
from app.models.columns import among
from app.services import (
    alerts,
    audit,
    pin_plan,
    reservation_copies,
    room_occupancy,
    room_shuffle,
    room_status,
)
from app.services.audit import SYSTEM, Actor
from app.services.room_occupancy import TAKING, Nights, Unit
from app.services.room_shuffle import Moves, nights_of
from app.transaction import transaction

log = structlog.get_logger(__name__)

#: no room is due longer before check-in than the longest lead and preload say
FARTHEST = timedelta(hours=72 + 168) + ROOM_AHEAD
#: how the alert about a stay without a room begins
NO_ROOM = "No free room"
SUBJECT = "reservation:"
#: stays of one room type that are given rooms in one transaction
BATCH = 200


def assign_due(now: datetime) -> int:
    """For the sweep: give rooms to stays whose PIN is due soon; how many got one.

    A stay for which there is none stays without, and an alert says so until it has one. A stay that
    is being changed at this moment is left to the next sweep. One room type failing stops no other.
    """
    with transaction() as session:
        _calm(session, now)
        kinds = session.scalars(
            select(Reservation.room_type_id)
            .join(Property, Property.id == Reservation.property_id)
            .where(*_roomless(now), _is_due(now))
            .distinct()
            .order_by(Reservation.room_type_id)
        ).all()
    given = 0
    failed: Exception | None = None
    for kind in kinds:
        if kind is None:
            continue
        try:
            with transaction() as session:
                given += _assign(session, kind, now)
        except Exception as error:
            failed = error
            log.error("rooms_not_assigned", room_type=str(kind), error=type(error).__name__)
    if failed is not None:
        raise failed
    return given


def ensure_room(session: Session, reservation_id: UUID, *, actor: Actor) -> None:
    """Give one stay a room now if it has none and is owed a PIN, before anything else is locked.

    Raises Conflict when no room of its type is free.
    """
    kind = session.scalar(
        select(Reservation.room_type_id).where(
            Reservation.id == reservation_id, *_roomless(clock.utcnow())
        )
    )
    if kind is None:
        return
    room_type = _lock_type(session, kind)
    stays = _lock_stays(session, kind, [Reservation.id == reservation_id], wait=True)
    if not stays:
        return  # somebody was faster
    if not _give(session, room_type, stays, actor):
        raise Conflict(f"No room of type {room_type.name} is free for these nights.")


def place_known_units(session: Session, channel_property_id: UUID, external_id: str) -> list[UUID]:
    """Put stays that wait for a unit just mapped into it, where it is free for them; their ids.

    `external_id` is canonical, as `610011:2`. To be called after the mapping was written, in its
    transaction; a stay that is being changed at this moment finds its unit when its room is due.
    """
    unit = session.execute(
        select(Accommodation, ChannelProperty.channel_name)
        .join(ChannelMapping, ChannelMapping.internal_id == Accommodation.id)
        .join(ChannelProperty, ChannelProperty.id == ChannelMapping.channel_property_id)
        .where(
            ChannelMapping.channel_property_id == channel_property_id,
            ChannelMapping.mapping_type == "room",
            ChannelMapping.external_id == external_id,
            ChannelMapping.is_active,
            ChannelProperty.property_id == Accommodation.property_id,
        )
        # Who maps it holds it already; only then is what is free certain.
        .with_for_update(of=Accommodation, key_share=True)
    ).first()
    if unit is None:
        return []
    room: Accommodation = unit.Accommodation
    stays = session.scalars(
        select(Reservation)
        .where(
            Reservation.property_id == room.property_id,
            Reservation.channel == unit.channel_name,
            Reservation.channel_room_ref == external_id,
            Reservation.accommodation_id.is_(None),
            Reservation.status.in_(TAKING),
            Reservation.check_out_at > clock.utcnow(),
        )
        .order_by(Reservation.booked_at.nulls_last(), Reservation.created_at, Reservation.id)
        # Whoever changes a stay locks it before its room: we have the room and wait for nobody.
        .with_for_update(key_share=True, skip_locked=True)
        .execution_options(populate_existing=True)
    ).all()
    placed: list[Reservation] = []
    taken: list[Nights] = []
    wanted = [(stay.id, room.id, nights_of(stay)) for stay in stays]
    busy = room_occupancy.busy(session, wanted)
    for stay, (_, _, nights) in zip(stays, wanted, strict=True):
        if stay.id not in busy and not any(nights.meets(other) for other in taken):
            taken.append(nights)
            placed.append(stay)
            _move_in(session, stay, room.id, room.name, room.room_type_id, SYSTEM)
    _settle(session, placed, SYSTEM)
    return [stay.id for stay in placed]


def _roomless(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        Reservation.accommodation_id.is_(None),
        Reservation.room_type_id.is_not(None),
        Reservation.status.in_(NEEDS_PIN),
        Reservation.check_out_at > now,
    )


def _is_due(now: datetime) -> ColumnElement[bool]:
    """By `stay_windows.room_due`, as the database says it."""
    hour = cast(literal("1 hour"), Interval)
    ahead = (Property.pin_lead_hours + Property.pin_preload_hours) * hour
    return (Reservation.check_in_at <= now + FARTHEST) & (
        Reservation.check_in_at - ahead <= now + ROOM_AHEAD
    )


def _assign(session: Session, room_type_id: UUID, now: datetime) -> int:
    room_type = _lock_type(session, room_type_id)
    stays = _lock_stays(session, room_type_id, [*_roomless(now), _is_due(now)], wait=False)
    if not stays:
        return 0
    given = _give(session, room_type, stays, SYSTEM)
    for stay in stays:
        if stay.accommodation_id is None:
            _alert(session, stay, room_type)
    return len(given)


def _lock_type(session: Session, room_type_id: UUID) -> RoomType:
    # The weaker lock: what a channel reports refers to the type and waits for nobody.
    return session.get_one(
        RoomType, room_type_id, with_for_update={"key_share": True}, populate_existing=True
    )


def _lock_stays(
    session: Session, room_type_id: UUID, where: Sequence[ColumnElement[bool]], *, wait: bool
) -> Sequence[Reservation]:
    """Those still without a room, the next arrival first."""
    return session.scalars(
        select(Reservation)
        .join(Property, Property.id == Reservation.property_id)
        .where(
            Reservation.room_type_id == room_type_id, Reservation.accommodation_id.is_(None), *where
        )
        .order_by(Reservation.check_in_at, Reservation.booked_at.nulls_last(), Reservation.id)
        .limit(BATCH)
        .with_for_update(of=Reservation, key_share=True, skip_locked=not wait)
        .execution_options(populate_existing=True)
    ).all()


def _give(
    session: Session, room_type: RoomType, stays: Sequence[Reservation], actor: Actor
) -> list[UUID]:
    """Give each stay the best free room of the type, where there is one; who got one."""
    first = min(stay.check_in_on for stay in stays)
    last = max(stay.check_out_on for stay in stays)
    movers = room_shuffle.movable(session, room_type.id, first, last, clock.utcnow())
    spans = [(stay.check_in_on, stay.check_out_on) for stay in (*stays, *movers)]
    first, last = min(begin for begin, _ in spans), max(end for _, end in spans)
    units = room_occupancy.units(session, room_type.id, first, last, lock=True)
    meant = _meant(session, (*stays, *movers))
    movers = [stay for stay in movers if meant.get(stay.id) != stay.accommodation_id]
    given: list[Reservation] = []
    for stay in stays:
        nights = nights_of(stay)
        free = [unit for unit in units if unit.is_free(nights)]
        if not free and (place := room_shuffle.make_place(units, movers, nights)) is not None:
            given += _make_way(session, place, actor)
            free = [place[0]]
        if not free:
            continue
        wish = meant.get(stay.id)
        best = min(free, key=lambda unit: (unit.id != wish, *unit.rank(nights)))
        room_occupancy.place(best, nights)
        _move_in(session, stay, best.id, best.name, room_type.id, actor)
        if actor is SYSTEM and best.id != wish:
            stay.given_room_id = best.id
        given.append(stay)
    _settle(session, given, actor)
    return [stay.id for stay in stays if stay.accommodation_id is not None]


def _make_way(session: Session, place: tuple[Unit, Moves], actor: Actor) -> list[Reservation]:
    """Move the stays that are in the way; who they are. Whoever gets their room plans it anew."""
    unit, moves = place
    for stay, to in moves:
        nights = nights_of(stay)
        room_occupancy.clear(unit, nights)
        room_occupancy.place(to, nights)
        _move_in(session, stay, to.id, to.name, stay.room_type_id, actor)
        stay.given_room_id = to.id
    log.info("rooms_shuffled", moved=[str(stay.id) for stay, _ in moves], freed=str(unit.id))
    return [stay for stay, _ in moves]


def _meant(session: Session, stays: Sequence[Reservation]) -> dict[UUID, UUID]:
    """The room each channel meant, where it named one that has been mapped since."""
    named = {stay.channel_room_ref for stay in stays if stay.channel_room_ref}
    if not named:
        return {}
    rows = session.execute(
        select(
            ChannelProperty.property_id,
            ChannelProperty.channel_name,
            ChannelMapping.external_id,
            ChannelMapping.internal_id,
        )
        .join(ChannelProperty, ChannelProperty.id == ChannelMapping.channel_property_id)
        .where(
            ChannelMapping.mapping_type == "room",
            ChannelMapping.is_active,
            ChannelMapping.external_id.in_(named),
        )
    )
    rooms: dict[tuple[UUID, str | None, str | None], UUID] = {
        (house, channel, ref): room for house, channel, ref, room in rows
    }
    found = {
        stay.id: rooms.get((stay.property_id, stay.channel, stay.channel_room_ref))
        for stay in stays
    }
    return {stay: room for stay, room in found.items() if room is not None}


def _move_in(
    session: Session,
    stay: Reservation,
    room_id: UUID,
    room_name: str,
    room_type_id: UUID | None,
    actor: Actor,
) -> None:
    had = stay.accommodation_id
    stay.accommodation_id = room_id
    stay.room_type_id = room_type_id or stay.room_type_id
    stay.version += 1
    words = ("guest_name", "guest_email", "guest_phone", "external_id", "external_code")
    said = {name: getattr(stay, name) for name in (*words, "partner_ref")}
    stay.search_text = reservation_copies.search_text(said, room_name)
    before = {"accommodation_id": None if had is None else str(had)}
    after = {"accommodation_id": str(room_id)}
    deed = "update" if had is None else "move"
    audit.record(session, actor, deed, "reservation", stay.id, before, after)


def _settle(session: Session, stays: Sequence[Reservation], actor: Actor) -> None:
    """What follows from new rooms: PINs, the rooms' status, and no alert any more."""
    if not stays:
        return
    session.flush()
    ids = list({stay.id for stay in stays})
    alerts.resolve(session, "pin_late", *(f"{SUBJECT}{id_}" for id_ in ids))
    pin_plan.plan(session, reservations=ids)
    room_status.follow(session, reservations=ids, actor=actor.label)
    log.info("rooms_assigned", reservations=[str(id_) for id_ in ids])


def _calm(session: Session, now: datetime) -> None:
    """Close what we said about stays that are over, or have a room from somebody else."""
    said = {
        UUID(subject.removeprefix(SUBJECT)): subject
        for subject in session.scalars(
            select(Alert.subject).where(
                Alert.kind == "pin_late",
                Alert.status != "resolved",
                Alert.title.startswith(NO_ROOM),
                Alert.subject.startswith(SUBJECT),
            )
        )
    }
    if said:
        waiting = session.scalars(
            select(Reservation.id).where(among(Reservation.id, said), *_roomless(now))
        )
        over = said.keys() - set(waiting)
        alerts.resolve(session, "pin_late", *(said[id_] for id_ in over))


def _alert(session: Session, stay: Reservation, room_type: RoomType) -> None:
    alerts.raise_alert(
        session,
        "pin_late",
        f"{SUBJECT}{stay.id}",
        "critical",
        f"{NO_ROOM} of type {room_type.name} for {stay.ref}",
        "Free a room of this type, or give the booking another one in the channel it came from.",
    )
