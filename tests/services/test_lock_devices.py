"""The vendor's device list, believed; and locks that will let a guest down."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from app.errors import Unavailable
from app.integrations.errors import Unreachable
from app.integrations.locks import Device
from app.integrations.locks.fake import SHARED, FakeLocks
from app.models import Alert, AuditEntry, Lock
from app.queue import client as queue
from app.services import accommodations, lock_devices, lock_health, today, vendors
from app.services.lock_health import Trouble
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import make_accommodation, make_lock, make_mapping, make_stay, reload


@pytest.fixture
def cloud(app: Flask) -> Iterator[FakeLocks]:
    SHARED.reset()
    vendors.forget_clients()
    yield SHARED
    SHARED.reset()


def refresh() -> lock_devices.Refreshed:
    return lock_devices.refresh(vendor="fake")


def lock_of(device_id: str) -> Lock:
    with transaction() as session:
        return session.scalars(select(Lock).where(Lock.device_id == device_id)).one()


def open_alerts() -> dict[tuple[str, str], Alert]:
    with transaction() as session:
        rows = session.scalars(select(Alert).where(Alert.status != "resolved")).all()
    return {(row.kind, row.subject): row for row in rows}


def change(lock: Lock, **fields: object) -> None:
    with transaction() as session:
        row = session.get_one(Lock, lock.id)
        for name, value in fields.items():
            setattr(row, name, value)


# --- the list -------------------------------------------------------------------------------------


def test_the_background_leaves_new_locks_to_people(cloud: FakeLocks, clock: Clock) -> None:
    """POST /locks answers 201 for a device of the account; only a refresh asked for adds it."""
    make_lock(vendor="fake", device_id="ours")
    cloud.add_lock("ours", battery=12)
    cloud.add_lock("new")
    found = lock_devices.refresh(vendor="fake", register=False)
    assert (found.listed, found.new, found.gone) == (2, (), ())
    with transaction() as session:
        assert session.scalars(select(Lock.device_id)).all() == ["ours"]
    assert lock_of("ours").battery == 12
    assert len(refresh().new) == 1


def test_new_locks_are_registered_once(cloud: FakeLocks, clock: Clock) -> None:
    cloud.add_lock("d1", name="Front door", category="ms", battery=70)
    cloud.add_lock("d2", category="mk", online=False, battery=None)
    found = refresh()
    assert (found.listed, found.online, len(found.new), found.gone) == (2, 1, 2, ())
    first, second = lock_of("d1"), lock_of("d2")
    assert (first.name, first.category, first.battery, first.online) == (
        "Front door",
        "ms",
        70,
        True,
    )
    assert (first.radio, first.pin_length, first.last_seen_at) == ("wifi", 7, clock.now)
    assert (second.pin_length, second.last_seen_at, second.offline_since) == (6, None, clock.now)
    assert refresh().new == ()
    with transaction() as session:
        registered = session.scalars(
            select(AuditEntry).where(AuditEntry.action == "register")
        ).all()
    assert len(registered) == 2


def test_a_lock_behind_a_gateway_is_taken_for_zigbee() -> None:
    behind = Device("d", "Door", "ms", True, gateway_id="g1")
    assert lock_devices.radio_guess(behind) == "zigbee"
    assert lock_devices.pin_length_guess(behind) == 6


def test_what_a_person_set_stays(cloud: FakeLocks, clock: Clock) -> None:
    lock = make_lock(name="Suite 3", device_id="d1", radio="bluetooth", pin_length=8, battery=55)
    cloud.add_lock("d1", name="SMART LOCK", online=True, battery=None)
    refresh()
    after = reload(lock)
    assert (after.name, after.radio, after.pin_length) == ("Suite 3", "bluetooth", 8)
    assert (after.online, after.battery) == (True, 55)


def test_a_lock_goes_and_comes_back(cloud: FakeLocks, clock: Clock) -> None:
    lock = make_lock(device_id="d1")
    cloud.add_lock("d1")
    cloud.add_lock("d2")
    refresh()
    seen = clock.now
    clock.move(minutes=10)
    del cloud.locks["d1"]
    assert refresh().gone == (lock.id,)
    gone = reload(lock)
    assert (gone.gone_since, gone.online, gone.last_seen_at) == (clock.now, False, seen)
    assert [each.device_id for each in accommodations.overview().unmapped_locks] == ["d2"]
    clock.move(minutes=10)
    assert refresh().gone == ()
    cloud.add_lock("d1")
    refresh()
    assert reload(lock).gone_since is None


def test_offline_is_dated_from_its_beginning(cloud: FakeLocks, clock: Clock) -> None:
    cloud.add_lock("d1", online=True)
    refresh()
    cloud.add_lock("d1", online=False)
    began = clock.move(minutes=10)
    refresh()
    clock.move(minutes=10)
    refresh()
    assert lock_of("d1").offline_since == began
    cloud.add_lock("d1", online=True)
    refresh()
    assert lock_of("d1").offline_since is None


def test_an_empty_list_is_not_believed(cloud: FakeLocks, clock: Clock) -> None:
    lock = make_lock()
    found = refresh()
    assert found.suspicious
    assert reload(lock).gone_since is None
    ((kind, subject),) = open_alerts()
    assert (kind, subject) == ("lock_offline", "devices:fake")
    cloud.add_lock(lock.device_id)
    assert not refresh().suspicious
    assert open_alerts() == {}


def test_an_empty_account_is_fine(cloud: FakeLocks) -> None:
    assert refresh() == lock_devices.Refreshed(0, 0)
    assert open_alerts() == {}


def test_a_list_that_fails_changes_nothing(cloud: FakeLocks) -> None:
    lock = make_lock()
    cloud.fail_next("devices", Unreachable("down", vendor="fake"))
    with pytest.raises(Unavailable, match="cannot be read"):
        refresh()
    assert reload(lock).gone_since is None


def test_the_sweep_has_the_list_read_after_the_start(
    cloud: FakeLocks, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordered: list[str] = []
    monkeypatch.setattr(queue, "enqueue", lambda name, *_, **__: ordered.append(name))
    assert lock_devices.queue_due(clock.now) == 0  # no vendor, nothing to read
    monkeypatch.setattr(vendors, "lock_vendors", lambda: ["fake"])
    assert lock_devices.queue_due(clock.now) == 1
    cloud.fail_next("devices", Unreachable("down", vendor="fake"))
    with pytest.raises(Unavailable):
        refresh()  # asked for, whatever came of it: the sweep must not hammer
    assert lock_devices.queue_due(clock.now) == 0
    assert lock_devices.queue_due(clock.now + timedelta(minutes=13)) == 1
    assert ordered == ["locks.refresh", "locks.refresh"]


# --- trouble --------------------------------------------------------------------------------------


def arrival_in(clock: Clock, hours: float, **fields: object) -> Lock:
    room = make_accommodation(name="Suite Quintal", number="104")
    lock = make_mapping(room, make_lock(name="Lock 1", **fields))
    make_stay(room, check_in=clock.now + timedelta(hours=hours))
    return lock


def test_a_weak_battery_matters_before_an_arrival(app: Flask, clock: Clock) -> None:
    lock = arrival_in(clock, 60, battery=20)
    assert lock_health.watch(clock.now) == 0
    clock.move(hours=13)
    assert lock_health.watch(clock.now) == 1
    alert = open_alerts()[("lock_battery", f"lock:{lock.id}")]
    assert alert.title == "104 Suite Quintal: the battery of Lock 1 is low (20 %)"
    change(lock, battery=95)
    assert lock_health.watch(clock.now) == 0
    assert open_alerts() == {}


def test_a_number_that_is_in_the_name_is_said_once(app: Flask, clock: Clock) -> None:
    room = make_accommodation(name="Suite 104", number="104")
    make_stay(room, check_in=clock.now + timedelta(hours=5))
    make_mapping(room, make_lock(name="Lock 1", battery=5))
    lock_health.watch(clock.now)
    assert [alert.title for alert in open_alerts().values()] == [
        "Suite 104: the battery of Lock 1 is low (5 %)"
    ]


def test_a_warning_lock_needs_no_percentage(app: Flask, clock: Clock) -> None:
    lock = arrival_in(clock, 5, low_battery=True)
    lock_health.watch(clock.now)
    assert ("lock_battery", f"lock:{lock.id}") in open_alerts()


@pytest.mark.parametrize(
    ("radio", "silent_for", "alarms"),
    [
        ("wifi", timedelta(hours=20), False),  # it sleeps: normal (contracts/tuya.md §7)
        ("wifi", timedelta(hours=73), True),
        ("zigbee", timedelta(minutes=10), False),
        ("zigbee", timedelta(minutes=31), True),
        ("bluetooth", timedelta(minutes=31), True),
    ],
)
def test_silence_by_radio(
    app: Flask, clock: Clock, radio: str, silent_for: timedelta, alarms: bool
) -> None:
    lock = arrival_in(clock, 5, radio=radio, online=False, offline_since=clock.now - silent_for)
    lock_health.watch(clock.now)
    assert (("lock_offline", f"lock:{lock.id}") in open_alerts()) is alarms
    change(lock, online=True, offline_since=None)
    lock_health.watch(clock.now)
    assert open_alerts() == {}


def test_an_unanswered_order_counts_for_a_sleeper_too(app: Flask, clock: Clock) -> None:
    lock = arrival_in(clock, 5, radio="wifi", silent_since=clock.now - timedelta(minutes=61))
    assert lock_health.troubles(lock, clock.now)[0][0] == Trouble.SILENT
    assert lock_health.watch(clock.now) == 1


def test_a_lock_that_left_the_account_is_named(app: Flask, clock: Clock) -> None:
    lock = arrival_in(clock, 5, gone_since=clock.now)
    lock_health.watch(clock.now)
    alert = open_alerts()[("lock_offline", f"lock:{lock.id}")]
    assert "no longer in the lock account" in alert.title


def test_what_nobody_needs_soon_is_quiet_but_visible(app: Flask, clock: Clock) -> None:
    lock = arrival_in(clock, 200, battery=3)
    unmapped = make_lock(battery=1)
    over = arrival_in(clock, -80, battery=2)  # left yesterday
    assert lock_health.watch(clock.now) == 0
    with transaction() as session:
        found = lock_health.ailing(session, [lock, unmapped, over], clock.now)
    assert [(each.lock_id, each.trouble) for each in found] == [
        (lock.id, Trouble.LOW_BATTERY),
        (unmapped.id, Trouble.LOW_BATTERY),
        (over.id, Trouble.LOW_BATTERY),
    ]
    assert found[0].needed_at == clock.now + timedelta(hours=200)
    assert found[1].needed_at is None


def test_a_guest_in_the_house_counts_as_soon(app: Flask, clock: Clock) -> None:
    arrival_in(clock, -10, battery=3)
    assert lock_health.watch(clock.now) == 1


def test_the_alert_about_the_account_is_left_alone(cloud: FakeLocks, clock: Clock) -> None:
    make_lock()
    refresh()
    lock_health.watch(clock.now)
    assert ("lock_offline", "devices:fake") in open_alerts()


def test_today_shows_the_lock_the_next_guest_needs(app: Flask, clock: Clock) -> None:
    lock = arrival_in(clock, 2, battery=5)
    lock_health.watch(clock.now)
    found = today.today(None, None).attention
    assert [(item.kind, item.title) for item in found] == [
        ("alert", "104 Suite Quintal: the battery of Lock 1 is low (5 %)")
    ]
    change(lock, battery=80)
    lock_health.watch(clock.now)
    assert today.today(None, None).attention == []
