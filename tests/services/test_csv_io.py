"""Accommodations and mappings as files: out, in again, and nothing written when a line is bad."""

from __future__ import annotations

from datetime import date

import pytest
from flask import Flask
from sqlalchemy import func, select

from app.errors import Invalid
from app.models import Accommodation, AuditEntry, LockMapping, MappingValidationLog
from app.services import csv_io, csv_text
from app.services.audit import SYSTEM
from app.services.csv_io import Imported
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
from tests.services.test_mappings import live_pin


def table(*lines: str) -> str:
    return "\n".join(lines)


def apply(*lines: str) -> Imported:
    return csv_io.apply(table(*lines), actor=SYSTEM)


def units() -> list[Accommodation]:
    with transaction() as session:
        return list(session.scalars(select(Accommodation).order_by(Accommodation.name)))


def count(model: type) -> int:
    with transaction() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def test_what_goes_out_comes_in_unchanged(app: Flask) -> None:
    house = make_property(name="Casa, Azul")
    kind = make_room_type(house, name="Suite")
    make_accommodation(house, name="=HYPERLINK(1)", room_type_id=kind.id, description="a\nb")
    make_accommodation(house, name="Plain", number=None, stays_id=None, is_active=False)
    text = csv_io.export_accommodations()
    assert "'=HYPERLINK(1)" in text
    done = csv_io.apply(text, actor=SYSTEM)
    assert (done.kind, done.written) == ("accommodations", True)
    assert [row.action for row in done.rows] == ["unchanged", "unchanged"]
    assert {unit.name for unit in units()} == {"=HYPERLINK(1)", "Plain"}
    assert count(AuditEntry) == 0


def test_units_are_created_and_updated(app: Flask) -> None:
    house = make_property(name="Casa Azul")
    kind = make_room_type(house, name="Suite")
    known = make_accommodation(house, stays_id="S1", name="Old", number="1")
    by_unit = make_accommodation(house, stays_id=None, beds24_room_id="9", name="B")
    done = apply(
        "property;room_type;name;number;stays_id;beds24_room_id;is_active",
        "casa azul;suite;New;;S2;;sim",
        ";;Renamed;;S1;;não",
        ";;Beds;;;9;",
    )
    assert [row.action for row in done.rows] == ["create", "update", "update"]
    made = next(unit for unit in units() if unit.stays_id == "S2")
    assert (made.property_id, made.room_type_id, made.is_active) == (house.id, kind.id, True)
    after = reload(known)
    assert (after.name, after.number, after.is_active) == ("Renamed", None, False)
    assert reload(by_unit).name == "Beds"


def test_a_preview_shows_it_and_writes_nothing(app: Flask) -> None:
    house = make_property(name="Casa")
    known = make_accommodation(house, stays_id="S1", name="Old")
    text = table("property,name,stays_id", "Casa,New,S2", "Casa,Renamed,S1")
    seen = csv_io.preview(text)
    assert [(row.line, row.action, row.name) for row in seen.rows] == [
        (2, "create", "New"),
        (3, "update", "Renamed"),
    ]
    assert (seen.written, seen.count("create")) == (False, 1)
    assert reload(known).name == "Old"
    assert (len(units()), count(AuditEntry)) == (1, 0)


def test_one_bad_line_and_nothing_is_written(app: Flask) -> None:
    make_property(name="Casa")
    twin = [make_property(name="Twin") for _ in range(2)]
    make_accommodation(twin[0], stays_id="S9", name="Taken")
    done = apply(
        "id,property,room_type,name,stays_id,beds24_unit_id,is_active",
        ",Casa,,Good,S1,,",
        ",Nowhere,,A,,,",
        ",Twin,,B,,,",
        ",Casa,None such,C,,,",
        ",Casa,,,S3,,",
        ",Casa,,D,S9x,2,",
        ",Casa,,E,,,perhaps",
        "7,Casa,,F,,,",
        ",,,G,,,",
        ",Casa,,H,S1,,,extra",
        ",Casa,,I,S4,,",
    )
    assert not done.written
    assert [(row.line, row.errors[0][0]) for row in done.errors] == [
        (3, "property"),
        (4, "property"),
        (5, "room_type"),
        (6, "name"),
        (7, "beds24_unit_id"),
        (8, "is_active"),
        (9, "id"),
        (10, "property"),
        (11, None),
    ]
    assert [unit.name for unit in units()] == ["Taken"]


