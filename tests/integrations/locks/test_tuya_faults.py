"""Lost and unreadable answers: what was not executed is told from what may have been (§8.2)."""

from __future__ import annotations

import socket
import time
from datetime import timedelta

import pytest

from app.clock import utcnow
from app.integrations import errors
from app.integrations.locks import LockTarget
from app.integrations.locks.tuya import Limits, TuyaCloud, TuyaLocks
from tests.integrations.locks.conftest import IMPATIENT, QUICK
from tests.integrations.locks.orders import make_order
from tests.integrations.locks.tuya_standin import ACCESS_ID, ACCESS_SECRET, StandIn


def patience(locks: TuyaLocks, fault: object) -> None:
    """Wait briefly where nothing will come."""
    locks.cloud.limits = IMPATIENT if fault in ("hang", "drip") else QUICK


UNREADABLE = [
    (200, b""),
    (200, b"null"),
    (200, b"[]"),
    (200, b"<html>welcome</html>"),
    (200, b"\xff\xfe\x00"),
    (200, b'{"success": "true"}'),
    (200, b'{"success": true'),
]


@pytest.mark.parametrize("fault", [*UNREADABLE, (500, b"<html>"), "lost", "reset", "hang", 500])
def test_a_write_whose_answer_is_lost_is_unconfirmed(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget, fault: object
) -> None:
    patience(locks, fault)
    cloud.fail("/temp-password", fault)
    with pytest.raises(errors.Unconfirmed):
        locks.create_pin(make_order(target))
    assert len(cloud.sent("/temp-password")) == 1


@pytest.mark.parametrize("fault", UNREADABLE)
def test_a_read_that_cannot_be_read(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget, fault: object
) -> None:
    cloud.fail("/temp-passwords", fault)
    with pytest.raises(errors.Unreadable):
        locks.list_pins(target)
    assert locks.list_pins(target) == []


@pytest.mark.parametrize("fault", [(500, b"<html>"), (502, b""), "reset", "hang", "drip", 500])
def test_a_read_without_an_answer_is_unreachable(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget, fault: object
) -> None:
    patience(locks, fault)
    cloud.fail("/temp-passwords", fault)
    with pytest.raises(errors.Unreachable):
        locks.list_pins(target)
    locks.cloud.limits = QUICK
    assert locks.list_pins(target) == []


@pytest.mark.parametrize("fault", ["reset", "hang", 500, (500, b"<html>"), 1109])
def test_a_ticket_that_did_not_come_leaves_nothing_unconfirmed(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget, fault: object
) -> None:
    patience(locks, fault)
    cloud.fail("/password-ticket", fault)
    with pytest.raises(errors.IntegrationError) as caught:
        locks.create_pin(make_order(target))
    assert not isinstance(caught.value, errors.Unconfirmed)
    assert not cloud.sent("/temp-password")


@pytest.mark.parametrize("fault", ["lost", "reset"])
def test_the_name_finds_what_a_lost_answer_left_behind(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget, fault: str
) -> None:
    order = make_order(target)
    cloud.fail("/temp-password", fault)
    with pytest.raises(errors.Unconfirmed):
        locks.create_pin(order)
    [found] = locks.list_pins(target)
    assert (found.name, found.valid_from) == (order.name, order.valid_from)
    with pytest.raises(errors.NameTaken):
        locks.create_pin(order)


@pytest.mark.parametrize("call", ["delete_pin", "purge_record"])
@pytest.mark.parametrize(
    "fault", ["lost", "reset", "hang", 500, {"success": True, "result": False}]
)
def test_a_removal_without_an_answer_is_unconfirmed(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget, call: str, fault: object
) -> None:
    ref = locks.create_pin(make_order(target))
    patience(locks, fault)
    cloud.fail("", fault)
    with pytest.raises(errors.Unconfirmed):
        getattr(locks, call)(target, ref)


