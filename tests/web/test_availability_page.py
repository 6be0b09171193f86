"""Free rooms by night with their parts, maintenance and prices (INTERFACES §5, DECISIONS 22)."""

from __future__ import annotations

import html
import re
from datetime import date, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.models import ChannelEvent, MaintenanceBlock, Rate, RoomType
from app.services import maintenance_blocks, rates
from app.services.maintenance_blocks import NewBlock
from app.services.rates import NewRate
from app.transaction import transaction
from tests.bookings import ARRIVES, DESK, book, free
from tests.conftest import Clock
from tests.factories import (
    NO_SUCH_ID,
    make_accommodation,
    make_property,
    make_room_type,
    make_stay,
    reload,
)
from tests.outbound import make_sold
from tests.web.forms import complaint_at, press, said_on, value_of

HTMX = {"HX-Request": "true", "HX-Target": "availability"}
LEAVES = ARRIVES + timedelta(days=2)


@pytest.fixture
def kind(clock: Clock) -> RoomType:
    house = make_property(name="Vila Jasmim")
    kind = make_room_type(house, name="Superior", total_units=2)
    make_accommodation(house, name="Duna", number="204", room_type_id=kind.id)
    return kind


def grid(page: TestResponse, kind: RoomType) -> dict[str, str]:
    """Free rooms of the type by night."""
    found = re.findall(rf'id="n-{kind.id}-([\d-]+)"[^>]*><b>(−?\d+)</b>', page.text)
    return dict(found)


def blocks() -> list[MaintenanceBlock]:
    with transaction() as session:
        return list(session.scalars(select(MaintenanceBlock)))


def close(kind: RoomType, **fields: object) -> MaintenanceBlock:
    values = {"room_type_id": kind.id, "start_date": ARRIVES, "end_date": LEAVES}
    return maintenance_blocks.create(NewBlock(**(values | fields)), actor=DESK).block  # type: ignore[arg-type]


def test_the_grid_counts_as_a_booking_does(staff: FlaskClient, kind: RoomType) -> None:
    book(kind)
    close(kind, end_date=ARRIVES + timedelta(days=1), reason="Paint")
    page = staff.get("/availability")
    shown = grid(page, kind)
    assert len(shown) == 14
    assert (shown["2026-03-10"], shown["2026-03-12"], shown["2026-03-13"]) == ("2", "0", "1")
    assert len(grid(staff.get("/availability?days=28"), kind)) == 28
    later = grid(staff.get("/availability?from=2026-03-13"), kind)
    assert next(iter(later.items())) == ("2026-03-13", "1")
    assert '<a href="/rooms" aria-current="page">' in page.text
    assert "1 Superior 12–13 Mar, 1 night · Paint" in said_on(page)


def test_an_overbooked_night_is_named_and_explained(staff: FlaskClient, kind: RoomType) -> None:
    book(kind, guest_name="Ingrid Solberg")
    book(kind, guest_name="Caio Bastos")
    close(kind, reason="Water damage")
    page = staff.get("/availability")
    assert grid(page, kind)["2026-03-12"] == "−1"
    said = said_on(page).replace(" ,", ",")
    assert "More is sold than there is Superior: Thu 12 Mar, Fri 13 Mar" in said
    night = staff.get(
        f"/availability/{kind.id}/2026-03-12",
        headers={"HX-Request": "true", "HX-Target": "dialog-host"},
    )
    said = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", night.text)).split())
    assert "1 room too many is sold" in said
    assert "Rooms 2 Booked − 2 In maintenance − 1 Held for bookings on their way − 0" in said
    assert "Free − 1" in said
    assert "Ingrid Solberg" in said
    assert "Caio Bastos" in said
    assert "Water damage 1 room, 12–14 Mar" in said
    assert "Book this night" not in said
    assert "Close rooms" not in said


def test_the_parts_of_a_night_are_those_that_were_counted(admin: FlaskClient, clock: Clock) -> None:
    sold = make_sold(make_property(), name="Superior")
    book(sold.kind, guest_name="Lívia Prates")
    make_stay(sold.unit, check_in=ARRIVES - timedelta(days=1), guest="Helena Prado")
    make_stay(sold.unit, check_in=ARRIVES, guest="Gone Away", status="cancelled")
    said = said_on(admin.get(f"/availability/{sold.kind.id}/{ARRIVES}"))
    assert "Booked − 1 In maintenance − 0 Held for bookings on their way − 1 Free 1" in said
    assert "Helena Prado" in said
    assert "Lívia Prates until 09:15" in said
    assert "Gone Away" not in said
    assert "Book this night" in said
    assert "Close rooms" in said


