"""Everything active at a property compared with Beds24, to be told and not to be changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from app import clock
from app.domain import comparison_report
from app.domain.comparison_report import Compared, Difference
from app.models import Reservation
from app.services import (
    booking_plans,
    booking_reading,
    comparison_reports,
    reconciliation_turns,
)
from app.services.booking_plans import Actions
from app.services.booking_reading import Reading
from app.services.channel_accounts import BEDS24
from app.services.reconciliation_kinds import Plan, Tally
from app.services.reconciliation_reading import ACTIVE
from app.services.reconciliation_rows import Work
from app.transaction import transaction


class Beds24DeepComparison:
    """From 30 days back to the end of the last stay, whatever agreed before: the rules and the
    patience of the quarter-hourly run, and none of its actions."""

    channel = BEDS24

    def read(self, work: Work) -> Reading:
        """Every booking of the property. Raises IntegrationError, Unavailable."""
        connection = reconciliation_turns.connection(work.property_id)
        return booking_reading.read(connection, None, everything=True)

    def plan(self, work: Work, reading: Reading) -> Plan:
        """What differs."""
        would = booking_plans.make(reading)
        actions: Actions = would.actions
        compared = Compared(reading.ours, differences(actions.items))
        for error in would.errors:
            reason = "unmapped" if error.kind == "unmapped" else "unreadable"
            compared.leave(reason, error.external_id)
        failed = {error.external_id for error in would.errors}
        for external_id in reading.compared - actions.compared - failed:
            compared.leave("moving", external_id)
        compared.unsent = _unsent(reading.connection.property_id)
        return comparison_reports.plan(compared, would.fetched, would.errors, "bookings")

    def apply(self, work: Work, plan: Plan, keep: Callable[..., None]) -> Tally:
        """Keep the report."""
        return comparison_reports.write(work, plan, keep)


def differences(items: Iterable[Mapping[str, Any]]) -> list[Difference]:
    """What a plan would do about a booking, or flag, taken together as one difference."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for item in items:
        found.setdefault(item["external_id"], []).append(item)
    return [
        Difference(
            external_id,
            comparison_report.kinds(item.get("kind") or item["action"] for item in own),
            _side(own, "from"),
            _side(own, "to"),
            own[0]["reservation_id"],
        )
        for external_id, own in found.items()
    ]


def _side(items: Iterable[Mapping[str, Any]], name: str) -> dict[str, Any] | None:
    """Each item leaves out what one side does not say; together they have all that matters."""
    sides = [item[name] for item in items if item[name] is not None]
    return {key: value for side in sides for key, value in side.items()} if sides else None


def _unsent(property_id: UUID) -> int:
    """Our own bookings that Beds24 has not been told yet."""
    with transaction() as session:
        return (
            session.scalar(
                select(func.count()).where(
                    Reservation.property_id == property_id,
                    Reservation.source == "direct",
                    Reservation.external_id.is_(None),
                    Reservation.status.in_(ACTIVE),
                    Reservation.check_out_at > clock.utcnow(),
                )
            )
            or 0
        )
