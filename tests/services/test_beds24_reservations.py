"""Beds24's copies through the same service as Stays' (IN-24, DECISIONS 3, 14, 17, 18, P2-IN)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import event, select

from app.domain.states import PinJobStatus
from app.extensions import db
from app.integrations.channels import ChannelReservation
from app.integrations.channels.beds24_wire import parse_booking
from app.models import (
    Accommodation,
    AuditEntry,
    ChannelEvent,
    ChannelMapping,
    ChannelProperty,
    InventoryHold,
    MaintenanceBlock,
    PinJob,
    Property,
    Reservation,
    RoomType,
)
from app.services import reservation_differences, reservations
from app.services.reservations import Applied
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import (
    make_accommodation,
    make_mapping,
    make_property,
    make_room_type,
    make_stay,
    reload,
)
from tests.services.test_pin_races import together

pytestmark = pytest.mark.usefixtures("app")

ROOM = "610011"


@dataclass
class House:
    """A property at Beds24: one room type, `610011`, with three units of which two are mapped."""

    clock: Clock
    property: Property
    kind: RoomType
    units: list[Accommodation]
    connection: ChannelProperty
    mappings: dict[str, UUID] = field(default_factory=dict)

    def map(self, mapping_type: str, external_id: str, internal_id: UUID) -> None:
        with transaction() as session:
            row = ChannelMapping(
                channel_property_id=self.connection.id,
                mapping_type=mapping_type,
                external_id=external_id,
                internal_id=internal_id,
            )
            session.add(row)
            session.flush()
            self.mappings[external_id] = row.id

    def unmap(self, external_id: str) -> None:
        with transaction() as session:
            session.get_one(ChannelMapping, self.mappings[external_id]).is_active = False

    def copy(self, external_id: str = "70000123", **fields: Any) -> ChannelReservation:
        status = fields.get("status", "confirmed")
        defaults: dict[str, Any] = {
            "channel": "beds24",
            "external_id": external_id,
            "accommodation_ref": f"{ROOM}:1",
            "status": "confirmed",
            "raw_status": status or "odd",
            "check_in_on": date(2026, 3, 20),
            "check_out_on": date(2026, 3, 22),
            "guest_name": "Marta Example",
            "guest_email": "marta@example.org",
            "amount": Decimal("412.50"),
            "modified_at": self.clock.now,
            "property_ref": "51001",
        }
        return ChannelReservation(**(defaults | fields))

    def apply(self, *copies: ChannelReservation) -> Applied:
        return reservations.apply_copies(
            copies, actor_label="Beds24", channel_property_id=self.connection.id
        )

    def say(self, external_id: str = "70000123", **fields: Any) -> Applied:
        """Apply a copy that is a minute newer than everything before."""
        self.clock.move(minutes=1)
        applied = self.apply(self.copy(external_id, **fields))
        assert applied.errors == ()
        return applied


@pytest.fixture
def house(app: Flask, clock: Clock) -> House:
    property_ = make_property(currency="EUR")
    kind = make_room_type(property_, name="Studio")
    units = [make_accommodation(property_, room_type_id=kind.id, stays_id=None) for _ in range(3)]
    for unit in units:
        make_mapping(unit)
    with transaction() as session:
        connection = ChannelProperty(
            property_id=property_.id, channel_name="beds24", channel_property_id="51001"
        )
        session.add(connection)
    found = House(clock, property_, kind, units, connection)
    found.map("room", f"{ROOM}:1", units[0].id)
    found.map("room", f"{ROOM}:2", units[1].id)
    return found


def rows(external_id: str = "70000123") -> list[Reservation]:
    with transaction() as session:
        return list(
            session.scalars(
                select(Reservation)
                .where(Reservation.external_id == external_id)
                .order_by(Reservation.unit_no)
            )
        )


def row(external_id: str = "70000123") -> Reservation:
    (found,) = rows(external_id)
    return found


def orders(stay: Reservation) -> set[str]:
    closed = (PinJobStatus.DONE, PinJobStatus.CANCELLED)
    with transaction() as session:
        return set(
            session.scalars(
                select(PinJob.kind).where(
                    PinJob.reservation_id == stay.id, PinJob.status.not_in(closed)
                )
            )
        )


BOTH = {"generate", "revoke"}


class Statements:
    """Counts what is sent to the database."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, *_: Any) -> None:
        self.count += 1


