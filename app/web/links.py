"""Links that were handed out: choose a password, once (an invitation, or a reset).

The token leaves the address at once: it is put into the signed cookie and the browser is sent to a
page without it, so that neither a Referer, the history of that page nor a log holds it.
"""

from __future__ import annotations

from flask import Blueprint, flash, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue

from app.errors import Invalid, NotFound
from app.extensions import link_limit
from app.services import user_links
from app.services.user_links import Link
from app.web.dates import gettext as _
from app.web.forms import Form, refused
from app.web.rendering import render
from app.web.sessions import forget, public

bp = Blueprint("links", __name__)

_KEY = "link"
#: a token of ours has 43 characters; what is longer is none, and need not fill the cookie
_LONGEST = 100


@bp.get("/invite/<token>")
@bp.get("/reset/<token>", endpoint="open_reset")
@public
def open_invite(token: str) -> ResponseReturnValue:
    """Take the token out of the address; whether it is good for anything is not looked at here."""
    session[_KEY] = token[:_LONGEST]
    response = redirect(url_for(".choose"), 303)
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@bp.get("/choose-password")
@public
@link_limit
def choose() -> ResponseReturnValue:
    """The form; the same page for a link that is unknown, spent or too old. Nothing is used up."""
    link = user_links.of(_token())
    return _form(link) if link is not None else _gone()


@bp.post("/choose-password")
@public
@link_limit
def save() -> ResponseReturnValue:
    """Store the password and lead to the sign-in, which asks for the second factor as ever."""
    token = _token()
    link = user_links.of(token)
    if link is None:
        return _gone()
    try:
        user_links.redeem(token, request.form.get("password", ""), ip=request.remote_addr)
    except Invalid as error:
        return _form(link, refused(error, {}), 422)
    except NotFound:
        return _gone()
    forget()
    flash(_("Your password is saved. Sign in with it."), "ok")
    return redirect(url_for("sessions.login"), 303)


def _token() -> str:
    return str(session.get(_KEY, ""))


def _form(link: Link, form: Form | None = None, status: int = 200) -> ResponseReturnValue:
    g.user = None  # whoever is signed in in this window: the page is about the link
    return render("links/choose.html", status, link=link, form=form or Form({}))


def _gone() -> ResponseReturnValue:
    session.pop(_KEY, None)
    g.user = None
    return render("links/gone.html", 404)
