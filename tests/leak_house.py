"""A house at its channels, with a guest in its bookings, and everything going wrong once."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from uuid import UUID

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text, update
from werkzeug.test import TestResponse

from app.extensions import db
from app.models import (
    Accommodation,
    ChannelAccount,
    ChannelEvent,
    ChannelProperty,
    Discrepancy,
    Property,
    Reservation,
    RoomType,
)
from app.runtime import secret_vault, settings
from app.sandbox import beds24_account
from app.services import (
    alert_notices,
    alert_sending,
    alert_watch,
    events,
    outbound_delivery,
    reconciliation,
    vendors,
)
from app.services.privacy_requests import search as find_guest
from app.transaction import transaction
from tests.beds24 import PATH, v2
from tests.factories import (
    make_accommodation,
    make_lock,
    make_mapping,
    make_property,
    make_room_type,
)
from tests.leak_scenes import (
    FIRST,
    LAST,
    MAIL,
    PHONE,
    Ears,
    as_beds24,
    document,
    guest_fields,
)
from tests.outbound import map_room
from tests.outbound_live import Channel
from tests.services.pin_bench import Door
from tests.web.channel_scenes import secret_on
from tests.web.conftest import sign_in
from tests.web.forms import press

ROOM = "610011"
ARRIVES = date(2026, 3, 12)

#: fields that hold something else than they should
BROKEN: tuple[dict[str, Any], ...] = (
    {"arrival": f"for {FIRST}"}, {"numAdult": FIRST}, {"price": MAIL}, {"departure": PHONE},
    {"status": [LAST]}, {"email": {"of": MAIL}}, {"roomId": MAIL}, {"unitId": f"{FIRST} {LAST}"},
    {"modifiedTime": MAIL}, {"mobile": [PHONE]},
)  # fmt: skip


@dataclass
class House:
    """One house, connected to Beds24 with an invite code, one of its two rooms with a lock."""

    app: Flask
    ears: Ears
    channel: Channel
    door: Door
    admin: FlaskClient
    bearer: dict[str, str]
    home: Property
    kind: RoomType
    unit: Accommodation
    connection: ChannelProperty
    secret: str

    # --- messages of the channels ---------------------------------------------------------------

    def hears(self, body: Any, token: str | None = None) -> TestResponse:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"X-Webhook-Token": token or self.secret, "Content-Type": "application/json"}
        return self.ears.client().post(PATH, data=raw, headers=headers)

    def messages(self) -> None:
        """Good ones, one nobody can place, some nobody can read, and some from nobody."""
        good = as_beds24(ARRIVES)
        assert self.hears(v2(**good)).status_code == 200
        elsewhere = as_beds24(ARRIVES, id=70000124, roomId=619999)
        assert self.hears(v2(**elsewhere)).status_code == 200
        for n, broken in enumerate(BROKEN):
            self.hears(v2(**as_beds24(ARRIVES, id=70000200 + n) | broken))
        self.hears(json.dumps(v2(**good)).encode()[:-9])
        self.hears([FIRST, MAIL])
        wrong = self.ears.canaries.plant("wrong webhook secret", "Wrong-hook-quokka-1")
        assert self.hears(v2(**good), token=wrong).status_code == 401
        right = settings().stays_webhook_secret
        body = {
            "action": "reservation.modified",
            "payload": {"_id": "S77", "email": MAIL},
        }
        for path in (right, wrong, f"{wrong}/x"):
            self.ears.client().post(f"/api/webhooks/stays/{path}", json=body)
        signed = {"X-Webhook-Signature": wrong}
        self.ears.client().post("/api/webhooks/stays/reservation", json=body, headers=signed)

    def processes(self, rounds: int = 4) -> None:
        """What workers do, until every event has had its tries."""
        for _ in range(rounds):
            with transaction() as session:
                open_ = ChannelEvent.status.in_(("received", "retrying"))
                found = session.execute(
                    select(ChannelEvent.id, ChannelEvent.direction).where(open_)
                ).all()
            for id_, direction in found:
                (events.process if direction == "inbound" else outbound_delivery.deliver)(id_)
            self.door.clock.move(minutes=20)

    # --- the desk -------------------------------------------------------------------------------

    def sells(self) -> None:
        """Refused for each field once, by form and API, then sold; the channel loses an answer."""
        new: dict[str, Any] = {
            "property_id": str(self.home.id), "room_type_id": str(self.kind.id),
            "check_in": "2026-03-20", "check_out": "2026-03-22", **guest_fields(),
        }  # fmt: skip
        client = self.ears.client()
        for typed in ({"guest_email": "zqmail77"}, {"guest_phone": f"{PHONE} zz"},
                      {"check_out": FIRST}, {"amount": MAIL}, {"units": FIRST}):  # fmt: skip
            refused = client.post("/api/admin/reservations", json=new | typed, headers=self.bearer)
            assert refused.status_code in (400, 422), typed
            assert press(self.admin, "/reservations/new", **(new | typed)).status_code == 422
        sold = client.post("/api/admin/reservations", json=new, headers=self.bearer)
        assert sold.status_code == 201, sold.text
        self.channel.fault("500", operation="post_bookings", count=1)
        self.processes()
        self.channel.mend()
        (stay, *_) = [each["id"] for each in document(sold)["reservations"]]
        page = {"headers": self.bearer}
        changes = {"guest_phone": "+55 48 93715 8264", "version": 1}
        client.patch(f"/api/admin/reservations/{stay}", json=changes, **page)
        client.get("/api/admin/reservations", query_string={"q": "none like this"}, **page)
        self.door.work()

    # --- runs and alerts ------------------------------------------------------------------------

    def compares(self) -> None:
        """With Beds24, where the guest is called otherwise and another has vanished."""
        with self.channel.store.open() as world:
            for booking in world.beds24.bookings.values():
                booking.first_name, booking.last_name = "Someone", f"Else than {LAST}"
                booking.modified_at = self.door.clock.now.timestamp()
        reconciliation.run(reconciliation.start("beds24_bookings", trigger="manual"))
        reconciliation.run(reconciliation.start("stays", trigger="manual"))

    def is_refused(self) -> None:
        """Every vendor is asked with keys it does not take."""
        self.ears.refuses(lambda: vendors.channel_client().listings())
        self.ears.refuses(lambda: vendors.lock_client("tuya").devices())
        with self.channel.store.open() as world:
            beds24_account.revoke(world.beds24, self.token)
            world.beds24.access_tokens.clear()
        beds24 = vendors.beds24_client(self.connection.id)
        self.ears.refuses(lambda: beds24.calendar([ROOM], ARRIVES, ARRIVES))
        self.channel.fault("down")
        self.ears.refuses(lambda: beds24.calendar([ROOM], ARRIVES, ARRIVES))
        self.channel.mend()

    @property
    def token(self) -> str:
        with transaction() as session:
            account = session.scalars(select(ChannelAccount)).one()
            return secret_vault().open(account.refresh_token_encrypted)

    def alarms(self) -> None:
        """The minute's job, until everything that is wrong was told."""
        for _ in range(3):
            alert_watch.evaluate()
            alert_notices.plan(self.door.clock.now)
            alert_sending.send_due()
            self.door.clock.move(minutes=1)
        for way in ("log", "email", "webhook"):
            press(self.admin, "/alerts/test", way=way)

    # --- the guest asks -------------------------------------------------------------------------

    def guests(self) -> list[UUID]:
        return [stay.reservation.id for stay in find_guest(f"{FIRST} {LAST}")]

    def answers(self) -> None:
        """What we hold, as a page and as JSON."""
        assert press(self.admin, "/settings/privacy/guests", q=MAIL).status_code == 200
        for form in ("html", "json"):
            ids = [str(each) for each in self.guests()]
            sent = press(self.admin, "/settings/privacy/guests/export", ids=ids, format=form)
            assert sent.status_code == 200

    def forgets(self) -> None:
        """The stays are over, what failed is closed, and the guest wants to be forgotten."""
        with transaction() as session:
            failed = session.scalars(select(ChannelEvent.id).filter_by(status="failed")).all()
            stays = session.scalars(select(Reservation)).all()
            session.execute(
                update(Discrepancy).values(status="resolved", closed_at=self.door.clock.now)
            )
            under_way = ChannelEvent.status.in_(("received", "retrying", "processing"))
            session.execute(update(ChannelEvent).where(under_way).values(status="ignored"))
        for id_ in failed:
            press(self.admin, f"/events/{id_}/ignore", reason="they are over")
        for stay in stays:
            self.door.change(stay, status="cancelled", cancelled_at=self.door.clock.now)
        for _ in range(3):
            self.door.settle(seconds=65)
        self.door.clock.move(days=6)
        assert sign_in(self.admin, "davi@vila.example").status_code == 303
        sent = press(
            self.admin, "/settings/privacy/guests/erase",
            ids=[str(each) for each in self.guests()], confirm="erase",
        )  # fmt: skip
        waits = [each.obstacles for each in find_guest(f"{FIRST} {LAST}")]
        assert sent.status_code == 200, waits


