"""Every rule opens its alert and closes it again, with the clock moved by hand (MON-09…17)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from redis.exceptions import ConnectionError as RedisGone
from sqlalchemy import delete, select, update

from app import clock as app_clock
from app.domain.alert_limits import DEFAULTS, LIMITS, Limits, believable
from app.integrations.errors import Unreachable
from app.models import (
    Alert,
    ChannelEvent,
    Credential,
    ProcessHeartbeat,
    Reservation,
    SystemSetting,
    VendorState,
)
from app.models.alerts import ALERT_KINDS
from app.models.reconciliation import ReconciliationLog
from app.queue import status
from app.runtime import settings
from app.services import (
    alert_rules,
    alert_settings,
    alert_watch,
    alerts,
    credentials,
    maintenance,
    metric_points,
    vendors,
)
from app.services.audit import Actor
from app.services.inputs import parse
from app.transaction import transaction
from tests.conftest import Clock
from tests.events import make_connection, make_event
from tests.factories import make_accommodation, make_lock, make_mapping, make_property, make_stay
from tests.web.conftest import statements

__all__ = ["statements"]

ADMIN = Actor("davi@vila.example", role="admin")


@pytest.fixture
def with_stays(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stays and the lock account are configured."""
    configured = replace(settings(), stays_api_url="http://127.0.0.1:1", tuya_access_id="x")
    monkeypatch.setitem(app.extensions, "settings", configured)


def standing(kind: str | None = None) -> list[Alert]:
    with transaction() as session:
        found = session.scalars(select(Alert).order_by(Alert.opened_at, Alert.subject)).all()
    return [
        each for each in found if each.status != "resolved" and (kind is None or each.kind == kind)
    ]


def titles(kind: str) -> list[str]:
    return [each.title for each in standing(kind)]


def look(clock: Clock, **delta: float) -> None:
    """Two looks a minute apart, the second after `delta`: somebody has been watching."""
    alert_watch.evaluate()
    clock.move(**(delta or {"minutes": 1}))
    alert_watch.evaluate()


def insert(*rows: Any) -> None:
    with transaction() as session:
        session.add_all(rows)


def limit(**values: int) -> None:
    data = dict(DEFAULTS) | {"email_also": "", "escalate_also": ""} | values
    alert_settings.save(parse(alert_settings.NewSettings, data), actor=ADMIN)


def test_a_fresh_system_is_quiet(app: Flask, clock: Clock, with_stays: None) -> None:
    for _ in range(5):
        alert_watch.evaluate()
        clock.move(minutes=1)
    assert standing() == []


def test_more_dead_letters_than_may_be(app: Flask, clock: Clock) -> None:
    limit(dead_letters=2)
    old = clock.now - timedelta(days=40)
    events = [make_event(received_at=old) for _ in range(2)]
    alert_watch.evaluate()
    assert standing() == []
    events.append(make_event(received_at=old))
    alert_watch.evaluate()
    assert titles("dead_letters") == ["3 events have run out of tries"]
    with transaction() as session:
        session.execute(
            update(ChannelEvent).where(ChannelEvent.id == events[0].id).values(status="ignored")
        )
    alert_watch.evaluate()
    assert standing() == []


def test_the_design_says_when(app: Flask) -> None:
    """MON-09…13 and the issue's own numbers."""
    wanted = {
        "dead_letters": 100,
        "success_rate": 95,
        "channel_unreachable": 5,
        "failed_events": 10,
        "queue_depth": 1000,
        "no_run": 60,
        "run_slow": 120,
        "pin_late": 45,
    }
    assert {name: DEFAULTS[name] for name in wanted} == wanted
    assert all(limit.kind in (*ALERT_KINDS, "") for limit in LIMITS)
    assert all(limit.low <= limit.default <= limit.high for limit in LIMITS)


def test_events_that_failed_within_the_hour(app: Flask, clock: Clock) -> None:
    limit(failed_events=2, success_rate_events=1000)
    for _ in range(3):
        make_event(tries=2, received_at=clock.now - timedelta(hours=5))  # tried until now
    alert_watch.evaluate()
    assert titles("failed_events") == ["3 events failed within the last hour"]
    clock.move(minutes=59)
    alert_watch.evaluate()
    assert len(standing("failed_events")) == 1
    clock.move(minutes=2)
    alert_watch.evaluate()
    assert standing() == []


