"""app/services/account_letters.py: whoever owns an account hears of each change of a way in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args

import pyotp
import pytest
from flask import Flask

from app.errors import Conflict, Invalid
from app.integrations.notify import NotSent, email
from app.jobs import letters
from app.models import AccountLetter, AuditEntry, User
from app.models.account_letters import ACCOUNT_CHANGES
from app.runtime import secret_vault
from app.services import (
    account_letters,
    maintenance,
    privacy_rules,
    retention,
    second_factor,
    user_changes,
    user_links,
    users,
)
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


def waiting() -> list[AccountLetter]:
    """The letters there are, the oldest first."""
    with transaction() as session:
        return session.query(AccountLetter).order_by(AccountLetter.created_at).all()


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
    assert post_office.messages == []  # nobody waits for a mail server
    letters.send()
    assert waiting() == []
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
    assert waiting() == []


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
    letters.send()
    (letter,) = post_office.messages
    assert letter["Subject"] == subject
    text = letter.get_content()
    assert "Sua senha foi alterada." in text
    assert (CHANGED in text) is (language is None)


def test_without_a_mail_server_nothing_waits(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    without = replace(app.extensions["settings"], smtp_url=None)
    monkeypatch.setitem(app.extensions, "settings", without)
    users.set_password(make_user("staff").email, NEW)
    assert waiting() == []


def test_a_letter_outlives_redis(
    app: Flask, clock: Clock, redis: Any, post_office: MailServer
) -> None:
    """The order to send it is lost with Redis; the sweep gives it anew."""
    users.set_password(make_user("staff").email, NEW)
    redis.flushdb()
    assert maintenance.sweep()["letters"] == 1
    assert queue_of(redis) == ["letters.send"]
    letters.send()
    assert len(post_office.messages) == 1
    assert maintenance.sweep()["letters"] == 0


def queue_of(redis: Any) -> list[str]:
    """The functions of what is in line for upkeep."""
    from rq.job import Job

    ids = redis.lrange("rq:queue:maintenance", 0, -1)
    found = [Job.fetch(each.decode(), connection=redis) for each in ids]
    return [job.func_name.removeprefix("app.jobs.") for job in found]


def test_a_mail_server_that_is_away_is_tried_again_for_a_day(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch, post_office: MailServer
) -> None:
    known = app.extensions["settings"]
    away = replace(known, smtp_url="smtp://127.0.0.1:1")
    monkeypatch.setitem(app.extensions, "settings", away)
    user = make_user("staff")
    users.set_password(user.email, NEW)
    assert users.authenticate(user.email, NEW) is not None
    waits = []
    while True:
        letters.send()
        letters.send()  # not due: nothing happens
        (letter,) = waiting()
        if letter.status == "failed":
            break
        assert letter.next_attempt_at is not None
        waits.append((letter.next_attempt_at - clock.now).total_seconds())
        clock.set(letter.next_attempt_at)
    assert waits == [60, 300, 900, 3600, 10800, 21600, 43200]
    assert letter.attempts == 8
    assert letter.last_error is not None
    assert "mail server" in letter.last_error
    # What has failed stays failed; the next change is told all the same.
    monkeypatch.setitem(app.extensions, "settings", known)
    clock.move(days=1)
    users.set_password(user.email, PASSWORD)
    assert account_letters.send_due() == 1
    assert [each.status for each in waiting()] == ["failed"]


def test_what_failed_is_sent_again_when_somebody_says_so(
    app: Flask, clock: Clock, post_office: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, other = make_user("staff"), make_user("staff")
    known = app.extensions["settings"]
    monkeypatch.setitem(app.extensions, "settings", replace(known, smtp_url="smtp://127.0.0.1:1"))
    users.set_password(ana.email, NEW)
    assert account_letters.undelivered(ana.id) == []  # nothing has gone wrong so far
    account_letters.send_due()
    (late,) = account_letters.undelivered(ana.id)
    assert (late.status, late.attempts) == ("pending", 1)
    assert account_letters.failed([ana.id, other.id]) == set()
    for _ in range(account_letters.RETRIES.attempts):
        clock.move(days=1)
        account_letters.send_due()
    assert account_letters.failed([ana.id, other.id]) == {ana.id}
    assert account_letters.failed([]) == set()
    with pytest.raises(Conflict, match="was sent"):
        account_letters.send_again(other.id, actor=BOSS)

    monkeypatch.setitem(app.extensions, "settings", known)
    assert account_letters.send_again(ana.id, actor=BOSS) == 1
    (again,) = account_letters.undelivered(ana.id)  # its reason stands until it has arrived
    assert (again.status, again.attempts) == ("pending", 0)
    assert account_letters.send_due() == 1
    assert account_letters.undelivered(ana.id) == []
    assert post_office.recipients == [[ana.email]]
    with pytest.raises(Conflict, match="was sent"):
        account_letters.send_again(ana.id, actor=BOSS)
    with transaction() as session:
        entry = session.query(AuditEntry).filter_by(action="send_letters_again").one()
    assert (entry.actor, entry.entity_id, entry.after) == (BOSS.label, str(ana.id), {"letters": 1})


def test_a_letter_in_somebodys_hands_is_left_to_them(app: Flask, clock: Clock) -> None:
    user = make_user("staff")
    users.set_password(user.email, NEW)
    with transaction() as session:
        (letter,) = session.query(AccountLetter).all()
        letter.last_error = "the mail server cannot be reached (TimeoutError)"
        letter.lease_until = clock.now + timedelta(minutes=1)
    with pytest.raises(Conflict):
        account_letters.send_again(user.id, actor=BOSS)
    clock.move(minutes=2)  # whoever held it has died
    assert account_letters.send_again(user.id, actor=BOSS) == 1


def test_without_a_mail_server_nothing_is_sent_again(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = make_user("staff")
    with transaction() as session:
        session.add(AccountLetter(user_id=user.id, change="role", status="failed", last_error="x"))
    settings = replace(app.extensions["settings"], smtp_url=None)
    monkeypatch.setitem(app.extensions, "settings", settings)
    with pytest.raises(Conflict, match="no mail server"):
        account_letters.send_again(user.id, actor=BOSS)
    assert account_letters.failed([user.id]) == {user.id}


def test_a_process_that_dies_while_sending_loses_nothing(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []

    def die(url: str, letter: email.Email) -> int:
        assert not in_transaction()
        sent.append(letter.id)
        raise SystemExit

    monkeypatch.setattr(email, "send", die)
    users.set_password(make_user("staff").email, NEW)
    for dead in range(account_letters.RETRIES.attempts):
        with pytest.raises(SystemExit):
            letters.send()
        letters.send()  # somebody else's for as long as the lease lasts
        assert len(sent) == dead + 1
        clock.move(minutes=3)
    letters.send()
    (letter,) = waiting()
    assert (letter.status, letter.last_error) == ("failed", account_letters.INTERRUPTED)
    assert set(sent) == {str(letter.id)}  # one message, however often it went out


def test_a_sender_that_was_too_slow_does_not_undo_the_next_ones_work(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease is over, another has the letter in hand: what it says counts no more."""
    calls: list[str] = []

    def slow(url: str, letter: email.Email) -> int:
        calls.append(letter.id)
        if len(calls) == 1:
            clock.move(minutes=3)
            assert account_letters._claim() is not None
            raise NotSent("too late")
        return 0

    monkeypatch.setattr(email, "send", slow)
    users.set_password(make_user("staff").email, NEW)
    letters.send()
    (letter,) = waiting()
    assert (letter.attempts, letter.last_error) == (2, None)
    assert letter.lease_until == clock.now + timedelta(minutes=2)


