"""The account's locks: paging, the second list, batteries, and no empty list for a failure (§7)."""

from __future__ import annotations

import itertools
import time

import pytest

from app.integrations import errors
from app.integrations.locks.tuya import Limits, TuyaCloud, TuyaLocks
from app.integrations.locks.tuya import client as client_module
from tests.integrations.locks.tuya_standin import StandIn

MAIN = "/v1.3/iot-03/devices"
LINKED = "/v1.0/iot-01/associated-users/devices"
LOCK = {"id": "linked1", "name": " Annex ", "category": "jtmspro", "online": False}


def test_a_lock_is_told_in_our_words(cloud: StandIn, locks: TuyaLocks) -> None:
    [device] = locks.devices()
    assert (device.device_id, device.name, device.category) == ("lock1", "Door lock1", "ms")
    assert (device.online, device.battery, device.low_battery) == (True, 77, False)
    assert (device.gateway_id, device.time_zone) == (None, "-03:00")
    assert "local-key-secret" not in repr(device)


def test_every_page_is_read(cloud: StandIn, locks: TuyaLocks) -> None:
    for n in range(2, 8):
        cloud.add_door(f"lock{n}")
    cloud.page_size = 3
    assert [d.device_id for d in locks.devices()] == [f"lock{n}" for n in range(1, 8)]
    targets = [s.target for s in cloud.sent(MAIN)]
    assert targets[0] == f"{MAIN}?page_size=200"
    assert targets[2] == f"{MAIN}?last_row_key=6&page_size=200"


def test_a_page_that_fails_spoils_the_list(cloud: StandIn, locks: TuyaLocks) -> None:
    for n in range(2, 8):
        cloud.add_door(f"lock{n}")
    cloud.page_size = 3
    first = {"list": [cloud.doors["lock1"].info], "has_more": True, "last_row_key": "a"}
    cloud.fail(MAIN, {"success": True, "result": first})
    cloud.fail(MAIN, (500, b"<html>"))
    with pytest.raises(errors.Unreachable):
        locks.devices()


@pytest.mark.parametrize(
    "page",
    [
        None,
        [],
        {},
        {"list": None},
        {"list": [1]},
        {"list": [{"name": "no id"}]},
        {"list": [LOCK], "has_more": True},
        {"list": [LOCK], "has_more": True, "last_row_key": ""},
    ],
)
def test_a_page_of_another_shape(cloud: StandIn, locks: TuyaLocks, page: object) -> None:
    cloud.fail(MAIN, {"success": True, "result": page})
    with pytest.raises(errors.Unreadable):
        locks.devices()
    assert not cloud.sent(LINKED)


def test_a_list_that_repeats_itself_ends(cloud: StandIn, locks: TuyaLocks) -> None:
    page = {"list": [LOCK], "has_more": True, "last_row_key": "same"}
    cloud.fail(MAIN, {"success": True, "result": page}, times=5)
    with pytest.raises(errors.Unreadable):
        locks.devices()
    assert len(cloud.sent(MAIN)) == 2


def test_only_locks_are_listed(cloud: StandIn, locks: TuyaLocks) -> None:
    cloud.other_devices = [
        {"id": "bulb", "name": "Lamp", "category": "dj", "online": True},
        {"id": "safe", "name": "Safe", "category": "bxx", "online": True},
    ]
    assert [d.device_id for d in locks.devices()] == ["lock1"]


def test_a_lock_behind_a_dead_gateway_is_offline(cloud: StandIn, locks: TuyaLocks) -> None:
    cloud.add_door("z1", info={"gateway_id": "gw1", "sub": True})
    cloud.add_door("z2", info={"gateway_id": "gw2", "sub": True})
    cloud.add_door("z3", info={"gateway_id": "not-listed", "sub": True})
    cloud.other_devices = [
        {"id": "gw1", "name": "Gateway", "category": "wg2", "online": False},
        {"id": "gw2", "name": "Gateway", "category": "wg2", "online": True},
    ]
    online = {d.device_id: d.online for d in locks.devices()}
    assert online == {"lock1": True, "z1": False, "z2": True, "z3": True}


@pytest.mark.parametrize("code", [1106, 1108, 28841101, 28841105])
def test_linked_accounts_are_asked_when_the_first_list_is_closed(
    cloud: StandIn, locks: TuyaLocks, code: int
) -> None:
    cloud.linked_devices = [LOCK | {"status": [{"code": "residual_electricity", "value": 8}]}]
    cloud.fail(MAIN, code)
    [device] = locks.devices()
    assert (device.device_id, device.name, device.battery) == ("linked1", "Annex", 8)
    assert not cloud.sent("/status")


def test_linked_accounts_are_asked_when_the_first_list_has_none(
    cloud: StandIn, locks: TuyaLocks
) -> None:
    """It lists assets unless told otherwise, and a project of linked accounts has none."""
    cloud.doors.clear()
    assert locks.devices() == []
    cloud.linked_devices = [LOCK | {"status": []}]
    assert [d.device_id for d in locks.devices()] == ["linked1"]
    cloud.fail(LINKED, 28841105)
    assert locks.devices() == []


