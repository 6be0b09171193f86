"""Connections to channels: connect, map, retry what waited, secrets shown once (CHAN, UI.md §4)."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.errors import Unavailable
from app.models import (
    AuditEntry,
    ChannelEvent,
    ChannelProperty,
    ReconciliationLog,
    VendorState,
)
from app.services import beds24_connections, channel_invites, channel_properties, rate_limits
from app.services.audit import SYSTEM
from app.services.beds24_connections import Spot
from app.transaction import transaction
from tests.conftest import Clock
from tests.events import make_event
from tests.factories import NO_SUCH_ID, make_accommodation, make_property, make_room_type, reload
from tests.web.channel_scenes import (
    TOKEN,
    connect,
    make_waiting,
    map_to,
    mappings_of,
    secret_on,
    stamp,
)
from tests.web.forms import HTMX, complaint_at, press, said_on, value_of

PAGES = ("", "/connect", "/secret", "/switch", "/map?room=610011", "/test")
VERBS = ("/rooms", "/units", "/connect", "/secret", "/switch", "/map", "/retry", "/test")


def test_channels_are_for_administrators(staff: FlaskClient) -> None:
    one = connect(make_property())
    mapping = f"/channels/{one.id}/mappings/{NO_SUCH_ID}"
    reads = ["/channels", "/channels/new", *(f"/channels/{one.id}{each}" for each in PAGES)]
    for path in [*reads, f"{mapping}/remove"]:
        assert staff.get(path).status_code == 403, path
    writes = ["/channels", *(f"/channels/{one.id}{verb}" for verb in VERBS)]
    for path in [*writes, f"{mapping}/remove", f"{mapping}/revive"]:
        assert press(staff, path, status="inactive").status_code == 403, path
    assert 'href="/channels"' not in staff.get("/more").text
    assert reload(one).status == "active"


def test_a_form_without_its_token_does_nothing(admin: FlaskClient) -> None:
    house = make_property()
    one = connect(house)
    room = make_accommodation(house)
    event = make_waiting(house, "610011")
    sent = {
        "mapping_type": "room",
        "internal_id": str(room.id),
        "external_id": "610011:1",
        "status": "inactive",
        "room": "610011",
    }
    for verb in VERBS:
        assert admin.post(f"/channels/{one.id}{verb}", data=sent).status_code == 403, verb
    assert mappings_of(one) == {}
    row = reload(one)
    assert (row.status, row.webhook_secret_encrypted) == ("active", None)
    assert reload(event).status == "failed"


def test_without_a_connection_the_page_says_how_to_begin(admin: FlaskClient) -> None:
    page = admin.get("/channels")
    assert "Create that first" in said_on(page)
    make_property()
    page = admin.get("/channels")
    assert "Connect Beds24" in said_on(page)
    assert 'href="/channels/new"' in page.text


def test_a_connection_says_how_it_is_doing(admin: FlaskClient, clock: Clock) -> None:
    house = make_property(name="Vila")
    kind = make_room_type(house)
    rooms = [make_accommodation(house, room_type_id=kind.id) for _ in range(3)]
    one = connect(house)
    assert "Partly working" in said_on(admin.get("/channels"))  # nothing has come yet
    now = clock.now
    stamp(one, last_webhook_at=now - timedelta(minutes=4), last_sync_at=now - timedelta(minutes=9))
    map_to(one, "room", rooms[0].id, "610011:1")
    map_to(one, "room_type", kind.id, "610011")
    page = admin.get("/channels")
    assert "2 rooms are not mapped: their bookings get no room." in said_on(page)
    assert '<progress class="meter meter--warn" max="3" value="1"' in page.text
    assert '<progress class="meter" max="1" value="1"' in page.text
    for n, room in enumerate(rooms[1:], start=2):
        map_to(one, "room", room.id, f"610011:{n}")
    assert "Working Beds24" not in said_on(page)
    page = admin.get("/channels")
    assert "Everything is mapped and nothing has failed." in said_on(page)
    assert "4 min ago" in page.text
    assert "9 min ago" in page.text
    make_waiting(house, "610099")
    make_event("received", house=house, source="beds24")
    make_event("retrying", house=house, source="beds24", direction="outbound")
    page = admin.get("/channels")
    said = said_on(page)
    assert "Partly working" in said
    assert "1 failed event waits for a decision." in said
    assert "Waiting in 1 Waiting out 1 Dead letters 1" in said
    link = re.search(r'class="strong badtext" href="(/events[^"]+)"', page.text)
    assert link
    assert admin.get(html.unescape(link[1])).status_code == 200
    clock.move(hours=3)
    assert "Nothing has come from Beds24 since 08:56. Check its webhook." in said_on(
        admin.get("/channels")
    )
    with transaction() as session:
        session.add(VendorState(vendor="beds24", failing_since=clock.now - timedelta(minutes=9)))
    assert "Beds24 cannot be reached. No answer since 11:51." in said_on(admin.get("/channels"))
    stamp(one, status="error", status_reason="Beds24 refused the refresh token: and so on")
    said = said_on(admin.get("/channels"))
    assert "Not reachable" in said
    assert "Beds24 refuses our access. Connect it again with a new invite code." in said
    stamp(one, status="inactive")
    assert "Its webhooks are refused and nothing is sent there." in said_on(admin.get("/channels"))


def test_the_list_costs_the_same_however_long(
    admin: FlaskClient, statements: Callable[[], Any]
) -> None:
    def cost() -> int:
        with statements() as seen:
            assert admin.get("/channels").status_code == 200
        return len(seen)

    def grow(first: int, last: int) -> None:
        for n in range(first, last):
            house = make_property()
            one = connect(house, f"5100{n}")
            map_to(one, "room", make_accommodation(house).id, f"61001{n}:1")
            make_waiting(house, "610099")

    grow(1, 3)
    few = cost()
    grow(3, 9)
    assert cost() == few


def test_a_poll_without_news_gets_nothing(admin: FlaskClient) -> None:
    one = connect(make_property())
    page = admin.get("/channels")
    poll = re.search(r'id="channels" data-poll hx-get="([^"]+)"', page.text)
    assert poll
    assert "every 30s" in page.text
    headers = HTMX | {"HX-Target": "channels"}
    path = html.unescape(poll[1])
    assert admin.get(path, headers=headers).status_code == 204
    stamp(one, status="inactive")
    part = admin.get(path, headers=headers)
    assert part.status_code == 200
    assert "Inactive" in part.text
    assert "<html" not in part.text


# --- connect ------------------------------------------------------------------------------------


def test_connecting_shows_the_secret_once(
    admin: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    house = make_property(name="Vila")
    made = press(
        admin,
        "/channels",
        channel_name="beds24",
        property_id=house.id,
        channel_property_id="51001",
        refresh_token=TOKEN,
    )
    assert made.status_code == 200
    assert made.headers["Cache-Control"] == "no-store"
    assert "Vila is connected to Beds24" in said_on(made)
    assert "http://localhost/api/integrations/beds24/webhook" in made.text
    secret = secret_on(made)
    with transaction() as session:
        found = beds24_connections.find(session, {Spot("51001")}).get(Spot("51001"))
        entries = session.scalars(select(AuditEntry)).all()
        noted = repr([(each.before, each.after) for each in entries])
    assert found is not None
    assert found.secret == secret
    later = "".join(
        admin.get(path).text
        for path in ("/channels", f"/channels/{found.id}", f"/channels/{found.id}/secret")
    )
    for hidden in (secret, TOKEN):
        assert hidden not in later + noted + caplog.text
    assert TOKEN not in made.text


def test_what_cannot_be_connected_is_said_at_its_field(admin: FlaskClient) -> None:
    house = make_property()
    make_property()  # so that there is a choice
    form = {
        "channel_name": "beds24",
        "property_id": str(house.id),
        "channel_property_id": "51001",
        "refresh_token": TOKEN,
    }
    number, code, token = "channel_property_id", "invite_code", "refresh_token"
    for typed, field, said in (
        ({number: ""}, number, "Fill this in"),
        ({number: "Vila"}, number, "Write Beds24’s number of the property"),
        ({"property_id": ""}, "property_id", "Choose one of the list"),
        ({token: ""}, code, "Fill this in"),
        ({code: "a code", token: ""}, code, "Copy it as Beds24 shows it, without spaces"),
        ({code: "code-of-beds24"}, token, "Give this or an invite code, not both"),
    ):
        page = press(admin, "/channels", **form | typed)
        assert page.status_code == 422, typed
        assert complaint_at(page, field) == said
        assert TOKEN not in page.text
    with transaction() as session:
        assert session.scalar(select(func.count()).select_from(ChannelProperty)) == 0


def test_a_property_at_beds24_belongs_to_one_of_ours(admin: FlaskClient) -> None:
    connect(make_property(name="Vila"))
    other = make_property(name="Casa")
    page = press(
        admin,
        "/channels",
        channel_name="beds24",
        property_id=other.id,
        channel_property_id="51001",
        invite_code="still-good",
    )
    assert page.status_code == 409
    assert (
        complaint_at(page, "channel_property_id") == "Another property is connected to it already"
    )
    assert value_of(page, "invite_code") == "still-good"  # nobody has used it
    assert "Vila" not in page.text.split('name="property_id"', 1)[1].split("</form>")[0]


def test_a_code_that_may_still_be_good_is_kept(
    admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = make_property()
    for reason, said, kept in (
        (channel_invites.AWAY, "The code is not used up: try again in a while.", "a-code"),
        (channel_invites.LOST, "The code may be used up: make a new one.", ""),
    ):

        def refuse(code: str, reason: str = reason) -> UUID:
            raise Unavailable(reason)

        monkeypatch.setattr(channel_invites, "exchange", refuse)
        page = press(
            admin,
            "/channels",
            channel_name="beds24",
            property_id=house.id,
            channel_property_id="51001",
            invite_code="a-code",
        )
        assert page.status_code == 409
        assert said in said_on(page)
        assert value_of(page, "invite_code") == kept


def test_connecting_again_mends_an_error(admin: FlaskClient) -> None:
    house = make_property(name="Vila")
    one = connect(house)
    was = one.account_id
    stamp(one, status="error", status_reason="Beds24 refused the refresh token: and so on")
    path = f"/channels/{one.id}/connect"
    assert complaint_at(press(admin, path, htmx=True), "invite_code") == "Fill this in"
    assert press(admin, path, refresh_token="another-token").status_code == 303
    row = reload(one)
    assert (row.status, row.status_reason) == ("active", None)
    assert row.account_id not in (None, was)
    assert "Vila is connected again" in said_on(admin.get(f"/channels/{one.id}"))


def test_a_new_secret_ends_the_old_one(
    admin: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    one = connect(make_property())
    old = channel_properties.new_webhook_secret(one.id, actor=SYSTEM)
    path = f"/channels/{one.id}/secret"
    assert "The old secret stops working at once" in said_on(admin.get(path))
    page = press(admin, path)
    secret = secret_on(page)
    assert page.headers["Cache-Control"] == "no-store"
    with transaction() as session:
        found = beds24_connections.find(session, {Spot("51001")}).get(Spot("51001"))
    assert found is not None
    assert found.secret == secret != old
    assert secret not in admin.get(f"/channels/{one.id}").text + caplog.text
    assert secret_on(press(admin, path)) != secret


def test_a_connection_is_switched_off_and_on(admin: FlaskClient) -> None:
    one = connect(make_property())
    path = f"/channels/{one.id}/switch"
    assert "are refused" in said_on(admin.get(path))
    assert press(admin, path, status="inactive").status_code == 303
    assert reload(one).status == "inactive"
    assert "are taken in again" in said_on(admin.get(path))
    closed = press(admin, path, htmx=True, status="active")
    assert (closed.status_code, closed.headers["HX-Trigger"]) == (200, "changed")
    assert reload(one).status == "active"
    assert press(admin, path, status="error").status_code == 422
    assert press(admin, f"/channels/{NO_SUCH_ID}/switch", status="active").status_code == 404


def test_the_page_says_what_waits_to_go_out_and_what_it_may_cost(
    admin: FlaskClient, clock: Clock
) -> None:
    one = connect(make_property())
    page = admin.get(f"/channels/{one.id}")
    assert "Waiting out 0" in said_on(page)
    assert "Calls Beds24 allows 100 of 100 left" in said_on(page)
    assert rate_limits.take(one.id, 16)
    with transaction() as session:
        session.add(
            ChannelEvent(
                channel_property_id=one.id,
                direction="outbound",
                source="pms",
                event_type="pms.availability.update",
                entity_type="room_type",
                idempotency_key="outbound:test",
                payload={},
                received_at=clock.now - timedelta(minutes=20),
            )
        )
    said = said_on(admin.get(f"/channels/{one.id}"))
    assert "Waiting out 1 the oldest since 08:40" in said
    assert "84 of 100 left new ones at 09:05:00" in said
    rate_limits.block(one.id, clock.now + timedelta(minutes=1))
    assert "Beds24 asked us to wait until 09:01:00" in said_on(admin.get(f"/channels/{one.id}"))


def test_the_page_says_how_each_kind_of_run_ended(admin: FlaskClient, clock: Clock) -> None:
    house = make_property()
    one, other = connect(house), connect(make_property(), "51002")
    page = said_on(admin.get(f"/channels/{one.id}"))
    assert "Last runs Bookings never Free units never Prices never" in page
    start = clock.now - timedelta(minutes=30)
    with transaction() as session:
        for kind, status, minutes in (
            ("beds24_bookings", "success", 9),
            ("beds24_bookings", "failed", 5),
            ("beds24_rates", "success", 1),
        ):
            begun = start + timedelta(minutes=10 - minutes)
            session.add(
                ReconciliationLog(
                    kind=kind,
                    property_id=house.id,
                    status=status,
                    started_at=begun,
                    completed_at=begun,
                    duration=0,
                )
            )
    page = said_on(admin.get(f"/channels/{one.id}"))
    assert "Bookings Failed 08:35 (25 min ago) See the run : Bookings" in page
    assert "Free units never" in page
    assert "Prices Success 08:39 (21 min ago)" in page
    assert "Bookings never" in said_on(admin.get(f"/channels/{other.id}"))


def test_what_is_mapped_is_said_in_percent(admin: FlaskClient, clock: Clock) -> None:
    house = make_property()
    rooms = [make_accommodation(house) for _ in range(6)]
    one = connect(house)
    for n, room in enumerate(rooms[:5], start=1):
        map_to(one, "room", room.id, f"610011:{n}")
    assert "5 / 6 · 83.3%" in said_on(admin.get("/channels"))
    assert "Rooms 5 of 6 · 83.3%" in said_on(admin.get(f"/channels/{one.id}"))
