"""What a house lives through in a day, with secrets and a guest that nobody else is called like."""

from __future__ import annotations

import html
import json
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import pyotp
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.integrations.errors import IntegrationError
from app.models import User
from app.services import second_factor
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import reload
from tests.secrecy import opened
from tests.web.conftest import PASSWORD, sign_in, token_in
from tests.web.forms import press

#: of a longer secret either end gives it away
LEAST, LONG, END = 7, 40, 20
FIRST, LAST, MAIL, PHONE = "Zqhelena", "Wvprado", "zqmail77@wvmail.example", "+55 48 93715-8264"
CARD = "4111 1111 1111 1111"


#: what may stand between the parts of a number or a code that is shown in groups
BETWEEN = re.compile(r"<[^>]{1,40}>|&nbsp;|[\s.,+()\-\u00a0\u202f]+")


class Canaries:
    """Everything that was planted, and whether a text gives one away, in whatever case."""

    def __init__(self) -> None:
        self.plain: dict[str, set[str]] = {}
        self.grouped: dict[str, set[str]] = {}
        self.plant("guest name", FIRST, LAST)
        self.plant("guest e-mail", *MAIL.split("@"))
        self.plant_groups("guest phone", "48937158264")
        self.plant_groups("card", CARD.replace(" ", ""))

    def plant(self, label: str, *values: str) -> str:
        """From now on these are looked for, whole or, of long ones, by either end; the first."""
        for value in values:
            assert len(value) >= LEAST, label
            parts = [value] if len(value) < LONG else [value[:END], value[-END:]]
            forms = {form.lower() for each in parts for form in (each, quote(each, safe=""))}
            self.plain.setdefault(label, set()).update(forms)
        return values[0]

    def plant_groups(self, label: str, value: str) -> None:
        """As `plant`, for what a person may read in groups."""
        assert len(value) >= LEAST, label
        self.grouped.setdefault(label, set()).add(value.lower())

    def in_text(self, where: str, *texts: object) -> list[str]:
        found: set[str] = set()
        for text in {str(each).lower() for each in texts}:
            found.update(label for label, known in self.plain.items() if _any(known, text))
            flat = BETWEEN.sub("", text)
            found.update(label for label, known in self.grouped.items() if _any(known, flat))
        return [f"{label} @ {where}" for label in sorted(found)]


def _any(known: set[str], text: str) -> bool:
    return any(each in text for each in known)


@dataclass
class Ears:
    """Hears every answer of the app, and every address that was asked for."""

    app: Flask
    canaries: Canaries
    answers: list[tuple[str, str, str]] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)

    def client(self) -> FlaskClient:
        """A browser that is listened to."""
        ears = self

        class Heard(FlaskClient):
            def open(self, *args: Any, **kwargs: Any) -> TestResponse:
                answer = super().open(*args, **kwargs)
                ears.hear(answer)
                return answer

        return Heard(self.app, self.app.response_class)

    def hear(self, answer: TestResponse) -> None:
        request = answer.request
        endpoint, _ = self.app.url_map.bind("localhost").match(request.path, request.method)
        where = f"{request.method} {endpoint}"
        self.answers.append((where, "body", answer.get_data(as_text=True)))
        for name, value in answer.headers:
            if name != "Set-Cookie":
                self.answers.append((where, "header", f"{name}: {value}"))
                if name == "Location":
                    self.urls.append(value)
            elif value.startswith("turnkey=") and not value.startswith("turnkey=;"):
                self.answers.append((where, "cookie", opened(value[8:].split(";")[0])))

    def refuses(self, act: Callable[[], object]) -> None:
        """It fails as it should; what the exception says is remembered."""
        try:
            act()
        except IntegrationError as error:
            self.failures.append(error)
        else:
            raise AssertionError("nothing was refused")

    def found(self) -> set[str]:
        """What was read in the answers, and where."""
        seen: set[str] = set()
        for where, part, said in self.answers:
            seen.update(self.canaries.in_text(where if part == "body" else part, said))
        return seen

    def told(self) -> list[str]:
        """What the exceptions and their causes say."""
        found = []
        for each in self.failures:
            whole = "".join(traceback.TracebackException.from_exception(each).format())
            found += self.canaries.in_text("exception", whole, repr(each), each.args, vars(each))
        return found


def session_of(client: FlaskClient) -> dict[str, Any]:
    cookie = client.get_cookie("turnkey")
    assert cookie is not None
    held: dict[str, Any] = json.loads(opened(cookie.value))
    return held


