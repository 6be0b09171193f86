"""Beds24's ids have one spelling, and every booking has one place to land or a reason why not."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from app.domain import channel_rooms
from app.domain.channel_rooms import Landing, canonical, land

A1, A2, A3 = uuid4(), uuid4(), uuid4()
STUDIO, SUITE = uuid4(), uuid4()
TYPES: dict[UUID, UUID | None] = {A1: STUDIO, A2: STUDIO, A3: SUITE}


@pytest.mark.parametrize(
    ("kind", "written", "stored"),
    [
        ("room", "610011:2", "610011:2"),
        ("room", "610011", "610011:1"),
        ("room", " 610011:12 ", "610011:12"),
        ("room_type", "610011", "610011"),
        ("rate", "610011", "610011"),
        ("rate", "610011:1", "610011:1"),
        ("rate", "610011:16", "610011:16"),
        ("property", " 51001", "51001"),
    ],
)
def test_an_id_is_stored_in_one_spelling(kind: str, written: str, stored: str) -> None:
    assert canonical(kind, written) == stored


@pytest.mark.parametrize(
    ("kind", "written", "expected"),
    [
        ("room", "", "610011:2"),
        ("room", "suite", "610011:2"),
        ("room", "610011:", "610011:2"),
        ("room", "610011:0", "610011:2"),
        ("room", "610011:02", "610011:2"),
        ("room", "0610011:2", "610011:2"),
        ("room", "610011:2:1", "610011:2"),
        ("room", "٦١٠:1", "610011:2"),
        ("room", "610011:2\n610012", "610011:2"),
        ("room_type", "610011:1", "a number"),
        ("room_type", "-5", "a number"),
        ("room_type", "9" * 19, "a number"),
        ("rate", "610011:17", "from 1 to 16"),
        ("rate", "610011:0", "from 1 to 16"),
        ("property", "51001:1", "property id"),
        ("property", "0", "property id"),
    ],
)
def test_an_id_of_another_shape_is_refused_with_what_is_expected(
    kind: str, written: str, expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        canonical(kind, written)


def test_an_id_comes_apart() -> None:
    assert channel_rooms.split("610011:2") == ("610011", "2")
    assert channel_rooms.split("610011") == ("610011", None)


def test_a_mapped_unit_is_the_room_with_its_own_type() -> None:
    found = land("51001", "610011", "2", {"610011:2": A2}, {"610011": SUITE}, TYPES)
    assert found == Landing(A2, STUDIO)


def test_a_mapped_unit_without_a_type_takes_the_one_its_room_is_sold_as() -> None:
    found = land("51001", "610011", "2", {"610011:2": A2}, {"610011": SUITE}, {A2: None})
    assert found == Landing(A2, SUITE)


def test_an_unmapped_unit_leaves_the_stay_without_a_room() -> None:
    found = land("51001", "610011", "2", {"610011:1": A1}, {"610011": STUDIO}, TYPES)
    said = "unit 2 of room 610011 is not mapped: the stay has no room yet"
    assert found == Landing(None, STUDIO, (said,))


def test_an_unmapped_unit_lands_in_the_type_its_sisters_share() -> None:
    rooms = {"610011:1": A1, "610011:3": A2, "610012:1": A3}
    found = land("51001", "610011", "2", rooms, {}, TYPES)
    said = "unit 2 of room 610011 is not mapped: the stay has no room yet"
    assert found == Landing(None, STUDIO, (said,))


def test_no_unit_named_lands_in_the_mapped_type_even_when_one_unit_is_known() -> None:
    found = land("51001", "610011", None, {"610011:1": A1}, {"610011": STUDIO}, TYPES)
    assert found == Landing(None, STUDIO)


def test_a_room_that_is_one_unit_needs_no_unit_named() -> None:
    rooms = {"610011:1": A1, "610012:1": A3, "6100:1": A2}
    assert land("51001", "610011", None, rooms, {}, TYPES) == Landing(A1, STUDIO)


def test_several_units_of_one_type_leave_the_room_open() -> None:
    rooms = {"610011:1": A1, "610011:2": A2}
    assert land("51001", "610011", None, rooms, {}, TYPES) == Landing(None, STUDIO)


def test_a_second_unit_alone_is_not_the_room_nobody_named() -> None:
    assert land("51001", "610011", None, {"610011:2": A2}, {}, TYPES) == Landing(None, STUDIO)


@pytest.mark.parametrize("unit", [None, "1", "2"])
def test_a_room_nobody_mapped_is_named_and_waited_for(unit: str | None) -> None:
    found = land("51001", "610011", unit, {"610012:1": A3}, {"610012": SUITE}, TYPES)
    assert found == Landing(
        problem="room 610011 of property 51001 is not mapped", waiting_for="610011"
    )


@pytest.mark.parametrize("types", [{A1: STUDIO, A3: SUITE}, {A1: None, A3: None}, {}])
def test_units_without_one_common_type_are_no_place(types: dict[UUID, UUID | None]) -> None:
    rooms = {"610011:1": A1, "610011:3": A3}
    open_room = land("51001", "610011", None, rooms, {}, types)
    unit = land("51001", "610011", "2", rooms, {}, types)
    assert open_room == Landing(
        problem="room 610011 of property 51001 is not mapped to a room type", waiting_for="610011"
    )
    assert unit == Landing(
        problem="unit 2 of room 610011 of property 51001 is not mapped", waiting_for="610011"
    )
