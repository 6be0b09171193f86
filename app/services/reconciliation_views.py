"""What the reconciliation pages show beside the runs themselves: days, tries, names of a plan."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Date, cast, func, or_, select
from sqlalchemy.dialects.postgresql import distinct_on

from app import clock
from app.domain.states import RunStatus
from app.models import (
    Accommodation,
    ReconciliationFailure,
    ReconciliationLog,
    Reservation,
    RoomType,
    User,
    VendorState,
)
from app.models.columns import among
from app.models.reconciliation import RUN_KINDS
from app.transaction import transaction

#: what ran longer ago than this says nothing about how things are
LATELY = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Day:
    """The runs of one day at the property."""

    day: date
    succeeded: int = 0
    failed: int = 0
    created: int = 0
    updated: int = 0
    orphaned: int = 0
    errors: int = 0
    deleted: int = 0
    flagged: int = 0

    @property
    def success_rate(self) -> float | None:
        """The share of ended runs that succeeded; None on a day without any."""
        ended = self.succeeded + self.failed
        return self.succeeded / ended if ended else None


def days(
    kind: str, timezone: str, count: int = 14, *, property_id: UUID | None = None
) -> list[Day]:
    """The last `count` days up to today, oldest first; days without runs are there too. Of every
    property or of one."""
    row = ReconciliationLog
    today = clock.local_today(timezone)
    first = today - timedelta(days=count - 1)
    since = datetime.combine(first, time(), ZoneInfo(timezone))
    local_day = cast(func.timezone(timezone, row.started_at), Date)
    with transaction() as session:
        found = session.execute(
            select(
                local_day.label("day"),
                func.count().filter(row.status == RunStatus.SUCCESS),
                func.count().filter(row.status == RunStatus.FAILED),
                func.sum(row.created),
                func.sum(row.updated),
                func.sum(row.orphaned),
                func.sum(row.errors),
                func.sum(row.deleted),
                func.sum(row.flagged),
            )
            .where(
                row.kind == kind,
                row.dry_run.is_(False),
                row.started_at >= since,
                *([] if property_id is None else [row.property_id == property_id]),
            )
            .group_by(local_day)
        ).all()
    known = {day: Day(day, *(int(n or 0) for n in numbers)) for day, *numbers in found}
    wanted = (first + timedelta(days=n) for n in range(count))
    return [known.get(day, Day(day)) for day in wanted]


def tries(run_id: UUID) -> Sequence[ReconciliationLog]:
    """The run with the tries before and after it, first try first."""
    row = ReconciliationLog
    with transaction() as session:
        run = session.get_one(row, run_id)
        chain = [run]
        while chain[0].retry_of is not None:
            earlier = session.get(row, chain[0].retry_of)
            if earlier is None:
                break
            chain.insert(0, earlier)
        while True:
            later = session.scalars(
                select(row).where(
                    row.kind == run.kind,
                    row.retry_of == chain[-1].id,
                    row.started_at >= chain[-1].started_at,
                )
            ).first()
            if later is None:
                return chain
            chain.append(later)


@dataclass(frozen=True, slots=True)
class Reach:
    """Whether a channel answers: `as_of` is how fresh our copies are."""

    failing_since: datetime | None
    error_kind: str | None
    as_of: datetime | None


def reach(kind: str, channel: str, property_id: UUID | None = None) -> Reach:
    """What the last calls to the channel, and the last good run, have shown; of several properties
    the one that was compared last."""
    with transaction() as session:
        state = session.get(VendorState, channel)
        as_of = session.scalar(
            select(func.max(ReconciliationLog.started_at)).where(
                ReconciliationLog.kind == kind,
                ReconciliationLog.status == RunStatus.SUCCESS,
                ReconciliationLog.dry_run.is_(False),
                *([] if property_id is None else [ReconciliationLog.property_id == property_id]),
            )
        )
    if state is None:
        return Reach(None, None, as_of)
    return Reach(state.failing_since, state.last_error_kind, as_of)


@dataclass(frozen=True, slots=True)
class Stand:
    """The last run of a kind that ended, at one property or for the whole account, and the one
    that is under way."""

    kind: str
    property_id: UUID | None
    last: ReconciliationLog | None = None
    running: ReconciliationLog | None = None


def stands(properties: Collection[UUID]) -> list[Stand]:
    """How each kind stands with the accounts as a whole and at each of these properties, as far as
    it ran lately; one statement."""
    row = ReconciliationLog
    under_way = row.completed_at.is_(None)
    with transaction() as session:
        found = session.scalars(
            select(row)
            .ext(distinct_on(row.kind, row.property_id, under_way))
            .where(
                row.kind.in_(RUN_KINDS),
                row.dry_run.is_(False),
                row.started_at >= clock.utcnow() - LATELY,
                or_(row.property_id.is_(None), among(row.property_id, properties)),
            )
            .order_by(row.kind, row.property_id, under_way, row.started_at.desc(), row.id.desc())
        ).all()
    last = {(r.kind, r.property_id): r for r in found if r.status != RunStatus.PENDING}
    running = {(r.kind, r.property_id): r for r in found if r.status == RunStatus.PENDING}
    return [Stand(*key, last.get(key), running.get(key)) for key in {**last, **running}]


def left_out(channel: str, limit: int = 50) -> Sequence[ReconciliationFailure]:
    """Reservations that could not be taken in; every run asks for them again (C-08)."""
    with transaction() as session:
        return session.scalars(
            select(ReconciliationFailure)
            .where(ReconciliationFailure.channel == channel)
            .order_by(ReconciliationFailure.last_failed_at.desc(), ReconciliationFailure.id)
            .limit(limit)
        ).all()


def starters(runs: Collection[ReconciliationLog]) -> dict[UUID, str]:
    """The names of the people who started these runs."""
    ids = {run.requested_by for run in runs if run.requested_by is not None}
    if not ids:
        return {}
    with transaction() as session:
        people = session.scalars(select(User).where(among(User.id, ids)))
        return {person.id: person.display_name for person in people}


@dataclass(frozen=True, slots=True)
class Names:
    """Who, which room and which room type the items of a plan are about, by id; `arrived` are the
    new bookings that have become stays since, by the channel's id."""

    guests: dict[str, str | None]
    rooms: dict[str, Accommodation]
    room_types: dict[str, str]
    arrived: dict[str, str]


