"""What the reconciliation pages show beside the runs themselves: days, tries, names of a plan."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Date, cast, func, select

from app import clock
from app.domain.states import RunStatus
from app.models import (
    Accommodation,
    ReconciliationFailure,
    ReconciliationLog,
    Reservation,
    User,
    VendorState,
)
from app.models.columns import among
from app.transaction import transaction


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

    @property
    def success_rate(self) -> float | None:
        """The share of ended runs that succeeded; None on a day without any."""
        ended = self.succeeded + self.failed
        return self.succeeded / ended if ended else None


def days(kind: str, timezone: str, count: int = 14) -> list[Day]:
    """The last `count` days up to today, oldest first; days without runs are there too."""
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
            )
            .where(row.kind == kind, row.dry_run.is_(False), row.started_at >= since)
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


def reach(kind: str, channel: str) -> Reach:
    """What the last calls to the channel, and the last good run, have shown."""
    with transaction() as session:
        state = session.get(VendorState, channel)
        as_of = session.scalar(
            select(func.max(ReconciliationLog.started_at)).where(
                ReconciliationLog.kind == kind,
                ReconciliationLog.status == RunStatus.SUCCESS,
                ReconciliationLog.dry_run.is_(False),
            )
        )
    if state is None:
        return Reach(None, None, as_of)
    return Reach(state.failing_since, state.last_error_kind, as_of)


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
    """Who and which room the items of a plan are about."""

    guests: dict[str, str | None]
    rooms: dict[str, Accommodation]


def names(items: Sequence[dict[str, Any]]) -> Names:
    """Guests by reservation id and rooms by id: a plan itself keeps no guest data."""
    stays = [UUID(item["reservation_id"]) for item in items if item.get("reservation_id")]
    sides = [item.get(side) or {} for item in items for side in ("from", "to")]
    rooms = {UUID(side["accommodation_id"]) for side in sides if side.get("accommodation_id")}
    with transaction() as session:
        guests = session.execute(
            select(Reservation.id, Reservation.guest_name).where(among(Reservation.id, stays))
        ).all()
        found = session.scalars(select(Accommodation).where(among(Accommodation.id, rooms))).all()
    return Names({str(id_): name for id_, name in guests}, {str(room.id): room for room in found})
