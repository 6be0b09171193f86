"""A door to test with: a mapped room, the fake lock, and the worker's part done by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import pytest
from flask import Flask

from app import clock as app_clock
from app.integrations.locks import LockPin, LockTarget
from app.integrations.locks.fake import SHARED, FakeLocks
from app.models import Accommodation, Credential, Lock, PinJob, Reservation
from app.queue import client as queue
from app.runtime import pin_vault
from app.services import credentials, pin_lookup, pin_plan, pin_views, vendors
from app.services.pin_views import PinView
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import (
    credentials_of,
    make_accommodation,
    make_lock,
    make_mapping,
    make_stay,
    reload,
)


@dataclass
class Door:
    """One room and its lock, with everything a test does to them."""

    locks: FakeLocks
    clock: Clock
    room: Accommodation
    lock: Lock

    def stay(self, **fields: object) -> Reservation:
        """A planned stay in this room."""
        stay = make_stay(self.room, **fields)  # type: ignore[arg-type]
        self.plan(stay)
        return stay

    def plan(self, *stays: Reservation, rooms: tuple[UUID, ...] = ()) -> None:
        with transaction() as session:
            pin_plan.plan(session, reservations=[s.id for s in stays], accommodations=rooms)

    def change(self, stay: Reservation, **fields: object) -> Reservation:
        """What a channel's copy does: change the row and plan again."""
        with transaction() as session:
            row = session.get_one(Reservation, stay.id)
            before = row.accommodation_id
            for name, value in fields.items():
                setattr(row, name, value)
            session.flush()
            rooms = [before] if before else []
            pin_plan.plan(session, reservations=[stay.id], accommodations=rooms)
        return reload(stay)

    def work(self, rounds: int = 6) -> None:
        """Do what workers would: everything due now, until nothing is."""
        for _ in range(rounds):
            ids, singles, locks = due_ids()
            for reservation_id in ids:
                credentials.generate(reservation_id)
            for credential_id in singles:
                credentials.revoke_one(credential_id)
            for lock_id in locks:
                credentials.read_lock(lock_id)
            if not ids and not singles and not locks:
                return

    def settle(self, seconds: float = 30) -> None:
        """Work, deliver to the lock, and read it back."""
        self.work()
        self.locks.sync()
        self.clock.move(seconds=seconds)
        self.work()

    def view(self, stay: Reservation) -> PinView:
        with transaction() as session:
            return pin_views.views(session, [stay.id])[stay.id]

    def credential(self, stay: Reservation) -> Credential:
        return credentials_of(stay)[-1]

    def digits(self, stay: Reservation) -> str:
        sealed = self.credential(stay).pin_encrypted
        assert sealed is not None
        return pin_vault().open(sealed).reveal()

    def listed(self) -> list[LockPin]:
        """What the lock's account shows right now."""
        return self.locks.list_pins(LockTarget(self.lock.device_id, self.lock.radio))

    def opens(self, digits: str, lock: Lock | None = None) -> bool:
        return self.locks.keypad((lock or self.lock).device_id, digits)


def due_ids() -> tuple[list[UUID], list[UUID], list[UUID]]:
    """What the sweep would put in line now: stays, lone credentials, locks."""
    now = app_clock.utcnow()
    alarms: list[queue.Alarm] = []
    original = queue.enqueue_many
    queue.enqueue_many = alarms.extend  # type: ignore[assignment]
    try:
        credentials.queue_due(now)
    finally:
        queue.enqueue_many = original
    stays, singles, locks = [], [], []
    for alarm in alarms:
        if alarm.at is not None and alarm.at > now:
            continue
        owner = UUID(str(alarm.arg))
        if alarm.name == "credentials.read_lock":
            locks.append(owner)
        elif alarm.name == "credentials.revoke_one":
            singles.append(owner)
        else:
            stays.append(owner)
    return list(dict.fromkeys(stays)), singles, locks


@pytest.fixture
def locks(app: Flask) -> Iterator[FakeLocks]:
    SHARED.reset()
    vendors.forget_clients()
    yield SHARED
    SHARED.reset()


@pytest.fixture
def door(app: Flask, locks: FakeLocks, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Door:
    monkeypatch.setattr(pin_lookup, "SECOND_LOOK_SECONDS", 0.0)
    room = make_accommodation()
    lock = make_mapping(room, make_lock())
    return Door(locks, clock, room, lock)


def jobs_of(stay: Reservation) -> dict[str, PinJob]:
    """The newest order of each kind."""
    with transaction() as session:
        rows = session.query(PinJob).filter_by(reservation_id=stay.id).order_by(PinJob.created_at)
        return {job.kind: job for job in rows}
