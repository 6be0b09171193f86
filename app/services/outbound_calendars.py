"""Tell Beds24 free units and prices: several room types in one call, computed as it is made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app import clock
from app.domain import channel_rooms
from app.domain.date_ranges import Range, clipped, merged, nights
from app.domain.states import EventStatus
from app.integrations.channels import beds24_items
from app.integrations.channels.beds24 import Beds24Client
from app.integrations.channels.beds24_writes import Written
from app.models import ChannelEvent, ChannelMapping, Rate
from app.models.columns import among
from app.services import availability, event_rows, outbound, outbound_claims
from app.services.event_rows import Work
from app.services.outbound_bookings import note_success
from app.services.outbound_places import Connected, connected
from app.services.outbound_rows import of
from app.transaction import transaction

log = structlog.get_logger(__name__)

#: room types one call tells of; a year of each is a small part of what Beds24 takes (§1)
AT_ONCE = 40
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Push:
    """One call: an item per room, and the events that it settles, by the room's id there."""

    items: Mapping[str, Mapping[str, Any]]
    works: Mapping[str, Sequence[Work]]
    mended: Mapping[str, Sequence[UUID]]  # dead letters whose nights are among them
    idle: Sequence[Work] = field(default_factory=tuple)  # nothing of it can be said any more


def load(works: Sequence[Work]) -> Push:
    """What is true now of the nights that these events tell of, all of one type."""
    kind = works[0].event_type
    with transaction() as session:
        rows = {
            row.id: row
            for row in session.scalars(
                select(ChannelEvent).where(among(ChannelEvent.id, [work.id for work in works]))
            )
        }
        types = {row.entity_internal_id for row in rows.values() if row.entity_internal_id}
        rooms = {room.room_type_id: room for room in connected(session, types) if room.room_ref}
        wanted: dict[UUID, list[Range]] = defaultdict(list)
        by_room: dict[str, list[Work]] = defaultdict(list)
        idle: list[Work] = []
        for work in works:
            room = rooms.get(rows[work.id].entity_internal_id or work.id)
            if room is None or room.room_ref is None:
                idle.append(work)
                continue
            wanted[room.room_type_id] += outbound.ranges_of(rows[work.id].payload)
            by_room[room.room_ref].append(work)
        mended = _failed(session, kind, rooms.values(), wanted)
        spans = {id_: span for id_ in wanted if (span := _within_horizon(rooms[id_], wanted[id_]))}
        say = _free_units if kind == outbound.AVAILABILITY else _prices
        said = say(session, spans)
    items: dict[str, Mapping[str, Any]] = {}
    for id_, days in said.items():
        room_ref = rooms[id_].room_ref or ""
        item = beds24_items.calendar(room_ref, days)
        if item is not None:
            items[room_ref] = item
    for room_ref in by_room.keys() - items.keys():
        idle += by_room[room_ref]
    return Push(items, {ref: by_room[ref] for ref in items}, mended, idle)


def send(client: Beds24Client, push: Push, key: str) -> dict[str, Written]:
    """One result per room. Sending it twice changes nothing."""
    if not push.items:
        return {}
    written = client.push_calendar(list(push.items.values()), idempotency_key=key)
    return dict(zip(push.items, written, strict=True))


def record(push: Push, results: Mapping[str, Written]) -> list[tuple[Work, str]]:
    """End the events whose room was taken, and those there is nothing to say of; the others are
    returned with the reason."""
    now = clock.utcnow()
    refused: list[tuple[Work, str]] = []
    with transaction() as session:
        for room_ref, written in results.items():
            if not written.ok:
                fields = ", ".join(written.fields) or "no field"
                reason = f"Beds24 did not take the nights of room {room_ref}: {fields}"
                refused += [(work, reason) for work in push.works[room_ref]]
                continue
            detail = {"outcome": "done", **push.items[room_ref]}
            if written.warnings:
                detail["warnings"] = list(written.warnings)
            for work in push.works[room_ref]:
                event_rows.finish(session, work, outcome="done", normalized=detail)
                note_success(session, work.channel_property_id, now)
            _close(session, push.mended.get(room_ref, ()), push.works[room_ref][0].id)
        for work in push.idle:
            event_rows.finish(
                session,
                work,
                status=EventStatus.IGNORED,
                outcome="ignored",
                normalized={"outcome": "nothing_to_say"},
            )
        for works in push.works.values():
            for work in works:
                outbound_claims.wake_followers(session, session.get_one(ChannelEvent, work.id))
    log.info("nights_delivered", rooms=len(results) - len(refused), refused=len(refused))
    return refused


