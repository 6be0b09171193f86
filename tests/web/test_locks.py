"""The locks page: state, battery and PINs of each lock, its settings, and a test (LOCK-02)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any, cast

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.integrations.locks.fake import FakeLocks
from app.models import AuditEntry, Lock, User
from app.services import lock_test_work, lock_tests, vendors
from app.services.audit import SYSTEM
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import (
    NO_SUCH_ID,
    make_accommodation,
    make_lock,
    make_mapping,
    make_property,
    make_stay,
)
from tests.web.conftest import sign_in
from tests.web.forms import complaint_at, press, said_on, value_of
from tests.web.scenes import NOON, TODAY, make_credential

Statements = Callable[[], AbstractContextManager[list[str]]]


@pytest.fixture
def fake(app: Flask) -> Iterator[FakeLocks]:
    """The locks' vendor; forgets everything afterwards."""
    locks = cast(FakeLocks, vendors.lock_client("fake"))
    locks.reset()
    yield locks
    locks.reset()


def names(page: str) -> list[str]:
    """The locks on the page, in order."""
    return re.findall(r'class="who" href="/locks/[^"]+">([^<]+)<', page)


@pytest.mark.parametrize("path", ["", "/new", f"/{NO_SUCH_ID}", f"/{NO_SUCH_ID}/test"])
def test_the_front_desk_is_told_that_only_administrators_may(staff: FlaskClient, path: str) -> None:
    page = staff.get("/locks" + path)
    assert page.status_code == 403
    assert "Only administrators can open this" in page.text


@pytest.mark.parametrize(
    ("fields", "said", "problem"),
    [
        ({"online": True, "battery": 82}, "Online", False),
        (
            {"online": False, "radio": "wifi", "offline_since": NOON - timedelta(days=1)},
            "Asleep",
            0,
        ),
        (
            {"online": False, "radio": "wifi", "offline_since": NOON - timedelta(days=4)},
            "Not answering",
            True,
        ),
        ({"online": False, "offline_since": NOON - timedelta(minutes=10)}, "Offline", False),
        ({"online": False, "offline_since": NOON - timedelta(hours=2)}, "Not answering", True),
        ({"online": True, "silent_since": NOON - timedelta(hours=2)}, "Not answering", True),
        ({"online": True, "battery": 14}, "Battery low", True),
        ({"online": True, "low_battery": True}, "Battery low", True),
        ({"online": True, "gone_since": NOON}, "Not in the account", True),
        ({"online": None}, "Not read yet", False),
    ],
)
def test_the_state_in_one_word(
    admin: FlaskClient, clock: Clock, fields: dict[str, Any], said: str, problem: bool
) -> None:
    """A battery Wi-Fi lock sleeps; that is no problem (contracts/tuya.md §7)."""
    make_lock(name="Porta", **fields)
    assert said in said_on(admin.get("/locks"))
    assert names(admin.get("/locks?view=problems").text) == (["Porta"] if problem else [])


def test_pins_on_it_beside_what_should_be(admin: FlaskClient, clock: Clock) -> None:
    house = make_property()
    for name, state in (("Fine", "installed"), ("Late", "pending"), ("Stuck", "revoking")):
        room = make_accommodation(house, name=name)
        lock = make_mapping(room, make_lock(name=f"{name} lock"))
        installed = None if state == "pending" else NOON
        make_credential(
            make_stay(room, check_in=TODAY), lock.id, state=state, installed_at=installed
        )
    page = admin.get("/locks")
    assert "0, should be 1" in page.text
    assert "1, should be 0" in page.text
    problems = admin.get("/locks?view=problems")
    assert sorted(names(problems.text)) == ["Late lock", "Stuck lock"]
    assert names(page.text)[-1] == "Fine lock"  # what asks for a hand comes first


def test_search_tabs_and_faulty_parameters(admin: FlaskClient) -> None:
    make_mapping(make_accommodation(name="Suíte Ipê"), make_lock(name="Porta 9"))
    make_lock(name="Portão", device_id="bf77aa")
    assert names(admin.get("/locks?q=suite+ipe").text) == ["Porta 9"]
    assert names(admin.get("/locks?q=BF77").text) == ["Portão"]
    assert names(admin.get("/locks?view=unmapped").text) == ["Portão"]
    assert "No lock matches" in admin.get("/locks?q=nothing").text
    assert admin.get("/locks?view=broken").status_code == 422


def test_a_poll_that_finds_nothing_new_is_answered_204(admin: FlaskClient, clock: Clock) -> None:
    lock = make_lock(name="Porta", online=True)
    page = admin.get("/locks")
    version = re.search(r'hx-get="/locks\?v=(\w+)"', page.text)
    assert version
    headers = {"HX-Request": "true", "HX-Target": "results"}
    path = f"/locks?v={version[1]}"
    assert admin.get(path, headers=headers).status_code == 204
    with transaction() as session:
        session.get_one(Lock, lock.id).low_battery = True
    assert "Battery low" in admin.get(path, headers=headers).text


def test_a_constant_number_of_statements(
    app: Flask, people: dict[str, User], statements: Statements
) -> None:
    client = app.test_client()
    sign_in(client, people["admin"].email)
    counts = []
    house = make_property()
    for _ in range(2):
        for _ in range(8):
            make_mapping(make_accommodation(house))
        with statements() as seen:
            assert client.get("/locks").status_code == 200
        counts.append(len(seen))
    assert counts[0] == counts[1] <= 16