def test_what_has_failed_goes_with_the_findings_limit(app: Flask, clock: Clock) -> None:
    user = make_user("staff")
    with transaction() as session:
        for status in ("failed", "pending"):
            session.add(
                AccountLetter(user_id=user.id, change="role", status=status, updated_at=clock.now)
            )
    days = privacy_rules.limits()["finding_days"]
    clock.move(days=days - 1)
    assert "account_letters" not in retention.run(actor=BOSS)
    clock.move(days=1, minutes=1)
    assert retention.preview()["account_letters"] == 1
    assert retention.run(actor=BOSS)["account_letters"] == 1
    assert [letter.status for letter in waiting()] == ["pending"]


def test_two_workers_send_each_letter_once(app: Flask, post_office: MailServer) -> None:
    people = [make_user("staff") for _ in range(6)]
    for user in people:
        users.set_password(user.email, NEW)
    start = threading.Barrier(3)

    def work() -> None:
        with app.app_context():
            start.wait()
            letters.send()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(to for (to,) in post_office.recipients) == sorted(u.email for u in people)
    assert waiting() == []


def test_every_change_is_said_in_every_language() -> None:
    changes = {frozenset(texts) for texts in account_letters._CHANGES.values()}
    assert changes == {frozenset(ACCOUNT_CHANGES)} == {frozenset(get_args(account_letters.Change))}
    assert set(account_letters._CHANGES) == set(account_letters._SUBJECT)
    assert set(account_letters._ADVICE) == set(account_letters._SUBJECT)
