"""The second step of a sign-in: the code of the authenticator app, or one from paper."""

from __future__ import annotations

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue

from app.extensions import code_limit, count_wrong_code
from app.services import sign_in
from app.web import half_way, sessions
from app.web.rendering import render
from app.web.sessions import public

_sessions = sessions.bp


@_sessions.get("/login/code")
@public
def ask_code() -> ResponseReturnValue:
    """The form; back to the first step when that is too long ago."""
    if half_way.current() is None:
        return redirect(url_for("sessions.login"), 303)
    return render("sessions/code.html")


@_sessions.post("/login/code")
@public
@code_limit
def check_code() -> ResponseReturnValue:
    """Check the code and start a session with a token of its own."""
    half = half_way.current()
    if half is None:
        return redirect(url_for("sessions.login"), 303)
    kind = sign_in.with_code(half.user, request.form.get("code", ""), ip=request.remote_addr)
    if kind is None:
        count_wrong_code()
        return render("sessions/code.html", 422, failed=True, left=sessions.tries_left())
    if not sessions.begin(half.user, keep=half.keep, factor=kind):
        return redirect(url_for("sessions.login"), 303)
    return redirect(sessions.safe_next(half.next), 303)
