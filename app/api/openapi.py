"""The JSON door described in OpenAPI 3.1, from the URL map, the views and `descriptions.py`.

Paths, methods and roles are those the app acts on; the bodies' schemas are those of the very models
that read them; what a view answers are the types of `answers*.py`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from http import HTTPStatus
from inspect import getdoc
from typing import Any

from flask import Flask
from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema
from werkzeug.routing import Rule

from app.api.answers import Json, Problem
from app.api.descriptions import OPERATIONS
from app.api.operations import ANY, CSV, JSON, SAYS_SOMETHING, STORABLE, Operation, Query
from app.api.tokens import needed_role
from app.services.inputs import Changes

REF = "#/components/schemas/{model}"
#: where a view is found under more than one path, the one that is described
PREFIXES = ("/api/", "/health/", "/metrics")
VARIABLE = re.compile(r"<(?:(\w+):)?(\w+)>")
PROBLEM = "application/problem+json"
#: what says all there is to say of a text
RULED = {"format", "enum", "const", "pattern"}
REQUEST_ID, RETRY_AFTER = "X-Request-ID", "Retry-After"
INTRODUCTION = """Everything people do in Turnkey's pages can be done over JSON.

Get a token at `/api/auth/token` and send it as `Authorization: Bearer …`; it lasts 12 hours and
dies with the password or the role. Times are in UTC, days in the zone of their property, amounts
text with two decimals. Lists come in pages (`page`, `limit`). Whatever goes wrong is a problem
(RFC 9457). The paths under `/admin` that the design documents name answer the same."""
REFUSED = {
    400: "The request is not right; `errors` names the fields.",
    401: "No proof of who asks, or one that does not hold.",
    403: "This is for admins.",
    404: "There is no such thing.",
    409: "It cannot be done as things stand; `detail` and `errors` say every reason.",
    429: "Too many attempts; `Retry-After` says how long to wait.",
    500: "Something went wrong on our side.",
    503: "Something we depend on does not answer; try again.",
}

EXAMPLE = {
    "type": "about:blank",
    "title": "Bad Request",
    "status": 400,
    "detail": "timezone: must be an IANA time zone such as America/Sao_Paulo",
    "errors": [
        {
            "field": "timezone",
            "message": "must be an IANA time zone such as America/Sao_Paulo",
        }
    ],
}


def described(app: Flask) -> Iterator[tuple[str, str, Rule]]:
    """Method, name in `OPERATIONS` and rule of every view that is to be described."""
    for rule in sorted(app.url_map.iter_rules(), key=lambda each: each.rule):
        if rule.rule.startswith(PREFIXES) and not rule.endpoint.endswith(".nowhere"):
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield method, name_of(rule.endpoint), rule


def name_of(endpoint: str) -> str:
    return endpoint.removeprefix("api.").removeprefix("admin.")


def document(app: Flask) -> Json:
    """The whole description. Raises KeyError for a view that `descriptions.py` does not name."""
    schemas: Json = {}
    paths: Json = {}
    for method, name, rule in described(app):
        path = VARIABLE.sub(r"{\2}", rule.rule)
        view = _view(app, method, rule, OPERATIONS[name], schemas)
        paths.setdefault(path, {})[method.lower()] = view
    _schema(Problem, schemas)
    schemas["Problem"]["examples"] = [EXAMPLE]
    return {
        "openapi": "3.1.0",
        "info": {"title": "Turnkey", "version": "1", "description": INTRODUCTION},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def role(rule: Rule) -> str | None:
    """Who may call a rule: `staff` (admins too), `admin`, or None where no token is needed."""
    if rule.rule == "/metrics":
        return "admin"
    return needed_role(rule.endpoint) if rule.rule.startswith("/api/admin/") else None


def others(method: str, rule: Rule, what: Operation) -> dict[int, Any]:
    """Every other answer of this view than the usual one, with its type."""
    found: dict[int, Any] = {500: Problem, 503: Problem}
    if what.body or what.query or what.takes != JSON or what.page_of:
        found[400] = Problem
    if needed := role(rule):
        found[401] = Problem
        if needed == "admin":
            found[403] = Problem
    elif method == "POST":
        found |= {401: Problem} | ({429: Problem} if "/auth/" in rule.rule else {})
    if "<uuid:" in rule.rule:
        found[404] = Problem
    if needed and method != "GET":
        found[409] = Problem
    return dict(sorted((found | dict(what.others or {})).items()))


def _view(app: Flask, method: str, rule: Rule, what: Operation, schemas: Json) -> Json:
    summary, _, more = _words(app, rule, what).partition(". ")
    needed = role(rule)
    found: Json = {
        "operationId": f"{name_of(rule.endpoint)}",
        "tags": [name_of(rule.endpoint).split(".")[0]],
        "summary": summary.rstrip("."),
        "parameters": [*_path_parameters(rule), *map(_query, what.query), *_headers(what)],
        "responses": {
            str(what.status): _answer(what, schemas),
            **{
                str(status): _content(
                    REFUSED.get(status, "As it is already."),
                    PROBLEM if _is_problem(kind) else JSON,
                    _schema(kind, schemas),
                )
                for status, kind in others(method, rule, what).items()
            },
        },
    }
    for status, answer in found["responses"].items():
        answer["headers"] = _response_headers(int(status))
    if more:
        found["description"] = more
    if needed:
        found["security"] = [{"bearer": []}]
        found["x-role"] = needed
    if what.body is not None:
        found["requestBody"] = {
            "required": what.body_needed,
            "content": {JSON: {"schema": _body(what.body, schemas)}},
        }
    elif what.takes != JSON:
        media = JSON if what.takes == ANY else CSV
        schema = {"type": "object" if what.takes == ANY else "string"}
        found["requestBody"] = {"required": True, "content": {media: {"schema": schema}}}
    return found


def _words(app: Flask, rule: Rule, what: Operation) -> str:
    said = " ".join((getdoc(app.view_functions[rule.endpoint]) or "").split())
    return f"{what.words} {said}".strip() if what.words else said


def _is_problem(kind: Any) -> bool:
    return "detail" in getattr(kind, "__annotations__", {})


def _answer(what: Operation, schemas: Json) -> Json:
    title = HTTPStatus(what.status).phrase
    if what.status == HTTPStatus.NO_CONTENT:
        return {"description": title}
    if what.answer is None:
        return _content(title, what.media, {"type": "string"})
    schema = _schema(what.answer, schemas)
    if what.page_of is None:
        return _content(title, what.media, schema)
    schemas.setdefault("Pagination", _PAGINATION)
    listed = {
        "type": "object",
        "properties": {
            what.page_of: {"type": "array", "items": schema},
            "pagination": {"$ref": REF.format(model="Pagination")},
        },
        "required": [what.page_of, "pagination"],
    }
    return _content(title, what.media, listed)


_PAGINATION = {
    "type": "object",
    "properties": {
        name: {"type": "integer", "minimum": low}
        for name, low in (("page", 1), ("limit", 1), ("total", 0), ("totalPages", 0))
    },
    "required": ["page", "limit", "total", "totalPages"],
    "examples": [{"page": 1, "limit": 50, "total": 120, "totalPages": 3}],
}


def _content(description: str, media: str, schema: Mapping[str, Any]) -> Json:
    return {"description": description, "content": {media: {"schema": schema}}}


def _response_headers(status: int) -> Json:
    found: Json = {REQUEST_ID: {"required": True, "schema": {"type": "string", "minLength": 1}}}
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        found[RETRY_AFTER] = {"required": True, "schema": {"type": "integer", "minimum": 0}}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        found[RETRY_AFTER] = {"required": False, "schema": {"type": "integer", "minimum": 0}}
    return found


def _schema(kind: Any, schemas: Json) -> Json:
    """The schema of what is answered; what it is made of goes among the shared ones."""
    found = deepcopy(_made(kind))
    schemas |= found.pop("$defs", {})
    if "title" not in found or "properties" not in found:
        return found
    schemas[found["title"]] = found
    return {"$ref": REF.format(model=found["title"])}


@functools.cache
def _made(kind: Any) -> Json:
    return TypeAdapter(kind).json_schema(ref_template=REF, mode="serialization")


def _body(model: Any, schemas: Json) -> Json:
    """The schema of what is sent. An answer may have the same name, so these end on `Body`."""
    ours, found = models_json_schema(
        [(model, "validation")], ref_template=REF.format(model="{model}Body")
    )
    for name, each in found.get("$defs", {}).items():
        schemas[f"{name}Body"] = each
        _storable(each)
        if name == model.__name__ and issubclass(model, Changes):
            for field in each["properties"].values():
                field.pop("default", None)  # never read: what is not sent stays as it is
    return ours[(model, "validation")]


def _storable(schema: Any) -> None:
    """Say of every free text in it what `bodies` and the stripping of blanks make of it: no NUL,
    and blanks alone are no text where some is asked for."""
    if isinstance(schema, list):
        for each in schema:
            _storable(each)
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "string" and not schema.keys() & RULED:
        schema["pattern"] = SAYS_SOMETHING if schema.get("minLength") else STORABLE
    for inner in schema.values():
        _storable(inner)


def _path_parameters(rule: Rule) -> list[Json]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string"} | ({"format": "uuid"} if kind == "uuid" else {}),
        }
        for kind, name in VARIABLE.findall(rule.rule)
    ]


def _query(each: Query) -> Json:
    found: Json = {"name": each.name, "in": "query", "required": each.required}
    if not each.required:
        found["allowEmptyValue"] = True  # as forms send what is not filled in
    if each.several:
        return found | {
            "schema": {"type": "array", "items": dict(each.schema)},
            "style": "form",
            "explode": False,
        }
    return found | {"schema": dict(each.schema)}


def _headers(what: Operation) -> list[Json]:
    return [
        {"name": name, "in": "header", "required": False, "schema": {"type": "string"}}
        for name in what.headers
    ]