def configure(app: Flask, ears: Ears, mail_port: int, hook_port: int) -> dict[str, Any]:
    """Every variable that holds a secret, each with one nobody else has."""
    plant = ears.canaries.plant
    base = settings().beds24_api_url.removesuffix("/beds24")
    smtp, hook = plant("SMTP password", "Smtp-quokka-77"), plant("alert URL", "hook-quokka-path")
    own = settings()
    plant("SECRET_KEY", own.secret_key)
    plant("JWT_SECRET", own.jwt_secret)
    plant("PIN_ENCRYPTION_KEYS", *(key.rstrip("=") for key in own.pin_encryption_keys))
    app.extensions["settings"] = replace(
        own,
        stays_api_url=f"{base}/stays",
        stays_api_key=plant("Stays key", "Stays-key-quokka-31"),
        stays_webhook_secret=plant("Stays webhook secret", "Stays-hook-quokka-32-long-enough"),
        beds24_refresh_token=None,
        beds24_webhook_secret=plant("webhook secret", "Beds24-hook-quokka-33-long-enough"),
        tuya_api_region="us",
        tuya_api_url=f"{base}/tuya",
        tuya_access_id="cid0123456789abcdefgh",
        tuya_access_secret=plant("Tuya secret", "quokka34quokka34quokka34quokka34"),
        smtp_url=f"smtp://desk:{smtp}@127.0.0.1:{mail_port}",
        alert_email_to="davi@vila.example",
        alert_webhook_url=f"http://127.0.0.1:{hook_port}/{hook}",
        alert_webhook_secret=plant("alert webhook secret", "Alert-quokka-35"),
        metrics_token=plant("METRICS_TOKEN", "Metrics-quokka-36"),
        public_url="https://desk.vila.example",
    )
    vendors.forget_clients()
    return {"Authorization": "Bearer Metrics-quokka-36"}


