"""How much there is of everything right now, from the rows: a dozen statements on indexes.

What is over and done is counted as it ends (`domain.measures`), never here: the cost follows what
is open, not what is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import case, func, or_, select, text
from sqlalchemy.orm import Session

from app.domain.measures import GAUGE, Measure
from app.domain.states import (
    OPEN_JOBS,
    CredentialState,
    EventStatus,
    PinJobKind,
    PinState,
    RunStatus,
)
from app.models import (
    Alert,
    ChannelEvent,
    ChannelProperty,
    Credential,
    Discrepancy,
    InventoryHold,
    PinJob,
    ProcessHeartbeat,
    RateLimitBucket,
    ReconciliationLog,
    VendorState,
)
from app.models.reconciliation import RUN_KINDS
from app.queue.registry import PINS, PMS_OUTBOUND, QUEUES, RECONCILIATION
from app.services import event_rows, rate_limits, service_levels
from app.services.event_rows import INBOUND, OUTBOUND

#: still to be dealt with, being dealt with, or given up
OPEN = (EventStatus.RECEIVED, EventStatus.RETRYING, EventStatus.PROCESSING)
#: a process that has not been heard of for so long is not counted among the living
ALIVE = timedelta(seconds=60)
PROCESS_KINDS = ("web", "worker", "clock")
RECENT = timedelta(hours=24)

#: how the states of our rows are called (DECISIONS 10)
_PIN_WORDS: Final = {
    CredentialState.REQUESTED: PinState.GENERATING,
    CredentialState.UNCERTAIN: PinState.GENERATING,
    CredentialState.ACCEPTED: PinState.DELIVERING,
    CredentialState.PENDING: PinState.DELIVERING,
    CredentialState.INSTALLED: PinState.ACTIVE,
    CredentialState.FAILED: PinState.FAILED,
    CredentialState.UNKNOWN: PinState.FAILED,
    CredentialState.REVOKING: PinState.REVOKING,
}

STOCKS: Final = (
    Measure(
        "turnkey_queue_depth",
        GAUGE,
        "Work that waits or is in hand, by queue: events, PIN orders whose moment has come, runs; "
        "jobs in line where no row knows (maintenance).",
        ("queue",),
    ),
    Measure("turnkey_dead_letters", GAUGE, "Events whose attempts are spent."),
    Measure(
        "turnkey_events",
        GAUGE,
        "Events that are not at rest, and dead letters (failed), by direction and status.",
        ("direction", "status"),
    ),
    Measure(
        "turnkey_oldest_event_seconds",
        GAUGE,
        "Age of the oldest event nobody has dealt with; 0 when none waits.",
        ("direction",),
    ),
    Measure(
        "turnkey_pins",
        GAUGE,
        "PINs that are wanted or may still open a door, by state.",
        ("state",),
    ),
    Measure(
        "turnkey_pins_promised",
        GAUGE,
        "Stays that began within the last 24 hours: due, and of those PIN on_time, late, failed.",
        ("outcome",),
    ),
    Measure(
        "turnkey_pins_left_behind",
        GAUGE,
        "PINs past their end that no lock has proven gone; must be 0.",
    ),
    Measure(
        "turnkey_channel_credits",
        GAUGE,
        "Calls left in the current five minutes, by the connection that leads its account.",
        ("connection",),
    ),
    Measure("turnkey_holds_active", GAUGE, "Units held for bookings that wait for their channel."),
    Measure(
        "turnkey_discrepancies_open", GAUGE, "Differences a person has to decide on.", ("kind",)
    ),
    Measure("turnkey_alerts_open", GAUGE, "Alerts not resolved.", ("severity", "status")),
    Measure(
        "turnkey_run_age_seconds",
        GAUGE,
        "Time since the last reconciliation of that kind that succeeded; absent before the first.",
        ("kind",),
    ),
    Measure("turnkey_processes", GAUGE, "Processes heard of within the last minute.", ("kind",)),
    Measure("turnkey_connections", GAUGE, "Connected properties.", ("channel", "status")),
    Measure(
        "turnkey_vendor_up",
        GAUGE,
        "Whether the vendor's last answer was a good one, from real traffic.",
        ("vendor",),
    ),
)


@dataclass(frozen=True, slots=True)
class Stock:
    """One gauge's value; labels in the order of its measure."""

    name: str
    labels: tuple[str, ...]
    value: float


