"""PINs on Tuya locks: what is sent, what comes back, and what is refused before it is sent."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.clock import utcnow
from app.config import Settings
from app.domain.pins import Pin
from app.integrations import errors
from app.integrations.locks import LockPinState, LockTarget, load_vendor
from app.integrations.locks.tuya import TuyaCloud, TuyaLocks
from tests.integrations.locks.orders import make_order
from tests.integrations.locks.tuya_standin import ACCESS_ID, ACCESS_SECRET, StandIn


def test_the_body_is_what_the_contract_asks_for(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget
) -> None:
    order = make_order(target, digits="4821736")
    ref = locks.create_pin(order)
    [seen] = cloud.sent("/temp-password")
    body = json.loads(seen.body)
    assert body == {
        "name": order.name,
        "password": body["password"],
        "password_type": "ticket",
        "ticket_id": "ticket0",
        "effective_time": int(order.valid_from.timestamp()),
        "invalid_time": int(order.expires_at.timestamp()),
        "type": 0,
    }
    assert len(body["password"]) == 32
    assert body["password"] == body["password"].lower()
    assert cloud.doors["lock1"].records[int(ref)]["digits"] == "4821736"


@pytest.mark.parametrize("hex_case", ["lower", "upper"])
def test_the_case_of_the_hex_is_the_locks(cloud: StandIn, locks: TuyaLocks, hex_case: str) -> None:
    """§0.2: one door wants one, another the other."""
    cloud.add_door("picky", upper=hex_case == "upper")
    right = LockTarget("picky", "wifi", hex_case=hex_case)
    # twelve PINs: a ciphertext with letters in it is then all but certain
    for n in range(12):
        locks.create_pin(make_order(right, f"PP-{n}", f"48217{n + 10}"))
    wrong = replace(right, hex_case="lower" if hex_case == "upper" else "upper")
    refused = 0
    for n in range(12):
        try:
            locks.create_pin(make_order(wrong, f"QQ-{n}", f"58217{n + 10}"))
        except errors.Rejected:
            refused += 1
    assert refused


def test_each_write_has_a_ticket_of_its_own(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget
) -> None:
    ref = locks.create_pin(make_order(target))
    locks.change_pin(ref, make_order(target, nights=3))
    bodies = [json.loads(s.body) for s in cloud.seen if s.body]
    assert [b["ticket_id"] for b in bodies] == ["ticket0", "ticket1"]
    assert cloud.tickets == {}


def test_a_busy_keypad_works_with_a_new_ticket(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget
) -> None:
    cloud.fail("/temp-password", 2328)
    with pytest.raises(errors.LockBusy) as caught:
        locks.create_pin(make_order(target))
    assert caught.value.retry_after == 60
    locks.create_pin(make_order(target))
    assert json.loads(cloud.sent("/temp-password")[-1].body)["ticket_id"] == "ticket1"


def test_a_wrong_secret_shows_when_the_ticket_is_opened(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget
) -> None:
    sealed_for_another = "DD21F14D23AAA7791BEF4517998B58A338927F15D91639B1159795B4A293B7AE"
    ticket = {"ticket_id": "t", "ticket_key": sealed_for_another, "expire_time": 360}
    cloud.fail("/password-ticket", {"success": True, "result": ticket})
    with pytest.raises(errors.Unauthorized):
        locks.create_pin(make_order(target))
    assert not cloud.sent("/temp-password")


@pytest.mark.parametrize(
    "ticket",
    [
        None,
        [],
        {},
        {"ticket_id": "t"},
        {"ticket_id": 1, "ticket_key": "aa"},
        {"ticket_id": "t", "ticket_key": "zz"},
        {"ticket_id": "t", "ticket_key": "aa"},
    ],
)
def test_a_ticket_of_another_shape(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget, ticket: object
) -> None:
    cloud.fail("/password-ticket", {"success": True, "result": ticket})
    with pytest.raises(errors.Unreadable):
        locks.create_pin(make_order(target))
    assert not cloud.sent("/temp-password")


@pytest.mark.parametrize("result", [None, True, {}, {"id": None}, {"id": "x"}, {"id": True}, []])
def test_an_accepted_pin_without_an_id_is_unconfirmed(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget, result: object
) -> None:
    cloud.fail("/temp-password", {"success": True, "result": result})
    with pytest.raises(errors.Unconfirmed):
        locks.create_pin(make_order(target))


def test_what_cannot_work_is_refused_without_a_call(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget
) -> None:
    good = make_order(target)
    for bad in (
        replace(good, pin=Pin("123456")),
        replace(good, name="token invalid"),
        replace(good, name="Ana Souza"),
        replace(good, name=""),
        replace(good, name="P" * 21),
        replace(good, expires_at=good.valid_from),
        replace(good, valid_from=datetime(2030, 1, 1)),  # noqa: DTZ001 - naive on purpose
        replace(good, target=replace(target, device_id="../users")),
    ):
        with pytest.raises(errors.Rejected):
            locks.create_pin(bad)
    for call in (locks.delete_pin, locks.purge_record):
        with pytest.raises(errors.Rejected):
            call(target, "rest-password")
    with pytest.raises(errors.StartInPast):
        locks.create_pin(replace(good, valid_from=utcnow() - timedelta(seconds=1)))
    assert cloud.seen == []


def test_a_six_digit_lock_takes_six_digits(cloud: StandIn, locks: TuyaLocks) -> None:
    cloud.add_door("mk1", pin_length=6)
    target = LockTarget("mk1", "wifi", pin_length=6)
    locks.create_pin(make_order(target, digits="482173"))
    [record] = cloud.doors["mk1"].records.values()
    assert record["digits"] == "482173"


def test_a_list_tells_state_window_and_detail(cloud: StandIn, locks: TuyaLocks) -> None:
    target = LockTarget("lock1", "zigbee")
    entry = {"id": 12345678901, "name": "PP-A", "phase": 2, "delivery_status": 5, "sn": 3}
    times = {"effective_time": 1767225600, "invalid_time": 1767312000}
    foreign = {"id": "77", "phase": 2, "effective_time": 0, "phone": "x", "schedule_list": []}
    cloud.fail("/temp-passwords", {"success": True, "result": [entry | times, foreign]})
    ours, other = locks.list_pins(target)
    assert (ours.ref, ours.name, ours.state) == ("12345678901", "PP-A", LockPinState.FAILED)
    assert ours.valid_from == datetime(2026, 1, 1, tzinfo=UTC)
    assert ours.expires_at == datetime(2026, 1, 2, tzinfo=UTC)
    assert ours.detail == "phase 2, delivery 5: lock memory full"
    assert (other.ref, other.name, other.valid_from) == ("77", "", None)
    assert other.state is LockPinState.INSTALLED


@pytest.mark.parametrize("result", [None, {}, "x", [1], [{"phase": 2}], [{"id": "a", "phase": 2}]])
def test_a_list_with_an_unreadable_part_is_no_list(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget, result: object
) -> None:
    cloud.fail("/temp-passwords", {"success": True, "result": result})
    with pytest.raises(errors.Unreadable):
        locks.list_pins(target)


@pytest.mark.parametrize("code", [2310, 2321, 2323])
def test_a_pin_that_is_not_there_is_deleted(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget, code: int
) -> None:
    cloud.fail("/temp-passwords/1001", code)
    locks.delete_pin(target, "1001")
    cloud.fail("/temp-passwords/1001/record", code)
    locks.purge_record(target, "1001")


def test_a_record_of_which_there_is_no_data_is_purged(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget
) -> None:
    cloud.fail("/record", 1000)
    locks.purge_record(target, "1001")
    cloud.fail("/record", 1106)
    with pytest.raises(errors.Unauthorized):
        locks.purge_record(target, "1001")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (2312, errors.LockOffline),
        (2328, errors.LockBusy),
        (1106, errors.Unauthorized),
        (2010, errors.NotFound),
        (1000, errors.NotFound),
        (28841004, errors.QuotaExhausted),
    ],
)
def test_other_refusals_of_a_delete_are_raised(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget, code: int, kind: type[Exception]
) -> None:
    cloud.fail("/temp-passwords/1001", code)
    with pytest.raises(kind):
        locks.delete_pin(target, "1001")


def test_nothing_ever_clears_a_lock(cloud: StandIn, locks: TuyaLocks, target: LockTarget) -> None:
    """§4.6: that would remove other parties' codes."""
    cloud.doors["lock1"].records[7] = {
        "id": 7, "name": "cleaner", "phase": 2, "digits": "9999991",
        "effective_time": 1, "invalid_time": 2,
    }  # fmt: skip
    ref = locks.create_pin(make_order(target))
    locks.delete_pin(target, ref)
    locks.purge_record(target, ref)
    assert [p.name for p in locks.list_pins(target)] == ["cleaner"]
    assert not [s for s in cloud.seen if "rest-password" in s.path or "reset" in s.path]


