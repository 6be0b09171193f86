"""Fifty thousand bookings of Beds24 compared with ours: at first sight, and when they are known.

Floor: decoding the same pages and one set-based select of the same rows with psycopg. The memory is
the peak of this whole process; its limit is 200 MB.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from bench.house import NAMES, House, result, seconds

FULL = 50_000
ROUNDS = 3
PAGE = 100
ROOMS = 50
KIND = "beds24_bookings"
STATUSES = (("confirmed", "confirmed"), ("new", "confirmed"), ("cancelled", "cancelled"))


def run(house: House) -> Iterator[dict[str, Any]]:
    count = house.rows(FULL)
    house.empty()
    pages = _Pages(house, count)
    _furnish(house, pages)
    with house.app.app_context():
        _speak(house, pages)
        _reset_peak()
        first = seconds(lambda: _compare(count))
        known = [seconds(lambda: _compare(count)) for _ in range(ROUNDS)]
        peak = _peak()
    floor = min(_floor(house, pages) for _ in range(ROUNDS))
    yield result("compare_50k_bookings_first", first, "s", floor, count)
    yield result("compare_50k_bookings", min(known), "s", floor, count)
    yield result("compare_50k_bookings_memory", peak, "MB", None, count)


class _Pages:
    """The pages on disk, so that they take no memory of what is measured."""

    def __init__(self, house: House, count: int) -> None:
        self.path = house.directory / "pages"
        self.ends = [0]
        with self.path.open("wb") as file:
            for page in _bookings(house, count):
                file.write(page)
                self.ends.append(file.tell())

    def __iter__(self) -> Iterator[bytes]:
        return (self.read(number) for number in range(1, len(self.ends)))

    def read(self, number: int) -> bytes:
        """A page, counted from 1."""
        begin, end = self.ends[number - 1 : number + 1]
        with self.path.open("rb") as file:
            file.seek(begin)
            return file.read(end - begin)


def _bookings(house: House, count: int) -> Iterator[bytes]:
    """The bookings as Beds24 sends them, a hundred at a time."""
    today = date.today()  # noqa: DTZ011
    for start in range(0, count, PAGE):
        rows = []
        for number in range(start, min(start + PAGE, count)):
            arrival = today + timedelta(days=house.rng.randrange(-20, 80))
            name = house.rng.choice(NAMES)
            rows.append(
                {
                    "id": 80_000_000 + number,
                    "propertyId": 51001,
                    "roomId": 700_000 + number % ROOMS,
                    "unitId": 0,
                    "roomQty": 1,
                    "status": STATUSES[number % len(STATUSES)][0],
                    "subStatus": "none",
                    "arrival": arrival.isoformat(),
                    "departure": (arrival + timedelta(days=1 + number % 7)).isoformat(),
                    "numAdult": 2,
                    "numChild": 0,
                    "firstName": name.partition(" ")[0],
                    "lastName": name.partition(" ")[2],
                    "email": f"guest{number}@example.org",
                    "phone": f"+55 11 9{number:07d}",
                    "comments": "late arrival, needs a cot " * 3,
                    "price": house.rng.randrange(100, 3000) + 0.5,
                    "apiSource": "Booking.com",
                    "apiReference": f"4400{number}",
                    "bookingTime": "2026-01-01T09:12:44Z",
                    "modifiedTime": "2026-01-02T09:12:44Z",
                    "cancelTime": None,
                    "notes": "",
                }
            )
        more = start + PAGE < count
        document = {"success": True, "data": rows, "pages": {"nextPageExists": more}}
        yield json.dumps(document).encode()


def _furnish(house: House, pages: _Pages) -> None:
    """A house whose rows say what the pages say."""
    with house.connect() as connection:
        connection.execute(
            "INSERT INTO properties (name, timezone, currency) "
            "VALUES ('Bench', 'America/Sao_Paulo', 'BRL')"
        )
        connection.execute(
            "INSERT INTO channel_accounts "
            "(channel_name, origin, seed_fingerprint, refresh_token_encrypted) "
            "VALUES ('beds24', 'token', 'bench', 'bench')"
        )
        connection.execute(
            "INSERT INTO channel_properties "
            "(property_id, channel_name, channel_property_id, account_id) "
            "SELECT p.id, 'beds24', '51001', a.id FROM properties p, channel_accounts a"
        )
        connection.execute(
            "INSERT INTO room_types (property_id, name, total_units) "
            "SELECT p.id, (700000 + n)::text, 99 FROM properties p, generate_series(0, %s) n",
            [ROOMS - 1],
        )
        connection.execute(
            "INSERT INTO channel_mappings "
            "(channel_property_id, mapping_type, internal_id, external_id) "
            "SELECT c.id, 'room_type', t.id, t.name FROM channel_properties c, room_types t"
        )
        for page in pages:
            connection.execute(
                """
                INSERT INTO reservations
                    (property_id, room_type_id, source, channel, external_id, status, guest_name,
                     check_in_at, check_out_at, check_in_on, check_out_on, amount, currency,
                     source_modified_at, search_text)
                SELECT t.property_id, t.id, 'beds24', 'beds24', b.id::text,
                       replace(b.status, 'new', 'confirmed'), b."firstName" || ' ' || b."lastName",
                       b.arrival + time '17:00', b.departure + time '14:00', b.arrival,
                       b.departure, b.price, 'BRL', b."modifiedTime", 'bench'
                  FROM jsonb_to_recordset(%s::jsonb -> 'data') AS b
                       (id bigint, "roomId" text, status text, "firstName" text, "lastName" text,
                        arrival date, departure date, price numeric, "modifiedTime" timestamptz)
                  JOIN room_types t ON t.name = b."roomId"
                """,
                [page.decode()],
            )
        connection.execute("VACUUM ANALYZE reservations")


class _Account:
    """An account that answers the bookings' pages, encoded."""

    credits = None

    def __init__(self, pages: _Pages) -> None:
        self.pages = pages

    def read(self, path: str, params: Sequence[tuple[str, str]]) -> Any:
        return json.loads(self.pages.read(int(dict(params).get("page", "1"))))


