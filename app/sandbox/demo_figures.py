"""Figures of real bookings that the demo generator draws from.

Counted over 7,469 bookings of a resort hotel in the Algarve and a city hotel in Lisbon, 2015-2017:
N. Antonio, A. de Almeida, L. Nunes, "Hotel booking demand datasets", Data in Brief 22, 2019,
CC BY 4.0. Group bookings of more than four people and stays of no night are left out.
"""

from __future__ import annotations

#: nights -> bookings
NIGHTS = {
    1: 907,
    2: 1763,
    3: 1289,
    4: 1137,
    5: 515,
    6: 292,
    7: 926,
    8: 133,
    9: 102,
    10: 126,
    11: 40,
    12: 32,
    14: 97,
}
#: days between booking and arrival: every twentieth part of the bookings ends at one of these
LEAD_TIME_KEPT = (0, 2, 6, 11, 17, 25, 34, 41, 51, 60, 69, 78, 90, 110, 136, 164, 185, 223, 317)
LEAD_TIME_CANCELLED = (
    4, 13, 22, 30, 38, 44, 55, 65, 74, 85, 92, 103, 114, 130, 147, 168, 185, 212, 262,
)  # fmt: skip
#: days between cancellation and arrival, in the same twentieths
CANCELLED_BEFORE = (1, 3, 6, 10, 13, 16, 18, 24, 29, 35, 40, 46, 55, 64, 78, 94, 111, 136, 194)
CANCELLED_SHARE = 3983 / 7469
#: (adults, children) -> bookings
PARTY = {
    (2, 0): 5640,
    (1, 0): 1100,
    (2, 2): 265,
    (2, 1): 233,
    (3, 0): 133,
    (3, 1): 58,
    (1, 1): 10,
    (1, 2): 7,
}
#: arrivals from Monday to Sunday
ARRIVAL_WEEKDAY = (1137, 741, 989, 978, 1439, 1465, 720)
#: how the booking was sold -> bookings; the partner's name as Stays writes it
SOLD_THROUGH: dict[str | None, int] = {
    "API booking.com": 2968,
    "Agency": 1606,
    None: 652,
    "Corporate": 254,
}
#: average daily rate in euros, in twentieths
DAILY_RATE = (
    38, 46, 52, 58, 62, 65, 68, 73, 77, 84, 87, 92, 99, 106, 114, 124, 140, 166, 195,
)  # fmt: skip
