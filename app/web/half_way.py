"""Between the password and the second factor: known for five minutes, signed in to nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import session

from app import clock
from app.models import User
from app.services import second_factor, users

PATIENCE = timedelta(minutes=5)
_KEY = "half"


@dataclass(frozen=True, slots=True)
class HalfWay:
    """Who has given the right password, and what the form of that step said."""

    user: User
    next: str
    keep: bool


def remember(user: User, wanted: str, *, keep: bool) -> None:
    """Put it in the signed cookie; a new password or role voids it, as does time."""
    session[_KEY] = {
        "user": str(user.id),
        "email": user.email,  # what wrong codes are counted by
        "stamp": users.credential_stamp(user),
        "until": int((clock.utcnow() + PATIENCE).timestamp()),
        "next": wanted[:500],
        "keep": keep,
    }


def current() -> HalfWay | None:
    """Who stands at the second step; None when nobody does, or does any more."""
    told: dict[str, Any] = session.get(_KEY) or {}
    if not told or clock.utcnow().timestamp() >= told["until"]:
        return None
    user = users.get(UUID(told["user"]))
    if user is None or not user.is_active or not second_factor.is_on(user):
        return None
    if users.credential_stamp(user) != told["stamp"]:
        return None
    return HalfWay(user, told["next"], told["keep"])