@pytest.fixture
def statements(app: Flask) -> Iterator[Statements]:
    counter = Statements()
    event.listen(db.engine, "before_cursor_execute", counter)
    yield counter
    event.remove(db.engine, "before_cursor_execute", counter)


class TestPlaces:
    def test_a_mapped_unit_gets_its_stay_and_its_pin(self, house: House) -> None:
        applied = house.apply(house.copy())
        assert (applied.created, applied.errors) == (1, ())
        stay = row()
        assert (stay.source, stay.channel, stay.unit_no) == ("beds24", "beds24", 1)
        assert stay.accommodation_id == house.units[0].id
        assert stay.room_type_id == house.kind.id
        assert stay.property_id == house.property.id
        assert (stay.amount, stay.currency) == (Decimal("412.50"), "EUR")
        assert stay.channel_room_ref == f"{ROOM}:1"
        assert orders(stay) == BOTH

    def test_an_unmapped_room_is_an_error_that_names_it(self, house: House) -> None:
        applied = house.apply(house.copy(accommodation_ref="610099:2"), house.copy("70000124"))
        assert applied.created == 1
        (error,) = applied.errors
        assert error.external_id == "70000123"
        assert error.reason == "room 610099 of property 51001 is not mapped"
        assert (error.kind, error.waiting_for) == ("unmapped", "610099")
        assert rows() == []
        with transaction() as session:
            rooms = session.scalars(select(Accommodation.name)).all()
        assert len(rooms) == 3

    def test_once_mapped_it_lands(self, house: House) -> None:
        copy = house.copy(accommodation_ref="610099:2")
        house.apply(copy)
        house.map("room", "610099:2", house.units[2].id)
        assert house.apply(copy).created == 1
        assert row().accommodation_id == house.units[2].id

    def test_a_mapping_taken_away_counts_no_more(self, house: House) -> None:
        house.unmap(f"{ROOM}:1")
        house.unmap(f"{ROOM}:2")
        (error,) = house.apply(house.copy()).errors
        assert error.waiting_for == ROOM

    def test_no_unit_named_is_a_stay_of_the_type_without_a_room(self, house: House) -> None:
        house.apply(house.copy(accommodation_ref=ROOM))
        stay = row()
        assert (stay.accommodation_id, stay.room_type_id) == (None, house.kind.id)
        assert stay.property_id == house.property.id
        assert stay.channel_room_ref == ROOM
        assert orders(stay) == set()

    def test_an_unmapped_unit_of_a_mapped_type_waits_for_a_room(self, house: House) -> None:
        house.map("room_type", ROOM, house.kind.id)
        applied = house.apply(house.copy(accommodation_ref=f"{ROOM}:3"))
        assert "unit 3 of room 610011" in applied.warnings[0]
        assert (row().accommodation_id, row().room_type_id) == (None, house.kind.id)

    def test_a_mapping_of_a_unit_that_moved_away_is_none(self, house: House) -> None:
        with transaction() as session:
            for unit in house.units[:2]:
                moved = session.get_one(Accommodation, unit.id)
                moved.property_id, moved.room_type_id = make_property().id, None
        assert house.apply(house.copy()).errors[0].kind == "unmapped"

    def test_whose_rooms_must_be_said(self, house: House) -> None:
        with pytest.raises(ValueError, match="whose rooms"), transaction() as session:
            reservation_differences.channel_places.find(
                session, "beds24", {ROOM}, channel_property_id=None, create=True
            )

    def test_a_batch_takes_as_many_statements_as_one_copy(
        self, house: House, statements: Statements
    ) -> None:
        house.apply(house.copy("1"))
        statements.count = 0
        house.apply(house.copy("2", accommodation_ref=f"{ROOM}:2"))
        one = statements.count
        statements.count = 0
        start = date(2026, 5, 1)
        house.apply(
            *(
                house.copy(
                    f"b{n}",
                    accommodation_ref=f"{ROOM}:{n % 2 + 1}",
                    partner_ref=f"ota-{n}",
                    check_in_on=start + timedelta(days=n),
                    check_out_on=start + timedelta(days=n + 1),
                )
                for n in range(40)
            )
        )
        assert statements.count <= one + 2


