"""Send the notices that are due: claim a message, send it with no transaction open, record it.

A process may die between sending and recording. The message is then sent once more under the same
id, and if that one is not recorded either it stands as failed: two copies are the most there is.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, func, or_, select, text
from sqlalchemy.orm import Session

from app import clock
from app.domain.retries import RetryPolicy
from app.integrations.notify import NotSent, webhook
from app.integrations.notify import email as mail
from app.models import Alert, AlertNotice
from app.models.columns import among
from app.queue import client as queue
from app.runtime import settings
from app.services import alert_messages, alert_settings, figures
from app.services.alert_messages import Letter, Told
from app.services.alert_notices import (
    ESCALATED,
    FAILED,
    PENDING,
    SENT,
    TEST,
    URGENT_FIRST,
)
from app.services.alert_places import places
from app.services.alert_settings import AlertSettings
from app.services.leases import EARLY
from app.transaction import in_transaction, transaction

log = structlog.get_logger(__name__)

WAYS = ("email", "webhook")
#: claims wait for each other (any number will do)
LOCK = 815_162_345
RETRIES = RetryPolicy((60, 300, 900))
#: longer than any conversation with a server may take
LEASE = timedelta(minutes=2)
INTERRUPTED = "the process that was sending it ended; it may have arrived"
_NAMES = uuid.UUID("6f1c3a52-0d0f-4f5e-9b53-6c1d2a7e8b90")


@dataclass(frozen=True, slots=True)
class _Task:
    ids: Sequence[UUID]
    way: str
    lease: datetime
    attempt: int
    letter: Letter
    known: AlertSettings


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of a test by one way; `error` is None when the message was taken over."""

    way: str
    configured: bool
    error: str | None = None
    detail: str | None = None

    @property
    def ok(self) -> bool:
        return self.configured and self.error is None


def send_due() -> int:
    """Send every message that is due; how many were taken over. A way that fails keeps its notices
    pending, 1, 5 and 15 minutes, and has them `failed` after that."""
    sent = 0
    while (task := _claim()) is not None:
        sent += _carry_out(task)
    return sent


def due(session: Session, now: datetime) -> int:
    """How many notices wait to be sent by now."""
    return session.scalar(select(func.count()).where(*_is_due(now))) or 0


def test(way: str) -> Trial:
    """Send a test by one way here and now, and say truthfully what came of it; it is recorded like
    any other. Nothing is sent by a way that is not configured."""
    with transaction() as session:
        known = alert_settings.read(session)
        if way not in known.ways:
            return Trial(way, False)
        now = clock.utcnow()
        row = AlertNotice(
            way=way,
            reason=TEST,
            attempts=1,
            created_at=now,
            updated_at=now,
            lease_until=now + LEASE,
        )
        session.add(row)
        session.flush()
        letter = Letter(str(row.id), TEST, (), settings().public_url, now)
        task = _Task([row.id], way, now + LEASE, RETRIES.attempts, letter, known)
    error, detail = _send(task)
    _record(task, error, detail)
    return Trial(way, True, error, detail)


def _is_due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        AlertNotice.status == PENDING,
        AlertNotice.next_attempt_at <= now + EARLY,
        or_(AlertNotice.lease_until.is_(None), AlertNotice.lease_until < now),
    )


def _claim() -> _Task | None:
    """Take the next message under a lease: all notices of one moment, way and reason."""
    now = clock.utcnow()
    with transaction() as session:
        # One at a time: two that begin with different notices of one message would both send it.
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        first = session.scalar(
            select(AlertNotice)
            .where(*_is_due(now))
            .order_by(AlertNotice.created_at, AlertNotice.way, AlertNotice.reason, AlertNotice.id)
            .limit(1)
        )
        if first is None:
            return None
        rows = session.scalars(
            select(AlertNotice)
            .where(
                AlertNotice.status == PENDING,
                AlertNotice.created_at == first.created_at,
                AlertNotice.way == first.way,
                AlertNotice.reason == first.reason,
            )
            .order_by(AlertNotice.id)
            .with_for_update()
        ).all()
        died = first.lease_until is not None
        again = first.last_error != INTERRUPTED
        for row in rows:
            row.attempts += 1
            row.lease_until = now + LEASE
            if died:
                row.last_error = INTERRUPTED
                if not again:
                    _end(row, FAILED)
        if died and not again:
            log.error("alert_notice_lost", way=first.way, notices=len(rows))
            ids: list[UUID] = []
        else:
            ids = [row.id for row in rows]
        return _task(session, first, ids, [row.alert_id for row in rows], now + LEASE)