def make_settings(**more: str) -> Settings:
    return Settings(
        app_env="local",
        database_url="",
        redis_url="",
        secret_key="",
        jwt_secret="",
        pin_encryption_keys=(),
        **more,  # type: ignore[arg-type]
    )


def test_one_project_has_one_client(cloud: StandIn) -> None:
    """§8.4: two clients in a process would fetch two tokens."""
    make = load_vendor("tuya")
    project = {
        "tuya_api_region": "eu",
        "tuya_access_id": ACCESS_ID,
        "tuya_access_secret": ACCESS_SECRET,
        "tuya_api_url": cloud.url,
    }
    first = make(make_settings(**project))
    assert first is make(make_settings(**project, log_level="DEBUG"))
    assert first is not make(make_settings(**project | {"tuya_access_id": "another"}))
    assert [d.device_id for d in first.devices()] == ["lock1"]
    assert cloud.seen[0].path == "/v1.0/token"
    assert isinstance(first, TuyaLocks)
    first.cloud.close()


def test_an_unconfigured_project_is_named() -> None:
    with pytest.raises(errors.Unauthorized, match="not configured"):
        load_vendor("tuya")(make_settings())


def test_a_forked_worker_talks_on_a_connection_of_its_own(
    cloud: StandIn, line: TuyaCloud, locks: TuyaLocks, target: LockTarget
) -> None:
    locks.list_pins(target)
    parents = line._session
    line._lock.acquire()  # as when another thread was talking at the moment of the fork
    line._after_fork()
    assert line._session is not parents
    assert locks.list_pins(target) == []
    assert cloud.tokens_issued == 1
    assert cloud.connections == 2
    parents.close()