@pytest.mark.parametrize("day", ["2026-02-30", "today", "1999-12-31", "2026-3-1"])
def test_a_night_that_is_none_is_not_there(staff: FlaskClient, kind: RoomType, day: str) -> None:
    assert staff.get(f"/availability/{kind.id}/{day}").status_code == 404
    assert staff.get(f"/availability/{NO_SUCH_ID}/2026-03-12").status_code == 404


def test_a_poll_gets_nothing_until_a_night_changes(staff: FlaskClient, kind: RoomType) -> None:
    page = staff.get("/availability")
    poll = re.search(r'hx-get="(/availability\?v=[\w-]+)"', page.text)
    assert poll
    assert staff.get(poll[1], headers=HTMX).status_code == 204
    book(kind)
    news = staff.get(poll[1], headers=HTMX)
    assert news.status_code == 200
    assert news.text.lstrip().startswith('<div class="stack" id="availability"')
    assert staff.get("/availability?from=soon").status_code == 422
    assert len(grid(staff.get("/availability?days=9999"), kind)) == 14


def test_the_number_of_statements_does_not_grow(
    staff: FlaskClient, kind: RoomType, statements: object
) -> None:
    staff.get("/availability")
    with statements() as few:  # type: ignore[operator]
        staff.get("/availability")
    with transaction() as session:
        houses = [session.merge(kind).property_id]
    for n in range(3):
        another = make_room_type(name=f"Another {n}", property_id=houses[0])
        book(another)
        close(another)
    with statements() as many:  # type: ignore[operator]
        page = staff.get("/availability")
    assert "Another 2" in page.text
    assert len(many) == len(few)


# --- maintenance ---------------------------------------------------------------------------------


def test_rooms_are_closed_changed_and_opened_again(admin: FlaskClient, kind: RoomType) -> None:
    form = admin.get(f"/maintenance-blocks/new?room_type_id={kind.id}&start_date=2026-03-12")
    assert value_of(form, "start_date") == "2026-03-12"
    sent = press(
        admin,
        "/maintenance-blocks/new",
        room_type_id=kind.id,
        start_date=ARRIVES,
        end_date=LEAVES,
        units=2,
        accommodation_id="",
        reason="Paint",
    )
    assert (sent.status_code, sent.headers["Location"]) == (303, "/availability?from=2026-03-12")
    assert free(kind) == [0, 0]
    (block,) = blocks()
    path = f"/maintenance-blocks/{block.id}"
    assert value_of(admin.get(f"{path}/edit"), "reason") == "Paint"
    sent = press(
        admin,
        f"{path}/edit",
        start_date=ARRIVES,
        end_date=ARRIVES + timedelta(days=1),
        units=1,
        accommodation_id="",
        reason="",
    )
    assert sent.status_code == 303
    assert (free(kind), reload(block).reason) == ([1, 2], None)
    asked = said_on(admin.get(f"{path}/delete"))
    assert "Put these rooms on sale again?" in asked
    assert "1 Superior" in asked
    assert press(admin, f"{path}/delete", htmx=True).headers["HX-Trigger"] == "changed"
    assert (free(kind), blocks()) == ([2, 2], [])
    assert press(admin, f"{path}/delete").status_code == 404


def test_closing_what_is_sold_says_which_nights(admin: FlaskClient, kind: RoomType) -> None:
    book(kind, units=2)
    page = press(
        admin,
        "/maintenance-blocks/new",
        room_type_id=kind.id,
        start_date=ARRIVES,
        end_date=LEAVES,
        units=1,
    )
    said = said_on(admin.get(page.headers["Location"]))
    assert "More is sold than there is on Thu 12 Mar, Fri 13 Mar. Move these guests." in said


def test_what_is_wrong_with_a_block_stands_at_its_field(admin: FlaskClient, kind: RoomType) -> None:
    other = make_accommodation(name="Elsewhere")
    cases = {
        "end_date": {"end_date": ARRIVES},
        "units": {"units": 3},
        "accommodation_id": {"accommodation_id": other.id},
        "room_type_id": {"room_type_id": ""},
        "start_date": {"start_date": "tomorrow"},
    }
    for field, wrong in cases.items():
        given = {
            "room_type_id": kind.id,
            "start_date": ARRIVES,
            "end_date": LEAVES,
            "units": 1,
            "reason": "Paint",
        }
        page = press(admin, "/maintenance-blocks/new", **(given | wrong))
        assert page.status_code == 422, field
        assert complaint_at(page, field), field
        assert value_of(page, "reason") == "Paint"
    assert blocks() == []