class TestUnits:
    """DECISIONS 18: `units` rooms are as many rows."""

    def test_three_units_are_three_stays_of_which_one_has_the_named_room(
        self, house: House
    ) -> None:
        applied = house.say(units=3, adults=6, group_ref="70000120")
        assert applied.created == 3
        one, two, three = rows()
        assert [r.unit_no for r in (one, two, three)] == [1, 2, 3]
        assert one.accommodation_id == house.units[0].id
        assert {two.accommodation_id, three.accommodation_id} == {None}
        assert {r.room_type_id for r in (one, two, three)} == {house.kind.id}
        assert [r.amount for r in (one, two, three)] == [Decimal("412.50"), None, None]
        assert {r.units for r in (one, two, three)} == {1}
        assert {r.group_ref for r in (one, two, three)} == {"70000120"}
        assert {r.guest_name for r in (one, two, three)} == {"Marta Example"}
        assert [orders(r) for r in (one, two, three)] == [BOTH, set(), set()]

    def test_the_same_copy_again_changes_nothing(self, house: House) -> None:
        copy = house.copy(units=3)
        house.apply(copy)
        before = [r.version for r in rows()]
        applied = house.apply(copy)
        assert (applied.created, applied.updated, applied.unchanged) == (0, 0, 3)
        assert [r.version for r in rows()] == before

    def test_fewer_units_cancel_the_surplus_and_more_bring_it_back(self, house: House) -> None:
        house.say(units=3)
        house.say(units=1)
        assert [r.status for r in rows()] == ["confirmed", "cancelled", "cancelled"]
        assert rows()[1].cancelled_at == house.clock.now
        house.say(units=2)
        assert [r.status for r in rows()] == ["confirmed", "confirmed", "cancelled"]
        house.say(units=4)
        assert [r.status for r in rows()] == ["confirmed"] * 4

    def test_a_surplus_room_gives_its_pin_back(self, house: House) -> None:
        house.say(units=2)
        with transaction() as session:
            session.get_one(Reservation, rows()[1].id).accommodation_id = house.units[2].id
        house.say(units=2, guest_name="Marta E.", check_out_on=date(2026, 3, 23))
        second = rows()[1]
        assert second.accommodation_id == house.units[2].id
        assert orders(second) == BOTH
        house.say(units=1)
        assert orders(second) == set()

    def test_a_payload_that_names_no_number_keeps_the_units(self, house: House) -> None:
        house.say(units=2)
        house.say(units_said=False, guest_name="Marta E.")
        assert [(r.status, r.guest_name) for r in rows()] == [("confirmed", "Marta E.")] * 2
        item = {"id": 1, "roomId": 2, "arrival": "2026-03-20", "departure": "2026-03-22"}
        assert [parse_booking(item).units_said, parse_booking(item).units] == [False, 1]
        assert parse_booking(item | {"roomQty": 2}).units_said

    def test_a_cancellation_reaches_all(self, house: House) -> None:
        house.say(units=3)
        house.say(status="cancelled")
        assert {r.status for r in rows()} == {"cancelled"}
        assert orders(rows()[0]) == set()

    def test_vanished_again_nothing_older_brings_it_back(self, house: House) -> None:
        """A cancellation twice, the second without a copy, and then what was between the two."""
        house.say(status="cancelled")
        between = house.copy(modified_at=house.clock.move(minutes=1))
        house.clock.move(minutes=1)
        ids = ["70000123"]
        assert reservations.cancel_vanished("beds24", ids, as_of=house.clock.now) == []
        assert house.apply(between).stale == 1
        assert row().status == "cancelled"
        house.say()
        assert row().status == "confirmed"

    def test_vanishing_reaches_all(self, house: House) -> None:
        house.say(units=3)
        house.clock.move(minutes=1)
        gone = reservations.cancel_vanished("beds24", ["70000123"], as_of=house.clock.now)
        assert set(gone) == {r.id for r in rows()}
        assert {r.status for r in rows()} == {"cancelled"}

    def test_a_late_copy_with_more_units_adds_none(self, house: House) -> None:
        house.say(units=1)
        late = house.copy(units=3, modified_at=house.clock.now - timedelta(minutes=5))
        assert house.apply(late).stale == 1
        assert len(rows()) == 1

    def test_a_room_given_to_the_second_is_not_kept_when_the_first_is_put_there(
        self, house: House
    ) -> None:
        house.say(units=2)
        with transaction() as session:
            session.get_one(Reservation, rows()[1].id).accommodation_id = house.units[1].id
        house.say(units=2, accommodation_ref=f"{ROOM}:2")
        assert [r.accommodation_id for r in rows()] == [house.units[1].id, None]


