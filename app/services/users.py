"""People: sign in, tokens of signed-in browsers, and the first admin."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import clock
from app.crypto import hash_token
from app.errors import Conflict, Invalid, NotFound
from app.models import User, UserSession
from app.models.users import ROLES
from app.runtime import settings
from app.services import audit
from app.services.audit import SYSTEM, Actor
from app.transaction import transaction

SESSION_LIFETIME = timedelta(hours=12)
SEEN_EVERY = timedelta(minutes=1)
MIN_PASSWORD, MAX_PASSWORD = 8, 1024
EMAIL = re.compile(r"[^@\s]+@[^@\s]+")

#: about 0.1 s and 19 MiB a try
_hasher = PasswordHasher(time_cost=8, memory_cost=19 * 1024, parallelism=1)
#: one thread for all of it: the C library keeps what a thread has used once, so hashing in each of
#: the request threads would cost eight times the memory, and web has 150 MB in all
_hashing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="passwords")
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
    stored = user.password_hash if user is not None else _NOBODY
    if not _matches(stored, password) or user is None or not user.is_active:
        return None
    rehashed = _hash(password) if _hasher.check_needs_rehash(stored) else None
    with transaction() as session:
        user = session.get_one(User, user.id)
        user.last_login_at = clock.utcnow()
        user.password_hash = rehashed or user.password_hash
    return user


def create(email: str, password: str, role: str, name: str = "", *, actor: Actor = SYSTEM) -> User:
    """A new user. Raises Invalid for a bad field, Conflict when the address is taken."""
    email = normal_email(email)
    if role not in ROLES:
        raise Invalid.field("role", "must be one of " + ", ".join(ROLES))
    password_hash = _hash(_checked(password))
    with transaction() as session:
        row = session.scalars(
            insert(User)
            .values(email=email, name=name.strip(), role=role, password_hash=password_hash)
            .on_conflict_do_nothing(index_elements=["email"])
            .returning(User)
        ).one_or_none()
        if row is None:
            raise Conflict(f"{email} exists already")
        audit.record(session, actor, "create", "user", row.id, after={"role": role})
    return row


def set_password(email: str, password: str, *, actor: Actor = SYSTEM) -> None:
    """Replace a password and end every session and token of that user. Raises NotFound, Invalid."""
    password_hash = _hash(_checked(password))
    with transaction() as session:
        user = session.scalar(select(User).where(User.email == normal_email(email)))
        if user is None:
            raise NotFound(f"no user {email}")
        user.password_hash = password_hash
        session.execute(
            update(UserSession)
            .where(UserSession.user_id == user.id, UserSession.ended_at.is_(None))
            .values(ended_at=clock.utcnow())
        )
        audit.record(session, actor, "set_password", "user", user.id)


def list_users() -> Sequence[User]:
    """Everybody, by address."""
    with transaction() as session:
        return session.scalars(select(User).order_by(User.email)).all()


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
    """Changes with the password: a bearer token made before that is refused."""
    return hashlib.sha256(b"stamp:" + user.password_hash.encode()).hexdigest()[:16]


def _touch(session: Session, session_id: UUID) -> None:
    session.execute(
        update(UserSession).where(UserSession.id == session_id).values(last_seen_at=clock.utcnow())
    )


def _by_email(email: str) -> User | None:
    with transaction() as session:
        return session.scalar(select(User).where(User.email == email))


def _checked(password: str) -> str:
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise Invalid.field("password", f"must be {MIN_PASSWORD} to {MAX_PASSWORD} characters long")
    return password


def _octets(password: str) -> bytes:
    # JSON can carry half a surrogate pair, which plain UTF-8 refuses.
    return password[:MAX_PASSWORD].encode("utf-8", "surrogatepass")


def _hash(password: str) -> str:
    return _hashing.submit(_hasher.hash, _octets(password)).result()


def _matches(stored: str, password: str) -> bool:
    try:
        _hashing.submit(_hasher.verify, stored, _octets(password)).result()
    except (VerifyMismatchError, VerificationError, InvalidHashError):
        return False
    return len(password) <= MAX_PASSWORD


def _stand_in_hash() -> str:
    """A hash with today's parameters that nothing matches; made without doing the work."""

    def octets(size: int) -> str:
        return base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=")

    cost = f"m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
    return f"$argon2id$v=19${cost}${octets(_hasher.salt_len)}${octets(_hasher.hash_len)}"


#: what an unknown address is checked against: the same work, never a match
_NOBODY = _stand_in_hash()
