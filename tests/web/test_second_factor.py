"""The second factor on pages and at the API's door, and the second step of a sign-in."""

from __future__ import annotations

import html
import re
from dataclasses import replace

import pyotp
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.models import AuditEntry, User, UserSession
from app.services import second_factor, user_changes, users
from app.services.audit import Actor
from app.services.user_changes import UserChanges
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import make_user, reload
from tests.web.conftest import PASSWORD, sign_in, token_in
from tests.web.forms import complaint_at, press, said_on

BOSS = Actor("boss@example.org", role="admin")
PAGE = "/settings/me/second-factor"


class App:
    """The authenticator on somebody's phone."""

    def __init__(self, secret: str, clock: Clock) -> None:
        self.totp = pyotp.TOTP(secret)
        self.clock = clock

    def code(self) -> str:
        return str(self.totp.at(self.clock.now))

    def next(self) -> str:
        self.clock.move(seconds=30)
        return self.code()


@pytest.fixture
def phone(people: dict[str, User], clock: Clock) -> App:
    """The administrator's, set up."""
    user = people["admin"]
    second_factor.begin(user.id, actor=BOSS)
    waiting = second_factor.waiting(reload(user))
    assert waiting is not None
    phone = App(waiting.secret, clock)
    second_factor.confirm(reload(user), PASSWORD, phone.code(), keep="", actor=BOSS)
    return phone


def send_code(client: FlaskClient, code: str) -> TestResponse:
    page = client.get("/login/code")
    return client.post("/login/code", data={"csrf_token": token_in(page), "code": code})


def both_steps(client: FlaskClient, email: str, code: str, **fields: str) -> TestResponse:
    assert sign_in(client, email, **fields).location == "/login/code"
    return send_code(client, code)


def test_it_is_set_up_in_the_browser(admin: FlaskClient, clock: Clock, app: Flask) -> None:
    assert "Off" in said_on(admin.get("/settings/me"))
    assert press(admin, f"{PAGE}/begin").location == PAGE
    page = admin.get(PAGE)
    assert '<svg viewBox="0 0' in page.text
    assert "stroke=" not in page.text.split('class="qr"')[1].split("</div>")[0]
    secret = re.search(r'id="totp-secret"[^>]*>([^<]+)<', page.text)
    assert secret
    phone = App(secret[1].replace(" ", ""), clock)
    wrong = press(admin, PAGE, password="wrong", code=phone.code())
    assert (wrong.status_code, complaint_at(wrong, "password")) == (422, "This is not right")
    wrong = press(admin, PAGE, password=PASSWORD, code="000000")
    assert (wrong.status_code, complaint_at(wrong, "code")) == (422, "This is not right")
    shown = press(admin, PAGE, password=PASSWORD, code=phone.code())
    codes = re.findall(r"[a-z0-9]{4}(?:-[a-z0-9]{4}){3}", shown.text)
    assert len(codes) == 10
    after = admin.get(PAGE).text + admin.get("/settings/me").text
    assert "10 recovery codes are left" in after
    assert codes[0] not in after
    assert secret[1] not in after
    assert both_steps(app.test_client(), "davi@vila.example", codes[0]).status_code == 303


def test_the_password_alone_opens_nothing(
    client: FlaskClient, people: dict[str, User], phone: App
) -> None:
    answer = sign_in(client, people["admin"].email)
    assert (answer.status_code, answer.location) == (303, "/login/code")
    for path in ("/", "/more", "/settings/users", "/settings/me"):
        assert client.get(path).location.startswith("/login"), path
    with transaction() as session:
        assert session.scalars(select(UserSession)).all() == []
    assert reload(people["admin"]).last_login_at is None


def test_both_steps_open_everything_and_lead_where_one_wanted(
    client: FlaskClient, people: dict[str, User], phone: App
) -> None:
    answer = both_steps(client, people["admin"].email, phone.next(), next="/locks?view=all")
    assert (answer.status_code, answer.location) == (303, "/locks?view=all")
    assert client.get("/settings/users").status_code == 200


@pytest.mark.parametrize("wanted", ["//evil.example", "https://evil.example/", "/login/code"])
def test_the_second_step_sends_nobody_elsewhere(
    client: FlaskClient, people: dict[str, User], phone: App, wanted: str
) -> None:
    assert both_steps(client, people["admin"].email, phone.next(), next=wanted).location == "/"


