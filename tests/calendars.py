"""A house whose calendars are compared with those of the pretended Beds24."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select

from app.models import AuditEntry, Discrepancy, Rate, ReconciliationLog
from app.sandbox import beds24_queries
from app.services import reconciliation_rows
from app.services.availability_comparison import AvailabilityComparison
from app.services.rate_comparison import RateComparison
from app.services.reconciliation_kinds import Comparison, Plan, Tally
from app.services.reconciliation_rows import Work
from app.transaction import transaction
from tests.conftest import Clock
from tests.outbound import Sold
from tests.outbound_live import Channel, deliver_all

DAY = timedelta(days=1)
#: the day of the tests' clock
TODAY = date(2026, 3, 10)
LAST = TODAY + 364 * DAY
KINDS: dict[str, Callable[[], Comparison]] = {
    "beds24_availability": AvailabilityComparison,
    "beds24_rates": RateComparison,
}


@dataclass(frozen=True)
class Done:
    """A run as it went."""

    plan: Plan
    tally: Tally

    @property
    def counts(self) -> Mapping[str, int]:
        found: Mapping[str, int] = self.plan.summary["counts"]
        return found

    @property
    def items(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.plan.summary["items"]
        return found


def work(sold: Sold, kind: str = "beds24_availability", **fields: Any) -> Work:
    """An open run of the house."""
    with transaction() as session:
        session.execute(delete(ReconciliationLog))
        run_id = reconciliation_rows.open_run(session, kind, property_id=sold.house.id, **fields)
        assert run_id is not None
        return reconciliation_rows.work_of(session.get_one(ReconciliationLog, run_id))


def plan(sold: Sold, kind: str = "beds24_availability") -> Plan:
    """What a run would do, as a dry run shows it."""
    comparison = KINDS[kind]()
    job = work(sold, kind, dry_run=True)
    return comparison.plan(job, comparison.read(job))


def compare(sold: Sold, kind: str = "beds24_availability") -> Done:
    """A run from end to end; what it owes the channel is not delivered yet."""
    comparison = KINDS[kind]()
    job = work(sold, kind)
    planned = comparison.plan(job, comparison.read(job))
    kept: dict[str, Any] = {}
    return Done(planned, comparison.apply(job, planned, lambda **fields: kept.update(fields)))


def settle(sold: Sold, clock: Clock, kind: str = "beds24_availability") -> Done:
    """A run, and the delivery of what it owes."""
    done = compare(sold, kind)
    deliver_all(clock)
    clock.move(seconds=1)
    return done


def set_there(channel: Channel, room_ref: str, days: Mapping[date, Mapping[str, Any]]) -> None:
    """Somebody sets nights by hand in Beds24's panel; nobody is told."""
    with channel.store.open() as world:
        room = world.beds24.room(room_ref)
        ranges = [
            {"from": day.isoformat(), "to": day.isoformat(), **said} for day, said in days.items()
        ]
        beds24_queries.set_calendar(world.beds24, room, ranges)


def prices(room_type_id: UUID, days: Mapping[date, str], min_stay: int | None = None) -> None:
    """Prices of ours, of which nobody is told."""
    with transaction() as session:
        session.add_all(
            Rate(room_type_id=room_type_id, date=day, price=Decimal(amount), min_stay=min_stay)
            for day, amount in days.items()
        )


def found(status: str = "open") -> list[Discrepancy]:
    """The discrepancies of one status, by subject."""
    with transaction() as session:
        return list(
            session.scalars(
                select(Discrepancy)
                .where(Discrepancy.status == status)
                .order_by(Discrepancy.kind, Discrepancy.subject)
            )
        )


def audited() -> list[AuditEntry]:
    """What comparisons have noted, by the first night."""
    with transaction() as session:
        rows = session.scalars(select(AuditEntry).where(AuditEntry.action == "reconcile"))
        return sorted(rows, key=lambda row: (row.before or {})["nights"][0]["from"])