class TestOurOwn:
    """DECISIONS 3: a booking of ours that comes back is the same booking."""

    def direct(self, house: House, **fields: Any) -> Reservation:
        defaults: dict[str, Any] = {
            "status": "pending_sync",
            "source": "direct",
            "channel": None,
            "external_id": None,
            "room_type_id": house.kind.id,
            "api_reference": "turnkey-0011",
        }
        return make_stay(house.units[0], **({"check_in": date(2026, 3, 20)} | defaults | fields))

    def test_it_is_recognised_by_our_reference(self, house: House) -> None:
        ours = self.direct(house)
        applied = house.apply(house.copy(partner_ref="turnkey-0011"))
        assert (applied.created, applied.updated) == (0, 1)
        stay = row()
        assert stay.id == ours.id
        assert (stay.source, stay.channel, stay.status) == ("direct", "beds24", "confirmed")
        assert stay.partner_ref is None
        assert "70000123" in stay.search_text

    def test_nothing_else_being_new_it_is_still_recognised(self, house: House) -> None:
        ours = self.direct(house, status="confirmed", guest="Marta Example")
        house.apply(house.copy(partner_ref="turnkey-0011", guest_email=None, amount=None))
        assert row().id == ours.id
        assert house.say(partner_ref="turnkey-0011", guest_name="Marta E.").updated == 1
        assert len(rows()) == 1

    def test_its_hold_ends_with_the_answer(self, house: House) -> None:
        ours = self.direct(house)
        with transaction() as session:
            session.add(
                InventoryHold(
                    reservation_id=ours.id,
                    room_type_id=house.kind.id,
                    check_in=ours.check_in_on,
                    check_out=ours.check_out_on,
                    hold_expires_at=house.clock.now + timedelta(minutes=10),
                )
            )
        house.apply(house.copy(partner_ref="turnkey-0011"))
        with transaction() as session:
            assert session.scalars(select(InventoryHold.status)).all() == ["confirmed"]

    def test_a_second_one_under_our_reference_is_an_error_and_no_row(self, house: House) -> None:
        self.direct(house)
        one, two = (house.copy(id_, partner_ref="turnkey-0011") for id_ in ("70000123", "70000124"))
        applied = house.apply(one, two)
        (error,) = applied.errors
        assert (error.external_id, error.kind) == ("70000124", "duplicate")
        assert "70000123" in error.reason
        assert house.apply(two).errors[0].kind == "duplicate"
        assert rows("70000124") == []
        assert house.apply(
            house.copy("70000124", partner_ref="turnkey-0011", status="cancelled")
        ) == (Applied())
        assert row().status == "confirmed"

    def tell(self, house: House, stay: Reservation, status: str = "received") -> None:
        """We have changed the stay ourselves and owe the channel the change."""
        with transaction() as session:
            session.add(
                ChannelEvent(
                    channel_property_id=house.connection.id,
                    direction="outbound",
                    source="pms",
                    event_type="pms.booking.update",
                    entity_type="booking",
                    entity_internal_id=stay.id,
                    idempotency_key=f"outbound:{stay.id}:{house.clock.now}",
                    payload={},
                    status=status,
                    received_at=house.clock.now,
                )
            )

    def test_our_own_change_is_not_undone_while_the_channel_is_told(self, house: House) -> None:
        stay = self.direct(house, check_in=date(2026, 3, 25))
        self.tell(house, stay)
        applied = house.say(partner_ref="turnkey-0011")
        assert applied.stale == 1
        assert (row().id, row().check_in_on) == (stay.id, date(2026, 3, 25))
        assert house.say(status="cancelled").updated == 1
        assert row().status == "cancelled"

    def test_a_copy_from_before_we_told_it_is_late(self, house: House) -> None:
        stay = self.direct(house, check_in=date(2026, 3, 25))
        before = house.copy(partner_ref="turnkey-0011")
        house.clock.move(minutes=1)
        self.tell(house, stay, "done")
        assert house.apply(before).stale == 1
        assert row().check_in_on == date(2026, 3, 25)
        house.say(check_in_on=date(2026, 3, 26), check_out_on=date(2026, 3, 27))
        assert row().check_in_on == date(2026, 3, 26)

    def test_another_channels_reference_is_not_ours(self, house: House) -> None:
        self.direct(house)
        assert house.apply(house.copy(partner_ref="4400112233")).created == 1
        assert row().partner_ref == "4400112233"


