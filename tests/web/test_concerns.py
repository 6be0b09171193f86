"""Today as the one page to leave open: the house's worries beside those of its stays (issue 8)."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.models import Alert, Property, Reservation, User, VendorState
from app.models.channels import ChannelAccount, ChannelProperty
from app.services import alerts
from app.services import today as service
from app.services.audit import Actor
from app.transaction import transaction
from tests.conftest import Clock
from tests.events import make_connection
from tests.factories import make_accommodation, make_lock, make_mapping, make_property, make_stay
from tests.web.conftest import sign_in
from tests.web.scenes import NOON, TODAY, busy_house, make_credential
from tests.web.test_today import facts

Statements = Callable[[], AbstractContextManager[list[str]]]
MINUTE = timedelta(minutes=1)
WORKER = "The worker on one has been silent since 10 Mar 11:50 UTC, and no other runs"


def alarm(kind: str, subject: str, title: str, severity: str = "critical") -> Alert:
    with transaction() as session:
        alerts.raise_alert(session, kind, subject, severity, title, "Do what helps.")
        session.flush()
        row: Alert = session.query(Alert).filter_by(kind=kind, subject=subject).one()
    return row


def vendor(name: str, kind: str = "unreachable", since: timedelta = 15 * MINUTE) -> None:
    with transaction() as session:
        session.merge(VendorState(vendor=name, failing_since=NOON - since, last_error_kind=kind))


def connected(house: Property, channel: str = "stays", **fields: Any) -> ChannelProperty:
    row = make_connection(house, channel)
    with transaction() as session:
        kept = session.get_one(ChannelProperty, row.id)
        for name, value in fields.items():
            setattr(kept, name, value)
    return row


def ready_stay(**fields: Any) -> Reservation:
    """A stay of today whose PIN is on its lock."""
    room = make_accommodation(name="Duna", number="204")
    stay = make_stay(room, check_in=TODAY, **({"guest": "Helena Prado"} | fields))
    make_credential(stay, make_mapping(room).id)
    return stay


def buttons(page: str) -> list[tuple[str, str]]:
    """Where each line of the list leads, and what its button says."""
    found = re.findall(r'<a class="btn btn--sm" id="attn-[^"]+" href="([^"]+)">([^<]+)<', page)
    return [(href, said.strip()) for href, said in found]


def test_what_keeps_todays_guests_out_comes_first(admin: FlaskClient, clock: Clock) -> None:
    busy_house()
    alarm("process_gone", "worker@one", WORKER)
    alarm("channel_unreachable", "stays", "Stays cannot be reached since 10 Mar 11:40 UTC")
    alarm("dead_letters", "", "120 events have run out of tries", "warning")
    page = admin.get("/").text
    assert facts(page) == [
        WORKER,
        "203 Coral: the PIN is not on the lock",
        "207 Farol has no lock",
        "Stays cannot be reached since 10 Mar 11:40 UTC",
        "120 events have run out of tries",
    ]
    assert "5 things need you" in page


def test_a_worker_that_is_gone_waits_while_every_pin_is_there(
    admin: FlaskClient, clock: Clock
) -> None:
    house = busy_house()
    with transaction() as session:
        for name in ("failed", "planned", "no_lock"):
            session.get_one(Reservation, house.stays[name].id).status = "cancelled"
    late = house.stays["leaving"]
    clock.move(hours=4)  # the departure is late by now
    alarm("process_gone", "worker@one", WORKER)
    assert facts(admin.get("/").text) == [WORKER, "206 Sálvia: check-out was at 11:00"]
    assert late.guest_name == "Duarte Menezes"


def test_each_concern_has_its_one_next_action(admin: FlaskClient, clock: Clock) -> None:
    house = make_property()
    with transaction() as session:
        account = ChannelAccount(
            channel_name="beds24",
            origin="invite",
            seed_fingerprint="f",
            refresh_token_encrypted="x",
        )
        session.add(account)
    connection = connected(house, "beds24", account_id=account.id)
    alarm("channel_unreachable", f"account:{account.id}", "Beds24 refuses our credentials")
    alarm("dead_letters", "", "120 events have run out of tries", "warning")
    alarm("no_run", "stays", "The reconciliation with Stays has not run lately", "warning")
    worker = alarm("process_gone", "worker@one", WORKER, "warning")
    assert sorted(buttons(admin.get("/").text)) == [
        (f"/alerts#alert-{worker.id}", "Open alerts"),
        (f"/channels/{connection.id}", "Connect again"),
        ("/events?status=failed", "See failed events"),
        ("/reconciliation", "See runs"),
    ]


def test_the_front_desk_is_not_troubled_with_machines(staff: FlaskClient, clock: Clock) -> None:
    ready_stay()
    alarm("process_gone", "worker@one", WORKER)
    page = staff.get("/").text
    assert facts(page) == []
    assert "Nothing needs you right now" in page


@pytest.mark.parametrize(
    "title", ["Ipê: the battery of Front is low", "301 Ipê: the battery of Front is low"]
)
def test_one_trouble_is_told_once(admin: FlaskClient, clock: Clock, title: str) -> None:
    house = busy_house()
    failed = house.stays["failed"]
    alarm("pin_late", f"reservation:{failed.id}", "A PIN is not on its lock")
    room = make_accommodation(house.property, name="Ipê", number="301")
    lock = make_mapping(room)
    make_credential(make_stay(room, check_in=TODAY), lock.id)
    alarm("lock_battery", f"lock:{lock.id}", title, "warning")
    said = facts(admin.get("/").text)
    assert len(said) == 3
    assert title in said  # the room stands there once


def test_a_guest_who_comes_later_is_named(admin: FlaskClient, clock: Clock) -> None:
    room = make_accommodation(name="Coral", number="203")
    stay = make_stay(room, check_in=TODAY + timedelta(days=4), guest="Ana Souza")
    alarm("pin_late", f"reservation:{stay.id}", "A PIN is not on its lock")
    page = admin.get("/").text
    assert facts(page) == ["A PIN is not on its lock: Ana Souza, 203 Coral, arrives 14 Mar 15:00"]
    assert buttons(page) == [(f"/reservations/{stay.id}", "See the reservation")]


def test_a_pin_left_by_a_guest_who_is_gone_is_named(admin: FlaskClient, clock: Clock) -> None:
    room = make_accommodation(name="Coral", number="203")
    stay = make_stay(room, check_in=TODAY - timedelta(days=9), nights=2, guest="Ana Souza")
    pin = make_credential(stay, make_mapping(room).id)
    alarm(
        "revoke_overdue", f"credential:{pin.id}", "Coral: a PIN is still on the lock past its end"
    )
    assert facts(admin.get("/").text) == [
        "Coral: a PIN is still on the lock past its end: Ana Souza, left Tue 3 Mar"
    ]


def test_another_house_has_its_own_concerns(admin: FlaskClient, clock: Clock) -> None:
    here, there = make_property(name="Aqui"), make_property(name="Outra")
    far = make_accommodation(there)
    lock = make_mapping(far)
    alarm("pin_late", f"reservation:{make_stay(far).id}", "A PIN is not on its lock")
    alarm("no_run", f"beds24_rates:{there.id}", "Prices were not compared", "warning")
    alarm("lock_offline", f"lock:{lock.id}", "A lock is silent", "warning")
    alarm("clock_skew", "tuya", "This machine's clock is 90 s off")
    assert facts(admin.get(f"/?property={here.id}").text) == [
        "This machine&#39;s clock is 90 s off"
    ]
    assert len(facts(admin.get(f"/?property={there.id}").text)) == 4


def test_what_somebody_is_on_goes_last(admin: FlaskClient, clock: Clock) -> None:
    taken = alarm("process_gone", "worker@one", WORKER)
    other = alarm("dead_letters", "", "120 events have run out of tries", "warning")
    alerts.acknowledge(taken.id, actor=Actor("marta@vila.example"))
    page = admin.get("/").text
    assert facts(page) == ["120 events have run out of tries", WORKER]
    assert "Marta Queiroz is on it since" in page
    alerts.acknowledge(other.id, actor=Actor("left@vila.example"))  # nobody's address any more
    assert "left@vila.example is on it since" in admin.get("/").text


@pytest.mark.parametrize("role", ["staff", "admin"])
def test_a_silent_channel_says_that_bookings_are_missing(
    app: Flask, people: dict[str, User], clock: Clock, role: str
) -> None:
    client = app.test_client()
    sign_in(client, people[role].email)
    stay = ready_stay()
    connected(_house(stay))
    vendor("stays")
    said = "Stays has not answered since 08:45: bookings made since then are not here yet."
    page = client.get("/").text
    assert said in page
    assert "Nothing needs you right now" not in page, "an old list is no reason to be calm"
    assert said not in client.get("/?day=2026-03-12").text


@pytest.mark.parametrize(
    ("kind", "since"), [("rate_limited", 15 * MINUTE), ("unreachable", 9 * MINUTE)]
)
def test_a_hiccup_is_no_silence(
    staff: FlaskClient, clock: Clock, kind: str, since: timedelta
) -> None:
    connected(_house(ready_stay()), last_sync_at=NOON - 20 * MINUTE)
    vendor("stays", kind, since)
    assert "Nothing needs you right now" in staff.get("/").text


def test_bookings_that_nobody_reads_are_not_fresh(staff: FlaskClient, clock: Clock) -> None:
    connected(_house(ready_stay()), last_sync_at=NOON - timedelta(hours=3))
    assert (
        "Bookings from Stays were last read at 06:00: newer ones may not be here yet."
        in staff.get("/").text
    )


def test_each_concern_changes_the_version(app: Flask, clock: Clock) -> None:
    house = make_property()
    seen = {service.version(house.id, admin=True)}

    def differs() -> bool:
        now = service.version(house.id, admin=True)
        fresh = now not in seen
        seen.add(now)
        return fresh

    assert not differs()
    alert = alarm("no_run", "stays", "Late", "warning")
    assert differs()
    alarm("no_run", "stays", "Late", "critical")  # refreshed: the same row, graver
    assert differs()
    alerts.acknowledge(alert.id, actor=Actor("davi@vila.example"))
    assert differs()
    vendor("stays")
    assert differs()
    with transaction() as session:
        alerts.resolve(session, "no_run", "stays")
    assert differs()
    assert service.version(house.id, admin=False) not in seen


def test_the_number_of_statements_does_not_grow(
    app: Flask, people: dict[str, User], statements: Statements, clock: Clock
) -> None:
    client = app.test_client()
    sign_in(client, people["admin"].email)
    house = make_property()

    def opened(path: str) -> int:
        with statements() as seen:
            assert client.get(path).status_code == 200
        return len(seen)

    def more(n: int) -> None:
        for _ in range(n):
            stay = make_stay(make_accommodation(house), check_in=TODAY + timedelta(days=5))
            alarm("pin_late", f"reservation:{stay.id}", "A PIN is not on its lock")
            alarm("lock_offline", f"lock:{make_lock().id}", "A lock is silent", "warning")
            alarm("channel_unreachable", f"account:{uuid4()}", "Refused")
            credential = make_credential(stay, make_lock().id)
            alarm("revoke_overdue", f"credential:{credential.id}", "Left")

    more(1)
    few = opened("/"), opened("/alerts")
    more(10)
    assert (opened("/"), opened("/alerts")) == few


def test_an_alert_names_its_guest_on_the_page_and_nowhere_else(
    admin: FlaskClient, clock: Clock
) -> None:
    room = make_accommodation(name="Suite 102", number="102")
    stay = make_stay(room, check_in=TODAY, guest="Ana Souza")
    alert = alarm("pin_late", f"reservation:{stay.id}", "A PIN is not on its lock")
    page = admin.get("/alerts")
    assert "A PIN is not on its lock: Ana Souza, Suite 102, arrives 15:00</h2>" in page.text
    with transaction() as session:
        kept = session.get_one(Alert, alert.id)
        assert "Ana" not in kept.title + kept.what_to_do + kept.subject
    poll = re.search(r'id="results" data-poll hx-get="([^"]+)"', page.text)
    assert poll
    url = poll[1].replace("&amp;", "&")
    assert admin.get(url, headers={"HX-Request": "true"}).status_code == 204
    with transaction() as session:
        row = session.get_one(Reservation, stay.id)
        row.guest_name = "Ana Souza Lima"
    assert "Ana Souza Lima" in admin.get(url, headers={"HX-Request": "true"}).text


def test_in_portuguese(admin: FlaskClient, clock: Clock) -> None:
    connected(_house(ready_stay()))
    vendor("stays")
    alarm("dead_letters", "", "120 events have run out of tries", "warning")
    page = admin.get("/?lang=pt").text
    assert "O Stays não responde desde 08:45" in page
    assert "Ver eventos com falha" in page


def _house(stay: Reservation) -> Property:
    with transaction() as session:
        return session.get_one(Property, stay.property_id)
