"""A letter to whom it concerns when a way into the account changes (ASVS 2.2.3, 2.5.5).

Whoever has taken an account over changes just these things: the letter is how its owner learns. It
is a row, written together with the change, until the mail server has it. A process may die between
sending and recording: the letter is then sent once more under the same id.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, delete, func, or_, select, update

from app import clock
from app.domain.retries import RetryPolicy
from app.errors import Conflict
from app.integrations.notify import NotSent, email
from app.models import AccountLetter, User
from app.models.columns import among
from app.queue import client as queue
from app.runtime import settings
from app.services import audit
from app.services.audit import Actor
from app.services.leases import EARLY
from app.transaction import in_transaction, transaction

log = structlog.get_logger(__name__)

Change = Literal["password", "factor_on", "factor_off", "recovery_codes", "role"]

JOB: Final = "letters.send"
#: nearly a day in all: a mail server is mended by then
RETRIES = RetryPolicy((60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600))
#: longer than any conversation with a server may take
LEASE = timedelta(minutes=2)
INTERRUPTED = "the processes that were sending it ended; it may have arrived"

#: language -> subject, what it is about, the change, and what to do
_SUBJECT: Final = {
    "en": "Your Turnkey account was changed",
    "pt": "Sua conta do Turnkey foi alterada",
}
_CHANGES: Final[dict[str, dict[Change, str]]] = {
    "en": {
        "password": "Your password was changed.",
        "factor_on": "A second factor was switched on.",
        "factor_off": "Your second factor was switched off: the password alone signs you in.",
        "recovery_codes": "New recovery codes were made; the old ones are void.",
        "role": "What you may do was changed by an administrator.",
    },
    "pt": {
        "password": "Sua senha foi alterada.",
        "factor_on": "Um segundo fator foi ativado.",
        "factor_off": "Seu segundo fator foi desativado: a senha sozinha permite entrar.",
        "recovery_codes": "Novos códigos de recuperação foram criados; os antigos não valem mais.",
        "role": "Suas permissões foram alteradas por um administrador.",
    },
}
_ADVICE: Final = {
    "en": "If you did not expect this, tell an administrator at once.",
    "pt": "Se você não esperava por isso, avise um administrador imediatamente.",
}


@dataclass(frozen=True, slots=True)
class _Task:
    id: UUID
    change: Change
    address: str
    language: str | None
    attempt: int
    lease: datetime


def tell(user: User, change: Change) -> None:
    """Have the person told by e-mail once this is committed, in their language, or in both while
    nobody knows it. Without a mail server (SMTP_URL) nothing is sent."""
    if settings().smtp_url is None:
        return
    with transaction() as session:
        letter = AccountLetter(user_id=user.id, change=change, next_attempt_at=clock.utcnow())
        session.add(letter)
        queue.enqueue(JOB)


def send_due() -> int:
    """Send every letter that is due; how many were taken over. What the server does not take is
    tried again for nearly a day, and then stands as failed with the reason."""
    sent = 0
    while (task := _claim()) is not None:
        error = _send(task)
        _record(task, error)
        sent += error is None
    return sent


def undelivered(user_id: UUID) -> list[AccountLetter]:
    """Letters to one person that did not arrive at the first try, the oldest first: `failed` ones,
    and `pending` ones that are tried again by themselves."""
    with transaction() as session:
        rows = session.scalars(
            select(AccountLetter)
            .where(AccountLetter.user_id == user_id, AccountLetter.last_error.is_not(None))
            .order_by(AccountLetter.created_at, AccountLetter.id)
        )
        return list(rows)


def failed(user_ids: Iterable[UUID]) -> set[UUID]:
    """Who of these has not been told of a change, all tries being spent."""
    with transaction() as session:
        rows = session.scalars(
            select(AccountLetter.user_id)
            .where(among(AccountLetter.user_id, user_ids), AccountLetter.status == "failed")
            .distinct()
        )
        return set(rows)


def send_again(user_id: UUID, *, actor: Actor) -> int:
    """Have the letters to one person tried anew from the first try; how many. One that a worker is
    sending is left to it. Raises Conflict when there is none, or no mail server (SMTP_URL)."""
    if settings().smtp_url is None:
        raise Conflict("no mail server is configured")
    now = clock.utcnow()
    with transaction() as session:
        ids = session.scalars(
            update(AccountLetter)
            .where(
                AccountLetter.user_id == user_id,
                AccountLetter.last_error.is_not(None),
                or_(AccountLetter.lease_until.is_(None), AccountLetter.lease_until < now),
            )
            .values(status="pending", attempts=0, next_attempt_at=now, lease_until=None)
            .returning(AccountLetter.id)
        ).all()
        if not ids:
            raise Conflict("every letter to this person was sent")
        audit.record(
            session, actor, "send_letters_again", "user", user_id, after={"letters": len(ids)}
        )
        queue.enqueue(JOB)
    return len(ids)


def queue_due(now: datetime) -> int:
    """For the sweep: have sent what is due, the letters whose sender died among them; how many."""
    with transaction() as session:
        due = session.scalar(select(func.count()).where(*_is_due(now))) or 0
    if due:
        queue.enqueue(JOB)
    return due


def _is_due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        AccountLetter.status == "pending",
        AccountLetter.next_attempt_at <= now + EARLY,
        or_(AccountLetter.lease_until.is_(None), AccountLetter.lease_until < now),
    )


def _claim() -> _Task | None:
    """Take the letter that has waited longest under a lease; those whose senders keep dying end."""
    now = clock.utcnow()
    with transaction() as session:
        session.execute(
            update(AccountLetter)
            .where(*_is_due(now), AccountLetter.attempts >= RETRIES.attempts)
            .values(status="failed", last_error=INTERRUPTED, lease_until=None, updated_at=now)
        )
        first = (
            select(AccountLetter.id)
            .where(*_is_due(now))
            .order_by(AccountLetter.next_attempt_at, AccountLetter.created_at, AccountLetter.id)
            .limit(1)
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        row = session.scalar(
            update(AccountLetter)
            .where(AccountLetter.id == first)
            .values(attempts=AccountLetter.attempts + 1, lease_until=now + LEASE, updated_at=now)
            .returning(AccountLetter)
        )
        if row is None:
            return None
        user = session.get_one(User, row.user_id)
        change: Change = row.change
        return _Task(row.id, change, user.email, user.language, row.attempts, now + LEASE)


def _send(task: _Task) -> str | None:
    """What went wrong, if anything did."""
    if in_transaction():
        raise RuntimeError("nobody is told anything inside a transaction")
    server = settings().smtp_url
    if server is None:
        return "no mail server is configured any more"
    try:
        email.send(server, _letter(task, server))
    except NotSent as error:
        return str(error)
    return None


def _letter(task: _Task, server: str) -> email.Email:
    languages = [task.language] if task.language in _SUBJECT else list(_SUBJECT)
    recipients = (task.address,)
    return email.Email(
        id=str(task.id),
        subject=" / ".join(_SUBJECT[each] for each in languages),
        text="\n".join(f"{_CHANGES[each][task.change]}\n\n{_ADVICE[each]}\n" for each in languages),
        sender=email.sender(server, settings().alert_email_from, recipients),
        recipients=recipients,
    )


def _record(task: _Task, error: str | None) -> None:
    now = clock.utcnow()
    ours = (AccountLetter.id == task.id, AccountLetter.lease_until == task.lease)
    with transaction() as session:
        if error is None:
            session.execute(delete(AccountLetter).where(*ours))
            log.info("account_letter_sent", change=task.change, letter=str(task.id))
            return
        at = RETRIES.next_attempt(task.attempt, now)
        values = {"status": "failed"} if at is None else {"next_attempt_at": at}
        session.execute(
            update(AccountLetter)
            .where(*ours)
            .values(lease_until=None, last_error=error, updated_at=now, **values)
        )
        if at is not None:
            queue.enqueue(JOB, at=at)
    log.warning(
        "account_letter_not_sent",
        change=task.change,
        letter=str(task.id),
        attempt=task.attempt,
        reason=error,
    )
