"""What another site sends changes nothing (INTERFACES §4)."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.models import AuditEntry
from app.transaction import transaction
from tests.web.conftest import token_in
from tests.web.scenes import PIN, busy_house

SAME = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
ELSEWHERE = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:9999"},
    {"Origin": "http://localhost.evil.example"},
    {"Referer": "https://evil.example/page"},
    {"Referer": "http://localhost@evil.example/"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
    {"Origin": "http://localhost", "Referer": "https://evil.example/page"},
    {"Origin": "http://["},
    {"Referer": "http://["},
]


def audited() -> int:
    with transaction() as session:
        return session.query(AuditEntry).filter_by(action="reveal").count()


def signed_in(client: FlaskClient) -> bool:
    return client.get("/more").status_code == 200


@pytest.mark.parametrize("headers", ELSEWHERE)
def test_another_site_is_refused_even_with_the_token(
    staff: FlaskClient, headers: dict[str, str]
) -> None:
    token = token_in(staff.get("/more"))
    answer = staff.post("/logout", data={"csrf_token": token}, headers=headers)
    assert answer.status_code == 403
    assert token_free(answer.text, token)
    assert signed_in(staff)


def token_free(page: str, token: str) -> bool:
    """Nothing that could be pressed again is offered to what another site sent."""
    return 'name="csrf_token" value="' + token not in page.split("<main")[1]


@pytest.mark.parametrize("token", [None, "", "wrong", "é" * 43, "x" * 4000])
@pytest.mark.parametrize("headers", [{}, SAME, {"Referer": "http://localhost/more"}])
def test_without_the_token_nothing_happens(
    staff: FlaskClient, token: str | None, headers: dict[str, str]
) -> None:
    staff.get("/more")
    data = {} if token is None else {"csrf_token": token}
    assert staff.post("/logout", data=data, headers=headers).status_code == 403
    assert signed_in(staff)


def test_a_token_of_somebody_else_is_wrong(staff: FlaskClient, admin: FlaskClient) -> None:
    foreign = token_in(admin.get("/more"))
    assert staff.post("/logout", data={"csrf_token": foreign}).status_code == 403
    assert signed_in(staff)


@pytest.mark.parametrize("where", ["field", "header"])
def test_the_token_goes_in_the_form_or_the_header(staff: FlaskClient, where: str) -> None:
    token = token_in(staff.get("/more"))
    if where == "field":
        answer = staff.post("/logout", data={"csrf_token": token}, headers=SAME)
    else:
        answer = staff.post("/logout", headers=SAME | {"X-CSRF-Token": token})
    assert answer.status_code == 303
    assert not signed_in(staff)


def test_a_refused_reveal_reveals_and_records_nothing(staff: FlaskClient) -> None:
    house = busy_house()
    url = f"/reservations/{house.stays['in_house'].id}/pin/reveal"
    for headers in ({}, {"HX-Request": "true"}, *ELSEWHERE):
        answer = staff.post(url, headers=headers)
        assert answer.status_code == 403
        assert PIN not in answer.text
    assert audited() == 0


def test_an_old_page_comes_back_filled(staff: FlaskClient) -> None:
    """UI.md §8: "This page was open for a long time. Press again." """
    data = {"csrf_token": "of an earlier session", "language": 'p"t', "theme": "dark"}
    answer = staff.post("/settings/me", data=data, headers=SAME)
    assert answer.status_code == 403
    assert "This page was open for a long time" in answer.text
    assert '<form class="row" method="post" action="/settings/me">' in answer.text
    assert 'name="language" value="p&#34;t"' in answer.text
    again = {"csrf_token": token_in(answer), "language": "pt", "theme": "dark"}
    assert staff.post("/settings/me", data=again, headers=SAME).status_code == 303


def test_an_old_sign_in_page_comes_back_without_the_password(client: FlaskClient) -> None:
    client.get("/login")
    data = {"csrf_token": "old", "email": "marta@vila.example", "password": "hunter-two"}
    answer = client.post("/login", data=data, headers=SAME)
    assert answer.status_code == 403
    assert 'value="marta@vila.example"' in answer.text
    assert "hunter-two" not in answer.text


def test_an_old_page_of_htmx_learns_the_token_that_works(staff: FlaskClient) -> None:
    staff.get("/more")
    headers = SAME | {"HX-Request": "true", "X-CSRF-Token": "old"}
    answer = staff.post("/logout", headers=headers)
    assert (answer.status_code, answer.text) == (403, "")
    assert answer.headers["X-Problem"] == "too_old"
    fresh = headers | {"X-CSRF-Token": answer.headers["X-CSRF-Token"]}
    assert staff.post("/logout", headers=fresh).status_code == 303


def test_every_form_carries_the_token(admin: FlaskClient, app: Flask) -> None:
    busy_house()
    for path in ("/", "/reservations", "/more", "/settings/me"):
        page = admin.get(path).text
        forms = page.split('method="post"')[1:]
        assert forms
        for form in forms:
            assert 'name="csrf_token"' in form.split("</form>")[0]
        assert 'hx-headers=\'{"X-CSRF-Token": "' in page
