"""The JSON door: bearer tokens only, problems for errors, one module per noun."""

from __future__ import annotations

from flask import Blueprint, Flask, current_app, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import MapAdapter

from app.api import (
    accommodations,
    locks,
    mappings,
    probes,
    problems,
    properties,
    reconciliation,
    reservations,
    tokens,
    webhooks,
)

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
#: what answers under /api/admin, behind a token
NOUNS = (
    reconciliation.bp,
    reservations.bp,
    properties.bp,
    properties.room_types,
    accommodations.bp,
    locks.bp,
    mappings.bp,
)


def register(app: Flask) -> None:
    """Add the API and the probes."""
    app.register_blueprint(api)
    app.register_blueprint(probes.bp)


def nowhere(rest: str = "") -> ResponseReturnValue:
    """404, or 405 when the path answers to other methods."""
    adapter = current_app.create_url_adapter(request)
    allowed = [method for method in METHODS if adapter and _answers(adapter, method)]
    if allowed:
        raise MethodNotAllowed(valid_methods=allowed)
    raise NotFound("nothing answers at this address")


def _answers(adapter: MapAdapter, method: str) -> bool:
    try:
        endpoint, _ = adapter.match(request.path, method=method)
    except HTTPException:
        return False
    return not str(endpoint).endswith(".nowhere")


admin = Blueprint("admin", __name__)
admin.before_request(tokens.guard)
for noun in NOUNS:
    admin.register_blueprint(noun)

api = Blueprint("api", __name__, url_prefix="/api")
problems.install(api)
api.register_blueprint(tokens.bp)
api.register_blueprint(webhooks.bp)
api.register_blueprint(admin, url_prefix="/admin")
# What no route answers still gets a problem, not a page.
for rule in ("/", "/<path:rest>"):
    api.add_url_rule(rule, view_func=nowhere, methods=METHODS, provide_automatic_options=False)
