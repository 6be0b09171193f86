"""Tokens: every expiry wording, renewal ahead, recovery, and sixteen threads (§8.3, §8.4)."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import timedelta

import pytest

from app import clock
from app.integrations import errors
from app.integrations.locks import LockTarget
from app.integrations.locks.tuya import TuyaCloud, TuyaLocks
from app.integrations.locks.tuya import cloud as cloud_module
from tests.integrations.locks.conftest import IMPATIENT, QUICK
from tests.integrations.locks.orders import make_order
from tests.integrations.locks.tuya_standin import EXPIRED_WORDINGS, StandIn


@pytest.mark.parametrize(("code", "msg"), EXPIRED_WORDINGS)
def test_every_expiry_wording_renews_and_replays_once(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget, code: int, msg: str
) -> None:
    locks.list_pins(target)
    cloud.expire_token(code, msg)
    assert locks.list_pins(target) == []
    assert cloud.tokens_issued == 2
    assert len(cloud.sent("/temp-passwords")) == 3


@pytest.mark.parametrize(("code", "msg"), EXPIRED_WORDINGS)
def test_a_write_refused_for_its_token_is_done_once_with_a_new_ticket(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget, code: int, msg: str
) -> None:
    locks.list_pins(target)
    refusal = {"success": False, "code": code, "msg": msg}
    cloud.fail("/temp-password", refusal)
    locks.create_pin(make_order(target))
    assert cloud.executed == ["create"]
    assert len(cloud.sent("/password-ticket")) == 2
    assert cloud.tokens_issued == 2


def test_a_query_survives_the_replay(cloud: StandIn, line: TuyaCloud) -> None:
    """§8.2 #6: tinytuya's own replay would sign an encoded value wrongly."""
    cloud.add_door("lock2")
    line.read("/v1.0/devices/lock1/door-lock/temp-passwords")
    cloud.expire_token(1010, "token invalid")
    line.read("/v1.0/iot-03/devices/status", {"device_ids": "lock1,lock2"})
    assert cloud.tokens_issued == 2


def test_a_token_refused_again_at_once_does_not_loop(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget
) -> None:
    cloud.fail("/temp-passwords", 1010, times=2)
    with pytest.raises(errors.Unreachable):
        locks.list_pins(target)
    assert len(cloud.seen) == 4


def test_a_token_call_that_answers_token_invalid_does_not_recurse(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget
) -> None:
    cloud.fail("/token", {"success": False, "code": 1010, "msg": "token invalid"})
    with pytest.raises(errors.Unreachable):
        locks.list_pins(target)
    assert len(cloud.seen) == 1


def test_the_phrase_in_a_good_answer_is_not_an_expiry(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget
) -> None:
    """§8.3: tinytuya executes such a write twice and answers None."""
    cloud.fail("/temp-password", {"success": True, "result": {"id": 7, "name": "token invalid"}})
    assert locks.create_pin(make_order(target)) == "7"
    assert len(cloud.sent("/temp-password")) == 1
    assert cloud.tokens_issued == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (1004, errors.Unauthorized),
        (28841002, errors.QuotaExhausted),
        (1013, errors.ClockSkewed),
        ((500, b"<html>"), errors.Unreachable),
        ((200, b""), errors.Unreadable),
        ((200, b"null"), errors.Unreadable),
        ((200, b"[1]"), errors.Unreadable),
        ({"success": True}, errors.Unreadable),
        ({"success": True, "result": {"access_token": ""}}, errors.Unreadable),
        ("hang", errors.Unreachable),
        ("reset", errors.Unreachable),
    ],
)
def test_a_failed_renewal_is_not_the_end(
    cloud: StandIn,
    locks: TuyaLocks,
    target: LockTarget,
    fault: object,
    kind: type[errors.IntegrationError],
) -> None:
    """§8.3 sticky death: the cloud has recovered, so the next call works."""
    locks.list_pins(target)
    cloud.expire_token()
    cloud.fail("/token", fault)
    locks.cloud.limits = IMPATIENT if fault == "hang" else QUICK
    with pytest.raises(kind) as caught:
        locks.list_pins(target)
    locks.cloud.limits = QUICK
    assert type(caught.value) is kind
    assert locks.list_pins(target) == []


