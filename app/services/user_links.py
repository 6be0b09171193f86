"""Links with which a person chooses a password: an invitation, or a reset; each works once.

The token is told when the link is made and never again: only its hash is stored.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from pydantic import StringConstraints
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from app import clock
from app.crypto import hash_token
from app.errors import Conflict, NotFound
from app.models import User, UserToken
from app.services import account_letters, audit, passwords, users
from app.services.audit import Actor
from app.services.inputs import Input
from app.transaction import transaction

Purpose = Literal["invite", "reset"]

LIFETIME: dict[Purpose, timedelta] = {
    "invite": timedelta(hours=72),
    "reset": timedelta(hours=24),
}
#: the same for a link that never was, has been used, has run out or was withdrawn
GONE = "this link does not work, or not any more"


class Invitation(Input):
    """Whom to invite, and as what."""

    email: Annotated[str, StringConstraints(min_length=1, max_length=254)]
    name: Annotated[str, StringConstraints(max_length=200)] = ""
    role: Literal["admin", "staff"]


@dataclass(frozen=True, slots=True)
class Link:
    """A link as it is told once."""

    user: User
    purpose: Purpose
    token: str = field(repr=False)
    expires_at: datetime


def invite(given: Invitation, *, actor: Actor) -> Link:
    """A person who may sign in once a password is chosen. Raises Invalid, Conflict when the address
    is taken."""
    email = users.normal_email(given.email)
    with transaction() as session:
        user = users.insert_user(
            session, email, given.name, given.role, passwords.stand_in(), clock.utcnow()
        )
        audit.record(session, actor, "invite", "user", user.id, after={"role": user.role})
        return _issue(session, user, actor)


def renew(user_id: UUID, *, actor: Actor) -> Link:
    """A new link: the invitation again, or a reset for whoever has a password, which works until
    another is chosen. Earlier links of the person stop working. Raises NotFound, Conflict for
    somebody who may not sign in."""
    with transaction() as session:
        user = _locked(session, user_id)
        if not user.is_active:
            raise Conflict("this person may not sign in: reactivate first")
        action = "reset_link" if user.invited_at is None else "resend_invitation"
        audit.record(session, actor, action, "user", user.id)
        return _issue(session, user, actor)


def withdraw(user_id: UUID, *, actor: Actor) -> None:
    """Take an invitation back; the person is gone as if never invited. Raises NotFound, Conflict
    when it was accepted."""
    with transaction() as session:
        user = _locked(session, user_id)
        if user.invited_at is None:
            raise Conflict("the invitation has been accepted: deactivate the person instead")
        before = {"email": user.email, "role": user.role}
        audit.record(session, actor, "withdraw_invitation", "user", user.id, before=before)
        session.delete(user)


def of(token: str) -> Link | None:
    """What the link is good for; None when it is good for nothing. Changes nothing."""
    with transaction() as session:
        found = session.execute(
            select(User, UserToken.purpose, UserToken.expires_at)
            .join(UserToken, UserToken.user_id == User.id)
            .where(
                UserToken.token_hash == hash_token(token),
                UserToken.used_at.is_(None),
                UserToken.expires_at > clock.utcnow(),
                User.is_active,
            )
        ).one_or_none()
    if found is None:
        return None
    user, purpose, expires_at = found
    return Link(user, "invite" if purpose == "invite" else "reset", token, expires_at)


def pending(user_id: UUID) -> UserToken | None:
    """The link of this person that still works."""
    with transaction() as session:
        return session.scalars(
            select(UserToken).where(
                UserToken.user_id == user_id,
                UserToken.used_at.is_(None),
                UserToken.expires_at > clock.utcnow(),
            )
        ).first()


def redeem(token: str, password: str, *, ip: str | None) -> User:
    """Choose the password; every session and bearer token of the person ends, and the link with
    them. Raises Invalid for a password that is refused, which leaves the link as it is; NotFound
    for a link that does not work, also when somebody else has just used it."""
    link = of(token)
    if link is None:
        raise NotFound(GONE)
    password_hash = passwords.make_hash(passwords.chosen(password, link.user.email))
    with transaction() as session:
        user = session.get(User, link.user.id, with_for_update=True)
        if user is None or not user.is_active or not _use(session, token):
            raise NotFound(GONE)
        accepted = user.invited_at is not None
        users.store_password(session, user, password_hash)
        _void(session, user.id)
        actor = Actor(user.email, user.id, user.role, ip)
        action = "accept_invitation" if accepted else "reset_password"
        audit.record(session, actor, action, "user", user.id)
        if not accepted:
            account_letters.tell(user, "password")
    return user


def _issue(session: Session, user: User, actor: Actor) -> Link:
    purpose: Purpose = "reset" if user.invited_at is None else "invite"
    _void(session, user.id)
    now = clock.utcnow()
    link = Link(user, purpose, secrets.token_urlsafe(32), now + LIFETIME[purpose])
    session.add(
        UserToken(
            user_id=user.id,
            purpose=purpose,
            token_hash=hash_token(link.token),
            created_at=now,
            created_by=actor.label,
            expires_at=link.expires_at,
        )
    )
    return link


def _use(session: Session, token: str) -> bool:
    now = clock.utcnow()
    used = session.execute(
        update(UserToken)
        .where(
            UserToken.token_hash == hash_token(token),
            UserToken.used_at.is_(None),
            UserToken.expires_at > now,
        )
        .values(used_at=now)
        .returning(UserToken.id)
    ).one_or_none()
    return used is not None


def _void(session: Session, user_id: UUID) -> None:
    session.execute(
        delete(UserToken).where(UserToken.user_id == user_id, UserToken.used_at.is_(None))
    )


def _locked(session: Session, user_id: UUID) -> User:
    """People first, their links after: whoever locks both keeps that order."""
    user = session.get(User, user_id, with_for_update=True)
    if user is None:
        raise NotFound("no such user")
    return user
