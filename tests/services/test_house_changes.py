"""Changing properties, units and locks: what follows for stays and PINs, and what is refused."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, time, timedelta
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.event import listen, remove

from app.errors import Conflict, Invalid, NotFound
from app.extensions import db
from app.integrations.errors import Rejected
from app.models import Accommodation, AuditEntry, Credential, Lock, PinJob, Property, Reservation
from app.services import accommodations, locks, mapping_log, mappings, pin_plan, properties
from app.services.accommodations import AccommodationChanges, NewAccommodation
from app.services.audit import SYSTEM
from app.services.inputs import parse
from app.services.locks import LockChanges
from app.services.properties import PropertyChanges, RoomTypeChanges
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import (
    make_accommodation,
    make_lock,
    make_mapping,
    make_property,
    make_room_type,
    make_stay,
    reload,
)
from tests.services.pin_bench import Door, door, jobs_of  # noqa: F401 (fixtures)
from tests.services.pin_bench import locks as fake_locks  # noqa: F401


@pytest.fixture(name="locks")
def _locks(fake_locks: object) -> object:  # noqa: F811
    return fake_locks


def house_of(room: Accommodation) -> Property:
    with transaction() as session:
        return session.get_one(Property, room.property_id)


def changed(room: Accommodation, **fields: object) -> Property:
    return properties.change(room.property_id, parse(PropertyChanges, fields), actor=SYSTEM)


def updates() -> list[AuditEntry]:
    with transaction() as session:
        return list(session.scalars(select(AuditEntry).where(AuditEntry.action == "update")))


# --- a property's hours ---------------------------------------------------------------------------


def test_other_hours_move_the_stays_that_keep_them(app: Flask, clock: Clock) -> None:
    room = make_accommodation()
    stay = make_stay(room, check_in=date(2026, 3, 20))
    late = make_stay(
        room,
        check_in=datetime(2026, 3, 25, 1, 0, tzinfo=UTC),
        check_in_time_known=True,
        check_out_time_known=True,
    )
    changed(room, check_in_time="16:30", check_out_time="10:00")
    moved, kept = reload(stay), reload(late)
    assert moved.check_in_at == datetime(2026, 3, 20, 19, 30, tzinfo=UTC)  # 16:30 in São Paulo
    assert moved.check_out_at == datetime(2026, 3, 22, 13, 0, tzinfo=UTC)
    assert moved.version == stay.version + 1
    assert (kept.check_in_at, kept.check_out_at) == (late.check_in_at, late.check_out_at)
    (entry,) = updates()
    assert entry.before == {"check_in_time": "15:00", "check_out_time": "11:00"}
    assert entry.after == {"check_in_time": "16:30", "check_out_time": "10:00"}


def test_another_zone_keeps_what_the_clock_on_the_wall_said(app: Flask, clock: Clock) -> None:
    room = make_accommodation()
    stay = make_stay(
        room,
        check_in=datetime(2026, 3, 20, 23, 15, tzinfo=UTC),  # 20:15 in São Paulo
        check_out=datetime(2026, 3, 22, 14, 0, tzinfo=UTC),
        check_in_time_known=True,
    )
    changed(room, timezone="Europe/Lisbon")
    moved = reload(stay)
    assert moved.check_in_at == datetime(2026, 3, 20, 20, 15, tzinfo=UTC)
    assert moved.check_out_at == datetime(2026, 3, 22, 11, 0, tzinfo=UTC)
    assert (moved.check_in_on, moved.check_out_on) == (stay.check_in_on, stay.check_out_on)


def test_what_has_been_stays_as_it_was(app: Flask, clock: Clock) -> None:
    room = make_accommodation()
    over = make_stay(room, check_in=date(2026, 3, 1))
    inside = make_stay(room, check_in=date(2026, 3, 9), status="checked_in")
    changed(room, check_in_time="18:00", check_out_time="12:00")
    assert reload(over).check_out_at == over.check_out_at
    assert reload(inside).check_in_at == inside.check_in_at
    assert reload(inside).check_out_at == inside.check_out_at + timedelta(hours=1)


def test_planned_pins_move_without_a_question(door: Door) -> None:  # noqa: F811
    stay = door.stay(check_in=date(2026, 3, 20))
    before = jobs_of(stay)["generate"]
    foreseen = properties.preview_change(
        door.room.property_id, parse(PropertyChanges, {"pin_lead_hours": 5})
    )
    assert (foreseen.stays, foreseen.planned_moved, foreseen.live_moved) == (1, 1, 0)
    assert jobs_of(stay)["generate"].run_at == before.run_at  # a forecast changes nothing
    assert house_of(door.room).pin_lead_hours == 2
    changed(door.room, pin_lead_hours=5)
    assert jobs_of(stay)["generate"].run_at == before.run_at - timedelta(hours=3)


def test_live_pins_move_once_the_guests_are_known(door: Door) -> None:  # noqa: F811
    stay = door.stay(check_in=date(2026, 3, 10), guest="Beatriz Lima")
    door.clock.set(stay.check_in_at - timedelta(hours=1))
    door.settle()
    assert door.credential(stay).state == "installed"
    until = door.credential(stay).expires_at
    with pytest.raises(Conflict, match="send confirm") as refused:
        changed(door.room, check_out_time="13:00")
    assert "Beatriz Lima" in refused.value.errors[0].message
    assert "Beatriz" not in refused.value.message
    assert reload(stay).check_out_at == stay.check_out_at
    assert updates() == []
    foreseen = properties.preview_change(
        door.room.property_id, parse(PropertyChanges, {"check_out_time": "13:00"})
    )
    assert [guest.guest for guest in foreseen.guests] == ["Beatriz Lima"]
    assert (foreseen.live_moved, foreseen.live_removed) == (1, 0)

    changed(door.room, check_out_time="13:00", confirm=True)
    door.settle()
    (listed,) = door.listed()
    assert listed.expires_at == until + timedelta(hours=2)
    assert door.opens(door.digits(stay))


def test_a_start_that_is_over_asks_nobody(door: Door) -> None:  # noqa: F811
    stay = door.stay(check_in=date(2026, 3, 10))
    door.clock.set(stay.check_in_at + timedelta(hours=1))
    door.settle()
    changed(door.room, pin_lead_hours=6)
    assert house_of(door.room).pin_lead_hours == 6


def test_a_change_that_changes_nothing_leaves_no_trace(app: Flask) -> None:
    room = make_accommodation()
    changed(room)
    changed(room, check_in_time="15:00", name=house_of(room).name)
    assert updates() == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("timezone", "Mars/Olympus"),
        ("timezone", None),
        ("check_in_time", "25:00"),
        ("check_in_time", "24:00"),
        ("pin_lead_hours", -1),
        ("currency", "R$"),
        ("name", ""),
        ("colour", "red"),
    ],
)
def test_a_bad_field_is_named(app: Flask, field: str, value: object) -> None:
    with pytest.raises(Invalid) as refused:
        changed(make_accommodation(), **{field: value})
    assert refused.value.errors[0].field == field


def test_negative_units_are_refused(app: Flask) -> None:
    with pytest.raises(Invalid) as refused:
        parse(RoomTypeChanges, {"total_units": -1})
    assert refused.value.errors[0].field == "total_units"


# --- removing -------------------------------------------------------------------------------------


def test_a_property_says_what_needs_it(app: Flask) -> None:
    house = make_property(name="Casa Azul")
    rooms = [make_accommodation(house) for _ in range(3)]
    make_room_type(house)
    make_stay(rooms[0])
    with pytest.raises(Conflict) as refused:
        properties.delete(house.id, actor=SYSTEM)
    assert refused.value.message == (
        "Casa Azul is still needed by 1 room type, 3 accommodations, 1 reservation"
    )
    empty = make_property()
    properties.delete(empty.id, actor=SYSTEM)
    with pytest.raises(NotFound):
        properties.get(empty.id)


def test_a_room_type_says_what_needs_it(app: Flask) -> None:
    house = make_property()
    kind = make_room_type(house, name="Suite")
    make_accommodation(house, room_type_id=kind.id)
    with pytest.raises(Conflict, match="Suite is still needed by 1 accommodation"):
        properties.delete_room_type(kind.id, actor=SYSTEM)
    properties.change_room_type(kind.id, parse(RoomTypeChanges, {"total_units": 9}), actor=SYSTEM)
    assert reload(kind).total_units == 9
    twin = make_room_type(house)
    with pytest.raises(Conflict, match="room type of that name"):
        properties.change_room_type(
            twin.id, parse(RoomTypeChanges, {"name": "Suite"}), actor=SYSTEM
        )
    properties.delete_room_type(twin.id, actor=SYSTEM)


def test_a_unit_and_a_lock_say_what_needs_them(app: Flask) -> None:
    room = make_accommodation()
    lock = make_mapping(room)
    make_stay(room)
    with pytest.raises(Conflict, match="1 reservation, 1 lock"):
        accommodations.delete(room.id, actor=SYSTEM)
    with pytest.raises(Conflict, match="1 accommodation"):
        locks.delete(lock.id, actor=SYSTEM)
    free_room, free_lock = make_accommodation(), make_lock()
    accommodations.delete(free_room.id, actor=SYSTEM)
    locks.delete(free_lock.id, actor=SYSTEM)
    for gone in (accommodations.delete, locks.delete, properties.delete):
        with pytest.raises(NotFound):
            gone(uuid4(), actor=SYSTEM)
    with transaction() as session:
        removed = session.scalars(select(AuditEntry).where(AuditEntry.action == "delete")).all()
    assert {entry.entity for entry in removed} == {"accommodation", "lock"}
    assert all(entry.before and entry.before["name"] for entry in removed)


# --- units ----------------------------------------------------------------------------------------


def changed_unit(room: Accommodation, **fields: object) -> Accommodation:
    return accommodations.change(room.id, parse(AccommodationChanges, fields), actor=SYSTEM)


def test_only_what_is_sent_changes(app: Flask) -> None:
    room = make_accommodation(number="12", description="sea view")
    changed_unit(room, name="Suite 12", description=None)
    after = reload(room)
    assert (after.name, after.number, after.description) == ("Suite 12", "12", None)
    assert after.stays_id == room.stays_id


def test_a_channel_id_means_one_unit(app: Flask) -> None:
    first = make_accommodation(name="Garden", beds24_room_id="77")
    room = make_accommodation()
    with pytest.raises(Conflict) as refused:
        changed_unit(room, stays_id=first.stays_id)
    assert refused.value.errors[0].field == "stays_id"
    assert refused.value.errors[0].message == "Garden has this id already"
    with pytest.raises(Conflict) as refused:
        changed_unit(room, beds24_room_id="77", beds24_unit_id="1")
    assert refused.value.errors[0].field == "beds24_room_id"
    changed_unit(room, beds24_room_id="77", beds24_unit_id="2")
    with pytest.raises(Conflict, match="Garden has this id already"):
        accommodations.create(
            parse(
                NewAccommodation,
                {
                    "property_id": str(room.property_id),
                    "name": "Twin",
                    "stays_id": first.stays_id,
                },
            ),
            actor=SYSTEM,
        )


def test_a_name_twice_is_allowed(app: Flask) -> None:
    first, second = make_accommodation(name="101"), make_accommodation()
    assert changed_unit(second, name="101").name == first.name


def test_a_room_type_of_another_house_is_refused(app: Flask) -> None:
    room = make_accommodation()
    with pytest.raises(Invalid) as refused:
        changed_unit(room, room_type_id=str(make_room_type().id))
    assert refused.value.errors[0].field == "room_type_id"


def test_a_unit_takes_its_stays_to_another_house(door: Door) -> None:  # noqa: F811
    lisbon = make_property(
        timezone="Europe/Lisbon", check_in_time=time(14), check_out_time=time(10), pin_lead_hours=4
    )
    stay = door.stay(check_in=date(2026, 3, 20))
    past = make_stay(door.room, check_in=date(2026, 2, 1))
    changed_unit(door.room, property_id=str(lisbon.id))
    moved = reload(stay)
    assert moved.property_id == lisbon.id
    assert moved.check_in_at == datetime(2026, 3, 20, 14, 0, tzinfo=UTC)
    assert moved.check_out_at == datetime(2026, 3, 22, 10, 0, tzinfo=UTC)
    assert jobs_of(stay)["generate"].run_at == datetime(2026, 3, 20, 10, 0, tzinfo=UTC)
    assert reload(past).property_id == past.property_id
    (entry,) = updates()
    assert entry.after == {"property_id": str(lisbon.id)}


def test_moving_a_unit_with_live_pins_asks_first(door: Door) -> None:  # noqa: F811
    stay = door.stay(check_in=date(2026, 3, 10), guest="Rui Costa")
    door.clock.set(stay.check_in_at)
    door.settle()
    other = make_property(timezone="Europe/Lisbon")
    with pytest.raises(Conflict) as refused:
        changed_unit(door.room, property_id=str(other.id))
    assert "Rui Costa" in refused.value.errors[0].message
    assert reload(door.room).property_id == door.room.property_id
    changed_unit(door.room, property_id=str(other.id), confirm=True)
    assert reload(stay).property_id == other.id


def test_retiring_a_unit_with_guests_asks_first_and_leaves_their_pins(
    door: Door,  # noqa: F811
) -> None:
    stay = door.stay(check_in=date(2026, 3, 10), guest="Rui Costa")
    door.clock.set(stay.check_in_at)
    door.settle()
    with pytest.raises(Conflict) as refused:
        changed_unit(door.room, is_active=False)
    assert "Rui Costa" in refused.value.errors[0].message
    assert reload(door.room).is_active
    changed_unit(door.room, is_active=False, confirm=True)
    door.settle()
    assert not reload(door.room).is_active
    assert door.opens(door.digits(stay))


def test_a_placeholder_becomes_the_unit_in_its_own_house(app: Flask, clock: Clock) -> None:
    first, own = make_property(), make_property(check_in_time=time(16))
    placeholder = make_accommodation(
        first, name="Accommodation X9", stays_id="X9", number=None, is_active=False
    )
    stay = make_stay(placeholder, check_in=date(2026, 3, 20))
    made = accommodations.create(
        parse(NewAccommodation, {"property_id": str(own.id), "name": "Loft 9", "stays_id": "X9"}),
        actor=SYSTEM,
    )
    assert made.id == placeholder.id
    assert (made.name, made.is_active, made.property_id) == ("Loft 9", True, own.id)
    assert reload(stay).property_id == own.id
    assert reload(stay).check_in_at == stay.check_in_at + timedelta(hours=1)


# --- locks ----------------------------------------------------------------------------------------


def changed_lock(lock: Lock, **fields: object) -> Lock:
    return locks.change(lock.id, parse(LockChanges, fields), actor=SYSTEM)


def test_a_lock_is_renamed_and_moved(app: Flask) -> None:
    lock = make_lock()
    changed_lock(lock, name="Front door", location="1st floor", capacity=10, hex_case="upper")
    after = reload(lock)
    assert (after.name, after.location, after.capacity) == ("Front door", "1st floor", 10)
    assert (after.hex_case, after.pin_length, after.radio) == ("upper", 6, "zigbee")
    with pytest.raises(Invalid) as refused:
        changed_lock(lock, device_id="other")
    assert refused.value.errors[0].field == "device_id"
    with pytest.raises(Invalid):
        changed_lock(lock, pin_length=11)


def test_a_right_length_mends_the_pins_that_were_refused(door: Door) -> None:  # noqa: F811
    stay = door.stay(check_in=date(2026, 3, 10))
    door.clock.set(stay.check_in_at - timedelta(minutes=90))
    door.locks.fail_next("create_pin", Rejected("7 digits, please", vendor="fake"))
    door.work(rounds=1)
    first = door.credential(stay)
    assert first.state in ("failed", "requested")
    changed_lock(door.lock, pin_length=7)
    assert len(door.digits(stay)) == 7
    door.settle()
    assert door.credential(stay).id == first.id
    assert door.credential(stay).state == "installed"
    assert door.opens(door.digits(stay))


def test_pins_on_the_lock_keep_their_digits(door: Door) -> None:  # noqa: F811
    stay = door.stay(check_in=date(2026, 3, 10))
    door.clock.set(stay.check_in_at)
    door.settle()
    digits = door.digits(stay)
    changed_lock(door.lock, pin_length=7)
    door.settle()
    assert door.digits(stay) == digits
    assert door.opens(digits)


def test_a_remap_still_works_after_all_this(door: Door) -> None:  # noqa: F811
    """The plan of a door sees the changes of its house in the same transaction."""
    stay = door.stay(check_in=date(2026, 3, 20))
    changed(door.room, pin_lead_hours=6)
    mappings.map_lock(door.room.id, make_lock().id, actor=SYSTEM)
    with transaction() as session:
        run_at = session.scalar(
            select(PinJob.run_at).where(PinJob.reservation_id == stay.id, PinJob.kind == "generate")
        )
        assert session.scalars(select(Credential)).all() == []
        check_in = session.scalar(select(Reservation.check_in_at))
    assert run_at is not None
    assert check_in is not None
    assert run_at == check_in - timedelta(hours=6)


def test_a_large_house_takes_as_many_statements_as_a_small_one(app: Flask, clock: Clock) -> None:
    def statements(rooms: int) -> int:
        house = make_property()
        for _ in range(rooms):
            make_stay(make_accommodation(house), check_in=date(2026, 3, 20))
        seen: list[str] = []

        def note(*event: object) -> None:
            seen.append(str(event[2]))

        listen(db.engine, "before_cursor_execute", note)
        try:
            properties.change(
                house.id, parse(PropertyChanges, {"check_in_time": "17:00"}), actor=SYSTEM
            )
        finally:
            remove(db.engine, "before_cursor_execute", note)
        return len(seen)

    assert statements(2) == statements(12)


def test_a_remap_is_foreseen_and_nothing_is_logged(door: Door) -> None:  # noqa: F811
    stay = door.stay(check_in=date(2026, 3, 10), guest="Ana")
    other = make_lock()
    assert not mappings.preview(door.room.id, other.id).touches_live_pins
    door.clock.set(stay.check_in_at)
    door.settle()
    for lock_id in (other.id, None):
        foreseen = mappings.preview(door.room.id, lock_id)
        assert [(guest.guest, guest.removed) for guest in foreseen.guests] == [("Ana", True)]
        assert (foreseen.live_removed, foreseen.live_moved) == (1, 0)
    assert door.credential(stay).state == "installed"
    assert mapping_log.search({}).total == 0
    taken = make_mapping(make_accommodation(name="Garden"))
    with pytest.raises(Conflict, match="already opens Garden"):
        mappings.preview(door.room.id, taken.id)
    assert mapping_log.search({}).total == 0
    with transaction(), pytest.raises(RuntimeError):
        mappings.preview(door.room.id, other.id)


def test_digits_that_were_drawn_but_not_sent_may_be_lost_too(door: Door) -> None:  # noqa: F811
    """Staff may have shown them: a PIN is revealed from its generation (INTERFACES §4)."""
    stay = door.stay(check_in=date(2026, 3, 10), guest="Ana")
    door.clock.set(stay.check_in_at)
    door.locks.fail_next("create_pin", Rejected("no", vendor="fake"))
    door.work(rounds=1)
    assert door.credential(stay).sent_at is None
    assert mappings.preview(door.room.id, make_lock().id).live_removed == 1
    hours = parse(PropertyChanges, {"check_out_time": "13:00"})
    foreseen = properties.preview_change(door.room.property_id, hours)
    assert (foreseen.live_moved, foreseen.planned_moved) == (0, 1)


def test_a_unit_that_moves_waits_for_whoever_changes_its_stays(app: Flask, clock: Clock) -> None:
    """A channel's copy locks a stay and then its room; the other way round both would wait."""
    room, elsewhere = make_accommodation(), make_property()
    make_mapping(room)
    stay = make_stay(room, check_in=date(2026, 3, 20))
    held, errors = threading.Event(), list[Exception]()

    def move() -> None:
        held.wait(10)
        with app.app_context():
            try:
                changed_unit(room, property_id=str(elsewhere.id))
            except Exception as error:
                errors.append(error)

    mover = threading.Thread(target=move)
    mover.start()
    with transaction() as session:
        session.get(Reservation, stay.id, with_for_update={"key_share": True})
        held.set()
        mover.join(0.5)  # by now it waits for the stay, and had better not have the room
        pin_plan.plan(session, reservations=[stay.id])
    mover.join(30)
    assert not mover.is_alive()
    assert errors == []
    assert reload(stay).property_id == elsewhere.id
