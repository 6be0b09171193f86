"""Take in what Stays says: the reservation itself, or that it is gone."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from app.services import event_rows, leases, reservations, stays_events
from app.services.event_outcomes import Outcome, Refused, reservation_of, said
from app.services.event_rows import Work
from app.services.stays_events import Finding

LABEL = "Stays"


def look_into(work: Work) -> Finding:
    """Find out what the message means; may ask Stays, with the event kept ours meanwhile."""
    if not stays_events.is_hint(work.payload):
        return stays_events.look_into(work.event_type, work.payload, work.received_at)
    with leases.renewed(lambda: event_rows.renew(work)):
        return stays_events.look_into(work.event_type, work.payload, work.received_at)


def apply(session: Session, work: Work, finding: Finding) -> Outcome:
    """Make our rows say the same. Raises Refused for what cannot be stored as it is."""
    word = "done"
    if finding.copy is not None:
        applied = reservations.apply_copies([finding.copy], actor_label=LABEL, as_of=finding.as_of)
        if applied.errors:
            raise Refused(applied.errors[0].reason)
        if finding.copy.kind != "stay":
            word = "ignored"
        elif applied.stale:
            word = "stale"
    elif finding.gone is not None:
        reservations.cancel_vanished(
            work.source, [finding.gone], actor_label=LABEL, as_of=finding.as_of
        )
    reservation_id = reservation_of(session, work.source, work.entity_external_id)
    return Outcome(word, _normalized(finding), reservation_id)


def _normalized(finding: Finding) -> dict[str, Any]:
    if finding.copy is None:
        return {"external_id": finding.gone, "status": "cancelled"}
    return said(finding.copy)
