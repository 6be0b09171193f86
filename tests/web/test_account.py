"""Language and appearance of one device, with and without scripts."""

from __future__ import annotations

from flask.testing import FlaskClient

from tests.web.conftest import token_in


def save(client: FlaskClient, **fields: str) -> int:
    form = {"csrf_token": token_in(client.get("/settings/me")), **fields}
    return client.post("/settings/me", data=form).status_code


def test_a_device_remembers_language_and_theme(staff: FlaskClient) -> None:
    assert save(staff, language="pt", theme="dark") == 303
    page = staff.get("/settings/me").text
    assert '<html lang="pt-BR" data-theme="dark">' in page
    assert "<h1>Minha conta</h1>" in page
    assert save(staff, language="en", theme="") == 303
    assert '<html lang="en">' in staff.get("/settings/me").text


def test_only_what_is_on_the_list(staff: FlaskClient) -> None:
    assert save(staff, language="xx", theme="dark") == 422
    assert save(staff, language="en", theme='"><script>') == 422
    staff.set_cookie("theme", '"><script>')
    assert "<script>" not in staff.get("/more").text
