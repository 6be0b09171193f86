"""Addresses of the JSON door that no route answers: a problem, not a page."""

from __future__ import annotations

from flask import Blueprint, current_app, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import MapAdapter, PathConverter

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Rest(PathConverter):
    """Whatever is left of a path: one with a line break is an address as well, which `path` is
    blind to."""

    regex = r"[\s\S]+"
    part_isolating = False  # it goes across slashes


def catch(bp: Blueprint) -> None:
    """Answer everything below the prefix of `bp` that nothing else answers."""
    bp.record(lambda state: state.app.url_map.converters.update(rest=Rest))
    for rule in ("/", "/<rest:rest>"):
        bp.add_url_rule(rule, view_func=nowhere, methods=METHODS, provide_automatic_options=False)


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