def _speak(house: House, pages: _Pages) -> None:
    """Have every connection answered by them."""
    from app.integrations.channels.beds24 import Beds24Client
    from app.services import vendors

    account: Any = _Account(pages)
    with house.connect() as connection:
        ids = connection.execute("SELECT id FROM channel_accounts").fetchall()
    for (account_id,) in ids:
        key = (f"beds24:{account_id}", id(house.app.extensions["settings"]))
        vendors._clients[key] = Beds24Client(account)


def _compare(count: int) -> None:
    from app.models import ReconciliationLog
    from app.services import reconciliation
    from app.transaction import transaction

    run_id: UUID = reconciliation.start(KIND, trigger="command")
    reconciliation.run(run_id)
    with transaction() as session:
        row = session.get_one(ReconciliationLog, run_id)
    if (row.status, row.fetched, row.updated, row.flagged) != ("success", count, 0, 0):
        raise RuntimeError(f"the run ended {row.status}: {row.message}, flagged {row.flagged}")


def _floor(house: House, pages: _Pages) -> float:
    """Decode, and read the same rows back by their ids in one statement."""
    with house.connect() as connection:

        def work() -> None:
            ids: list[str] = []
            for page in pages:
                ids += [str(item["id"]) for item in json.loads(page)["data"]]
            connection.execute(
                "SELECT id, external_id, sweep_hash FROM reservations "
                "WHERE channel = 'beds24' AND external_id = ANY(%s)",
                [ids],
            ).fetchall()

        return seconds(work)


def _reset_peak() -> None:
    """Forget what came before (Linux; elsewhere the peak is of the whole life)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0
