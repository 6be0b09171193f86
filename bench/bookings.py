"""Fifty people sell at the same time, each a room type of their own.

Each writer books every few seconds, all together many times what a busy day brings, so that what is
measured is the transaction and not a queue for the processor. Floor: one connection that locks,
counts, and writes a stay, a hold, an order and a record with psycopg.
"""

from __future__ import annotations

import multiprocessing
import random
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import date, timedelta
from multiprocessing.connection import Connection
from typing import Any

import psycopg

from bench.house import House, percentile, result

WRITERS, PROCESSES = 50, 2
ROUNDS = 10
#: seconds between two bookings of one writer, on average
PAUSE = 4.0
NIGHTS_AHEAD = 60

_LOCK = "SELECT total_units, property_id FROM room_types WHERE id = %s FOR NO KEY UPDATE"
_COUNT = """
    SELECT check_in_on, check_out_on, count(*) FROM reservations
    WHERE room_type_id = %s AND status IN ('pending', 'confirmed', 'checked_in')
      AND check_in_on < %s AND check_out_on > %s GROUP BY 1, 2
    UNION ALL
    SELECT check_in, check_out, units_held FROM inventory_holds
    WHERE room_type_id = %s AND status = 'active' AND check_in < %s AND check_out > %s
"""
_STAY = """
    INSERT INTO reservations (property_id, room_type_id, source, status, api_reference,
        guest_name, check_in_at, check_out_at, check_in_on, check_out_on)
    VALUES (%s, %s, 'direct', 'pending_sync', %s, 'Ana Souza', %s, %s, %s, %s) RETURNING id
"""
_HOLD = """
    INSERT INTO inventory_holds (reservation_id, room_type_id, check_in, check_out, hold_expires_at)
    VALUES (%s, %s, %s, %s, now() + interval '15 minutes')
"""
_ORDER = """
    INSERT INTO channel_events (channel_property_id, direction, source, event_type, entity_type,
        entity_internal_id, idempotency_key, payload)
    VALUES (%s, 'outbound', 'pms', 'pms.booking.create', 'booking', %s, %s, '{}')
"""
_RECORD = """
    INSERT INTO audit_log (actor, action, entity, entity_id)
    VALUES ('bench', 'create', 'reservation', %s)
"""


def run(house: House) -> Iterator[dict[str, Any]]:
    rounds = house.rows(ROUNDS)
    house.empty()
    house.furnish(rooms=1)
    kinds = _sell(house)
    floor = _plain(house, kinds[0], 200)
    before = _deadlocks(house)
    taken = _book(house, kinds, rounds)
    met = _deadlocks(house) - before
    if met or len(taken) != len(kinds) * rounds:
        raise RuntimeError(f"{met} deadlocks, {len(taken)} bookings of {len(kinds) * rounds}")
    yield result(
        "booking_transaction", percentile(taken, 95) * 1000, "ms p95", floor * 1000, len(taken)
    )


def _sell(house: House) -> list[uuid.UUID]:
    """Fifty room types, each a room of the channel; their ids."""
    with house.connect() as connection:
        connection.execute(
            """
            INSERT INTO room_types (property_id, name, total_units)
            SELECT p.id, 'Type ' || n, 9999 FROM properties p, generate_series(1, %s) AS n
            """,
            [WRITERS],
        )
        connection.execute(
            """
            INSERT INTO channel_properties (property_id, channel_name, channel_property_id)
            SELECT id, 'beds24', '51001' FROM properties
            """
        )
        connection.execute(
            """
            INSERT INTO channel_mappings
                   (channel_property_id, mapping_type, internal_id, external_id)
            SELECT c.id, 'room_type', k.id, (610000 + row_number() OVER ())::text
            FROM channel_properties c, room_types k WHERE c.channel_name = 'beds24'
            """
        )
        return [row[0] for row in connection.execute("SELECT id FROM room_types ORDER BY name")]


def _plain(house: House, kind: uuid.UUID, count: int) -> float:
    taken = []
    with psycopg.connect(house.database_url) as connection:
        found = connection.execute("SELECT id FROM channel_properties LIMIT 1").fetchone()
        channel = found[0] if found else None
        connection.commit()
        for _ in range(count):
            time.sleep(random.uniform(0, 2 * PAUSE / WRITERS))  # as often as the fifty together
            first, last = _nights()
            begin = time.perf_counter()
            row = connection.execute(_LOCK, [kind]).fetchone()
            assert row is not None
            connection.execute(_COUNT, [kind, last, first, kind, last, first]).fetchall()
            reference = f"plain-{uuid.uuid4().hex}"
            stay = connection.execute(
                _STAY, [row[1], kind, reference, first, last, first, last]
            ).fetchone()
            assert stay is not None
            connection.execute(_HOLD, [stay[0], kind, first, last])
            connection.execute(_ORDER, [channel, stay[0], reference])
            connection.execute(_RECORD, [str(stay[0])])
            connection.commit()
            taken.append(time.perf_counter() - begin)
    return percentile(taken, 95)


def _nights() -> tuple[date, date]:
    first = date.today() + timedelta(days=2 + random.randrange(NIGHTS_AHEAD))  # noqa: DTZ011
    return first, first + timedelta(days=random.choice((1, 2, 3, 7)))


def _book(house: House, kinds: list[uuid.UUID], rounds: int) -> list[float]:
    """Seconds per booking, of all writers; they begin together."""
    context = multiprocessing.get_context("spawn")
    lines, processes = [], []
    for number in range(PROCESSES):
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_office, args=(house.environment, kinds[number::PROCESSES], rounds, theirs)
        )
        process.start()
        theirs.close()
        lines.append(ours)
        processes.append(process)
    for line in lines:
        line.recv()
    for line in lines:
        line.send("go")
    taken = [seconds for line in lines for seconds in line.recv()]
    for process in processes:
        process.join(30)
    return taken


def _office(
    environment: dict[str, str], kinds: list[uuid.UUID], rounds: int, line: Connection
) -> None:
    """One process: a thread per writer."""
    from pathlib import Path

    from app.config import load
    from app.factory import create_app
    from app.models import RoomType
    from app.services import direct_bookings
    from app.services.audit import Actor
    from app.services.booking_inputs import NewBooking
    from app.transaction import transaction

    app = create_app(
        load(environment | {"DB_POOL_SIZE": "15"}, var=Path(environment["TURNKEY_VAR"]))
    )
    taken: list[float] = []
    actor = Actor("desk@example.org", role="staff")

    def book(kind: RoomType) -> None:
        first, last = _nights()
        new = NewBooking(
            property_id=kind.property_id,
            room_type_id=kind.id,
            check_in=first,
            check_out=last,
            guest_name="Ana Souza",
        )
        begin = time.perf_counter()
        direct_bookings.create(new, actor=actor)
        taken.append(time.perf_counter() - begin)

    def write(kind: RoomType) -> None:
        with app.app_context():
            for _ in range(rounds):
                time.sleep(random.uniform(0, 2 * PAUSE))
                book(kind)

    with app.app_context():
        with transaction() as session:
            sold = [session.get_one(RoomType, kind) for kind in kinds]
        for kind in sold:
            book(kind)  # statements compiled and prepared, connections open
        taken.clear()
    line.send("ready")
    line.recv()
    threads = [threading.Thread(target=write, args=(kind,)) for kind in sold]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    line.send(taken)


def _deadlocks(house: House) -> int:
    with house.connect() as connection:
        row = connection.execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    return int(row[0]) if row else 0
