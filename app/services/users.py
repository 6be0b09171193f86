"""People: who they are, their passwords, their signed-in browsers, and the first admin."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import clock
from app.crypto import hash_token
from app.errors import Conflict, FieldError, Invalid, NotFound
from app.models import User, UserSession
from app.models.users import ROLES
from app.runtime import settings
from app.services import account_letters, audit, passwords, user_sessions
from app.services.audit import SYSTEM, Actor
from app.transaction import transaction

SESSION_LIFETIME = timedelta(hours=12)
SEEN_EVERY = timedelta(minutes=1)
EMAIL = re.compile(r"[^@\s]+@[^@\s]+")

_FIRST_ADMIN_LOCK = 0x7475_726E_6B01


def normal_email(email: str) -> str:
    """The stored form of an address. Raises Invalid when it is none."""
    email = email.strip().lower()
    if len(email) > 254 or not email.isprintable() or not EMAIL.fullmatch(email):
        raise Invalid.field("email", "must be an e-mail address")
    return email


def authenticate(email: str, password: str) -> User | None:
    """The active user with this address and password; None for anything else.

    An unknown address costs the same work as a known one, so that neither the answer nor its time
    tells which addresses exist (issue 2).
    """
    try:
        address = normal_email(email)
    except Invalid:
        address = ""
    user = _by_email(address)
    if user is None and address and address == (settings().admin_email or "").lower():
        # A host that was given its first admin by the environment only ever migrates and starts.
        ensure_configured_admin()
        user = _by_email(address)
    stored = user.password_hash if user is not None else passwords.NOBODY
    if not passwords.matches(stored, password) or user is None or not user.is_active:
        return None
    if passwords.is_outdated(stored):
        fresh = passwords.make_hash(password)
        with transaction() as session:
            # Whoever has changed the password meanwhile is not overruled.
            session.execute(
                update(User)
                .where(User.id == user.id, User.password_hash == stored)
                .values(password_hash=fresh)
            )
            user = session.get_one(User, user.id)
        if user.password_hash != fresh:
            return None
    return user


def create(email: str, password: str, role: str, name: str = "", *, actor: Actor = SYSTEM) -> User:
    """A new user. Raises Invalid for a bad field, Conflict when the address is taken."""
    email = normal_email(email)
    _known_role(role)
    password_hash = passwords.make_hash(passwords.checked(password))
    with transaction() as session:
        row = insert_user(session, email, name, role, password_hash)
        audit.record(session, actor, "create", "user", row.id, after={"role": role})
    return row


def insert_user(
    session: Session,
    email: str,
    name: str,
    role: str,
    password_hash: str,
    invited_at: datetime | None = None,
) -> User:
    """The row, for an address in its stored form. Raises Invalid, Conflict."""
    _known_role(role)
    row = session.scalars(
        insert(User)
        .values(
            email=email,
            name=name.strip(),
            role=role,
            password_hash=password_hash,
            password_changed_at=None if invited_at else clock.utcnow(),
            invited_at=invited_at,
        )
        .on_conflict_do_nothing(index_elements=["email"])
        .returning(User)
    ).one_or_none()
    if row is None:
        raise Conflict(
            f"{email} exists already", [FieldError("email", "somebody has this address already")]
        )
    return row


def set_password(email: str, password: str, *, actor: Actor = SYSTEM) -> None:
    """Replace a password and end every session and token of that user. Raises NotFound, Invalid."""
    password_hash = passwords.make_hash(passwords.checked(password))
    with transaction() as session:
        user = session.scalar(
            select(User).where(User.email == normal_email(email)).with_for_update()
        )
        if user is None:
            raise NotFound(f"no user {email}")
        store_password(session, user, password_hash)
        audit.record(session, actor, "set_password", "user", user.id)
        account_letters.tell(user, "password")


def change_password(user: User, old: str, new: str, *, keep: str, actor: Actor) -> None:
    """A person's own: needs the old one, and ends every other session and every token; the browser
    of the token `keep` stays signed in. Raises Invalid naming `old_password` or `password`.
    """
    if not passwords.matches(user.password_hash, old):
        raise Invalid.field("old_password", "is not right")
    password_hash = passwords.make_hash(passwords.chosen(new, user.email))
    with transaction() as session:
        row = session.get_one(User, user.id, with_for_update=True)
        if row.password_hash != user.password_hash:
            raise Conflict("the password has been changed meanwhile")
        store_password(session, row, password_hash, keep=keep)
        audit.record(session, actor, "change_password", "user", row.id)
        account_letters.tell(row, "password")


def store_password(session: Session, user: User, password_hash: str, *, keep: str = "") -> None:
    """Put it on a locked row. It is in force at once, and what was signed in before is not."""
    user.password_hash = password_hash
    user.password_changed_at = clock.utcnow()
    user.invited_at = None
    user_sessions.cut_off(session, user, keep=keep)


def set_language(user_id: UUID, language: str) -> None:
    """What the person reads on a device that has not been told otherwise."""
    with transaction() as session:
        session.execute(update(User).where(User.id == user_id).values(language=language))


def list_users() -> Sequence[User]:
    """Everybody, by address."""
    with transaction() as session:
        return session.scalars(select(User).order_by(User.email)).all()


def find(email: str) -> User | None:
    """Whoever has this address, active or not; None also for what is no address."""
    try:
        return _by_email(normal_email(email))
    except Invalid:
        return None


def known(user_id: UUID) -> User:
    """The user, active or not. Raises NotFound."""
    user = get(user_id)
    if user is None:
        raise NotFound("no such user")
    return user


def get(user_id: UUID) -> User | None:
    """The user, active or not."""
    with transaction() as session:
        return session.get(User, user_id)


def ensure_first_admin(email: str, password: str | None) -> str | None:
    """Make an admin when no user exists; the password it got, or None when nothing was made.

    Without a password one is generated (`bin/run` prints it once). An empty password makes nobody.
    """
    with transaction() as session:
        # Two processes that start together must not both find an empty table.
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _FIRST_ADMIN_LOCK})
        if password == "" or session.scalar(select(func.count()).select_from(User)):
            return None
        password = password or secrets.token_urlsafe(12)
        create(email, password, "admin")
    return password


def ensure_configured_admin() -> None:
    """Make the admin of ADMIN_EMAIL and ADMIN_PASSWORD when no user exists (INTERFACES §2)."""
    if email := settings().admin_email:
        ensure_first_admin(email, settings().admin_password or "")


def start_session(
    user_id: UUID, ip: str | None, user_agent: str | None, lifetime: timedelta = SESSION_LIFETIME
) -> str:
    """A fresh random token for a browser that has just signed in; only its hash is stored."""
    token = secrets.token_urlsafe(32)
    now = clock.utcnow()
    with transaction() as session:
        session.add(
            UserSession(
                user_id=user_id,
                token_hash=hash_token(token),
                created_at=now,
                last_seen_at=now,
                expires_at=now + lifetime,
                ip=ip,
                user_agent=(user_agent or "").replace("\0", "")[:300] or None,
            )
        )
    return token


def session_user(token: str) -> User | None:
    """Whom the token belongs to, in one query; None once it has ended or the user is inactive."""
    now = clock.utcnow()
    with transaction() as session:
        found = session.execute(
            select(User, UserSession.id, UserSession.last_seen_at)
            .join(UserSession, UserSession.user_id == User.id)
            .where(
                UserSession.token_hash == hash_token(token),
                UserSession.ended_at.is_(None),
                UserSession.expires_at > now,
                User.is_active,
            )
        ).one_or_none()
        if found is None:
            return None
        user, session_id, seen = found
        if now - seen >= SEEN_EVERY:
            _touch(session, session_id)
    return user


def end_session(token: str) -> None:
    """Sign out; a token that is unknown or has ended already is no error."""
    with transaction() as session:
        session.execute(
            update(UserSession)
            .where(UserSession.token_hash == hash_token(token), UserSession.ended_at.is_(None))
            .values(ended_at=clock.utcnow())
        )


def credential_stamp(user: User) -> str:
    """Changes with the password and with whatever else ends the tokens of a person (a new role,
    deactivation, the second factor): a bearer token made before that is refused."""
    told = f"stamp:{user.token_epoch}:{user.password_hash}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _touch(session: Session, session_id: UUID) -> None:
    session.execute(
        update(UserSession).where(UserSession.id == session_id).values(last_seen_at=clock.utcnow())
    )


def _by_email(email: str) -> User | None:
    with transaction() as session:
        return session.scalar(select(User).where(User.email == email))


def _known_role(role: str) -> None:
    if role not in ROLES:
        raise Invalid.field("role", "must be one of " + ", ".join(ROLES))
