"""Issue and check bearer tokens; say which role a view needs (INTERFACES §4)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import jwt
from flask import Blueprint, current_app, g, jsonify, request
from flask.typing import ResponseReturnValue
from pydantic import ConfigDict

from app import clock
from app.api.bodies import body
from app.api.problems import Unauthenticated, problem
from app.errors import FieldError, Forbidden
from app.extensions import code_limit, count_wrong_code, sign_in_limits
from app.models import User
from app.runtime import settings
from app.services import second_factor, sign_in, users
from app.services.audit import Actor
from app.services.inputs import Input

F = TypeVar("F", bound=Callable[..., Any])

ALGORITHM = "HS256"
LIFETIME = timedelta(hours=12)

WRONG = "the e-mail address or the password is wrong"
NEEDS_CODE = "a code of the second factor is needed: send it as totp"
WRONG_CODE = "the code is wrong, or was used already"

bp = Blueprint("tokens", __name__)


class Credentials(Input):
    """What one signs in with; blanks around a password belong to it."""

    model_config = ConfigDict(str_strip_whitespace=False)

    email: str
    password: str
    #: a code of the second factor, or a recovery code; read when the person has one
    totp: str | None = None


@bp.post("/auth/token")
@sign_in_limits[0]
@sign_in_limits[1]
@code_limit
def create() -> ResponseReturnValue:
    """A bearer token for an e-mail address and a password; whoever has a second factor sends
    `totp` as well, and is told so when it is missing."""
    given = body(Credentials)
    ip = request.remote_addr
    user = sign_in.with_password(given.email, given.password, ip=ip)
    if user is None:
        return problem(401, WRONG)
    factor = None
    if second_factor.is_on(user):
        if not given.totp:
            return problem(401, NEEDS_CODE, [FieldError("totp", "is required")])
        factor = sign_in.with_code(user, given.totp, ip=ip)
        if factor is None:
            count_wrong_code()
            return problem(401, WRONG_CODE, [FieldError("totp", "is not right")])
    if not sign_in.complete(user, ip=ip, door="api", factor=factor):
        return problem(401, WRONG)
    return jsonify(
        access_token=issue(user),
        token_type="Bearer",  # noqa: S106
        expires_in=int(LIFETIME.total_seconds()),
        role=user.role,
    )


def issue(user: User) -> str:
    """A signed token for 12 hours; `stamp` dies with the password and the role of now."""
    now = clock.utcnow()
    claims = {
        "sub": str(user.id),
        "role": user.role,
        "jti": str(uuid4()),
        "iat": int(now.timestamp()),
        "exp": int((now + LIFETIME).timestamp()),
        "stamp": users.credential_stamp(user),
    }
    return jwt.encode(claims, settings().jwt_secret, algorithm=ALGORITHM)


def bearer() -> User:
    """Whose token the request carries. Raises Unauthenticated; a cookie is never looked at."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("a bearer token is needed")
    try:
        claims = jwt.decode(
            token.strip(),
            settings().jwt_secret,
            algorithms=[ALGORITHM],
            # Time is checked below, by the app's own clock.
            options={
                "require": ["sub", "exp"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
        user_id = UUID(str(claims["sub"]))
        expires = datetime.fromtimestamp(int(claims["exp"]), UTC)
    except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError, OSError):
        raise Unauthenticated("the token is not valid") from None
    if expires <= clock.utcnow():
        raise Unauthenticated("the token has expired")
    user = users.get(user_id)
    if user is None or not user.is_active:
        raise Unauthenticated("the token is not valid")
    if claims.get("stamp", users.credential_stamp(user)) != users.credential_stamp(user):
        raise Unauthenticated("the password or the role has changed since the token was made")
    if sign_in.must_enrol(user):
        raise Unauthenticated("administrators need a second factor here: set it up in the browser")
    return user


def staff_too(view: F) -> F:
    """Open a view of the admin API to staff; without this mark it is for admins only."""
    view.needs_role = "staff"  # type: ignore[attr-defined]
    return view


def needed_role(endpoint: str) -> str:
    """The role that the view behind an endpoint asks for."""
    return str(getattr(current_app.view_functions[endpoint], "needs_role", "admin"))


def guard() -> None:
    """Before every view of the admin API: a valid token, and the role the view needs.

    The role is the one the person has today, not the one in the token.
    """
    user = bearer()
    if request.endpoint is None or (needed_role(request.endpoint) == "admin" and not user.is_admin):
        raise Forbidden("this is for admins")
    g.api_user = user


def actor() -> Actor:
    """Whom the audit log names for this request."""
    user: User = g.api_user
    return Actor(user.email, user.id, user.role, request.remote_addr)
