"""GET /matches/suggestions, …/<accommodationId>, POST /matches/apply (INTERFACES §5, P2-MATCH)."""

from __future__ import annotations

from uuid import uuid4

import pytest
from flask import Flask

from tests.api.conftest import Call
from tests.conftest import Clock
from tests.factories import make_accommodation, make_lock, make_mapping


def test_suggestions(app: Flask, api: Call, clock: Clock) -> None:
    unit = make_accommodation(name="Apto 101", number=None)
    make_accommodation(name="Apto 102", number=None)
    lock = make_lock(name="Fechadura Apartamento 101")
    answer = api("GET", "/matches/suggestions")
    assert answer.status_code == 200
    assert answer.json == {
        "suggestions": [
            {
                "accommodationId": str(unit.id),
                "accommodationName": "Apto 101",
                "lockId": str(lock.id),
                "lockName": "Fechadura Apartamento 101",
                "score": 1.0,
                "confidence": "high",
                "reason": "same number 101, 'Apto' = 'Apartamento'",
            }
        ],
        "count": 1,
        "metadata": {
            "accommodationsAnalyzed": 2,
            "locksAnalyzed": 1,
            "threshold": 0.8,
            "maxSuggestions": 1,
        },
        "timestamp": "2026-03-10T12:00:00Z",
    }


def test_parameters_are_used_and_checked(app: Flask, api: Call) -> None:
    make_accommodation(name="Apto 5", number=None)
    for name in ("Quarto 5", "Apto 5"):
        make_lock(name=name)

    def count(query: str) -> int:
        answer = api("GET", f"/matches/suggestions?{query}")
        assert answer.json is not None
        return int(answer.json["count"])

    assert count("maxSuggestions=5") == 2
    assert count("maxSuggestions=5&threshold=0.95") == 1
    for query, field in (("threshold=x", "threshold"), ("maxSuggestions=0", "maxSuggestions")):
        for path in ("/matches/suggestions", f"/matches/suggestions/{uuid4()}"):
            answer = api("GET", f"{path}?{query}")
            assert answer.status_code == 400
            assert answer.content_type == "application/problem+json"
            assert answer.json is not None
            assert [each["field"] for each in answer.json["errors"]] == [field]


def test_nothing_to_match_is_an_answer(app: Flask, api: Call) -> None:
    """P2-MATCH: empty lists return 200 with a message."""
    answer = api("GET", "/matches/suggestions").json
    assert answer is not None
    assert (answer["suggestions"], answer["count"]) == ([], 0)
    assert answer["message"] == "every active accommodation has a lock"
    make_accommodation()
    answer = api("GET", "/matches/suggestions").json
    assert answer is not None
    assert answer["message"] == "no lock is free"


def test_suggestions_for_one(app: Flask, api: Call) -> None:
    unit = make_accommodation(name="Apto 5", number=None)
    for name in ("Apto 5", "Quarto 5", "Apto 6"):
        make_lock(name=name)
    answer = api("GET", f"/matches/suggestions/{unit.id}").json
    assert answer is not None
    assert [each["lockName"] for each in answer["suggestions"]] == ["Apto 5", "Quarto 5"]
    assert answer["metadata"]["maxSuggestions"] == 5
    assert api("GET", f"/matches/suggestions/{uuid4()}").status_code == 404
    make_mapping(unit)
    answer = api("GET", f"/matches/suggestions/{unit.id}")
    assert answer.status_code == 409
    assert answer.json is not None
    assert "has a lock already" in answer.json["detail"]


def test_apply(app: Flask, api: Call) -> None:
    first = make_accommodation(name="Apto 1", number=None)
    second = make_accommodation(name="Quarto 1", number=None)
    lock = make_lock(name="Porta 1")
    pairs = [{"accommodationId": str(each.id), "lockId": str(lock.id)} for each in (first, second)]
    answer = api("POST", "/matches/apply", {"pairs": pairs})
    assert answer.status_code == 200
    assert answer.json is not None
    done, refused = answer.json["results"]
    assert done == {**pairs[0], "applied": True, "reason": "same number 1"}
    assert {**refused, "reason": ""} == {**pairs[1], "applied": False, "reason": ""}
    assert refused["reason"].startswith("Porta 1 already opens Apto 1")
    mappings = api("GET", "/mappings").json
    assert mappings is not None
    assert [each["accommodationId"] for each in mappings["mappings"]] == [str(first.id)]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "pairs"),
        ({"pairs": "all"}, "pairs"),
        ({"pairs": [{"accommodationId": "1", "lockId": str(uuid4())}]}, "pairs.0.accommodationId"),
        ({"pairs": [{"accommodationId": str(uuid4())}]}, "pairs.0.lockId"),
        ({"pairs": [], "everything": True}, "everything"),
    ],
)
def test_a_body_that_is_no_list_of_pairs(
    app: Flask, api: Call, body: dict[str, object], field: str
) -> None:
    answer = api("POST", "/matches/apply", body)
    assert answer.status_code == 400
    assert answer.json is not None
    assert [each["field"] for each in answer.json["errors"]] == [field]
