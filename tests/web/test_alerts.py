"""What a person must know, who is on it, and how people are told (design/UI.md §4)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.domain.alert_limits import DEFAULTS
from app.models import Alert, AlertNotice, AuditEntry, User
from app.models.alerts import ALERT_KINDS
from app.runtime import settings
from app.services import alert_settings, alerts
from app.services.audit import Actor
from app.transaction import transaction
from app.web import alert_guide, alert_wording
from tests.conftest import Clock
from tests.factories import NO_SUCH_ID, make_property, reload
from tests.web.forms import complaint_at, press, said_on, value_of

HTMX = {"HX-Request": "true", "HX-Target": "results"}


@pytest.fixture(autouse=True)
def house(app: Flask, clock: Clock) -> None:
    make_property()


def make_alert(
    kind: str = "dead_letters",
    subject: str = "",
    severity: str = "warning",
    title: str = "104 events have run out of tries",
    what_to_do: str = "Open the reservation: it says what failed, and what helps.",
) -> Alert:
    with transaction() as session:
        alerts.raise_alert(session, kind, subject, severity, title, what_to_do)
        return session.scalars(select(Alert).filter_by(kind=kind, subject=subject)).all()[-1]


def notice(alert: Alert | None, way: str, status: str, number: int = 1, **fields: Any) -> None:
    values = {"reason": "opened", "number": number, "status": status} | fields
    with transaction() as session:
        session.add(AlertNotice(alert_id=alert.id if alert else None, way=way, **values))


def test_open_ones_come_first_by_urgency_and_age(admin: FlaskClient, clock: Clock) -> None:
    make_alert()
    clock.move(minutes=5)
    late = make_alert("pin_late", f"reservation:{NO_SUCH_ID}", "critical", "Coral: no PIN here")
    clock.move(minutes=5)
    make_alert("run_slow", "stays", title="Later")
    said = said_on(admin.get("/alerts"))
    places = [said.index(each) for each in ("Coral: no PIN", "104 events", "Later")]
    assert places == sorted(places)
    assert "Open alerts 3 Somebody is on it 0 Over 0" in said
    assert "Urgent: Coral: no PIN here" in said
    assert "Since 09:05 (5 min)" in said
    page = admin.get("/alerts").text
    assert f'href="/reservations/{NO_SUCH_ID}"' in page
    assert 'href="/alerts/guide#pin_late"' in page
    assert f'action="/alerts/{late.id}/acknowledge"' in page


def test_a_person_takes_it(admin: FlaskClient, people: dict[str, User], clock: Clock) -> None:
    alert = make_alert()
    path = f"/alerts/{alert.id}/acknowledge"
    assert press(admin, path).headers["Location"] == "/alerts"
    assert "You are on it: 104 events have run out of tries" in said_on(admin.get("/alerts"))
    row = reload(alert)
    assert (row.status, row.acknowledged_by) == ("acknowledged", people["admin"].email)
    clock.move(minutes=1)
    again = press(admin, path, htmx=True)
    assert again.headers["HX-Trigger"] == "changed"
    assert reload(alert).acknowledged_at == row.acknowledged_at
    taken = said_on(admin.get("/alerts?status=acknowledged"))
    assert f"{people['admin'].name} is on it since 09:00." in taken
    assert "I am on it" not in taken
    with transaction() as session:
        alerts.resolve(session, "dead_letters", "")
    refused = press(admin, path, htmx=True)
    assert refused.status_code == 409
    assert "This alert has ended already" in refused.text
    over = said_on(admin.get("/alerts?status=resolved"))
    assert "09:00 – 09:01 (1 min)" in over
    assert press(admin, f"/alerts/{NO_SUCH_ID}/acknowledge").status_code == 404


def test_how_it_was_told_and_what_did_not_arrive(admin: FlaskClient, clock: Clock) -> None:
    alert = make_alert()
    notice(alert, "email", "sent", sent_at=clock.now)
    error = "the webhook's receiver answered 500"
    at = clock.now + timedelta(minutes=5)
    notice(alert, "webhook", "pending", attempts=2, last_error=error, next_attempt_at=at)
    said = said_on(admin.get("/alerts"))
    assert "Told by e-mail." in said
    assert "Webhook not sent: the webhook&#39;s receiver" not in said
    assert "Webhook not sent: the webhook's receiver answered 500. Next try at 09:05." in said
    with transaction() as session:
        row = session.scalars(select(AlertNotice).filter_by(way="webhook")).one()
        row.status, row.next_attempt_at = "failed", None
    assert "It is not tried again." in said_on(admin.get("/alerts"))


def test_the_navigation_counts_what_nobody_is_on(admin: FlaskClient, staff: FlaskClient) -> None:
    assert "tally--bad" not in admin.get("/more").text
    alert = make_alert()
    make_alert("run_slow", "stays")
    page = admin.get("/more").text
    assert len(re.findall(r'<span class="tally tally--bad">2<', page)) == 3  # side, list, tab bar
    assert 'aria-label="Alerts: 2"' in page
    assert "tally--bad" not in staff.get("/more").text
    alerts.acknowledge(alert.id, actor=Actor("x"))
    assert '<span class="tally tally--bad">1<' in admin.get("/more").text


def test_empty_lists_say_so(admin: FlaskClient, clock: Clock) -> None:
    said = said_on(admin.get("/alerts"))
    assert "No open alerts" in said
    assert "The first look at everything is taken within a minute." in said
    with transaction() as session:
        alert_settings.put(session, alert_settings.WATCHED, clock.now.isoformat(), "system")
    assert "Everything was last looked at 09:00." in said_on(admin.get("/alerts"))
    assert "Nobody is on an alert" in said_on(admin.get("/alerts?status=acknowledged"))
    assert "No alert has ended yet" in said_on(admin.get("/alerts?status=resolved"))
    assert admin.get("/alerts?status=forgotten").status_code == 422


def test_a_poll_gets_nothing_until_something_changed(admin: FlaskClient, clock: Clock) -> None:
    alert = make_alert()
    poll = re.search(r'hx-get="(/alerts\?v=\w+)"', admin.get("/alerts").text)
    assert poll
    clock.move(minutes=1)
    assert admin.get(poll[1], headers=HTMX).status_code == 204
    alerts.acknowledge(alert.id, actor=Actor("x"))
    news = admin.get(poll[1], headers=HTMX)
    assert news.status_code == 200
    assert "<html" not in news.text


def test_only_administrators(staff: FlaskClient) -> None:
    alert = make_alert()
    for path in ("/alerts", "/alerts/limits", "/alerts/guide"):
        assert staff.get(path).status_code == 403
    for path in (f"/alerts/{alert.id}/acknowledge", "/alerts/limits", "/alerts/test"):
        assert press(staff, path).status_code == 403


def typed(**changed: object) -> dict[str, object]:
    return dict(DEFAULTS) | {"email_also": "", "escalate_also": ""} | changed


def test_limits_are_saved_and_audited(admin: FlaskClient) -> None:
    page = admin.get("/alerts/limits")
    assert value_of(page, "dead_letters") == "100"
    assert "From 1 to 100,000; usually 100." in said_on(page)
    fields = typed(dead_letters=5, success_rate=90, email_also="night@vila.example")
    assert press(admin, "/alerts/limits", **fields).headers["Location"] == "/alerts/limits"
    page = admin.get("/alerts/limits")
    assert "Saved" in said_on(page)
    assert value_of(page, "dead_letters") == "5"
    assert "night@vila.example" in page.text
    with transaction() as session:
        (entry,) = session.scalars(select(AuditEntry).filter_by(entity="alert_settings"))
    assert entry.before == {"dead_letters": 100, "email_also": "", "success_rate": 95}
    assert entry.after == {
        "dead_letters": 5,
        "email_also": "night@vila.example",
        "success_rate": 90,
    }
    press(admin, "/alerts/limits", **fields)
    press(admin, "/alerts/limits", **typed())
    assert value_of(admin.get("/alerts/limits"), "dead_letters") == "100"
    with transaction() as session:
        assert (
            len(session.scalars(select(AuditEntry).filter_by(entity="alert_settings")).all()) == 2
        )  # nothing changed once


@pytest.mark.parametrize(
    ("field", "raw", "complaint"),
    [
        ("dead_letters", "0", "Write 1 or more"),
        ("dead_letters", "many", "Write a whole number"),
        ("success_rate", "101", "Write 100 or less"),
        ("no_run", "5", "Write 30 or more"),
        ("email_also", "night", "Write e-mail addresses, separated by commas"),
    ],
)
def test_limits_that_make_no_sense(
    admin: FlaskClient, field: str, raw: str, complaint: str
) -> None:
    page = press(admin, "/alerts/limits", **typed(**{field: raw, "queue_depth": 7}))
    assert page.status_code == 422
    assert complaint_at(page, field) == complaint
    assert value_of(page, "queue_depth") == "7"  # what was typed is kept
    assert value_of(admin.get("/alerts/limits"), "queue_depth") == "1000"


def test_a_test_is_reported_truthfully(
    admin: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    off = said_on(press_and_follow(admin))
    assert "Nothing was sent: neither e-mail nor webhook is on." in off
    assert "SMTP_URL is not set" in off
    configured = replace(
        settings(),
        smtp_url="smtp://mailer:very-secret@127.0.0.1:9",
        alert_email_to="davi@vila.example",
        alert_webhook_url="http://127.0.0.1:9/token-in-the-path",
    )
    monkeypatch.setitem(app.extensions, "settings", configured)
    page = press_and_follow(admin)
    said = said_on(page)
    assert "E-mail not sent: the mail server cannot be reached (ConnectionRefusedError)." in said
    assert "Webhook not sent: the webhook's receiver cannot be reached (ConnectError)." in said
    assert "Through 127.0.0.1, to davi@vila.example" in said
    assert said.count("Failing") == 2
    assert "very-secret" not in page.text
    assert "token-in-the-path" not in page.text


def press_and_follow(admin: FlaskClient) -> Any:
    assert press(admin, "/alerts/test").headers["Location"] == "/alerts/limits"
    return admin.get("/alerts/limits")


def test_every_kind_has_its_words_and_its_section(admin: FlaskClient) -> None:
    assert tuple(alert_guide.sections()) != ()
    assert set(alert_guide.sections()) == set(ALERT_KINDS)
    for paragraphs in alert_guide.sections().values():
        begin = [str(each).partition("</strong>")[0] for each in paragraphs]
        assert begin == [
            "<strong>What it means.",
            "<strong>What to do.",
            "<strong>How it clears.",
        ]
    for words in (alert_wording.KINDS, alert_wording.ICONS):
        assert set(words) == set(ALERT_KINDS)
    assert set(alert_wording.LIMITS) == set(DEFAULTS)
    page = admin.get("/alerts/guide").text
    assert all(f'id="{kind}"' in page for kind in ALERT_KINDS)


def test_it_is_said_in_portuguese(admin: FlaskClient) -> None:
    make_alert()
    admin.get("/alerts?lang=pt")
    said = said_on(admin.get("/alerts"))
    assert "104 eventos esgotaram as tentativas" in said
    assert "Abra a reserva" in said
    assert "Estou cuidando disso" in said


def test_words_that_are_new_are_shown_as_they_are(admin: FlaskClient) -> None:
    make_alert(title="Something <b>new</b> & strange")
    assert "Something &lt;b&gt;new&lt;/b&gt; &amp; strange" in admin.get("/alerts").text


def test_the_number_of_statements_does_not_grow(
    admin: FlaskClient, statements: Callable[[], Any]
) -> None:
    notice(make_alert(), "email", "sent")
    make_alert("revoke_overdue", f"credential:{NO_SUCH_ID}")
    admin.get("/alerts")
    with statements() as few:
        admin.get("/alerts")
    for number in range(20):
        notice(
            make_alert("revoke_overdue", f"credential:{NO_SUCH_ID[:-2]}{number:02}"),
            "email",
            "sent",
        )
    with statements() as many:
        assert "Open alerts 21" in said_on(admin.get("/alerts"))
    assert len(many) == len(few)
