"""Figures: the promises and every chart, drawn from what was measured (issue 8)."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.domain.measures import BUCKETS, bucket_of
from app.models import MetricPoint, User
from app.services import figure_readings
from app.services.figure_readings import Readings, Span, edges_of
from app.transaction import transaction
from app.web.plots import Plot, Series
from tests.conftest import Clock
from tests.events import make_event
from tests.factories import make_accommodation, make_mapping, make_property, make_stay
from tests.web.conftest import sign_in
from tests.web.scenes import NOON, make_credential

Statements = Callable[[], AbstractContextManager[list[str]]]
SAO_PAULO = "America/Sao_Paulo"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
DEAD, DEPTH = "turnkey_dead_letters", "turnkey_queue_depth"
TRIES, TIMES = "turnkey_event_tries_total", "turnkey_event_seconds"
HTMX = {"HX-Request": "true", "HX-Target": "figures", "HX-Current-URL": "http://localhost/figures"}


def point(name: str, labels: str, at: datetime, total: float, count: int = 1, **f: Any) -> None:
    """A minute of a gauge, an hour of anything else."""
    step = "minute" if name in figure_readings.GAUGES else "hour"
    with transaction() as session:
        row = {"name": name, "labels": labels, "step": step, "at": at}
        session.add(MetricPoint(**row | {"count": count, "total": total} | f))


def timed(name: str, labels: str, at: datetime, *seconds: float) -> None:
    buckets = [0] * BUCKETS
    for each in seconds:
        buckets[bucket_of(each)] += 1
    point(name, labels, at, sum(seconds), len(seconds), buckets=buckets)


def measuring(*moments: datetime, step: str = "minute") -> None:
    """Somebody measured then, and no letter was dead."""
    for at in moments:
        point(DEAD, "", at, 0, step=step)


def slot_of(found: Readings, at: datetime) -> int:
    return next(i for i, edge in enumerate(found.edges) if edge > at) - 1


def section(page: str, figure: str) -> str:
    return page.split(f'id="fig-{figure}"', 1)[1].split("</section>", 1)[0]


def card(page: str, name: str) -> str:
    found = page.split(f'id="level-{name}">', 1)[1].split("</li>", 1)[0]
    return " ".join(re.sub(r"<[^>]+>", " ", found).split())


def test_a_day_is_cut_into_the_hours_that_are_kept() -> None:
    edges = edges_of(Span.DAY, "Asia/Kathmandu", NOON + 7 * MINUTE)
    assert len(edges) == 25
    assert (edges[-2], edges[-1]) == (NOON, NOON + HOUR)


def test_a_week_begins_at_midnight_of_the_house_and_ends_now() -> None:
    edges = edges_of(Span.WEEK, SAO_PAULO, NOON)  # Tuesday, 09:00 there
    assert edges[0] == datetime(2026, 3, 4, 3, tzinfo=UTC)
    assert edges[-2] == NOON
    assert edges[-1] == NOON + 3 * HOUR
    assert len(edges) == 6 * 8 + 4 + 1


def test_a_month_has_thirty_days_even_across_a_change_of_the_clock() -> None:
    edges = edges_of(Span.MONTH, "Europe/Berlin", datetime(2026, 4, 10, 12, tzinfo=UTC))
    lengths = {b - a for a, b in pairwise(edges)}
    assert len(edges) == 31
    assert lengths == {24 * HOUR, 23 * HOUR}


def test_counts_are_added_and_a_gap_is_no_zero(app: Flask, clock: Clock) -> None:
    early, late = NOON - 5 * HOUR, NOON - HOUR
    measuring(early, late)
    for outcome, number in (("done", 4), ("stale", 1), ("failed", 2)):
        for source in ("stays", "beds24"):
            labels = f"source={source},direction=inbound,outcome={outcome}"
            point(TRIES, labels, early, number, number)
    found = figure_readings.read(Span.DAY, SAO_PAULO)
    values = found.added(TRIES, outcome=("done", "stale"))
    assert values[slot_of(found, early)] == 10
    assert values[slot_of(found, late)] == 0, "measured, and nothing came"
    assert values[slot_of(found, NOON - 3 * HOUR)] is None, "nobody measured"
    assert found.added(TRIES, outcome="failed")[slot_of(found, early)] == 4


def test_percentiles_come_from_all_that_was_timed_in_a_slot(app: Flask, clock: Clock) -> None:
    at = NOON - HOUR
    measuring(at, NOON)
    timed(TIMES, "source=stays,direction=inbound", at, *[0.2] * 95)
    timed(TIMES, "source=beds24,direction=inbound", at, *[20.0] * 5)
    found = figure_readings.read(Span.DAY, SAO_PAULO)
    slot = slot_of(found, at)
    p95, p99 = found.within(TIMES, 0.95)[slot], found.within(TIMES, 0.99)[slot]
    assert p95 == pytest.approx(0.25)
    assert p99 == pytest.approx(26)
    assert found.within(TIMES, 0.95)[slot_of(found, NOON)] is None, "nothing was timed"


def test_gauges_show_their_extremes(app: Flask, clock: Clock) -> None:
    at = NOON - HOUR
    for minute, depth in enumerate((3, 40, 5)):
        point(DEPTH, "queue=stays.inbound", at + minute * MINUTE, depth)
    point(DEPTH, "queue=beds24.inbound", at, 2)
    for connection, left in (("a", 80), ("b", 7)):
        point("turnkey_channel_credits", f"connection={connection}", at, left)
    found = figure_readings.read(Span.DAY, SAO_PAULO)
    slot = slot_of(found, at)
    assert found.most(DEPTH, queue=("stays.inbound", "beds24.inbound"))[slot] == 42
    assert found.least("turnkey_channel_credits")[slot] == 7


def test_longer_spans_are_drawn_from_hours(app: Flask, clock: Clock) -> None:
    at = NOON - timedelta(days=3)
    measuring(at, step="hour")
    point(TRIES, "source=stays,direction=inbound,outcome=done", at, 6, 6)
    point(TRIES, "source=stays,direction=inbound,outcome=done", at, 9, 9, step="minute")
    for span in (Span.WEEK, Span.MONTH):
        found = figure_readings.read(span, SAO_PAULO)
        assert found.added(TRIES, outcome="done")[slot_of(found, at)] == 6


def test_a_line_breaks_where_nothing_was_measured() -> None:
    values = (1.0, 2.0, None, 4.0, None, None)
    known = [True, True, False, True, True, False]
    plot = Plot([Series("p95", values)], False, 4, ("4", "2", "0"), [], [""] * 6, known)
    assert [points for _, points in plot.paths()] == ["5,75 15,50", "31,0 39,0"]
    assert list(plot.gaps()) == [(20, 10), (50, 10)]


def test_bars_stand_on_each_other() -> None:
    parts = [Series("Done", (3.0, None), "ok"), Series("Failed", (1.0, 0.0), "bad")]
    plot = Plot(parts, True, 4, ("4", "2", "0"), [], ["", ""], [True, False])
    assert [(r.kind, r.y, r.height) for r in plot.rects()] == [("ok", 25.0, 75.0), ("bad", 0, 25.0)]


@pytest.fixture
def busy(app: Flask, clock: Clock) -> None:
    """An hour in which everything was measured, and another in which nothing was."""
    at = NOON - HOUR
    measuring(*(at + n * MINUTE for n in range(3)))
    for vendor in ("stays", "beds24", "tuya"):
        timed("turnkey_vendor_seconds", f"vendor={vendor},operation=read", at, 0.2, 1.4)
        for outcome in ("ok", "unreachable"):
            labels = f"vendor={vendor},operation=read,outcome={outcome}"
            point("turnkey_vendor_calls_total", labels, at, 3, 3)
    point("turnkey_limit_hits_total", "limit=beds24_credits", at, 2, 2)
    timed("turnkey_reconciliation_seconds", "kind=stays", at, 130.0)
    point("turnkey_reconciliation_runs_total", "kind=stays,status=success", at, 1)
    timed("turnkey_http_request_seconds", "route=/reservations", at, 0.08, 0.3)
    timed("turnkey_http_request_seconds", "route=/", at, 0.02)
    for status in ("2xx", "4xx", "5xx"):
        labels = f"route=/,method=GET,status={status}"
        point("turnkey_http_requests_total", labels, at, 1, 1)
    for state, number in (("in_use", 3), ("open", 6), ("size", 20)):
        point("turnkey_db_pool_connections", f"state={state}", at, number)
    point("turnkey_redis_memory_bytes", "", at, 9 * 1024 * 1024)
    timed("turnkey_pin_seconds", "step=accepted", at, 2.0)
    timed(TIMES, "source=stays,direction=inbound", at, 0.2)
    timed("turnkey_event_delay_seconds", "source=stays,direction=inbound", at, 3.0)
    point(TRIES, "source=stays,direction=inbound,outcome=done", at, 5, 5)
    point(DEPTH, "queue=pins", at, 4)


@pytest.mark.usefixtures("busy")
def test_everything_the_issue_names_is_drawn(admin: FlaskClient) -> None:
    make_property(timezone=SAO_PAULO)
    page = admin.get("/figures").text
    for figure in (
        *("queues", "dead-letters", "event-times", "event-delay", "event-ends", "pins-due"),
        *("pin-steps", "stays-times", "beds24-calls", "tuya-times", "limits", "run-times"),
        *("run-ends", "page-times", "requests", "pool", "memory", "statements", "credits"),
    ):
        assert f'id="fig-{figure}"' in page, figure
    assert "<polyline" in section(page, "event-times")
    assert 'class="c-bar c-bar--bad"' in section(page, "beds24-calls")
    assert 'class="c-gap"' in section(page, "requests")
    assert 'class="c-ref"' in section(page, "run-times"), "the limit of two minutes is near"
    assert "<title>07:00: nothing measured</title>" in section(page, "pool")
    assert "<title>08:00: In use 3, Open 6, May be kept 20</title>" in section(page, "pool")
    assert "Nothing was measured in this time." in section(page, "credits")
    assert "9 MB" in section(page, "memory")
    routes = re.findall(r'<td class="id">([^<]+)</td>', page)
    assert routes == ["/reservations", "/"], "the slowest first"


@pytest.mark.usefixtures("busy")
def test_the_numbers_of_a_chart_come_as_a_table(admin: FlaskClient) -> None:
    make_property(timezone=SAO_PAULO)
    assert "<tbody><tr><td" not in section(admin.get("/figures").text, "pool")
    shown = section(admin.get("/figures?numbers=pool").text, "pool")
    rows = re.findall(r'<tr><td class="nowrap">([^<]+)</td>(.*?)</tr>', shown)
    told = {time: re.findall(r">([^<]+)</td>", cells) for time, cells in rows}
    assert len(told) == 24
    assert told["08:00"] == ["3", "6", "20"]
    assert told["07:00"] == ["—", "—", "—"]
    assert "9 Mar 10:00" in told


def test_nothing_measured_says_so(admin: FlaskClient, clock: Clock) -> None:
    page = admin.get("/figures?span=month").text
    assert "Nothing was measured in this time. The clock process" in page
    assert card(page, "pins").startswith("PIN on the lock before check-in Nothing yet")
    assert admin.get("/figures?span=year").status_code == 422


def test_a_poll_within_the_minute_draws_nothing(admin: FlaskClient, clock: Clock) -> None:
    found = re.search(r'id="figures" data-poll hx-get="([^"]+)"', admin.get("/figures").text)
    assert found
    assert admin.get(found[1], headers=HTMX).status_code == 204
    clock.move(minutes=1)
    fresh = admin.get(found[1], headers=HTMX)
    assert fresh.status_code == 200
    assert fresh.text.lstrip().startswith('<div class="stack" id="figures"')
    week = re.search(r'data-poll hx-get="([^"]+)"', admin.get("/figures?span=week").text)
    assert week
    url = week[1].replace("&amp;", "&")
    clock.move(minutes=8)
    assert admin.get(url, headers=HTMX).status_code == 204
    clock.move(minutes=2)
    assert admin.get(url, headers=HTMX).status_code == 200


def test_only_administrators_see_them(staff: FlaskClient) -> None:
    assert staff.get("/figures").status_code == 403
    assert staff.get("/figures/pins").status_code == 403
    assert 'href="/figures"' not in staff.get("/").text


@pytest.fixture
def missed(app: Flask, clock: Clock) -> Any:
    """Three stays that began this morning: on time, late by half an hour, never."""
    house = make_property(name="Vila", timezone=SAO_PAULO)
    begins = NOON - 3 * HOUR
    for guest, after in (("Ana", -HOUR), ("Bruno", HOUR / 2), ("Caio", None)):
        room = make_accommodation(house, name=guest, number=None)
        stay = make_stay(room, check_in=begins, guest=guest, created_at=begins - 24 * HOUR)
        at = None if after is None else begins + after
        make_credential(stay, make_mapping(room).id, installed_at=at, first_installed_at=at)
    return house


def test_the_promise_of_the_pins_and_who_was_let_down(admin: FlaskClient, missed: Any) -> None:
    page = admin.get("/figures").text
    assert card(page, "pins") == (
        "PIN on the lock before check-in 33.3% Missed Target: at least 99% "
        "1 on time · 1 late · 1 never"
    )
    never = re.search(r'<a href="([^"]+)">1 never</a>', page)
    assert never
    listed = admin.get(never[1].replace("&amp;", "&")).text
    assert re.findall(r'class="who" href="[^"]+">([^<]+)<', listed) == ["Caio"]
    everybody = admin.get("/figures/pins").text
    found = re.findall(r'class="who" href="[^"]+">([^<]+)<', everybody)
    assert sorted(found) == ["Bruno", "Caio"]
    assert "Late by 30 min" in everybody
    bars = re.findall(r"c-bar--(\w+)", section(page, "pins-due"))
    assert bars == ["ok", "warn", "bad"]


def test_another_house_keeps_its_promise(admin: FlaskClient, missed: Any) -> None:
    other = make_property(name="Outra")
    page = admin.get(f"/figures?property={other.id}").text
    assert "No stay has begun." in card(page, "pins")
    assert "Every PIN was there in time" in admin.get("/figures/pins").text


def test_a_pin_past_its_end_is_red(admin: FlaskClient, missed: Any) -> None:
    assert card(admin.get("/figures").text, "left").startswith(
        "PINs left on a lock past their end 0 Kept Target: none"
    )
    room = make_accommodation(missed)
    gone = make_stay(room, check_in=date(2026, 3, 6), nights=1)
    make_credential(gone, make_mapping(room).id, expires_at=NOON - HOUR, sent_until=NOON + HOUR)
    said = card(admin.get("/figures").text, "left")
    assert "1 Missed Target: none 1 still opens its door" in said


def test_events_that_wait_too_long_spoil_a_good_share(admin: FlaskClient, clock: Clock) -> None:
    house = make_property()
    make_event("done", house=house)
    assert "100% Kept" in card(admin.get("/figures").text, "events")
    make_event("received", house=house, received_at=NOON - timedelta(minutes=20))
    said = card(admin.get("/figures").text, "events")
    assert "100% Missed" in said
    assert "the oldest waits for 20 min" in said


def test_the_number_of_statements_does_not_grow(
    app: Flask, people: dict[str, User], statements: Statements, busy: None
) -> None:
    client = app.test_client()
    sign_in(client, people["admin"].email)
    house = make_property()
    client.get("/figures")

    def opened(path: str) -> int:
        with statements() as seen:
            assert client.get(path).status_code == 200
        return len(seen)

    few = opened("/figures"), opened("/figures?span=week"), opened("/figures/pins")
    for n in range(6):
        room = make_accommodation(house)
        make_stay(room, check_in=NOON - HOUR, created_at=NOON - 48 * HOUR)
        measuring(NOON - n * HOUR, step="hour")
        timed("turnkey_http_request_seconds", f"route=/{n}", NOON - HOUR, 0.1)
    assert (opened("/figures"), opened("/figures?span=week"), opened("/figures/pins")) == few
    assert max(few) <= 14


def test_in_portuguese(admin: FlaskClient, missed: Any) -> None:
    page = admin.get("/figures?lang=pt").text
    assert "PIN na fechadura antes do check-in" in page
    assert "Service levels" not in page
    assert "Numbers" not in page
