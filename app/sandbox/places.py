"""The demo's houses: three invented properties with 24 rooms and 24 locks between them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """A room with the lock on its door. `mapped` False: nobody has told the product about it."""

    number: str
    name: str
    room_type: str
    category: str  # Tuya's: ms | jtmspro | mk
    radio: str  # zigbee | wifi
    power: str
    battery: int
    hex_case: str = "lower"
    mapped: bool = True

    @property
    def pin_length(self) -> int:
        """7 on Wi-Fi locks, 6 on Zigbee ones and on `mk` keypads (contracts/tuya.md §6)."""
        return 7 if self.radio == "wifi" and self.category != "mk" else 6

    @property
    def capacity(self) -> int:
        return 10 if self.radio == "wifi" else 20


@dataclass(frozen=True, slots=True)
class Place:
    key: str
    name: str
    time_zone: str
    currency: str
    euro_rate: float  # local money for one euro, for plausible prices
    check_in_time: str
    check_out_time: str
    preload_hours: int
    units: tuple[Unit, ...]
    lead_hours: int = 2
    grace_hours: int = 24

    @property
    def property_id(self) -> str:
        return _hex(f"property:{self.key}")[:24]

    @property
    def gateway_id(self) -> str:
        return "bf" + _hex(f"gateway:{self.key}")[:20]

    def listing_code(self, unit: Unit) -> str:
        """Stays' short id of the room, what the simple dialect calls accommodation_id."""
        return f"{self.key}{unit.number}"

    def listing_id(self, unit: Unit) -> str:
        """Stays' long id of the room."""
        return _hex(f"listing:{self.key}:{unit.number}")[:24]

    def device_id(self, unit: Unit) -> str:
        return "bf" + _hex(f"lock:{self.key}:{unit.number}")[:20]


def _hex(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _zigbee(number: str, name: str, room_type: str, battery: int) -> Unit:
    return Unit(number, name, room_type, "ms", "zigbee", "battery", battery, hex_case="any")


def _sleeper(number: str, name: str, room_type: str, battery: int, hex_case: str = "lower") -> Unit:
    return Unit(number, name, room_type, "jtmspro", "wifi", "battery", battery, hex_case)


def _keypad(number: str, name: str, room_type: str) -> Unit:
    return Unit(number, name, room_type, "mk", "wifi", "mains", 100)


PARATY = Place(
    "PJ",
    "Pousada Vila Jasmim",
    "America/Sao_Paulo",
    "BRL",
    5.9,
    "15:00",
    "11:00",
    # Its battery Wi-Fi locks sleep: their PINs leave a day early.
    24,
    (
        _zigbee("101", "Quarto Jasmim", "Standard", 81),
        _zigbee("102", "Quarto Manacá", "Standard", 64),
        _sleeper("103", "Quarto Bromélia", "Standard", 47),
        Unit("104", "Quarto Ipê", "Standard", "mk", "wifi", "mains", 100, mapped=False),
        _keypad("201", "Suíte Jardim", "Garden suite"),
        _zigbee("202", "Suíte Quintal", "Garden suite", 18),
        _zigbee("203", "Suíte Cachoeira", "Garden suite", 92),
        _keypad("301", "Sobrado do Porto", "Loft"),
    ),
)
LISBON = Place(
    "MA",
    "Casa do Mirante Azul",
    "Europe/Lisbon",
    "EUR",
    1.0,
    "15:00",
    "11:00",
    0,
    (
        _zigbee("11", "Azulejo 1", "Studio", 55),
        _keypad("12", "Azulejo 2", "Studio"),
        _zigbee("13", "Azulejo 3", "Studio", 73),
        _zigbee("14", "Azulejo 4", "Studio", 88),
        _keypad("21", "Tejo 1", "One bedroom"),
        _zigbee("22", "Tejo 2", "One bedroom", 12),
        _keypad("23", "Tejo 3", "One bedroom"),
        _zigbee("31", "Água-furtada", "Penthouse", 67),
    ),
)
KYOTO = Place(
    "KM",
    "Kiku Machiya",
    "Asia/Tokyo",
    "JPY",
    163.0,
    "16:00",
    "10:00",
    0,
    (
        _sleeper("01", "Ume", "Tatami room", 39, "upper"),
        _zigbee("02", "Matsu", "Tatami room", 77),
        _keypad("03", "Take", "Tatami room"),
        _zigbee("04", "Sakura", "Tatami room", 95),
        _keypad("05", "Momiji", "Garden room"),
        _zigbee("06", "Ajisai", "Garden room", 28),
        _keypad("07", "Tsubaki", "Garden room"),
        _zigbee("08", "Hanare", "Annex", 84),
    ),
)
PLACES = (PARATY, LISBON, KYOTO)