def test_alerts_about_one_booking_are_not_closed_by_the_rule(app: Flask, clock: Clock) -> None:
    with transaction() as session:
        alerts.raise_alert(session, "failed_events", "reservation:1", "warning", "t", "w")
        alerts.raise_alert(session, "channel_unreachable", "account:1", "critical", "t", "w")
        alerts.raise_alert(session, "vendor_quota", "tuya", "critical", "t", "w")
        alerts.raise_alert(session, "revoke_overdue", "lock_test:1", "critical", "t", "w")
    alert_watch.evaluate()
    assert len(standing()) == 4


def test_the_share_of_events_that_succeed(app: Flask, clock: Clock) -> None:
    limit(failed_events=1000)
    for _ in range(18):
        make_event("done", processed_at=clock.now)
    make_event()
    alert_watch.evaluate()
    assert standing() == []  # 19 events are too few to say
    make_event("done", processed_at=clock.now)
    alert_watch.evaluate()
    assert standing() == []  # 19 of 20 are 95 %
    make_event()
    alert_watch.evaluate()
    assert titles("success_rate") == ["2 of the 21 events of the last hour failed"]
    clock.move(minutes=61)
    alert_watch.evaluate()
    assert standing() == []


def test_what_waits_in_line(app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(queue_depth=2)
    depths = dict.fromkeys(status.QUEUES, 0)
    monkeypatch.setattr(status, "queue_depths", lambda: depths)
    waiting = [make_event(each) for each in ("received", "retrying", "processing")]
    depths["pins"] = 3
    alert_watch.evaluate()
    assert [each.subject for each in standing()] == ["inbound", "pins"]
    assert titles("queue_depth")[0] == "3 messages to take in are waiting"

    def gone() -> dict[str, int]:
        raise RedisGone

    monkeypatch.setattr(status, "queue_depths", gone)
    alert_watch.evaluate()
    assert len(standing()) == 2  # nothing is known, nothing is closed
    monkeypatch.setattr(status, "queue_depths", lambda: dict.fromkeys(status.QUEUES, 0))
    with transaction() as session:
        session.execute(delete(ChannelEvent).where(ChannelEvent.id == waiting[0].id))
    alert_watch.evaluate()
    assert standing() == []


@pytest.mark.parametrize("vendor", ["stays", "beds24", "tuya"])
def test_a_vendor_out_of_reach(app: Flask, clock: Clock, with_stays: None, vendor: str) -> None:
    vendors.note_error(vendor, Unreachable("no route"))
    clock.move(minutes=4)
    vendors.note_error(vendor, Unreachable("no route"))
    clock.move(seconds=59)
    alert_watch.evaluate()
    assert standing() == []
    clock.move(seconds=1)
    alert_watch.evaluate()
    (alert,) = standing("channel_unreachable")
    assert (alert.subject, alert.severity) == (vendor, "critical")
    assert "since 10 Mar 12:00 UTC" in alert.title
    vendors.note_ok(vendor)
    alert_watch.evaluate()
    assert standing() == []


def test_one_call_that_failed_in_an_idle_house_is_no_vendor_out_of_reach(
    app: Flask, clock: Clock, with_stays: None
) -> None:
    vendors.note_error("stays", Unreachable("no route"))
    clock.move(minutes=9)
    alert_watch.evaluate()
    assert standing() == []
    clock.move(minutes=1)  # but who never answers again is away
    alert_watch.evaluate()
    assert len(standing("channel_unreachable")) == 1


def test_one_lock_that_sleeps_is_no_vendor_out_of_reach(
    app: Flask, clock: Clock, with_stays: None
) -> None:
    insert(VendorState(vendor="tuya", failing_since=clock.now, last_error_kind="lock_offline"))
    clock.move(hours=1)
    alert_watch.evaluate()
    assert standing() == []


def test_what_was_switched_off_is_not_down(app: Flask, clock: Clock) -> None:
    insert(VendorState(vendor="stays", failing_since=clock.now, last_error_kind="unreachable"))
    clock.move(hours=1)
    alert_watch.evaluate()
    assert standing() == []


def test_credentials_that_are_refused(app: Flask, clock: Clock, with_stays: None) -> None:
    insert(VendorState(vendor="stays", failing_since=clock.now, last_error_kind="unauthorized"))
    alert_watch.evaluate()
    assert titles("vendor_quota") == ["Stays refuses our credentials"]
    vendors.note_ok("stays")
    alert_watch.evaluate()
    assert standing() == []


def run(at: datetime, kind: str = "stays", **fields: Any) -> None:
    insert(ReconciliationLog(kind=kind, started_at=at, created_at=at, status="success", **fields))


def test_no_run_for_an_hour(app: Flask, clock: Clock, with_stays: None) -> None:
    maintenance.heartbeat("worker", "worker@a:1")

    def pass_time(minutes: int) -> None:
        for minute in range(1, minutes + 1):
            clock.move(minutes=1)
            maintenance.heartbeat("worker", "worker@a:1")
            if minute % 10 == 0 or minute == minutes:
                alert_watch.evaluate()

    pass_time(59)
    assert standing() == []  # it has been up for less than an hour
    run(clock.now)
    pass_time(59)
    assert standing() == []
    pass_time(1)
    assert titles("no_run") == ["The reconciliation with Stays has not run since 10 Mar 12:59 UTC"]
    run(clock.now, dry_run=True)
    pass_time(1)
    assert len(standing()) == 1
    run(clock.now)
    pass_time(1)
    assert standing() == []


def test_runs_of_a_connected_property(app: Flask, clock: Clock) -> None:
    """Daily prices have 25 hours, hourly availability two, bookings one."""
    house = make_property(name="Vila Jasmim")
    make_connection(house, "beds24")
    with transaction() as session:  # connected when the clock began, not by the database's
        session.execute(
            update(make_connection(house, "beds24").__class__).values(created_at=clock.now)
        )
    maintenance.heartbeat("worker", "worker@a:1")
    found: dict[str, float] = {}
    start = clock.now
    for minutes in (59, 60, 119, 120, 1499, 1500):
        clock.set(start + timedelta(minutes=minutes - 1))
        maintenance.heartbeat("worker", "worker@a:1")
        look(clock)
        for each in standing("no_run"):
            found.setdefault(each.subject.split(":")[0], minutes)
    assert found == {"beds24_bookings": 60, "beds24_availability": 120, "beds24_rates": 1500}
    assert any("of Vila Jasmim has not run lately" in title for title in titles("no_run"))


def test_a_slow_run_is_news_until_the_next(app: Flask, clock: Clock) -> None:
    run(clock.now, duration=120_000)
    alert_watch.evaluate()
    assert standing() == []
    clock.move(minutes=30)
    run(clock.now, duration=121_000)
    alert_watch.evaluate()
    assert titles("run_slow") == ["The reconciliation with Stays took 121 seconds"]
    clock.move(minutes=30)
    run(clock.now, duration=4_000)
    alert_watch.evaluate()
    assert standing() == []


def test_a_pin_that_is_late_heeds_the_threshold(app: Flask, clock: Clock) -> None:
    room = make_accommodation(name="Coral", number="203")
    make_mapping(room)
    stay = make_stay(room, check_in=clock.now + timedelta(hours=1))
    with transaction() as session:
        from app.services import pin_plan

        pin_plan.plan(session, reservations=[stay.id])
    clock.move(minutes=14)
    credentials.watch_deadlines(clock.now)
    assert standing("pin_late") == []
    clock.move(minutes=1)
    credentials.watch_deadlines(clock.now)
    assert titles("pin_late") == ["203 Coral: the PIN is not on the lock"]


def make_credential(clock: Clock, **fields: Any) -> Credential:
    room = make_accommodation(name="Coral", number="203")
    lock = make_mapping(room, make_lock())
    stay = make_stay(room, check_in=clock.now - timedelta(days=2))
    values: dict[str, Any] = {
        "reservation_id": stay.id,
        "lock_id": lock.id,
        "pin_last2": "36",
        "pin_fingerprint": "f",
        "vendor_name": "n",
        "vendor_ref": "r",
        "state": "installed",
        "installed_at": clock.now - timedelta(days=2),
        "valid_from": clock.now - timedelta(days=2),
        "expires_at": clock.now,
    }
    row = Credential(**(values | fields))
    insert(row)
    return row


def test_a_pin_past_its_end(app: Flask, clock: Clock) -> None:
    credential = make_credential(clock)
    clock.move(minutes=14)
    alert_watch.evaluate()
    assert standing() == []
    clock.move(minutes=1)
    alert_watch.evaluate()
    assert titles("revoke_overdue") == ["203 Coral: a PIN is still on the lock past its end"]
    clock.move(minutes=1)
    alert_watch.evaluate()
    assert len(standing()) == 1
    with transaction() as session:
        session.execute(
            update(Credential).where(Credential.id == credential.id).values(state="revoked")
        )
    alert_watch.evaluate()
    assert standing() == []


def test_an_overdue_removal_before_its_end_stays_until_it_is_proven(
    app: Flask, clock: Clock
) -> None:
    credential = make_credential(clock, state="revoking", expires_at=clock.now + timedelta(days=3))
    with transaction() as session:
        subject = f"credential:{credential.id}"
        alerts.raise_alert(session, "revoke_overdue", subject, "critical", "theirs", "w")
    alert_watch.evaluate()
    assert titles("revoke_overdue") == ["theirs"]
    with transaction() as session:
        session.execute(delete(Credential))
    alert_watch.evaluate()
    assert standing() == []


def beat(*names: str) -> None:
    for name in names:
        maintenance.heartbeat(name.partition("@")[0], name)


def test_a_process_that_falls_silent(app: Flask, clock: Clock) -> None:
    beat("worker@a:1", "worker@a:2", "clock@a:3")
    for _ in range(2):
        clock.move(minutes=1)
        beat("worker@a:1", "worker@a:2")
        alert_watch.evaluate()
    (alert,) = standing("process_gone")
    assert (alert.subject, alert.severity) == ("clock@a", "critical")
    assert alert.title == (
        "The clock process on a has been silent since 10 Mar 12:00 UTC, and no other runs"
    )
    clock.move(minutes=1)
    beat("worker@a:1", "worker@a:2", "clock@a:9")  # started again
    alert_watch.evaluate()
    assert standing() == []


def test_one_of_two_hosts_that_falls_silent_is_a_warning(app: Flask, clock: Clock) -> None:
    beat("worker@a:1", "worker@b:1")
    for _ in range(8):
        clock.move(minutes=1)
        beat("worker@a:1")
        alert_watch.evaluate()
    (alert,) = standing("process_gone")  # also after the stale row would have been forgotten
    assert (alert.subject, alert.severity) == ("worker@b", "warning")
    assert "Others of its kind still run" in alert.what_to_do


def counted(clock: Clock, *names: str, minutes: int = 3) -> None:
    """These live for some minutes, in which the living are counted."""
    for _ in range(minutes):
        clock.move(minutes=1)
        beat(*names)
        metric_points.collect(clock.now)
        alert_watch.evaluate()


def test_a_deploy_that_kills_the_old_replaces_them(app: Flask, clock: Clock) -> None:
    beat("worker@a:1", "worker@b:1")
    counted(clock, "worker@a:1", "worker@b:1")
    beat("worker@c:1", "worker@d:1")
    counted(clock, "worker@a:1", "worker@b:1", "worker@c:1", "worker@d:1", minutes=2)
    counted(clock, "worker@c:1", "worker@d:1")
    assert standing() == []


def test_a_deploy_that_brings_fewer_back_does_not(app: Flask, clock: Clock) -> None:
    beat("worker@a:1", "worker@b:1")
    counted(clock, "worker@a:1", "worker@b:1")
    beat("worker@c:1")
    counted(clock, "worker@a:1", "worker@b:1", "worker@c:1", minutes=2)
    counted(clock, "worker@c:1")
    assert {alert.subject for alert in standing("process_gone")} == {"worker@a", "worker@b"}
    beat("worker@d:1")
    counted(clock, "worker@c:1", "worker@d:1")
    assert standing() == []


def test_one_of_two_that_dies_is_missed_though_the_other_is_fresh(app: Flask, clock: Clock) -> None:
    beat("worker@a:1", "worker@b:1")
    counted(clock, "worker@a:1", "worker@b:1")
    maintenance.farewell("worker@b:1")
    beat("worker@b:2")
    counted(clock, "worker@a:1", "worker@b:2", minutes=2)
    counted(clock, "worker@b:2")
    (alert,) = standing("process_gone")
    assert (alert.subject, alert.severity) == ("worker@a", "warning")


def test_a_process_that_ends_in_order_is_not_gone(app: Flask, clock: Clock) -> None:
    beat("worker@a:1", "worker@a:2", "clock@a:3", "worker@ab:1")
    maintenance.farewell("worker@a:1")
    with transaction() as session:
        names = set(session.scalars(select(ProcessHeartbeat.name)))
    assert names == {"clock@a:3", "worker@ab:1"}
    clock.move(minutes=1)
    beat("clock@a:3", "worker@ab:1")
    look(clock)
    assert standing() == []


def test_after_a_break_nobody_is_gone(app: Flask, clock: Clock) -> None:
    """The database was away: whoever comes back first must not report all others."""
    beat("worker@a:1", "clock@a:3")
    alert_watch.evaluate()
    clock.move(minutes=10)
    beat("worker@a:1")
    alert_watch.evaluate()
    assert standing() == []
    clock.move(minutes=1)
    beat("worker@a:1")
    alert_watch.evaluate()
    assert [each.subject for each in standing()] == ["clock@a"]


def test_the_clock_tells_of_the_workers(app: Flask, clock: Clock) -> None:
    """Without a worker nobody works: the clock looks and tells by itself."""
    assert alert_watch.guard() is False  # fresh
    beat("worker@a:1", "clock@a:3")
    clock.move(seconds=89)
    beat("clock@a:3")
    assert alert_watch.guard() is False
    clock.move(seconds=2)
    assert alert_watch.guard() is True
    assert [each.subject for each in standing()] == ["worker@a"]
    beat("worker@a:7")
    assert alert_watch.guard() is False
    alert_watch.evaluate()


def test_one_rule_that_breaks_silences_no_other(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(dead_letters=1)
    make_event(), make_event()

    def broken(look: alert_rules.Look) -> alert_rules.Found:
        raise RuntimeError("guest@example.org")

    first = alert_rules.Rule("run_slow", broken)
    monkeypatch.setattr(alert_watch, "RULES", (first, *alert_watch.RULES))
    with pytest.raises(RuntimeError):
        alert_watch.evaluate()
    assert titles("dead_letters") == ["2 events have run out of tries"]
    with transaction() as session:
        assert alert_settings.watched_at(session) == clock.now


def test_a_lost_tick_is_made_up_for(app: Flask, clock: Clock, redis: Any) -> None:
    assert alert_watch.queue_due(clock.now) == 0  # never watched yet: the first tick comes
    alert_watch.evaluate()
    clock.move(seconds=74)
    assert alert_watch.queue_due(clock.now) == 0
    clock.move(seconds=1)
    assert alert_watch.queue_due(clock.now) == 1
    assert redis.lrange("rq:queue:maintenance", 0, -1) == [b"alerts-evaluate"]


def test_settings_that_make_no_sense_count_as_not_set(app: Flask, clock: Clock) -> None:
    now = app_clock.utcnow()
    for name, value in {
        "alerts.dead_letters": "many",
        "alerts.failed_events": -3,
        "alerts.queue_depth": True,
        "alerts.email_also": "a@b.example",
        "alerts.watched_at": 7,
    }.items():
        insert(SystemSetting(name=name, value=value, updated_at=now, updated_by="x"))
    found = alert_settings.current()
    assert [found.limits[each] for each in ("dead_letters", "failed_events", "queue_depth")] == [
        100,
        10,
        1000,
    ]
    assert found.email_also == ()
    alert_watch.evaluate()
    assert not believable("no_such_limit", 1)
    assert Limits({}).span("no_daily_run") == timedelta(hours=25)


def test_the_number_of_statements_does_not_grow(
    app: Flask, clock: Clock, statements: Callable[[], Any]
) -> None:
    limit(dead_letters=1)
    make_event(), make_event()
    make_credential(clock)
    alert_watch.evaluate()
    with statements() as few:
        alert_watch.evaluate()
    for _ in range(5):
        make_event()
        make_stay()
    clock.move(minutes=1)
    with statements() as many:
        alert_watch.evaluate()
    assert len(many) <= len(few) + 1  # the words of the one open alert have changed
    assert Reservation.__tablename__ not in " ".join(many)
