"""What is told, to whom, how often: to a real mail server and a real receiver of the webhook."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text

from app.config import Settings
from app.domain.alert_limits import DEFAULTS
from app.errors import Conflict
from app.integrations.notify import NotSent
from app.integrations.notify import email as mail
from app.models import Alert, AlertNotice, AuditEntry
from app.runtime import settings
from app.services import alert_notices, alert_sending, alert_settings, alerts
from app.services.audit import Actor
from app.services.inputs import parse
from app.transaction import transaction
from tests.conftest import Clock
from tests.letterboxes import MailServer, Receiver, post_office, receiver

__all__ = ["post_office", "receiver"]

ADMIN = Actor("davi@vila.example", role="admin")
MAIL_TO = "davi@vila.example, ruth@vila.example"


def configure(app: Flask, monkeypatch: pytest.MonkeyPatch, **fields: Any) -> Settings:
    configured = replace(settings(), **fields)
    monkeypatch.setitem(app.extensions, "settings", configured)
    return configured


@pytest.fixture
def wired(
    app: Flask,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    post_office: MailServer,
    receiver: Receiver,
) -> None:
    """Both ways are configured."""
    configure(
        app,
        monkeypatch,
        smtp_url=f"smtp://127.0.0.1:{post_office.port}",
        alert_email_to=MAIL_TO,
        alert_webhook_url=f"http://127.0.0.1:{receiver.server_address[1]}/hook/",
        alert_webhook_secret="webhook-secret",
        public_url="https://desk.vila.example",
    )


def open_one(
    kind: str = "pin_late", subject: str = "", severity: str = "critical", title: str = "Trouble"
) -> None:
    with transaction() as session:
        alerts.raise_alert(session, kind, subject, severity, title, "Do something.")


def close_one(kind: str = "pin_late", *subjects: str) -> None:
    with transaction() as session:
        alerts.resolve(session, kind, *(subjects or ("",)))


def tell(clock: Clock, **later: float) -> None:
    """What the minute's job does after the rules."""
    clock.move(**later)
    alert_notices.plan(clock.now)
    alert_sending.send_due()


def notices() -> list[AlertNotice]:
    with transaction() as session:
        return list(session.scalars(select(AlertNotice).order_by(AlertNotice.created_at)))


def only_alert() -> Alert:
    with transaction() as session:
        return session.scalars(select(Alert)).one()


def test_an_alert_is_told_once_by_each_way(
    wired: None, clock: Clock, post_office: MailServer, receiver: Receiver
) -> None:
    open_one(subject="reservation:00000000-0000-4000-8000-000000000001", title="Coral: no PIN")
    for _ in range(5):
        tell(clock, minutes=1)
    (letter,) = post_office.messages
    assert post_office.recipients == [["davi@vila.example", "ruth@vila.example"]]
    assert letter["Subject"] == "[Turnkey] URGENT: Coral: no PIN"
    text = letter.get_content()
    assert "CRITICAL: Coral: no PIN" in text
    assert "What to do: Do something." in text
    page = "https://desk.vila.example/reservations/00000000-0000-4000-8000-000000000001"
    assert page in text
    assert "https://desk.vila.example/alerts/guide#pin_late" in text
    assert letter["Auto-Submitted"] == "auto-generated"
    ((headers, body),) = receiver.posts
    document = json.loads(body)
    assert document["event"] == "alerts.opened"
    assert document["total"] == 1
    (told,) = document["alerts"]
    assert (told["kind"], told["title"], told["url"]) == ("pin_late", "Coral: no PIN", page)
    assert headers["X-Turnkey-Event-Id"] == document["id"]
    assert letter["Message-ID"] == f"<{letter['X-Turnkey-Event-Id']}@vila.example>"
    expected = hmac.new(b"webhook-secret", body, hashlib.sha256).hexdigest()
    assert headers["X-Turnkey-Signature"] == expected
    assert headers["X-Turnkey-Signature"] != hmac.new(b"x", body, hashlib.sha256).hexdigest()
    assert [(each.way, each.status, each.attempts) for each in notices()] == [
        ("email", "sent", 1),
        ("webhook", "sent", 1),
    ]


