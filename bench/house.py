"""The place benchmarks run in: fresh engines, a migrated database, and sensible bookings."""

from __future__ import annotations

import json
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import redis
from cryptography.fernet import Fernet
from flask import Flask
from flask_migrate import upgrade

from app.local.engines import start_test_engines

ROOMS = 500
NAMES = ("Ana Souza", "João Araújo", "Søren Østergaard", "Zoë van den Berg", "Çağrı Özdemir")


@dataclass
class House:
    """An app on its own database, and how large the run is."""

    app: Flask
    directory: Path
    database_url: str  # for psycopg
    redis_url: str
    environment: dict[str, str]
    scale: float
    rng: random.Random = field(default_factory=lambda: random.Random(20261121))

    def rows(self, full: int) -> int:
        return max(int(full * self.scale), 10)

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.database_url, autocommit=True)

    def empty(self) -> None:
        """No row anywhere, and nothing in line: orders about rows that are gone would be carried
        out in the time of whatever is measured next."""
        from app.extensions import Base

        with redis.Redis.from_url(self.redis_url) as connection:
            connection.flushdb()
        with self.connect() as connection:
            connection.execute("SET session_replication_role = replica")
            for table in Base.metadata.sorted_tables:
                connection.execute(f"DELETE FROM {table.name}".encode())
        with self.connect() as connection:
            connection.execute("VACUUM ANALYZE")

    def furnish(self, *, vendor: str = "fake", rooms: int = ROOMS) -> None:
        """One property with rooms `acc-0`… and a lock on every door."""
        with self.connect() as connection:
            connection.execute(
                """
                INSERT INTO properties (name, timezone, currency)
                VALUES ('Bench', 'America/Sao_Paulo', 'BRL')
                """
            )
            connection.execute(
                """
                INSERT INTO accommodations (property_id, name, number, stays_id)
                SELECT p.id, 'Room ' || n, n::text, 'acc-' || n
                FROM properties p, generate_series(0, %s) AS n
                """,
                [rooms - 1],
            )
            connection.execute(
                """
                INSERT INTO locks (name, vendor, device_id, radio, pin_length)
                SELECT 'Lock ' || n, %s, 'device-' || n, 'zigbee', 6
                FROM generate_series(0, %s) AS n
                """,
                [vendor, rooms - 1],
            )
            connection.execute(
                """
                INSERT INTO lock_mappings (accommodation_id, lock_id)
                SELECT a.id, l.id FROM accommodations a
                JOIN locks l ON l.device_id = 'device-' || a.number
                """
            )

    def bookings(self, count: int, rooms: int = ROOMS) -> list[dict[str, Any]]:
        """Stays that follow one another in each room, as the simple dialect sends them."""
        start = date.today() + timedelta(days=3)  # noqa: DTZ011
        free = [start + timedelta(days=self.rng.randrange(5)) for _ in range(rooms)]
        found = []
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for number in range(count):
            room = number % rooms
            check_in = free[room]
            check_out = check_in + timedelta(days=self.rng.choice((1, 1, 2, 2, 3, 4, 7)))
            free[room] = check_out + timedelta(days=self.rng.choice((0, 0, 1, 2)))
            found.append(
                {
                    "id": f"B{number:06d}",
                    "accommodation_id": f"acc-{room}",
                    "guest_name": self.rng.choice(NAMES),
                    "guest_email": f"guest{number}@example.org",
                    "guest_phone": f"+55 11 9{number:07d}",
                    "status": "confirmed",
                    "check_in": check_in.isoformat(),
                    "check_out": check_out.isoformat(),
                    "amount": f"{self.rng.randrange(200, 3000)}.50",
                    "currency": "BRL",
                    "updated_at": stamp,
                }
            )
        return found


@contextmanager
def open_house(directory: Path, *, scale: float) -> Iterator[House]:
    """Engines started, database migrated; all gone afterwards."""
    os.environ["FLASK_SKIP_DOTENV"] = "1"
    engines = start_test_engines(directory)
    try:
        with psycopg.connect(engines.database_url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE bench")
        url = engines.database_url.replace("/postgres?", "/bench?")
        environment = {
            "DATABASE_URL": url,
            "REDIS_URL": engines.redis_url,
            "SECRET_KEY": "bench-" + "x" * 40,
            "JWT_SECRET": "bench-" + "y" * 40,
            "PIN_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "STAYS_API_URL": "http://127.0.0.1:9",
            "STAYS_API_KEY": "bench",
            "STAYS_WEBHOOK_SECRET": "bench-webhook-secret",
            "BEDS24_WEBHOOK_SECRET": "bench-webhook-secret",
            "LOG_LEVEL": "WARNING",
            "TURNKEY_VAR": str(directory / "var"),
        }
        os.environ.update(environment)
        from app.config import load
        from app.factory import create_app

        app = create_app(load(environment, var=directory / "var"))
        with app.app_context():
            upgrade()
        yield House(app, directory, url, engines.redis_url, environment, scale)
    finally:
        engines.stop()


def seconds(work: Callable[[], Any]) -> float:
    """How long one call takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def result(name: str, value: float, unit: str, floor: float | None, n: int) -> dict[str, Any]:
    """One line of output; `ratio` is value over floor."""
    return {
        "name": name,
        "value": round(value, 4),
        "unit": unit,
        "floor": None if floor is None else round(floor, 4),
        "ratio": None if not floor else round(value / floor, 2),
        "n": n,
    }


def percentile(values: list[float], share: int) -> float:
    """The value below which `share` percent lie."""
    return statistics.quantiles(values, n=100)[share - 1] if len(values) > 1 else values[0]


def encode(bookings: list[dict[str, Any]]) -> bytes:
    """The body the channel answers."""
    return json.dumps({"reservations": bookings}).encode()
