"""A house of six rooms on a Tuesday noon: one room for each thing the board has to say."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from app.models import Accommodation, MaintenanceBlock, Property, Reservation, RoomType
from app.services import room_status
from app.transaction import transaction
from tests.factories import (
    make_accommodation,
    make_lock,
    make_mapping,
    make_property,
    make_room_type,
    make_stay,
)
from tests.web.scenes import NOON, TODAY, make_credential


@dataclass
class Rooms:
    """The house, its types, its rooms by number, its stays by what is particular about them."""

    house: Property
    standard: RoomType
    superior: RoomType
    rooms: dict[str, Accommodation] = field(default_factory=dict)
    stays: dict[str, Reservation] = field(default_factory=dict)


def day(offset: int) -> Any:
    return TODAY + timedelta(days=offset)


def make_block(room: Accommodation, first: int, nights: int, **fields: Any) -> MaintenanceBlock:
    """Maintenance of that room from `first` days after today."""
    with transaction() as session:
        row = MaintenanceBlock(
            room_type_id=room.room_type_id,
            accommodation_id=room.id,
            start_date=day(first),
            end_date=day(first + nights),
            **fields,
        )
        session.add(row)
        session.flush()
        session.refresh(row)
    return row


def rooms_of_a_day() -> Rooms:
    """101 guest, 102 arrival into a dirty room, 103 free, 104 guest who should have left, 201
    arrival into a clean room with a PIN, 202 expected yesterday."""
    house = make_property(name="Pousada Vila Jasmim")
    scene = Rooms(
        house,
        make_room_type(house, name="Standard", total_units=4),
        make_room_type(house, name="Superior", total_units=2),
    )
    names = ("101 Alecrim", "102 Hortelã", "103 Manjericão", "104 Sálvia", "201 Maré", "202 Brisa")
    for one in names:
        number, name = one.split()
        kind = scene.standard if number < "200" else scene.superior
        scene.rooms[number] = make_accommodation(
            house, number=number, name=name, room_type_id=kind.id
        )
    rooms, stays = scene.rooms, scene.stays
    _set(rooms["102"], housekeeping="dirty")
    lock = make_mapping(rooms["201"])
    make_mapping(rooms["103"], make_lock(radio="zigbee", low_battery=True, battery=14))
    here = {"status": "checked_in", "checked_in_at": NOON - timedelta(days=1)}
    stays["guest"] = make_stay(
        rooms["101"], check_in=day(-2), nights=4, guest="Beatriz Okamoto", **here
    )
    stays["dirty"] = make_stay(rooms["102"], check_in=TODAY, guest="Ana Beatriz Nogueira")
    stays["next"] = make_stay(rooms["103"], check_in=day(2), guest="Clara Vasconcelos")
    stays["over"] = make_stay(
        rooms["104"], check_in=day(-3), nights=2, guest="Duarte Menezes", **here
    )
    stays["clean"] = make_stay(rooms["201"], check_in=TODAY, guest="Camille Dufour")
    make_credential(stays["clean"], lock.id)
    stays["late"] = make_stay(rooms["202"], check_in=day(-1), nights=3, guest="Nils Aaltonen")
    room_status.sync()
    return scene


def _set(room: Accommodation, **values: Any) -> None:
    with transaction() as session:
        row = session.get_one(Accommodation, room.id)
        for name, value in values.items():
            setattr(row, name, value)
