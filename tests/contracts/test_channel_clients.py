"""What every channel client promises, asked of each dialect in `CHANNELS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
import stamina

from app.integrations.channels import CHANNELS, ChangeSet, load_channel
from app.integrations.errors import (
    IntegrationError,
    NotFound,
    RateLimited,
    Unauthorized,
    Unreachable,
    Unreadable,
)
from tests.integrations.channels.worlds import SINCE, TODAY, WORLDS, Booking, World

FAULTS: dict[str, type[IntegrationError]] = {
    "down": Unreachable,
    "ill": Unreachable,
    "login page": Unreadable,
    "empty": Unreadable,
    "error object": Unreadable,
    "refused": Unauthorized,
    "busy": RateLimited,
}


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield


@pytest.fixture(params=sorted(CHANNELS))
def world(request: pytest.FixtureRequest) -> World:
    return WORLDS[request.param]()


def changes(world: World, **known: str | None) -> ChangeSet:
    return world.client.changes(SINCE, today=TODAY, known=known)


def test_every_dialect_is_held_to_the_contract() -> None:
    assert WORLDS.keys() == CHANNELS.keys()


@pytest.mark.parametrize("dialect", sorted(CHANNELS))
def test_the_map_leads_to_a_factory(dialect: str) -> None:
    assert callable(load_channel(dialect))


def test_a_new_booking_is_read_with_its_guest(world: World) -> None:
    world.put(Booking())
    answer = changes(world)
    (stay,) = answer.reservations
    assert (stay.external_id, stay.accommodation_ref) == (Booking.key, Booking.unit)
    assert (stay.status, stay.kind) == ("confirmed", "stay")
    assert (stay.check_in_on, stay.check_out_on) == (date(2026, 11, 12), date(2026, 11, 15))
    assert (stay.guest_name, stay.guest_email) == ("Marta Example", "marta@example.org")
    assert stay.guest_phone == "+5500000000000"
    assert (stay.amount, stay.currency) == (Decimal("560.1"), "BRL")
    assert (answer.fetched, list(answer.errors)) == (1, [])


def test_one_booking_by_id_is_the_same_one(world: World) -> None:
    world.put(Booking())
    (listed,) = changes(world).reservations
    found = world.client.get(Booking.key)
    assert replace(found, sweep_hash=None) == replace(listed, sweep_hash=None)


def test_every_booking_comes_once(world: World) -> None:
    keys = [f"65aa0000000000000000{n:04d}" for n in range(45)]
    for key in keys:
        world.put(Booking(key=key))
    answer = changes(world)
    assert sorted(stay.external_id for stay in answer.reservations) == keys
    assert answer.fetched == 45


def test_a_cancellation_is_cancelled(world: World) -> None:
    world.put(Booking(state="cancelled"))
    world.put_unit(Booking.unit, "Room 101")
    (stay,) = changes(world).reservations
    assert stay.status == "cancelled"


def test_an_unpaid_booking_is_pending(world: World) -> None:
    world.put(Booking(state="pending"))
    assert changes(world).reservations[0].status == "pending"


def test_one_bad_booking_does_not_stop_the_others(world: World) -> None:
    """STAY-20, STAY-48: each item has its own error boundary."""
    world.put(Booking())
    world.put_broken("65aa0000000000000000c099")
    answer = changes(world)
    assert [stay.external_id for stay in answer.reservations] == [Booking.key]
    (error,) = answer.errors
    assert error.external_id == "65aa0000000000000000c099"
    assert error.reason == "check_out 2026-11-12 is not after check_in 2026-11-12"


def test_what_vanished_is_not_found(world: World) -> None:
    world.put(Booking())
    world.vanish(Booking.key)
    with pytest.raises(NotFound):
        world.client.get(Booking.key)


def test_what_vanished_is_not_seen(world: World) -> None:
    world.put(Booking())
    world.put(Booking(key="65aa0000000000000000c002"))
    world.vanish(Booking.key)
    answer = changes(world)
    assert Booking.key not in answer.seen
    if answer.swept is not None:
        assert "65aa0000000000000000c002" in answer.seen


@pytest.mark.parametrize("how", FAULTS)
@pytest.mark.parametrize("call", ["changes", "get", "listings"])
def test_a_fault_is_never_an_empty_answer(world: World, call: str, how: str) -> None:
    """P2-REC: an outage that reads as no reservations looks like a successful run."""
    world.put(Booking())
    world.fail(how)
    calls: dict[str, Callable[[], object]] = {
        "changes": lambda: changes(world),
        "get": lambda: world.client.get(Booking.key),
        "listings": world.client.listings,
    }
    with pytest.raises(FAULTS[how]) as caught:
        calls[call]()
    assert "secret" not in f"{caught.value!r} {caught.value}"
    assert caught.value.__cause__ is None
    if how == "busy":
        assert caught.value.retry_after == 30


def test_every_unit_is_listed(world: World) -> None:
    for n in range(45):
        world.put_unit(f"65aa0000000000000000d{n:03d}", f"Room {n}")
    units = world.client.listings()
    assert [unit.name for unit in units] == [f"Room {n}" for n in range(45)]
    assert len({unit.external_id for unit in units}) == 45
    assert all(unit.active for unit in units)


def test_no_booking_is_a_good_answer(world: World) -> None:
    answer = changes(world)
    assert (list(answer.reservations), answer.fetched) == ([], 0)
