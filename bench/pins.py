"""Five hundred PINs due at once, and how soon one that is due now reaches its lock.

Floor of `due_pins_500`: the same lock calls made by a plain loop. `pin_due_now` runs real worker
processes and counts from the commit of the booking to the vendor's acceptance.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.crew import crew
from bench.house import House, percentile, result, seconds

FULL = 500
SINGLES = 10
LIMIT_SECONDS = 20


def run(house: House) -> Iterator[dict[str, Any]]:
    count = house.rows(FULL)
    house.empty()
    house.furnish(rooms=count)
    with house.app.app_context():
        yield result("due_pins_500", _due(house, count), "s", _plain(count), count)
    house.empty()
    house.furnish(rooms=SINGLES)
    with house.app.app_context():
        waits = _due_now(house)
    yield result("pin_due_now", percentile(waits, 95), "s p95", None, SINGLES)


def book(house: House, count: int) -> list[Any]:
    """Stays that check in within the hour; their ids."""
    with house.connect() as connection:
        rows = connection.execute(
            """
            INSERT INTO reservations (property_id, accommodation_id, source, channel, external_id,
                status, check_in_at, check_out_at, check_in_on, check_out_on)
            SELECT property_id, id, 'stays', 'stays', 'D' || number, 'confirmed',
                   now() + interval '30 minutes', now() + interval '2 days',
                   current_date, current_date + 2
            FROM accommodations ORDER BY number LIMIT %s RETURNING id
            """,
            [count],
        ).fetchall()
    return [row[0] for row in rows]


def _due(house: House, count: int) -> float:
    from app.integrations.locks.fake import SHARED
    from app.services import credentials, pin_plan, vendors
    from app.transaction import transaction

    SHARED.reset()
    vendors.forget_clients()
    ids = book(house, count)
    with transaction() as session:
        pin_plan.plan(session, reservations=ids)

    def work() -> None:
        for one in ids:
            credentials.generate(one)

    taken = seconds(work)
    if SHARED.calls["create_pin"] != count:
        raise RuntimeError(f"{SHARED.calls['create_pin']} PINs sent for {count} stays")
    return taken


def _plain(count: int) -> float:
    from app.domain import pins
    from app.integrations.locks import LockTarget, PinOrder
    from app.integrations.locks.fake import FakeLocks

    locks = FakeLocks()
    begin = datetime.now(UTC) + timedelta(minutes=1)

    def loop() -> None:
        for number in range(count):
            target = LockTarget(f"plain-{number}", "zigbee", "lower", 6)
            order = PinOrder(
                target, f"TK-{number}", pins.generate(6), begin, begin + timedelta(days=1)
            )
            locks.create_pin(order)

    return seconds(loop)


def _due_now(house: House) -> list[float]:
    from app.models import Credential
    from app.services import pin_plan
    from app.transaction import transaction

    waits = []
    with crew(house, 1):
        for stay_id in book(house, SINGLES):
            begin = time.perf_counter()
            with transaction() as session:
                pin_plan.plan(session, reservations=[stay_id])
            while True:
                with transaction() as session:
                    found = session.query(Credential).filter_by(reservation_id=stay_id).first()
                if found is not None and found.accepted_at is not None:
                    break
                if time.perf_counter() - begin > LIMIT_SECONDS:
                    raise RuntimeError(f"a PIN that was due was not accepted in {LIMIT_SECONDS} s")
                time.sleep(0.02)
            waits.append(time.perf_counter() - begin)
            time.sleep(0.3)
    return waits
