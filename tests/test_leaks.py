"""No secret leaves the one answer that makes it, and no guest the places that exist to show them
(SEC-08…15, P2-SEC, OPS-11…15)."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app import meters
from app.api import tokens
from app.integrations import http
from app.integrations.errors import Rejected
from app.models import User
from app.services import alerts, metric_points
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import reload
from tests.leak_house import House, configure, connect, everything
from tests.leak_scenes import FIRST, MAIL, Canaries, Ears, People
from tests.letterboxes import MailServer, Receiver, post_office, receiver
from tests.measuring import own_meters
from tests.outbound_live import Channel, channel
from tests.secrecy import every_get, in_database, in_log, in_redis, loudly
from tests.services.pin_bench import Door, door, locks
from tests.web.conftest import PASSWORD, people

__all__ = ["channel", "door", "locks", "people", "post_office", "receiver"]


@pytest.fixture
def ears(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Ears:
    ears = Ears(app, Canaries())
    send = http.VendorHttp._send

    def heard(self: http.VendorHttp, method: str, path: str, params: Any, *more: Any) -> Any:
        ears.urls.append(f"{method} {path} {params}")
        return send(self, method, path, params, *more)

    monkeypatch.setattr(http.VendorHttp, "_send", heard)
    return ears


def visit(app: Flask, client: FlaskClient, headers: dict[str, str]) -> int:
    """Read everything that can be read; how much there was."""
    answered = 0
    for path in every_get(app, everything()):
        answer = client.get(path, headers=headers)
        assert answer.status_code != 500, path
        answered += answer.status_code == 200
    return answered


def plant_hashes(canaries: Canaries) -> None:
    with transaction() as session:
        for hashed in session.scalars(select(User.password_hash)):
            canaries.plant("password hash", hashed.rsplit("$", 1)[1])


# --- people -------------------------------------------------------------------------------------

#: the one answer that makes a secret, or the place whose purpose it is
MADE = {
    "bearer token @ POST api.tokens.create": "the answer that makes it",
    "invitation @ POST settings.invite_user": "the link is shown once",
    "invitation @ POST api.admin.users.invite": "the link is told once",
    "invitation @ cookie": "where it waits for the password, signed, of one browser",
    "reset link @ POST settings.make_user_link": "the link is shown once",
    "reset link @ cookie": "as that of an invitation",
    "session token @ cookie": "what it is for",
    "second factor @ GET account.show_second_factor": "to be scanned, before it is switched on",
    "second factor @ POST account.confirm_second_factor": "the same page with what was wrong",
    "recovery code @ POST account.confirm_second_factor": "the answer that makes them",
    "password as address @ POST sessions.sign_in": "the address field keeps what was typed",
}
#: columns that hold one as it is
KEPT = {"password hash @ users.password_hash": "compared with at each sign-in"}


def test_what_people_type_and_are_given(
    app: Flask, ears: Ears, clock: Clock, redis: Any, people: dict[str, User],
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    canaries = ears.canaries
    canaries.plant("password", PASSWORD)
    scene = People(app, ears, clock, people)
    with loudly(caplog):
        admin, staff = scene.signed_in("admin"), scene.signed_in("staff")
        bearer = scene.api("admin")
        scene.invited(admin, bearer)
        terminal = scene.terminal()
        plant_hashes(canaries)
        scene.another_password(staff)
        admin = scene.second_factor("admin")
        plant_hashes(canaries)
        head = {"Authorization": f"Bearer {tokens.issue(reload(people['admin']))}"}
        assert visit(app, admin, head) > 60
    assert ears.found() == set(MADE)
    assert set(in_database(canaries)) == set(KEPT)
    leaks, _ = in_redis(canaries, redis)  # that it finds something is proven below
    leaks += canaries.in_text("terminal", terminal)
    leaks += canaries.in_text("url", *ears.urls)
    leaks += in_log(canaries, capsys.readouterr(), caplog)
    assert leaks == []


# --- channels, locks and the guest --------------------------------------------------------------

NAME = ("name",)
ALL = ("name", "e-mail", "phone")
#: what shows a guest, which parts, and why: nothing else may
SHOWN = {
    "GET api.admin.audit.index": (ALL, "what was changed, before and after"),
    "GET api.admin.audit.show": (ALL, "what was changed, before and after"),
    "GET api.admin.discrepancies.index": (NAME, "the name on each side"),
    "GET api.admin.discrepancies.show": (NAME, "the name on each side"),
    "GET api.admin.events.show": (ALL, "what a channel sent, as it came"),
    "GET api.admin.holds.hold": (NAME, "for whom"),
    "GET api.admin.holds.holds": (NAME, "for whom"),
    "GET api.admin.reservations.index": (ALL, "the stay"),
    "GET api.admin.reservations.show": (ALL, "the stay"),
    "GET audit.export": (ALL, "what was changed, before and after"),
    "GET audit.index": (('name', 'phone'), "what was changed, before and after"),
    "GET audit.show": (ALL, "what was changed, before and after"),
    "GET availability.night": (NAME, "who sleeps there"),
    "GET designed.events.show": (ALL, "what a channel sent, as it came"),
    "GET discrepancies.index": (NAME, "the name on each side"),
    "GET events.ask_replay": (NAME, "whose booking it is about"),
    "GET events.index": (NAME, "whose booking it is about"),
    "GET events.show": (ALL, "whose booking it is about, and what a channel put in a wrong field"),
    "GET holds.ask_release": (NAME, "for whom"),
    "GET reservations.ask_cancel": (NAME, "the stay"),
    "GET reservations.ask_check_in": (NAME, "the stay"),
    "GET reservations.ask_check_out": (NAME, "the stay"),
    "GET reservations.ask_no_show": (NAME, "the stay"),
    "GET reservations.ask_reprocess": (NAME, "the stay"),
    "GET reservations.ask_revoke": (NAME, "the stay"),
    "GET reservations.ask_room": (NAME, "the stay"),
    "GET reservations.edit": (ALL, "the stay"),
    "GET reservations.index": (NAME, "the stay"),
    "GET reservations.show": (ALL, "the stay"),
    "GET today.index": (NAME, "who needs a hand"),
    "PATCH api.admin.bookings.change": (ALL, "the answer is the stay"),
    "POST api.admin.bookings.create": (ALL, "the answer is the stay"),
    "POST reservations.create": (ALL, "the stay"),
}  # fmt: skip
#: the columns that keep a guest, which parts, and why
STORED = {
    "audit_log.after": (ALL, "who changed what of a stay"),
    "audit_log.before": (('phone',), "who changed what of a stay"),
    "channel_events.normalized_payload": (ALL, "what the event says, until it is emptied"),
    "channel_events.payload": (ALL, "what was sent, until it is emptied"),
    "channel_events.raw_body": (ALL, "the bytes that were signed, until it is emptied"),
    "discrepancies.ours": (NAME, "the name on our side"),
    "reservations.guest_email": (('e-mail',), "the stay"),
    "reservations.guest_name": (NAME, "the stay"),
    "reservations.guest_phone": (('phone',), "the stay"),
    "reservations.search": (ALL, "so that a guest is found"),
    "reservations.search_text": (ALL, "so that a guest is found"),
}  # fmt: skip
#: secrets of channels and people, in the one answer that makes each
GIVEN = {
    "bearer token @ POST api.tokens.create",
    "password as address @ POST sessions.sign_in",
    "session token @ cookie",
    "webhook secret made @ POST channels.create",
}


def guest(places: dict[str, tuple[tuple[str, ...], str]]) -> set[str]:
    return {f"guest {part} @ {where}" for where, (parts, _) in places.items() for part in parts}


@pytest.fixture
def house(
    app: Flask, ears: Ears, channel: Channel, door: Door, people: dict[str, User],
    post_office: MailServer, receiver: Receiver, redis_url: str, monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[House, dict[str, str]]]:  # fmt: skip
    own_meters(monkeypatch, redis_url)
    before = app.extensions["settings"]
    scraper = configure(app, ears, post_office.port, int(receiver.server_address[1]))
    scene = People(app, ears, door.clock, people)
    admin = scene.signed_in("admin")
    yield connect(app, ears, channel, door, admin, scene.api("admin")), scraper
    app.extensions["settings"] = before


@pytest.mark.faults  # for its length alone
def test_what_channels_send_and_guests_are(
    app: Flask, ears: Ears, house: tuple[House, dict[str, str]], redis: Any,
    post_office: MailServer, receiver: Receiver,
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    canaries, (scene, scraper) = ears.canaries, house
    with loudly(caplog):
        scene.messages()
        scene.processes()
        scene.sells()
        scene.compares()
        scene.is_refused()
        scene.alarms()
        meters.flush()
        metric_points.collect()
        answered = visit(app, scene.admin, scene.bearer)
        scrape = scene.ears.client().get("/metrics", headers=scraper)
    assert answered > 80
    assert scrape.status_code == 200
    assert ears.found() == guest(SHOWN) | GIVEN
    assert set(in_database(canaries)) == guest(STORED)
    leaks, keys = in_redis(canaries, redis)
    assert keys > 10
    assert len(post_office.messages) > 2
    assert len(receiver.posts) > 2
    leaks += canaries.in_text("mail", *post_office.messages)
    leaks += canaries.in_text("webhook", *(body for _, body in receiver.posts))
    assert len(ears.urls) > 20
    leaks += canaries.in_text("url", *ears.urls)
    assert len(ears.failures) == 4
    leaks += ears.told()
    with loudly(caplog):
        scene.answers()
        scene.forgets()
    assert in_database(canaries) == []
    leaks += in_redis(canaries, redis)[0]
    leaks += in_log(canaries, capsys.readouterr(), caplog)
    assert leaks == []


def test_each_place_that_is_searched_would_give_a_secret_away(
    app: Flask, redis: Any, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The searches that find nothing above find what is there."""
    ears = Ears(app, Canaries())
    canaries = ears.canaries
    secret = canaries.plant("secret", "a-secret/of-quokkas", "x" * 19 + "=" + "y" * 30)
    says: list[Callable[[str], object]] = [
        structlog.get_logger("ours").debug,
        lambda said: structlog.get_logger("ours").info("said", words=[said]),
        logging.getLogger("theirs").info,
    ]
    with loudly(caplog):
        for say in says:
            for said in (f"asked for {secret}", f"for {MAIL.upper()}", "call (+55) 48 93715.8264"):
                say(said)
                assert in_log(canaries, capsys.readouterr(), caplog), said
                caplog.clear()
        assert in_log(canaries, capsys.readouterr(), caplog) == []
    puts: dict[str, Callable[[], object]] = {
        "string": lambda: redis.set("a", f"of {FIRST.lower()}"),
        "key": lambda: redis.set(f"limit|{MAIL}", 1),
        "hash": lambda: redis.hset("a", "data", zlib.compress(f"[{MAIL!r}]".encode())),
        "list": lambda: redis.rpush("a", quote(secret, safe="")),
        "set": lambda: redis.sadd("a", "y" * 30),
        "zset": lambda: redis.zadd("a", {"5548937158264": 1}),
    }  # fmt: skip
    for where, put in puts.items():
        put()
        assert len(in_redis(canaries, redis)[0]) == 1, where
        redis.flushdb()
    with transaction() as session:
        alerts.raise_alert(session, "run_failed", "stays", "warning", f"No PIN for {MAIL}", "Wait.")
    assert in_database(canaries) == ["guest e-mail @ alerts.title"]
    assert ears.client().get("/login", query_string={"next": f"/{secret}"}).status_code == 200
    assert ears.found() == {"secret @ GET sessions.login"}
    ears.refuses(lambda: _raise(Rejected(f"no room for {FIRST}", vendor="beds24")))
    assert ears.told() == ["guest name @ exception"]


def _raise(error: Exception) -> None:
    raise error