def names(items: Sequence[dict[str, Any]], channel: str) -> Names:
    """Guests, rooms and room types by id, in three statements, in four where a plan of `channel`
    has new bookings: a plan itself keeps no guest."""
    new = {item["external_id"] for item in items if item["action"] == "create"}
    stays = [UUID(item["reservation_id"]) for item in items if item.get("reservation_id")]
    sides = [side for item in items for side in (item.get("from"), item.get("to"))]
    told = [side for side in sides if isinstance(side, dict)]
    with transaction() as session:
        arrived = (
            session.execute(
                select(Reservation.external_id, Reservation.id).where(
                    Reservation.channel == channel,
                    among(Reservation.external_id, new),
                    Reservation.unit_no == 1,
                )
            ).all()
            if new
            else ()
        )
        stays += [id_ for _, id_ in arrived]
        guests = session.execute(
            select(Reservation.id, Reservation.guest_name).where(among(Reservation.id, stays))
        ).all()
        rooms = session.scalars(
            select(Accommodation).where(among(Accommodation.id, _ids(told, "accommodation_id")))
        ).all()
        kinds = session.execute(
            select(RoomType.id, RoomType.name).where(
                among(RoomType.id, _ids([*told, *items], "room_type_id"))
            )
        ).all()
    return Names(
        {str(id_): name for id_, name in guests},
        {str(room.id): room for room in rooms},
        {str(id_): name for id_, name in kinds},
        {ref: str(id_) for ref, id_ in arrived if ref is not None},
    )


def _ids(things: Sequence[dict[str, Any]], name: str) -> set[UUID]:
    return {UUID(thing[name]) for thing in things if thing.get(name)}
