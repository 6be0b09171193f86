"""The description of the JSON door: for programs as OpenAPI, for people as a page."""

from __future__ import annotations

from flask import Blueprint, current_app, jsonify, render_template
from flask.typing import ResponseReturnValue

from app.api import openapi
from app.api.answers import Json

bp = Blueprint("documentation", __name__)


@bp.get("/openapi.json")
def document() -> ResponseReturnValue:
    """This description, in OpenAPI 3.1."""
    return jsonify(_document())


@bp.get("/docs")
def page() -> ResponseReturnValue:
    """This description, to read."""
    return render_template("api_docs.html", api=_document())


def _document() -> Json:
    """Made once for each app: it changes with the code alone."""
    found: Json | None = current_app.extensions.get("openapi")
    if found is None:
        found = current_app.extensions["openapi"] = openapi.document(current_app)
    return found
