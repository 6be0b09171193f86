"""Settings, users: invited, changed, deactivated and helped back in (issue 8, SEC-16)."""

from __future__ import annotations

import html
import json
import re
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes, policy

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.models import AccountLetter, AuditEntry, User, UserSession
from app.services import account_letters, user_links, users
from app.services.audit import Actor
from app.services.user_links import Invitation
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import NO_SUCH_ID, make_user, reload
from tests.web.conftest import PASSWORD, sign_in, token_in
from tests.web.forms import complaint_at, press, said_on

ADDRESS = "Write an e-mail address, such as ana@example.com"
GOOD = "caneca azul janela"
BOSS = Actor("boss@example.org", role="admin")


def link_on(page: TestResponse) -> str:
    """The link that is shown once."""
    found = re.search(r'<code class="paste__text" id="link"[^>]*>([^<]+)</code>', page.text)
    assert found, said_on(page)
    return html.unescape(found[1])


def path_of(link: str) -> str:
    assert link.startswith("http://localhost/")
    return link.removeprefix("http://localhost")


def choose(browser: FlaskClient, path: str, password: str = GOOD) -> TestResponse:
    """Open a link and send the form behind it."""
    browser.get(path)
    page = browser.get("/choose-password")
    if page.status_code == 404:
        return page
    return browser.post(
        "/choose-password", data={"csrf_token": token_in(page), "password": password}
    )


def invite(admin: FlaskClient, email: str = "ana@vila.example", role: str = "staff") -> str:
    return link_on(press(admin, "/settings/users/new", email=email, role=role, name="Ana Reis"))


def test_the_front_desk_gets_nowhere(staff: FlaskClient, people: dict[str, User]) -> None:
    other = people["admin"].id
    for path in ("/settings/users", "/settings/users/new", f"/settings/users/{other}",
                 f"/settings/users/{other}/deactivate", "/settings/me/second-factor"):  # fmt: skip
        assert staff.get(path).status_code == 403, path
    for tail in ("", "/deactivate", "/reactivate", "/link", "/withdraw", "/second-factor",
                 "/sessions/end", f"/sessions/{NO_SUCH_ID}/end"):  # fmt: skip
        assert press(staff, f"/settings/users/{other}{tail}", role="staff").status_code == 403, tail
    for path in ("/settings/users/new", "/settings/me/second-factor/begin"):
        assert press(staff, path, email="x@vila.example", role="admin").status_code == 403
    assert reload(people["admin"]).is_admin
    assert users.find("x@vila.example") is None


def test_somebody_is_invited_and_signs_in(admin: FlaskClient, app: Flask) -> None:
    link = invite(admin)
    guest = app.test_client()
    assert "ana@vila.example" in said_on(admin.get("/settings/users"))
    done = choose(guest, path_of(link))
    assert (done.status_code, done.location) == (303, "/login")
    assert "Your password is saved" in guest.get("/login").text
    token = token_in(guest.get("/login"))
    form = {"csrf_token": token, "email": "ana@vila.example", "password": GOOD}
    assert guest.post("/login", data=form).status_code == 303
    assert "Ana Reis" in guest.get("/more").text