def test_add_by_hand_and_a_device_twice(admin: FlaskClient) -> None:
    fields = {"name": "Porta", "device_id": "bf01", "radio": "zigbee", "hex_case": "lower"}
    made = press(admin, "/locks/new", **fields, pin_length="", capacity="", location="")
    assert made.status_code == 303
    page = admin.get(made.location)
    assert value_of(page, "pin_length") == "6"
    again = press(admin, "/locks/new", **fields | {"name": "Other"})
    assert again.status_code == 409
    assert complaint_at(again, "device_id") == "This device is registered already, as Porta"
    assert value_of(again, "name") == "Other"
    wrong = press(admin, "/locks/new", name="", device_id="", pin_length="3", capacity="many")
    assert wrong.status_code == 422
    assert complaint_at(wrong, "name") == "Fill this in"
    assert complaint_at(wrong, "pin_length") == "Write 4 or more"
    assert complaint_at(wrong, "capacity") == "Write a whole number"
    assert value_of(wrong, "capacity") == "many"


def test_rename_and_settings(admin: FlaskClient) -> None:
    lock = make_lock(name="TT-103", location="Térreo")
    fields = {"name": "Porta 103", "radio": "wifi", "hex_case": "upper", "pin_length": "7"}
    saved = press(admin, f"/locks/{lock.id}/edit", **fields, location="", capacity="30")
    assert saved.status_code == 303
    with transaction() as session:
        row = session.get_one(Lock, lock.id)
    assert (row.name, row.location, row.capacity, row.hex_case) == ("Porta 103", None, 30, "upper")
    wrong = press(admin, f"/locks/{lock.id}/edit", **fields | {"pin_length": "11"})
    assert wrong.status_code == 422
    assert complaint_at(wrong, "pin_length") == "Write 10 or less"


def test_delete_says_what_still_needs_it(admin: FlaskClient) -> None:
    lock = make_mapping(make_accommodation())
    refused = press(admin, f"/locks/{lock.id}/delete", htmx=True)
    assert refused.status_code == 409
    assert "1 accommodation" in refused.text
    free = make_lock()
    assert press(admin, f"/locks/{free.id}/delete").location == "/locks"
    assert admin.get(f"/locks/{free.id}").status_code == 404


def test_reading_the_account_without_one_says_so(admin: FlaskClient) -> None:
    assert press(admin, "/locks/refresh", next="/matches").location == "/matches"
    assert "The locks could not be read" in admin.get("/matches").text
    elsewhere = press(admin, "/locks/refresh", next="https://evil.example/")
    assert elsewhere.location == "/"


def test_on_the_lock_beside_what_we_believe(admin: FlaskClient, clock: Clock) -> None:
    room = make_accommodation()
    lock = make_mapping(room)
    stay = make_stay(room, check_in=TODAY, guest="Helena Prado")
    make_credential(stay, lock.id, vendor_ref="9")
    believed = admin.get(f"/locks/{lock.id}")
    assert "Helena Prado" in believed.text
    assert "There" in said_on(believed)
    read = admin.get(f"/locks/{lock.id}/contents")
    assert "Not there" in said_on(read)  # the lock lists nothing
    assert "should be there" in said_on(read)
    part = admin.get(
        f"/locks/{lock.id}/contents", headers={"HX-Request": "true", "HX-Target": "contents"}
    )
    assert part.text.lstrip().startswith('<section class="panel" id="contents"')


def test_a_test_from_order_to_the_answer_at_the_door(
    admin: FlaskClient, clock: Clock, fake: FakeLocks
) -> None:
    lock = make_lock(name="Porta 203")
    path = f"/locks/{lock.id}/test"
    fake.auto_sync = True
    assert "Put a test PIN on the lock" in admin.get(path).text
    assert press(admin, path).location == path
    page = admin.get(path)
    assert "Ordered" in page.text
    assert 'hx-trigger="every 2s' in page.text
    test = lock_tests.of_lock(lock.id)[0]
    lock_test_work.advance(test.id)
    clock.move(seconds=5)
    lock_test_work.advance(test.id)
    page = admin.get(path)
    assert "Did the door open?" in page.text
    answer = press(admin, f"{path}/result", opened="true")
    assert answer.location == path
    for _ in range(4):
        clock.move(minutes=2)
        lock_test_work.advance(test.id)
    page = admin.get(path)
    assert "The door opened." in page.text
    assert "hx-trigger" not in page.text.split('id="test"')[1].split(">")[0]
    assert "The door opened" in admin.get(f"/locks/{lock.id}").text


def test_the_test_pin_is_shown_on_purpose_and_on_record(admin: FlaskClient, clock: Clock) -> None:
    lock = make_lock()
    path = f"/locks/{lock.id}/test"
    press(admin, path)
    pin = lock_tests.reveal(lock_tests.of_lock(lock.id)[0].id, actor=SYSTEM).pin.reveal()
    assert pin not in re.sub(r"[0-9a-f-]{36}", "", admin.get(path).text)
    shown = press(admin, f"{path}/reveal", htmx=False)
    assert f"{pin[:3]} {pin[3:]}" in shown.text
    assert shown.headers["Cache-Control"] == "no-store"
    with transaction() as session:
        seen = session.query(AuditEntry).filter_by(action="reveal", entity="lock").all()
    assert "davi@vila.example" in [entry.actor for entry in seen]
    press(admin, f"{path}/stop")
    refused = press(admin, f"{path}/reveal")
    assert refused.status_code == 409
    assert f"{pin[:3]} {pin[3:]}" not in refused.text


def test_a_second_start_shows_the_test_under_way(admin: FlaskClient) -> None:
    lock = make_lock()
    path = f"/locks/{lock.id}/test"
    press(admin, path)
    assert press(admin, path).location == path
    assert len(lock_tests.of_lock(lock.id)) == 1
    gone = make_lock(gone_since=NOON)
    refused = press(admin, f"/locks/{gone.id}/test")
    assert refused.status_code == 409
    assert "This lock is not in the account any more" in refused.text
