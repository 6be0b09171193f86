"""The demo has a stay for every PIN state, whatever the hour (INTERFACES §10)."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.sandbox import bookings, demo, engine, seed
from app.sandbox.places import KYOTO, LISBON, PARATY, PLACES, Place
from app.sandbox.records import Booking, World
from tests.sandbox.wire import Clock, Cloud

MOMENTS = [
    datetime(2026, 11, 21, tzinfo=UTC) + timedelta(hours=11 * n, minutes=7 * n) for n in range(40)
]


def window(place: Place, booking: Booking) -> tuple[datetime, datetime]:
    """When the product should let the guest in, from the property's own settings."""

    def moment(day: str, clock: str) -> datetime:
        parsed = datetime.combine(datetime.fromisoformat(day), time.fromisoformat(clock))
        return parsed.replace(tzinfo=ZoneInfo(place.time_zone)).astimezone(UTC)

    opens = moment(booking.check_in, booking.check_in_time or place.check_in_time)
    closes = moment(booking.check_out, booking.check_out_time or place.check_out_time)
    return opens - timedelta(hours=place.lead_hours), closes + timedelta(hours=place.grace_hours)


def arranged(world: World, place: Place, number: str) -> list[Booking]:
    listing = f"{place.key}{number}"
    found = [b for b in world.bookings.values() if b.listing == listing]
    return sorted(found, key=lambda b: b.check_in)


@pytest.mark.parametrize("now", MOMENTS, ids=str)
def test_every_state_has_its_stay(now: datetime) -> None:
    world = demo.build(now)

    active = arranged(world, PARATY, "101")[0]
    start, end = window(PARATY, active)
    assert start <= now < end - timedelta(hours=24)

    leaving, arriving = arranged(world, PARATY, "102")[:2]
    today = now.astimezone(ZoneInfo(PARATY.time_zone)).date().isoformat()
    assert leaving.check_out == arriving.check_in == today

    delivering = arranged(world, PARATY, "103")[0]
    start, _ = window(PARATY, delivering)
    check_in = start + timedelta(hours=2)
    assert start - timedelta(hours=PARATY.preload_hours) <= now
    assert check_in - now > timedelta(minutes=60)  # not failed yet (DECISIONS 8)
    sleeper = world.locks[PARATY.device_id(PARATY.units[2])]
    assert (sleeper.radio, sleeper.power, sleeper.awake_until) == ("wifi", "battery", 0.0)

    unmapped = arranged(world, PARATY, "104")[0]
    assert world.listing_of(unmapped).device_id is None

    failed = arranged(world, LISBON, "11")[0]
    start, end = window(LISBON, failed)
    assert start + timedelta(hours=1) <= now < end  # check-in less than an hour away, or past
    assert world.lock_has(LISBON.device_id(LISBON.units[0]), "offline")

    assert arranged(world, LISBON, "12")[0].story == "cancel"
    assert arranged(world, LISBON, "13")[0].type == "canceled"
    awaiting = arranged(world, LISBON, "14")[0]
    assert awaiting.type == "booked"  # a pre-reservation would need no PIN yet
    assert window(LISBON, awaiting)[0] > now + timedelta(hours=24)

    revoking = arranged(world, KYOTO, "01")[0]
    assert revoking.story == "sleep_and_cancel"
    assert world.locks[KYOTO.device_id(KYOTO.units[0])].awake_until > now.timestamp()

    ending = arranged(world, KYOTO, "02")[0]
    _, end = window(KYOTO, ending)
    assert timedelta(minutes=3) < end - now <= timedelta(minutes=5)


@pytest.mark.parametrize("now", MOMENTS[:12], ids=str)
def test_the_demo_is_plausible(now: datetime) -> None:
    world = demo.build(now)
    assert demo.build(now) == world
    assert len(world.listings) == len(world.locks) == 24
    assert 45 <= len(world.bookings) <= 85
    kept = [b for b in world.bookings.values() if b.type != "canceled"]
    for position, booking in enumerate(kept):
        assert booking.check_in < booking.check_out
        assert booking.created_at <= booking.updated_at <= now.timestamp()
        assert now.timestamp() - booking.updated_at < 24 * 3600  # a first reading finds it
        for other in kept[position + 1 :]:
            apart = booking.check_out <= other.check_in or other.check_out <= booking.check_in
            assert booking.listing != other.listing or apart
    assert {lock.radio for lock in world.locks.values()} == {"wifi", "zigbee"}
    assert any(lock.battery <= 20 for lock in world.locks.values())
    assert len({b.code for b in world.bookings.values()}) == len(world.bookings)
    assert any(not b.guest.name.isascii() for b in kept)


