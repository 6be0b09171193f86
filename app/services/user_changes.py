"""Change what a person may do; somebody who can undo it always remains (SEC-16)."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import StringConstraints
from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from app.errors import Conflict, Forbidden, NotFound
from app.models import User, UserToken
from app.services import account_letters, audit, edits, user_sessions
from app.services.audit import Actor
from app.services.inputs import Input
from app.transaction import transaction

#: whoever takes an administrator away waits here for the one before
_ADMINS_LOCK = 0x7475_726E_6B02

OWN = "one does not deactivate oneself: another administrator can"
LAST = "nobody else could administrate then: make somebody else an administrator first"

Name = Annotated[str, StringConstraints(max_length=200)]


class UserChanges(Input):
    """What may change of a person; what is not sent stays."""

    name: Name = ""
    role: Literal["admin", "staff"] = "staff"
    is_active: bool = True


def change(user_id: UUID, changes: UserChanges, *, actor: Actor) -> User:
    """Change name, role or whether the person may sign in.

    A new role ends the person's bearer tokens, deactivation those and every session, at once.
    Raises NotFound; Conflict for oneself deactivated and for the last administrator who can sign
    in; Forbidden when the actor is no administrator any more.
    """
    values = changes.model_dump(exclude_unset=True)
    with transaction() as session:
        if not values.keys().isdisjoint(("role", "is_active")):
            # Two administrators who demote each other: the second one sees what the first did.
            session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADMINS_LOCK})
            _still_may(session, actor)
        user = session.get(User, user_id, with_for_update=True)
        if user is None:
            raise NotFound("no such user")
        if values.get("is_active") is False and user.is_active and user.id == actor.user_id:
            raise Conflict(OWN)
        role, active = values.get("role", user.role), values.get("is_active", user.is_active)
        if _administrates(user) and not (role == "admin" and active):
            _somebody_else(session, user)
        before, after = edits.apply(user, values)
        if not after:
            return user
        if after.get("is_active") is False:
            user_sessions.cut_off(session, user)
            session.execute(
                delete(UserToken).where(UserToken.user_id == user.id, UserToken.used_at.is_(None))
            )
        elif "role" in after:
            user.token_epoch += 1
        action = "update"
        if "is_active" in after:
            action = "reactivate" if after["is_active"] else "deactivate"
        audit.record(session, actor, action, "user", user.id, before, after)
        if "role" in after and user.invited_at is None:
            account_letters.tell(user, "role")
        session.flush()
        session.refresh(user)
    return user


def _administrates(user: User) -> bool:
    """Whether this is an administrator who can sign in; an invitation is not enough."""
    return user.is_admin and user.is_active and user.invited_at is None


def _somebody_else(session: Session, user: User) -> None:
    others = session.scalar(
        select(func.count())
        .select_from(User)
        .where(User.id != user.id, User.role == "admin", User.is_active, User.invited_at.is_(None))
    )
    if not others:
        raise Conflict(LAST)


def _still_may(session: Session, actor: Actor) -> None:
    """Whoever was demoted a moment ago does not demote the next."""
    if actor.user_id is None:
        return
    user = session.get(User, actor.user_id)
    if user is None or not _administrates(user):
        raise Forbidden("this is for admins")