class TestOrder:
    def test_an_older_copy_only_adds_what_we_do_not_know(self, house: House) -> None:
        house.say(status="cancelled", guest_name=None, guest_email=None)
        late = house.copy(
            modified_at=house.clock.now - timedelta(minutes=5),
            check_out_on=date(2026, 3, 29),
            amount=Decimal(1),
        )
        applied = house.apply(late)
        assert (applied.stale, applied.updated) == (1, 1)
        stay = row()
        assert (stay.status, stay.guest_name) == ("cancelled", "Marta Example")
        assert stay.check_out_on == date(2026, 3, 22)
        assert stay.amount == Decimal("412.50")
        assert "marta" in stay.search_text
        assert stay.source_modified_at == house.clock.now
        again = house.apply(late)
        assert (again.stale, again.updated) == (1, 0)

    def test_at_the_same_moment_the_cancellation_wins_in_either_order(self, house: House) -> None:
        booked, cancelled = house.copy(), house.copy(status="cancelled")
        house.apply(cancelled)
        assert house.apply(booked).stale == 1
        assert row().status == "cancelled"
        house.apply(house.copy("2"))
        house.apply(house.copy("2", status="cancelled"))
        assert row("2").status == "cancelled"

    @pytest.mark.parametrize("turn", [1, -1])
    def test_in_one_batch_too(self, house: House, turn: int) -> None:
        pair = [house.copy(), house.copy(status="cancelled")][::turn]
        house.apply(*pair)
        assert row().status == "cancelled"

    def test_a_later_copy_brings_it_back(self, house: House) -> None:
        house.say(status="cancelled")
        house.say()
        assert row().status == "confirmed"

    @pytest.mark.parametrize("status", ["checked_in", "checked_out", "no_show"])
    def test_the_front_desk_is_not_undone(self, house: House, status: str) -> None:
        house.say(units=2)
        with transaction() as session:
            for stay in rows():
                session.get_one(Reservation, stay.id).status = status
        house.say(status="cancelled", units=1)
        assert {r.status for r in rows()} == {status}
        house.say(kind="block", raw_status="black", status="confirmed")
        assert {r.status for r in rows()} == {status}


class TestNoStays:
    def test_a_block_and_an_inquiry_that_were_no_stay_are_nothing(self, house: House) -> None:
        copies = [
            house.copy("1", kind="block", raw_status="black"),
            house.copy("2", kind="inquiry", raw_status="inquiry", accommodation_ref="999"),
        ]
        assert house.apply(*copies) == Applied()
        assert rows("1") + rows("2") == []

    def test_a_stay_that_becomes_a_block_is_over(self, house: House) -> None:
        house.say(units=2)
        house.say(kind="block", raw_status="black", status="confirmed", accommodation_ref="999")
        assert {r.status for r in rows()} == {"cancelled"}
        assert orders(rows()[0]) == set()
        assert house.say(units=2).updated == 2
        assert orders(rows()[0]) == BOTH

    def test_a_stay_that_becomes_an_inquiry_waits_without_a_pin(self, house: House) -> None:
        house.say()
        house.say(kind="inquiry", raw_status="inquiry", status="pending")
        assert row().status == "pending"
        assert orders(row()) == set()

    def test_a_cancelled_one_stays_cancelled_as_an_inquiry(self, house: House) -> None:
        house.say(status="cancelled")
        house.say(kind="inquiry", raw_status="inquiry", status="pending")
        assert row().status == "cancelled"

    def test_a_late_block_changes_nothing(self, house: House) -> None:
        house.say()
        late = house.copy(kind="block", modified_at=house.clock.now - timedelta(minutes=9))
        assert house.apply(late).stale == 1
        assert row().status == "confirmed"

    def test_the_same_block_again_changes_nothing(self, house: House) -> None:
        house.say()
        house.say(kind="block")
        version = row().version
        block = house.copy(kind="block")
        assert house.apply(block).unchanged == 1
        assert row().version == version

    def test_a_cancellation_needs_no_mapping(self, house: House) -> None:
        house.say()
        house.unmap(f"{ROOM}:1")
        house.unmap(f"{ROOM}:2")
        house.say(status="cancelled")
        assert row().status == "cancelled"
        assert orders(row()) == set()


