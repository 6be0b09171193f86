"""What every lock vendor promises (app/integrations/locks), run against each of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta

import pytest

from app.clock import utcnow
from app.integrations import errors
from app.integrations.locks import (
    LOCK_VENDORS,
    LockClient,
    LockPin,
    LockPinState,
    LockTarget,
)
from tests.contracts.lock_benches import BENCHES, Bench
from tests.integrations.locks.orders import make_order

TARGET = LockTarget("lock1", "wifi")


@pytest.fixture(
    params=[b for vendor in sorted(LOCK_VENDORS) for b in BENCHES[vendor]],
    ids=lambda b: b.__name__,
)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made: Bench = request.param()
    yield made
    made.close()


@pytest.fixture
def client(bench: Bench) -> LockClient:
    return bench.client


def only(client: LockClient) -> LockPin:
    [pin] = client.list_pins(TARGET)
    return pin


def test_accepted_is_not_installed(bench: Bench, client: LockClient) -> None:
    order = make_order(TARGET, digits="4821736")
    inside = order.valid_from + timedelta(hours=1)
    ref = client.create_pin(order)
    assert isinstance(ref, str)
    assert only(client).state is LockPinState.PENDING
    assert not bench.keypad("4821736", inside)
    bench.sync()
    assert only(client).state is LockPinState.INSTALLED
    assert bench.keypad("4821736", inside)


def test_a_pin_comes_back_with_its_name_window_and_ref_but_not_its_digits(
    client: LockClient,
) -> None:
    order = make_order(TARGET, "PP-7KQ2M9XWZR", "4821736")
    ref = client.create_pin(order)
    pin = only(client)
    assert (pin.ref, pin.name) == (ref, "PP-7KQ2M9XWZR")
    assert (pin.valid_from, pin.expires_at) == (order.valid_from, order.expires_at)
    assert pin.detail
    assert "4821736" not in repr(pin)


def test_a_pin_opens_in_its_window_only(bench: Bench, client: LockClient) -> None:
    order = make_order(TARGET, digits="4821736")
    client.create_pin(order)
    bench.sync()
    second = timedelta(seconds=1)
    assert not bench.keypad("4821736", order.valid_from - second)
    assert bench.keypad("4821736", order.valid_from)
    assert bench.keypad("4821736", order.expires_at - second)
    assert not bench.keypad("4821736", order.expires_at)
    assert not bench.keypad("4821737", order.valid_from)


def test_removal_is_proved_by_the_list_and_not_by_the_answer(
    bench: Bench, client: LockClient
) -> None:
    order = make_order(TARGET, digits="4821736")
    inside = order.valid_from + timedelta(hours=1)
    ref = client.create_pin(order)
    bench.sync()
    client.delete_pin(TARGET, ref)
    assert only(client).state is LockPinState.DELETING
    assert bench.keypad("4821736", inside)
    bench.sync()
    assert only(client).state is LockPinState.GONE
    assert not bench.keypad("4821736", inside)
    client.purge_record(TARGET, ref)
    assert client.list_pins(TARGET) == []


def test_a_pin_that_never_reached_the_lock_is_gone_at_once(client: LockClient) -> None:
    ref = client.create_pin(make_order(TARGET))
    client.delete_pin(TARGET, ref)
    assert only(client).state is LockPinState.GONE


def test_removing_what_is_not_there_is_done(client: LockClient) -> None:
    client.delete_pin(TARGET, "424242")
    client.purge_record(TARGET, "424242")


def test_removal_touches_nothing_else(bench: Bench, client: LockClient) -> None:
    first = client.create_pin(make_order(TARGET, "PP-A", "4821736"))
    client.create_pin(make_order(TARGET, "PP-B", "5821736"))
    bench.sync()
    client.delete_pin(TARGET, first)
    bench.sync()
    client.purge_record(TARGET, first)
    assert only(client).name == "PP-B"
    assert only(client).state is LockPinState.INSTALLED


def test_a_changed_window_is_pending_until_delivered(bench: Bench, client: LockClient) -> None:
    order = make_order(TARGET, nights=1)
    ref = client.create_pin(order)
    bench.sync()
    longer = replace(order, expires_at=order.expires_at + timedelta(days=2))
    late = longer.expires_at - timedelta(hours=1)
    client.change_pin(ref, longer)
    assert only(client).state is LockPinState.PENDING
    assert only(client).expires_at == longer.expires_at
    assert not bench.keypad("4821736", late)
    bench.sync()
    assert bench.keypad("4821736", late)


def test_changing_what_is_not_there_is_not_found(client: LockClient) -> None:
    with pytest.raises(errors.NotFound):
        client.change_pin("424242", make_order(TARGET))


def test_one_name_once(client: LockClient) -> None:
    client.create_pin(make_order(TARGET, "PP-A", "4821736"))
    with pytest.raises(errors.NameTaken):
        client.create_pin(make_order(TARGET, "PP-A", "5821736"))


def test_the_same_digits_once(client: LockClient) -> None:
    client.create_pin(make_order(TARGET, "PP-A", "4821736"))
    with pytest.raises(errors.PinTaken):
        client.create_pin(make_order(TARGET, "PP-B", "4821736"))


def test_name_and_digits_are_free_again_after_removal(bench: Bench, client: LockClient) -> None:
    order = make_order(TARGET)
    ref = client.create_pin(order)
    bench.sync()
    client.delete_pin(TARGET, ref)
    bench.sync()
    client.purge_record(TARGET, ref)
    assert client.create_pin(order) != ref


def test_a_full_lock_has_room_after_a_removal(bench: Bench, client: LockClient) -> None:
    bench.fill(2)
    ref = client.create_pin(make_order(TARGET, "PP-A", "4821736"))
    client.create_pin(make_order(TARGET, "PP-B", "5821736"))
    with pytest.raises(errors.LockFull):
        client.create_pin(make_order(TARGET, "PP-C", "6821736"))
    client.delete_pin(TARGET, ref)
    bench.sync()
    client.create_pin(make_order(TARGET, "PP-C", "6821736"))


def test_a_window_that_has_begun_is_refused(client: LockClient) -> None:
    with pytest.raises(errors.StartInPast):
        client.create_pin(make_order(TARGET, valid_from=utcnow() - timedelta(minutes=5)))
    assert client.list_pins(TARGET) == []


@pytest.mark.parametrize("digits", ["123456", "12345678"])
def test_another_length_is_refused_for_good(client: LockClient, digits: str) -> None:
    with pytest.raises(errors.Rejected) as caught:
        client.create_pin(make_order(TARGET, digits=digits))
    assert not caught.value.retryable
    assert digits not in str(caught.value)


def test_a_lost_answer_is_found_by_its_name(bench: Bench, client: LockClient) -> None:
    order = make_order(TARGET)
    bench.lose_answer("create_pin")
    with pytest.raises(errors.Unconfirmed):
        client.create_pin(order)
    assert only(client).name == order.name
    with pytest.raises(errors.NameTaken):
        client.create_pin(order)


@pytest.mark.parametrize("call", ["change_pin", "delete_pin", "purge_record"])
def test_a_lost_answer_to_any_change_is_unconfirmed(
    bench: Bench, client: LockClient, call: str
) -> None:
    order = make_order(TARGET)
    ref = client.create_pin(order)
    bench.lose_answer(call)
    arguments = (ref, order) if call == "change_pin" else (TARGET, ref)
    with pytest.raises(errors.Unconfirmed):
        getattr(client, call)(*arguments)


@pytest.mark.parametrize("call", ["list_pins", "devices"])
@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("quota", errors.QuotaExhausted),
        ("credentials", errors.Unauthorized),
        ("down", errors.Unreachable),
    ],
)
def test_a_failed_read_raises_and_is_never_an_empty_list(
    bench: Bench, client: LockClient, call: str, word: str, kind: type[Exception]
) -> None:
    client.create_pin(make_order(TARGET))
    bench.refuse(call, word)
    with pytest.raises(kind):
        client.list_pins(TARGET) if call == "list_pins" else client.devices()
    assert len(client.list_pins(TARGET)) == len(client.devices()) == 1


@pytest.mark.parametrize("call", ["create_pin", "delete_pin"])
@pytest.mark.parametrize(
    ("word", "kind"), [("offline", errors.LockOffline), ("busy", errors.LockBusy)]
)
def test_a_lock_that_cannot_now_can_later(
    bench: Bench, client: LockClient, call: str, word: str, kind: type[errors.IntegrationError]
) -> None:
    ref = client.create_pin(make_order(TARGET, "PP-A", "4821736"))
    bench.refuse(call, word)
    for attempt in range(2):
        with pytest.raises(kind) if attempt == 0 else nullcontext():
            if call == "create_pin":
                client.create_pin(make_order(TARGET, "PP-B", "5821736"))
            else:
                client.delete_pin(TARGET, ref)
    assert kind("").retryable


def test_the_account_lists_its_locks(client: LockClient) -> None:
    [device] = client.devices()
    assert (device.device_id, device.category) == ("lock1", "ms")
    assert (device.online, device.battery, device.low_battery) == (True, 77, False)


def test_the_vendors_clock_is_ours_within_a_second(client: LockClient) -> None:
    client.list_pins(TARGET)
    offset = client.clock_offset()
    assert offset is not None
    assert abs(offset) < 1
