"""A street of houses in which every page has something to show, in every state."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app.models import AccommodationSync, AlertNotice, LockTest, User, VendorState
from app.services import (
    alerts,
    audit,
    event_batches,
    event_desk,
    maintenance_blocks,
    rates,
    reconciliation,
    retention,
    user_links,
)
from app.services.audit import SYSTEM, Actor, Deed
from app.services.maintenance_blocks import NewBlock
from app.services.rates import NewRate
from app.services.user_links import Invitation
from app.transaction import transaction
from tests import outbound
from tests.bookings import ARRIVES, DESK, book, holds_of
from tests.conftest import Clock
from tests.discrepancies import all_of, finding, night, settle, side
from tests.events import make_event
from tests.factories import (
    NO_SUCH_ID,
    make_accommodation,
    make_lock,
    make_mapping,
    make_property,
    make_room_type,
    make_stay,
    make_user,
)
from tests.web.channel_scenes import connect, make_waiting, map_to, stamp
from tests.web.room_scenes import day, make_block, rooms_of_a_day
from tests.web.run_scenes import bookings_differ, dry_run, run
from tests.web.run_scenes import connect as connect_panel
from tests.web.scenes import NOON, TODAY, busy_house, make_credential, make_order

LONG = "Maximiliana Wolkenstein-Trostburg de Albuquerque Vasconcelos"


class Street:
    """What stands in it, by the names that addresses are filled in with."""

    def __init__(self, app: Flask, people: dict[str, User]) -> None:
        self.app = app
        self.people = people
        self.names: dict[str, Any] = {"day": ARRIVES, "nothing": NO_SUCH_ID}

    def at(self, address: str) -> str:
        """The address with its {names} filled in."""
        return address.format_map(self.names)


def build(
    app: Flask, people: dict[str, User], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Street:
    """The whole street, on a Tuesday noon."""
    street = Street(app, people)
    for part in (_runs, _desk, _board, _setup, _channels, _events, _alerts, _logs, _people):
        part(street.names, people, clock, monkeypatch)
    return street


def _runs(names: Any, people: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connected house, compared: a plan, a run, a weekly report, and what was found to differ."""
    panel = connect_panel(monkeypatch)
    house = bookings_differ(panel, clock)
    names["plan"] = dry_run("beds24_bookings", house).rsplit("/", 1)[1]
    names["run"] = run("beds24_availability", house, trigger="manual").id
    (deep,) = reconciliation.start_deep("beds24", trigger="schedule")
    reconciliation.run(deep)
    names["report"] = deep
    clock.set(NOON)
    stay = make_stay(
        house.rooms[0], external_id="70000123", amount=500, currency="BRL", source="direct",
        channel="beds24", room_type_id=house.kind.id,
    )  # fmt: skip
    theirs = side("beds24 reading", check_out="2026-03-15")
    found = finding("dates", "70000123", theirs=theirs, reservation_id=stay.id)
    settle(house.connection, [found])
    first = ARRIVES
    nights = [
        night("610011", first + timedelta(days=n), 2, 1, room_type_id=house.kind.id)
        for n in range(5)
    ]
    settle(house.connection, nights, kinds=["availability"])
    names["discrepancy"] = next(row.id for row in all_of() if row.subject == "70000123")


def _desk(names: Any, *_: Any) -> None:
    """A front desk with PINs in every state."""
    house = busy_house()
    names |= {key: stay.id for key, stay in house.stays.items()}
    names["house"] = house.property.id
    cancelled = make_stay(
        house.rooms[3], check_in=day(3), guest=LONG, status="cancelled", cancelled_at=NOON
    )
    names["cancelled"] = cancelled.id
    names["over"] = make_stay(
        house.rooms[3], check_in=day(-9), guest="Kenji Watanabe", status="checked_out",
        checked_in_at=NOON - timedelta(days=9), checked_out_at=NOON - timedelta(days=7),
    ).id  # fmt: skip