def _within_horizon(room: Connected, ranges: Iterable[Range]) -> list[Range]:
    today = clock.local_today(room.timezone)
    return clipped(merged(ranges), today, today + timedelta(days=outbound.HORIZON_DAYS))


def _free_units(
    session: Session, spans: Mapping[UUID, Sequence[Range]]
) -> dict[UUID, list[tuple[date, dict[str, Any]]]]:
    """By the one function that bookings and comparisons use as well (C-29). Beds24 is not told of
    less than none: an overbooked night is full."""
    if not spans:
        return {}
    first = min(span[0][0] for span in spans.values())
    last = max(span[-1][1] for span in spans.values())
    counted = availability.nights(session, list(spans), first, last + _DAY)
    found: dict[UUID, list[tuple[date, dict[str, Any]]]] = {}
    for id_, ranges in spans.items():
        free = {night.date: night.available for night in counted.get(id_, ())}
        found[id_] = [
            (day, {"numAvail": max(free[day], 0)}) for day in nights(ranges) if day in free
        ]
    return found


def _prices(
    session: Session, spans: Mapping[UUID, Sequence[Range]]
) -> dict[UUID, list[tuple[date, dict[str, Any]]]]:
    """The nights that have a price here. One without is left as Beds24 has it: it may be priced
    there."""
    if not spans:
        return {}
    first = min(span[0][0] for span in spans.values())
    last = max(span[-1][1] for span in spans.values())
    names = _price_names(session, list(spans))
    known: dict[tuple[UUID, date], dict[str, Any]] = {}
    for rate in session.scalars(
        select(Rate).where(
            among(Rate.room_type_id, list(spans)), Rate.date >= first, Rate.date <= last
        )
    ):
        said: dict[str, Any] = {names[rate.room_type_id]: float(rate.price)}
        if rate.min_stay is not None:
            said["minStay"] = rate.min_stay
        known[rate.room_type_id, rate.date] = said
    return {
        id_: [(day, known.get((id_, day), {})) for day in nights(ranges)]
        for id_, ranges in spans.items()
    }


def _price_names(session: Session, room_type_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Which of a room's sixteen prices is ours: the one its rate mapping names, else the first."""
    mapped = session.execute(
        select(ChannelMapping.internal_id, ChannelMapping.external_id).where(
            ChannelMapping.mapping_type == "rate",
            ChannelMapping.is_active,
            among(ChannelMapping.internal_id, room_type_ids),
        )
    )
    numbers = {id_: channel_rooms.split(ref)[1] for id_, ref in mapped}
    return {id_: f"price{numbers.get(id_) or 1}" for id_ in room_type_ids}


def _failed(
    session: Session, kind: str, rooms: Iterable[Connected], wanted: dict[UUID, list[Range]]
) -> dict[str, list[UUID]]:
    """Dead letters about the same room types: their nights go with these, which mends them."""
    mended: dict[str, list[UUID]] = defaultdict(list)
    for room in rooms:
        if room.channel_property_id is None or room.room_ref is None:
            continue
        for row in session.scalars(
            select(ChannelEvent).where(
                *of(room.channel_property_id, "room_type", room.room_type_id),
                ChannelEvent.event_type == kind,
                ChannelEvent.status == EventStatus.FAILED,
            )
        ):
            wanted[room.room_type_id] += outbound.ranges_of(row.payload)
            mended[room.room_ref].append(row.id)
    return mended


def _close(session: Session, ids: Sequence[UUID], by: UUID) -> None:
    if ids:
        session.execute(
            update(ChannelEvent)
            .where(among(ChannelEvent.id, ids), ChannelEvent.status == EventStatus.FAILED)
            .values(
                status=EventStatus.IGNORED,
                processed_at=clock.utcnow(),
                normalized_payload={"outcome": "superseded", "by": str(by)},
            )
            .execution_options(synchronize_session=False)
        )
