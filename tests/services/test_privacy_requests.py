"""A guest asks what we hold, and to be erased: everything is found, and nothing is left."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import select, text

from app.domain.states import ReservationStatus
from app.errors import Conflict, Invalid
from app.extensions import db
from app.integrations.channels import ChannelReservation
from app.models import (
    Alert,
    AuditEntry,
    ChannelEvent,
    ChannelEventAttempt,
    ChannelProperty,
    Credential,
    Discrepancy,
    MaintenanceBlock,
    Reservation,
    RoomStatusChange,
)
from app.services import audit, privacy_export, privacy_requests, reservations, retention
from app.services.audit import Actor, Deed
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import (
    make_accommodation,
    make_lock,
    make_property,
    make_room_type,
    make_stay,
    reload,
)

T = TypeVar("T")
RUTH = Actor("ruth@example.org", uuid4(), "admin", "10.0.0.7")
NAME, EMAIL, PHONE = "Helena Prado", "helena@prado.example", "+55 48 99999-1234"
DIGITS = "5548999991234"
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def saved(row: T) -> T:
    with transaction() as session:
        session.add(row)
        session.flush()
        session.refresh(row)
    return row


def make_guest(days_ago: int = 3, **fields: Any) -> Reservation:
    """A stay of hers that ended some days ago."""
    out = NOON - timedelta(days=days_ago)
    defaults: dict[str, Any] = {
        "guest_email": EMAIL,
        "guest_phone": PHONE,
        "amount": "450.00",
        "currency": "BRL",
        "search_text": f"helena prado {EMAIL} helena prado example {DIGITS} res",
    }
    return make_stay(
        check_in=out - timedelta(days=2), check_out=out, guest=NAME, **(defaults | fields)
    )


def connection() -> ChannelProperty:
    return saved(
        ChannelProperty(
            property_id=make_property().id, channel_name="beds24", channel_property_id="51001"
        )
    )


def make_event(of: ChannelProperty, **fields: Any) -> ChannelEvent:
    defaults: dict[str, Any] = {
        "channel_property_id": of.id,
        "direction": "inbound",
        "source": "beds24",
        "event_type": "booking.modified",
        "entity_type": "booking",
        "idempotency_key": str(uuid4()),
        "payload": {"booking": {"firstName": NAME, "email": EMAIL, "tel": DIGITS}},
        "normalized_payload": {"guest_email": EMAIL},
        "raw_body": json.dumps({"booking": {"email": EMAIL}}),
        "status": "done",
        "processed_at": NOON,
    }
    return saved(ChannelEvent(**(defaults | fields)))


def everywhere(of: Reservation) -> None:
    """Her name, address or number in every place that can hold one."""
    house = connection()
    event = make_event(house, entity_internal_id=of.id)
    make_event(house, entity_external_id=of.external_id, source="stays")
    make_event(house, entity_external_id="of another id", payload={"x": f"mail {EMAIL}"})
    saved(ChannelEventAttempt(event_id=event.id, number=1, started_at=NOON, error=f"bad {EMAIL}"))
    saved(
        Discrepancy(
            channel_property_id=house.id,
            kind="guest",
            subject="1",
            reservation_id=of.id,
            severity="low",
            reason="the guest differs",
            ours={"guest_name": NAME, "nights": 2},
            theirs={"guest_name": "H. Prado", "note": f"for {NAME}"},
            note=f"asked {NAME}",
            fingerprint="x",
            last_seen_at=NOON,
            status="resolved",
            closed_at=NOON,
        )
    )
    saved(
        Alert(
            kind="pin_late",
            subject=f"reservation:{of.id}",
            severity="critical",
            title=f"No PIN for {NAME}",
            what_to_do=f"Call {PHONE}",
            status="resolved",
        )
    )
    kind = make_room_type()
    saved(
        MaintenanceBlock(
            room_type_id=kind.id,
            start_date=date(2026, 3, 1),
            end_date=date(2026, 3, 2),
            reason=f"{NAME} broke the lamp",
        )
    )
    room = make_accommodation()
    saved(
        RoomStatusChange(
            accommodation_id=room.id,
            axis="status",
            to_status="DIRTY",
            reason=f"left by {NAME}",
            actor="x",
        )
    )
    with transaction() as session:
        deeds = [
            Deed("create", "reservation", of.id, None, {"guest_name": NAME, "guest_email": EMAIL}),
            Deed("update", "reservation", of.id, {"guest_phone": PHONE}, {"guest_phone": "1"}),
            Deed("ignore", "event", event.id, None, {"reason": f"{NAME} cancelled by phone"}),
            Deed("update", "lock", uuid4(), None, {"name": f"gift of {EMAIL}"}),
        ]
        audit.record_many(session, RUTH, deeds)


def places_with(*words: str) -> list[str]:
    """Every text or JSON column of every table that holds one of the words."""
    with db.engine.connect() as wire:
        columns = wire.execute(
            text(
                "SELECT table_name, column_name FROM information_schema.columns "
                "WHERE table_schema = 'public' AND (data_type IN ('text', 'jsonb', 'json', "
                "'character varying', 'tsvector', 'ARRAY', 'bytea'))"
            )
        ).all()
        assert len(columns) > 150
        looks = [
            f'SELECT \'{table}.{column}\' FROM "{table}" WHERE "{column}"::text ILIKE ANY (:words)'
            for table, column in columns
        ]
        wanted = {"words": [f"%{word}%" for word in words]}
        return sorted(wire.scalars(text(" UNION ALL ".join(looks)), wanted))


WORDS = (NAME, "Helena", "Prado", EMAIL, PHONE, DIGITS)


def test_an_erased_guest_is_found_nowhere(app: Flask, clock: Clock) -> None:
    stay = make_guest()
    everywhere(stay)
    assert len(places_with(*WORDS)) > 20
    done = privacy_requests.erase([stay.id], actor=RUTH)
    assert places_with(*WORDS) == []
    assert (done.stays, done.events, done.discrepancies, done.entries) == (1, 3, 1, 4)
    after = reload(stay)
    assert (str(after.amount), after.currency, after.status, after.external_id) == (
        "450.00",
        "BRL",
        "confirmed",
        stay.external_id,
    )
    assert after.accommodation_id == stay.accommodation_id
    with transaction() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "erase")).one()
        kept = session.scalars(select(AuditEntry).where(AuditEntry.action == "create")).one()
    assert (entry.actor, entry.entity, entry.after) == (
        "ruth@example.org",
        "guest",
        {"reservations": [str(stay.id)], "events": 3, "discrepancies": 1, "entries": 4},
    )
    assert kept.after == {"guest_name": "[removed]", "guest_email": "[removed]"}


def test_a_forgotten_guest_is_found_nowhere_among_what_belongs_to_the_stay(
    app: Flask, clock: Clock
) -> None:
    stay = make_guest(days_ago=31)
    house = connection()
    make_event(house, entity_internal_id=stay.id)
    with transaction() as session:
        deed = Deed("create", "reservation", stay.id, None, {"guest_name": NAME, "by": EMAIL})
        audit.record_many(session, RUTH, [deed])
    retention.tick()
    assert places_with(*WORDS) == []


def test_strangers_keep_what_is_theirs(app: Flask, clock: Clock) -> None:
    stay = make_guest()
    other = make_guest(guest_name="Bruno Prado", guest_email="bruno@prado.example", guest_phone="1")
    event = make_event(
        connection(), entity_internal_id=other.id, payload={"email": "bruno@prado.example"}
    )
    privacy_requests.erase([stay.id], actor=RUTH)
    assert reload(other).guest_name == "Bruno Prado"
    assert reload(event).payload == {"email": "bruno@prado.example"}


def test_no_word_is_taken_from_another_guest_of_the_same_night(app: Flask, clock: Clock) -> None:
    house = connection()
    ana = make_guest(31, guest_name="Ana", guest_email=None, guest_phone="12")
    make_guest(31, guest_name="Vila Azul", guest_email=None, guest_phone="99999")
    other = make_guest(31, guest_name="Bruno Lobo", guest_email=None, guest_phone="")
    event = make_event(house, entity_internal_id=other.id)
    tried = saved(
        ChannelEventAttempt(
            event_id=event.id, number=1, started_at=NOON, error="Vila Azul has no unit 99999"
        )
    )
    own = make_event(house, entity_internal_id=ana.id)
    told = saved(ChannelEventAttempt(event_id=own.id, number=1, started_at=NOON, error="no Ana!"))
    with transaction() as session:
        deeds = [
            Deed("ignore", "event", event.id, None, {"reason": "Vila Azul knows"}),
            Deed("update", "reservation", ana.id, None, {"room": "Suite Anacapri", "by": "ANA"}),
        ]
        audit.record_many(session, RUTH, deeds)
    retention.tick()
    assert [reload(stay).guest_name for stay in (ana, other)] == [None, None]
    assert reload(tried).error == "Vila Azul has no unit 99999"
    assert reload(told).error == "[removed]"
    with transaction() as session:
        after = {
            row.entity: row.after
            for row in session.scalars(
                select(AuditEntry).where(AuditEntry.entity.in_(("event", "reservation")))
            )
        }
    assert after == {
        "event": {"reason": "Vila Azul knows"},
        "reservation": {"room": "Suite Anacapri", "by": "[removed]"},
    }


def test_the_same_number_at_another_channel_is_another_booking(app: Flask, clock: Clock) -> None:
    stay = make_guest(channel="stays", external_id="84107733")
    house = connection()
    differs = saved(
        Discrepancy(
            channel_property_id=house.id,
            kind="guest",
            subject="84107733",
            external_id="84107733",
            severity="low",
            reason="the guest differs",
            ours={"guest_name": "Bruno"},
            fingerprint="x",
            last_seen_at=NOON,
        )
    )
    sent = make_event(
        house,
        entity_external_id="84107733",
        source="pms",
        direction="outbound",
        payload={"guest": "Bruno"},
        normalized_payload=None,
        raw_body=None,
    )
    privacy_requests.erase([stay.id], actor=RUTH)
    assert reload(differs).ours == {"guest_name": "Bruno"}
    assert reload(sent).payload == {"guest": "Bruno"}


@pytest.mark.parametrize(
    ("guest", "words"),
    [
        ({"guest_name": "Ana Lima"}, "Joana Limaverde paid"),
        ({"guest_name": "Ana"}, "Ana"),
        ({"guest_email": "ana@lima.example"}, "joana.ana@lima.example"),
        ({"guest_email": "ana@lima.example"}, "ana@lima.example.org"),
        ({"guest_phone": "1234"}, "booking 1234"),
        ({"guest_phone": "48999991234"}, "id 489999912345"),
        ({"guest_name": "Vila Azul"}, "Vila Azul is closed"),  # what a room is called
        ({"guest_name": "Airbnb Guest"}, "Airbnb Guest broke it"),  # as is another guest
        ({"guest_email": "desk@agency.example"}, "desk@agency.example called"),
    ],
)
def test_texts_about_others_stay(
    app: Flask, clock: Clock, guest: dict[str, Any], words: str
) -> None:
    nobody = {"guest_name": "Xyz Qrst", "guest_email": None, "guest_phone": None}
    stay = make_guest(**(nobody | guest))
    make_guest(guest_name="Airbnb guest", guest_email="Desk@agency.example", guest_phone="1")
    make_accommodation(name="Suite Vila Azul")
    event = make_event(connection(), entity_external_id="another", payload={"note": words})
    kind = make_room_type()
    block = saved(
        MaintenanceBlock(
            room_type_id=kind.id,
            start_date=date(2026, 3, 1),
            end_date=date(2026, 3, 2),
            reason=words,
        )
    )
    privacy_requests.erase([stay.id], actor=RUTH)
    assert reload(block).reason == words
    assert reload(event).payload == {"note": words}


@pytest.mark.parametrize(
    "words",
    [
        "asked helena prado.",
        "(HELENA@PRADO.EXAMPLE)",
        "mail Helena@prado.example.",
        "+55 48 99999-1234, at night",
        "tel 5548999991234",
        "tel 005548999991234",
        "first line\nhelena@prado.example\nlast",
    ],
)
def test_a_guest_is_found_however_the_text_is_written(app: Flask, clock: Clock, words: str) -> None:
    stay = make_guest()
    event = make_event(
        connection(), entity_external_id="another", payload={"x": f"{words} {EMAIL}"}
    )
    kind = make_room_type()
    block = saved(
        MaintenanceBlock(
            room_type_id=kind.id,
            start_date=date(2026, 3, 1),
            end_date=date(2026, 3, 2),
            reason=words,
        )
    )
    privacy_requests.erase([stay.id], actor=RUTH)
    assert reload(block).reason == "[removed]"
    assert reload(event).payload == {}


def obstacles_of(stay: Reservation) -> tuple[str, ...]:
    return privacy_requests.preview([stay.id]).stays[0].obstacles


def test_what_is_still_needed_is_refused_and_nothing_is_erased(app: Flask, clock: Clock) -> None:
    past = make_guest()
    in_house, coming = make_guest(status="checked_in"), make_guest(days_ago=-5)
    pin, failed = make_guest(), make_guest()
    saved(
        Credential(
            reservation_id=pin.id,
            lock_id=make_lock().id,
            pin_last2="21",
            pin_fingerprint="f",
            state="unknown",
            valid_from=pin.check_in_at,
            expires_at=pin.check_out_at,
            vendor_name="tk-1",
        )
    )
    make_event(connection(), entity_internal_id=failed.id, status="failed", processed_at=None)
    assert obstacles_of(past) == ()
    assert obstacles_of(in_house) == ("in_house",)
    assert obstacles_of(coming) == ("coming",)
    assert obstacles_of(pin) == ("pin",)
    assert obstacles_of(failed) == ("event",)
    for each in (in_house, coming, pin, failed):
        assert not privacy_requests.preview([past.id, each.id]).is_possible
        with pytest.raises(Conflict):
            privacy_requests.erase([past.id, each.id], actor=RUTH)
    assert reload(past).guest_name == NAME
    for ids in ([], [uuid4()] * 201):
        with pytest.raises(Invalid):
            privacy_requests.erase(ids, actor=RUTH)


@pytest.mark.parametrize("q", [EMAIL, PHONE, "helena prado", "Prado"])
def test_a_guest_is_found_by_address_number_or_name(app: Flask, clock: Clock, q: str) -> None:
    stay = make_guest()
    make_stay(guest="Bruno Lima")
    assert [each.reservation.id for each in privacy_requests.search(q)] == [stay.id]
    with pytest.raises(Invalid):
        privacy_requests.search("—")


def copy_of(stay: Reservation, **fields: Any) -> ChannelReservation:
    defaults: dict[str, Any] = {
        "channel": "stays",
        "external_id": stay.external_id,
        "accommodation_ref": room_ref(stay),
        "status": ReservationStatus.CONFIRMED,
        "raw_status": "confirmed",
        "check_in_at": stay.check_in_at,
        "check_out_at": stay.check_out_at,
        "guest_name": NAME,
        "guest_email": EMAIL,
        "guest_phone": PHONE,
        "modified_at": NOON + timedelta(hours=1),
    }
    found = defaults | fields
    return ChannelReservation(
        **found,
        check_in_on=found["check_in_at"].date(),
        check_out_on=found["check_out_at"].date(),
    )


def room_ref(stay: Reservation) -> str:
    with transaction() as session:
        found = session.scalar(
            text("SELECT stays_id FROM accommodations WHERE id = :id"),
            {"id": stay.accommodation_id},
        )
    return str(found)


def test_the_channel_does_not_bring_an_erased_guest_back(app: Flask, clock: Clock) -> None:
    stay = make_guest()
    privacy_requests.erase([stay.id], actor=RUTH)
    clock.move(hours=2)
    reservations.apply_copies([copy_of(stay, adults=2)])
    assert reload(stay).adults == 2
    assert places_with(*WORDS) == []
    older = copy_of(stay, modified_at=NOON - timedelta(days=20), code="X1")
    reservations.apply_copies([older])
    assert places_with(*WORDS) == []


def test_nor_the_guest_of_a_cancelled_stay_unless_it_is_revived(app: Flask, clock: Clock) -> None:
    stay = make_guest(days_ago=-5, status="cancelled", cancelled_at=NOON)
    privacy_requests.erase([stay.id], actor=RUTH)
    clock.move(hours=2)
    cancelled = copy_of(stay, status=ReservationStatus.CANCELLED, raw_status="cancelled", adults=2)
    reservations.apply_copies([cancelled])
    assert (reload(stay).adults, reload(stay).guest_name) == (2, None)
    clock.move(hours=2)
    reservations.apply_copies([copy_of(stay, modified_at=NOON + timedelta(hours=3))])
    assert (reload(stay).status, reload(stay).guest_name) == ("confirmed", NAME)


def test_a_stay_that_is_moved_into_the_future_needs_its_guest_again(
    app: Flask, clock: Clock
) -> None:
    stay = make_guest()
    privacy_requests.erase([stay.id], actor=RUTH)
    clock.move(hours=2)
    moved = copy_of(
        stay, check_in_at=NOON + timedelta(days=3), check_out_at=NOON + timedelta(days=5)
    )
    reservations.apply_copies([moved])
    assert reload(stay).guest_name == NAME


def test_an_export_is_complete_and_audited_without_a_name(app: Flask, clock: Clock) -> None:
    stay = make_guest()
    everywhere(stay)
    saved(
        Credential(
            reservation_id=stay.id,
            lock_id=make_lock(name="Duna").id,
            pin_encrypted="sealed",
            pin_last2="21",
            pin_fingerprint="f",
            state="revoked",
            valid_from=stay.check_in_at,
            expires_at=stay.check_out_at,
            vendor_name="tk-1",
        )
    )
    found = privacy_export.export([stay.id], actor=RUTH)
    assert (found["stays"][0]["guest_email"], found["stays"][0]["amount"]) == (EMAIL, "450.00")
    assert {name: len(found[name]) for name in privacy_export.SECTIONS} == {
        "stays": 1,
        "pins": 1,
        "events": 2,
        "discrepancies": 1,
        "entries": 3,
        "holds": 0,
        "room_changes": 0,
        "alerts": 1,
    }
    assert found["pins"][0]["lock"] == "Duna"
    assert not {"pin_encrypted", "pin_last2", "pin_fingerprint"} & set(found["pins"][0])
    json.dumps(found)
    with transaction() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "export")).one()
    assert entry.after is not None
    assert entry.after["reservations"] == [str(stay.id)]
    assert NAME not in json.dumps(entry.after)


def test_erasing_and_a_reconciliation_take_turns(app: Flask, clock: Clock) -> None:
    """A run that holds the stay finishes first; the guest it wrote is erased all the same."""
    import threading

    stay = make_guest()
    holding, go = threading.Event(), threading.Event()

    def run() -> None:
        with app.app_context(), transaction():
            reservations.apply_copies([copy_of(stay, guest_name="Helena P. Prado")])
            holding.set()
            go.wait(5)

    clock.move(hours=2)
    thread = threading.Thread(target=run)
    thread.start()
    assert holding.wait(5)
    failures: list[BaseException] = []

    def erase() -> None:
        try:
            with app.app_context():
                privacy_requests.erase([stay.id], actor=RUTH)
        except BaseException as error:
            failures.append(error)

    eraser = threading.Thread(target=erase)
    eraser.start()
    eraser.join(0.2)
    assert eraser.is_alive()
    go.set()
    thread.join(5)
    eraser.join(5)
    assert failures == []
    assert reload(stay).guest_name is None
    assert places_with(*WORDS) == []


def test_unknown_ids_are_no_stays(app: Flask) -> None:
    nobody: UUID = uuid4()
    assert privacy_requests.preview([nobody]).is_possible is False
