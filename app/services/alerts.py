"""Open an alert once per subject, note who is on it, and close it when it is over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import func, literal_column, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import clock
from app.errors import InvalidTransition, NotFound
from app.models import Alert
from app.services import audit
from app.services.audit import Actor
from app.transaction import transaction

log = structlog.get_logger(__name__)


def raise_alert(
    session: Session, kind: str, subject: str, severity: str, title: str, what_to_do: str
) -> None:
    """Open the alert, or refresh the words of the one that is open already."""
    statement = insert(Alert).values(
        kind=kind,
        subject=subject,
        severity=severity,
        title=title,
        what_to_do=what_to_do,
        opened_at=clock.utcnow(),
    )
    opened: Any = session.execute(
        statement.on_conflict_do_update(
            index_elements=["kind", "subject"],
            index_where=text("status <> 'resolved'"),
            set_={"title": title, "what_to_do": what_to_do, "severity": severity},
            where=(Alert.title != title) | (Alert.severity != severity),
        ).returning(Alert.id, literal_column("(xmax = 0)").label("fresh"))
    ).first()
    if opened is not None and opened.fresh:
        log.warning("alert_opened", kind=kind, subject=subject, severity=severity)


def acknowledge(alert_id: UUID, *, actor: Actor) -> Alert:
    """A person is on it: nobody else is reminded. Once is enough, whoever says it again.

    Raises NotFound; Conflict when the alert is over.
    """
    with transaction() as session:
        alert = session.get(Alert, alert_id, with_for_update=True, populate_existing=True)
        if alert is None:
            raise NotFound("no such alert")
        if alert.status == "resolved":
            raise InvalidTransition("the alert is resolved already")
        if alert.status == "open":
            alert.status = "acknowledged"
            alert.acknowledged_at, alert.acknowledged_by = clock.utcnow(), actor.label
            after = {"status": "acknowledged"}
            audit.record(
                session, actor, "acknowledge", "alert", alert_id, {"status": "open"}, after
            )
            session.flush()
            session.refresh(alert)
        return alert


def resolve(session: Session, kind: str, *subjects: str) -> None:
    """Close what is open about these subjects; nothing open is fine."""
    session.execute(
        update(Alert)
        .where(Alert.kind == kind, Alert.subject.in_(subjects), Alert.status != "resolved")
        .values(status="resolved", resolved_at=clock.utcnow(), updated_at=func.now())
        .execution_options(synchronize_session=False)
    )


def open_alerts(session: Session) -> Sequence[Alert]:
    """Everything not resolved, newest first."""
    return session.scalars(
        select(Alert).where(Alert.status != "resolved").order_by(Alert.opened_at.desc())
    ).all()


def subjects(session: Session, kind: str) -> set[str]:
    """What alerts of one kind are open about."""
    return set(
        session.scalars(select(Alert.subject).where(Alert.kind == kind, Alert.status != "resolved"))
    )