@pytest.mark.parametrize("fault", [500, 1004, 1110, 28841004, (502, b""), (200, b"null"), "reset"])
def test_other_failures_are_raised_and_never_an_empty_list(
    cloud: StandIn, locks: TuyaLocks, fault: object
) -> None:
    cloud.fail(MAIN, fault)
    with pytest.raises(errors.IntegrationError):
        locks.devices()
    assert not cloud.sent(LINKED)


def test_both_lists_closed_is_an_error(cloud: StandIn, locks: TuyaLocks) -> None:
    cloud.fail(MAIN, 1106)
    cloud.fail(LINKED, 28841105)
    with pytest.raises(errors.Unauthorized):
        locks.devices()


def test_batteries_come_in_batches_of_twenty(cloud: StandIn, locks: TuyaLocks) -> None:
    for n in range(2, 26):
        cloud.add_door(f"lock{n}", battery=n)
    assert [d.battery for d in locks.devices()] == [77, *range(2, 26)]
    assert len(cloud.sent("/v1.0/iot-03/devices/status")) == 2


@pytest.mark.parametrize("refusal", [1108, 1004, 28841105, 1000])
def test_batteries_come_one_by_one_where_batches_are_refused(
    cloud: StandIn, locks: TuyaLocks, refusal: int
) -> None:
    cloud.add_door("lock2", battery=5, status=[{"code": "alarm_lock", "value": "low_battery"}])
    cloud.fail("/v1.0/iot-03/devices/status", refusal)
    assert [(d.battery, d.low_battery) for d in locks.devices()] == [(77, False), (5, True)]
    locks.devices()
    assert len(cloud.sent("/v1.0/iot-03/devices/status")) == 1
    assert len(cloud.sent("/v1.0/iot-03/devices/lock2/status")) == 2


def test_a_refusal_of_batches_is_not_believed_for_ever(
    cloud: StandIn, locks: TuyaLocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project that is closed for a moment, or gets its permission later."""
    cloud.fail("/v1.0/iot-03/devices/status", 28841105)
    locks.devices()
    later = client_module.REFUSAL_HOLDS + 1
    monkeypatch.setattr(client_module, "monotonic", lambda: time.monotonic() + later)
    for times in (2, 3):
        assert [d.battery for d in locks.devices()] == [77]
        assert len(cloud.sent("/v1.0/iot-03/devices/status")) == times


@pytest.mark.parametrize(
    "answer", [(200, b"<html>"), {"success": True, "result": {"lock1": []}}, 1111]
)
def test_a_bad_moment_does_not_end_batches(
    cloud: StandIn, locks: TuyaLocks, answer: object
) -> None:
    """That time they are asked one by one, and the next time together again."""
    cloud.add_door("lock2", battery=5)
    for times in (1, 2):
        cloud.fail("/v1.0/iot-03/devices/status", answer)
        assert [d.battery for d in locks.devices()] == [77, 5]
        assert len(cloud.sent("/v1.0/iot-03/devices/status")) == times
        assert len(cloud.sent("/v1.0/iot-03/devices/lock2/status")) == times


def test_one_lock_without_a_status_does_not_hide_the_others(
    cloud: StandIn, locks: TuyaLocks
) -> None:
    cloud.add_door("lock2", battery=5)
    locks._batches_refused_at = time.monotonic()
    cloud.fail("/v1.0/iot-03/devices/lock1/status", 2001)
    assert [d.battery for d in locks.devices()] == [None, 5]


def test_the_whole_listing_ends_in_time(cloud: StandIn, line: TuyaCloud) -> None:
    """Pages that are slow but not too slow each would add up."""
    line.limits = Limits(connect=1, read=2, token=2, wait=5, total=1.5, least=0.3)
    for n in range(2, 40):
        cloud.add_door(f"lock{n}")
    cloud.page_size = 1
    cloud.delay = 0.25
    began = time.monotonic()
    with pytest.raises(errors.Unreachable):
        TuyaLocks(line).devices()
    assert time.monotonic() - began < 3


def test_a_status_that_fails_keeps_what_was_known(cloud: StandIn, locks: TuyaLocks) -> None:
    assert [d.battery for d in locks.devices()] == [77]
    cloud.fail("/v1.0/iot-03/devices/status", (500, b""))
    assert [d.battery for d in locks.devices()] == [77]


@pytest.mark.parametrize("value", [None, "77", 101, -1, True])
def test_a_battery_that_is_no_percentage(cloud: StandIn, locks: TuyaLocks, value: object) -> None:
    status = [{"id": "lock1", "status": [{"code": "residual_electricity", "value": value}]}]
    cloud.fail("/v1.0/iot-03/devices/status", {"success": True, "result": status})
    assert [d.battery for d in locks.devices()] == [None]


def test_the_longest_unread_battery_is_read_first_when_time_is_short(
    cloud: StandIn, locks: TuyaLocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count(time.monotonic())
    monkeypatch.setattr(client_module, "monotonic", lambda: next(seconds))
    locks._batches_refused_at = time.monotonic()
    for n in range(2, 60):
        cloud.add_door(f"lock{n}")
    read: set[str] = set()
    sizes = []
    while len(read) < 59 and len(sizes) < 30:
        read |= {d.device_id for d in locks.devices() if d.battery is not None}
        sizes.append(len(read))
    assert sizes[0] < 20
    assert sizes[-1] == 59