class TestRooms:
    """A unit that is withdrawn, changed or given by us."""

    def assign(self, stay: Reservation, unit: Accommodation) -> None:
        with transaction() as session:
            session.get_one(Reservation, stay.id).accommodation_id = unit.id

    def test_the_room_we_gave_is_kept_while_the_channel_names_none(self, house: House) -> None:
        house.say(accommodation_ref=ROOM)
        self.assign(row(), house.units[2])
        house.say(accommodation_ref=ROOM, guest_name="Marta E.")
        stay = row()
        assert (stay.accommodation_id, stay.guest_name) == (house.units[2].id, "Marta E.")
        assert house.units[2].name.lower().split()[0] in stay.search_text

    def test_so_is_one_that_is_withdrawn(self, house: House) -> None:
        house.say()
        house.say(accommodation_ref=ROOM)
        assert row().accommodation_id == house.units[0].id
        assert orders(row()) == BOTH

    def test_new_nights_keep_it_while_it_is_free(self, house: House) -> None:
        house.say(accommodation_ref=ROOM)
        self.assign(row(), house.units[2])
        make_stay(house.units[2], check_in=date(2026, 3, 25))
        longer = {"accommodation_ref": ROOM, "check_out_on": date(2026, 3, 25)}
        house.say(**longer)
        assert row().accommodation_id == house.units[2].id
        assert orders(row()) == BOTH
        house.say(**longer | {"check_out_on": date(2026, 3, 26)})
        assert row().accommodation_id is None
        assert orders(row()) == set()

    def test_a_closed_room_is_not_kept_for_new_nights(self, house: House) -> None:
        house.say(accommodation_ref=ROOM)
        self.assign(row(), house.units[2])
        with transaction() as session:
            session.add(
                MaintenanceBlock(
                    room_type_id=house.kind.id,
                    accommodation_id=house.units[2].id,
                    start_date=date(2026, 3, 22),
                    end_date=date(2026, 3, 24),
                )
            )
        house.say(accommodation_ref=ROOM, check_out_on=date(2026, 3, 23))
        assert row().accommodation_id is None

    def test_another_unit_moves_the_stay_and_its_pin(self, house: House) -> None:
        house.say()
        house.say(accommodation_ref=f"{ROOM}:2")
        stay = row()
        assert stay.accommodation_id == house.units[1].id
        assert orders(stay) == BOTH
        with transaction() as session:
            entry = session.scalars(
                select(AuditEntry).where(AuditEntry.entity_id == str(stay.id))
            ).one()
        assert entry.after == {"accommodation_id": str(house.units[1].id)}
        assert entry.actor == "Beds24"

    def test_moved_to_a_unit_nobody_mapped_it_leaves_the_one_it_had(self, house: House) -> None:
        """The channel sells the old one to somebody else, whose PIN must work."""
        house.map("room_type", ROOM, house.kind.id)
        house.say()
        house.say(accommodation_ref=f"{ROOM}:9")
        assert (row().accommodation_id, orders(row())) == (None, set())
        house.say("70000124")
        other = row("70000124")
        assert (other.accommodation_id, orders(other)) == (house.units[0].id, BOTH)

    def test_a_room_we_gave_outlives_a_move_between_units_nobody_mapped(self, house: House) -> None:
        house.map("room_type", ROOM, house.kind.id)
        house.say(accommodation_ref=f"{ROOM}:8")
        self.assign(row(), house.units[0])
        house.say(accommodation_ref=f"{ROOM}:9")
        assert row().accommodation_id == house.units[0].id

    def test_one_who_is_here_stays_although_moved(self, house: House) -> None:
        house.map("room_type", ROOM, house.kind.id)
        house.say()
        with transaction() as session:
            session.get_one(Reservation, row().id).status = "checked_in"
        house.say(accommodation_ref=f"{ROOM}:9")
        assert row().accommodation_id == house.units[0].id

    def test_another_type_without_a_unit_takes_the_room_away(self, house: House) -> None:
        house.say()
        suite = make_room_type(house.property, name="Suite")
        house.map("room_type", "610022", suite.id)
        house.say(accommodation_ref="610022")
        stay = row()
        assert (stay.accommodation_id, stay.room_type_id) == (None, suite.id)
        assert orders(stay) == set()

    def test_a_guest_who_is_here_keeps_the_room(self, house: House) -> None:
        house.say()
        with transaction() as session:
            session.get_one(Reservation, row().id).status = "checked_in"
        suite = make_room_type(house.property, name="Suite")
        house.map("room_type", "610022", suite.id)
        house.say(accommodation_ref="610022")
        assert row().accommodation_id == house.units[0].id

    def test_a_unit_that_stands_for_another_room_moves_the_stay(self, house: House) -> None:
        copy = house.copy()
        house.apply(copy)
        with transaction() as session:
            mapping = session.get_one(ChannelMapping, house.mappings[f"{ROOM}:1"])
            mapping.internal_id = house.units[2].id
        assert house.apply(copy).updated == 1
        assert row().accommodation_id == house.units[2].id


