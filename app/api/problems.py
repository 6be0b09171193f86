"""Whatever goes wrong behind the JSON door, as a problem (RFC 9457)."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

import structlog
from flask import Blueprint, Response, current_app, jsonify
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge, TooManyRequests

from app import errors
from app.errors import FieldError
from app.extensions import retry_after

log = structlog.get_logger(__name__)

#: what a service refuses, as a status; the first that fits
STATUS: tuple[tuple[type[errors.ServiceError], int], ...] = (
    (errors.NotFound, 404),
    (errors.Invalid, 400),
    (errors.Forbidden, 403),
    (errors.Conflict, 409),
    (errors.Unavailable, 503),
)


class Unauthenticated(Exception):
    """No token, or one that does not hold: 401."""


def problem(status: int, detail: str, found: Sequence[FieldError] = (), **more: object) -> Response:
    """The answer: `type,title,status,detail`, `errors` when fields are to blame, and `more`."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **more,
    }
    if found:
        body["errors"] = [{"field": each.field, "message": each.message} for each in found]
    response = jsonify(body)
    response.status_code = status
    response.content_type = "application/problem+json"
    return response


def install(bp: Blueprint) -> None:
    """Answer every error inside `bp`, its children included, with a problem."""
    bp.register_error_handler(errors.ServiceError, _refused)
    bp.register_error_handler(Unauthenticated, _unauthenticated)
    bp.register_error_handler(HTTPException, _http)
    bp.register_error_handler(OperationalError, _away)
    bp.register_error_handler(PoolTimeout, _away)
    bp.register_error_handler(Exception, _broken)


def _refused(error: errors.ServiceError) -> Response:
    status = next((code for kind, code in STATUS if isinstance(error, kind)), 400)
    return problem(status, error.message, error.errors)


def _unauthenticated(error: Unauthenticated) -> Response:
    response = problem(401, str(error))
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _http(error: HTTPException) -> Response:
    if isinstance(error, RequestEntityTooLarge):
        return problem(400, "the body is too large")
    if isinstance(error, TooManyRequests):
        response = problem(429, "too many failed attempts; wait a while")
        response.headers["Retry-After"] = str(retry_after())
        return response
    status = error.code or 500
    response = problem(status, str(error.description or HTTPStatus(status).phrase))
    for name, value in error.get_headers():
        if name.lower() == "allow":
            response.headers[name] = value
    return response


def _away(error: Exception) -> Response:
    """The database is away or overloaded: whoever asks may come back, and senders do."""
    log.error("database_unavailable", error=type(error).__name__)
    response = problem(503, "the database does not answer right now")
    response.headers["Retry-After"] = "10"
    return response


def _broken(error: Exception) -> Response:
    """Nothing of the exception leaves: it may quote a row."""
    log.error("unhandled", exc_info=error)
    if current_app.testing and current_app.config.get("PROPAGATE_EXCEPTIONS") is not False:
        raise error
    return problem(500, "something went wrong on our side; the request id names it in the log")
