"""Rows that do not hold together are named, and rows that do are not (issue 8)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text, update

from app.domain.pins import Pin
from app.models import (
    Accommodation,
    ChannelEvent,
    Credential,
    InventoryHold,
    PinJob,
    ReconciliationLog,
    Reservation,
)
from app.runtime import pin_vault
from app.services import consistency
from app.transaction import transaction
from tests.conftest import Clock
from tests.events import make_connection
from tests.factories import (
    make_accommodation,
    make_lock,
    make_mapping,
    make_property,
    make_room_type,
    make_stay,
)

NOW = datetime(2026, 3, 12, 15, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
OLD = {"created_at": NOW - HOUR, "updated_at": NOW - HOUR}


@pytest.fixture(autouse=True)
def now(app: Flask, clock: Clock) -> None:
    clock.set(NOW)


def add(row: Any) -> Any:
    with transaction() as session:
        session.add(row)
    return row


def credential(stay: Reservation | None, **fields: Any) -> Credential:
    lock = fields.pop("lock", None) or make_lock()
    row: Credential = add(
        Credential(
            **(
                {
                    "reservation_id": stay.id if stay else None,
                    "lock_id": lock.id,
                    "pin_last2": "42",
                    "pin_encrypted": pin_vault().seal(Pin("4711042")),
                    "pin_fingerprint": f"{stay.id if stay else ''}{lock.id}",
                    "vendor_name": f"TK-{stay.id if stay else ''}",
                    "state": "installed",
                    "valid_from": NOW - HOUR,
                    "expires_at": NOW + 24 * HOUR,
                }
                | OLD
                | fields
            )
        )
    )
    return row


def order(kind: str, **fields: Any) -> PinJob:
    row: PinJob = add(
        PinJob(
            **(
                {
                    "kind": kind,
                    "job_id": "rev-1",
                    "run_at": NOW,
                    "valid_from": NOW - HOUR,
                    "expires_at": NOW + HOUR,
                }
                | OLD
                | fields
            )
        )
    )
    return row


def here(**fields: Any) -> Reservation:
    """A stay that began an hour ago, in a room that says so."""
    stay = make_stay(check_in=NOW - HOUR, status="checked_in", **(OLD | fields))
    with transaction() as session:
        session.execute(
            update(Accommodation)
            .where(Accommodation.id == stay.accommodation_id)
            .values(status="OCCUPIED")
        )
    return stay


def test_a_house_in_order_has_nothing_to_report() -> None:
    stay = here()
    lock = make_mapping(make_accommodation())
    found = credential(stay, lock=lock)
    order("revoke", reservation_id=stay.id, credential_id=found.id, next_attempt_at=NOW + HOUR)
    assert consistency.check() == []


def two_windows() -> Any:
    lock = make_lock()
    first, second = (credential(here(), lock=lock) for _ in range(2))
    return max(first.id, second.id, key=lambda id_: id_.bytes)


def cancelled_with_a_pin() -> Any:
    return credential(make_stay(check_in=NOW + HOUR, status="cancelled", **OLD)).id


def nobodys_pin() -> Any:
    return credential(None).id


def owed_and_forgotten() -> Any:
    stay = here()
    with transaction() as session:
        room = session.get_one(Accommodation, stay.accommodation_id)
    make_mapping(room)
    return stay.id


def order_due_never() -> Any:
    stay = here()
    pin = credential(stay)
    return order("revoke", reservation_id=stay.id, credential_id=pin.id).id


def message(**fields: Any) -> Any:
    connection = make_connection(make_property(), "beds24")
    return add(
        ChannelEvent(
            channel_property_id=connection.id,
            direction="inbound",
            source="beds24",
            event_type="booking.modified",
            entity_type="booking",
            idempotency_key="one",
            payload={},
            received_at=NOW - HOUR,
            **(OLD | fields),
        )
    ).id


def hold_of_a_confirmed_stay() -> Any:
    stay = here()
    kind = make_room_type()
    return add(
        InventoryHold(
            reservation_id=stay.id,
            room_type_id=kind.id,
            check_in=NOW.date(),
            check_out=NOW.date() + timedelta(days=1),
            hold_expires_at=NOW + HOUR,
            **OLD,
        )
    ).id


def run_nobody_has() -> Any:
    return add(ReconciliationLog(kind="stays", started_at=NOW - HOUR, **OLD)).id


def stay_in_another_house() -> Any:
    stay = here()
    with transaction() as session:
        session.execute(
            update(Reservation)
            .where(Reservation.id == stay.id)
            .values(property_id=make_property().id)
        )
    return stay.id


def room_that_lies() -> Any:
    stay = here()
    with transaction() as session:
        session.execute(text("UPDATE accommodations SET status = 'AVAILABLE'"))
    return stay.accommodation_id


def pin_of_another_key() -> Any:
    stay = here()
    return credential(stay, pin_encrypted="gAAAAABnothing").id


def secret_of_another_key() -> Any:
    connection = make_connection(make_property(), "beds24")
    with transaction() as session:
        session.execute(text("UPDATE channel_properties SET webhook_secret_encrypted = 'gAAAAAB'"))
    return connection.id


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (two_windows, "planned for the same time"),
        (cancelled_with_a_pin, "nobody takes off"),
        (nobodys_pin, "nobody takes off"),
        (owed_and_forgotten, "is owed a PIN"),
        (order_due_never, "order for a PIN"),
        (lambda: message(status="processing"), "has not ended"),
        (lambda: message(status="received"), "is taken up"),
        (hold_of_a_confirmed_stay, "keeps units"),
        (run_nobody_has, "under way or has ended"),
        (stay_in_another_house, "its own property"),
        (room_that_lies, "what its stays imply"),
        (pin_of_another_key, "every live PIN"),
        (secret_of_another_key, "token and secret"),
    ],
)
def test_what_is_broken_is_named(broken: Callable[[], Any], words: str) -> None:
    id_ = broken()
    found = consistency.check()
    assert [each.ids for each in found if words in each.check] == [(str(id_),)]
    assert len(found) == 1, found


def test_it_writes_nothing_and_names_only_a_few() -> None:
    for _ in range(7):
        credential(None, lock=make_lock())
    found = consistency.check()
    assert [(each.count, len(each.ids)) for each in found] == [(7, 5)]


def test_the_command_says_what_is_broken(app: Flask) -> None:
    runner = app.test_cli_runner()
    good = runner.invoke(args=["consistency"])
    assert (good.exit_code, good.output) == (0, f"{len(consistency.names())} checks, 0 broken.\n")
    id_ = nobodys_pin()
    bad = runner.invoke(args=["consistency"])
    assert bad.exit_code == 1
    assert f"nobody takes off: 1 ({id_})" in bad.output
