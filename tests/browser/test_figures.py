"""Figures and the house's worries as a hand uses them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask

from app.domain.measures import BUCKETS, bucket_of
from app.models import MetricPoint, User, VendorState
from app.services import alerts
from app.services.figure_readings import GAUGES
from app.transaction import transaction
from tests.browser.axe import findings
from tests.browser.conftest import PHONE, Desk
from tests.events import make_connection
from tests.web.scenes import NOON, House, busy_house

Desks = Callable[..., Desk]


@pytest.fixture
def measured(app: Flask, clock: object) -> House:
    """A house, hours of measurements with a gap in them, a silent channel and a gone worker."""
    house = busy_house(timezone="America/Sao_Paulo")
    make_connection(house.property, "stays")
    rows = []
    for number in [*range(0, 300, 60), *range(480, 900, 60)]:
        at = NOON - timedelta(minutes=number)
        seconds = 0.05 * (1 + number // 60 % 7)
        buckets = [0] * BUCKETS
        buckets[bucket_of(seconds)] = 4
        for name, labels, total, count, timed in (
            ("turnkey_dead_letters", "", number // 120, 1, None),
            ("turnkey_queue_depth", "queue=stays.inbound", number % 11, 1, None),
            ("turnkey_event_seconds", "source=stays,direction=inbound", seconds * 4, 4, buckets),
            (
                "turnkey_event_tries_total",
                f"source=stays,direction=inbound,outcome={'failed' if number % 240 else 'done'}",
                4,
                4,
                None,
            ),
            ("turnkey_http_request_seconds", "route=/reservations", seconds * 4, 4, buckets),
        ):
            rows.append(
                MetricPoint(
                    name=name,
                    labels=labels,
                    step="minute" if name in GAUGES else "hour",
                    at=at,
                    total=total,
                    count=count,
                    buckets=timed,
                )
            )
    with transaction() as session:
        session.add_all(rows)
        silent = NOON - timedelta(minutes=40)
        session.add(
            VendorState(vendor="stays", failing_since=silent, last_error_kind="unreachable")
        )
        alerts.raise_alert(
            session,
            "process_gone",
            "worker@one",
            "critical",
            "The worker on one has been silent since 10 Mar 11:50 UTC, and no other runs",
            "Start the worker again. PINs are put on locks and taken off by workers only.",
        )
        alerts.raise_alert(
            session,
            "dead_letters",
            "",
            "warning",
            "120 events have run out of tries",
            "Open Events and start with the largest cause: retry what is mended, ignore what no "
            "longer matters.",
        )
    return house


@pytest.mark.faults
@pytest.mark.parametrize(
    "look",
    [
        pytest.param({"viewport": {"width": 1280, "height": 900}}, id="wide"),
        pytest.param({"viewport": PHONE, "color_scheme": "dark"}, id="phone-dark"),
    ],
)
def test_the_pages_hold_what_accessibility_asks(
    desk: Desks, people: dict[str, User], measured: House, look: dict[str, object]
) -> None:
    window = desk(**look)
    window.sign_in(people["admin"])
    for path in ("/figures?numbers=queues", "/figures/pins", "/", "/alerts"):
        page = window.open(path)
        assert findings(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    assert window.complaints == []


def test_numbers_come_and_go_beside_their_chart(
    desk: Desks, people: dict[str, User], measured: House
) -> None:
    window = desk()
    window.sign_in(people["admin"])
    page = window.open("/figures")
    page.click("#do-queues")
    page.wait_for_selector("#fig-queues tbody tr")
    assert page.locator("#fig-queues tbody tr").count() == 24
    assert page.locator("#fig-event-ends tbody").count() == 0
    page.click("#do-queues")
    page.wait_for_selector("#fig-queues tbody", state="detached")
    assert window.complaints == []


def test_the_way_from_a_worry_to_its_help(
    desk: Desks, people: dict[str, User], measured: House
) -> None:
    window = desk()
    window.sign_in(people["admin"])
    page = window.open("/")
    page.locator(".attn li").first.get_by_role("link").click()
    page.wait_for_url("**/alerts#alert-*")
    assert "worker on one" in page.locator("li:target h2").inner_text()
    assert window.complaints == []
