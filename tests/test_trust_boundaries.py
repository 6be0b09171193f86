"""What one side says of another is not believed: hosts, proxies, foreign ids, foreign secrets, and
strangers' words in our log (ASVS 2.2, 3.4, 3.5, 4.2.1, 7.3, 14.5)."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from uuid import UUID

import jwt
import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app import config, logs
from app.api import tokens
from app.extensions import db
from app.factory import create_app
from app.integrations.notify import email as post
from app.models import AuditEntry, UserSession
from app.runtime import settings
from app.services import passwords, user_links, users
from app.services.audit import SYSTEM
from app.services.user_links import Invitation
from app.transaction import transaction
from tests.channel_mappings import connect, mapped, unit
from tests.factories import NO_SUCH_ID, PASSWORD, make_user, reload
from tests.test_authorisation import CSRF, in_browser, with_token

EVIL = "evil.example"


def invite(app: Flask, email: str, **headers: str) -> str:
    """The address of the link that an invitation answers with."""
    answer = app.test_client().post(
        "/api/admin/users",
        json={"email": email, "role": "staff"},
        headers=with_token("admin") | headers,
    )
    assert answer.json is not None
    return str(answer.json["invitation"]["url"])


def test_links_lead_to_the_public_address_whatever_host_was_asked(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = replace(settings(), public_url="https://desk.example")
    monkeypatch.setitem(app.extensions, "settings", public)
    link = invite(app, "ana@example.org", Host=EVIL)
    assert link.startswith("https://desk.example/invite/")


@pytest.mark.parametrize("name", ["X-Forwarded-Host", "Forwarded", "X-Host", "X-Original-URL"])
def test_no_header_of_a_proxy_names_another_host(app: Flask, name: str) -> None:
    value = f"host={EVIL}" if name == "Forwarded" else EVIL
    assert EVIL not in invite(app, "ana@example.org", **{name: value})
    answer = app.test_client().get("/reservations", headers={name: value})
    assert EVIL not in answer.headers["Location"]


@pytest.mark.parametrize("path", ["/settings//users", "//settings//users", "/static//app.css"])
def test_no_spelling_of_an_address_leads_to_the_host_that_was_asked(app: Flask, path: str) -> None:
    answer = app.test_client().get("/", environ_overrides={"PATH_INFO": path, "HTTP_HOST": EVIL})
    assert EVIL not in answer.headers.get("Location", "")
    assert answer.status_code == 404


@pytest.mark.parametrize(("hops", "address"), [(0, "127.0.0.1"), (1, "198.51.100.7")])
def test_an_address_is_believed_of_as_many_proxies_as_there_are(
    make_settings: Callable[..., config.Settings], database: str, redis_url: str,
    app: Flask, hops: int, address: str,
) -> None:  # fmt: skip
    """Whoever sends the header beforehand only moves the wrong end of the list."""
    other = create_app(
        make_settings(DATABASE_URL=database, REDIS_URL=redis_url, TRUSTED_PROXIES=str(hops)),
        testing=True,
    )
    me = make_user("staff", email="ana@example.org")
    other.test_client().post(
        "/api/auth/token",
        json={"email": me.email, "password": "wrong one"},
        headers={"X-Forwarded-For": "203.0.113.9, 198.51.100.7"},
    )
    with other.app_context():
        db.engine.dispose()
    with transaction() as session:
        entry = session.scalars(select(AuditEntry).filter_by(action="sign_in_failed")).one()
    assert entry.ip == address


def test_the_cookie_of_production(
    app: Flask, make_settings: Callable[..., config.Settings], database: str, redis_url: str
) -> None:
    """`__Host-`: no neighbouring host and no plain connection can plant one."""
    strict = create_app(
        make_settings(DATABASE_URL=database, REDIS_URL=redis_url, APP_ENV="production")
    )
    cookie = strict.test_client().get("/login", base_url="https://desk.example")
    told = cookie.headers["Set-Cookie"]
    assert told.startswith("__Host-turnkey=")
    parts = {part.strip() for part in told.split(";")[1:]}
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= parts
    assert not [part for part in parts if part.startswith("Domain")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\u2028", "\x85", "\x0b"])
def test_no_subject_brings_a_header_of_its_own(app: Flask, end: str) -> None:
    letter = post.Email(
        id="1",
        subject=f"Room 1{end}Bcc: x@{EVIL}{end}{end}<b>",
        text="text",
        sender="desk@example.org",
        recipients=("ana@example.org",),
    )
    raw = post.compose(letter).as_bytes()
    head = raw.split(b"\n\n")[0]
    assert b"\nBcc" not in head
    assert raw.count(b"\n\n") == 1


class TestSecretsOfOneDoorAtAnother:
    """A token opens the door it was made for."""

    def test_a_session_is_no_bearer_token_nor_the_other_way_round(self, app: Flask) -> None:
        me = make_user("admin")
        session_token = users.start_session(me.id, None, None)
        link = user_links.invite(
            Invitation(email="ana@example.org", role="admin"), actor=SYSTEM
        ).token
        for told in (session_token, link):
            headers = {"Authorization": f"Bearer {told}"}
            assert app.test_client().get("/api/admin/users", headers=headers).status_code == 401
        for told in (tokens.issue(me), link):
            client = in_browser(app, None)
            with client.session_transaction() as cookie:
                cookie["token"] = told
            assert client.get("/more").status_code == 303

    @pytest.mark.parametrize("key", ["secret_key", "stays_webhook_secret", "beds24_webhook_secret"])
    def test_no_other_secret_of_ours_signs_tokens(self, app: Flask, key: str) -> None:
        me = make_user("admin")
        claims = jwt.decode(tokens.issue(me), options={"verify_signature": False})
        token = jwt.encode(claims, getattr(settings(), key), algorithm="HS256")
        headers = {"Authorization": f"Bearer {token}"}
        assert app.test_client().get("/api/admin/users", headers=headers).status_code == 401

    def test_the_role_in_a_token_is_not_believed(self, app: Flask) -> None:
        me = make_user("staff")
        claims = jwt.decode(tokens.issue(me), options={"verify_signature": False})
        token = jwt.encode(claims | {"role": "admin"}, settings().jwt_secret, algorithm="HS256")
        headers = {"Authorization": f"Bearer {token}"}
        assert app.test_client().get("/api/admin/users", headers=headers).status_code == 403

    @pytest.mark.parametrize("header", [{"jku": "http://evil.example/"}, {"kid": "../../x"},
                                        {"jwk": {"kty": "oct", "k": "eA"}}])  # fmt: skip
    def test_the_head_of_a_token_brings_no_key(self, app: Flask, header: dict[str, object]) -> None:
        me = make_user("admin")
        claims = jwt.decode(tokens.issue(me), options={"verify_signature": False})
        token = jwt.encode(claims, "x" * 32, algorithm="HS256", headers=header)
        headers = {"Authorization": f"Bearer {token}"}
        assert app.test_client().get("/api/admin/users", headers=headers).status_code == 401


class TestForeignIds:
    """An id is looked up below what the address says it belongs to (IDOR)."""

    def test_a_mapping_of_another_connection(self, app: Flask) -> None:
        mine, other = connect(), connect()
        foreign = mapped(other, unit(other), "71001").mapping
        client = in_browser(app, "admin")
        for deed in ("remove", "revive"):
            path = f"/channels/{mine.id}/mappings/{foreign.id}/{deed}"
            assert client.post(path, data={"csrf_token": CSRF}).status_code == 404
        assert reload(foreign).is_active

    def test_a_browser_of_another_person(self, app: Flask) -> None:
        ana, bea = make_user("staff"), make_user("staff")
        users.start_session(bea.id, None, None)
        with transaction() as session:
            theirs: UUID = session.scalars(select(UserSession.id).filter_by(user_id=bea.id)).one()
        client = in_browser(app, "admin")
        for person in (ana.id, NO_SUCH_ID):
            path = f"/settings/users/{person}/sessions/{theirs}/end"
            assert client.post(path, data={"csrf_token": CSRF}).status_code == 404
        with transaction() as session:
            assert session.get_one(UserSession, theirs).ended_at is None


class Counting(PasswordHasher):
    """Notes every hash that is computed."""

    done = 0

    def hash(self, *args: object, **more: object) -> str:
        type(self).done += 1
        return super().hash(*args, **more)  # type: ignore[arg-type]

    def verify(self, *args: object) -> bool:  # type: ignore[override]
        type(self).done += 1
        return super().verify(*args)  # type: ignore[arg-type]


@pytest.mark.parametrize("door", ["page", "api"])
def test_every_refused_sign_in_is_the_same_work(
    app: Flask, monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    """One hash and one line of the audit log, whoever it was; time on the clock is measured in
    tests/services/test_users.py."""
    monkeypatch.setattr(passwords, "_hasher", Counting(1, 1024, 1))
    make_user("staff", email="known@example.org")
    make_user("staff", email="gone@example.org", is_active=False)
    user_links.invite(Invitation(email="invited@example.org", role="staff"), actor=SYSTEM)
    work: dict[str, tuple[int, int]] = {}
    for email in ("known@example.org", "gone@example.org", "invited@example.org",
                  "nobody@example.org", "no address", "", "x" * 400 + "@example.org"):  # fmt: skip
        for password in ("wrong one", "", "y" * 5000):
            before, Counting.done = lines_of_audit(), 0
            form = {"email": email, "password": password}
            if door == "api":
                status = app.test_client().post("/api/auth/token", json=form).status_code
            else:
                form["csrf_token"] = CSRF
                status = in_browser(app, None).post("/login", data=form).status_code
            assert status in (401, 422)
            work[f"{email} {password}"[:60]] = (Counting.done, lines_of_audit() - before)
    assert set(work.values()) == {(1, 1)}, work


def lines_of_audit() -> int:
    with transaction() as session:
        return len(session.scalars(select(AuditEntry.id).filter_by(action="sign_in_failed")).all())


@pytest.fixture(params=["json", "console"])
def log(request: pytest.FixtureRequest) -> Iterator[tuple[str, Callable[[], list[str]]]]:
    """The lines that a process would write, in both forms."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure(level="DEBUG", fmt=request.param)
    written = io.StringIO()
    root.handlers[0].setStream(written)  # type: ignore[attr-defined]
    yield request.param, lambda: written.getvalue().splitlines()
    root.handlers[:], root.level = handlers, level


