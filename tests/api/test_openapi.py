"""The API's description is whole, valid, and true of what the API really does (issue 9)."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.api import openapi
from app.api.descriptions import OPERATIONS
from app.services import maintenance_blocks
from app.services.maintenance_blocks import NewBlock
from tests.api.conftest import Call, Headers
from tests.bookings import ARRIVES, DESK, book
from tests.conftest import Clock
from tests.events import make_event
from tests.factories import make_accommodation, make_lock, make_stay
from tests.outbound import make_sold

BODY = re.compile(r"\b(?:optional_)?body\((\w[\w.]*)\)")


@pytest.fixture
def described(client: FlaskClient) -> dict[str, Any]:
    """As it is served; an app makes it once."""
    found: dict[str, Any] = client.get("/api/openapi.json").json
    return found


def views(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in described["paths"].items():
        for method, view in methods.items():
            yield method.upper(), path, view


def test_every_view_is_described_and_nothing_else(app: Flask) -> None:
    names = {name for _, name, _ in openapi.described(app)}
    missing = sorted(names - set(OPERATIONS))
    assert not missing, f"give these views a line in app/api/descriptions.py: {missing}"
    assert sorted(set(OPERATIONS) - names) == []


def test_it_is_openapi(described: dict[str, Any]) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(described).iter_errors()] == []
    for method, path, view in views(described):
        assert view["summary"], f"{method} {path} says nothing about itself"
    ids = [view["operationId"] for _, _, view in views(described)]
    assert len(ids) == len(set(ids))


def test_methods_roles_and_refusals_are_those_of_the_app(
    app: Flask, described: dict[str, Any]
) -> None:
    for method, name, rule in openapi.described(app):
        view = described["paths"][openapi.VARIABLE.sub(r"{\2}", rule.rule)][method.lower()]
        answers = {int(status) for status in view["responses"]}
        assert OPERATIONS[name].status in answers
        assert {500, 503} <= answers
        needed = openapi.role(rule)
        assert view.get("x-role") == needed
        assert ("security" in view) == (needed is not None)
        assert (401 in answers) == (needed is not None or method == "POST"), name
        assert (403 in answers) == (needed == "admin"), name
        if rule.arguments and needed:
            assert 404 in answers, name


def test_bodies_are_the_models_that_read_them(app: Flask) -> None:
    for _, name, rule in openapi.described(app):
        source = inspect.getsource(app.view_functions[rule.endpoint])
        read = {each.split(".")[-1] for each in BODY.findall(source)}
        model = OPERATIONS[name].body
        assert read == ({model.__name__} if model else set()), name


def strict(schema: Any) -> Any:
    """A field that the description does not know is an error here, for others it is not."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {"additionalProperties": False} if "properties" in schema else {}
    return closed | {name: strict(each) for name, each in schema.items()}


def faults(described: dict[str, Any], template: str, status: int, answer: Any) -> list[str]:
    """What is wrong about a real answer of a GET."""
    told = described["paths"][template]["get"]["responses"][str(status)]["content"]
    (content,) = told.values()
    schema = strict(content["schema"] | {"components": described["components"]})
    checker = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return [f"{list(each.path)}: {each.message}" for each in checker.iter_errors(answer)]


def test_real_answers_are_as_described(described: dict[str, Any], api: Call, clock: Clock) -> None:
    sold = make_sold()
    row = book(sold.kind)
    maintenance_blocks.create(
        NewBlock(room_type_id=sold.kind.id, start_date=ARRIVES, end_date=ARRIVES.replace(day=14)),
        actor=DESK,
    )
    lock, unit = make_lock(), make_accommodation(sold.house)
    paired = api("POST", "/mappings", {"accommodationId": str(unit.id), "lockId": str(lock.id)})
    assert paired.status_code == 201
    stay = make_stay(make_accommodation(sold.house))
    event = make_event("failed", house=sold.house)
    house, kind = sold.house.id, sold.kind.id
    looked_at = [
        ("/properties", "/properties"),
        ("/properties/{property_id}", f"/properties/{house}"),
        ("/properties/{property_id}/onboarding", f"/properties/{house}/onboarding"),
        ("/room-types", "/room-types"),
        ("/accommodations", "/accommodations"),
        ("/accommodations/overview", "/accommodations/overview"),
        ("/locks", "/locks"),
        ("/locks/{lock_id}", f"/locks/{lock.id}"),
        ("/mappings", "/mappings"),
        ("/mappings/log", "/mappings/log"),
        ("/reservations", "/reservations"),
        ("/reservations/{reservation_id}", f"/reservations/{stay.id}"),
        ("/reservations/{reservation_id}", f"/reservations/{row.id}"),
        ("/rooms", "/rooms"),
        ("/availability", f"/availability?room_type_id={kind}&from={ARRIVES}&to=2026-03-20"),
        ("/holds", "/holds"),
        ("/maintenance-blocks", "/maintenance-blocks"),
        ("/channel-properties", "/channel-properties"),
        ("/channel-mappings", "/channel-mappings"),
        ("/channel-status/{property_id}", f"/channel-status/{house}"),
        ("/events", "/events"),
        ("/events/{event_id}", f"/events/{event.id}"),
        ("/reconciliation/status", "/reconciliation/status"),
        ("/users", "/users"),
        ("/audit", "/audit"),
    ]
    for template, path in looked_at:
        answer = api("GET", path)
        assert answer.status_code == 200, (path, answer.text)
        assert faults(described, "/api/admin" + template, 200, answer.json) == [], path
        total = (answer.json or {}).get("pagination", {"total": 1})["total"]
        assert total, f"{path} answers an empty list, which proves nothing"
    missing = api("GET", "/locks/00000000-0000-0000-0000-000000000000")
    assert faults(described, "/api/admin/locks/{lock_id}", 404, missing.json) == []
    refused = api("GET", "/properties?limit=none")
    assert faults(described, "/api/admin/properties", 400, refused.json) == []


def test_an_answer_that_differs_is_found(described: dict[str, Any], api: Call) -> None:
    api("POST", "/properties", {"name": "Vila", "timezone": "UTC", "currency": "EUR"})
    answer = api("GET", "/properties").json
    for spoilt in ({"name": None}, {"id": 7}, {"colour": "blue"}):
        told = answer | {"properties": [answer["properties"][0] | spoilt]}
        assert len(faults(described, "/api/admin/properties", 200, told)) == 1


def test_people_can_read_it(client: FlaskClient) -> None:
    page = client.get("/api/docs")
    assert page.mimetype == "text/html"
    assert "POST /api/admin/reservations/{reservation_id}/check-in" in page.text
    assert not re.search(r"<script|<style| style=| on\w+=", page.text)  # the CSP forbids them
    for link in re.findall(r'(?:href|src)="([^"#]+)"', page.text):
        assert not urlsplit(link).netloc, link
    ids = re.findall(r' id="([^"]+)"', page.text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page.text)) <= set(ids)


def test_the_role_that_is_told_is_the_one_that_is_asked_for(
    client: FlaskClient, staff: Headers
) -> None:
    shown = client.get("/api/openapi.json").json
    assert shown["paths"]["/api/admin/rooms"]["get"]["x-role"] == "staff"
    assert client.get("/api/admin/rooms", headers=staff).status_code == 200
    assert shown["paths"]["/api/admin/users"]["get"]["x-role"] == "admin"
    assert client.get("/api/admin/users", headers=staff).status_code == 403
