"""One channel hears what another has sold, and nothing of what it said itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from app.models import ChannelEvent
from app.services import accommodations, properties, reservations
from app.services.accommodations import AccommodationChanges
from app.services.properties import RoomTypeChanges
from app.transaction import transaction
from tests.bookings import ARRIVES, DESK
from tests.channels import make_copy
from tests.conftest import Clock
from tests.outbound import Sold, events, make_sold

pytestmark = pytest.mark.usefixtures("app", "clock")


@pytest.fixture
def sold(app: Flask, clock: Clock) -> Sold:
    return make_sold()


def day(n: int) -> date:
    return ARRIVES + timedelta(days=n)


def test_what_one_channel_sells_the_other_hears_of(sold: Sold, clock: Clock) -> None:
    """A stay of Stays takes a unit that Beds24 sells too; what Beds24 says it knows itself."""
    assert sold.unit is not None
    copy = make_copy(sold.unit, check_in_on=day(0), check_out_on=day(2))

    def told() -> list[list[str]]:
        ranges: list[list[str]] = []
        with transaction() as session:
            for event in session.scalars(
                select(ChannelEvent).where(ChannelEvent.event_type == "pms.availability.update")
            ):
                ranges += event.payload["ranges"]
                session.delete(event)
        return ranges

    reservations.apply_copies([copy])
    assert told() == [["2026-03-12", "2026-03-13"]]
    reservations.apply_copies([copy])
    reservations.apply_copies([replace(copy, guest_name="Bia")])
    assert told() == []
    reservations.apply_copies([replace(copy, check_in_on=day(5), check_out_on=day(6))])
    assert told() == [["2026-03-12", "2026-03-13"], ["2026-03-17", "2026-03-17"]]
    reservations.cancel_vanished("stays", [copy.external_id], as_of=clock.now)
    assert told() == [["2026-03-17", "2026-03-17"]]
    beds24 = replace(
        copy,
        channel="beds24",
        property_ref=sold.connection.channel_property_id,
        accommodation_ref=sold.room_ref,
    )
    applied = reservations.apply_copies([beds24], channel_property_id=sold.connection.id)
    assert applied.created == 1
    assert told() == []


def test_other_units_than_before(sold: Sold) -> None:
    other = make_sold(sold.house, connection=sold.connection, room_ref="610012")
    assert sold.unit is not None
    properties.change_room_type(sold.kind.id, RoomTypeChanges(name="Loft"), actor=DESK)
    assert events() == []
    properties.change_room_type(sold.kind.id, RoomTypeChanges(total_units=4), actor=DESK)
    (event,) = events()
    assert event.payload["ranges"] == [["2026-03-10", "2027-03-10"]]
    moved = AccommodationChanges(room_type_id=other.kind.id)
    accommodations.change(sold.unit.id, moved, actor=DESK)
    assert {event.entity_internal_id for event in events()} == {sold.kind.id, other.kind.id}
