"""The list of locks as its page shows it: room, state, battery, and what should be on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select

from app import clock
from app.domain.pins import mask
from app.domain.states import WANTED, CredentialState
from app.errors import NotFound
from app.models import Accommodation, Credential, Lock, LockMapping, Property, Reservation
from app.services import list_args, lock_health
from app.services.list_search import matching, natural
from app.services.paging import Page, page_args
from app.transaction import transaction

VIEWS = ("all", "problems", "unmapped")


@dataclass(frozen=True, slots=True)
class LockRow:
    """A lock with its room, and how many PINs are on it and should be."""

    lock: Lock
    accommodation: Accommodation | None
    house: Property | None
    on_it: int
    wanted: int

    @property
    def state(self) -> str:
        """gone, silent, battery, unknown, online, asleep or offline: the one that matters most.

        A battery Wi-Fi lock is offline between uses; that is sleep, not trouble (tuya.md §7).
        """
        lock = self.lock
        found = lock_health.troubles(lock, clock.utcnow())
        if found:
            return str(found[0][0])
        if lock.online is None:
            return "unknown"
        if lock.online:
            return "online"
        return "asleep" if lock.radio == "wifi" else "offline"

    @property
    def differs(self) -> bool:
        """Whether a PIN is not yet on the lock, or not yet off it."""
        return self.on_it != self.wanted

    @property
    def is_read(self) -> bool:
        """Whether what is said about the PINs rests on an answer of the lock."""
        return self.lock.silent_since is None and self.lock.gone_since is None


@dataclass(frozen=True, slots=True)
class Believed:
    """One PIN of ours on a lock; the digits stay where they are."""

    reservation_id: UUID | None
    guest: str | None
    masked: str
    state: str
    valid_from: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Filter:
    """What the page asks for."""

    view: str = "all"
    q: str | None = None
    property_id: UUID | None = None
    page: int = 1
    limit: int = 25

    @classmethod
    def from_args(cls, args: Mapping[str, str], property_id: UUID | None) -> Filter:
        """Raises Invalid naming a faulty parameter."""
        view = list_args.choice(args, "view", VIEWS) or "all"
        page, limit = page_args(args, max_limit=100, default_limit=25)
        return cls(view, list_args.word(args, "q"), property_id, page, limit)


@dataclass(frozen=True, slots=True)
class Locks:
    """One page of the list, how many stand under each tab, and when the vendor was read last."""

    page: Page[LockRow]
    counts: Mapping[str, int]
    refreshed_at: datetime | None
    exist: bool


def search(filters: Filter) -> Locks:
    """One page and the tabs' counts, in two statements.

    A lock without a room belongs to no property: it stands in the list of each.
    """
    where = matching(
        filters.q,
        Lock.name,
        Lock.device_id,
        func.coalesce(Lock.location, ""),
        func.coalesce(Accommodation.name, ""),
        func.coalesce(Accommodation.number, ""),
    )
    if filters.property_id:
        here = Accommodation.property_id == filters.property_id
        where.append(or_(here, Accommodation.id.is_(None)))
    on_it, wanted = _pins()
    trouble = _trouble(on_it, wanted)
    views: dict[str, ColumnElement[bool]] = {
        "problems": trouble,
        "unmapped": Accommodation.id.is_(None),
    }
    with transaction() as session:
        counted = session.execute(
            _joined(
                func.count().label("all"),
                *(func.count().filter(shown).label(name) for name, shown in views.items()),
                select(func.max(Lock.refreshed_at)).scalar_subquery().label("refreshed_at"),
                select(select(Lock.id).exists()).scalar_subquery().label("exist"),
            ).where(*where)
        ).one()
        counts = {name: int(getattr(counted, name)) for name in VIEWS}
        if filters.view in views:
            where.append(views[filters.view])
        rows = session.execute(
            _joined(Lock, Accommodation, Property, on_it, wanted)
            .where(*where)
            .order_by(
                trouble.desc(),
                Property.name.nulls_last(),
                *natural(func.coalesce(Accommodation.number, Accommodation.name, Lock.name)),
                Lock.id,
            )
            .limit(filters.limit)
            .offset((filters.page - 1) * filters.limit)
        ).all()
    found: Sequence[LockRow] = [LockRow(*row) for row in rows]
    page = Page(found, filters.page, filters.limit, counts[filters.view])
    return Locks(page, counts, counted.refreshed_at, bool(counted.exist))


def get(lock_id: UUID) -> LockRow:
    """One lock with what belongs to it. Raises NotFound."""
    on_it, wanted = _pins()
    with transaction() as session:
        row = session.execute(
            _joined(Lock, Accommodation, Property, on_it, wanted).where(Lock.id == lock_id)
        ).one_or_none()
    if row is None:
        raise NotFound("no such lock")
    return LockRow(*row)


def believed(lock_id: UUID) -> Sequence[Believed]:
    """The PINs that are on the lock, or on their way to or from it, as we know it."""
    rows = (
        select(
            Credential.reservation_id,
            Reservation.guest_name,
            Credential.pin_last2,
            Credential.state,
            Credential.valid_from,
            Credential.expires_at,
        )
        .outerjoin(Reservation, Reservation.id == Credential.reservation_id)
        .where(
            Credential.lock_id == lock_id,
            (Credential.state == CredentialState.REVOKING)
            | (Credential.state.in_(WANTED) & (Credential.expires_at > clock.utcnow())),
        )
        .order_by(Credential.valid_from, Credential.id)
    )
    with transaction() as session:
        found = session.execute(rows).all()
    return [
        Believed(key, guest, mask(last2), state, starts, ends)
        for key, guest, last2, state, starts, ends in found
    ]


def _pins() -> tuple[Any, Any]:
    """PINs on the lock as far as we know, and PINs that should be there."""
    now = clock.utcnow()
    here = select(func.count()).select_from(Credential).where(Credential.lock_id == Lock.id)
    may_open = (CredentialState.INSTALLED, CredentialState.REVOKING)
    on_it = here.where(Credential.state.in_(may_open), Credential.installed_at.is_not(None))
    wanted = here.where(Credential.state.in_(WANTED), Credential.expires_at > now)
    return on_it.scalar_subquery(), wanted.scalar_subquery()


def _trouble(on_it: Any, wanted: Any) -> ColumnElement[bool]:
    """What `LockRow.state` and `differs` call trouble, as SQL."""
    now = clock.utcnow()
    unanswered = Lock.silent_since <= now - lock_health.UNANSWERED
    quiet = [
        (Lock.radio == radio) & (Lock.offline_since <= now - patience)
        for radio, patience in lock_health.SILENCE.items()
    ]
    low = Lock.low_battery | (Lock.battery <= lock_health.LOW_BATTERY)
    found = or_(Lock.gone_since.is_not(None), unanswered, *quiet, low, on_it != wanted)
    return func.coalesce(found, False)  # NULL where a moment is not known


def _joined(*columns: Any) -> Any:
    return (
        select(*columns)
        .select_from(Lock)
        .outerjoin(LockMapping, LockMapping.lock_id == Lock.id)
        .outerjoin(Accommodation, Accommodation.id == LockMapping.accommodation_id)
        .outerjoin(Property, Property.id == Accommodation.property_id)
    )
