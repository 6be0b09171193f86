"""What a property still needs before its doors open by PIN, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.domain.states import RunStatus
from app.errors import NotFound
from app.integrations import locks
from app.models import (
    Accommodation,
    AccommodationSync,
    ChannelProperty,
    Lock,
    LockMapping,
    LockTest,
    Property,
)
from app.runtime import settings
from app.services import vendors
from app.transaction import transaction


class StepName(StrEnum):
    """In the order in which one builds on the other."""

    CONNECT = "connect"
    SYNC = "sync"
    LOCKS = "locks"
    MATCH = "match"
    TEST = "test"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `missing` are words for what is not there yet, each with how many."""

    name: StepName
    done: bool
    missing: tuple[str, ...] = ()
    count: int = 0


@dataclass(frozen=True, slots=True)
class Onboarding:
    """All steps of one property; `current` is the first that is not done, None when all are."""

    house: Property
    steps: tuple[Step, ...]

    @property
    def current(self) -> Step | None:
        return next((step for step in self.steps if not step.done), None)

    @property
    def finished(self) -> bool:
        return self.current is None


def steps(property_id: UUID) -> Onboarding:
    """Where the property stands, read from what is there: nothing is ticked by hand.

    Raises NotFound.
    """
    with transaction() as session:
        house = session.get(Property, property_id)
        if house is None:
            raise NotFound("no such property")
        found = [
            _connect(session, property_id),
            _sync(session, property_id),
            _locks(session),
            *_doors(session, property_id),
        ]
    open_steps = sum(not step.done for step in found)
    found.append(Step(StepName.DONE, open_steps == 0, count=open_steps))
    return Onboarding(house, tuple(found))


def _connect(session: Session, property_id: UUID) -> Step:
    """A channel that brings stays, and an account that reaches locks; both have answered."""
    missing: list[str] = []
    connected = session.scalar(
        select(func.count())
        .select_from(ChannelProperty)
        .where(ChannelProperty.property_id == property_id, ChannelProperty.status == "active")
    )
    if not connected:
        missing.append("channel")
    elif settings().stays_configured and _failing(session, "stays"):
        missing.append("channel_answer")
    accounts = [name for name, vendor in locks.KNOWN.items() if vendor.ready(settings())]
    if not accounts:
        missing.append("lock_vendor")
    elif all(_failing(session, vendor) for vendor in accounts):
        missing.append("lock_vendor_answer")
    return Step(StepName.CONNECT, not missing, tuple(missing), len(missing))


def _failing(session: Session, vendor: str) -> bool:
    known = vendors.state(session, vendor)
    return known is not None and known.failing_since is not None


def _sync(session: Session, property_id: UUID) -> Step:
    """Units to sleep in; by a sync, a file or by hand."""
    units = session.scalar(
        select(func.count())
        .select_from(Accommodation)
        .where(Accommodation.property_id == property_id, Accommodation.is_active)
    )
    if units:
        return Step(StepName.SYNC, True, count=units)
    last = session.scalars(
        select(AccommodationSync.status).order_by(AccommodationSync.created_at.desc()).limit(1)
    ).first()
    missing = ("sync_failed", "accommodations") if last == RunStatus.FAILED else ("accommodations",)
    return Step(StepName.SYNC, False, missing)


def _locks(session: Session) -> Step:
    """Locks to choose from; an account's locks know no property before they are matched."""
    known = session.scalar(select(func.count()).select_from(Lock).where(Lock.gone_since.is_(None)))
    return Step(StepName.LOCKS, bool(known), () if known else ("locks",), known or 0)


def _doors(session: Session, property_id: UUID) -> list[Step]:
    """Every active unit has a lock, and one of these locks has opened for somebody."""
    here = (Accommodation.property_id == property_id) & Accommodation.is_active
    tested = select(LockTest.id).where(
        LockTest.lock_id == LockMapping.lock_id, LockTest.opened.is_(True)
    )
    row = session.execute(
        select(
            func.count(Accommodation.id),
            func.count(LockMapping.id),
            func.count(LockMapping.id).filter(tested.exists()),
        )
        .select_from(Accommodation)
        .outerjoin(LockMapping, LockMapping.accommodation_id == Accommodation.id)
        .where(here)
    ).one()
    units, mapped, proven = row
    bare = units - mapped
    matched = units > 0 and bare == 0
    return [
        Step(StepName.MATCH, matched, () if matched else ("mappings",), bare),
        Step(StepName.TEST, proven > 0, () if proven else ("lock_test",), proven),
    ]
