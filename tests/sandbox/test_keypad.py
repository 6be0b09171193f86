"""The door: it opens for what is on the lock itself, and for nothing else (INTERFACES §10)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.wire import Clock, Cloud


def phase_of(cloud: Cloud, device: str) -> list[int]:
    return [entry["phase"] for entry in cloud.list(device)]


def refused_with(answer: dict[str, Any]) -> int:
    assert answer["success"] is False
    code: int = answer["code"]
    return code


@pytest.mark.parametrize(
    ("wanted", "digits", "waiting", "seconds"),
    [
        ({"radio": "zigbee"}, "482915", 1, 2.5),
        ({"category": "mk"}, "482915", 12, 4),
    ],
)
def test_a_pin_opens_inside_its_window_only(
    cloud: Cloud, clock: Clock, wanted: dict[str, str], digits: str, waiting: int, seconds: float
) -> None:
    device = cloud.device(**wanted)
    assert cloud.create(device, digits, start=90, end=3600)["success"] is True
    assert phase_of(cloud, device) == [waiting]
    clock.advance(seconds=seconds)
    assert phase_of(cloud, device) == [2]
    assert cloud.opens(device, digits) is False  # before
    clock.advance(seconds=90)
    assert cloud.opens(device, digits) is True
    assert cloud.opens(device, "482916") is False
    clock.advance(seconds=3600)
    assert cloud.opens(device, digits) is False  # after


def test_a_sleeping_lock_gets_its_pin_when_touched(cloud: Cloud, clock: Clock) -> None:
    device = cloud.device(radio="wifi", power="battery")
    cloud.create(device, "4829157", start=90)
    clock.advance(minutes=100)
    assert phase_of(cloud, device) == [1]
    assert cloud.opens(device, "4829157") is False  # the touch wakes it
    clock.advance(seconds=3)
    assert cloud.opens(device, "4829157") is True
    assert phase_of(cloud, device) == [2]


def test_a_deleted_pin_opens_until_the_lock_has_heard_of_it(cloud: Cloud, clock: Clock) -> None:
    device = cloud.device(radio="wifi", power="battery")
    password = cloud.create(device, "4829157", start=60)["result"]["id"]
    cloud.client.post(f"/control/locks/{device}/touch")
    clock.advance(minutes=10)
    assert cloud.delete(device, password)["result"] is True
    clock.advance(minutes=10)
    assert phase_of(cloud, device) == [3]
    assert cloud.opens(device, "4829157") is True  # still asleep when the digits were typed
    clock.advance(seconds=3)
    assert cloud.opens(device, "4829157") is False
    assert phase_of(cloud, device) == [0]  # the record stays …
    assert cloud.purge(device, password)["result"] is True
    assert cloud.list(device) == []  # … until it is purged


@pytest.mark.parametrize(
    ("wanted", "gone"), [({"radio": "zigbee"}, {4}), ({"category": "mk"}, {17, 19})]
)
def test_a_deletion_reaches_a_lock_that_is_awake(
    cloud: Cloud, clock: Clock, wanted: dict[str, str], gone: set[int]
) -> None:
    device = cloud.device(**wanted)
    password = cloud.create(device, "482915", start=0)["result"]["id"]
    clock.advance(seconds=5)
    assert cloud.opens(device, "482915") is True
    assert refused_with(cloud.purge(device, password)) == 2324
    cloud.delete(device, password)
    assert cloud.opens(device, "482915") is True
    clock.advance(seconds=5)
    assert cloud.opens(device, "482915") is False
    assert {*phase_of(cloud, device), *phase_of(cloud, device)} == gone
    assert cloud.list(device, valid="true") == []
    assert refused_with(cloud.delete(device, password)) == 2323
    cloud.purge(device, password)
    assert refused_with(cloud.delete(device, password)) in (2310, 2321)


def test_a_change_of_window_reaches_the_lock_when_it_wakes(cloud: Cloud, clock: Clock) -> None:
    device = cloud.device(radio="wifi", power="battery")
    password = cloud.create(device, "4829157", start=60, end=600)["result"]["id"]
    cloud.client.post(f"/control/locks/{device}/touch")
    clock.advance(seconds=65)
    body = cloud.order(device, "4829157", start=-5, end=7200)
    path = cloud.door(device, f"temp-passwords/{password}/modify-password")
    assert cloud.call("PUT", path, body)["result"] is True
    clock.advance(minutes=30)
    assert cloud.opens(device, "4829157") is False  # the lock still goes by the old window
    clock.advance(seconds=3)
    assert cloud.opens(device, "4829157") is True


def test_upper_case_ciphertext_is_accepted_and_opens_nothing(cloud: Cloud, clock: Clock) -> None:
    """contracts/tuya.md §0.2"""
    device = cloud.device(category="mk")
    cloud.create(device, "482915", start=0, upper=True)
    clock.advance(seconds=5)
    assert phase_of(cloud, device) == [2]
    assert cloud.opens(device, "482915") is False


def test_foreign_codes_are_listed_and_outlive_ours(cloud: Cloud) -> None:
    with cloud.sandbox.store.open(changes=False) as world:
        devices = [lock.device_id for lock in world.locks.values() if lock.codes]
    assert len(devices) == 3
    assert [entry["name"] for entry in cloud.list(devices[0])] == ["Housekeeping"]


def test_the_digits_are_nowhere_but_at_the_keypad(cloud: Cloud, clock: Clock) -> None:
    device = cloud.device(category="mk")
    cloud.create(device, "482915", start=0)
    clock.advance(seconds=5)
    cloud.opens(device, "482915")
    cloud.sandbox.store.flush()
    assert "482915" not in cloud.sandbox.store.path.read_text()
    assert "482915" not in str(cloud.list(device))
    assert "482915" not in cloud.client.get(f"/keypad/{device}").text
    assert "482915" not in cloud.client.get("/control/locks").text


class TestRefusals:
    """contracts/tuya.md §2.2 and §2.4"""

    def test_a_wrong_length_is_1109(self, cloud: Cloud) -> None:
        assert refused_with(cloud.create(cloud.device(radio="zigbee"), "4829157")) == 1109

    def test_a_start_in_the_past_is_2318(self, cloud: Cloud) -> None:
        device = cloud.device(radio="zigbee")
        assert refused_with(cloud.create(device, "482915", start=-5)) == 2318

    def test_a_name_in_use_is_2316(self, cloud: Cloud) -> None:
        device = cloud.device(radio="zigbee")
        cloud.create(device, "482915")
        assert refused_with(cloud.create(device, "593826")) == 2316

    def test_a_long_name_is_1109(self, cloud: Cloud) -> None:
        device = cloud.device(radio="zigbee")
        assert refused_with(cloud.create(device, "482915", name="x" * 21)) == 1109

    def test_the_same_pin_on_a_wifi_lock_is_2322(self, cloud: Cloud) -> None:
        device = cloud.device(category="mk")
        cloud.create(device, "482915")
        assert refused_with(cloud.create(device, "482915", name="PP-2")) == 2322

    def test_the_same_pin_on_a_zigbee_lock_fails_at_delivery(
        self, cloud: Cloud, clock: Clock
    ) -> None:
        device = cloud.device(radio="zigbee")
        cloud.create(device, "482915")
        clock.advance(seconds=3)
        assert cloud.create(device, "482915", name="PP-2")["success"] is True
        clock.advance(seconds=3)
        last = cloud.list(device)[-1]
        assert (last["phase"], last["delivery_status"]) == (5, 4)

    def test_a_lock_is_full_after_ten_codes(self, cloud: Cloud) -> None:
        device = cloud.device(category="mk")
        for number in range(10):
            cloud.create(device, f"48291{number}", name=f"PP-{number}")
        assert refused_with(cloud.create(device, "777777", name="PP-X")) == 2303

    def test_an_unknown_device_is_1106(self, cloud: Cloud) -> None:
        answer = cloud.call("POST", cloud.door("bfnothing", "password-ticket"))
        assert refused_with(answer) == 1106

    def test_times_must_be_epoch_seconds(self, cloud: Cloud) -> None:
        device = cloud.device(radio="zigbee")
        path = cloud.door(device, "temp-password")
        body = cloud.order(device, "482915")
        assert refused_with(cloud.call("POST", path, body | {"effective_time": "1"})) == 1104
        body = cloud.order(device, "482915")
        later = body["effective_time"] * 1000
        assert refused_with(cloud.call("POST", path, body | {"effective_time": later})) == 1109

    def test_freezing_is_for_zigbee(self, cloud: Cloud, clock: Clock) -> None:
        for device, expected in (
            (cloud.device(radio="zigbee"), None),
            (cloud.device(category="mk"), 2004),
        ):
            password = cloud.create(device, "482915", start=0)["result"]["id"]
            clock.advance(seconds=5)
            path = cloud.door(device, f"temp-passwords/{password}/freeze-password")
            answer = cloud.call("PUT", path)
            if expected is None:
                assert answer["result"] is True
                assert cloud.opens(device, "482915") is False
            else:
                assert refused_with(answer) == expected
