"""app/services/account_letters.py: whoever owns an account hears of each change of a way in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pyotp
import pytest
from flask import Flask

from app.errors import Invalid
from app.integrations.notify import email
from app.models import User
from app.runtime import secret_vault
from app.services import account_letters, second_factor, user_changes, user_links, users
from app.services.audit import Actor
from app.services.user_changes import UserChanges
from app.transaction import in_transaction, transaction
from tests.conftest import Clock
from tests.factories import PASSWORD, make_user, reload
from tests.letterboxes import MailServer, post_office

__all__ = ["post_office"]

BOSS = Actor("boss@example.org", role="admin")
NEW = "four words put together"


@pytest.fixture(autouse=True)
def mailed(app: Flask, post_office: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    known = app.extensions["settings"]
    url = f"smtp://127.0.0.1:{post_office.port}"
    monkeypatch.setitem(app.extensions, "settings", replace(known, smtp_url=url))


def code(user: User, clock: Clock) -> str:
    clock.move(seconds=30)  # a code works once
    sealed = reload(user).totp_secret_encrypted
    assert sealed is not None
    return pyotp.TOTP(secret_vault().open(sealed)).at(clock.now)


def with_factor(user: User, clock: Clock) -> None:
    second_factor.begin(user.id, actor=BOSS)
    second_factor.confirm(reload(user), PASSWORD, code(user, clock), keep="", actor=BOSS)


def change_it(user: User, clock: Clock) -> None:
    users.change_password(user, PASSWORD, NEW, keep="", actor=BOSS)


def set_it(user: User, clock: Clock) -> None:
    users.set_password(user.email, NEW)


def choose_it(user: User, clock: Clock) -> None:
    link = user_links.renew(user.id, actor=BOSS)
    user_links.redeem(link.token, NEW, ip=None)


def renew(user: User, clock: Clock) -> None:
    with_factor(user, clock)
    second_factor.renew_codes(reload(user), PASSWORD, code(user, clock), actor=BOSS)


def switch_off(user: User, clock: Clock) -> None:
    with_factor(user, clock)
    second_factor.disable(reload(user), PASSWORD, code(user, clock), actor=BOSS)


def take_away(user: User, clock: Clock) -> None:
    with_factor(user, clock)
    second_factor.remove(user.id, actor=BOSS)


def promote(user: User, clock: Clock) -> None:
    user_changes.change(user.id, UserChanges(role="admin"), actor=BOSS)


def set_and_fail(user: User) -> None:
    with transaction():
        users.set_password(user.email, NEW)
        raise ZeroDivisionError


ON = "A second factor was switched on."
OFF = "Your second factor was switched off"
CHANGED = "Your password was changed."


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (change_it, [CHANGED]),
        (set_it, [CHANGED]),
        (choose_it, [CHANGED]),
        (with_factor, [ON]),
        (renew, [ON, "New recovery codes were made"]),
        (switch_off, [ON, OFF]),
        (take_away, [ON, OFF]),
        (promote, ["What you may do was changed"]),
    ],
)
def test_the_owner_is_told(
    app: Flask,
    clock: Clock,
    post_office: MailServer,
    act: Callable[[User, Clock], None],
    told: list[str],
) -> None:
    user = make_user("staff", email="ana@example.org", language="en")
    act(user, clock)
    assert post_office.recipients == [["ana@example.org"]] * len(told)
    for letter, words in zip(post_office.messages, told, strict=True):
        assert letter["Subject"] == "Your Turnkey account was changed"
        text = letter.get_content()
        assert text.startswith(words)
        assert "If you did not expect this" in text
        assert PASSWORD not in text
        assert NEW not in text


def test_nobody_is_told_of_what_did_not_happen(
    app: Flask, clock: Clock, post_office: MailServer
) -> None:
    user = make_user("staff")
    with pytest.raises(Invalid):
        users.change_password(user, "not it", NEW, keep="", actor=BOSS)
    user_changes.change(user.id, UserChanges(name="Ana", role="staff"), actor=BOSS)
    second_factor.begin(user.id, actor=BOSS)
    second_factor.remove(user.id, actor=BOSS)  # it was never on
    with pytest.raises(ZeroDivisionError):
        set_and_fail(user)
    assert post_office.messages == []


@pytest.mark.parametrize(
    ("language", "subject"),
    [
        ("pt", "Sua conta do Turnkey foi alterada"),
        (None, "Your Turnkey account was changed / Sua conta do Turnkey foi alterada"),
    ],
)
def test_in_the_language_of_whoever_reads_it(
    app: Flask, post_office: MailServer, language: str | None, subject: str
) -> None:
    user = make_user("staff", language=language)
    users.set_password(user.email, NEW)
    (letter,) = post_office.messages
    assert letter["Subject"] == subject
    text = letter.get_content()
    assert "Sua senha foi alterada." in text
    assert (CHANGED in text) is (language is None)


def test_the_letter_waits_for_the_commit(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    open_then: list[bool] = []

    def send(url: str, letter: email.Email) -> int:
        open_then.append(in_transaction())
        return 0

    monkeypatch.setattr(email, "send", send)
    user = make_user("staff")
    with transaction():
        users.set_password(user.email, NEW)
        assert open_then == []
    assert open_then == [False]


def test_a_mail_server_that_is_away_stops_nothing(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = replace(app.extensions["settings"], smtp_url="smtp://127.0.0.1:1")
    monkeypatch.setitem(app.extensions, "settings", away)
    user = make_user("staff")
    users.set_password(user.email, NEW)
    assert users.authenticate(user.email, NEW) is not None


def test_every_change_is_said_in_every_language() -> None:
    changes = {frozenset(texts) for texts in account_letters._CHANGES.values()}
    assert len(changes) == 1
    assert set(account_letters._CHANGES) == set(account_letters._SUBJECT)
    assert set(account_letters._ADVICE) == set(account_letters._SUBJECT)
