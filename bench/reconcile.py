"""Ten thousand reservations, all new and then all known, over HTTP from a Stays stand-in.

Floor: decoding the same JSON and one set-based insert (select) of the same rows with psycopg.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from bench import comparison
from bench.house import House, encode, result, seconds
from bench.stand import Stand

FULL = 10_000
ROUNDS = 3
_INSERT_COLUMNS = (
    "property_id, accommodation_id, source, channel, external_id, status, guest_name, "
    "guest_email, guest_phone, check_in_at, check_out_at, check_in_on, check_out_on, amount, "
    "currency, source_modified_at, content_hash, search_text"
)


def run(house: House) -> Iterator[dict[str, Any]]:
    count = house.rows(FULL)
    body = encode(house.bookings(count))
    new, known, floors_new, floors_known = [], [], [], []
    with Stand(body) as url, house.app.app_context():
        for _ in range(ROUNDS):
            house.empty()
            house.furnish()
            new.append(seconds(lambda: reconcile(house, url, created=count)))
            known.append(seconds(lambda: reconcile(house, url)))
            floors_new.append(_floor_insert(house, body))
            floors_known.append(_floor_select(house, body))
    yield result("reconcile_10k_new", min(new), "s", min(floors_new), count)
    yield result("reconcile_10k_unchanged", min(known), "s", min(floors_known), count)
    yield from comparison.run(house)


def reconcile(house: House, url: str, *, created: int = 0, updated: int = 0) -> None:
    """One run against the stand-in at `url`, which must find exactly so many."""
    from app.integrations.channels.stays_simple import StaysSimpleClient
    from app.integrations.http import bearer, pooled
    from app.models import PinJob, ReconciliationLog
    from app.services import reconciliation, vendors
    from app.transaction import transaction

    client = StaysSimpleClient(pooled("stays", url, bearer("stays", "bench")))
    vendors._clients[("channel:stays_simple", id(house.app.extensions["settings"]))] = client
    run_id: UUID = reconciliation.start("stays", trigger="command")
    reconciliation.run(run_id)
    with transaction() as session:
        row = session.get_one(ReconciliationLog, run_id)
        jobs = session.query(PinJob).count() if created else 0
    if (row.status, row.created, row.updated, row.errors) != ("success", created, updated, 0):
        raise RuntimeError(
            f"the run ended {row.status}: {row.message}, {row.created} new, {row.updated} changed"
        )
    if created and jobs != 2 * created:
        raise RuntimeError(f"{jobs} PIN orders for {created} stays")


def _floor_insert(house: House, body: bytes) -> float:
    """The same rows into a table of the same shape and indexes, in one statement."""
    with house.connect() as connection:
        connection.execute("DROP TABLE IF EXISTS bench_floor")
        connection.execute("CREATE TABLE bench_floor (LIKE reservations INCLUDING ALL)")
        columns = connection.execute(
            f"SELECT {_INSERT_COLUMNS} FROM reservations".encode()
        ).fetchall()
        arrays = [list(column) for column in zip(*columns, strict=True)]
        types = ["uuid", "uuid", *["text"] * 7, *["timestamptz"] * 2, *["date"] * 2]
        types += ["numeric", "text", "timestamptz", "text", "text"]
        unnest = ", ".join(f"%s::{kind}[]" for kind in types)
        statement = f"INSERT INTO bench_floor ({_INSERT_COLUMNS}) SELECT * FROM unnest({unnest})"

        def work() -> None:
            json.loads(body)
            connection.execute(statement.encode(), arrays)

        return seconds(work)


def _floor_select(house: House, body: bytes) -> float:
    """Decode, and read the same rows back by their ids in one statement."""
    with house.connect() as connection:

        def work() -> None:
            ids = [item["id"] for item in json.loads(body)["reservations"]]
            connection.execute(
                "SELECT id, external_id, content_hash FROM reservations "
                "WHERE channel = 'stays' AND external_id = ANY(%s)",
                [ids],
            ).fetchall()

        return seconds(work)