class TestForesight:
    def test_it_writes_nothing_and_says_the_same(self, house: House) -> None:
        house.say(units=2)
        house.say("2", accommodation_ref=ROOM)
        with transaction() as session:
            session.get_one(Reservation, row("2").id).accommodation_id = house.units[2].id

        def seen(*copies: ChannelReservation) -> tuple[int, int, int, int]:
            found = reservations.foresee(
                copies, as_of=house.clock.now, channel_property_id=house.connection.id
            )
            return len(found.new), len(found.changed), found.unchanged, len(found.errors)

        same = house.copy("2", accommodation_ref=ROOM)
        assert seen(same) == (0, 0, 1, 0)
        assert seen(house.copy("3"), house.copy("4", accommodation_ref="9")) == (1, 0, 0, 1)
        assert seen(house.copy(status="cancelled")) == (0, 2, 0, 0)
        assert seen(house.copy(units=2, accommodation_ref=f"{ROOM}:2")) == (0, 1, 0, 0)
        assert [r.status for r in rows()] == ["confirmed", "confirmed"]
        assert reload(rows()[0]).version == 1


class TestTogether:
    """A webhook, a poll and a sweep at the same moment."""

    def test_two_writers_of_one_booking_of_several_units(self, app: Flask, house: House) -> None:
        for n in range(4):
            copies = [house.copy(f"{n}-{m}", units=3, check_in_on=date(2026, 3, 1)) for m in "ab"]
            together(app, lambda c=copies: house.apply(*c), lambda c=copies: house.apply(*c[::-1]))
            for copy in copies:
                assert [stay.unit_no for stay in rows(copy.external_id)] == [1, 2, 3]

    def test_our_own_booking_comes_back_twice_at_once(self, app: Flask, house: House) -> None:
        for n in range(4):
            ours = make_stay(
                house.units[0],
                check_in=date(2026, 4, 1 + 2 * n),
                status="pending_sync",
                source="direct",
                channel=None,
                external_id=None,
                api_reference=f"turnkey-{n}",
            )
            copy = house.copy(
                f"b{n}",
                partner_ref=f"turnkey-{n}",
                check_in_on=ours.check_in_on,
                check_out_on=ours.check_out_on,
            )
            results: list[Applied] = []
            together(app, *[lambda c=copy, found=results: found.append(house.apply(c))] * 3)
            assert [result.errors for result in results] == [()] * 3
            assert sum(result.updated for result in results) == 1
            assert row(f"b{n}").id == ours.id


def test_days_are_in_the_propertys_zone(house: House) -> None:
    house.apply(house.copy())
    assert row().check_in_at == datetime.fromisoformat("2026-03-20T18:00:00+00:00")
