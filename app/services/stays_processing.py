"""Take in what Stays says: the reservation itself, or that it is gone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from app import clock
from app.services import event_rows, leases, reservations, stays_events
from app.services.event_outcomes import (
    Outcome,
    Refused,
    reservation_of,
    reservations_of,
    said,
)
from app.services.event_rows import Work
from app.services.stays_events import CHANNEL, Finding

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


def at_once(work: Work) -> Finding | None:
    """What the message means, if that takes no question to Stays; None when it does, or is no
    booking that can be taken in together with others."""
    if stays_events.is_hint(work.payload):
        return None
    finding = stays_events.look_into(work.event_type, work.payload, work.received_at)
    return finding if finding.copy is not None and finding.copy.kind == "stay" else None


def apply_many(
    session: Session, found: Sequence[tuple[Work, Finding]]
) -> list[tuple[Work, Outcome]]:
    """`apply` for bookings that all differ; those that were refused are missing."""
    copies = {finding.copy.external_id: finding.copy for _, finding in found if finding.copy}
    applied = reservations.apply_copies(
        list(copies.values()), actor_label=LABEL, as_of=clock.utcnow()
    )
    refused = {error.external_id for error in applied.errors}
    ids = reservations_of(session, CHANNEL, copies)
    return [
        (
            work,
            Outcome(
                "stale" if ref in applied.stale_refs else "done", said(copies[ref]), ids.get(ref)
            ),
        )
        for work, finding in found
        if finding.copy is not None and (ref := finding.copy.external_id) not in refused
    ]


def _normalized(finding: Finding) -> dict[str, Any]:
    if finding.copy is None:
        return {"external_id": finding.gone, "status": "cancelled"}
    return said(finding.copy)
