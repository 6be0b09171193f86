"""The ends of what a type holds, in every field of every body and parameter: done or refused in
words, never a breakdown."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.services import vendors
from tests.api.conftest import Headers
from tests.api.described_house import days, furnish, known
from tests.conftest import Clock
from tests.factories import NO_SUCH_ID

Json = dict[str, Any]

#: by type: what no table, calendar or register may hold, and what only just fits
ENDS: Mapping[str, Sequence[Any]] = {
    "date": ("0001-01-01", "9999-12-31"),
    "date-time": ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"),
    "integer": (2**31, 2**63, 10**40, -(10**40)),
    "number": (1e308, -0.0, 1e-300),
    "string": ("a\0b", "\ud800", "\u202e" * 199, "%s{0}\\"),
    "uuid": ("00000000-0000-0000-0000-000000000000",),
    "boolean": ("true", 1),
}
#: what is typed into an address, whatever is asked for there
WORDS: Sequence[str] = (*ENDS["string"], "9" * 150, "1e400", "nan")
#: never what was asked for, whatever it was
OTHERS: Sequence[Any] = ({"": [None]},)


@pytest.fixture
def described(client: FlaskClient) -> Json:
    found: Json = client.get("/api/openapi.json").json or {}
    return found


@pytest.fixture(autouse=True)
def house(app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    vendors.forget_clients()
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
    furnish()


def kind(schema: Json) -> str:
    """The most telling word of a schema's type."""
    for each in schema.get("anyOf", []):
        if each.get("type") != "null":
            return kind(each)
    return str(schema.get("format") or schema.get("type") or "anything")


def plain(name: str, schema: Json, ids: Mapping[str, Sequence[str]]) -> Any:
    """Something the field may hold."""
    if ids.get(name):
        return ids[name][0]
    if name in days():
        return days()[name]
    for each in schema.get("anyOf", []):
        if each.get("type") != "null":
            return plain(name, each, ids)
    if "enum" in schema or "const" in schema:
        return schema.get("const") or schema["enum"][0]
    if schema.get("examples"):
        return schema["examples"][0]
    return {
        "integer": max(1, schema.get("minimum", 1)), "number": 1, "boolean": False,
        "array": [], "object": {},
    }.get(schema.get("type", ""), "some words")  # fmt: skip


def operations(described: Json) -> Iterator[tuple[str, str, Json]]:
    for path, views in described["paths"].items():
        for method, view in views.items():
            yield method.upper(), path, view


def address(path: str, ids: Mapping[str, Sequence[str]]) -> str:
    for name, found in ids.items():
        if found:
            path = path.replace("{" + name + "}", found[0])
    return path


def broken(answer: TestResponse) -> bool:
    """A vendor may be out of reach (503); nothing of ours may."""
    if answer.status_code == 503:
        return "the database does not answer" in answer.text
    return answer.status_code >= 500


def test_no_field_of_a_body_breaks_anything(
    client: FlaskClient, admin: Headers, described: Json
) -> None:
    calls = 0
    for method, path, view in operations(described):
        content = view.get("requestBody", {}).get("content", {}).get("application/json")
        ref = (content or {}).get("schema", {}).get("$ref")
        if not ref:
            continue
        ids = known(1)
        fields = described["components"]["schemas"][ref.split("/")[-1]]["properties"]
        body = {name: plain(name, schema, ids) for name, schema in fields.items()}
        for name, schema in fields.items():
            for value in (*ENDS.get(kind(schema), ()), *OTHERS):
                answer = client.open(
                    address(path, ids), method=method, json=body | {name: value}, headers=admin
                )
                calls += 1
                assert not broken(answer), (
                    method, path, name, value, answer.text
                )  # fmt: skip
    assert calls > 500


@pytest.mark.parametrize("each_with", [1, pytest.param(len(WORDS), marks=pytest.mark.faults)])
def test_no_parameter_of_a_query_breaks_anything(
    client: FlaskClient, admin: Headers, described: Json, each_with: int
) -> None:
    """Each parameter with the ends of its type, and with one of the words in turn, or all."""
    ids, words = known(1), itertools.cycle(WORDS)
    for method, path, view in operations(described):
        for each in view["parameters"]:
            if method != "GET" or each["in"] != "query":
                continue
            needed = {
                other["name"]: plain(other["name"], other["schema"], ids)
                for other in view["parameters"]
                if other.get("required") and other["in"] == "query"
            }
            ends = () if kind(each["schema"]) == "string" else ENDS.get(kind(each["schema"]), ())
            for value in (*ends, *itertools.islice(words, each_with)):
                query = needed | {each["name"]: str(value).encode("utf-8", "surrogatepass")}
                answer = client.get(address(path, ids), query_string=query, headers=admin)
                assert not broken(answer), (path, each["name"], value, answer.text)
            twice = f"{each['name']}=a&{each['name']}=b&{each['name']}[]=c"
            answer = client.get(address(path, ids), query_string=twice, headers=admin)
            assert not broken(answer), (path, twice)


def test_signs_alone_name_no_guest(client: FlaskClient, admin: Headers) -> None:
    answer = client.get("/api/admin/holds", query_string={"q": "!&|"}, headers=admin)
    assert (answer.status_code, (answer.json or {})["holds"]) == (200, [])


def test_a_block_is_not_moved_to_a_room_that_is_none(client: FlaskClient, admin: Headers) -> None:
    path = f"/api/admin/maintenance-blocks/{known(1)['block_id'][0]}"
    answer = client.patch(path, json={"accommodation_id": NO_SUCH_ID}, headers=admin)
    assert answer.status_code == 400
    assert [each["field"] for each in (answer.json or {})["errors"]] == ["accommodation_id"]