def _board(names: Any, *_: Any) -> None:
    """Rooms, what is sold of them, what is held, and what is closed."""
    scene = rooms_of_a_day()
    names |= {f"r{number}": room.id for number, room in scene.rooms.items()}
    names |= {f"{key}_guest": stay.id for key, stay in scene.stays.items()}
    names["board"] = scene.house.id
    make_stay(scene.rooms["201"], check_in=day(4), guest=LONG)
    make_block(scene.rooms["103"], 6, 2, reason="Deck repair")
    lisbon = make_property(name="Casa do Tejo", timezone="Europe/Lisbon", currency="EUR")
    connection = outbound.connect(lisbon, "53001")
    kind = outbound.make_sold(lisbon, connection=connection, room_ref="630011", name="Annex").kind
    sold = book(kind)
    names |= {"lisbon": lisbon.id, "kind": kind.id, "sold": sold.id}
    names["hold"] = holds_of(sold)[0].id
    new = NewBlock(
        room_type_id=kind.id, start_date=ARRIVES, end_date=ARRIVES + timedelta(days=2),
        reason="Paint",
    )  # fmt: skip
    names["block"] = maintenance_blocks.create(new, actor=DESK).block.id
    price = {"room_type_id": kind.id, "price": "450", "from": ARRIVES, "to": day(9)}
    rates.put(NewRate.model_validate(price), actor=SYSTEM)


def _setup(names: Any, people: Any, clock: Clock, *_: Any) -> None:
    """Rooms without locks, locks in trouble, a reading of rooms that failed in part."""
    rio = make_property(name="Casa do Rio")
    kind = make_room_type(rio, name="Superior")
    coral = make_accommodation(rio, name="Coral", number="203", room_type_id=kind.id)
    lock = make_lock(name="203 CORAL", battery=14, online=True, location="2º andar",
                     refreshed_at=NOON)  # fmt: skip
    make_mapping(coral, lock)
    stay = make_stay(coral, check_in=TODAY, guest="Helena Prado")
    make_credential(stay, lock.id, "7364412", vendor_ref="9", sent_at=NOON)
    tucano = make_accommodation(rio, name="Tucano", number=None)
    make_accommodation(rio, name="Casa do fundo com um nome bem comprido", number="12")
    make_accommodation(rio, name="Depósito", is_active=False)
    free = make_lock(name="Tucanos", online=True, battery=88)
    make_lock(name="Portão da rua", silent_since=NOON - timedelta(hours=3))
    errors = [{"accommodationId": "EL9", "error": "no usable id", "action": "fetch"}]
    with transaction() as session:
        sync = AccommodationSync(
            channel="stays", trigger="manual", status="success", total=4, created=4,
            completed_at=NOON, items=errors,
        )  # fmt: skip
        tried = LockTest(
            lock_id=free.id, requested_by=people["admin"].id, state="installed",
            pin_encrypted="sealed", pin_last2="17", vendor_name="T-test", valid_from=NOON,
            expires_at=NOON + timedelta(hours=1), installed_at=NOON,
        )  # fmt: skip
        session.add_all([sync, tried])
        session.flush()
        names["sync"] = sync.id
    names |= {"rio": rio.id, "type": kind.id, "coral": coral.id, "tucano": tucano.id}
    names |= {"lock": lock.id, "free": free.id}


def _channels(names: Any, people: Any, clock: Clock, *_: Any) -> None:
    """One connection that works, with a mapping and bookings that wait, and one that does not."""
    house, other = make_property(name="Vila Alta"), make_property(name="Vila Baixa")
    kind = make_room_type(house)
    room = make_accommodation(house, room_type_id=kind.id)
    make_accommodation(house, room_type_id=kind.id)
    one, two = connect(house, "52001"), connect(other, "52002")
    stamp(one, last_webhook_at=NOON - timedelta(minutes=4))
    stamp(two, status="error", status_reason="Beds24 refused the refresh token: and so on")
    names["mapping"] = map_to(one, "room", room.id, "620011:1").id
    make_waiting(house, "620011")
    make_waiting(house, "620099")
    names |= {"channel": one.id, "broken": two.id}