def test_silence_ends_after_the_read_limit(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget
) -> None:
    locks.list_pins(target)
    locks.cloud.limits = IMPATIENT
    cloud.fail("/temp-passwords", "hang")
    began = time.monotonic()
    with pytest.raises(errors.Unreachable, match="no answer in time"):
        locks.list_pins(target)
    assert 0.3 < time.monotonic() - began < 3


def test_an_answer_that_trickles_is_cut(
    cloud: StandIn, line: TuyaCloud, target: LockTarget
) -> None:
    line.limits = Limits(connect=0.3, read=0.5, token=2, wait=5, total=5, least=0.05)
    cloud.fail("/temp-passwords", "drip")
    began = time.monotonic()
    with pytest.raises(errors.Unreachable, match="no answer in time"):
        TuyaLocks(line).list_pins(target)
    assert 0.5 < time.monotonic() - began < 3


def test_the_token_call_has_more_time_than_the_others(
    cloud: StandIn, line: TuyaCloud, locks: TuyaLocks, target: LockTarget
) -> None:
    line.limits = Limits(connect=1, read=0.7, token=3, wait=5, total=5, least=0.05)
    cloud.token_delay = 1.0
    assert locks.list_pins(target) == []


def test_a_method_ends_within_its_whole_time(
    cloud: StandIn, line: TuyaCloud, target: LockTarget
) -> None:
    """A slow token leaves too little for the write, which is then not begun."""
    line.limits = Limits(connect=1, read=2, token=2, wait=5, total=2.0, least=1.0)
    cloud.token_delay = 1.2
    with pytest.raises(errors.Unreachable, match="nothing was sent"):
        TuyaLocks(line).create_pin(make_order(target))
    assert [s.path for s in cloud.seen] == ["/v1.0/token"]


def test_published_limits() -> None:
    assert (Limits().connect, Limits().read, Limits().token) == (3.0, 7.0, 10.0)
    assert Limits().total <= 20.0


def test_no_connection_means_nothing_was_sent(target: LockTarget) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    line = TuyaCloud(
        region="eu",
        access_id=ACCESS_ID,
        access_secret=ACCESS_SECRET,
        base_url=url,
        limits=QUICK,
    )
    line._api.token = "t"
    with pytest.raises(errors.Unreachable, match="nothing was sent"):
        TuyaLocks(line).delete_pin(target, "1001")


def test_too_many_calls_names_the_pause_that_was_asked_for(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget
) -> None:
    cloud.fail("/temp-password", "too_many")
    with pytest.raises(errors.RateLimited) as caught:
        locks.create_pin(make_order(target))
    assert caught.value.retry_after == 17
    assert cloud.executed == []


@pytest.mark.parametrize("seconds", [-700, 0, 90])
def test_the_clock_offset_is_read_from_every_answer(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget, seconds: int
) -> None:
    assert locks.clock_offset() is None
    cloud.t_offset_ms = seconds * 1000
    locks.list_pins(target)
    offset = locks.clock_offset()
    assert offset is not None
    assert abs(offset - seconds) < 0.5


def test_1109_for_a_start_the_cloud_has_passed_is_a_start_in_the_past(
    cloud: StandIn, locks: TuyaLocks, target: LockTarget
) -> None:
    """Both codes have been seen for it (§2.2, §5.4); only one of them can be cured by waiting."""
    cloud.t_offset_ms = 20 * 60 * 1000
    cloud.fail("/temp-password", {"success": False, "code": 1109, "msg": "param is illegal"})
    with pytest.raises(errors.StartInPast):
        locks.create_pin(make_order(target, valid_from=utcnow() + timedelta(minutes=10)))
    cloud.t_offset_ms = 0
    locks.list_pins(target)
    cloud.fail("/temp-password", {"success": False, "code": 1109, "msg": "param is illegal"})
    with pytest.raises(errors.Rejected):
        locks.create_pin(make_order(target))
