"""Differences as tests need them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select

from app import clock
from app.domain.findings import Finding, night_subject
from app.models import AuditEntry, Discrepancy
from app.services import discrepancies
from app.services.discrepancies import Settled
from app.services.discrepancy_rows import Compared
from app.transaction import transaction

BOOKINGS = ("missing", "dates", "room", "status", "amount", "currency", "guest")
ARRIVES = date(2026, 3, 12)


def side(source: str = "desk", **fields: Any) -> dict[str, Any]:
    """A confirmed stay of two nights for BRL 500.00."""
    return {
        "status": "confirmed",
        "check_in": "2026-03-12",
        "check_out": "2026-03-14",
        "amount": "500.00",
        "currency": "BRL",
        "guest_name": "Ana Souza",
        "as_of": "2026-03-10T11:00:00Z",
        "source": source,
    } | fields


def finding(kind: str = "dates", subject: str = "84107733", **fields: Any) -> Finding:
    """The channel has the guest leave a day later."""
    defaults: dict[str, Any] = {
        "severity": "high",
        "reason": "Beds24 has other dates",
        "ours": side(),
        "theirs": side("beds24 reading", check_out="2026-03-15"),
        "external_id": subject,
        "first_day": ARRIVES,
        "last_day": date(2026, 3, 15),
    }
    return Finding(kind, subject, **(defaults | fields))


def night(
    room_ref: str, day: date, ours: int, theirs: int, *, room_type_id: UUID | None = None
) -> Finding:
    """A night of which the sides do not have the same number left."""
    return Finding(
        "availability",
        night_subject(room_ref, day),
        "high",
        "the units left differ by more than one",
        {"available": ours, "as_of": "2026-03-10T12:00:00Z", "source": "turnkey"},
        {"available": theirs, "as_of": "2026-03-10T12:00:00Z", "source": "beds24 reading"},
        room_type_id=room_type_id,
        external_id=room_ref,
        first_day=day,
        last_day=day,
    )


def nights(room_ref: str, first: date, count: int, ours: int, theirs: int) -> list[Finding]:
    return [night(room_ref, first + timedelta(days=n), ours, theirs) for n in range(count)]


def settle(
    connection: Any,
    findings: Sequence[Finding],
    *,
    compared: Compared | None = None,
    kinds: Sequence[str] | None = None,
    seen_at: datetime | None = None,
) -> Settled:
    """What a run notes that has compared the subjects of `findings`, and `compared`."""
    with transaction() as session:
        return discrepancies.settle(
            session,
            connection.id,
            findings,
            kinds=kinds or BOOKINGS,
            compared=[each.subject for each in findings] if compared is None else compared,
            run_id=None,
            seen_at=seen_at or clock.utcnow(),
        )


def all_of() -> list[Discrepancy]:
    """Every discrepancy, by kind and subject."""
    with transaction() as session:
        order = select(Discrepancy).order_by(Discrepancy.kind, Discrepancy.subject)
        return list(session.scalars(order))


def the_one() -> Discrepancy:
    (only,) = all_of()
    return only


def audited(row: Discrepancy) -> list[AuditEntry]:
    """What the audit log says of it, oldest first."""
    with transaction() as session:
        return list(
            session.scalars(
                select(AuditEntry)
                .where(AuditEntry.entity == "discrepancy", AuditEntry.entity_id == str(row.id))
                .order_by(AuditEntry.at, AuditEntry.id)
            )
        )