def _events(names: Any, *_: Any) -> None:
    """One failed, one done, one ignored, a batch of retries, and a PIN order out of tries."""
    house = make_property(name="Casa das Mensagens")
    room = make_accommodation(house, name="Coral", number="203")
    stay = make_stay(room, check_in=ARRIVES, external_id="FV02I")
    make_order(stay, status="failed", attempts=4, last_error_kind="lock_offline")
    names["failed_event"] = make_event(house=house, tries=3, entity_external_id="FV02I").id
    done = make_event(
        "done", house=house, entity_internal_id=stay.id,
        normalized_payload={"check_in_on": "2026-03-13", "status": "confirmed"},
    )  # fmt: skip
    make_event("ignored", house=house)
    ids = [make_event(house=house).id, done.id]
    names["batch"] = event_batches.start(event_desk.RETRY, ids, actor=audit.SYSTEM)
    event_batches.carry_out(names["batch"])
    names |= {"done_event": done.id, "orderless": stay.id}


def _alerts(names: Any, *_: Any) -> None:
    """A grave one that could not be sent, a warning, one taken and one over."""
    with transaction() as session:
        for kind, subject, severity, title in (
            ("pin_late", f"reservation:{NO_SUCH_ID}", "critical", "203 Coral: the PIN is missing"),
            ("failed_events", "", "warning", "12 events failed within the last hour"),
            ("process_gone", "worker@host", "warning",
             "The worker on a-host-with-quite-a-long-name.example has been silent since 11:52"),
            ("lock_battery", "lock:1", "warning", "101: the battery of Front is low"),
        ):  # fmt: skip
            alerts.raise_alert(session, kind, subject, severity, title, "Start it again.")
        alerts.resolve(session, "lock_battery", "lock:1")
        silent = NOON - timedelta(minutes=40)
        state = VendorState(vendor="stays", failing_since=silent, last_error_kind="unreachable")
        session.add(state)
    with transaction() as session:
        by_kind = {each.kind: each for each in session.query(alerts.Alert)}
        session.add(
            AlertNotice(
                alert_id=by_kind["pin_late"].id, way="email", reason="opened", status="pending",
                attempts=2, last_error="the mail server cannot be reached",
                next_attempt_at=NOON + timedelta(minutes=5),
            )
        )  # fmt: skip
    alerts.acknowledge(by_kind["process_gone"].id, actor=Actor("davi@vila.example"))


def _logs(names: Any, *_: Any) -> None:
    """What people did, and a past that was tidied up."""
    actor = Actor("davi@vila.example", names["coral"], "admin", "10.0.0.7")
    with transaction() as session:
        moved = {"check_out_on": "2026-03-06"}, {"check_out_on": "2026-03-07"}
        audit.record_many(session, actor, [
            Deed("reveal", "reservation", names["ready"], None, {"credential_id": NO_SUCH_ID}),
            Deed("update", "reservation", names["ready"], *moved),
        ])  # fmt: skip
        session.flush()
        entry = session.query(audit.AuditEntry).filter_by(action="update", entity="reservation")
        names["entry"] = entry.first().id  # type: ignore[union-attr]
    retention.tick()


def _people(names: Any, people: dict[str, User], *_: Any) -> None:
    """Somebody invited, somebody who left, somebody whose address is long."""
    make_user("admin", email="a-very-long-address-of-somebody@a-very-long-domain.example")
    make_user("staff", is_active=False, name="Helena Prado de Albuquerque Vasconcelos")
    link = user_links.invite(Invitation(email="ana@vila.example", role="staff"), actor=SYSTEM)
    names |= {"staff": people["staff"].id, "invited": link.user.id, "token": link.token}
