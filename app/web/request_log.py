"""One id and one log line per request; the id is what people read to an administrator."""

from __future__ import annotations

import re
import secrets
import time
from http import HTTPStatus

import structlog
from flask import Flask, Response, g, request

from app import meters

log = structlog.get_logger("turnkey.access")

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

#: the last part of a webhook's address is its secret (INTERFACES §6), and so is that of a link with
#: which a password is chosen
_TOKEN = re.compile(r"(/webhooks/\w+/(?!reservation$)|^/(?:invite|reset)/).+", re.DOTALL)
#: what we accept from a proxy in front of us: short and harmless in a log line
_GIVEN = re.compile(r"[A-Za-z0-9_.:-]{8,64}")


def request_id() -> str:
    """The code of this request, as in `X-Request-ID`."""
    code: str = g.get("request_id", "")
    return code


def init(app: Flask) -> None:
    """Name each request before anything else runs, and log it after everything else did."""

    @app.before_request
    def name_request() -> None:
        given = request.headers.get("X-Request-ID", "")
        g.request_id = given if _GIVEN.fullmatch(given) else _new_id()
        g.started = time.perf_counter()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)

    @app.after_request
    def log_request(response: Response) -> Response:
        response.headers["X-Request-ID"] = request_id()
        started = g.get("started")
        _measure(response.status_code, started)
        log.info(
            "request",
            method=request.method,
            path=safe_path(),
            status=response.status_code,
            ms=round((time.perf_counter() - started) * 1000, 1) if started else None,
        )
        return response


def _measure(status: int, started: float | None) -> None:
    """By the rule of the route: an address may hold a token, and an id anyway."""
    rule = request.url_rule.rule if request.url_rule is not None else "none"
    method = request.method if request.method in _METHODS else "other"
    labels = {"route": rule, "method": method, "status": f"{status // 100}xx"}
    meters.count("turnkey_http_requests_total", **labels)
    if started is not None:
        meters.observe("turnkey_http_request_seconds", time.perf_counter() - started, route=rule)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        meters.count("turnkey_limit_hits_total", limit="door")


def safe_path() -> str:
    """Without the query, which may name a guest, and without a token that is part of the path."""
    return _TOKEN.sub(r"\1[removed]", request.path)


def _new_id() -> str:
    """Four and four, to be read aloud."""
    code = secrets.token_hex(4).upper()
    return f"REQ-{code[:4]}-{code[4:]}"
