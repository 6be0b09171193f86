"""Alerts as a hand uses them: read, take, and a test that says what came of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from app.clock import utcnow
from app.models import Alert, AlertNotice, User
from app.services import alerts
from app.services.audit import Actor
from app.transaction import transaction
from tests.browser.axe import findings
from tests.browser.conftest import Desk
from tests.factories import NO_SUCH_ID, make_property, reload

Desks = Callable[..., Desk]
pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def scene(app: Flask, clock: object) -> list[Alert]:
    """A critical one that could not be sent, a warning, one taken and one over."""
    make_property(name="Pousada Vila Jasmim")
    with transaction() as session:
        for kind, subject, severity, title, help_ in (
            (
                "pin_late", f"reservation:{NO_SUCH_ID}", "critical",
                "203 Coral: the PIN is not on the lock",
                "Open the reservation: it says what failed, and what helps.",
            ),
            (
                "failed_events", "", "warning", "12 events failed within the last hour",
                "Open Events and start with the largest cause: retry what is mended, ignore what "
                "no longer matters.",
            ),
            (
                "process_gone", "worker@host", "warning",
                "The worker on a-host-with-quite-a-long-name.example has been silent since "
                "10 Mar 11:52 UTC", "Start the worker again.",
            ),
            ("lock_battery", "lock:1", "warning", "101: the battery of Front is low", "Change."),
        ):  # fmt: skip
            alerts.raise_alert(session, kind, subject, severity, title, help_)
        alerts.resolve(session, "lock_battery", "lock:1")
    with transaction() as session:
        found = list(session.scalars(select(Alert).order_by(Alert.kind)))
    by_kind = {each.kind: each for each in found}
    now = utcnow()
    with transaction() as session:
        late = by_kind["pin_late"].id
        session.add(
            AlertNotice(
                alert_id=late,
                way="email",
                reason="opened",
                status="pending",
                attempts=2,
                last_error="the mail server cannot be reached (ConnectionRefusedError)",
                next_attempt_at=now + timedelta(minutes=5),
            )
        )
        session.add(
            AlertNotice(alert_id=late, way="webhook", reason="opened", status="sent", sent_at=now)
        )
    alerts.acknowledge(by_kind["process_gone"].id, actor=Actor("davi@vila.example"))
    return [by_kind[kind] for kind in ("pin_late", "failed_events", "process_gone")]


def test_an_alert_is_taken_on_the_spot(
    desk: Desks, people: dict[str, User], scene: list[Alert]
) -> None:
    window = desk()
    window.sign_in(people["admin"])
    page = window.open("/alerts")
    late = scene[0]
    page.click(f"#take-{late.id}")
    page.wait_for_selector(".toast:has-text('You are on it: 203 Coral')")
    page.wait_for_selector(f"#alert-{late.id}", state="detached")
    assert page.inner_text("#view-acknowledged .n") == "2"
    assert reload(late).acknowledged_by == people["admin"].email
    page.click("#view-acknowledged")
    page.wait_for_selector(f"#alert-{late.id}")
    assert findings(page) == []
    assert window.complaints == []


def test_limits_and_the_test_work_without_javascript(
    desk: Desks, people: dict[str, User], scene: list[Alert]
) -> None:
    window = desk(java_script_enabled=False)
    window.sign_in(people["admin"])
    page = window.open("/alerts/limits")
    page.fill("#in-dead_letters", "0")
    page.click("text=Save")
    assert "Write 1 or more" in page.inner_text("#in-dead_letters-e")
    page.fill("#in-dead_letters", "50")
    page.click("text=Save")
    assert page.input_value("#in-dead_letters") == "50"
    page.click("text=Send a test")
    assert "Nothing was sent: neither e-mail nor webhook is on." in page.inner_text("main")
    page = window.open("/alerts")
    page.click(f"#take-{scene[1].id}")
    assert "You are on it: 12 events failed" in page.inner_text("main")
    assert reload(scene[1]).status == "acknowledged"