def test_the_signature_falls_back_to_the_secret_key(
    wired: None,
    app: Flask,
    clock: Clock,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configured = configure(app, monkeypatch, alert_webhook_secret=None)
    open_one()
    tell(clock)
    ((headers, body),) = receiver.posts
    key = configured.secret_key.encode()
    assert headers["X-Turnkey-Signature"] == hmac.new(key, body, hashlib.sha256).hexdigest()


def test_what_opens_together_is_one_message(
    wired: None, clock: Clock, post_office: MailServer, receiver: Receiver
) -> None:
    open_one(subject="a", severity="warning", title="Small")
    open_one(subject="b", title="Large")
    tell(clock)
    assert post_office.subjects() == ["[Turnkey] 2 alerts (1 critical, 1 warning)"]
    text = post_office.messages[0].get_content()
    assert text.index("Large") < text.index("Small")
    assert [len(each["alerts"]) for each in receiver.documents()] == [2]
    open_one(subject="c", title="Later")
    tell(clock, minutes=1)
    assert post_office.subjects()[1:] == ["[Turnkey] URGENT: Later"]


def test_what_is_over_is_told_once_to_whom_it_was_told(
    wired: None, clock: Clock, post_office: MailServer, receiver: Receiver
) -> None:
    open_one(title="Trouble")
    tell(clock)
    close_one()
    for _ in range(3):
        tell(clock, minutes=1)
    assert post_office.subjects()[1:] == ["[Turnkey] Over: Trouble"]
    assert [each["event"] for each in receiver.documents()] == ["alerts.opened", "alerts.resolved"]
    assert only_alert().notices == 2


def test_what_ends_before_anybody_knew_is_not_told(
    wired: None, clock: Clock, post_office: MailServer
) -> None:
    open_one()
    close_one()
    tell(clock, minutes=1)
    assert post_office.messages == []


def test_what_comes_back_soon_is_listed_and_not_told_anew(
    wired: None, clock: Clock, post_office: MailServer
) -> None:
    open_one()
    tell(clock)
    close_one()
    tell(clock, minutes=5)  # told that it is over
    open_one()
    for _ in range(29):
        tell(clock, minutes=1)
    assert len(post_office.messages) == 2
    tell(clock, minutes=2)  # it stays: half an hour after the last word it is told
    assert post_office.subjects()[2:] == ["[Turnkey] URGENT: Trouble"]
    open_one(subject="another")
    tell(clock)
    assert len(post_office.messages) == 4  # the pause is one of that subject alone


def test_a_flood_becomes_one_summary(
    wired: None, clock: Clock, post_office: MailServer, receiver: Receiver
) -> None:
    for number in range(25):
        open_one(subject=f"s{number}", title=f"Trouble {number}", severity="warning")
    tell(clock)
    (letter,) = post_office.messages
    text = letter.get_content()
    assert letter["Subject"] == "[Turnkey] 25 alerts (25 warning)"
    assert "25 × pin_late" in text
    assert "and 5 more" in text
    assert "What to do" not in text
    (document,) = receiver.documents()
    assert (document["total"], document["by_kind"]) == (25, {"pin_late": 25})
    assert len(document["alerts"]) == 20
    for minute in range(9):
        open_one(subject=f"t{minute}", severity="warning")
        tell(clock, minutes=1)
    assert len(post_office.messages) == 1  # the flood is still high
    tell(clock, minutes=1)
    assert post_office.subjects()[1:] == ["[Turnkey] 9 alerts (9 warning)"]


def test_a_flood_holds_back_no_grave_news_of_another_kind(
    wired: None, clock: Clock, post_office: MailServer
) -> None:
    for number in range(25):
        open_one(subject=f"s{number}", severity="warning")
    tell(clock)
    open_one(subject="worker", kind="process_gone", severity="critical", title="No worker lives")
    open_one(subject="clock", kind="clock_skew", severity="warning")
    open_one(subject="late", severity="critical")  # of the flood's own kind
    tell(clock, minutes=1)
    assert post_office.subjects()[1:] == ["[Turnkey] URGENT: No worker lives"]
    tell(clock, minutes=10)
    assert len(post_office.messages) == 3


@pytest.mark.parametrize(("severity", "minutes"), [("critical", 15), ("warning", 240)])
def test_what_nobody_looks_at_is_told_to_more_people_once(
    wired: None,
    app: Flask,
    clock: Clock,
    post_office: MailServer,
    monkeypatch: pytest.MonkeyPatch,
    severity: str,
    minutes: int,
) -> None:
    configure(app, monkeypatch, alert_escalation_email_to="owner@vila.example")
    open_one(severity=severity)
    tell(clock)
    tell(clock, minutes=minutes - 1)
    assert len(post_office.messages) == 1
    tell(clock, minutes=1)
    assert post_office.subjects()[1:] == ["[Turnkey] ESCALATED, nobody is on it: Trouble"]
    assert post_office.recipients[1] == [
        "davi@vila.example",
        "ruth@vila.example",
        "owner@vila.example",
    ]
    assert only_alert().escalated_at == clock.now
    for _ in range(3):
        tell(clock, hours=5)
    assert len(post_office.messages) == 2


def test_what_somebody_is_on_is_not_escalated_and_its_end_is_told(
    wired: None, clock: Clock, post_office: MailServer
) -> None:
    open_one()
    tell(clock)
    alert = alerts.acknowledge(only_alert().id, actor=ADMIN)
    assert (alert.status, alert.acknowledged_by) == ("acknowledged", ADMIN.label)
    first = alert.acknowledged_at
    clock.move(minutes=1)
    again = alerts.acknowledge(alert.id, actor=Actor("ruth@vila.example"))
    assert (again.acknowledged_at, again.acknowledged_by) == (first, ADMIN.label)
    open_one(title="Trouble, and worse")  # refreshed, not opened anew
    tell(clock, hours=5)
    assert len(post_office.messages) == 1
    close_one()
    tell(clock, minutes=1)
    assert len(post_office.messages) == 2
    with pytest.raises(Conflict):
        alerts.acknowledge(alert.id, actor=ADMIN)
    with transaction() as session:
        assert session.scalars(select(AuditEntry.action)).all() == ["acknowledge"]


def test_what_somebody_is_on_before_it_was_told_is_not_told(
    wired: None, clock: Clock, post_office: MailServer
) -> None:
    open_one()
    alerts.acknowledge(only_alert().id, actor=ADMIN)
    tell(clock, minutes=1)
    tell(clock, hours=5)
    assert post_office.messages == []


def test_a_mail_server_that_is_down_gets_the_message_later(
    wired: None,
    app: Flask,
    clock: Clock,
    post_office: MailServer,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        configure(app, monkeypatch, smtp_url=f"smtp://127.0.0.1:{taken.getsockname()[1]}")
        open_one()
        tell(clock)
        assert len(receiver.posts) == 1  # one way does not wait for the other
        tell(clock, seconds=58)
        (waiting,) = [each for each in notices() if each.way == "email"]
        assert (waiting.status, waiting.attempts) == ("pending", 1)
        assert waiting.last_error == "the mail server cannot be reached (ConnectionRefusedError)"
        tell(clock, seconds=2)
        (waiting,) = [each for each in notices() if each.way == "email"]
        assert waiting.attempts == 2
        assert waiting.next_attempt_at == clock.now + timedelta(minutes=5)
    configure(app, monkeypatch, smtp_url=f"smtp://127.0.0.1:{post_office.port}")
    tell(clock, minutes=5)
    tell(clock, minutes=5)
    assert post_office.subjects() == ["[Turnkey] URGENT: Trouble"]
    assert len(receiver.posts) == 1
    assert {each.status for each in notices()} == {"sent"}


def test_a_receiver_that_refuses_for_good_stands_as_failed(
    wired: None, clock: Clock, receiver: Receiver
) -> None:
    receiver.status = 500
    open_one(severity="info")
    tell(clock)
    for minutes in (1, 5, 15, 60):
        tell(clock, minutes=minutes)
    (lost,) = [each for each in notices() if each.way == "webhook"]
    assert (lost.status, lost.attempts) == ("failed", 4)
    assert lost.last_error == "the webhook's receiver answered 500"
    ids = {headers["X-Turnkey-Event-Id"] for headers, _ in receiver.posts}
    assert (len(receiver.posts), len(ids)) == (4, 1)
    close_one()
    tell(clock, minutes=1)
    assert len(receiver.posts) == 4  # who was not told that it began is not told that it ended


def test_what_is_over_before_it_could_be_sent_is_left_unsent(
    wired: None, clock: Clock, receiver: Receiver
) -> None:
    receiver.status = 503
    open_one()
    tell(clock)
    close_one()
    receiver.status = 204
    tell(clock, minutes=2)
    tell(clock, minutes=2)
    assert len(receiver.posts) == 1
    assert {(each.way, each.status) for each in notices() if each.reason == "opened"} == {
        ("email", "sent"),
        ("webhook", "skipped"),
    }


class Killed(BaseException):
    """The process ends here."""


def test_a_process_that_dies_between_sending_and_recording_makes_one_copy(
    wired: None,
    clock: Clock,
    post_office: MailServer,
    monkeypatch: pytest.MonkeyPatch,
    app: Flask,
) -> None:
    configure(app, monkeypatch, alert_webhook_url=None)
    record = alert_sending._record

    def killed(*args: object) -> None:
        raise Killed

    open_one(severity="info")
    monkeypatch.setattr(alert_sending, "_record", killed)
    with pytest.raises(Killed):
        tell(clock)
    tell(clock, seconds=119)  # its lease still runs: it may be at it
    assert len(post_office.messages) == 1
    with pytest.raises(Killed):
        tell(clock, seconds=2)
    monkeypatch.setattr(alert_sending, "_record", record)
    for _ in range(5):
        tell(clock, minutes=3)
    assert len({each["Message-ID"] for each in post_office.messages}) == 1
    assert len(post_office.messages) == 2
    (lost,) = notices()
    assert (lost.status, lost.last_error) == ("failed", alert_sending.INTERRUPTED)


def test_many_senders_at_once_send_once(
    wired: None, app: Flask, clock: Clock, post_office: MailServer, receiver: Receiver
) -> None:
    """Also when each begins with another notice of the same message."""

    def work(start: threading.Barrier) -> None:
        with app.app_context():
            start.wait(10)
            alert_notices.plan(clock.now)
            alert_sending.send_due()

    for round_ in range(1, 5):
        for number in range(12):
            open_one(subject=f"{round_}-{number}", severity="info")
        alert_notices.plan(clock.now)
        start = threading.Barrier(6)
        threads = [threading.Thread(target=work, args=(start,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert (len(post_office.messages), len(receiver.posts)) == (round_, round_)
        clock.move(minutes=11)


def test_claims_wait_for_each_other(
    wired: None, app: Flask, clock: Clock, receiver: Receiver
) -> None:
    open_one()
    alert_notices.plan(clock.now)

    def work() -> None:
        with app.app_context():
            alert_sending.send_due()

    thread = threading.Thread(target=work)
    with transaction() as session:  # somebody else is choosing a message
        key = {"key": alert_sending.LOCK}
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), key)
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
        assert receiver.posts == []
    thread.join(30)
    assert len(receiver.posts) == 1


def test_without_any_way_the_log_tells(
    app: Flask, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    open_one()
    tell(clock)
    assert notices() == []
    assert only_alert().notices == 1
    assert any("alert_opened" in str(each.msg) for each in caplog.records)
    tell(clock, minutes=16)
    assert only_alert().escalated_at == clock.now


def test_a_recipient_who_is_refused_does_not_stop_the_others(
    wired: None, clock: Clock, post_office: MailServer
) -> None:
    post_office.refuse = {"ruth@vila.example"}
    open_one()
    tell(clock)
    assert post_office.recipients == [["davi@vila.example"]]
    (told,) = [each for each in notices() if each.way == "email"]
    assert told.status == "sent"
    assert told.last_error == "the mail server refused 1 of 2 recipients"
    assert "ruth" not in (told.last_error or "")


def test_a_test_says_truthfully_what_came_of_it(
    wired: None,
    app: Flask,
    clock: Clock,
    post_office: MailServer,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert [alert_sending.test(way).ok for way in alert_sending.WAYS] == [True, True]
    assert post_office.subjects() == ["[Turnkey] Test of the alerts"]
    assert receiver.documents()[0]["event"] == "alerts.test"
    receiver.status = 401
    post_office.refuse = {"davi@vila.example", "ruth@vila.example"}
    found = [alert_sending.test(way) for way in alert_sending.WAYS]
    assert [each.error for each in found] == [
        "the mail server refused every recipient (550)",
        "the webhook's receiver answered 401",
    ]
    assert sorted(each.status for each in notices()) == ["failed", "failed", "sent", "sent"]
    tell(clock, hours=1)
    assert len(receiver.posts) == 2  # a failed test is not tried again
    configure(app, monkeypatch, smtp_url=None)
    trial = alert_sending.test("email")
    assert (trial.configured, trial.ok) == (False, False)
    assert len(notices()) == 4


def test_recipients_of_the_page_are_told_besides(
    wired: None, clock: Clock, post_office: MailServer
) -> None:
    data = dict(DEFAULTS) | {
        "email_also": "night@vila.example; DAVI@vila.example",
        "escalate_also": "owner@vila.example",
    }
    found = alert_settings.save(parse(alert_settings.NewSettings, data), actor=ADMIN)
    assert found.recipients == ("davi@vila.example", "ruth@vila.example", "night@vila.example")
    open_one()
    tell(clock)
    assert post_office.recipients == [list(found.recipients)]
    tell(clock, minutes=15)
    assert post_office.recipients[1][-1] == "owner@vila.example"


def test_a_password_goes_to_a_near_server_or_through_tls_only(
    clock: Clock, post_office: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"smtp://mailer%40vila.example:p%2Fw@127.0.0.1:{post_office.port}"
    letter = mail.Email("1", "s", "t", mail.sender(url, None, ["x@y.example"]), ("x@y.example",))
    assert mail.send(url, letter) == 0
    assert letter.sender == "mailer@vila.example"
    assert len(post_office.users) == 1
    monkeypatch.setattr(mail, "LOOPBACK", ())
    with pytest.raises(NotSent, match="never sent in the clear"):
        mail.send(url, letter)
    assert len(post_office.users) == 1
    assert "p/w" not in repr(mail.server(url))


@pytest.mark.parametrize(
    ("url", "port", "secure"),
    [
        ("smtp://mail.example", 25, False),
        ("smtp://u:p@mail.example", 587, False),
        ("smtps://u:p@mail.example", 465, True),
        ("smtps://mail.example:2465", 2465, True),
    ],
)
def test_the_port_that_is_meant(url: str, port: int, secure: bool) -> None:
    found = mail.server(url)
    assert (found.port, found.secure) == (port, secure)


def test_a_title_with_line_breaks_adds_no_header(clock: Clock) -> None:
    wanted = mail.Email("1", "a\r\nBcc: x@y.example", "t", "a@b.example", ("c@d.example",))
    message = mail.compose(wanted)
    assert message["Bcc"] is None
    assert message["Subject"] == "a Bcc: x@y.example"


def test_lists_of_one_moment_stay_one_message(
    wired: None, clock: Clock, receiver: Receiver, post_office: MailServer
) -> None:
    """Two plans in one instant are two messages, each with an id of its own."""
    open_one(subject="a")
    alert_notices.plan(clock.now)
    open_one(subject="b")
    alert_notices.plan(clock.now)
    alert_sending.send_due()
    ids = [each["id"] for each in receiver.documents()]
    assert (len(ids), len(set(ids))) == (2, 2)
