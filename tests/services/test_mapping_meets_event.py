"""A room is mapped while a message about it fails for want of that mapping: it is not forgotten."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import delete

from app.models import ChannelEvent, ChannelMapping
from app.services import beds24_intake, channel_mappings, event_rows, events
from app.services.audit import Actor
from app.services.channel_mappings import NewChannelMapping
from app.transaction import transaction
from tests.beds24 import House, encoded, make_beds24_house, told, v2
from tests.conftest import Clock
from tests.services.test_pin_races import together

ANA = Actor("ana@example.org")


@pytest.fixture
def house(app: Flask, clock: Clock) -> House:
    found = make_beds24_house()
    unmap()
    return found


def unmap() -> None:
    with transaction() as session:
        session.execute(delete(ChannelMapping))


def receive(booking_id: int) -> UUID:
    return beds24_intake.receive(encoded(v2(id=booking_id)), told()).event_id


def event(event_id: UUID) -> ChannelEvent:
    with transaction() as session:
        return session.get_one(ChannelEvent, event_id)


def map_unit(house: House) -> list[UUID]:
    """Map unit 2; the events that are offered for another try."""
    new = NewChannelMapping(
        channel_property_id=house.connection.id,
        mapping_type="room",
        internal_id=house.rooms[1].id,
        external_id="610011:2",
    )
    return channel_mappings.create(new, actor=ANA).waiting_event_ids


def test_mapped_between_the_look_and_the_note_it_is_tried_again(
    house: House, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, offered = event_rows.fail, []

    def late(*args: Any, **options: Any) -> Any:
        offered.append(map_unit(house))
        return real(*args, **options)

    event_id = receive(1)
    with monkeypatch.context() as patch:
        patch.setattr(event_rows, "fail", late)
        events.process(event_id)
    assert offered == [[]]  # whoever mapped it was told of nothing to retry
    row = event(event_id)
    assert (row.status, row.attempts, row.waiting_for) == ("retrying", 1, None)
    assert row.next_attempt_at == clock.now + timedelta(seconds=5)
    clock.move(seconds=5)
    events.process(event_id)
    assert event(event_id).status == "done"


def test_another_unit_mapped_meanwhile_does_not_help(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own unit is still missing: a dead letter at once, as without it."""
    real = event_rows.fail

    def late(*args: Any, **options: Any) -> Any:
        with transaction() as session:
            session.add(
                ChannelMapping(
                    channel_property_id=house.connection.id,
                    mapping_type="room",
                    external_id="610011:1",
                    internal_id=house.rooms[0].id,
                    is_active=False,
                )
            )
        return real(*args, **options)

    monkeypatch.setattr(event_rows, "fail", late)
    event_id = receive(1)
    events.process(event_id)
    row = event(event_id)
    assert (row.status, row.waiting_for, row.next_attempt_at) == ("failed", "610011", None)


def test_whoever_is_first_nothing_is_lost(app: Flask, house: House) -> None:
    """Every message ends applied, tried again by itself, or offered to who mapped its room."""
    for number in range(1, 11):
        unmap()
        event_id = receive(number)
        offered: list[UUID] = []

        def process(event_id: UUID = event_id) -> None:
            events.process(event_id)

        def map_it(offered: list[UUID] = offered) -> None:
            offered += map_unit(house)

        together(app, process, map_it)
        row = event(event_id)
        assert row.status in ("done", "retrying") or event_id in offered
