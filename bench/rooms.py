"""The scan that repairs rooms: ten thousand of them, one in twenty broken by an outside hand.

Floor of `room_repair_10k`: one set-based UPDATE that finds the same rows by their stays and sets
them. Ours finds them, locks them, looks again, writes them and records why. `…_told` compares it
with an UPDATE that is told which rows they are and looks at no stay.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from functools import partial
from typing import Any

from bench.house import House, result, seconds

FULL = 10_000
BROKEN = 20  # one in so many
ROUNDS = 5
TOLD = """
    UPDATE accommodations SET status = 'AVAILABLE', updated_at = now() WHERE id = ANY(%(ids)s)
"""
FINDING = """
    UPDATE accommodations a SET status = f.status, updated_at = now()
      FROM (SELECT a.id, CASE WHEN bool_or(r.status = 'checked_in') THEN 'OCCUPIED'
                              WHEN count(r.id) > 0 THEN 'RESERVED' ELSE 'AVAILABLE' END AS status
              FROM accommodations a LEFT JOIN reservations r
                ON r.accommodation_id = a.id
               AND (r.status = 'checked_in' OR r.status IN ('confirmed', 'pending')
                                               AND r.check_out_at > now())
             GROUP BY a.id) f
     WHERE f.id = a.id AND f.status <> a.status
"""


def run(house: House) -> Iterator[dict[str, Any]]:
    from app.services import room_status

    count = house.rows(FULL)
    house.empty()
    house.furnish(rooms=count)
    _book(house)
    with house.app.app_context():
        room_status.sync()  # half of them are reserved from now on
        ours, floors, told = [], [], []
        for _ in range(ROUNDS):
            _break(house)
            floors.append(_floor(house, FINDING))
            _break(house)
            told.append(_floor(house, TOLD))
            broken = _break(house)
            ours.append(seconds(partial(_repair, room_status, broken)))
    value = statistics.median(ours)
    yield result("room_repair_10k", value, "s", statistics.median(floors), count)
    yield result("room_repair_10k_told", value, "s", statistics.median(told), count)


def _book(house: House) -> None:
    """Every other room has a stay to come, and one that is over."""
    with house.connect() as connection:
        connection.execute(
            """
            INSERT INTO reservations
                   (property_id, accommodation_id, source, channel, external_id, status,
                    check_in_at, check_out_at, check_in_on, check_out_on)
            SELECT a.property_id, a.id, 'stays', 'stays', a.number || '-' || d, 'confirmed',
                   now() + d * interval '1 day', now() + (d + 2) * interval '1 day',
                   current_date + d, current_date + d + 2
              FROM accommodations a, unnest(ARRAY[-30, 7]) AS d
             WHERE a.number::int % 2 = 0
            """
        )
        connection.execute("VACUUM ANALYZE reservations, accommodations")


def _break(house: House) -> int:
    with house.connect() as connection:
        return connection.execute(
            "UPDATE accommodations SET status = 'OCCUPIED' WHERE number::int %% %s = 1", [BROKEN]
        ).rowcount


def _floor(house: House, update: str) -> float:
    with house.connect() as connection:
        broken = [
            row[0]
            for row in connection.execute("SELECT id FROM accommodations WHERE status = 'OCCUPIED'")
        ]
        return seconds(lambda: connection.execute(update.encode(), {"ids": broken}))


def _repair(room_status: Any, broken: int) -> None:
    found = room_status.sync()
    if found.fixed != broken:
        raise RuntimeError(f"{found.fixed} of {broken} rooms repaired")
