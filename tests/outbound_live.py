"""The product on one side, a Beds24 that answers over real sockets on the other, one clock."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import stamina
from flask import Flask, Response, request
from sqlalchemy import select

from app.domain.states import EventStatus
from app.models import ChannelEvent, ChannelEventAttempt, Reservation
from app.sandbox import faults
from app.sandbox.app import create_sandbox
from app.sandbox.beds24_records import (
    Beds24Account,
    Beds24Booking,
    Beds24Property,
    Beds24Room,
    Beds24Settings,
)
from app.sandbox.server import running
from app.services import holds, outbound, outbound_delivery, vendors
from app.transaction import transaction
from tests.conftest import Clock
from tests.outbound import Sold, booked
from tests.sandbox.wire import KEYS

ROOMS = (610_011, 610_012, 610_013)
UNITS = 40
UNFINISHED = (EventStatus.RECEIVED, EventStatus.RETRYING, EventStatus.PROCESSING)


@dataclass
class Channel:
    """The pretended Beds24, from the inside."""

    app: Flask
    clock: Clock
    #: when each call came, what it was, and the status of its answer
    log: list[tuple[datetime, str, int]]

    @property
    def store(self) -> Any:
        return self.app.extensions["sandbox"].store

    @property
    def account(self) -> Beds24Account:
        with self.store.open(changes=False) as world:
            found: Beds24Account = world.beds24
        return found

    @property
    def bookings(self) -> list[Beds24Booking]:
        return list(self.account.bookings.values())

    @property
    def booking(self) -> Beds24Booking:
        (only,) = self.bookings
        return only

    def fault(self, kind: str, **options: Any) -> None:
        with self.store.open() as world:
            faults.switch_on(world, "beds24", kind, **options)

    def mend(self) -> None:
        with self.store.open() as world:
            faults.switch_off(world)

    def manners(self, **settings: Any) -> None:
        with self.store.open() as world:
            for name, value in settings.items():
                assert name in {field.name for field in dataclasses.fields(Beds24Settings)}
                setattr(world.beds24.settings, name, value)

    def calls(self, operation: str) -> int:
        with self.store.open(changes=False) as world:
            found: int = world.calls.get(f"beds24.{operation}", 0)
        return found

    def left(self, room_id: int, day: date) -> int:
        room = self.account.room(room_id)
        assert room is not None
        return self.account.left(room, day.isoformat())


@pytest.fixture
def channel(app: Flask, clock: Clock, tmp_path: Path) -> Iterator[Channel]:
    sandbox = create_sandbox(tmp_path / "sandbox", keys=KEYS, clock=clock, with_demo=False)
    with sandbox.extensions["sandbox"].store.open() as world:
        house = Beds24Property(51_001, "Casa", "America/Sao_Paulo", "BRL", "15:00", "11:00")
        for ref in ROOMS:
            names = [f"{ref} {n}" for n in range(1, UNITS + 1)]
            house.rooms[ref] = Beds24Room(ref, house.id, f"Room {ref}", names, [], 100.0)
        world.beds24.properties[house.id] = house
    log: list[tuple[datetime, str, int]] = []

    @sandbox.after_request
    def note(response: Response) -> Response:
        log.append((clock.now, request.endpoint or "", response.status_code))
        return response

    before = app.extensions["settings"]
    with running(sandbox) as base, stamina.set_testing(True, attempts=2):
        app.extensions["settings"] = dataclasses.replace(
            before,
            beds24_api_url=f"{base}/beds24",
            beds24_refresh_token=KEYS.beds24_refresh_token,
        )
        vendors.forget_clients()
        try:
            yield Channel(sandbox, clock, log)
        finally:
            vendors.forget_clients()
            app.extensions["settings"] = before


def book(sold: Sold, **fields: Any) -> Reservation:
    """Sell a stay at the desk: written, held and owed in one transaction."""
    stay = booked(sold, **fields)
    with transaction() as session:
        row = session.get_one(Reservation, stay.id)
        assert outbound.booking_changed(session, row.id, "create") is not None
        holds.place(session, row)
    return stay


def edit(stay: Reservation, verb: outbound.Verb = "update", **values: Any) -> Any:
    """Change a stay as the desk does."""
    with transaction() as session:
        row = session.get_one(Reservation, stay.id)
        for name, value in values.items():
            setattr(row, name, value)
        row.version += 1
        return outbound.booking_changed(session, row.id, verb)


def waiting(limit: int | None = None) -> list[tuple[Any, datetime]]:
    """What has not ended, by when it is due."""
    with transaction() as session:
        rows = session.execute(
            select(ChannelEvent.id, ChannelEvent.next_attempt_at, ChannelEvent.lease_until)
            .where(ChannelEvent.direction == "outbound", ChannelEvent.status.in_(UNFINISHED))
            .order_by(ChannelEvent.next_attempt_at, ChannelEvent.priority)
            .limit(limit)
        )
        return [(id_, due or lease) for id_, due, lease in rows]


def deliver_due(clock: Clock) -> int:
    """Run a job for everything that is due now, and for what becomes due by that."""
    runs = 0
    while due := [id_ for id_, at in waiting() if at is None or at <= clock.now]:
        for id_ in due:
            outbound_delivery.deliver(id_)
            runs += 1
        assert runs < 5000
    return runs


def deliver_all(clock: Clock, *, most: int = 10_000) -> None:
    """Let time pass until nothing is left to deliver."""
    for _ in range(most):
        before = waiting()
        for id_, at in before:
            if at is None or at <= clock.now:
                outbound_delivery.deliver(id_)
        after = waiting()
        if not after:
            return
        if after == before:  # what is due waits for something that is not
            clock.set(min(at for _, at in after if at > clock.now))
    raise AssertionError("it does not come to an end")


def attempts(event: ChannelEvent) -> list[str | None]:
    """How each try of an event ended."""
    with transaction() as session:
        return list(
            session.scalars(
                select(ChannelEventAttempt.outcome)
                .where(ChannelEventAttempt.event_id == event.id)
                .order_by(ChannelEventAttempt.number)
            )
        )