def test_a_wrong_and_a_spent_code_are_refused(
    client: FlaskClient, app: Flask, people: dict[str, User], phone: App
) -> None:
    wrong = both_steps(client, people["admin"].email, "000000")
    assert wrong.status_code == 422
    assert "This code is not right" in wrong.text
    code = phone.next()
    assert send_code(client, code).status_code == 303
    assert both_steps(app.test_client(), people["admin"].email, code).status_code == 422


def test_no_fixation_the_second_step_makes_a_session_of_its_own(
    client: FlaskClient, app: Flask, people: dict[str, User], phone: App
) -> None:
    sign_in(client, people["admin"].email)
    half = client.get_cookie("turnkey")
    assert half is not None
    with client.session_transaction() as session:
        before = dict(session)
        session["extra"] = "planted"
    send_code(client, phone.next())
    with client.session_transaction() as session:
        assert set(session) <= {"token", "csrf", "_permanent"}
        assert session["csrf"] != before.get("csrf")
    thief = app.test_client()
    thief.set_cookie("turnkey", half.value)
    assert thief.get("/more").location.startswith("/login")


def test_a_made_up_second_step_is_worth_nothing(
    client: FlaskClient, people: dict[str, User], phone: App
) -> None:
    client.set_cookie("turnkey", "eyJoYWxmIjp7InVzZXIiOiIxIn19.aaaaaa.bbbbbbbb")
    assert client.get("/login/code").location == "/login"


@pytest.mark.parametrize("spoiled", ["time", "password", "role", "deactivated", "removed"])
def test_the_second_step_does_not_wait_for_ever(
    client: FlaskClient, people: dict[str, User], phone: App, clock: Clock, spoiled: str
) -> None:
    user = people["admin"]
    make_user("admin")
    sign_in(client, user.email)
    page = client.get("/login/code")
    if spoiled == "time":
        clock.move(minutes=5)
    elif spoiled == "password":
        users.set_password(user.email, "another good one")
    elif spoiled == "removed":
        second_factor.remove(user.id, actor=BOSS)
    else:
        changes = {"role": "staff"} if spoiled == "role" else {"is_active": False}
        user_changes.change(user.id, UserChanges.model_validate(changes), actor=BOSS)
    form = {"csrf_token": token_in(page), "code": phone.next()}
    answer = client.post("/login/code", data=form)
    assert (answer.status_code, answer.location) == (303, "/login")
    assert client.get("/more").status_code == 303


def test_guessing_codes_is_slowed_down_from_wherever(
    app: Flask, people: dict[str, User], phone: App
) -> None:
    email = people["admin"].email

    def guess(number: int) -> int:
        where = {"REMOTE_ADDR": f"10.0.0.{number}"}
        if number % 2:
            body = {"email": email.upper(), "password": PASSWORD, "totp": "000000"}
            client = app.test_client()
            return client.post("/api/auth/token", json=body, environ_base=where).status_code
        client = app.test_client()
        sign_in(client, email)
        form = {"csrf_token": token_in(client.get("/login/code")), "code": "000000"}
        return client.post("/login/code", data=form, environ_base=where).status_code

    assert [guess(number) for number in range(12)] == [422, 401] * 5 + [429, 429]
    client = app.test_client()
    waits = both_steps(client, email, phone.next())
    assert waits.status_code == 429
    assert "Too many tries" in waits.text
    assert int(waits.headers["Retry-After"]) > 0


def test_the_api_asks_for_the_code(
    client: FlaskClient, people: dict[str, User], phone: App
) -> None:
    def ask(**more: object) -> TestResponse:
        body = {"email": people["admin"].email, "password": PASSWORD} | more
        return client.post("/api/auth/token", json=body)

    missing = ask()
    assert missing.status_code == 401
    assert missing.json is not None
    assert missing.json["errors"] == [{"field": "totp", "message": "is required"}]
    assert "second factor" in missing.json["detail"]
    assert ask(totp="000000").status_code == 401
    assert ask(password="wrong", totp=phone.next()).json == ask(password="wrong").json
    code = phone.code()
    good = ask(totp=code)
    assert good.status_code == 200
    assert ask(totp=code).status_code == 401
    assert good.json is not None
    headers = {"Authorization": f"Bearer {good.json['access_token']}"}
    assert client.get("/api/admin/users", headers=headers).status_code == 200
    second_factor.remove(people["admin"].id, actor=BOSS)
    assert client.get("/api/admin/users", headers=headers).status_code == 401