def test_the_link_is_shown_once_and_leaves_the_address_at_once(
    admin: FlaskClient, app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    link = invite(admin)
    token = link.rsplit("/", 1)[1]
    user = users.find("ana@vila.example")
    assert user is not None
    for path in ("/settings/users", f"/settings/users/{user.id}"):
        assert token not in admin.get(path).text
    guest = app.test_client()
    opened = guest.get(path_of(link))
    assert (opened.status_code, opened.location) == (303, "/choose-password")
    assert opened.headers["Referrer-Policy"] == "no-referrer"
    assert opened.headers["Cache-Control"] == "no-store"
    page = guest.get("/choose-password")
    assert token not in page.text
    written = caplog.text
    assert "/invite/[removed]" in written
    assert token not in written


def test_opening_a_link_uses_nothing_up(admin: FlaskClient, app: Flask) -> None:
    link = path_of(invite(admin))
    for _ in range(3):
        other = app.test_client()
        other.get(link)
        other.head(link)
        assert other.get("/choose-password").status_code == 200
    assert choose(app.test_client(), link).status_code == 303


def test_unknown_spent_old_and_withdrawn_look_alike(
    admin: FlaskClient, app: Flask, clock: Clock
) -> None:
    spent = path_of(invite(admin))
    choose(app.test_client(), spent)
    withdrawn = user_links.invite(Invitation(email="b@vila.example", role="staff"), actor=BOSS)
    user_links.withdraw(withdrawn.user.id, actor=BOSS)
    old = user_links.invite(Invitation(email="c@vila.example", role="staff"), actor=BOSS)
    clock.move(hours=72)
    pages = []
    for path in (spent, f"/invite/{withdrawn.token}", f"/invite/{old.token}",
                 "/invite/" + "x" * 43, "/reset/x", "/invite/" + "y" * 3000):  # fmt: skip
        guest = app.test_client()
        opened = guest.get(path)
        assert (opened.status_code, opened.location) == (303, "/choose-password")
        page = guest.get("/choose-password")
        pages.append((page.status_code, said_on(page)))
    assert pages[0][0] == 404
    assert len(set(pages)) == 1
    assert app.test_client().get("/choose-password").status_code == 404


def test_a_weak_password_is_refused_in_words_and_never_comes_back(
    admin: FlaskClient, app: Flask
) -> None:
    link, guest = path_of(invite(admin)), app.test_client()
    for password, words in (
        ("tiny", "Write at least 12 characters"),
        ("password1234", "guessed first"),
        ("ana@vila.example", "without your e-mail address"),
    ):
        page = choose(guest, link, password)
        assert page.status_code == 422
        assert words in page.text
        typed = re.search(r'<input[^>]*name="password"[^>]*>', page.text)
        assert typed is not None
        assert 'value=""' in typed[0]
    assert choose(guest, link).status_code == 303


def test_who_tries_links_has_to_wait(client: FlaskClient) -> None:
    answers = []
    for number in range(22):
        client.get(f"/invite/guess-{number}")
        answers.append(client.get("/choose-password").status_code)
    assert answers == [404] * 20 + [429] * 2


def test_a_link_opened_where_somebody_is_signed_in_signs_them_out(
    admin: FlaskClient, app: Flask
) -> None:
    link = path_of(invite(admin))
    admin.get(link)
    page = admin.get("/choose-password")
    assert "Davi Lacerda" not in page.text
    form = {"csrf_token": token_in(page), "password": GOOD}
    assert admin.post("/choose-password", data=form).status_code == 303
    assert admin.get("/more").status_code == 303


def test_what_is_typed_wrong_is_said_at_its_field(admin: FlaskClient) -> None:
    page = press(admin, "/settings/users/new", email="nonsense", role="staff")
    assert (page.status_code, complaint_at(page, "email")) == (422, ADDRESS)
    taken = press(admin, "/settings/users/new", email="MARTA@vila.example", role="staff")
    assert taken.status_code == 409
    assert complaint_at(taken, "email") == "Somebody has this address already"
    assert press(admin, "/settings/users/new", email="a@b", role="root").status_code == 422


def test_a_role_changes_at_once(
    admin: FlaskClient, staff: FlaskClient, people: dict[str, User]
) -> None:
    path = f"/settings/users/{people['staff'].id}"
    assert press(admin, path, name="Marta Q.", role="admin").location == f"{path}?saved=1"
    assert staff.get("/settings/users").status_code == 200
    press(admin, path, name="Marta Q.", role="staff")
    assert staff.get("/settings/users").status_code == 403
    assert "Marta Q." in staff.get("/more").text


def test_the_last_administrator_and_oneself(admin: FlaskClient, people: dict[str, User]) -> None:
    own = f"/settings/users/{people['admin'].id}"
    page = press(admin, own, name="Davi", role="staff")
    assert page.status_code == 409
    assert "Nobody else could administrate then" in said_on(page)
    make_user("admin")
    page = press(admin, f"{own}/deactivate")
    assert page.status_code == 409
    assert "You cannot deactivate yourself" in said_on(page)
    assert reload(people["admin"]).is_active
    gone = press(admin, own, name="Davi", role="staff")
    assert gone.location == "/settings/me"
    assert admin.get(gone.location).status_code == 200


def test_deactivated_means_out_at_once(
    admin: FlaskClient, staff: FlaskClient, app: Flask, people: dict[str, User]
) -> None:
    path = f"/settings/users/{people['staff'].id}"
    asked = admin.get(f"{path}/deactivate")
    assert "signed out on every device at once" in said_on(asked)
    assert press(admin, f"{path}/deactivate").status_code == 303
    assert staff.get("/more").location.startswith("/login")
    answer = staff.get(
        "/", headers={"HX-Request": "true", "HX-Current-URL": "http://localhost/rooms"}
    )
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/login?next=/rooms")
    assert sign_in(app.test_client(), people["staff"].email).status_code == 422
    assert "Deactivated" in said_on(admin.get("/settings/users"))
    press(admin, f"{path}/reactivate")
    assert staff.get("/more").status_code == 303
    assert sign_in(app.test_client(), people["staff"].email).status_code == 303


def test_a_reset_link(admin: FlaskClient, app: Flask, people: dict[str, User]) -> None:
    path = f"/settings/users/{people['staff'].id}"
    assert "within 24 hours" in said_on(admin.get(f"{path}/link"))
    link = path_of(link_on(press(admin, f"{path}/link")))
    assert link.startswith("/reset/")
    assert sign_in(app.test_client(), people["staff"].email).status_code == 303
    assert choose(app.test_client(), link).status_code == 303
    assert sign_in(app.test_client(), people["staff"].email).status_code == 422


def test_an_invitation_is_renewed_and_withdrawn(admin: FlaskClient, app: Flask) -> None:
    first = path_of(invite(admin))
    user = users.find("ana@vila.example")
    assert user is not None
    path = f"/settings/users/{user.id}"
    second = path_of(link_on(press(admin, f"{path}/link")))
    assert second.startswith("/invite/")
    assert choose(app.test_client(), first).status_code == 404
    assert press(admin, f"{path}/withdraw").location == "/settings/users"
    assert admin.get(path).status_code == 404
    assert choose(app.test_client(), second).status_code == 404
    assert press(admin, f"{path}/withdraw").status_code == 404


def test_sessions_of_others_are_seen_and_ended(
    admin: FlaskClient, staff: FlaskClient, people: dict[str, User]
) -> None:
    path = f"/settings/users/{people['staff'].id}"
    assert "127.0.0.1" in said_on(admin.get(path))
    with transaction() as session:
        row = session.scalars(select(UserSession).filter_by(user_id=people["staff"].id)).one()
    wrong = f"/settings/users/{people['admin'].id}/sessions/{row.id}/end"
    assert press(admin, wrong).status_code == 404
    assert staff.get("/more").status_code == 200
    press(admin, f"{path}/sessions/{row.id}/end")
    assert staff.get("/more").status_code == 303
    assert "No device is signed in" in said_on(admin.get(path))
    press(admin, f"/settings/users/{people['admin'].id}/sessions/end")
    assert admin.get("/more").status_code == 200  # the browser that asked stays


def test_the_list_is_searched_and_comes_in_pages(admin: FlaskClient) -> None:
    for number in range(55):
        make_user("staff", name=f"Recepção {number:02}")
    assert "of 57" in said_on(admin.get("/settings/users"))
    assert "Recepção 07" in said_on(admin.get("/settings/users?q=Recepção 07"))
    assert "Davi" not in said_on(admin.get("/settings/users?q=Recepção 07"))
    assert "Nobody matches" in said_on(admin.get("/settings/users?q=zzz"))
    assert admin.get("/settings/users?page=99").status_code == 303


def test_everything_is_written_down_without_secrets(
    admin: FlaskClient, app: Flask, people: dict[str, User]
) -> None:
    link = path_of(invite(admin))
    choose(app.test_client(), link)
    user = users.find("ana@vila.example")
    assert user is not None
    path = f"/settings/users/{user.id}"
    press(admin, path, name="Ana", role="admin")
    reset = path_of(link_on(press(admin, f"{path}/link")))
    press(admin, f"{path}/deactivate")
    press(admin, f"{path}/reactivate")
    press(admin, f"{path}/sessions/end")
    sign_in(app.test_client(), "ana@vila.example")
    with transaction() as session:
        rows = session.scalars(
            select(AuditEntry)
            .filter_by(entity="user", entity_id=str(user.id))
            .order_by(AuditEntry.at, AuditEntry.id)
        ).all()
    assert [(row.action, row.actor) for row in rows] == [
        ("invite", "davi@vila.example"),
        ("accept_invitation", "ana@vila.example"),
        ("update", "davi@vila.example"),
        ("reset_link", "davi@vila.example"),
        ("deactivate", "davi@vila.example"),
        ("reactivate", "davi@vila.example"),
        ("end_sessions", "davi@vila.example"),
        ("sign_in_failed", "ana@vila.example"),
    ]
    assert all(row.ip == "127.0.0.1" for row in rows)
    told = json.dumps([[row.before, row.after] for row in rows])
    for secret in (GOOD, PASSWORD, link.rsplit("/", 1)[1], reset.rsplit("/", 1)[1], "argon2"):
        assert secret not in told


class Post(socketserver.StreamRequestHandler):
    """As much of SMTP as one letter needs."""

    letters: list[bytes]

    def handle(self) -> None:
        self.say("220 post")
        while line := self.rfile.readline().strip().upper():
            if line == b"DATA":
                self.say("354 go on")
                body = b""
                while (more := self.rfile.readline()) != b".\r\n":
                    body += more
                self.letters.append(body)
            elif line == b"QUIT":
                return self.say("221 bye")
            self.say("250 ok")
        return None

    def say(self, words: str) -> None:
        self.wfile.write(f"{words}\r\n".encode())


@pytest.fixture
def letters(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """What arrives at a mail server of our own."""
    Post.letters = []
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Post) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        url = f"smtp://127.0.0.1:{server.server_address[1]}"
        known = app.extensions["settings"]
        changed = replace(known, smtp_url=url, public_url="https://turnkey.vila.example")
        monkeypatch.setitem(app.extensions, "settings", changed)
        yield Post.letters
        server.shutdown()
        thread.join()


def test_with_a_mail_server_the_link_is_sent_as_well(
    admin: FlaskClient, letters: list[bytes], monkeypatch: pytest.MonkeyPatch, app: Flask
) -> None:
    page = press(admin, "/settings/users/new", email="ana@vila.example", role="staff")
    link = link_on(page)
    assert link.startswith("https://turnkey.vila.example/invite/")
    assert "It is on its way to ana@vila.example" in said_on(page)
    (letter,) = letters
    read = message_from_bytes(letter, policy=policy.default)
    assert read["To"] == "ana@vila.example"
    assert link in read.get_content()
    assert read["Subject"] == "Your invitation to Turnkey"
    away = replace(app.extensions["settings"], smtp_url="smtp://127.0.0.1:1")
    monkeypatch.setitem(app.extensions, "settings", away)
    page = press(admin, "/settings/users/new", email="bea@vila.example", role="staff")
    assert "The e-mail could not be sent" in said_on(page)
    assert link_on(page)


def test_a_letter_is_written_in_the_language_of_whoever_gets_it(
    admin: FlaskClient, people: dict[str, User], letters: list[bytes]
) -> None:
    users.set_language(people["staff"].id, "pt")
    assert press(admin, f"/settings/users/{people['staff'].id}/link").status_code == 200
    (letter,) = letters
    read = message_from_bytes(letter, policy=policy.default)
    assert read["Subject"] == "Escolha uma nova senha para o Turnkey"


def test_whoever_was_not_told_stands_out_and_is_told_again(
    app: Flask,
    admin: FlaskClient,
    people: dict[str, User],
    letters: list[bytes],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    davi = people["staff"]
    here = f"/settings/users/{davi.id}"
    known = app.extensions["settings"]
    monkeypatch.setitem(app.extensions, "settings", replace(known, smtp_url="smtp://127.0.0.1:1"))
    press(admin, here, name="Davi Reis", role="admin")
    assert "did not reach" not in said_on(admin.get(here))
    account_letters.send_due()
    page = said_on(admin.get(here))
    assert "An e-mail about a change did not reach Davi Reis" in page
    assert "the mail server cannot be reached (ConnectionRefusedError)" in page
    assert "Tried again at" in page
    assert "Not told" not in said_on(admin.get("/settings/users"))
    for _ in range(account_letters.RETRIES.attempts):
        clock.move(days=1)
        account_letters.send_due()
    page = said_on(admin.get(here))
    assert "Role changed, " in page
    assert "No further try is made by itself." in page
    assert "Tried again at" not in page
    assert "Not told" in said_on(admin.get("/settings/users"))

    monkeypatch.setitem(app.extensions, "settings", known)
    press(admin, f"{here}/letters/send-again")
    assert "Being sent." in said_on(admin.get(here))
    account_letters.send_due()
    assert len(letters) == 1
    page = admin.get(here)
    assert "did not reach" not in said_on(page)
    assert "send-again" not in page.text
    # From a page that was open meanwhile: nothing is left to send, and nothing is said.
    answer = press(admin, f"{here}/letters/send-again")
    assert answer.status_code == 303
    assert len(letters) == 1


def test_without_a_mail_server_there_is_no_button(
    admin: FlaskClient, people: dict[str, User]
) -> None:
    with transaction() as session:
        row = AccountLetter(
            user_id=people["staff"].id,
            change="password",
            status="failed",
            last_error="no mail server is configured any more",
        )
        session.add(row)
    page = admin.get(f"/settings/users/{people['staff'].id}")
    assert "no mail server is configured any more" in said_on(page)
    assert "send-again" not in page.text
