"""My account: how pages look here, the password, and where else one is signed in."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.api import tokens
from app.models import User, UserSession
from app.transaction import transaction
from tests.factories import reload
from tests.web.conftest import PASSWORD, sign_in, token_in
from tests.web.forms import complaint_at, press, said_on


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


def test_the_language_goes_with_the_person(staff: FlaskClient, people: dict[str, User]) -> None:
    save(staff, language="pt", theme="")
    assert reload(people["staff"]).language == "pt"
    other = staff.application.test_client()
    assert '<html lang="pt-BR">' in sign_in_page(other, people["staff"].email)


def sign_in_page(client: FlaskClient, email: str) -> str:
    assert sign_in(client, email).status_code == 303
    return client.get("/more").text


def test_ones_own_browsers(staff: FlaskClient, people: dict[str, User], app: Flask) -> None:
    phone = app.test_client()
    phone.environ_base["HTTP_USER_AGENT"] = (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1"
    )
    sign_in(phone, people["staff"].email)
    page = said_on(staff.get("/settings/me"))
    assert "Safari on iPhone" in page
    assert page.count("this one") == 1
    with transaction() as session:
        rows = session.scalars(select(UserSession).order_by(UserSession.created_at)).all()
    assert len(rows) == 2
    press(staff, f"/settings/me/sessions/{rows[1].id}/end")
    assert phone.get("/more").status_code == 303
    assert staff.get("/more").status_code == 200


def test_somebody_elses_browser_is_not_ones_own(staff: FlaskClient, admin: FlaskClient) -> None:
    with transaction() as session:
        key = session.scalars(select(UserSession.id).join(User).where(User.role == "admin")).one()
    assert press(staff, f"/settings/me/sessions/{key}/end").status_code == 404
    assert admin.get("/more").status_code == 200


def test_out_everywhere_but_here(staff: FlaskClient, people: dict[str, User], app: Flask) -> None:
    others = [app.test_client() for _ in range(2)]
    for each in others:
        sign_in(each, people["staff"].email)
    token = tokens.issue(reload(people["staff"]))
    headers = {"Authorization": f"Bearer {token}"}
    assert app.test_client().get("/api/admin/rooms", headers=headers).status_code == 200
    press(staff, "/settings/me/sessions/end")
    assert [each.get("/more").status_code for each in others] == [303, 303]
    assert app.test_client().get("/api/admin/rooms", headers=headers).status_code == 401
    assert staff.get("/more").status_code == 200


def test_another_password(staff: FlaskClient, people: dict[str, User], app: Flask) -> None:
    other = app.test_client()
    sign_in(other, people["staff"].email)

    def change(old: str, new: str) -> TestResponse:
        return press(staff, "/settings/me/password", old_password=old, password=new)

    wrong = change("wrong", "caneca azul janela")
    assert (wrong.status_code, complaint_at(wrong, "old_password")) == (422, "This is not right")
    weak = change(PASSWORD, "marta@vila.example")
    assert weak.status_code == 422
    assert "e-mail address" in complaint_at(weak, "password")
    assert other.get("/more").status_code == 200
    assert change(PASSWORD, "caneca azul janela").status_code == 303
    assert staff.get("/more").status_code == 200
    assert other.get("/more").status_code == 303
    assert sign_in(other, people["staff"].email).status_code == 422


def test_guessing_the_old_password_has_an_end(staff: FlaskClient) -> None:
    answers = [
        press(staff, "/settings/me/password", old_password=f"guess {n}", password="x").status_code
        for n in range(11)
    ]
    assert answers == [422] * 10 + [429]
