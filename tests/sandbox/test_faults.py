"""Every fault does what its name says, and the rest keeps working (contracts/tuya.md §9)."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest
from flask import Flask

from app.sandbox import faults
from app.sandbox.server import running
from tests.sandbox.wire import KEYS, Clock, Cloud

RESERVATIONS = "/stays/api/reservations"
BEARER = {"Authorization": f"Bearer {KEYS.stays_api_key}"}


@pytest.fixture
def base(sandbox_app: Flask) -> Iterator[str]:
    """The sandbox on a real socket, so that connections can be lost."""
    with running(sandbox_app) as url:
        yield url


def get(base: str, timeout: float = 5.0) -> httpx.Response:
    return httpx.get(base + RESERVATIONS, headers=BEARER, timeout=timeout, trust_env=False)


def test_down_closes_the_connection_until_switched_off(base: str, cloud: Cloud) -> None:
    cloud.fault("stays", "down")
    for _ in range(2):
        with pytest.raises(httpx.RemoteProtocolError):
            get(base)
    assert cloud.client.delete("/control/faults").get_json()["removed"] >= 1
    assert get(base).status_code == 200


def test_a_lost_answer_has_been_carried_out(base: str, cloud: Cloud, clock: Clock) -> None:
    device = cloud.device(category="mk")
    cloud.fault("tuya", "lost", operation="create", count=1)
    body = cloud.order(device, "482915", start=0)
    with pytest.raises(ConnectionResetError):
        cloud.call("POST", cloud.door(device, "temp-password"), body)
    clock.advance(seconds=5)
    assert [entry["name"] for entry in cloud.list(device)] == ["PP-TEST"]
    assert cloud.opens(device, "482915") is True
    again = cloud.create(device, "482915")
    assert again["code"] == 2316  # the fault was for one call; the name shows the first worked


def test_a_lost_answer_on_the_wire(base: str, cloud: Cloud) -> None:
    cloud.fault("stays", "lost", count=1)
    with pytest.raises(httpx.RemoteProtocolError):
        get(base)
    assert get(base).status_code == 200


def test_slow_answers_late(base: str, cloud: Cloud) -> None:
    cloud.fault("stays", "slow", seconds=0.3, count=1)
    started = time.monotonic()
    assert get(base).status_code == 200
    assert time.monotonic() - started >= 0.3
    cloud.fault("stays", "slow", seconds=5)
    with pytest.raises(httpx.ReadTimeout):
        get(base, timeout=0.2)


@pytest.mark.parametrize(
    ("kind", "status", "mimetype", "body"),
    [
        ("429", 429, "application/json", None),
        ("500", 500, "application/json", None),
        ("html", 200, "text/html", None),
        ("empty", 200, "application/json", b""),
        ("null", 200, "application/json", b"null"),
    ],
)
def test_spoiled_answers(
    cloud: Cloud, kind: str, status: int, mimetype: str, body: bytes | None
) -> None:
    cloud.fault("stays", kind, count=1)
    answer = cloud.client.get(RESERVATIONS, headers=BEARER)
    assert (answer.status_code, answer.mimetype) == (status, mimetype)
    if body is not None:
        assert answer.data == body
    if kind == "429":
        assert answer.headers["Retry-After"] == "2"
    assert cloud.client.get(RESERVATIONS, headers=BEARER).get_json()["reservations"]


def test_a_web_page_from_the_lock_cloud(cloud: Cloud) -> None:
    """contracts/tuya.md §9: HTML 500"""
    cloud.fault("tuya", "html", operation="token", count=1)
    answer = cloud.client.get("/tuya/v1.0/token?grant_type=1")
    assert (answer.status_code, answer.mimetype) == (500, "text/html")


def test_half_an_answer_is_no_json(cloud: Cloud) -> None:
    whole = cloud.client.get(RESERVATIONS, headers=BEARER).data
    cloud.fault("stays", "half", count=1)
    assert cloud.client.get(RESERVATIONS, headers=BEARER).data == whole[: len(whole) // 2]


@pytest.mark.parametrize(
    ("kind", "code"),
    [("quota", 28841004), ("rate", 1199), ("busy", 2328), ("plan_expired", 28841002)],
)
def test_refusals_of_the_lock_cloud(cloud: Cloud, kind: str, code: int) -> None:
    device = cloud.device(radio="zigbee")
    cloud.list(device)
    cloud.fault("tuya", kind)
    answer = cloud.call("GET", cloud.door(device, "temp-passwords"))
    assert (answer["success"], answer["code"]) == (False, code)


@pytest.mark.parametrize("code", [2301, 2305, 2306, 2307, 2308, 2311, 2313, 2317, 2324])
def test_any_code_can_be_made_to_appear(cloud: Cloud, code: int) -> None:
    device = cloud.device(radio="zigbee")
    cloud.fault(device, "code", code=code, operation="create", count=1)
    assert cloud.create(device, "482915")["code"] == code
    assert cloud.create(device, "482915")["success"] is True


def test_a_fault_on_one_lock_leaves_the_others(cloud: Cloud) -> None:
    device, other = cloud.device(radio="zigbee"), cloud.device(category="mk")
    cloud.fault(device, "offline")
    assert cloud.create(device, "482915")["code"] == 2312
    assert cloud.create(other, "482915")["success"] is True
    cloud.fault(other, "offline")
    assert cloud.create(other, "593826", name="PP-2")["code"] == 2001


def test_a_full_lock_takes_no_more(cloud: Cloud) -> None:
    device = cloud.device(category="mk")
    cloud.fault(device, "full")
    assert cloud.create(device, "482915")["code"] == 2303


def test_a_code_can_fail_at_the_lock(cloud: Cloud, clock: Clock) -> None:
    zigbee, keypad = cloud.device(radio="zigbee"), cloud.device(category="mk")
    cloud.fault("locks", "fail")
    for device in (zigbee, keypad):
        cloud.create(device, "482915", start=0)
    clock.advance(seconds=5)
    assert [(e["phase"], e["delivery_status"]) for e in cloud.list(zigbee)] == [(5, 3)]
    assert cloud.list(keypad) == []


def test_a_code_can_get_stuck_and_vanish(cloud: Cloud, clock: Clock) -> None:
    """contracts/tuya.md §5.2, mk"""
    device = cloud.device(category="mk")
    cloud.fault(device, "drop", seconds=20)
    cloud.create(device, "482915", start=0)
    clock.advance(seconds=19)
    assert [entry["phase"] for entry in cloud.list(device)] == [12]
    clock.advance(seconds=2)
    assert cloud.list(device) == []
    assert cloud.opens(device, "482915") is False


def test_a_mains_lock_can_be_put_to_sleep(cloud: Cloud, clock: Clock) -> None:
    device = cloud.device(category="mk")
    cloud.fault(device, "sleeping")
    cloud.create(device, "482915", start=0)
    clock.advance(minutes=5)
    assert [entry["phase"] for entry in cloud.list(device)] == [12]
    assert cloud.opens(device, "482915") is False
    clock.advance(seconds=5)
    assert cloud.opens(device, "482915") is True


@pytest.mark.parametrize(
    "body",
    [
        {"scope": "nobody", "kind": "down"},
        {"scope": "stays", "kind": "offline"},
        {"scope": "webhooks", "kind": "429"},
        {"scope": "tuya", "kind": "code"},
        {"scope": "stays", "kind": "down", "count": 0},
        {"scope": "stays", "kind": "slow", "seconds": "long"},
    ],
)
def test_a_fault_that_cannot_be_is_refused(cloud: Cloud, body: dict[str, object]) -> None:
    before = len(cloud.client.get("/control/faults").get_json()["faults"])
    assert cloud.client.post("/control/faults", json=body).status_code == 400
    assert len(cloud.client.get("/control/faults").get_json()["faults"]) == before


def test_every_kind_can_be_switched_on_somewhere(cloud: Cloud) -> None:
    device = cloud.device(radio="zigbee")
    for scope in ("stays", "tuya", "webhooks", "locks", device):
        for kind in faults.kinds_of(scope, {device}):
            cloud.fault(scope, kind, code=2301 if kind == "code" else None)
