"""Whether we keep what we promise: PINs on time, none left behind, events and runs when due."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from croniter import croniter
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Date,
    DateTime,
    ScalarSelect,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.orm import Session

from app import clock
from app.domain.states import (
    NEEDS_PIN,
    WANTED,
    CredentialState,
    EventStatus,
    ReservationStatus,
    RunStatus,
)
from app.models import (
    Accommodation,
    ChannelEvent,
    ChannelProperty,
    Credential,
    Property,
    ReconciliationLog,
    Reservation,
)
from app.services import list_args
from app.services.paging import Page, page_args
from app.transaction import transaction

#: what a booking that comes at the last moment leaves us: taken in, made, and sent to the lock
NOTICE = timedelta(minutes=10)
#: a lock is read every minute for so long before a PIN that should be gone is news (INTERFACES §9)
REMOVAL = timedelta(minutes=15)
#: a run that begins later than this after its slot was not on time
PUNCTUAL = timedelta(minutes=10)
#: stays that were owed a PIN when they began, whatever became of them
OWED = (*NEEDS_PIN, ReservationStatus.CHECKED_OUT, ReservationStatus.NO_SHOW)


@dataclass(frozen=True, slots=True)
class PinLevel:
    """Of the stays that have begun: whose PIN was on the lock in time, late, or not at all."""

    on_time: int = 0
    late: int = 0
    never: int = 0

    @property
    def total(self) -> int:
        return self.on_time + self.late + self.never

    @property
    def share(self) -> float | None:
        """On time, of all; None before the first stay."""
        return self.on_time / self.total if self.total else None


@dataclass(frozen=True, slots=True)
class MissedPin:
    """A stay that had no PIN on its lock when it began; `installed_at` is when one came after
    all."""

    reservation: Reservation
    house: Property
    accommodation: Accommodation | None
    installed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Levels:
    """The figures of the last `days`. Nothing should be left behind, at any moment; `still_open`
    are those that open a door."""

    days: int
    pins: PinLevel
    left_behind: int
    still_open: int
    events_done: int
    events_failed: int
    oldest_event: timedelta | None  # age of the oldest one nobody has dealt with; None: none waits
    runs_due: int
    runs_on_time: int

    @property
    def event_share(self) -> float | None:
        """Events that were dealt with, of those that ended; None when none did."""
        ended = self.events_done + self.events_failed
        return self.events_done / ended if ended else None

    @property
    def run_share(self) -> float | None:
        """Scheduled runs that succeeded on time; None when none was due."""
        return self.runs_on_time / self.runs_due if self.runs_due else None


def levels(days: int = 7, property_id: UUID | None = None, *, cron: str | None) -> Levels:
    """How the last `days` went, at one property or all of them, in five statements.

    `cron` (UTC) is when the run with Stays is due, None when it never is; runs concern every
    property.
    """
    now = clock.utcnow()
    since = now - timedelta(days=days)
    with transaction() as session:
        done, failed, oldest = _events(session, since, property_id)
        due, on_time = (0, 0) if cron is None else _runs(session, cron, since, now)
        left, opening = left_behind(session, now, property_id)
        return Levels(
            days=days,
            pins=pin_level(session, since, now, property_id),
            left_behind=left,
            still_open=opening,
            events_done=done,
            events_failed=failed,
            oldest_event=None if oldest is None else max(now - oldest, timedelta()),
            runs_due=due,
            runs_on_time=on_time,
        )


def pins_by_day(days: int, timezone: str, property_id: UUID | None = None) -> dict[date, PinLevel]:
    """The stays that began on each of the last `days` in that zone; days without any are absent."""
    now = clock.utcnow()
    since = now - timedelta(days=days)
    day = cast(func.timezone(timezone, Reservation.check_in_at), Date)
    with transaction() as session:
        rows = session.execute(
            select(day.label("day"), *_pin_counts())
            .where(*_begun(since, now, property_id))
            .group_by(day)
        )
        return {row[0]: PinLevel(row[1], row[2], row[3]) for row in rows}


def pins_by_slot(edges: Sequence[datetime], property_id: UUID | None = None) -> list[PinLevel]:
    """The stays that began between each two of these moments, in one statement."""
    now = clock.utcnow()
    bounds = ARRAY(DateTime(timezone=True))
    # A slot has its first moment, where `_begun` counts from just after it.
    since = edges[0] - timedelta(microseconds=1)
    slot = func.width_bucket(Reservation.check_in_at, cast(literal(list(edges), bounds), bounds))
    with transaction() as session:
        rows = session.execute(
            select(slot.label("slot"), *_pin_counts())
            .where(*_begun(since, min(now, edges[-1]), property_id))
            .group_by("slot")
        )
        found = {row[0]: PinLevel(row[1], row[2], row[3]) for row in rows}
    return [found.get(number, PinLevel()) for number in range(1, len(edges))]


def left_behind(
    session: Session, now: datetime, property_id: UUID | None = None
) -> tuple[int, int]:
    """PINs past their end that no lock has proven gone, after the time a removal takes; and those
    of them that still open, because their lock was told a later end."""
    told = func.coalesce(Credential.sent_until, Credential.expires_at)
    statement = select(func.count(), func.count().filter(told > now)).where(
        Credential.state.in_((*WANTED, CredentialState.REVOKING)),
        Credential.installed_at.is_not(None),
        Credential.expires_at <= now - REMOVAL,
    )
    if property_id:
        stays = select(Reservation.id).where(Reservation.property_id == property_id)
        statement = statement.where(Credential.reservation_id.in_(stays))
    left, opening = session.execute(statement).one()
    return left, opening


def _begun(
    since: datetime, now: datetime, property_id: UUID | None
) -> tuple[ColumnElement[bool], ...]:
    return (
        Reservation.check_in_at > since,
        Reservation.check_in_at <= now,
        Reservation.created_at <= now - NOTICE,  # its time is not over yet
        Reservation.status.in_(OWED),
        *([Reservation.property_id == property_id] if property_id else []),
    )


def _promised() -> ColumnElement[datetime]:
    return func.greatest(Reservation.check_in_at, Reservation.created_at + NOTICE)


def _installed() -> ScalarSelect[datetime | None]:
    """When a stay first had a PIN on a lock."""
    return (
        select(func.min(Credential.first_installed_at))
        .where(
            Credential.reservation_id == Reservation.id,
            # One that was taken off before the guest came opened nothing for them.
            or_(Credential.revoked_at.is_(None), Credential.revoked_at > Reservation.check_in_at),
        )
        .correlate(Reservation)
        .scalar_subquery()
    )


def _pin_counts() -> tuple[ColumnElement[int], ColumnElement[int], ColumnElement[int]]:
    promised, installed = _promised(), _installed()
    return (
        func.count().filter(installed <= promised),
        func.count().filter(installed > promised),
        func.count().filter(installed.is_(None)),
    )


def missed(args: Mapping[str, str], days: int, property_id: UUID | None = None) -> Page[MissedPin]:
    """A page of the stays of the last `days` whose PIN came late or never, the latest first; with
    `only=never` in `args`, those that never had one. Raises Invalid."""
    page, limit = page_args(args, default_limit=25)
    only = list_args.choice(args, "only", ("never", "late"))
    now = clock.utcnow()
    installed, promised = _installed(), _promised()
    wanted = {
        "never": installed.is_(None),
        "late": installed > promised,
        None: or_(installed.is_(None), installed > promised),
    }[only]
    conditions = (*_begun(now - timedelta(days=days), now, property_id), wanted)
    with transaction() as session:
        total = session.scalar(select(func.count()).select_from(Reservation).where(*conditions))
        rows = session.execute(
            select(Reservation, Property, Accommodation, installed)
            .join(Property, Property.id == Reservation.property_id)
            .outerjoin(Accommodation, Accommodation.id == Reservation.accommodation_id)
            .where(*conditions)
            .order_by(Reservation.check_in_at.desc(), Reservation.id)
            .limit(limit)
            .offset((page - 1) * limit)
        ).all()
    return Page([MissedPin(*row) for row in rows], page, limit, total or 0)


def pin_level(
    session: Session, since: datetime, now: datetime, property_id: UUID | None = None
) -> PinLevel:
    """The stays that have begun between two moments."""
    counts = select(*_pin_counts()).where(*_begun(since, now, property_id))
    row = session.execute(counts).one()
    return PinLevel(row[0], row[1], row[2])


def _events(
    session: Session, since: datetime, property_id: UUID | None
) -> tuple[int, int, datetime | None]:
    recent = ChannelEvent.received_at >= since
    waits = ChannelEvent.status.in_(
        (EventStatus.RECEIVED, EventStatus.PROCESSING, EventStatus.RETRYING)
    )
    statement = select(
        func.count().filter(and_(recent, ChannelEvent.status == EventStatus.DONE)),
        func.count().filter(and_(recent, ChannelEvent.status == EventStatus.FAILED)),
        func.min(case((waits, ChannelEvent.received_at))),
    ).where(or_(recent, waits))
    if property_id:
        statement = statement.where(
            ChannelEvent.channel_property_id.in_(
                select(ChannelProperty.id).where(ChannelProperty.property_id == property_id)
            )
        )
    done, failed, oldest = session.execute(statement).one()
    return done, failed, oldest


def _runs(session: Session, cron: str, since: datetime, now: datetime) -> tuple[int, int]:
    """Slots of the schedule since the first run there ever was, and those that were met."""
    run = ReconciliationLog
    first = session.scalar(
        select(func.min(run.started_at)).where(run.kind == "stays", run.dry_run.is_(False))
    )
    if first is None:
        return 0, 0
    good = sorted(
        session.scalars(
            select(run.started_at).where(
                run.kind == "stays",
                run.dry_run.is_(False),
                run.status == RunStatus.SUCCESS,
                run.started_at >= since,
            )
        )
    )
    due = met = 0
    slots = croniter(cron, max(since, first))
    while (slot := slots.get_next(datetime)) + PUNCTUAL <= now:
        due += 1
        index = bisect_left(good, slot)
        met += index < len(good) and good[index] < slot + PUNCTUAL
    return due, met
