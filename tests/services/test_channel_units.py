"""A unit and its mapping say the same, whoever changes which."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event as sa_event
from sqlalchemy import select

from app.errors import Conflict, Invalid
from app.extensions import db
from app.integrations.channels import ChannelListing
from app.models import (
    Accommodation,
    ChannelMapping,
    ChannelProperty,
    Property,
    Reservation,
)
from app.services import (
    accommodations,
    channel_mappings,
    channel_properties,
    csv_io,
    properties,
    unit_listings,
)
from app.services.accommodations import AccommodationChanges, NewAccommodation
from app.services.audit import SYSTEM
from app.services.channel_properties import NewChannelProperty
from app.transaction import transaction
from tests.channel_mappings import (
    ANA,
    change,
    columns,
    complaints,
    connect,
    deeds,
    kind,
    mapped,
    mappings_of,
    race,
    unit,
)
from tests.factories import (
    make_accommodation,
    make_property,
    make_stay,
    reload,
)

pytestmark = pytest.mark.usefixtures("app")


def test_a_unit_entered_with_ids_is_mapped() -> None:
    connection = connect()
    new = NewAccommodation(property_id=connection.property_id, name="Ipê", beds24_room_id="610011")
    row = accommodations.create(new, actor=ANA)
    assert mappings_of(row) == [("610011:1", True)]
    assert columns(row) == ("610011", None), "a blank unit stays blank"
    assert deeds() == [("create", "ana@example.org")]


def test_a_unit_changed_moves_its_mapping() -> None:
    connection = connect()
    ipe = unit(connection)
    unchanged = {"name": "Ipê Roxo"}
    given = {"beds24_room_id": "610011", "beds24_unit_id": "2"}
    accommodations.change(ipe.id, AccommodationChanges(**given), actor=ANA)
    accommodations.change(ipe.id, AccommodationChanges(**unchanged), actor=ANA)
    assert mappings_of(ipe) == [("610011:2", True)]
    accommodations.change(ipe.id, AccommodationChanges(beds24_unit_id="5"), actor=ANA)
    assert mappings_of(ipe) == [("610011:5", True)]
    none = AccommodationChanges(beds24_room_id=None, beds24_unit_id=None)
    accommodations.change(ipe.id, none, actor=ANA)
    assert mappings_of(ipe) == [("610011:5", False)]


def test_a_unit_that_moves_house_is_mapped_there() -> None:
    here, there, nowhere = connect(), connect(), make_property()
    ipe = unit(here)
    mapped(here, ipe, "610011")
    moved = AccommodationChanges(property_id=there.property_id)
    accommodations.change(ipe.id, moved, actor=ANA)
    with transaction() as session:
        rows = session.scalars(select(ChannelMapping).filter_by(internal_id=ipe.id)).all()
    assert {(row.channel_property_id, row.is_active) for row in rows} == {
        (here.id, False),
        (there.id, True),
    }
    accommodations.change(ipe.id, AccommodationChanges(property_id=nowhere.id), actor=ANA)
    assert mappings_of(ipe) == [("610011:1", False), ("610011:1", False)]


def test_a_unit_cannot_have_ids_that_beds24_cannot_have() -> None:
    connection = connect()
    ipe = unit(connection)
    for given, field in (
        ({"beds24_room_id": "suite"}, "beds24_room_id"),
        ({"beds24_room_id": "610011:2"}, "beds24_room_id"),
        ({"beds24_room_id": "610011", "beds24_unit_id": "A1"}, "beds24_unit_id"),
    ):
        with pytest.raises(Invalid) as refused:
            accommodations.change(ipe.id, AccommodationChanges(**given), actor=ANA)
        assert list(complaints(refused.value)) == [field]
    assert (columns(ipe), mappings_of(ipe)) == ((None, None), [])


def test_connecting_a_house_maps_the_units_it_has() -> None:
    house = make_property()
    ipe = make_accommodation(house, beds24_room_id="610011", beds24_unit_id="2")
    odd = make_accommodation(house, beds24_room_id="suite")
    plain = make_accommodation(house)
    new = NewChannelProperty(
        property_id=house.id, channel_name="beds24", channel_property_id="51001"
    )
    channel_properties.create(new, actor=ANA)
    assert mappings_of(ipe) == [("610011:2", True)]
    assert mappings_of(odd) == mappings_of(plain) == []


def test_a_file_maps_units() -> None:
    connection = connect()
    with transaction() as session:
        house = session.get_one(Property, connection.property_id)
    ipe = unit(connection, name="Ipê")
    lines = [
        "id;property;name;beds24_room_id;beds24_unit_id",
        f"{ipe.id};{house.id};Ipê;610011;1",
        f";{house.id};Cedro;610011;2",
    ]
    found = csv_io.apply("\n".join(lines), actor=ANA)
    assert found.written, found.rows
    assert mappings_of(ipe) == [("610011:1", True)]
    with transaction() as session:
        cedro = session.scalars(select(Accommodation).filter_by(name="Cedro")).one()
    assert mappings_of(cedro) == [("610011:2", True)]


def test_reading_units_maps_them_in_a_constant_number_of_looks() -> None:
    connection = connect()
    listed = [
        ChannelListing(f"610011:{n}", f"A{n}", property_ref=connection.channel_property_id)
        for n in range(1, 4)
    ]
    with transaction() as session:
        unit_listings.apply(session, "beds24", listed)
    with transaction() as session:
        rows = session.scalars(select(ChannelMapping.external_id)).all()
    assert sorted(rows) == ["610011:1", "610011:2", "610011:3"]
    assert {actor for _, actor in deeds()} == {SYSTEM.label}

    looked = 0

    def count(*_: Any) -> None:
        nonlocal looked
        looked += 1

    sa_event.listen(db.engine, "after_cursor_execute", count)
    try:
        with transaction() as session:
            unit_listings.apply(session, "beds24", listed)
    finally:
        sa_event.remove(db.engine, "after_cursor_execute", count)
    assert len(deeds()) == 3
    assert looked <= 14


def test_what_is_mapped_is_not_deleted_and_leaves_no_rest() -> None:
    connection = connect()
    ipe, double = unit(connection), kind(connection)
    room = mapped(connection, ipe, "610011").mapping
    sold = mapped(connection, double, "610011", "room_type").mapping
    for remove in (
        lambda: accommodations.delete(ipe.id, actor=ANA),
        lambda: properties.delete_room_type(double.id, actor=ANA),
    ):
        with pytest.raises(Conflict, match="1 channel mapping"):
            remove()
    for row in (room, sold):
        channel_mappings.delete(row.id, actor=ANA)
    accommodations.delete(ipe.id, actor=ANA)
    properties.delete_room_type(double.id, actor=ANA)
    with transaction() as session:
        assert session.scalars(select(ChannelMapping)).all() == []


def test_mapping_and_changing_the_unit_at_once_end_in_step(app: Flask) -> None:
    connection = connect()
    for n in range(1, 6):
        ipe = unit(connection)
        changes = AccommodationChanges(beds24_room_id="610012", beds24_unit_id=str(n))
        race(
            app,
            lambda u=ipe, n=n: mapped(connection, u, f"610011:{n}"),
            lambda u=ipe, c=changes: accommodations.change(u.id, c, actor=ANA),
        )
        room, number = columns(ipe)
        assert mappings_of(ipe) == [(f"{room}:{number}", True)]


# Stays that wait for a room


def roomless(connection: ChannelProperty, ref: str) -> Any:
    """A coming stay of Beds24 in a unit that nobody has mapped."""
    double = kind(connection)
    stay = make_stay(unit(connection), source="beds24", channel="beds24", room_type_id=double.id)
    with transaction() as session:
        row = session.get_one(Reservation, stay.id)
        row.accommodation_id, row.channel_room_ref = None, ref
    return stay


@pytest.mark.usefixtures("clock")
def test_a_stay_that_waited_for_the_unit_moves_in_whoever_maps_it() -> None:
    connection = connect()
    by_mapping, by_unit, by_change = (roomless(connection, f"610011:{n}") for n in (1, 2, 3))
    other = roomless(connection, "610011:9")
    ipe, cedro, jacaranda = unit(connection), unit(connection), unit(connection)
    row = mapped(connection, ipe, "610011:1").mapping
    given = {"beds24_room_id": "610011", "beds24_unit_id": "2"}
    accommodations.change(cedro.id, AccommodationChanges(**given), actor=ANA)
    third = mapped(connection, jacaranda, "610011:7").mapping
    change(third, external_id="610011:3")
    homes = [reload(stay).accommodation_id for stay in (by_mapping, by_unit, by_change, other)]
    assert homes == [ipe.id, cedro.id, jacaranda.id, None]
    channel_mappings.delete(row.id, actor=ANA)
    assert reload(by_mapping).accommodation_id == ipe.id, "who has a room keeps it"
