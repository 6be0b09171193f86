"""The steps of a sign-in, each written down: the password, the second factor, and in."""

from __future__ import annotations

from typing import Literal

from app import clock
from app.models import User
from app.runtime import settings
from app.services import audit, second_factor, users
from app.services.audit import Actor
from app.transaction import transaction

Step = Literal["password", "code"]


def with_password(email: str, password: str, *, ip: str | None) -> User | None:
    """The person, when the password is right; a failure is noted. Not signed in yet."""
    user = users.authenticate(email, password)
    if user is None:
        known = users.find(email)
        _failed(known, "password", ip)
    return user


def with_code(user: User, code: str, *, ip: str | None) -> second_factor.Kind | None:
    """What the second factor was proved with; None when it was not, which is noted."""
    kind = second_factor.accept(user.id, code)
    if kind is None:
        _failed(user, "code", ip)
    return kind


def complete(user: User, *, ip: str | None, door: str, factor: str | None = None) -> bool:
    """Note the sign-in. False when it must not happen after all: the person was deactivated, or the
    password or role changed since it was checked."""
    with transaction() as session:
        row = session.get(User, user.id, with_for_update=True)
        if row is None or not row.is_active or not _same(row, user):
            return False
        row.last_login_at = clock.utcnow()
        told = {"door": door} | ({"second_factor": factor} if factor else {})
        audit.record(session, Actor(row.email, row.id, row.role, ip), "sign_in", "user", row.id,
                     after=told)  # fmt: skip
    return True


def open_session(
    user: User, *, ip: str | None, user_agent: str | None, factor: str | None = None
) -> str | None:
    """The token of a browser that is signed in now; None as `complete` says."""
    with transaction():
        if not complete(user, ip=ip, door="browser", factor=factor):
            return None
        return users.start_session(user.id, ip, user_agent)


def must_enrol(user: User) -> bool:
    """Whether this installation lets the person in no further without a second factor."""
    needed = settings().admin_second_factor == "required"
    return needed and user.is_admin and not second_factor.is_on(user)


def _same(row: User, checked: User) -> bool:
    return users.credential_stamp(row) == users.credential_stamp(checked)


def _failed(user: User | None, step: Step, ip: str | None) -> None:
    """An address that is nobody's is not kept: people type passwords into that field."""
    actor = Actor("unknown", ip=ip)
    if user is not None:
        actor = Actor(user.email, user.id, user.role, ip)
    with transaction() as session:
        entity_id = user.id if user is not None else None
        audit.record(session, actor, "sign_in_failed", "user", entity_id, after={"step": step})
