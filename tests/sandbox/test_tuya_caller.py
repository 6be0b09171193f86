"""Who may call the lock cloud: signatures, clock, tokens, tickets (contracts/tuya.md §1-§3)."""

from __future__ import annotations

import pytest

from tests.sandbox.wire import Clock, Cloud

DEVICES = "/v1.3/iot-03/devices"


def code(answer: dict[str, object]) -> object:
    assert answer["success"] is False
    assert answer["tid"]
    return answer["code"]


def test_a_signed_call_is_answered(cloud: Cloud) -> None:
    answer = cloud.call("GET", DEVICES, query={"page_size": "200"})
    assert answer["success"] is True
    assert answer["result"]["total"] == 24 + 3
    assert answer["result"]["has_more"] is False


def test_a_wrong_secret_is_1004(cloud: Cloud) -> None:
    cloud.secret = "f" * 32
    assert code(cloud.call("GET", "/v1.0/token", query={"grant_type": "1"})) == 1004


def test_an_unsorted_query_is_1004(cloud: Cloud) -> None:
    cloud.sort_query = False
    query = {"page_size": "20", "last_row_key": "x"}
    assert code(cloud.call("GET", DEVICES, query=query)) == 1004


@pytest.mark.parametrize("skew", [-301, 301, 700])
def test_a_wrong_clock_is_1013(cloud: Cloud, skew: float) -> None:
    cloud.skew = skew
    assert code(cloud.call("GET", "/v1.0/token", query={"grant_type": "1"})) == 1013


def test_the_clouds_own_clock_can_be_wrong(cloud: Cloud) -> None:
    cloud.fault("tuya", "clock_skew", seconds=700)
    assert code(cloud.call("GET", "/v1.0/token", query={"grant_type": "1"})) == 1013


def test_unknown_paths_and_verbs_are_1108_before_any_signature(cloud: Cloud) -> None:
    device = cloud.device(radio="zigbee")
    assert cloud.client.get("/tuya/v9.9/nothing").get_json()["code"] == 1108
    ticket = cloud.door(device, "password-ticket")
    assert cloud.client.get(f"/tuya{ticket}").get_json()["code"] == 1108
    assert cloud.client.put(f"/tuya{ticket}").get_json()["code"] == 1108


def test_a_token_expires_and_a_fresh_call_brings_another(cloud: Cloud, clock: Clock) -> None:
    cloud.call("GET", DEVICES)
    old = cloud.token
    clock.advance(seconds=7201)
    answer = cloud.call("GET", DEVICES)
    assert (code(answer), answer["msg"]) == (1010, "token is expired")
    cloud.token = ""
    assert cloud.call("GET", DEVICES)["success"] is True
    assert cloud.token != old
    cloud.token = old
    answer = cloud.call("GET", DEVICES)
    assert (code(answer), answer["msg"]) == (1010, "token invalid")


def test_a_second_token_call_hands_out_the_same_token_with_less_life(
    cloud: Cloud, clock: Clock
) -> None:
    first = cloud.call("GET", "/v1.0/token", query={"grant_type": "1"})["result"]
    clock.advance(seconds=1000)
    second = cloud.call("GET", "/v1.0/token", query={"grant_type": "1"})["result"]
    assert second["access_token"] == first["access_token"]
    assert (first["expire_time"], second["expire_time"]) == (7200, 6200)


def test_a_refresh_token_works_once_and_kills_the_old_pair(cloud: Cloud) -> None:
    cloud.call("GET", DEVICES)
    pair = cloud.call("GET", "/v1.0/token", query={"grant_type": "1"})["result"]
    refresh = f"/v1.0/token/{pair['refresh_token']}"
    renewed = cloud.call("GET", refresh)
    assert renewed["success"] is True
    assert code(cloud.call("GET", DEVICES)) == 1010
    assert code(cloud.call("GET", refresh)) == 1010


@pytest.mark.parametrize(
    ("kind", "words"), [("token_expired", "token is expired"), ("token_invalid", "token invalid")]
)
def test_a_token_can_die_early_in_both_wordings(cloud: Cloud, kind: str, words: str) -> None:
    cloud.call("GET", DEVICES)
    cloud.fault("tuya", kind)
    answer = cloud.call("GET", DEVICES)
    assert (code(answer), answer["msg"]) == (1010, words)
    cloud.token = ""
    assert cloud.call("GET", DEVICES)["success"] is True


def test_a_ticket_is_used_once(cloud: Cloud) -> None:
    device = cloud.device(radio="zigbee")
    ticket = cloud.ticket(device)
    assert cloud.create(device, "482915", ticket=ticket)["success"] is True
    assert code(cloud.create(device, "593826", name="PP-2", ticket=ticket)) == 2302


def test_a_ticket_expires(cloud: Cloud, clock: Clock) -> None:
    device = cloud.device(radio="zigbee")
    ticket = cloud.ticket(device)
    clock.advance(seconds=301)
    assert code(cloud.create(device, "482915", ticket=ticket)) == 2302


def test_a_ticket_belongs_to_one_lock(cloud: Cloud) -> None:
    device, other = cloud.device(radio="zigbee"), cloud.device(category="mk")
    ticket = cloud.ticket(other)
    assert code(cloud.create(device, "482915", ticket=ticket)) == 2302


def test_devices_come_in_pages_with_gateways_among_them(cloud: Cloud) -> None:
    seen: list[str] = []
    after = ""
    while True:
        query = {"page_size": "10"} | ({"last_row_key": after} if after else {})
        page = cloud.call("GET", DEVICES, query=query)["result"]
        seen += [device["id"] for device in page["list"]]
        after = page["last_row_key"]
        if not page["has_more"]:
            break
    assert len(seen) == len(set(seen)) == 27
    status = cloud.call("GET", f"/v1.0/iot-03/devices/{cloud.device(radio='zigbee')}/status")
    assert {entry["code"] for entry in status["result"]} == {"residual_electricity", "alarm_lock"}
