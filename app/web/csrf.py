"""What changes something comes from our own pages, or nothing happens (INTERFACES §4)."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from flask import Flask, abort, request, session
from werkzeug.exceptions import Forbidden

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
FIELD = "csrf_token"
HEADER = "X-CSRF-Token"


class PageTooOld(Forbidden):
    """The request came from our own site, with a token of an earlier session."""

    description = "The page was open for too long."


def token() -> str:
    """The token of this browser session, made when the first form needs it."""
    if "csrf" not in session:
        session["csrf"] = secrets.token_urlsafe(32)
    return str(session["csrf"])


def from_here() -> bool:
    """Whether a header proves that one of our own pages sent this."""
    headers = request.headers
    named = headers.get("Origin") or headers.get("Referer")
    return headers.get("Sec-Fetch-Site") == "same-origin" or (
        named is not None and urlsplit(named).netloc == request.host
    )


def from_elsewhere() -> bool:
    """Whether any header names another site as the origin of this request."""
    fetch_site = request.headers.get("Sec-Fetch-Site")
    if fetch_site is not None and fetch_site not in ("same-origin", "none"):
        return True
    named = (request.headers.get("Origin"), request.headers.get("Referer"))
    return any(each is not None and not _is_ours(each) for each in named)


def _is_ours(address: str) -> bool:
    try:
        return urlsplit(address).netloc == request.host
    except ValueError:  # an address that is none, such as http://[
        return False


def check() -> None:
    """Refuse with 403 what another site sent, and what carries no valid token.

    Only what is known to come from our own page is offered back to be pressed again.
    """
    if from_elsewhere():
        abort(403)
    given = request.headers.get(HEADER) or request.form.get(FIELD, "")
    known = str(session.get("csrf", ""))
    if known and secrets.compare_digest(given.encode(), known.encode()):
        return
    if from_here():
        raise PageTooOld
    abort(403)


def init(app: Flask, *, pages: frozenset[str]) -> None:
    """Check every unsafe request to a page."""
    app.jinja_env.globals.update(csrf_token=token)

    @app.before_request
    def protect() -> None:
        if request.method not in SAFE and request.blueprint in pages:
            check()
