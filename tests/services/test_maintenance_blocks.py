"""A channel's blocks follow its word; ours are ours alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select

from app.errors import Conflict
from app.models import MaintenanceBlock
from app.services import maintenance_blocks
from app.services.maintenance_blocks import BlockChanges, NewBlock
from app.transaction import transaction
from tests.bookings import ARRIVES, DESK, free
from tests.conftest import Clock
from tests.outbound import Sold, events, make_sold

pytestmark = pytest.mark.usefixtures("app", "clock")
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def sold(app: Flask, clock: Clock) -> Sold:
    return make_sold()


def said(sold: Sold, nights: int = 2, at: datetime | None = NOON, **fields: Any) -> UUID | None:
    """What Beds24 says of its block 7001."""
    values = {
        "room_type_id": sold.kind.id,
        "accommodation_id": None,
        "start_date": ARRIVES,
        "end_date": ARRIVES + timedelta(days=nights),
        "units": 1,
    }
    with transaction() as session:
        return maintenance_blocks.apply_channel_block(
            session, channel="beds24", external_id="7001", modified_at=at, **(values | fields)
        )


def lifted(at: datetime | None = NOON) -> bool:
    with transaction() as session:
        return maintenance_blocks.remove_channel_block(session, "beds24", "7001", at)


def test_one_block_however_often_it_is_said(sold: Sold) -> None:
    first = said(sold)
    assert said(sold, nights=3) == first
    assert free(sold.kind, nights=4) == [2, 2, 2, 3]
    assert events() == [], "the channel knows"


def test_an_older_word_changes_nothing(sold: Sold) -> None:
    said(sold, nights=3)
    assert said(sold, nights=1, at=NOON - timedelta(hours=1)) is None
    assert not lifted(NOON - timedelta(hours=1))
    assert free(sold.kind, nights=3) == [2, 2, 2]
    assert lifted(NOON + timedelta(hours=1))
    assert free(sold.kind, nights=3) == [3, 3, 3]
    assert not lifted()


def test_a_named_room_is_one_unit(sold: Sold) -> None:
    assert sold.unit is not None
    said(sold, accommodation_id=sold.unit.id, units=3)
    assert free(sold.kind) == [2, 2]
    said(sold, units=2)
    assert free(sold.kind) == [1, 1]
    with transaction() as session:
        (row,) = session.scalars(select(MaintenanceBlock)).all()
    assert (row.accommodation_id, row.units) == (None, 2)


def test_a_channel_s_block_is_not_ours_to_change(sold: Sold) -> None:
    id_ = said(sold)
    assert id_ is not None
    with pytest.raises(Conflict, match="change it in Beds24"):
        maintenance_blocks.change(id_, BlockChanges(units=2), actor=DESK)
    with pytest.raises(Conflict, match="change it in Beds24"):
        maintenance_blocks.remove(id_, actor=DESK)


def test_ours_is_told_to_the_channel_wherever_it_was_and_is(sold: Sold) -> None:
    new = NewBlock(
        room_type_id=sold.kind.id, start_date=ARRIVES, end_date=ARRIVES + timedelta(days=1)
    )
    block = maintenance_blocks.create(new, actor=DESK).block
    later = ARRIVES + timedelta(days=10)
    maintenance_blocks.change(
        block.id, BlockChanges(start_date=later, end_date=later + timedelta(days=1)), actor=DESK
    )
    (event,) = events()
    assert event.event_type == "pms.availability.update"
    assert event.payload["ranges"] == [["2026-03-12", "2026-03-12"], ["2026-03-22", "2026-03-22"]]