FORGED = 'x\r\n{"event": "forged"}\x1b[2J\x1b]0;title\x07\u2028\x85\u202e'


def test_no_stranger_writes_in_our_log(
    app: Flask, client: FlaskClient, log: tuple[str, Callable[[], list[str]]]
) -> None:
    """Line breaks, commands for the terminal and reversed text, wherever they can be put."""
    fmt, lines = log
    path = "/%0d%0a%1b%5b2Jforged%e2%80%ae%c2%85"
    client.get(path)
    client.get("/api" + path, headers={"User-Agent": "a\x1b[2J", "X-Request-ID": "a\x1b[2Jbcdefg"})
    client.post("/api/auth/token", json={"email": FORGED, "password": FORGED})
    client.post("/login", data={"email": FORGED, "csrf_token": "x"})
    secret = settings().stays_webhook_secret
    client.post(f"/api/webhooks/stays/{secret}", json={"action": FORGED, "payload": {"id": FORGED}})
    client.post("/api/webhooks/stays/reservation" + path, json={})
    logging.getLogger("a.library").warning("told %s", FORGED)
    logging.getLogger("a.library").warning("told", extra={"who": FORGED})
    written = lines()
    assert len([line for line in written if "told" in line]) == 2
    for line in written:
        assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u202e]", line), line
        if fmt == "json":
            assert json.loads(line)["event"] != "forged"
        else:
            assert re.match(r"\d{4}-\d\d-\d\dT", line), line
    assert PASSWORD not in "\n".join(written)
