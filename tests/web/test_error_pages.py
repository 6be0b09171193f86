"""What a person reads when something went wrong (design/UI.md §13)."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from app import errors
from app.web import today
from tests.web.conftest import token_in


@pytest.fixture
def unexpected(app: Flask, monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
    """What the Today page raises next; answered as in production."""
    planned: list[Exception] = []

    def raising(*args: object, **choices: object) -> str:
        raise planned[0]

    monkeypatch.setattr(today.service, "version", raising)
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
    return planned


@pytest.mark.parametrize(
    ("path", "status", "headline"),
    [
        ("/nowhere", 404, "Page not found"),
        ("/reservations/not-a-key/pin", 404, "Page not found"),
        ("/?day=x", 422, "This address is not complete"),
    ],
)
def test_pages_for_wrong_addresses(
    staff: FlaskClient, path: str, status: int, headline: str
) -> None:
    answer = staff.get(path)
    assert answer.status_code == status
    assert f"<h1>{headline}</h1>" in answer.text
    assert '<nav class="nav"' in answer.text  # the way around is still there
    assert 'href="/">Go to Today' in answer.text


def test_a_stranger_sees_no_navigation(client: FlaskClient) -> None:
    answer = client.get("/nowhere")
    assert answer.status_code == 404
    assert "<h1>Page not found</h1>" in answer.text
    assert '<nav class="nav"' not in answer.text


def test_a_wrong_method_says_which_are_right(staff: FlaskClient) -> None:
    answer = staff.delete("/more")
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]
    assert "<h1>This address cannot be used that way</h1>" in answer.text


def test_our_fault_carries_a_code_and_no_secret(
    staff: FlaskClient, unexpected: list[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    unexpected.append(RuntimeError("postgresql://user:secret@db/guest Ana Souza"))
    answer = staff.get("/")
    assert answer.status_code == 500
    assert "<h1>Something broke on our side</h1>" in answer.text
    assert f'id="rid">{answer.headers["X-Request-ID"]}<' in answer.text
    assert "secret" not in answer.text
    assert "Ana Souza" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (errors.NotFound("x"), 404, "Page not found"),
        (errors.Forbidden("x"), 403, "Only administrators can open this"),
        (errors.Conflict("The stay has ended."), 409, "The stay has ended."),
        (errors.Unavailable("Locks are not set up."), 503, "Locks are not set up."),
    ],
)
def test_what_a_service_refuses_is_a_page(
    staff: FlaskClient, unexpected: list[Exception], error: Exception, status: int, said: str
) -> None:
    unexpected.append(error)
    answer = staff.get("/")
    assert answer.status_code == status
    assert said in answer.text
    assert "<h1>" in answer.text


def test_htmx_gets_no_page_inside_the_page(staff: FlaskClient, unexpected: list[Exception]) -> None:
    htmx = {"HX-Request": "true", "HX-Target": "today"}
    unexpected.append(RuntimeError("x"))
    broken = staff.get("/", headers=htmx)
    assert (broken.status_code, broken.text) == (500, "")
    assert broken.headers["X-Problem"] == "broken"
    unexpected[0] = errors.Conflict("The stay has ended.")
    refused = staff.get("/", headers=htmx)
    assert refused.status_code == 409
    assert refused.headers["HX-Retarget"] == "#notices"
    assert refused.headers["HX-Reswap"] == "beforeend"
    assert "The stay has ended." in refused.text
    assert "<html" not in refused.text


@pytest.mark.parametrize("broken", ["sessions.users.session_user", "navigation.transaction"])
@pytest.mark.parametrize("htmx", [False, True])
def test_without_the_database_there_is_still_a_page(
    staff: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch, broken: str, htmx: bool
) -> None:
    def gone(*args: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("connection refused"))

    monkeypatch.setattr(f"app.web.{broken}", gone)
    answer = staff.get("/more", headers={"HX-Request": "true"} if htmx else {})
    assert (answer.status_code, answer.headers["X-Problem"]) == (503, "away")
    assert answer.headers["Retry-After"] == "10"
    assert answer.headers["Content-Security-Policy"]
    if not htmx:
        assert "<h1>The database does not answer right now</h1>" in answer.text
        assert "Nothing you did was lost" not in answer.text


def test_what_the_sidebar_breaks_over_is_a_page_too(
    staff: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("app.web.navigation.transaction", broken)
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
    answer = staff.get("/more")
    assert answer.status_code == 500
    assert "<h1>Something broke on our side</h1>" in answer.text
    assert answer.headers["X-Request-ID"] in answer.text


def test_too_much_at_once_is_refused_before_it_is_read(staff: FlaskClient) -> None:
    token = token_in(staff.get("/more"))
    data = {"csrf_token": token, "language": "x" * 1_200_000}
    assert staff.post("/settings/me", data=data).status_code == 413


def test_other_doors_answer_for_themselves(client: FlaskClient) -> None:
    answer = client.get("/api/nowhere")
    assert answer.status_code in (401, 404)
    assert "<html" not in answer.text