Found = Iterator[Stock]


def stocks(session: Session, now: datetime) -> list[Stock]:
    """Everything in STOCKS that the rows know, in one statement for each of a dozen subjects."""
    return [stock for subject in _SUBJECTS for stock in subject(session, now)]


def _events(session: Session, now: datetime) -> Found:
    """Queues of events, dead letters and the oldest that waits."""
    rows = session.execute(
        select(
            ChannelEvent.direction,
            ChannelEvent.source,
            ChannelEvent.status,
            func.count(),
            func.min(ChannelEvent.received_at),
        )
        .where(ChannelEvent.status.in_((*OPEN, EventStatus.FAILED)))
        .group_by(ChannelEvent.direction, ChannelEvent.source, ChannelEvent.status)
    ).all()
    depths = {queue: 0 for queue in QUEUES if queue.endswith(".inbound") or queue == PMS_OUTBOUND}
    counts = {
        (direction, str(status)): 0
        for direction in (INBOUND, OUTBOUND)
        for status in (*OPEN, EventStatus.FAILED)
    }
    oldest: dict[str, datetime | None] = {INBOUND: None, OUTBOUND: None}
    for direction, source, status, number, first in rows:
        counts[direction, status] += number
        if status == EventStatus.FAILED:
            continue
        queue = event_rows.queue_of(source, direction)
        if queue in depths:
            depths[queue] += number
        known = oldest[direction]
        oldest[direction] = first if known is None else min(known, first)
    for queue, depth in depths.items():
        yield Stock("turnkey_queue_depth", (queue,), depth)
    for labels, number in counts.items():
        yield Stock("turnkey_events", labels, number)
    dead = sum(counts[direction, EventStatus.FAILED] for direction in (INBOUND, OUTBOUND))
    yield Stock("turnkey_dead_letters", (), dead)
    for direction, since in oldest.items():
        age = 0.0 if since is None else max((now - since).total_seconds(), 0.0)
        yield Stock("turnkey_oldest_event_seconds", (direction,), age)


def _orders(session: Session, now: datetime) -> Found:
    """PIN orders that are due, runs that wait or run, and stays that wait for their PIN's time."""
    orders = select(func.count()).select_from(PinJob)
    due = orders.where(PinJob.next_attempt_at <= now)
    awaiting = orders.where(
        PinJob.kind == PinJobKind.GENERATE,
        PinJob.status.in_(OPEN_JOBS),
        PinJob.credential_id.is_(None),
    )
    pending = (
        select(func.count())
        .select_from(ReconciliationLog)
        .where(
            or_(
                ReconciliationLog.status == RunStatus.PENDING,
                ReconciliationLog.next_attempt_at <= now,
            )
        )
    )
    row = session.execute(
        select(due.scalar_subquery(), pending.scalar_subquery(), awaiting.scalar_subquery())
    ).one()
    yield Stock("turnkey_queue_depth", (PINS,), row[0])
    yield Stock("turnkey_queue_depth", (RECONCILIATION,), row[1])
    yield Stock("turnkey_pins", (PinState.AWAITING,), row[2])


def _pins(session: Session, now: datetime) -> Found:
    """Past its end a PIN is on its way out, whatever its row says (DECISIONS 10)."""
    words = case(
        (Credential.expires_at <= now, PinState.REVOKING),
        *((Credential.state == state, word) for state, word in _PIN_WORDS.items()),
    )
    rows = session.execute(
        select(words, func.count())
        .where(Credential.state != CredentialState.REVOKED)
        .group_by(text("1"))
    )
    counts = {str(word): 0 for word in _PIN_WORDS.values()} | {row[0]: row[1] for row in rows}
    for word, number in counts.items():
        yield Stock("turnkey_pins", (word,), number)