def test_a_later_day_joins_an_older_demo_without_overlaps() -> None:
    world = demo.build(MOMENTS[0])
    known = set(world.bookings)
    demo.roll_forward(world, demo.build(MOMENTS[0] + timedelta(days=3)))
    assert known < set(world.bookings)
    kept = [b for b in world.bookings.values() if b.type != "canceled"]
    for position, booking in enumerate(kept):
        for other in kept[position + 1 :]:
            apart = booking.check_out <= other.check_in or other.check_out <= booking.check_in
            assert booking.listing != other.listing or apart, (booking, other)


def test_the_story_of_a_guest_who_cancels(cloud: Cloud, clock: Clock) -> None:
    unit = LISBON.units[1]
    device = LISBON.device_id(unit)
    with cloud.sandbox.store.open(changes=False) as world:
        booking = arranged(world, LISBON, "12")[0]
    engine.tick(cloud.sandbox)
    clock.advance(minutes=5)
    engine.tick(cloud.sandbox)
    assert booking.type == "booked"  # nothing happens before the PIN is on the lock
    cloud.create(device, "482915", start=0)
    for _ in range(4):
        clock.advance(seconds=5)
        engine.tick(cloud.sandbox)
    assert booking.type == "canceled"
    last = cloud.sandbox.webhooks.history()[0]
    assert last["action"] == "reservation.cancelled"
    assert last["body"]["data"]["id"] == booking.code


def test_the_story_of_a_lock_that_falls_asleep(cloud: Cloud, clock: Clock) -> None:
    device = KYOTO.device_id(KYOTO.units[0])
    password = cloud.create(device, "4829157", start=0, upper=True)["result"]["id"]
    for _ in range(4):
        clock.advance(seconds=5)
        engine.tick(cloud.sandbox)
    with cloud.sandbox.store.open(changes=False) as world:
        assert arranged(world, KYOTO, "01")[0].type == "canceled"
    cloud.delete(device, password)
    clock.advance(minutes=10)
    assert [entry["phase"] for entry in cloud.list(device)] == [3]  # revoking
    cloud.client.post(f"/control/locks/{device}/touch")
    clock.advance(seconds=3)
    assert [entry["phase"] for entry in cloud.list(device)] == [0]


@pytest.mark.parametrize("dialect", ["simple", "external"])
def test_the_seed_fits_the_sandbox(dialect: str) -> None:
    product = seed.demo_product(dialect)
    world = demo.build(MOMENTS[0])
    assert [p.name for p in product.properties] == [place.name for place in PLACES]
    assert sum(t.total_units for t in product.room_types) == len(product.accommodations) == 24
    assert {lock.device_id for lock in product.locks} == set(world.locks)
    listings = {
        (u.long_id if dialect == "external" else u.code): u for u in world.listings.values()
    }
    assert {a.stays_id for a in product.accommodations} == set(listings)
    assert len(product.mappings) == 23
    for mapping in product.mappings:
        assert listings[mapping.stays_id].device_id == mapping.device_id
    for lock in product.locks:
        real = world.locks[lock.device_id]
        assert (lock.radio, lock.pin_length) == (real.radio, real.pin_length)
        assert real.hex_case in ("any", lock.hex_case)


def test_deleting_ends_a_story(cloud: Cloud, clock: Clock) -> None:
    device = LISBON.device_id(LISBON.units[1])
    with cloud.sandbox.store.open(changes=False) as world:
        booking = arranged(world, LISBON, "12")[0]
    bookings.delete(cloud.sandbox, booking.code)
    cloud.create(device, "482915", start=0)
    for _ in range(4):
        clock.advance(seconds=5)
        engine.tick(cloud.sandbox)
    assert booking.type == "booked"
