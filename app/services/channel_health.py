"""How the exchange with the channels is: what it depends on, and how much waits (MON-18…21)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.domain.states import EventStatus
from app.models import ChannelEvent, ChannelProperty, VendorState
from app.queue import status
from app.services import health
from app.services.channel_status import OPEN
from app.services.channel_units import BEDS24
from app.services.event_rows import INBOUND, OUTBOUND
from app.transaction import transaction

HEALTHY, DEGRADED, UNHEALTHY = "healthy", "degraded", "unhealthy"
GOOD, WARNING, CRITICAL, UNKNOWN = "ok", "warning", "critical", "unknown"
DLQ = "dlq"

#: more than this is critical (C-33); a single dead letter is a warning
MOST_WAITING: Final = 1000
MOST_DEAD: Final = 100
#: answers that were no good, and answers all the same
ANSWERED = frozenset(
    {"rejected", "not_found", "not_supported", "rate_limited", "no_credits", "quota"}
)


@dataclass(frozen=True, slots=True)
class Queue:
    """How many events wait in it, and what to think of that; None when nobody could say."""

    depth: int | None
    status: str


@dataclass(frozen=True, slots=True)
class ChannelHealth:
    """`beds24` is remembered from real traffic, never probed; True until that taught otherwise."""

    redis: bool
    database: bool
    beds24: bool
    queues: Mapping[str, Queue]

    @property
    def status(self) -> str:
        """Unhealthy only when a dependency is broken; degraded when a queue is critical."""
        if not (self.redis and self.database and self.beds24):
            return UNHEALTHY
        if any(queue.status == CRITICAL for queue in self.queues.values()):
            return DEGRADED
        return HEALTHY


@dataclass(frozen=True, slots=True)
class _Rows:
    depths: Mapping[str, int]
    reachable: bool


def look() -> ChannelHealth:
    """How things are, within two seconds whatever is away."""
    found = health.gather({"redis": _redis, "database": _rows})
    rows = found["database"]
    depths = rows.depths if isinstance(rows, _Rows) else {}
    return ChannelHealth(
        redis=found["redis"] is True,
        database=isinstance(rows, _Rows),
        beds24=rows.reachable if isinstance(rows, _Rows) else True,
        queues={name: judge(name, depths.get(name)) for name in (INBOUND, OUTBOUND, DLQ)},
    )


def judge(queue: str, depth: int | None) -> Queue:
    """A queue's depth as a word (C-33)."""
    if depth is None:
        return Queue(None, UNKNOWN)
    if depth > (MOST_DEAD if queue == DLQ else MOST_WAITING):
        return Queue(depth, CRITICAL)
    return Queue(depth, WARNING if queue == DLQ and depth else GOOD)


def _redis() -> bool | _Rows:
    return status.redis_alive()


def _rows() -> bool | _Rows:
    with transaction() as session:
        return _Rows(_depths(session), _reachable(session))


def _depths(session: Session) -> dict[str, int]:
    event = ChannelEvent
    waits = event.status.in_(OPEN)
    row = session.execute(
        select(
            func.count().filter(waits, event.direction == INBOUND),
            func.count().filter(waits, event.direction == OUTBOUND),
            func.count().filter(event.status == EventStatus.FAILED),
        ).where(event.status.in_((*OPEN, EventStatus.FAILED)))
    ).one()
    return dict(zip((INBOUND, OUTBOUND, DLQ), row, strict=True))


def _reachable(session: Session) -> bool:
    """Whether Beds24 answered last time; a house that is not connected misses nothing."""
    used = session.scalars(
        select(ChannelProperty.status).where(
            ChannelProperty.channel_name == BEDS24, ChannelProperty.status != "inactive"
        )
    ).all()
    if not used:
        return True
    if all(each == "error" for each in used):
        return False
    known = session.get(VendorState, BEDS24)
    return known is None or known.failing_since is None or known.last_error_kind in ANSWERED
