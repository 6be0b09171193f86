"""Two people map at the same moment: one of them is told what stands in the way, none to wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import delete

from app.errors import Conflict, NotFound
from app.models import ChannelMapping
from app.services import accommodations, channel_mapping_rows, channel_mappings, channel_units
from app.services.accommodations import AccommodationChanges
from app.services.channel_mappings import ChannelMappingChanges
from app.transaction import transaction
from tests.channel_mappings import ANA, connect, mapped, mappings_of, unit
from tests.services.test_pin_races import together

pytestmark = pytest.mark.usefixtures("app")


@pytest.mark.parametrize(
    "change",
    [
        lambda id_: channel_mappings.update(id_, ChannelMappingChanges(is_active=True), actor=ANA),
        lambda id_: channel_mappings.delete(id_, actor=ANA),
    ],
    ids=["update", "delete"],
)
def test_a_row_that_is_gone_by_the_time_of_its_turn(
    app: Flask, monkeypatch: pytest.MonkeyPatch, change: Callable[[UUID], object]
) -> None:
    """It had been taken away, and another mapping needed its key."""
    connection = connect()
    row = mapped(connection, unit(connection), "610011:1").mapping
    channel_mappings.delete(row.id, actor=ANA)
    real = channel_mapping_rows.lock

    def remove() -> None:
        with app.app_context(), transaction() as session:
            session.execute(delete(ChannelMapping).where(ChannelMapping.id == row.id))

    def late(*args: Any) -> None:
        other = threading.Thread(target=remove)
        other.start()
        other.join()
        real(*args)

    monkeypatch.setattr(channel_mapping_rows, "lock", late)
    with pytest.raises(NotFound):
        change(row.id)


def test_the_same_unit_from_both_sides_at_once(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mapping writes its unit's columns, and columns write their mapping: crosswise, PostgreSQL
    ends one of the two, which then finds the other's work."""
    connection = connect()
    one, two = unit(connection), unit(connection)
    write, lock = channel_units.write, channel_mapping_rows.lock
    mapping_written, columns_written = threading.Event(), threading.Event()
    first = threading.local()

    def write_late(*args: Any, **options: Any) -> None:
        mapping_written.set()
        columns_written.wait(timeout=10)
        write(*args, **options)

    def lock_late(*args: Any) -> None:
        if getattr(first, "columns", False):
            first.columns = False
            columns_written.set()
            mapping_written.wait(timeout=10)
        lock(*args)

    monkeypatch.setattr(channel_units, "write", write_late)
    monkeypatch.setattr(channel_mapping_rows, "lock", lock_late)
    refused = []

    def by_mapping() -> None:
        try:
            mapped(connection, one, "610011:1")
        except Conflict:
            refused.append(one.id)

    def by_columns() -> None:
        first.columns = True
        changes = AccommodationChanges(beds24_room_id="610011", beds24_unit_id="1")
        try:
            accommodations.change(two.id, changes, actor=ANA)
        except Conflict:
            refused.append(two.id)

    together(app, by_mapping, by_columns)
    assert len(refused) == 1
    winner, loser = (two, one) if refused == [one.id] else (one, two)
    assert mappings_of(winner) == [("610011:1", True)]
    assert mappings_of(loser) == []
