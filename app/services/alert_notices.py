"""Decide who is told what: once per alert, grouped by the minute, held back in a flood.

A notice is a row for one alert and one way. Notices written at one moment, for one way and one
reason, are one message; `created_at` tells them apart from all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import exists, func, select, text, update
from sqlalchemy.orm import Session, aliased

from app.domain.alert_limits import Limits
from app.models import Alert, AlertNotice
from app.models.columns import among
from app.queue import client as queue
from app.services import alert_settings
from app.services.alert_settings import AlertSettings
from app.transaction import transaction

log = structlog.get_logger(__name__)

#: two planners wait for each other (any number will do)
LOCK = 815_162_344
OPENED, ESCALATED, RESOLVED, TEST = "opened", "escalated", "resolved", "test"
PENDING, SENT, FAILED, SKIPPED = "pending", "sent", "failed", "skipped"
#: more alerts than this within this time are a flood
FLOOD, FLOOD_TIME = 20, timedelta(minutes=10)
#: an alert that ended longer ago than this is not news
NEWS = timedelta(days=1)


def plan(now: datetime) -> int:
    """Write the notices of everything that has changed, and order them sent; how many."""
    with transaction() as session:
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        known = alert_settings.read(session)
        at = _moment(session, now)
        told = _write(session, known, at, OPENED, _opened(session, known.limits, now))
        told += _write(session, known, at, ESCALATED, _ignored(session, known.limits, now))
        told += _write_resolved(session, known, at, now)
        if told:
            queue.enqueue("alerts.send")
    return told


def _moment(session: Session, now: datetime) -> datetime:
    """The present, but later than any notice there is: it is what groups them."""
    last = session.scalar(select(func.max(AlertNotice.created_at)))
    return now if last is None or last < now else last + timedelta(microseconds=1)


def _opened(session: Session, limits: Limits, now: datetime) -> Sequence[Alert]:
    """Open alerts of which nobody has been told, but for what was told of lately and has come back,
    and for what comes on top of a flood: those are listed, and told when it has gone down. A
    critical one of another kind than the flood's is told at once."""
    fresh = session.scalars(
        select(Alert).where(Alert.status == "open", Alert.notices == 0).order_by(*URGENT_FIRST)
    ).all()
    if not fresh:
        return []
    quiet = _told_since(session, fresh, now - limits.span("say_again"))
    found = [alert for alert in fresh if (alert.kind, alert.subject) not in quiet]
    flood = session.scalar(
        select(func.count(AlertNotice.alert_id.distinct())).where(
            AlertNotice.reason == OPENED, AlertNotice.created_at > now - FLOOD_TIME
        )
    )
    if not found or (flood or 0) <= FLOOD:
        return found
    familiar = _kinds_told_since(session, now - FLOOD_TIME)
    grave = [a for a in found if a.severity == "critical" and a.kind not in familiar]
    log.warning("alerts_held_back", alerts=len(found) - len(grave), told=flood)
    return grave


def _kinds_told_since(session: Session, since: datetime) -> set[str]:
    return set(
        session.scalars(
            select(Alert.kind)
            .join(AlertNotice, AlertNotice.alert_id == Alert.id)
            .where(AlertNotice.reason == OPENED, AlertNotice.created_at > since)
            .distinct()
        )
    )


def _told_since(session: Session, alerts: Sequence[Alert], since: datetime) -> set[tuple[str, str]]:
    """Kinds and subjects among these of which something was told since then."""
    rows = session.execute(
        select(Alert.kind, Alert.subject)
        .join(AlertNotice, AlertNotice.alert_id == Alert.id)
        .where(
            AlertNotice.created_at > since,
            AlertNotice.status != SKIPPED,
            among(Alert.subject, {alert.subject for alert in alerts}),
        )
        .distinct()
    )
    return {(row.kind, row.subject) for row in rows}


def _ignored(session: Session, limits: Limits, now: datetime) -> list[Alert]:
    """Alerts told long enough ago that nobody has said they are on it."""
    first_told = (
        select(func.min(AlertNotice.created_at))
        .where(AlertNotice.alert_id == Alert.id, AlertNotice.reason == OPENED)
        .correlate(Alert)
        .scalar_subquery()
    )
    rows = session.execute(
        select(Alert, func.coalesce(first_told, Alert.opened_at))
        .where(
            Alert.status == "open",
            Alert.notices > 0,
            Alert.escalated_at.is_(None),
            Alert.severity != "info",
        )
        .order_by(*URGENT_FIRST)
    ).all()
    found = []
    for alert, told_at in rows:
        if told_at + limits.span(f"escalate_{alert.severity}") <= now:
            alert.escalated_at = now
            log.warning("alert_ignored", kind=alert.kind, subject=alert.subject)
            found.append(alert)
    return found


def _write(
    session: Session, known: AlertSettings, at: datetime, reason: str, alerts: Sequence[Alert]
) -> int:
    """One notice per alert and way; without any way the log has told it. How many notices."""
    if not alerts:
        return 0
    rows = []
    for alert in alerts:
        alert.notices += 1
        rows += [_notice(alert, way, reason, alert.notices, at) for way in known.ways]
    session.add_all(rows)
    session.flush()  # the next question is who has been told
    log.warning(f"alerts_{reason}", alerts=len(alerts), ways=list(known.ways))
    return len(rows)


def _write_resolved(session: Session, known: AlertSettings, at: datetime, now: datetime) -> int:
    """Say that it is over by each way that said it had begun. What was not sent yet needs not be
    sent any more."""
    later = aliased(AlertNotice)
    over = session.execute(
        select(Alert, AlertNotice)
        .join(AlertNotice, AlertNotice.alert_id == Alert.id)
        .where(
            Alert.status == "resolved",
            Alert.resolved_at > now - NEWS,
            AlertNotice.reason == OPENED,
            AlertNotice.status.in_((PENDING, SENT)),
            ~exists().where(
                later.alert_id == AlertNotice.alert_id,
                later.way == AlertNotice.way,
                later.reason == RESOLVED,
            ),
        )
        .order_by(Alert.resolved_at, Alert.id)
    ).all()
    rows: list[AlertNotice] = []
    numbers: dict[object, int] = {}
    for alert, opening in over:
        if opening.status == PENDING:
            if opening.lease_until is None:
                session.execute(
                    update(AlertNotice)
                    .where(AlertNotice.alert_id == alert.id, AlertNotice.status == PENDING)
                    .where(AlertNotice.way == opening.way, AlertNotice.lease_until.is_(None))
                    .values(status=SKIPPED, next_attempt_at=None)
                )
            continue
        if opening.way not in known.ways:
            continue
        if alert.id not in numbers:
            numbers[alert.id] = alert.notices = alert.notices + 1
        rows.append(_notice(alert, opening.way, RESOLVED, numbers[alert.id], at))
    session.add_all(rows)
    return len(rows)


def _notice(alert: Alert, way: str, reason: str, number: int, at: datetime) -> AlertNotice:
    return AlertNotice(
        alert_id=alert.id,
        way=way,
        reason=reason,
        number=number,
        created_at=at,
        updated_at=at,
        next_attempt_at=at,
    )


URGENT_FIRST = (
    Alert.severity == "info",
    Alert.severity == "warning",
    Alert.opened_at,
    Alert.id,
)
