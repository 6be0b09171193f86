"""Liveness and readiness, for load balancers and bin/run; no token needed."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from app.api import problems, unknown
from app.services import health

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
