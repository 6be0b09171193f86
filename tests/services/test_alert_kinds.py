"""Every kind of alert is told once when it begins and once when it ends, by each way; and the two
that vendors tell of by themselves."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.integrations.errors import ClockSkewed, QuotaExhausted
from app.models import Alert
from app.models.alerts import ALERT_KINDS
from app.runtime import settings
from app.services import alert_notices, alert_sending, alerts, vendors
from app.transaction import transaction
from tests.conftest import Clock
from tests.letterboxes import MailServer, Receiver, post_office, receiver

__all__ = ["post_office", "receiver"]


@pytest.fixture
def wired(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch,
    post_office: MailServer, receiver: Receiver,
) -> None:  # fmt: skip
    configured = replace(
        settings(),
        smtp_url=f"smtp://127.0.0.1:{post_office.port}",
        alert_email_to="davi@vila.example",
        alert_webhook_url=f"http://127.0.0.1:{receiver.server_address[1]}/hook/",
    )
    monkeypatch.setitem(app.extensions, "settings", configured)


def minutes(clock: Clock, count: int = 3) -> None:
    """What the minute's job does after the rules, some times."""
    for _ in range(count):
        clock.move(minutes=1)
        alert_notices.plan(clock.now)
        alert_sending.send_due()


def told(receiver: Receiver) -> list[tuple[str, list[str]]]:
    found: list[dict[str, Any]] = [json.loads(body) for _, body in receiver.posts]
    return [(each["event"], [alert["kind"] for alert in each["alerts"]]) for each in found]


@pytest.mark.parametrize("kind", ALERT_KINDS)
def test_its_beginning_and_its_end_are_told_once(
    wired: None, clock: Clock, kind: str, post_office: MailServer, receiver: Receiver
) -> None:
    with transaction() as session:
        alerts.raise_alert(session, kind, "it", "warning", "Something is wrong", "Mend it.")
    minutes(clock)
    assert told(receiver) == [("alerts.opened", [kind])]
    (letter,) = post_office.messages
    assert "Something is wrong" in letter.get_content()
    with transaction() as session:
        alerts.resolve(session, kind, "it")
    minutes(clock)
    assert told(receiver) == [("alerts.opened", [kind]), ("alerts.resolved", [kind])]
    assert len(post_office.messages) == 2


def standing() -> list[tuple[str, str]]:
    with transaction() as session:
        rows = session.scalars(select(Alert).where(Alert.status != "resolved"))
        return [(row.kind, row.subject) for row in rows]


def test_a_wrong_clock_is_told_and_forgotten(
    wired: None, clock: Clock, post_office: MailServer
) -> None:
    vendors.note_error("tuya", ClockSkewed("too far off", vendor="tuya"))
    minutes(clock)
    assert standing() == [("clock_skew", "tuya")]
    clock.move(minutes=1)
    vendors.note_ok("tuya", clock_offset=2.0)
    minutes(clock)
    assert standing() == []
    vendors.note_ok("tuya", clock_offset=-75.0)
    assert standing() == [("clock_skew", "tuya")]
    assert len(post_office.messages) == 2


def test_a_spent_quota_is_told_and_forgotten(
    wired: None, clock: Clock, post_office: MailServer
) -> None:
    vendors.note_error("tuya", QuotaExhausted("no more", vendor="tuya"))
    minutes(clock)
    assert standing() == [("vendor_quota", "tuya")]
    clock.move(minutes=1)
    vendors.note_ok("tuya")
    minutes(clock)
    assert standing() == []
    assert len(post_office.messages) == 2
