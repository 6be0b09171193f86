"""The second factor of administrators: codes of an app (RFC 6238), and recovery codes on paper.

A code works once, at most 30 seconds early or late. The secret is sealed with the keys of the PINs;
of a recovery code only the hash is stored.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

import pyotp
import structlog
from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from app import clock
from app.crypto import hash_token, same
from app.errors import Conflict, Invalid, NotFound
from app.models import RecoveryCode, User
from app.runtime import secret_vault
from app.services import account_letters, audit, passwords, user_sessions
from app.services.audit import Actor
from app.transaction import transaction

log = structlog.get_logger(__name__)

Kind = Literal["totp", "recovery"]

ISSUER = "Turnkey"
STEP_SECONDS, DIGITS = 30, 6
#: steps a clock may be off, either way
WINDOW = 1
RECOVERY_CODES = 10
#: no letter looks like a figure; 16 of 32 are 80 bits, so that a plain hash keeps them
_ALPHABET = "abcdefghjkmnpqrstuvwxyz234567890"

_WRONG = "is not right, or was used already"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A secret that waits to be confirmed: to be typed, and as the address a QR code holds."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


def is_on(user: User) -> bool:
    """Whether a code is asked for."""
    return user.totp_confirmed_at is not None


def begin(user_id: UUID, *, actor: Actor) -> None:
    """Make a secret; nothing is asked for before it is confirmed. Raises Conflict when it is on."""
    with transaction() as session:
        user = _locked(session, user_id)
        if is_on(user):
            raise Conflict("the second factor is on already")
        user.totp_secret_encrypted = secret_vault().seal(pyotp.random_base32())
        user.totp_last_step = None
        audit.record(session, actor, "begin_second_factor", "user", user.id)


def waiting(user: User) -> Enrolment | None:
    """The secret that waits to be confirmed; None when there is none."""
    if is_on(user) or (secret := _secret(user.totp_secret_encrypted)) is None:
        return None
    name = user.email
    return Enrolment(secret, pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER))


def confirm(user: User, password: str, code: str, *, keep: str, actor: Actor) -> list[str]:
    """Switch it on with the first code of the app; the recovery codes, which are told only now.

    Every bearer token and every other session was made without it, and ends. Raises Invalid naming
    `password` or `code`, Conflict when it is on or was never begun.
    """
    _check_password(user, password)
    with transaction() as session:
        row = _locked(session, user.id)
        if is_on(row) or row.totp_secret_encrypted is None:
            raise Conflict("there is nothing to confirm")
        step = _matching_step(_secret(row.totp_secret_encrypted), code)
        if step is None:
            raise Invalid.field("code", "is not right")
        row.totp_last_step, row.totp_confirmed_at = step, clock.utcnow()
        user_sessions.cut_off(session, row, keep=keep)
        told = _new_codes(session, row.id)
        audit.record(session, actor, "enable_second_factor", "user", row.id)
        account_letters.tell(row, "factor_on")
    return told


def accept(user_id: UUID, code: str) -> Kind | None:
    """What the code was, spent by this call; None for a wrong, an old and a spent one."""
    given = _plain(code)
    with transaction() as session:
        user = session.get(User, user_id)
        if user is None or not user.is_active or not is_on(user):
            return None
        if len(given) != DIGITS:
            return "recovery" if _spend_recovery(session, user_id, given) else None
        step = _matching_step(_secret(user.totp_secret_encrypted), given)
        if step is None:
            return None
        spent = session.execute(
            update(User)
            .where(
                User.id == user_id,
                User.totp_confirmed_at.is_not(None),
                User.totp_secret_encrypted == user.totp_secret_encrypted,
                or_(User.totp_last_step.is_(None), User.totp_last_step < step),
            )
            .values(totp_last_step=step)
            .returning(User.id)
            .execution_options(synchronize_session=False)
        ).one_or_none()
    return "totp" if spent is not None else None


def renew_codes(user: User, password: str, code: str, *, actor: Actor) -> list[str]:
    """Ten new recovery codes; the old ones are void. Raises Invalid naming `password` or `code`."""
    _prove(user, password, code)
    with transaction() as session:
        row = _locked(session, user.id)
        if not is_on(row):
            raise Conflict("the second factor is off")
        told = _new_codes(session, user.id)
        audit.record(session, actor, "renew_recovery_codes", "user", user.id)
        account_letters.tell(row, "recovery_codes")
    return told


def disable(user: User, password: str, code: str, *, actor: Actor) -> None:
    """Switch one's own off. Raises Invalid naming `password` or `code`."""
    _prove(user, password, code)
    _remove(user.id, "disable_second_factor", actor)


