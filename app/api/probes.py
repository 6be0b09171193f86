"""Liveness and readiness, for load balancers and bin/run; no token needed."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from app.api import problems, tokens, unknown
from app.api.problems import Unauthenticated
from app.services import channel_health, health

bp = Blueprint("probes", __name__, url_prefix="/health")
problems.install(bp)
unknown.catch(bp)


@bp.get("/live")
def live() -> ResponseReturnValue:
    """The process answers."""
    return jsonify(status="ok")


@bp.get("/ready")
def ready() -> ResponseReturnValue:
    """Database and Redis answer and the schema is current; 503 with words otherwise."""
    checks = health.ready()
    good = all(check.ok for check in checks)
    words = {check.name: check.word for check in checks}
    return jsonify(status="ok" if good else "unavailable", checks=words), 200 if good else 503


@bp.get("/channel-sync")
def channel_sync() -> ResponseReturnValue:
    """How the exchange with the channels is (MON-18…21): words for everyone, and for an admin how
    much waits. 503 only when something we depend on is broken (C-33)."""
    found = channel_health.look()
    full = found.database and _is_admin()  # without rows nobody is known
    queues = {
        name: {"depth": queue.depth, "status": queue.status} if full else {"status": queue.status}
        for name, queue in found.queues.items()
    }
    body = {
        "status": found.status,
        "redis": {"connected": found.redis},
        "database": {"connected": found.database},
        "beds24_api": {"reachable": found.beds24},
        "queues": queues,
    }
    return jsonify(body), 503 if found.status == channel_health.UNHEALTHY else 200


def _is_admin() -> bool:
    """A monitor's old token must not turn this answer into a 401."""
    try:
        return tokens.bearer().is_admin
    except (Unauthenticated, SQLAlchemyError):
        return False
