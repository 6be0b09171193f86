"""Where a person is signed in: the browsers, and their end."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app import clock
from app.crypto import hash_token
from app.errors import NotFound
from app.models import User, UserSession
from app.services import audit
from app.services.audit import Actor
from app.transaction import transaction


def of_user(user_id: UUID) -> Sequence[UserSession]:
    """The browsers that are signed in now, the one seen last first."""
    with transaction() as session:
        return session.scalars(
            select(UserSession)
            .where(
                UserSession.user_id == user_id,
                UserSession.ended_at.is_(None),
                UserSession.expires_at > clock.utcnow(),
            )
            .order_by(UserSession.last_seen_at.desc(), UserSession.id)
        ).all()


def is_of(row: UserSession, token: str) -> bool:
    """Whether the browser with this token is meant."""
    return row.token_hash == hash_token(token)


def end_one(user_id: UUID, session_id: UUID, *, actor: Actor) -> None:
    """Sign one browser out; ended already is no error. Raises NotFound for another person's."""
    with transaction() as session:
        row = session.get(UserSession, session_id, with_for_update=True)
        if row is None or row.user_id != user_id:
            raise NotFound("no such session")
        if row.ended_at is None:
            row.ended_at = clock.utcnow()
            audit.record(session, actor, "end_session", "user", user_id, before={"ip": row.ip})


def end_all(user_id: UUID, *, actor: Actor, keep: str = "") -> int:
    """Sign out everywhere, and end every bearer token; the browser of the token `keep` stays. How
    many browsers it was. Raises NotFound."""
    with transaction() as session:
        user = session.get(User, user_id, with_for_update=True)
        if user is None:
            raise NotFound("no such user")
        ended = cut_off(session, user, keep=keep)
        audit.record(session, actor, "end_sessions", "user", user_id, after={"ended": ended})
    return ended


def cut_off(session: Session, user: User, *, keep: str = "") -> int:
    """End all sessions and bearer tokens of a locked row, in the caller's transaction; how many
    browsers that signs out. The browser of the token `keep` stays."""
    user.token_epoch += 1
    session.flush()
    ended = session.execute(
        update(UserSession)
        .where(
            UserSession.user_id == user.id,
            UserSession.ended_at.is_(None),
            UserSession.token_hash != (hash_token(keep) if keep else ""),
        )
        .values(ended_at=clock.utcnow())
        .returning(UserSession.id)
    ).all()
    return len(ended)
