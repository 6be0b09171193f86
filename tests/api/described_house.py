"""A house with something of every kind in it, and the ids of all of it."""

from __future__ import annotations

import itertools
from datetime import date, timedelta

from sqlalchemy import text

from app import clock
from app.domain.states import LockTestState
from app.extensions import db
from app.models import AccommodationSync, Alert, LockTest, ReconciliationLog
from app.runtime import settings
from app.services import maintenance_blocks, rates
from app.services.maintenance_blocks import NewBlock
from app.services.rates import NewRate
from app.transaction import transaction
from tests.bookings import ARRIVES, DESK, book
from tests.discrepancies import finding, settle
from tests.events import make_event
from tests.factories import (
    make_accommodation,
    make_lock,
    make_mapping,
    make_property,
    make_stay,
    make_user,
)
from tests.outbound import connect, make_sold

#: what a name in a path, a query or a body is the id of
TABLES = {
    "accommodation_id": "accommodations", "accommodationId": "accommodations",
    "alert_id": "alerts", "block_id": "maintenance_blocks",
    "channel_property_id": "channel_properties", "discrepancy_id": "discrepancies",
    "entry_id": "audit_log", "event_id": "channel_events", "hold_id": "inventory_holds",
    "internal_id": "accommodations", "lock_id": "locks", "lockId": "locks",
    "mapping_id": "channel_mappings", "property_id": "properties", "rate_id": "rates",
    "reservation_id": "reservations", "room_id": "accommodations", "room_type_id": "room_types",
    "run_id": "reconciliation_logs", "sync_id": "accommodation_syncs", "test_id": "lock_tests",
    "user_id": "users",
}  # fmt: skip
#: whose tokens the walk carries; nobody is demoted on the way
OURS = "walker"
_number = itertools.count(1)


def furnish() -> None:
    """Write it all; twice is twice as much."""
    house = make_property()
    number = next(_number)
    sold = make_sold(
        house, connection=connect(house, f"5100{number}"), room_ref=f"61001{number}", total_units=9
    )
    book(sold.kind)
    make_stay(make_accommodation(sold.house))
    gone = ARRIVES - timedelta(days=4)
    make_stay(make_accommodation(sold.house), check_in=gone, status="checked_in")
    make_accommodation(sold.house, room_type_id=sold.kind.id)
    make_mapping(make_accommodation(sold.house))
    lock = make_lock()
    nights = {"start_date": ARRIVES, "end_date": ARRIVES + timedelta(days=3)}
    maintenance_blocks.create(NewBlock(room_type_id=sold.kind.id, **nights), actor=DESK)
    rates.put(NewRate(room_type_id=sold.kind.id, price="450.00", date=ARRIVES), actor=DESK)
    for status in ("failed", "done", "received"):
        make_event(status, house=sold.house, tries=1)
    settle(sold.connection, [finding(subject=f"8{n}") for n in range(3)])
    make_user("staff")
    _rows(lock.id)


def _rows(lock_id: object) -> None:
    now = clock.utcnow()
    hour = now + timedelta(hours=1)
    with transaction() as session:
        session.add_all(
            [
                ReconciliationLog(
                    kind="stays", status="success", started_at=now, completed_at=now, duration=7
                ),
                AccommodationSync(channel="stays", trigger="manual", status="success"),
                Alert(
                    kind="lock_battery", subject=f"lock:{lock_id}", severity="warning",
                    title="A battery is low", what_to_do="Change it.",
                ),
                LockTest(
                    lock_id=lock_id, state=LockTestState.INSTALLED, pin_last2="42",
                    vendor_name=f"test-{lock_id}", valid_from=now, expires_at=hour,
                ),
            ]
        )  # fmt: skip


def known(most: int = 6) -> dict[str, list[str]]:
    """Ids of rows that there are now, the newest first, by the names of `TABLES`."""
    found: dict[str, list[str]] = {}
    with db.engine.connect() as wire:
        for name, table in TABLES.items():
            where = f"WHERE email NOT LIKE '{OURS}%'" if table == "users" else ""
            order = "at" if table == "audit_log" else "created_at"
            query = f"SELECT id FROM {table} {where} ORDER BY {order} DESC, id LIMIT {most}"
            found[name] = [str(each) for each in wire.scalars(text(query))]
    own = settings()
    return found | {
        "token": [own.stays_webhook_secret],
        "X-Webhook-Token": [own.beds24_webhook_secret],
    }


def days(first: date = ARRIVES) -> dict[str, str]:
    """Days that a booking, a block and a price can have."""
    last = first + timedelta(days=2)
    return {
        name: day.isoformat()
        for day, names in (
            (first, ("check_in", "start_date", "from", "date")),
            (last, ("check_out", "end_date", "to")),
        )
        for name in names
    }
