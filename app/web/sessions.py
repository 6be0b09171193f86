"""Signing in and out, and who may open what (INTERFACES §4)."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit

import structlog
from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    current_app,
    g,
    redirect,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from app.extensions import limiter, sign_in_limits
from app.models.users import User
from app.services import second_factor, sign_in, users
from app.services.audit import Actor
from app.web import csrf, half_way
from app.web.rendering import is_htmx, render

bp = Blueprint("sessions", __name__)

P = ParamSpec("P")
R = TypeVar("R")


def public(view: Callable[P, R]) -> Callable[P, R]:
    """Mark a page that needs no sign-in; every other page does."""
    view.is_public = True  # type: ignore[attr-defined]
    return view  # decorators above it copy the mark (functools.wraps)


def login_required(view: Callable[P, R]) -> Callable[P, R]:
    """Say on the view itself what holds for every page that is not `public`."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        require_user()
        return view(*args, **kwargs)

    return guarded


def role_required(*roles: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Only people with one of these roles; 403 for the others."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            if require_user().role not in roles:
                abort(403)
            return view(*args, **kwargs)

        return guarded

    return decorate


def require_user() -> User:
    """The person signed in; 401 otherwise, which the error page turns into a way to sign in."""
    user: User | None = g.get("user")
    if user is None:
        raise Unauthorized(www_authenticate=WWWAuthenticate("session"))
    return user


def current_actor() -> Actor:
    """Whom the audit log names for what this request does."""
    user = require_user()
    return Actor(user.email, user.id, user.role, request.remote_addr)


@bp.get("/login")
@public
def login() -> ResponseReturnValue:
    """The form; somebody who is signed in already is sent on."""
    if g.get("user") is not None:
        return redirect(safe_next(request.args.get("next")), 303)
    return render("sessions/login.html", email="", next=request.args.get("next", ""))


@bp.post("/login", endpoint="sign_in")
@public
@sign_in_limits[0]
@sign_in_limits[1]
def check_password() -> ResponseReturnValue:
    """Check the password and start a session of its own (no fixation: nothing is carried over);
    whoever has a second factor is asked for it first."""
    email = request.form.get("email", "")
    wanted = request.form.get("next", "")
    keep = request.form.get("keep") == "on"
    ip = request.remote_addr
    user = sign_in.with_password(email, request.form.get("password", ""), ip=ip)
    if user is not None:
        forget()
        if second_factor.is_on(user):
            half_way.remember(user, wanted, keep=keep)
            return redirect(url_for(".ask_code"), 303)
        if begin(user, keep=keep):
            return redirect(safe_next(wanted), 303)
    return render(
        "sessions/login.html", 422, failed=True, left=tries_left(), email=email, next=wanted
    )


def forget() -> None:
    """End what this browser was signed in as; nothing of it is carried over."""
    old = session.get("token")
    session.clear()
    if old:
        users.end_session(str(old))


def begin(user: User, *, keep: bool, factor: str | None = None) -> bool:
    """Start a session of its own for this browser; False when the person may not after all."""
    token = sign_in.open_session(
        user,
        ip=request.remote_addr,
        user_agent=request.headers.get("User-Agent"),
        factor=factor,
    )
    session.clear()
    if token is None:
        return False
    session["token"] = token
    session.permanent = keep
    csrf.token()
    return True


def tries_left() -> int | None:
    """How many tries remain after this failed one; None while there are plenty."""
    left = min((limit.remaining for limit in limiter.current_limits), default=10) - 1
    return left if left <= 3 else None


def wait_to_sign_in(minutes: int) -> Response:
    """The form for somebody who failed too often."""
    return render(
        "sessions/login.html",
        429,
        waiting=minutes,
        email=request.form.get("email", ""),
        next=request.form.get("next", ""),
    )


@bp.post("/logout")
@public
def sign_out() -> ResponseReturnValue:
    """End the session on the server and forget it here."""
    forget()
    return redirect(url_for("sessions.login"), 303)


def safe_next(target: str | None) -> str:
    """A path of this site, or Today: nobody is sent elsewhere after signing in."""
    home = url_for("today.index") if "today.index" in current_app.view_functions else "/"
    if not target or not target.startswith("/") or target[1:2] in ("/", "\\"):
        return home
    if not target.isprintable() or "\\" in target:
        return home
    try:
        parts = urlsplit(target)
    except ValueError:
        return home
    if parts.scheme or parts.netloc or parts.path.startswith(url_for("sessions.login")):
        return home
    return target


def sign_in_first() -> Response:
    """What somebody without a session gets: the way to sign in, and back here after it."""
    if is_htmx():
        try:
            here = urlsplit(request.headers.get("HX-Current-URL", ""))
        except ValueError:  # an address that is none, such as http://[
            here = urlsplit("")
        back = here.path + (f"?{here.query}" if here.query else "")
        response = Response(status=401)
        response.headers["HX-Redirect"] = url_for("sessions.login", next=back or None)
        return response
    back = request.full_path.removesuffix("?") if request.method in csrf.SAFE else "/"
    location = url_for("sessions.login", next=None if back == "/" else back)
    return current_app.make_response(redirect(location, 303))


def enrol_first() -> Response:
    """What an administrator gets where a second factor is required and none is set up."""
    location = url_for("account.show_second_factor")
    if is_htmx():
        return Response(status=403, headers={"HX-Redirect": location})
    return current_app.make_response(redirect(location, 303))


def own_token() -> str:
    """The token of this browser's own session."""
    return str(session.get("token", ""))


def init(app: Flask, *, pages: frozenset[str]) -> None:
    """Know who is there on every page, and let nobody in who is not signed in."""
    app.config["PERMANENT_SESSION_LIFETIME"] = users.SESSION_LIFETIME

    @app.before_request
    def identify() -> Response | None:
        if request.blueprint not in pages and request.endpoint is not None:
            return None
        g.pop("properties", None)
        token = session.get("token")
        g.user = users.session_user(str(token)) if token else None
        if g.user is not None:
            structlog.contextvars.bind_contextvars(user_id=str(g.user.id))
        view = current_app.view_functions.get(request.endpoint or "")
        if view is None or getattr(view, "is_public", False):
            return None
        if g.user is None:
            return sign_in_first()
        if sign_in.must_enrol(g.user) and request.blueprint != "account":
            return enrol_first()
        return None

    app.jinja_env.globals.update(current_user=lambda: g.get("user"))
