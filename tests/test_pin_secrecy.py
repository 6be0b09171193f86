"""A PIN is read in one place only, the answer to a reveal (SEC-10…12, RES-30, C-14, C-15)."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from datetime import date
from typing import Any

import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.api import tokens
from app.errors import Conflict, Forbidden
from app.integrations import errors
from app.models import Reservation, User
from app.services import credentials, vendors
from app.services.audit import Actor
from tests.secrecy import in_database, in_log, in_redis, loudly, spaced, walk
from tests.services.pin_bench import Door, door, locks
from tests.web.conftest import admin, people, sign_in, staff, token_in

__all__ = ["admin", "door", "locks", "people", "sign_in", "staff"]

#: the one column that holds a PIN, sealed
SEALED = ("credentials", "pin_encrypted")
#: what a lock may answer; "lost" is a call that was carried out and whose answer was not heard
FAULTS = (
    errors.Unreachable("no route", vendor="fake"),
    errors.LockOffline("asleep", vendor="fake"),
    errors.Unreadable("half an answer", vendor="fake"),
    errors.PinTaken("the lock has these digits", vendor="fake"),
)


def shape(digits: str) -> re.Pattern[str]:
    """The digits as a person could read them: whole, or in groups; not inside a longer number
    or a UUID."""
    return re.compile(rf"(?<![0-9a-f]){spaced(digits)}(?![0-9a-f])")


class Secret:
    """Every PIN that has been sent to a lock, and whether a text gives one away."""

    def __init__(self, door: Door) -> None:
        self.door = door

    def digits(self) -> set[str]:
        return {order.pin.reveal() for order in self.door.locks.orders}

    def in_text(self, where: str, *texts: object) -> list[str]:
        shapes = [shape(digits) for digits in self.digits()]
        assert shapes, "no PIN has been made: the test looks for nothing"
        return [where for each in texts for found in shapes if found.search(str(each))]


@pytest.fixture
def secret(door: Door) -> Secret:
    return Secret(door)


def lived(door: Door, nights: int = 3) -> Reservation:
    """A stay in house whose PIN went through every trouble before it stood on its lock."""
    for fault in FAULTS:
        door.locks.fail_next("create_pin", fault)
    door.locks.fail_next("create_pin", FAULTS[0], after_execution=True)
    stay = door.stay(check_in=date(2026, 3, 9), nights=nights)
    for _ in range(8):
        door.settle(seconds=65)
    assert door.view(stay).state == "active"
    return stay


def ids(door: Door, stay: Reservation, people: dict[str, User]) -> dict[str, object]:
    return {
        "reservation_id": stay.id,
        "accommodation_id": door.room.id,
        "property_id": door.room.property_id,
        "lock_id": door.lock.id,
        "user_id": people["staff"].id,
    }


def post(client: FlaskClient, stay: Reservation, verb: str) -> TestResponse:
    form = {"csrf_token": token_in(client.get(f"/reservations/{stay.id}"))}
    return client.post(f"/reservations/{stay.id}/{verb}", data=form)


def whole_life(
    app: Flask,
    door: Door,
    secret: Secret,
    redis: Any,
    visitors: dict[str, FlaskClient],
    people: dict[str, User],
) -> list[str]:
    """Make, show, move, make anew and take off a PIN, looking everywhere in between."""
    stay = lived(door)
    known = ids(door, stay, people)

    for role, client in visitors.items():
        shown = post(client, stay, "pin/reveal")
        assert secret.in_text(role, shown.text), "the reveal shows the PIN: the search works"
        assert "no-store" in shown.headers["Cache-Control"]
        assert not secret.in_text(role, shown.headers)

    leaks, answered = walk(app, secret, visitors, known, people)
    assert answered > 40
    leaks += in_database(secret, but=[SEALED])
    found, keys = in_redis(secret, redis)
    assert keys > 2
    leaks += found

    # The rest of its life: moved, made anew, taken off.
    door.change(stay, check_out_at=stay.check_out_at.replace(hour=16))
    door.settle()
    bearer = {"Authorization": f"Bearer {tokens.issue(people['admin'])}"}
    for verb in ("reprocess", "revoke-pin"):
        answer = visitors["admin"].post(f"/api/admin/reservations/{stay.id}/{verb}", headers=bearer)
        assert answer.status_code == 202
        leaks += secret.in_text(verb, answer.text)
        leaks += in_redis(secret, redis)[0]
        door.settle(seconds=65)
        door.settle(seconds=65)
    assert len(secret.digits()) > 1
    leaks += walk(app, secret, visitors, known, people)[0]
    leaks += in_database(secret, but=[SEALED])
    return leaks


def test_a_pin_is_seen_nowhere_but_in_the_answer_to_a_reveal(
    app: Flask, door: Door, secret: Secret, redis: Any,
    admin: FlaskClient, staff: FlaskClient, people: dict[str, User],
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    visitors = {"admin": admin, "staff": staff}
    with loudly(caplog):
        leaks = whole_life(app, door, secret, redis, visitors, people)
    said = capsys.readouterr()
    assert "pin_accepted" in said.out
    leaks += in_log(secret, said, caplog)
    assert leaks == []


def test_a_pin_in_the_log_would_be_found(
    door: Door, secret: Secret,
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    door.stay(check_in=date(2026, 3, 9), nights=3)
    door.settle()
    (digits,) = secret.digits()

    def found() -> bool:
        return bool(in_log(secret, capsys.readouterr(), caplog))

    with loudly(caplog):
        assert not found()
        for say in (
            lambda: structlog.get_logger("ours").debug(f"sent {digits}"),
            lambda: structlog.get_logger("ours").info("sent", order=f"to the lock: {digits}"),
            lambda: logging.getLogger("theirs").debug("sent %s", digits),
            lambda: logging.getLogger("theirs").info("sent", extra={"order": digits}),
            lambda: sys.stdout.write(digits),
        ):
            say()
            assert found()
            caplog.clear()
            assert not found()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_no_exception_carries_the_digits(
    door: Door, secret: Secret, fault: errors.IntegrationError
) -> None:
    door.stay(check_in=date(2026, 3, 9), nights=3)
    door.settle()
    order = door.locks.orders[-1]
    door.locks.fail_next("create_pin", fault)
    with pytest.raises(errors.IntegrationError) as raised:
        vendors.lock_client("fake").create_pin(order)
    # With locals, as an error tracker would send them.
    whole = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    assert "order = " in "".join(whole.format())
    assert not secret.in_text("traceback", *whole.format(), repr(raised.value), raised.value.args)


def test_what_a_refused_reveal_says_is_not_the_pin(door: Door, secret: Secret) -> None:
    stay = door.stay(check_in=date(2026, 3, 9), nights=3)
    door.settle()
    door.clock.move(days=3)
    with pytest.raises((Conflict, Forbidden)) as raised:
        credentials.reveal(stay.id, actor=Actor("desk", None, "staff", None))
    assert not secret.in_text("refusal", raised.value, raised.value.args)


def test_a_caller_who_names_no_element_gets_the_whole_page(
    door: Door, secret: Secret, staff: FlaskClient
) -> None:
    stay = lived(door, nights=1)
    page = f"/reservations/{stay.id}"
    htmx = {"HX-Request": "true", "X-CSRF-Token": token_in(staff.get(page))}
    shown = staff.post(f"{page}/pin/reveal", headers=htmx)
    assert shown.status_code == 200
    assert secret.in_text("page", shown.text)
    hidden = staff.get(f"{page}/pin", headers=htmx)
    assert hidden.status_code == 200
    assert not secret.in_text("page", hidden.text)
    door.clock.move(hours=3)
    refused = staff.post(f"{page}/pin/reveal", headers=htmx)
    assert refused.status_code == 409
    assert not secret.in_text("page", refused.text)