def _promises(session: Session, now: datetime) -> Found:
    level = service_levels.pin_level(session, now - RECENT, now)
    left, _ = service_levels.left_behind(session, now)
    for outcome, number in (
        ("due", level.total),
        ("on_time", level.on_time),
        ("late", level.late),
        ("failed", level.never),
    ):
        yield Stock("turnkey_pins_promised", (outcome,), number)
    yield Stock("turnkey_pins_left_behind", (), left)


def _credits(session: Session, now: datetime) -> Found:
    bucket = RateLimitBucket
    begun = bucket.last_refill_at <= now - rate_limits.PERIOD
    left = case((bucket.blocked_until > now, 0), (begun, bucket.capacity), else_=bucket.tokens)
    for connection, tokens in session.execute(select(bucket.channel_property_id, left)):
        yield Stock("turnkey_channel_credits", (str(connection),), tokens)


def _desk(session: Session, now: datetime) -> Found:
    """Holds, discrepancies and alerts that are open, in one statement."""
    holds = select(text("'hold'"), text("''"), text("''"), func.count().label("number")).where(
        InventoryHold.status == "active"
    )
    found = (
        select(text("'discrepancy'"), Discrepancy.kind, text("''"), func.count())
        .where(Discrepancy.status == "open")
        .group_by(Discrepancy.kind)
    )
    alerts = (
        select(text("'alert'"), Alert.severity, Alert.status, func.count())
        .where(Alert.status != "resolved")
        .group_by(Alert.severity, Alert.status)
    )
    for subject, first, second, number in session.execute(holds.union_all(found, alerts)):
        if subject == "hold":
            yield Stock("turnkey_holds_active", (), number)
        elif subject == "discrepancy":
            yield Stock("turnkey_discrepancies_open", (first,), number)
        else:
            yield Stock("turnkey_alerts_open", (first, second), number)


def _runs(session: Session, now: datetime) -> Found:
    run = ReconciliationLog
    last = [
        select(run.completed_at)
        .where(run.kind == kind, run.status == RunStatus.SUCCESS, run.dry_run.is_(False))
        .order_by(run.started_at.desc())
        .limit(1)
        .scalar_subquery()
        for kind in RUN_KINDS
    ]
    ended = session.execute(select(*last)).one()
    for kind, moment in zip(RUN_KINDS, ended, strict=True):
        if moment is not None:
            yield Stock("turnkey_run_age_seconds", (kind,), (now - moment).total_seconds())


def _around(session: Session, now: datetime) -> Found:
    """Processes, connections and vendors: small tables, read whole."""
    seen: dict[str, int] = dict.fromkeys(PROCESS_KINDS, 0)
    rows: Any = session.execute(
        select(ProcessHeartbeat.kind, func.count())
        .where(ProcessHeartbeat.seen_at > now - ALIVE)
        .group_by(ProcessHeartbeat.kind)
    )
    for kind, number in (seen | {row[0]: row[1] for row in rows}).items():
        yield Stock("turnkey_processes", (kind,), number)
    connections = session.execute(
        select(ChannelProperty.channel_name, ChannelProperty.status, func.count()).group_by(
            ChannelProperty.channel_name, ChannelProperty.status
        )
    )
    for channel, status, number in connections:
        yield Stock("turnkey_connections", (channel, status), number)
    for vendor, failing in session.execute(select(VendorState.vendor, VendorState.failing_since)):
        yield Stock("turnkey_vendor_up", (vendor,), 1.0 if failing is None else 0.0)


_SUBJECTS: tuple[Callable[[Session, datetime], Found], ...] = (
    _events,
    _orders,
    _pins,
    _promises,
    _credits,
    _desk,
    _runs,
    _around,
)
