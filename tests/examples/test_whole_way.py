"""From a booking at Harbour to a door by Keyring and back, through the product as it is."""

from __future__ import annotations

import dataclasses
import importlib
import re
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.domain import booking_rules
from app.errors import Unavailable
from app.integrations.locks import LockTarget
from app.models import (
    Accommodation,
    Credential,
    Lock,
    ReconciliationFailure,
    ReconciliationLog,
    Reservation,
)
from app.queue.registry import JOBS
from app.services import (
    channel_mappings,
    channel_properties,
    credentials,
    lock_devices,
    mappings,
    pin_lookup,
    reconciliation,
    vendors,
)
from app.services.audit import SYSTEM, Actor
from app.services.channel_mappings import NewChannelMapping
from app.services.channel_properties import NewChannelProperty
from app.transaction import transaction
from tests.conftest import Clock
from tests.examples.towns import HarbourTown, KeyringTown
from tests.factories import credentials_of, make_accommodation, reload
from tests.integrations.channels.worlds import Booking
from tests.services.pin_bench import Door
from tests.web.conftest import admin, people

__all__ = ["admin", "people"]

STAY = Booking(key="H-1001", unit="B7", arrival="2026-03-12", departure="2026-03-14")


def run_due() -> ReconciliationLog:
    """The clock's tick and the worker's job, by the paths the registry names."""
    _call("reconciliation.tick_harbour")
    with transaction() as session:
        pending = select(ReconciliationLog.id).where(
            ReconciliationLog.status == "pending", ReconciliationLog.kind == "harbour"
        )
        run_id = session.scalars(pending).one()
    _call("reconciliation.run", str(run_id))
    with transaction() as session:  # not "the newest": the clock stands still between two runs
        return session.get_one(ReconciliationLog, run_id)


def _call(job: str, *arguments: str) -> None:
    module, _, function = JOBS[job].path.rpartition(".")
    getattr(importlib.import_module(module), function)(*arguments)


def stays() -> list[Reservation]:
    with transaction() as session:
        return list(session.scalars(select(Reservation).order_by(Reservation.created_at)))


def map_berth(room: Accommodation, berth: str = "B7") -> UUID:
    """What an administrator does once: connect the house, and say which berth is which room."""
    house = channel_properties.create(
        NewChannelProperty(
            property_id=room.property_id, channel_name="harbour", channel_property_id="quay"
        ),
        actor=SYSTEM,
    )
    mapped = channel_mappings.create(
        NewChannelMapping(
            channel_property_id=house.id,
            mapping_type="room",
            internal_id=room.id,
            external_id=berth,
        ),
        actor=SYSTEM,
    )
    return mapped.mapping.id


@pytest.fixture
def room(quay: Flask, clock: Clock) -> Accommodation:
    """A room that neither Stays nor Beds24 has heard of."""
    return make_accommodation(stays_id=None, name="Cabin")


