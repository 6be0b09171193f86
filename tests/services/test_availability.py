"""Every kind of row that takes a unit, and none that does not (C-29, DECISIONS 18, HOLD-28)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

from app.domain.availability import Night
from app.errors import Conflict, Invalid, NotFound
from app.extensions import db
from app.models import InventoryHold, MaintenanceBlock, Reservation, RoomType
from app.services import availability
from app.transaction import transaction
from tests.factories import make_accommodation, make_property, make_room_type, make_stay

FIRST = date(2026, 3, 12)
EXPIRES = datetime(2026, 3, 10, 13, tzinfo=UTC)


def add(row: Any) -> Any:
    with transaction() as session:
        session.add(row)
        session.flush()
        session.refresh(row)
    return row


def hold(stay: Reservation, room_type: RoomType, status: str = "active") -> InventoryHold:
    row: InventoryHold = add(
        InventoryHold(
            reservation_id=stay.id,
            room_type_id=room_type.id,
            check_in=stay.check_in_on,
            check_out=stay.check_out_on,
            hold_expires_at=EXPIRES,
            status=status,
        )
    )
    return row


def look(room_type: RoomType, nights: int = 3) -> list[Night]:
    with transaction() as session:
        last = FIRST + timedelta(days=nights)
        return availability.nights(session, [room_type.id], FIRST, last)[room_type.id]


def parts(night: Night) -> tuple[int, int, int, int]:
    return night.reserved, night.maintenance, night.held, night.available


@pytest.fixture
def kind(app: Flask) -> RoomType:
    return make_room_type(make_property(), total_units=4)


def unassigned(kind: RoomType, status: str = "confirmed") -> Reservation:
    room = make_accommodation(property_id=kind.property_id)
    return make_stay(
        room, check_in=FIRST, status=status, accommodation_id=None, room_type_id=kind.id
    )


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ("pending", 1),
        ("confirmed", 1),
        ("checked_in", 1),
        ("pending_sync", 0),
        ("checked_out", 0),
        ("cancelled", 0),
        ("no_show", 0),
        ("failed", 0),
    ],
)
def test_which_stays_are_reserved(kind: RoomType, status: str, counts: int) -> None:
    unassigned(kind, status)
    assert [night.reserved for night in look(kind)] == [counts, counts, 0]


def test_a_stay_counts_where_it_sleeps(kind: RoomType) -> None:
    """Sold as one kind and put into a room of another, it takes the other's unit."""
    other = make_room_type(make_property(), total_units=1)
    room = make_accommodation(property_id=other.property_id, room_type_id=other.id)
    make_stay(room, check_in=FIRST, room_type_id=kind.id)
    assert look(other)[0].available == 0
    assert look(kind)[0].available == 4


def test_a_room_without_a_kind_leaves_the_stay_its_own(kind: RoomType) -> None:
    make_stay(make_accommodation(), check_in=FIRST, room_type_id=kind.id)
    assert look(kind)[0].reserved == 1


def test_a_stay_known_only_by_its_room(kind: RoomType) -> None:
    room = make_accommodation(property_id=kind.property_id, room_type_id=kind.id)
    make_stay(room, check_in=FIRST)
    assert look(kind)[0].reserved == 1


@pytest.mark.parametrize("status", ["confirmed", "released", "expired"])
def test_only_an_active_hold_holds(kind: RoomType, status: str) -> None:
    hold(unassigned(kind, "pending_sync"), kind, status)
    assert parts(look(kind)[0]) == (0, 0, 0, 4)


@pytest.mark.parametrize("status", ["pending_sync", "confirmed", "checked_in"])
def test_no_stay_counts_twice(kind: RoomType, status: str) -> None:
    """Also one that its guest has moved into before the channel has answered."""
    hold(unassigned(kind, status), kind)
    held = status == "pending_sync"
    assert parts(look(kind)[0]) == (0 if held else 1, 0, 1 if held else 0, 3)


def test_blocks_count_beside_the_stay_in_the_blocked_room(kind: RoomType) -> None:
    room = make_accommodation(property_id=kind.property_id, room_type_id=kind.id)
    make_stay(room, check_in=FIRST, nights=1)
    until = FIRST + timedelta(days=2)
    for values in ({"accommodation_id": room.id}, {"units": 3}):
        add(MaintenanceBlock(room_type_id=kind.id, start_date=FIRST, end_date=until, **values))
    assert [parts(night) for night in look(kind)] == [
        (1, 4, 0, -1),
        (0, 4, 0, 0),
        (0, 0, 0, 4),
    ]


def test_two_statements_however_many(kind: RoomType) -> None:
    kinds = [kind, *(make_room_type(make_property()) for _ in range(4))]
    for each in kinds:
        hold(unassigned(each, "pending_sync"), each)
        unassigned(each)
    said: list[str] = []

    def listen(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        said.append(statement)

    event.listen(db.engine, "before_cursor_execute", listen)
    try:
        with transaction() as session:
            found = availability.nights(
                session, [each.id for each in kinds], FIRST, FIRST + timedelta(days=365)
            )
    finally:
        event.remove(db.engine, "before_cursor_execute", listen)
    assert len(said) == 2
    assert {len(nights) for nights in found.values()} == {365}
    assert {parts(nights[0])[:3] for nights in found.values()} == {(1, 0, 1)}


def test_full_nights_are_named(kind: RoomType) -> None:
    for _ in range(4):
        unassigned(kind)
    with transaction() as session, pytest.raises(Conflict) as refusal:
        availability.require(session, kind, FIRST, FIRST + timedelta(days=3))
    assert refusal.value.message == f"{kind.name} is full on 2026-03-12, 2026-03-13"
    assert [each.message for each in refusal.value.errors] == [
        "2026-03-12 is full",
        "2026-03-13 is full",
    ]


def test_free_rooms(kind: RoomType) -> None:
    rooms = [make_accommodation(room_type_id=kind.id) for _ in range(5)]
    stay = make_stay(rooms[0], check_in=FIRST)
    make_stay(rooms[1], check_in=FIRST, status="pending_sync")
    make_stay(rooms[2], check_in=FIRST, status="cancelled")
    add(
        MaintenanceBlock(
            room_type_id=kind.id,
            accommodation_id=rooms[3].id,
            start_date=FIRST + timedelta(days=1),
            end_date=FIRST + timedelta(days=2),
        )
    )
    ids = [room.id for room in rooms]
    leaves = FIRST + timedelta(days=2)
    with transaction() as session:
        assert availability.free_rooms(session, ids, FIRST, leaves) == [ids[2], ids[4]]
        assert availability.is_free(session, ids[0], FIRST, leaves, but=stay.id)
        # The day a guest leaves is free for the next one.
        assert availability.is_free(session, ids[0], leaves, leaves + timedelta(days=1))


def test_odd_questions(kind: RoomType) -> None:
    with pytest.raises(Invalid):
        availability.show(kind.id, FIRST, FIRST)
    with pytest.raises(Invalid):
        availability.show(kind.id, FIRST, FIRST + timedelta(days=732))
    with pytest.raises(NotFound):
        availability.show(make_stay().id, FIRST, FIRST + timedelta(days=1))