@dataclass
class People:
    """Sign-ins, invitations and second factors, right and wrong."""

    app: Flask
    ears: Ears
    clock: Clock
    people: dict[str, User]

    @property
    def plant(self) -> Callable[..., str]:
        return self.ears.canaries.plant

    def signed_in(self, role: str) -> FlaskClient:
        """Two wrong tries, one of them with the password in the wrong field, and the right one."""
        client = self.ears.client()
        email = self.people[role].email
        wrong = self.plant("wrong password", f"Wrong-quokka-{role}")
        field = self.plant("password as address", f"Quokka-field-{role}")
        assert sign_in(client, email, password=wrong).status_code == 422
        assert sign_in(client, field).status_code == 422
        assert sign_in(client, email).status_code == 303
        self.plant("session token", session_of(client)["token"])
        return client

    def api(self, role: str) -> str:
        """A bearer token, after a wrong try."""
        client, email = self.ears.client(), self.people[role].email
        wrong = self.plant("wrong password", f"Wrong-api-{role}-87")
        for password, status in ((wrong, 401), (PASSWORD, 200)):
            answer = client.post("/api/auth/token", json={"email": email, "password": password})
            assert answer.status_code == status
        token = str(document(answer)["access_token"])
        _, claims, signature = token.split(".")
        self.plant("bearer token", claims, signature)
        broken = {"Authorization": f"Bearer {token[:-4]}"}
        assert client.get("/api/admin/users", headers=broken).status_code == 401
        return token

    def invited(self, admin: FlaskClient, bearer: str) -> None:
        page = press(admin, "/settings/users/new", email="ana@vila.example", role="admin", name="A")
        self._choose("invitation", _link_on(page), "Choose-quokka-31")
        person = {"email": "rui@vila.example", "role": "staff"}
        made = self.ears.client().post(
            "/api/admin/users", json=person, headers={"Authorization": f"Bearer {bearer}"}
        )
        self._choose("invitation", document(made)["invitation"]["url"], "Choose-quokka-32")
        with transaction() as session:
            ana = session.scalars(select(User).filter_by(email="ana@vila.example")).one()
        page = press(admin, f"/settings/users/{ana.id}/link")
        self._choose("reset link", _link_on(page), "Choose-quokka-33")

    def _choose(self, label: str, link: str, password: str) -> None:
        token = self.plant(label, link.rsplit("/", 1)[1])
        browser = self.ears.client()
        assert browser.get(urlsplit(link).path).location == "/choose-password"
        weak = self.plant("refused password", "Shrtqk81")
        for typed, status in ((weak, 422), (self.plant("password", password), 303)):
            form = {"csrf_token": token_in(browser.get("/choose-password")), "password": typed}
            assert browser.post("/choose-password", data=form).status_code == status
        assert browser.get(urlsplit(link).path.replace(token, token[::-1])).status_code == 303

    def second_factor(self, role: str) -> FlaskClient:
        """Set up, failed, passed by code and by recovery code; the browser that is signed in."""
        user = self.people[role]
        browser = self.signed_in(role)
        assert press(browser, "/settings/me/second-factor/begin").status_code == 303
        waiting = second_factor.waiting(reload(user))
        assert waiting is not None
        self.ears.canaries.plant_groups("second factor", waiting.secret)
        browser.get("/settings/me/second-factor")
        totp = pyotp.TOTP(waiting.secret)
        where = "/settings/me/second-factor"
        wrong = self.plant("wrong password", "Wrong-factor-quokka")
        assert press(browser, where, password=wrong, code="000000").status_code == 422
        shown = press(browser, where, password=PASSWORD, code=totp.at(self.clock.now))
        codes = re.findall(r"[a-z0-9]{4}(?:-[a-z0-9]{4}){3}", shown.text)
        assert len(codes) == 10
        for code in codes:
            self.ears.canaries.plant_groups("recovery code", code.replace("-", ""))
        other = self.ears.client()
        assert sign_in(other, user.email).location == "/login/code"
        for code in ("qzxw-qzxw-qzxw-qzxw", codes[0]):
            form = {"csrf_token": token_in(other.get("/login/code")), "code": code}
            other.post("/login/code", data=form)
        self.plant("session token", session_of(other)["token"])
        given = {"email": user.email, "password": PASSWORD, "totp": codes[1]}
        assert other.post("/api/auth/token", json=given).status_code == 200
        return other

    def another_password(self, client: FlaskClient) -> None:
        wrong = self.plant("wrong password", "Wrong-old-quokka")
        fresh = self.plant("password", "Fresh-quokka-lantern-58")
        for old, status in ((wrong, 422), (PASSWORD, 303)):
            sent = press(client, "/settings/me/password", old_password=old, password=fresh)
            assert sent.status_code == status

    def terminal(self) -> str:
        """What the commands say about it."""
        runner = self.app.test_cli_runner()
        new, said = ["users", "create", "--email", "zoe@vila.example", "--role"], ""
        for words, password in (
            ([*new, "staff"], "Quokka7"),
            ([*new, "staff"], "Quokka-cli-91"),
            (["users", "set-password", "zoe@vila.example"], "Quokka-cli-92"),
            (["users", "list"], ""),
        ):  # fmt: skip
            if password:
                self.plant("password", password)
                words = [*words, "--password-stdin"]
            said += runner.invoke(args=words, input=password + "\n").output
        return said


def document(answer: TestResponse) -> dict[str, Any]:
    """What a JSON answer says."""
    said: dict[str, Any] = answer.get_json()
    return said


def _link_on(page: TestResponse) -> str:
    found = re.search(r'id="link"[^>]*>([^<]+)<', page.text)
    assert found, page.status
    return html.unescape(found[1])


def guest_fields() -> dict[str, str]:
    """The guest, as the desk types one in."""
    return {"guest_name": f"{FIRST} {LAST}", "guest_email": MAIL, "guest_phone": PHONE}


def as_beds24(first: date, nights: int = 2, **more: Any) -> dict[str, Any]:
    """The guest, as Beds24 writes one, with a card in the notes."""
    return {
        "firstName": FIRST, "lastName": LAST, "email": MAIL, "mobile": PHONE,
        "notes": f"card {CARD} exp 12/28", "arrival": first.isoformat(),
        "departure": (first + timedelta(days=nights)).isoformat(),
    } | more  # fmt: skip