def test_two_lines_for_one_id_are_one_unit(app: Flask) -> None:
    make_property(name="Casa")
    done = apply("property,name,stays_id", "Casa,A,S1", "Casa,B,S1")
    assert [row.action for row in done.rows] == ["create", "update"]
    assert [unit.name for unit in units()] == ["B"]


def test_an_id_in_use_names_the_other(app: Flask) -> None:
    house = make_property(name="Casa")
    make_accommodation(house, stays_id="S1", name="Garden")
    other = make_accommodation(house, stays_id="S2", name="Tower")
    done = apply("id,name,stays_id", f"{other.id},Tower,S1")
    assert done.errors[0].errors == (("stays_id", "Garden has this id already"),)


def test_mappings_go_out_and_in(app: Flask) -> None:
    house = make_property(name="Casa")
    first = make_accommodation(house, name="101", stays_id="S1")
    second = make_accommodation(house, name="102", stays_id="S2")
    third = make_accommodation(house, name="103", stays_id=None)
    make_accommodation(house, name="104")
    lock = make_mapping(first, make_lock(device_id="d1", name="Lock 1"))
    others = [make_lock(device_id=f"d{n}") for n in (2, 3)]
    text = csv_io.export_mappings()
    assert f"{first.id},S1,Casa,101,d1,Lock 1" in text
    assert [row.action for row in csv_io.apply(text, actor=SYSTEM).rows] == ["unchanged"] * 4

    done = apply("stays_id,property,accommodation,device_id", "S1,,,d1", "S2,,,d2", ",casa,103,d3")
    assert (done.kind, done.written) == ("mappings", True)
    assert [row.action for row in done.rows] == ["unchanged", "map", "map"]
    with transaction() as session:
        pairs = dict(
            session.execute(select(LockMapping.accommodation_id, LockMapping.lock_id)).all()
        )
    assert pairs == {first.id: lock.id, second.id: others[0].id, third.id: others[1].id}


def test_a_lock_twice_in_a_file_is_refused(app: Flask) -> None:
    for name in ("101", "102"):
        make_accommodation(name=name)
    make_lock(device_id="d1")
    done = apply("accommodation,device_id", "101,d1", "102,d1", "103,d1", "102,d9", ",d1", "101,")
    assert not done.written
    assert [(row.line, row.errors[0][0]) for row in done.errors] == [
        (3, "lockId"),
        (4, "accommodation"),
        (5, "device_id"),
        (6, "accommodation_id"),
    ]
    assert "already opens 101" in done.errors[0].errors[0][1]
    assert (count(LockMapping), count(MappingValidationLog)) == (0, 0)


def test_a_name_that_is_not_the_only_one_needs_an_id(app: Flask) -> None:
    house = make_property(name="Casa")
    make_accommodation(house, name="101")
    make_accommodation(name="101")
    make_lock(device_id="d1")
    assert apply("accommodation,device_id", "101,d1").errors
    assert apply("property,accommodation,device_id", "Casa,101,d1").written


def test_a_file_takes_no_pin_off_a_door(app: Flask, clock: Clock) -> None:
    room = make_accommodation(name="101")
    old = make_mapping(room)
    make_lock(device_id="d2")
    live_pin(make_stay(room, guest="Rui Costa", check_in=date(2026, 3, 10)), old.id)
    done = apply("accommodation,device_id", "101,d2")
    assert not done.written
    assert "Rui Costa" in done.errors[0].errors[0][1]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name,colour\n1,red", "unknown columns: colour"),
        ("property,number\nCasa,1", "the column name is missing"),
        ("", "empty"),
    ],
)
def test_a_file_that_is_neither(app: Flask, text: str, complaint: str) -> None:
    with pytest.raises(Invalid, match=complaint):
        csv_io.preview(text)


def test_a_file_has_an_end(app: Flask) -> None:
    with pytest.raises(Invalid, match="at most 1000"):
        csv_io.preview("name\n" + "x\n" * 1001)


def test_the_text_is_what_excel_reads(app: Flask) -> None:
    make_accommodation(make_property(name="São João"), name="Suíte")
    header, rows = csv_text.read(csv_io.export_accommodations())
    assert tuple(header) == csv_io.ACCOMMODATIONS
    assert rows[0][1]["property"] == "São João"