def remove(user_id: UUID, *, actor: Actor) -> None:
    """Take it from somebody who has lost it; every session and token of theirs ends. Raises
    NotFound, Conflict when there is none."""
    _remove(user_id, "remove_second_factor", actor, cut_off=True)


def codes_left(user_id: UUID) -> int:
    """How many recovery codes still work."""
    with transaction() as session:
        return (
            session.scalar(
                select(func.count())
                .select_from(RecoveryCode)
                .where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
            )
            or 0
        )


def _remove(user_id: UUID, action: str, actor: Actor, *, cut_off: bool = False) -> None:
    with transaction() as session:
        user = _locked(session, user_id)
        if user.totp_secret_encrypted is None and not is_on(user):
            raise Conflict("there is no second factor")
        was_on = is_on(user)
        user.totp_secret_encrypted = user.totp_confirmed_at = user.totp_last_step = None
        session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
        if cut_off:
            user_sessions.cut_off(session, user)
        audit.record(session, actor, action, "user", user_id)
        if was_on:
            account_letters.tell(user, "factor_off")


def _locked(session: Session, user_id: UUID) -> User:
    user = session.get(User, user_id, with_for_update=True)
    if user is None:
        raise NotFound("no such user")
    return user


def _prove(user: User, password: str, code: str) -> None:
    _check_password(user, password)  # first: a wrong password must not spend a code
    if accept(user.id, code) is None:
        raise Invalid.field("code", _WRONG)


def _check_password(user: User, password: str) -> None:
    if not passwords.matches(user.password_hash, password):
        raise Invalid.field("password", "is not right")


def _secret(sealed: str | None) -> str | None:
    if sealed is None:
        return None
    try:
        return secret_vault().open(sealed)
    except ValueError:
        # A key is missing: codes on paper still work, and the terminal can take the factor away.
        log.error("second_factor_sealed_with_a_missing_key")
        return None


def _plain(code: str) -> str:
    """As it is compared: people type blanks and dashes where they see them."""
    return "".join(char for char in code[:64].casefold() if char.isascii() and char.isalnum())


def _matching_step(secret: str | None, code: str) -> int | None:
    """The step the code belongs to; each candidate is compared, whichever it is."""
    given = _plain(code)
    if secret is None or len(given) != DIGITS or not given.isdigit():
        return None
    totp = pyotp.TOTP(secret, digits=DIGITS, interval=STEP_SECONDS)
    now = int(clock.utcnow().timestamp()) // STEP_SECONDS
    found = None
    for step in range(now - WINDOW, now + WINDOW + 1):
        if same(totp.generate_otp(step), given):
            found = step
    return found


def _new_codes(session: Session, user_id: UUID) -> list[str]:
    """Ten codes as they are read out; the ones before are gone."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    plain = ["".join(secrets.choice(_ALPHABET) for _ in range(16)) for _ in range(RECOVERY_CODES)]
    session.add_all(RecoveryCode(user_id=user_id, code_hash=hash_token(code)) for code in plain)
    return ["-".join(code[at : at + 4] for at in range(0, 16, 4)) for code in plain]


def _spend_recovery(session: Session, user_id: UUID, given: str) -> bool:
    spent = session.execute(
        update(RecoveryCode)
        .where(
            RecoveryCode.user_id == user_id,
            RecoveryCode.code_hash == hash_token(given),
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=clock.utcnow())
        .returning(RecoveryCode.id)
    ).one_or_none()
    return spent is not None