def connect(
    app: Flask, ears: Ears, channel: Channel, door: Door, admin: FlaskClient, bearer: str
) -> House:
    """On the page, with a code that is wrong and one that is right."""
    plant = ears.canaries.plant
    home = make_property()
    kind = make_room_type(home, total_units=2)
    unit = make_accommodation(home, room_type_id=kind.id)
    make_mapping(unit, make_lock())
    with channel.store.open() as world:
        code = beds24_account.make_invite(world.beds24, door.clock.now.timestamp())
    form: dict[str, Any] = {
        "channel_name": "beds24",
        "property_id": str(home.id),
        "channel_property_id": "51001",
    }
    wrong = plant("invite code", "wrong-invite-quokka-4711")
    assert press(admin, "/channels", **form, invite_code=wrong).status_code == 422
    page = press(admin, "/channels", **form, invite_code=plant("invite code", code))
    assert page.status_code == 200, page.text
    secret = plant("webhook secret made", secret_on(page))
    with transaction() as session:
        connection = session.scalars(select(ChannelProperty)).one()
        account = session.scalars(select(ChannelAccount)).one()
        sealed = [account.refresh_token_encrypted, account.access_token_encrypted]
    plant("Beds24 token", *(secret_vault().open(each) for each in sealed if each))
    map_room(connection, "room_type", kind, ROOM)
    map_room(connection, "room", unit, f"{ROOM}:1")
    press(admin, f"/channels/{connection.id}/rooms")
    head = {"Authorization": f"Bearer {bearer}"}
    return House(app, ears, channel, door, admin, head, home, kind, unit, connection, secret)


#: the variables of the routes, and the tables whose ids they are
IDS = {
    "accommodation_id": "accommodations", "alert_id": "alerts", "batch_id": "event_batches",
    "block_id": "maintenance_blocks", "channel_property_id": "channel_properties",
    "discrepancy_id": "discrepancies", "entry_id": "audit_log", "event_id": "channel_events",
    "hold_id": "inventory_holds", "lock_id": "locks", "mapping_id": "channel_mappings",
    "property_id": "properties", "reservation_id": "reservations", "room_id": "accommodations",
    "room_type_id": "room_types", "run_id": "reconciliation_logs", "user_id": "users",
}  # fmt: skip


def everything() -> dict[str, object]:
    """All rows of each kind, for a walk: each may say something else."""
    known: dict[str, object] = {"day": ARRIVES.isoformat()}
    with db.engine.connect() as wire:
        for name, table in IDS.items():
            known[name] = list(wire.scalars(text(f"SELECT id FROM {table} ORDER BY id")))
    return known