def _task(
    session: Session,
    first: AlertNotice,
    ids: Sequence[UUID],
    about: Sequence[UUID | None],
    lease: datetime,
) -> _Task:
    alerts = session.scalars(
        select(Alert).where(among(Alert.id, about)).order_by(*URGENT_FIRST)
    ).all()
    where = places(session, {(alert.kind, alert.subject) for alert in alerts})
    told = [
        Told(
            alert.id,
            alert.kind,
            alert.severity,
            alert.title,
            alert.what_to_do,
            alert.status,
            alert.opened_at,
            alert.acknowledged_at,
            alert.resolved_at,
            where[alert.kind, alert.subject],
        )
        for alert in alerts
    ]
    name = f"{first.way} {first.reason} {first.created_at.timestamp():.6f}"
    event_id = str(uuid.uuid5(_NAMES, name))
    letter = Letter(event_id, first.reason, told, settings().public_url, first.created_at)
    known = alert_settings.read(session)
    return _Task(ids, first.way, lease, first.attempts, letter, known)


def _carry_out(task: _Task) -> int:
    if not task.ids:
        return 0
    error, detail = _send(task)
    _record(task, error, detail)
    return int(error is None)


def _send(task: _Task) -> tuple[str | None, str | None]:
    """What went wrong, if anything did, and what is worth knowing though it went well."""
    if in_transaction():
        raise RuntimeError("nobody is told anything inside a transaction")
    try:
        if task.way == "webhook":
            _post(task.letter)
            return None, None
        return None, _mail(task.letter, task.known)
    except NotSent as error:
        return str(error), None


def _post(letter: Letter) -> None:
    url = settings().alert_webhook_url
    if url is None:
        raise NotSent("no webhook is configured any more")
    key = settings().alert_webhook_secret or settings().secret_key
    webhook.send(url, key, letter.id, alert_messages.webhook(letter))


def _mail(letter: Letter, known: AlertSettings) -> str | None:
    url = settings().smtp_url
    to = known.escalation if letter.reason in (ESCALATED, TEST) else known.recipients
    if url is None or not to:
        raise NotSent("no mail server or no recipient is configured any more")
    sender = mail.sender(url, settings().alert_email_from, to)
    refused = mail.send(url, alert_messages.email(letter, sender, to, known.limits))
    return f"the mail server refused {refused} of {len(to)} recipients" if refused else None


def _record(task: _Task, error: str | None, detail: str | None) -> None:
    now = clock.utcnow()
    with transaction() as session:
        rows = session.scalars(
            select(AlertNotice)
            .where(
                among(AlertNotice.id, task.ids),
                AlertNotice.status == PENDING,
                AlertNotice.lease_until == task.lease,
            )
            .order_by(AlertNotice.id)
            .with_for_update()
        ).all()
        at = None if error is None else RETRIES.next_attempt(task.attempt, now)
        for row in rows:
            row.last_error = error or detail
            row.updated_at = now
            if error is None:
                row.sent_at = now
                _end(row, SENT)
            elif at is None:
                _end(row, FAILED)
            else:
                row.lease_until, row.next_attempt_at = None, at
        if at is not None:
            queue.enqueue("alerts.send", at=at)
    words = {"way": task.way, "reason": task.letter.reason, "event_id": task.letter.id}
    if error is None:
        log.info("alert_notice_sent", alerts=len(task.letter.alerts), **words)
    else:
        log.warning("alert_notice_not_sent", error=error, attempt=task.attempt, **words)


def _end(row: AlertNotice, status: str) -> None:
    row.status = status
    row.next_attempt_at = row.lease_until = None
    figures.notice_ended(row.way, status)
