"""Pages for what went wrong: what it is, what helps, the code to read aloud (UI §13)."""

from __future__ import annotations

import math
from typing import Any

import structlog
from flask import Flask, Response, g, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, TooManyRequests

from app import errors
from app.extensions import retry_after
from app.web import csrf
from app.web.rendering import is_htmx, render
from app.web.request_log import request_id, safe_path
from app.web.sessions import sign_in_first, wait_to_sign_in

log = structlog.get_logger(__name__)

#: doors that answer for themselves
OTHER_DOORS = ("/api/", "/admin/", "/health/", "/metrics", "/static/")
#: what a service refuses, as a page
STATUS: dict[type[errors.ServiceError], int] = {
    errors.NotFound: 404,
    errors.Forbidden: 403,
    errors.Invalid: 422,
    errors.Conflict: 409,
    errors.Unavailable: 503,
}
#: fields that never come back in a page
UNSAID = frozenset({csrf.FIELD, "password", "old_password", "code"})


def is_ours(path: str) -> bool:
    """Whether an error on this path is answered with a page."""
    return not path.startswith(OTHER_DOORS)


def problem(status: int, kind: str, **context: Any) -> Response:
    """A page for people; for htmx only the status, which `app.js` turns into a notice."""
    headers = {"X-Problem": kind}
    if is_htmx():
        if status in (409, 422):  # the two that htmx swaps: say it above, and leave the page alone
            headers |= {"HX-Retarget": "#notices", "HX-Reswap": "beforeend"}
            return render("errors/notice.html", status, headers=headers, **context)
        return Response("", status, headers)
    return render("errors/page.html", status, headers=headers, kind=kind, **context)


def bare_problem(status: int, kind: str, **context: Any) -> Response:
    """`problem` even when what broke is what the sidebar reads: then the page goes without one."""
    try:
        return problem(status, kind, **context)
    except Exception:
        g.user = None
        return problem(status, kind, **context)


def init(app: Flask) -> None:
    """Answer every error on a page's address with a page."""

    @app.errorhandler(csrf.PageTooOld)
    def too_old(error: csrf.PageTooOld) -> ResponseReturnValue:
        """The form comes back filled, with a token that works."""
        if request.endpoint == "sessions.sign_in":
            return render(
                "sessions/login.html",
                403,
                stale=True,
                email=request.form.get("email", ""),
                next=request.form.get("next", ""),
            )
        response = problem(
            403,
            "too_old",
            action=request.full_path.removesuffix("?"),
            fields=[(k, v) for k, v in request.form.items(multi=True) if k not in UNSAID],
        )
        if is_htmx():
            # Readable by our own origin only; the same press works the second time.
            response.headers[csrf.HEADER] = csrf.token()
        return response

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> ResponseReturnValue:
        if not is_ours(request.path) or error.response is not None:
            return error
        status = error.code or 500
        if status == 401:
            return sign_in_first()
        wait = retry_after() if isinstance(error, TooManyRequests) else None
        if wait is not None and request.endpoint == "sessions.sign_in":
            response = wait_to_sign_in(math.ceil(wait / 60))
        elif wait is not None and request.endpoint == "sessions.check_code":
            response = render("sessions/code.html", 429, waiting=math.ceil(wait / 60))
        else:
            response = problem(status, _kind(status), description=error.description)
        if wait is not None:
            response.headers["Retry-After"] = str(wait)
        for name, value in error.get_headers():
            if name.lower() == "allow":
                response.headers[name] = value
        return response

    @app.errorhandler(errors.ServiceError)
    def service_refused(error: errors.ServiceError) -> ResponseReturnValue:
        if not is_ours(request.path):
            raise error
        status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 400)
        return problem(status, _kind(status), description=error.message)

    @app.errorhandler(OperationalError)
    @app.errorhandler(PoolTimeout)
    def away(error: Exception) -> ResponseReturnValue:
        """The database is away, overloaded, or its disk is full; it comes back by itself."""
        if not is_ours(request.path):
            raise error
        log.error("database_unavailable", error=type(error).__name__, path=safe_path())
        response = bare_problem(503, "away")
        response.headers["Retry-After"] = "10"
        return response

    @app.errorhandler(Exception)
    def broken(error: Exception) -> ResponseReturnValue:
        if not is_ours(request.path):
            raise error
        log.error("unhandled", exc_info=error, path=safe_path())
        if app.testing and app.config.get("PROPAGATE_EXCEPTIONS") is not False:
            raise error
        return bare_problem(500, "broken", code=request_id())


def _kind(status: int) -> str:
    return {
        400: "bad_request",
        403: "forbidden",
        404: "not_found",
        405: "not_allowed",
        409: "conflict",
        413: "too_large",
        422: "bad_request",
        429: "too_many",
        503: "unavailable",
    }.get(status, "broken" if status >= 500 else "bad_request")