def test_a_channels_own_block_is_changed_there(admin: FlaskClient, kind: RoomType) -> None:
    block = close(kind)
    with transaction() as session:
        row = session.get_one(MaintenanceBlock, block.id)
        row.channel, row.external_id = "beds24", "900"
    path = f"/maintenance-blocks/{block.id}"
    assert "This comes from Beds24" in said_on(admin.get(f"{path}/edit"))
    assert admin.get(f"{path}/delete").status_code == 409
    assert press(admin, f"{path}/delete").status_code == 409
    shown = admin.get("/availability")
    assert "from Beds24" in said_on(shown)
    assert f"{path}/edit" not in shown.text
    assert blocks()


def test_staff_read_and_administrators_change(staff: FlaskClient, kind: RoomType) -> None:
    block = close(kind)
    page = staff.get("/availability")
    assert page.status_code == 200
    for path in (
        "/maintenance-blocks/new",
        f"/maintenance-blocks/{block.id}/edit",
        f"/maintenance-blocks/{block.id}/delete",
        "/rates/new",
    ):
        assert staff.get(path).status_code == 403
        assert press(staff, path).status_code == 403
        assert f'href="{path}"' not in page.text
    assert staff.get("/maintenance-blocks").headers["Location"].startswith("/availability")
    assert len(blocks()) == 1


# --- prices --------------------------------------------------------------------------------------


def test_prices_are_set_for_a_range_and_shown(admin: FlaskClient, kind: RoomType) -> None:
    sent = press(
        admin,
        "/rates/new",
        **{"room_type_id": kind.id, "from": ARRIVES, "to": LEAVES, "price": "1,450.50"},
        min_stay="2",
    )
    assert (sent.status_code, sent.headers["Location"]) == (303, "/availability?from=2026-03-12")
    with transaction() as session:
        rows = session.scalars(select(Rate).order_by(Rate.date)).all()
    assert [(row.date, str(row.price), row.min_stay) for row in rows] == [
        (ARRIVES, "1450.50", 2),
        (date(2026, 3, 13), "1450.50", 2),
    ]
    page = said_on(admin.get(sent.headers["Location"]))
    assert "2 nights are priced" in page
    assert "Price Superior BRL 1,450.5 1,450.5" in page
    night = said_on(admin.get(f"/availability/{kind.id}/{ARRIVES}"))
    assert "R$1,450.50" in night
    assert "from 2 nights" in night
    offer = said_on(
        admin.get(f"/reservations/new?room_type_id={kind.id}&check_in={ARRIVES}&check_out={LEAVES}")
    )
    assert "At our prices R$2,901.00" in offer


def test_what_is_wrong_with_a_price_stands_at_its_field(admin: FlaskClient, kind: RoomType) -> None:
    given = {"room_type_id": kind.id, "from": ARRIVES, "to": LEAVES, "price": "450"}
    cases = {
        "price": {"price": "free"},
        "to": {"to": ARRIVES},
        "from": {"from": ""},
        "room_type_id": {"room_type_id": NO_SUCH_ID},
        "min_stay": {"min_stay": "0"},
    }
    for field, wrong in cases.items():
        page = press(admin, "/rates/new", **(given | wrong))
        assert (page.status_code, bool(complaint_at(page, field))) == (422, True), field
    with transaction() as session:
        assert session.scalars(select(Rate)).all() == []


def test_the_page_says_how_far_the_channel_is(admin: FlaskClient, clock: Clock) -> None:
    sold = make_sold(make_property(), name="Superior")
    make_room_type(sold.house, name="Annex")
    said = said_on(admin.get("/availability"))
    assert "Superior nothing told yet nothing told yet" in said
    assert "1 room type is not sold on Beds24" in said
    rates.put(
        NewRate.model_validate(
            {"room_type_id": sold.kind.id, "price": "450", "from": ARRIVES, "to": LEAVES}
        ),
        actor=DESK,
    )
    assert "Superior nothing told yet On its way" in said_on(admin.get("/availability"))
    with transaction() as session:
        (event,) = session.scalars(select(ChannelEvent))
        event.status, event.processed_at = "done", clock.now
    clock.move(minutes=6)
    assert "Superior nothing told yet told 6 min ago" in said_on(admin.get("/availability"))
    with transaction() as session:
        (event,) = session.scalars(select(ChannelEvent))
        event.status = "failed"
    page = admin.get("/availability")
    assert "Superior nothing told yet Not delivered Why?" in said_on(page)
    assert f"/events/{event.id}" in page.text


def test_an_empty_house_says_what_is_missing(staff: FlaskClient, admin: FlaskClient) -> None:
    make_property()
    assert "No room types yet" in said_on(staff.get("/availability"))
    for path in ("/rates/new", "/maintenance-blocks/new"):
        assert "No room types yet" in said_on(admin.get(path))