def test_it_is_switched_off_and_its_codes_renewed(
    admin: FlaskClient, clock: Clock, people: dict[str, User]
) -> None:
    press(admin, f"{PAGE}/begin")
    waiting = second_factor.waiting(reload(people["admin"]))
    assert waiting is not None
    phone = App(waiting.secret, clock)
    press(admin, PAGE, password=PASSWORD, code=phone.code())
    renewed = press(admin, f"{PAGE}/codes", password=PASSWORD, code=phone.next())
    assert "The codes of before do not work any more" in renewed.text
    assert press(admin, f"{PAGE}/off", password=PASSWORD, code="000000").status_code == 422
    assert press(admin, f"{PAGE}/off", password=PASSWORD, code=phone.next()).status_code == 303
    assert not second_factor.is_on(reload(people["admin"]))


def test_another_administrator_takes_it_away_and_nobody_ones_own(
    app: Flask, client: FlaskClient, people: dict[str, User], phone: App
) -> None:
    both_steps(client, people["admin"].email, phone.next())
    own = f"/settings/users/{people['admin'].id}/second-factor"
    assert press(client, own).status_code == 403
    helper = app.test_client()
    second = make_user("admin", password_hash=people["admin"].password_hash)
    assert sign_in(helper, second.email).status_code == 303
    assert "Remove the second factor" in html.unescape(helper.get(own).text)
    assert press(helper, own).status_code == 303
    assert not second_factor.is_on(reload(people["admin"]))
    assert client.get("/more").status_code == 303


def test_where_it_is_required_an_administrator_sets_it_up_first(
    app: Flask, admin: FlaskClient, staff: FlaskClient, client: FlaskClient,
    monkeypatch: pytest.MonkeyPatch, clock: Clock, people: dict[str, User],
) -> None:  # fmt: skip
    answer = client.post(
        "/api/auth/token", json={"email": people["admin"].email, "password": PASSWORD}
    )
    assert answer.json is not None
    headers = {"Authorization": f"Bearer {answer.json['access_token']}"}
    strict = replace(app.extensions["settings"], admin_second_factor="required")
    monkeypatch.setitem(app.extensions, "settings", strict)
    assert client.get("/api/admin/users", headers=headers).status_code == 401
    assert admin.get("/settings/users").location == PAGE
    assert admin.get("/", headers={"HX-Request": "true"}).headers["HX-Redirect"] == PAGE
    assert staff.get("/more").status_code == 200
    assert "Administrators need a second factor here" in admin.get(PAGE).text
    press(admin, f"{PAGE}/begin")
    waiting = second_factor.waiting(reload(people["admin"]))
    assert waiting is not None
    press(admin, PAGE, password=PASSWORD, code=App(waiting.secret, clock).code())
    assert admin.get("/settings/users").status_code == 200


def test_each_sign_in_is_written_down(
    client: FlaskClient, people: dict[str, User], phone: App
) -> None:
    sign_in(client, "nobody@vila.example")
    sign_in(client, people["staff"].email, password="hunter two hunter")
    both_steps(client, people["admin"].email, "000000")
    send_code(client, phone.next())
    with transaction() as session:
        rows = session.scalars(
            select(AuditEntry)
            .where(AuditEntry.action.like("sign_in%"))
            .order_by(AuditEntry.at, AuditEntry.id)
        ).all()
    assert sorted((row.action, row.actor, str(row.after)) for row in rows) == [
        ("sign_in", "davi@vila.example", "{'door': 'browser', 'second_factor': 'totp'}"),
        ("sign_in_failed", "davi@vila.example", "{'step': 'code'}"),
        ("sign_in_failed", "marta@vila.example", "{'step': 'password'}"),
        ("sign_in_failed", "unknown", "{'step': 'password'}"),
    ]
    assert "hunter" not in str([(row.before, row.after) for row in rows])
