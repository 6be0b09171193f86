"""Accommodations and mappings as CSV files: out, and in again after a look."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from app.api.problems import problem
from app.api.tokens import actor
from app.errors import FieldError, Invalid
from app.services import csv_io, csv_text, list_args
from app.services.csv_io import Imported

bp = Blueprint("csv_files", __name__)

TYPES = ("text/csv", "application/csv", "application/vnd.ms-excel", "text/plain")


@bp.get("/accommodations.csv")
def accommodations() -> Response:
    return _file("accommodations", csv_io.export_accommodations())


@bp.get("/mappings.csv")
def mappings() -> Response:
    return _file("mappings", csv_io.export_mappings())


@bp.post("/accommodations.csv", endpoint="import_accommodations")
@bp.post("/mappings.csv", endpoint="import_mappings")
def take_in() -> ResponseReturnValue:
    """Take a file in, or with `?dry_run=true` say what it would do. The columns tell which of the
    two it is. 400 naming every bad line, and nothing is written."""
    if request.mimetype not in TYPES:
        raise Invalid("the body must be CSV, sent as text/csv")
    text = csv_text.decoded(request.get_data())
    if list_args.flag(request.args, "dry_run"):
        return jsonify(_imported(csv_io.preview(text)))
    done = csv_io.apply(text, actor=actor())
    return _refused(done) if done.errors else jsonify(_imported(done))


def _refused(done: Imported) -> Response:
    found = [
        FieldError(f"line {row.line}" + (f".{field}" if field else ""), message)
        for row in done.errors
        for field, message in row.errors
    ]
    return problem(400, f"{len(done.errors)} lines are not right; nothing was written", found)


def _file(name: str, text: str) -> Response:
    """A download that Excel reads as UTF-8."""
    response = Response("\ufeff" + text, mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    response.headers["Cache-Control"] = "no-store"
    return response


def _imported(found: Imported) -> dict[str, Any]:
    return {
        "kind": found.kind,
        "written": found.written,
        "errors": len(found.errors),
        "rows": [
            {
                "line": row.line,
                "action": row.action,
                "name": row.name,
                "errors": [{"field": field, "message": message} for field, message in row.errors],
            }
            for row in found.rows
        ],
    }
