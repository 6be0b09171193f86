"""Taking in a channel's list of units: created, updated, retired, brought back (P2-ACC)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from app.errors import Conflict, NotFound, Unavailable
from app.integrations.channels import ChannelListing
from app.integrations.channels.fake import FakeChannel, channel
from app.integrations.errors import Unreachable
from app.models import (
    Accommodation,
    AccommodationSync,
    Alert,
    AuditEntry,
    ChannelProperty,
    RoomType,
)
from app.services import accommodation_sync, vendors
from app.services.audit import Actor
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import make_accommodation, make_property, make_stay, reload


@pytest.fixture
def stays(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeChannel]:
    channel.reset()
    monkeypatch.setattr(vendors, "listings_clients", lambda name: [channel])
    yield channel
    channel.reset()


def unit(external_id: str, name: str = "", **fields: object) -> ChannelListing:
    return ChannelListing(external_id, name or f"Unit {external_id}", **fields)  # type: ignore[arg-type]


def sync(name: str = "stays") -> AccommodationSync:
    row = accommodation_sync.start(trigger="manual", channel=name)
    accommodation_sync.run(row.id)
    return reload(row)


def totals(row: AccommodationSync) -> tuple[int, int, int, int, int]:
    return (row.total, row.created, row.updated, row.inactivated, row.returned)


def room(stays_id: str) -> Accommodation:
    with transaction() as session:
        return session.scalars(
            select(Accommodation).where(Accommodation.stays_id == stays_id)
        ).one()


def connect(property_id: object, ref: str, name: str = "stays") -> None:
    with transaction() as session:
        session.add(
            ChannelProperty(property_id=property_id, channel_name=name, channel_property_id=ref)
        )


def open_alerts() -> list[Alert]:
    with transaction() as session:
        return list(session.scalars(select(Alert).where(Alert.status != "resolved")))


def test_units_are_created_and_updated_by_their_id(stays: FakeChannel, clock: Clock) -> None:
    house = make_property()
    known = make_accommodation(house, stays_id="A1", name="Old name", number="7")
    stays.units = [unit("A1", "Suite 7"), unit("A2", "Loft")]
    first = sync()
    assert (first.status, totals(first)) == ("success", (2, 1, 1, 0, 0))
    assert (first.started_at, first.completed_at) == (clock.now, clock.now)
    assert (reload(known).name, reload(known).number) == ("Suite 7", "7")
    made = room("A2")
    assert (made.name, made.property_id, made.is_active) == ("Loft", house.id, True)
    again = sync()
    assert totals(again) == (2, 0, 0, 0, 0)
    with transaction() as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.at)).all()
    assert [entry.action for entry in entries if entry.entity == "accommodation"] == [
        "update",
        "create",
    ]


def test_the_absent_are_retired_and_come_back(stays: FakeChannel, clock: Clock) -> None:
    gone = make_accommodation(stays_id="A1", name="Unit A1")
    make_accommodation(gone_house := make_property(), stays_id="A2", name="Unit A2")
    manual = make_accommodation(gone_house, stays_id=None, name="Only ours")
    stay = make_stay(gone)
    stays.units = [unit("A2")]
    assert totals(sync()) == (1, 0, 0, 1, 0)
    assert not reload(gone).is_active
    assert reload(gone).absent_since == clock.now
    assert reload(manual).is_active
    assert reload(stay).accommodation_id == gone.id
    assert totals(sync()) == (1, 0, 0, 0, 0)
    stays.units = [unit("A1"), unit("A2")]
    assert totals(sync()) == (2, 0, 1, 0, 1)
    assert reload(gone).is_active
    assert reload(gone).absent_since is None


def test_an_inactive_listing_retires_too(stays: FakeChannel) -> None:
    known = make_accommodation(stays_id="A1", name="Unit A1")
    stays.units = [unit("A1", active=False), unit("A2", active=False)]
    assert totals(sync()) == (2, 1, 1, 1, 0)
    assert not reload(known).is_active
    assert not room("A2").is_active
    stays.units = [unit("A1"), unit("A2")]
    assert totals(sync()) == (2, 0, 2, 0, 2)


def test_what_a_person_retired_stays_so(stays: FakeChannel) -> None:
    known = make_accommodation(stays_id="A1", name="Storage", is_active=False)
    stays.units = [unit("A1", "Storage")]
    assert totals(sync()) == (1, 0, 0, 0, 0)
    assert not reload(known).is_active


def test_a_placeholder_is_completed(stays: FakeChannel, clock: Clock) -> None:
    first, own = make_property(), make_property(timezone="Europe/Lisbon")
    connect(own.id, "H2")
    placeholder = make_accommodation(
        first, stays_id="X9", name="Accommodation X9", number=None, is_active=False
    )
    stay = make_stay(placeholder, check_in=date(2026, 3, 20))
    stays.units = [unit("X9", "Loft 9", property_ref="H2")]
    assert totals(sync()) == (1, 0, 1, 0, 0)
    after = reload(placeholder)
    assert (after.name, after.is_active, after.property_id) == ("Loft 9", True, own.id)
    assert reload(stay).property_id == own.id
    assert reload(stay).check_in_at == stay.check_in_at - timedelta(hours=3)


def test_a_unit_somebody_placed_is_not_moved(stays: FakeChannel) -> None:
    chosen, listed = make_property(), make_property()
    connect(listed.id, "H2")
    known = make_accommodation(chosen, stays_id="A1")
    stays.units = [unit("A1", property_ref="H2"), unit("A2", property_ref="H2")]
    sync()
    assert reload(known).property_id == chosen.id
    assert room("A2").property_id == listed.id


def test_an_empty_answer_is_not_believed(stays: FakeChannel) -> None:
    known = make_accommodation(stays_id="A1", name="Unit A1")
    row = sync()
    assert (row.status, row.error_kind, row.inactivated) == ("failed", "empty_answer", 0)
    assert reload(known).is_active
    (alert,) = open_alerts()
    assert (alert.kind, alert.subject) == ("run_failed", "accommodations:stays")
    assert "nothing was changed" in alert.what_to_do
    stays.units = [unit("A1")]
    assert sync().status == "success"
    assert open_alerts() == []


def test_an_empty_account_is_fine(stays: FakeChannel) -> None:
    assert sync().status == "success"


def test_items_that_cannot_be_taken_in_are_named(stays: FakeChannel) -> None:
    make_property()
    stays.units = [unit(" "), unit("A1")]
    row = sync()
    assert (row.status, totals(row)) == ("success", (2, 1, 0, 0, 0))
    assert row.items == [{"accommodationId": None, "error": "no usable id", "action": "fetch"}]
    assert row.message == "1 accommodations could not be taken in"


def test_without_a_house_every_unit_says_so(stays: FakeChannel) -> None:
    stays.units = [unit("A1")]
    (item,) = sync().items
    assert item["action"] == "create"
    assert "no property yet" in item["error"]


def test_a_missing_name_is_made_up(stays: FakeChannel) -> None:
    make_property()
    stays.units = [ChannelListing("A1", "  ")]
    sync()
    assert room("A1").name == "Accommodation A1"


def test_a_channel_that_is_down_fails_the_sync(stays: FakeChannel) -> None:
    known = make_accommodation(stays_id="A1")
    stays.fail("listings", Unreachable("timeout", vendor="fake"))
    row = sync()
    assert (row.status, row.error_kind) == ("failed", "unreachable")
    assert reload(known).is_active
    assert [alert.kind for alert in open_alerts()] == ["run_failed"]


def test_one_at_a_time(stays: FakeChannel) -> None:
    row = accommodation_sync.start(trigger="schedule")
    with pytest.raises(Conflict, match="already"):
        accommodation_sync.start(trigger="manual")
    accommodation_sync.run(row.id)
    accommodation_sync.run(row.id)  # a second copy of the job finds nothing to do
    assert [call for call, _ in stays.calls] == ["listings"]
    latest = accommodation_sync.latest()
    assert latest is not None
    assert latest.id == row.id
    assert accommodation_sync.search({}).total == 1


def test_a_lost_sync_is_taken_up_again(
    stays: FakeChannel, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = accommodation_sync.start(trigger="manual")

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(accommodation_sync, "_carry_out", dies)
        with pytest.raises(KeyboardInterrupt):
            accommodation_sync.run(row.id)
    assert accommodation_sync.queue_due(clock.now) == 0  # its lease still stands
    clock.move(seconds=50)
    assert accommodation_sync.queue_due(clock.now) == 1
    accommodation_sync.run(row.id)
    assert reload(row).status == "success"
    assert accommodation_sync.queue_due(clock.now) == 0


def test_an_internal_error_ends_the_sync(
    stays: FakeChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = accommodation_sync.start(trigger="manual")

    def breaks(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(accommodation_sync.unit_listings, "apply", breaks)
    with pytest.raises(ZeroDivisionError):
        accommodation_sync.run(row.id)
    assert (reload(row).status, reload(row).error_kind) == ("failed", "ZeroDivisionError")


def test_without_a_channel_there_is_nothing_to_read(app: Flask) -> None:
    with pytest.raises(Unavailable):
        accommodation_sync.start(trigger="manual")
    with pytest.raises(NotFound):
        accommodation_sync.get(make_property().id)


def test_beds24_brings_rooms_and_their_kinds(stays: FakeChannel) -> None:
    house = make_property()
    connect(house.id, "4711", "beds24")
    known = make_accommodation(house, stays_id=None, beds24_room_id="10", name="Double 1")
    retired = make_accommodation(house, stays_id=None, beds24_room_id="99", name="Attic")
    stays_only = make_accommodation(house, stays_id="S1")
    elsewhere = make_accommodation(stays_id=None, beds24_room_id="50", name="Other account")
    stays.units = [
        unit("10:1", "Double 1", property_ref="4711", room_type="Double", room_type_units=2),
        unit("10:2", "Double 2", property_ref="4711", room_type="Double", room_type_units=2),
        unit("20:1", "Far away", property_ref="9999"),
    ]
    row = sync("beds24")
    assert totals(row) == (3, 1, 1, 1, 0)
    assert [item["accommodationId"] for item in row.items] == ["20:1"]
    with transaction() as session:
        kind = session.scalars(select(RoomType)).one()
        second = session.scalars(
            select(Accommodation).where(Accommodation.beds24_unit_id == "2")
        ).one()
    assert (kind.name, kind.total_units, kind.property_id) == ("Double", 2, house.id)
    assert (second.beds24_room_id, second.room_type_id) == ("10", kind.id)
    assert reload(known).room_type_id == kind.id
    assert not reload(retired).is_active
    assert reload(stays_only).is_active
    assert reload(elsewhere).is_active
    stays.units = [
        unit("10", "Double 1", property_ref="4711", room_type="Double", room_type_units=3),
        unit("10:2", "Double 2", property_ref="4711", room_type="Double", room_type_units=3),
        unit("20:1", "Far away", property_ref="9999"),
    ]
    assert totals(sync("beds24"))[1:] == (0, 0, 0, 0)
    assert reload(kind).total_units == 3


def test_who_asks_for_it_by_hand_is_audited(stays: FakeChannel) -> None:
    accommodation_sync.start(trigger="manual", actor=Actor("ruth@vila.example", None, "admin"))
    with transaction() as session:
        (entry,) = session.scalars(select(AuditEntry)).all()
    assert (entry.actor, entry.action, entry.entity) == (
        "ruth@vila.example",
        "start",
        "accommodation",
    )
    assert entry.after == {"channel": "stays"}