def test_renewals_that_keep_failing_are_spaced(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(cloud_module, "monotonic", lambda: now)
    cloud.fail("/token", 28841004, times=4)
    asked = []
    for step in (0, 0, 0.5, 0.6, 1.0, 1.1, 5, 0):
        now += step
        with pytest.raises(errors.QuotaExhausted) if len(asked) < 6 else nullcontext():
            locks.list_pins(target)
        asked.append(len(cloud.sent("/token")))
    assert asked == [1, 2, 2, 3, 3, 4, 5, 5]


def test_the_token_is_renewed_before_it_ends(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget
) -> None:
    start = clock.utcnow()
    moment = start
    clock.set_source(lambda: moment)
    try:
        locks.list_pins(target)
        moment = start + timedelta(minutes=89)
        locks.list_pins(target)
        assert cloud.tokens_issued == 1
        moment = start + timedelta(minutes=90)
        locks.list_pins(target)
        assert cloud.tokens_issued == 2
    finally:
        clock.set_source(None)


def test_a_token_handed_out_with_little_life_left_is_renewed_sooner(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget
) -> None:
    cloud.token_life = 1200
    start = clock.utcnow()
    moment = start
    clock.set_source(lambda: moment)
    try:
        locks.list_pins(target)
        moment = start + timedelta(seconds=899)
        locks.list_pins(target)
        assert cloud.tokens_issued == 1
        moment = start + timedelta(seconds=900)
        locks.list_pins(target)
        assert cloud.tokens_issued == 2
    finally:
        clock.set_source(None)


def test_a_renewal_ahead_that_fails_leaves_the_good_token_in_use(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget
) -> None:
    start = clock.utcnow()
    moment = start
    clock.set_source(lambda: moment)
    try:
        locks.list_pins(target)
        moment = start + timedelta(minutes=91)
        cloud.fail("/token", (503, b"busy"))
        assert locks.list_pins(target) == []
        assert locks.list_pins(target) == []
        assert len(cloud.sent("/token")) == 2
        moment = start + timedelta(minutes=92)
        assert locks.list_pins(target) == []
        assert cloud.tokens_issued == 2
    finally:
        clock.set_source(None)


def test_sixteen_threads_at_expiry_cost_one_token_and_lose_no_call(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget
) -> None:
    locks.list_pins(target)
    gate = threading.Barrier(16)

    def three_calls(_: int) -> list[object]:
        gate.wait()
        return [locks.list_pins(target) for _ in range(3)]

    with ThreadPoolExecutor(16) as pool:
        for round_ in range(3):
            cloud.token_delay = 0.1
            cloud.expire_token(*EXPIRED_WORDINGS[round_])
            answers = list(pool.map(three_calls, range(16)))
            assert answers == [[[], [], []]] * 16
            assert cloud.tokens_issued == round_ + 2


def test_threads_writing_at_once_each_use_their_own_ticket(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget
) -> None:
    def create(n: int) -> str:
        return locks.create_pin(make_order(target, f"PP-{n}", f"48217{n + 10}"))

    with ThreadPoolExecutor(8) as pool:
        refs = list(pool.map(create, range(8)))
    assert len(set(refs)) == 8
    lock_calls = [s.path.rpartition("/")[2] for s in cloud.seen if s.method == "POST"]
    assert lock_calls == ["password-ticket", "temp-password"] * 8


def test_a_slow_call_does_not_hold_the_others_for_ever(
    cloud: StandIn, line: TuyaCloud, target: LockTarget
) -> None:
    line.limits = cloud_module.Limits(connect=1, read=1.5, wait=0.2, least=0.05)
    locks = TuyaLocks(line)
    locks.list_pins(target)
    cloud.fail("/temp-passwords", "hang")
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(locks.list_pins, target)
        while len(cloud.sent("/temp-passwords")) < 2:
            time.sleep(0.01)
        began = time.monotonic()
        with pytest.raises(errors.Unreachable, match="taken"):
            locks.list_pins(target)
        assert time.monotonic() - began < 1.2
        with pytest.raises(errors.Unreachable):
            slow.result()