@pytest.fixture
def door(
    room: Accommodation, keyring_town: KeyringTown, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Door:
    """The room with a lock that Keyring's account has listed."""
    monkeypatch.setattr(pin_lookup, "SECOND_LOOK_SECONDS", 0.0)
    assert lock_devices.refresh().listed == 1
    with transaction() as session:
        lock = session.scalars(select(Lock)).one()
    assert (lock.vendor, lock.device_id, lock.battery) == ("keyring", "lock1", 77)
    mappings.map_lock(room.id, lock.id, actor=SYSTEM)
    return Door(cast(Any, keyring_town), clock, room, lock)


def test_a_booking_opens_its_door_and_no_longer_than_it_may(
    door: Door, harbour_town: HarbourTown, keyring_town: KeyringTown, clock: Clock
) -> None:
    map_berth(door.room)
    harbour_town.put(STAY)
    run = run_due()
    assert (run.status, run.created, run.errors) == ("success", 1, 0)
    [stay] = stays()
    assert (stay.source, stay.channel, stay.external_id) == ("harbour", "harbour", "H-1001")
    assert (stay.accommodation_id, stay.guest_name) == (door.room.id, "Marta Example")

    door.work()
    assert keyring_town.doors["lock1"] == {}  # not before its time
    clock.set(stay.check_in_at - timedelta(hours=1))
    door.settle()
    assert door.view(stay).state == "active"
    digits = credentials.reveal(stay.id, actor=Actor("desk")).pin.reveal()
    assert keyring_town.keypad(digits, stay.check_in_at)
    assert not keyring_town.keypad(digits[::-1] + "1", stay.check_in_at)

    clock.set(stay.check_out_at + timedelta(hours=25))
    for _ in range(3):
        door.settle(seconds=90)
    assert [each.state for each in credentials_of(stay)] == ["revoked"]
    assert keyring_town.doors["lock1"] == {}


def test_a_cancellation_takes_the_pin_off(
    door: Door, harbour_town: HarbourTown, keyring_town: KeyringTown, clock: Clock
) -> None:
    map_berth(door.room)
    harbour_town.put(STAY)
    run_due()
    [stay] = stays()
    clock.set(stay.check_in_at - timedelta(hours=1))
    door.settle()
    digits = door.digits(stay)
    assert keyring_town.keypad(digits, stay.check_in_at)
    harbour_town.put(Booking(**(vars(STAY) | {"state": "cancelled"})))
    assert run_due().updated == 1
    assert reload(stay).status == "cancelled"
    for _ in range(3):
        door.settle(seconds=90)
    assert not keyring_town.keypad(digits, stay.check_in_at)
    assert keyring_town.doors["lock1"] == {}


def test_a_lost_answer_leaves_one_key(
    door: Door, harbour_town: HarbourTown, keyring_town: KeyringTown, clock: Clock
) -> None:
    map_berth(door.room)
    harbour_town.put(STAY)
    run_due()
    [stay] = stays()
    clock.set(stay.check_in_at - timedelta(hours=1))
    keyring_town.refuse("create_pin", "down")  # a 503 to a write: it may have worked
    door.work()
    assert door.credential(stay).state == "uncertain"
    clock.move(minutes=3)
    door.settle()
    clock.move(minutes=3)
    door.settle()
    assert len(keyring_town.doors["lock1"]) == 1
    assert door.view(stay).state == "active"


def test_a_berth_nobody_has_mapped_waits_and_is_taken_in_once_it_is(
    room: Accommodation, harbour_town: HarbourTown
) -> None:
    harbour_town.put(STAY)
    run = run_due()
    assert (run.status, run.created, run.errors) == ("success", 0, 1)
    with transaction() as session:
        left = session.scalars(select(ReconciliationFailure)).one()
    assert (left.channel, left.external_id, left.kind) == ("harbour", "H-1001", "unmapped")
    assert left.reason == "unit B7 is not mapped"
    map_berth(room)
    run = run_due()
    assert (run.created, run.errors) == (1, 0)
    assert stays()[0].accommodation_id == room.id


def test_an_outage_is_a_failed_run_and_changes_nothing(
    room: Accommodation, harbour_town: HarbourTown
) -> None:
    map_berth(room)
    harbour_town.put(STAY)
    run_due()
    harbour_town.fail("refused")
    run = run_due()
    assert (run.status, run.message) == ("failed", "Failed to fetch from Harbour API")
    assert [stay.status for stay in stays()] == ["confirmed"]
    with transaction() as session:
        known = vendors.state(session, "harbour")
    assert known is not None
    assert known.last_error_kind == "unauthorized"


def test_people_see_both_by_name(
    door: Door, harbour_town: HarbourTown, admin: FlaskClient, clock: Clock
) -> None:
    map_berth(door.room)
    harbour_town.put(STAY)
    run_due()
    [stay] = stays()
    for path in ("/", "/reservations", "/channels", "/locks", "/reconciliation", "/figures"):
        assert admin.get(path, follow_redirects=True).status_code == 200, path
    page = admin.get(f"/reservations/{stay.id}").text
    assert "Harbour" in page
    assert "Marta Example" in page
    assert "H-1001" in page
    runs = admin.get("/reconciliation?kind=harbour").text
    [card] = re.findall(r'<a id="kind-harbour".*?</a>', runs, re.DOTALL)
    assert "every 15 min" in card
    assert "Not connected" not in card
    assert reconciliation.next_run(clock.now, "harbour") == clock.now + timedelta(minutes=3)
    assert "Door lock1" in admin.get("/locks").text


def test_harbours_booking_is_harbours_to_change(
    room: Accommodation, harbour_town: HarbourTown
) -> None:
    map_berth(room)
    harbour_town.put(STAY)
    run_due()
    [stay] = stays()
    booking = booking_rules.Booking(stay.source, None, stay.status, stay.check_in_on)
    [reason] = booking_rules.against_cancelling(booking)
    assert reason.who == "Harbour"


def test_without_an_account_nothing_is_asked(quay: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    now: Any = quay.extensions["settings"]
    nothing = dataclasses.replace(now, harbour_api_url=None, keyring_api_url=None)
    monkeypatch.setitem(quay.extensions, "settings", nothing)
    with pytest.raises(Unavailable, match="HARBOUR_API_URL and HARBOUR_API_KEY"):
        reconciliation.start("harbour", trigger="manual")
    with pytest.raises(Unavailable, match="KEYRING_API_URL"):
        vendors.lock_client("keyring")


def test_the_digits_stay_inside(door: Door, harbour_town: HarbourTown, clock: Clock) -> None:
    """What the vendor lists has no digits in it, and no row has them in clear."""
    map_berth(door.room)
    harbour_town.put(STAY)
    run_due()
    [stay] = stays()
    clock.set(stay.check_in_at - timedelta(hours=1))
    door.settle()
    digits = door.digits(stay)
    with transaction() as session:
        rows = [str(vars(row)) for row in session.scalars(select(Credential))]
    assert rows
    assert all(digits not in row for row in rows)
    listed = vendors.lock_client("keyring").list_pins(LockTarget("lock1", "wifi"))
    assert len(listed) == 1
    assert digits not in repr(listed)
