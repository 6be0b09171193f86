"""The rooms pages: one tap, informed check-ins, refusals with every reason, both languages."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.models import Accommodation, AuditEntry, MaintenanceBlock, Reservation
from app.services import room_status
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import (
    NO_SUCH_ID,
    make_accommodation,
    make_mapping,
    make_stay,
    reload,
)
from tests.web.conftest import token_in
from tests.web.forms import press
from tests.web.room_scenes import Rooms, day, make_block, rooms_of_a_day
from tests.web.scenes import NOON, PIN, TODAY, make_credential

Statements = Callable[[], AbstractContextManager[list[str]]]


@pytest.fixture
def scene(app: Flask, clock: Clock) -> Rooms:
    return rooms_of_a_day()


def tile(page: TestResponse, room: Accommodation) -> str:
    """The words on a tile."""
    found = re.search(rf'<li class="tile[^"]*" id="room-{room.id}">(.*?)</li>', page.text, re.S)
    assert found, f"no tile of {room.number}"
    return " ".join(re.sub(r"<[^>]+>", " ", found[1].split('class="menu__pop')[0]).split())


def tiles(page: TestResponse) -> list[str]:
    return re.findall(r'class="tile__no"><b>(\w+)</b>', page.text)


def state(room: Accommodation) -> tuple[str, str]:
    row = reload(room)
    return row.status, row.housekeeping


def notes(page: TestResponse) -> list[str]:
    """What the dialog says."""
    body = page.text.split('class="dialog__body"', 1)[1]
    return re.findall(r"<strong>([^<]+)</strong>", body)


def reasons(page: TestResponse) -> list[str]:
    body = (
        page.text.split('class="dialog__body"', 1)[1]
        .split('class="note note--bad"', 1)[1]
        .split("</div></div>", 1)[0]
    )
    return re.findall(r"<(?:li|p)>([^<]+)</", body)


def has_button(page: TestResponse) -> bool:
    return 'type="submit"' in page.text.split('class="dialog__foot"', 1)[1].split("</form>")[0]


class TestBoard:
    def test_each_room_at_a_glance(self, staff: FlaskClient, scene: Rooms) -> None:
        page = staff.get("/rooms")
        assert "Beatriz Okamoto until Thu 12 Mar Occupied" in tile(page, scene.rooms["101"])
        assert "Ana Beatriz Nogueira today 15:00 Reserved" in tile(page, scene.rooms["102"])
        assert "Free tonight next: Thu 12 Mar Available" in tile(page, scene.rooms["103"])
        assert "Battery of the lock is low" in tile(page, scene.rooms["103"])
        assert "due out 9 Mar 11:00 Late check-out" in tile(page, scene.rooms["104"])
        assert "expected Mon 9 Mar Late check-in" in tile(page, scene.rooms["202"])
        assert PIN not in page.text
        assert "style=" not in page.text

    def test_tabs_filter_and_keep_the_other_filters(self, staff: FlaskClient, scene: Rooms) -> None:
        assert tiles(staff.get("/rooms?show=occupied")) == ["101", "104"]
        assert tiles(staff.get(f"/rooms?type={scene.superior.id}")) == ["201", "202"]
        assert tiles(staff.get("/rooms?housekeeping=dirty")) == ["102"]
        page = staff.get(f"/rooms?show=late&type={scene.superior.id}&group=floor")
        assert tiles(page) == ["202"]
        link = re.search(r'id="show-ready" href="([^"]+)"', page.text)
        assert link
        assert f"type={scene.superior.id}" in link[1]
        assert "group=floor" in link[1]
        assert "No room matches" in staff.get("/rooms?show=closed").text
        assert tiles(staff.get("/rooms?show=nonsense&type=1&housekeeping=x")) == [*scene.rooms]

    def test_one_property_or_all(self, staff: FlaskClient, scene: Rooms) -> None:
        make_accommodation(number="900", name="Elsewhere")
        assert "900" not in tiles(staff.get(f"/rooms?property={scene.house.id}"))
        page = staff.get("/rooms?property=all")
        assert "900" in tiles(page)
        assert f"{scene.house.name} · Standard" in page.text

    def test_a_poll_without_news_is_empty_and_with_news_is_the_board(
        self, staff: FlaskClient, scene: Rooms
    ) -> None:
        url = re.search(r'data-poll hx-get="([^"]+)"', staff.get("/rooms?show=dirty").text)
        assert url
        asked = {"HX-Request": "true", "HX-Target": "board"}
        path = url[1].replace("&amp;", "&")
        assert staff.get(path, headers=asked).status_code == 204
        press(staff, f"/rooms/{scene.rooms['101'].id}/housekeeping", housekeeping="dirty")
        news = staff.get(path, headers=asked)
        assert news.status_code == 200
        assert tiles(news) == ["101", "102"]
        assert "<html" not in news.text

    def test_nobody_without_a_name(self, client: FlaskClient, scene: Rooms) -> None:
        assert client.get("/rooms").status_code == 303
        room = scene.rooms["101"].id
        assert client.post(f"/rooms/{room}/housekeeping").status_code in (303, 403)
        assert state(scene.rooms["101"])[1] == "clean"

    def test_an_empty_house_has_words(self, staff: FlaskClient, clock: Clock) -> None:
        assert "No rooms yet" in staff.get("/rooms").text
        assert "No rooms yet" in staff.get("/rooms?view=calendar").text

    def test_a_page_asks_the_database_little(
        self, staff: FlaskClient, scene: Rooms, statements: Any
    ) -> None:
        staff.get("/rooms")
        with statements() as seen:
            assert staff.get("/rooms").status_code == 200
        assert len(seen) <= 12  # the person, the properties, the version, and the board


class TestHousekeeping:
    def tap(self, client: FlaskClient, room: Accommodation, word: str) -> TestResponse:
        return client.post(
            f"/rooms/{room.id}/housekeeping?show=dirty",
            data={"csrf_token": token_in(client.get("/settings/me")), "housekeeping": word},
            headers={"HX-Request": "true", "HX-Target": f"room-{room.id}"},
        )

    def test_one_tap_changes_the_room_and_answers_with_its_tile(
        self, staff: FlaskClient, scene: Rooms
    ) -> None:
        room = scene.rooms["102"]
        answer = self.tap(staff, room, "clean")
        assert state(room) == ("RESERVED", "clean")
        assert "Clean" in tile(answer, room)
        assert 'id="shows"' in answer.text
        assert 'hx-swap-oob="outerHTML"' in answer.text
        count = re.search(r'id="show-dirty".*?class="n">(\d+)<', answer.text)
        assert count
        assert count[1] == "0"
        link = re.search(r'id="show-ready" href="([^"]+)"', answer.text)
        assert link
        assert link[1] == "/rooms?show=ready"

    @pytest.mark.parametrize("word", ["clean", "dirty", "in_progress", "inspected"])
    def test_the_four_words_and_pressing_twice(
        self, staff: FlaskClient, scene: Rooms, word: str
    ) -> None:
        room = scene.rooms["103"]
        for _ in range(2):
            assert self.tap(staff, room, word).status_code == 200
        assert state(room)[1] == word

    def test_without_scripts_one_comes_back_to_the_same_view(
        self, staff: FlaskClient, scene: Rooms
    ) -> None:
        path = f"/rooms/{scene.rooms['102'].id}/housekeeping?show=dirty"
        answer = press(staff, path, housekeeping="inspected")
        assert (answer.status_code, answer.location) == (303, "/rooms?show=dirty")
        assert "102: Inspected" in staff.get("/rooms").text

    def test_another_word_changes_nothing(self, staff: FlaskClient, scene: Rooms) -> None:
        assert self.tap(staff, scene.rooms["103"], "spotless").status_code == 422
        assert self.tap(staff, scene.rooms["103"], "").status_code == 422
        assert state(scene.rooms["103"])[1] == "clean"
        missing = press(staff, f"/rooms/{NO_SUCH_ID}/housekeeping", housekeeping="clean")
        assert missing.status_code == 404


class TestCheckIn:
    def test_the_dialog_says_what_is_unusual(self, staff: FlaskClient, scene: Rooms) -> None:
        page = staff.get(f"/reservations/{scene.stays['dirty'].id}/check-in")
        assert page.status_code == 200
        assert "Check in Ana Beatriz Nogueira?" in page.text
        assert "102 Hortelã, 10–12 Mar" in page.text
        assert notes(page) == ["The room is not clean yet", "This room has no lock"]
        assert "Check in anyway" in page.text

    def test_a_clean_room_with_a_pin_needs_no_words(
        self, staff: FlaskClient, scene: Rooms, clock: Clock
    ) -> None:
        path = f"/reservations/{scene.stays['clean'].id}/check-in"
        assert notes(staff.get(path)) == ["The PIN works from 13:00"]
        clock.move(hours=4)
        page = staff.get(path)
        assert notes(page) == []
        assert "Check in anyway" not in page.text

    def test_it_is_done_and_the_page_behind_reads_itself_again(
        self, staff: FlaskClient, scene: Rooms
    ) -> None:
        stay = scene.stays["clean"]
        answer = press(staff, f"/reservations/{stay.id}/check-in?from=rooms", htmx=True)
        assert (answer.status_code, answer.headers["HX-Trigger"]) == (200, "changed")
        assert "Camille Dufour is checked in: 201 Maré" in answer.text
        assert (reload(stay).status, state(scene.rooms["201"])[0]) == ("checked_in", "OCCUPIED")
        assert "Occupied" in tile(staff.get("/rooms"), scene.rooms["201"])

    @pytest.mark.parametrize(
        ("origin", "back"), [("rooms", "/rooms"), ("today", "/"), ("https://evil.example", "")]
    )
    def test_without_scripts(
        self, staff: FlaskClient, scene: Rooms, origin: str, back: str
    ) -> None:
        stay = scene.stays["clean"]
        answer = press(staff, f"/reservations/{stay.id}/check-in?from={origin}")
        assert answer.status_code == 303
        assert answer.location == (back or f"/reservations/{stay.id}")
        assert "Camille Dufour is checked in" in staff.get(answer.location).text

    def test_every_reason_at_once_in_place_of_the_button(
        self, staff: FlaskClient, scene: Rooms
    ) -> None:
        stay = make_stay(scene.rooms["101"], check_in=day(3), status="pending", guest="Zoë")
        for page in (
            staff.get(f"/reservations/{stay.id}/check-in"),
            press(staff, f"/reservations/{stay.id}/check-in", htmx=True),
        ):
            assert page.status_code == 409
            assert reasons(page) == [
                "The stay is pending.",
                "The stay begins on Fri 13 Mar.",
                "Room 101 is occupied by Beatriz Okamoto.",
            ]
            assert not has_button(page)
        assert reload(stay).status == "pending"

    def test_a_stay_without_a_room_is_proposed_one(self, staff: FlaskClient, scene: Rooms) -> None:
        stay = make_stay(
            scene.rooms["103"],
            check_in=TODAY,
            nights=1,
            accommodation_id=None,
            room_type_id=scene.standard.id,
            guest="Roomless",
        )
        assert "Roomless" in staff.get("/rooms").text
        page = staff.get(f"/reservations/{stay.id}/check-in")
        assert notes(page) == ["The stay has no room yet"]
        options = re.findall(r'<option value="([^"]+)"( selected)?>([^<]+)<', page.text)
        assert [(UUID(i), bool(s), name) for i, s, name in options] == [
            (scene.rooms["103"].id, True, "103 Manjericão")
        ]
        press(staff, f"/reservations/{stay.id}/check-in", accommodation_id=options[0][0])
        assert reload(stay).accommodation_id == scene.rooms["103"].id
        assert state(scene.rooms["103"])[0] == "OCCUPIED"

    def test_into_another_room_when_the_own_one_is_closed(
        self, staff: FlaskClient, scene: Rooms
    ) -> None:
        press(staff, f"/rooms/{scene.rooms['102'].id}/out-of-service", reason="Flood")
        stay = scene.stays["dirty"]
        page = staff.get(f"/reservations/{stay.id}/check-in")
        assert page.status_code == 409
        assert reasons(page) == ["Room 102 is out of service."]
        assert "103 Manjericão" in page.text
        assert has_button(page)
        other = scene.rooms["103"].id
        press(staff, f"/reservations/{stay.id}/check-in", accommodation_id=str(other))
        assert (reload(stay).accommodation_id, reload(stay).status) == (other, "checked_in")

    def test_nonsense_is_refused_not_guessed(self, staff: FlaskClient, scene: Rooms) -> None:
        path = f"/reservations/{scene.stays['clean'].id}/check-in"
        assert press(staff, path, accommodation_id="first floor").status_code == 422
        assert press(staff, path, accommodation_id=NO_SUCH_ID).status_code == 409
        assert staff.get(f"/reservations/{NO_SUCH_ID}/check-in").status_code == 404
        assert reload(scene.stays["clean"]).status == "confirmed"


class TestCheckOut:
    def test_the_next_guest_makes_it_urgent(self, staff: FlaskClient, scene: Rooms) -> None:
        make_stay(scene.rooms["104"], check_in=TODAY, guest="Greta Vogel")
        stay = scene.stays["over"]
        page = staff.get(f"/reservations/{stay.id}/check-out")
        assert "Greta Vogel, today 15:00" in page.text
        assert notes(page) == ["The next guest comes today"]
        answer = press(staff, f"/reservations/{stay.id}/check-out", htmx=True)
        assert "Duarte Menezes is checked out: 104 Sálvia is to be cleaned" in answer.text
        assert state(scene.rooms["104"]) == ("RESERVED", "dirty")
        assert "Greta Vogel" in tile(staff.get("/rooms?show=urgent"), scene.rooms["104"])

    def test_nobody_leaves_who_is_not_in(self, staff: FlaskClient, scene: Rooms) -> None:
        page = press(staff, f"/reservations/{scene.stays['clean'].id}/check-out", htmx=True)
        assert page.status_code == 409
        assert reasons(page) == ["No guest is checked in: the stay is confirmed."]
        assert not has_button(page)

    def test_leaving_early_is_said(self, staff: FlaskClient, scene: Rooms) -> None:
        page = staff.get(f"/reservations/{scene.stays['guest'].id}/check-out")
        assert notes(page) == ["The stay was to last until Thu 12 Mar"]


class TestEnds:
    def test_a_no_show_frees_the_room(self, staff: FlaskClient, scene: Rooms) -> None:
        stay = scene.stays["late"]
        page = staff.get(f"/reservations/{stay.id}/no-show")
        assert notes(page) == ["Stays is not told by us"]
        press(staff, f"/reservations/{stay.id}/no-show")
        assert (reload(stay).status, state(scene.rooms["202"])[0]) == ("no_show", "AVAILABLE")

    def test_whose_booking_it_is_decides_who_cancels(
        self, staff: FlaskClient, scene: Rooms
    ) -> None:
        theirs = press(staff, f"/reservations/{scene.stays['clean'].id}/cancel", htmx=True)
        assert theirs.status_code == 409
        assert reasons(theirs) == ["The booking is from Stays: do it in Stays."]
        own = make_stay(
            scene.rooms["103"], check_in=day(5), source="direct", channel=None, guest="Own"
        )
        assert has_button(staff.get(f"/reservations/{own.id}/cancel"))
        press(staff, f"/reservations/{own.id}/cancel")
        assert reload(own).status == "cancelled"

    def test_it_is_on_record_who_did_it(self, staff: FlaskClient, scene: Rooms) -> None:
        press(staff, f"/reservations/{scene.stays['late'].id}/no-show")
        with transaction() as session:
            entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "no_show")).one()
        assert entry.actor == "marta@vila.example"


class TestMove:
    def own(self, scene: Rooms, **fields: Any) -> Reservation:
        stay = make_stay(
            scene.rooms["201"], source="direct", channel=None, guest="Mover", nights=2, **fields
        )
        room_status.sync()
        return stay

    def test_to_a_free_room_of_the_type(self, staff: FlaskClient, scene: Rooms) -> None:
        stay = self.own(scene, check_in=day(4))
        page = staff.get(f"/reservations/{stay.id}/room")
        assert re.findall(r"<option[^>]*>([^<]+)<", page.text) == ["202 Brisa"]
        press(
            staff,
            f"/reservations/{stay.id}/room",
            version=str(stay.version),
            accommodation_id=str(scene.rooms["202"].id),
        )
        assert reload(stay).accommodation_id == scene.rooms["202"].id

    def test_somebody_was_faster(self, staff: FlaskClient, scene: Rooms) -> None:
        stay = self.own(scene, check_in=day(4))
        page = press(
            staff,
            f"/reservations/{stay.id}/room",
            htmx=True,
            version="7",
            accommodation_id=str(scene.rooms["202"].id),
        )
        assert page.status_code == 409
        assert reasons(page) == ["Somebody changed this meanwhile. Below is what is so now."]
        assert reload(stay).accommodation_id == scene.rooms["201"].id

    def test_a_booking_of_stays_is_moved_in_stays(self, staff: FlaskClient, scene: Rooms) -> None:
        page = staff.get(f"/reservations/{scene.stays['clean'].id}/room")
        assert page.status_code == 409
        assert reasons(page) == ["The room of a booking from Stays is changed in Stays."]

    @pytest.mark.parametrize("room", ["", "somewhere"])
    def test_no_room_is_no_move(self, staff: FlaskClient, scene: Rooms, room: str) -> None:
        stay = self.own(scene, check_in=day(4))
        page = press(
            staff, f"/reservations/{stay.id}/room", version="1", accommodation_id=room, htmx=True
        )
        assert page.status_code == 409
        assert reload(stay).accommodation_id == scene.rooms["201"].id


class TestClosing:
    def test_from_today_with_dates_and_a_reason(self, staff: FlaskClient, scene: Rooms) -> None:
        room = scene.rooms["103"]
        page = staff.get(f"/rooms/{room.id}/maintenance")
        assert 'value="2026-03-10"' in page.text
        answer = press(
            staff,
            f"/rooms/{room.id}/maintenance",
            start_date="2026-03-10",
            end_date="2026-03-12",
            reason="Deck repair",
        )
        assert answer.status_code == 303
        assert "Deck repair until Thu 12 Mar Maintenance" in tile(staff.get("/rooms"), room)
        assert state(room)[0] == "MAINTENANCE"
        assert "Open 103 Manjericão again?" in staff.get(f"/rooms/{room.id}/maintenance").text
        press(staff, f"/rooms/{room.id}/reopen", needs_cleaning="true")
        assert state(room) == ("RESERVED", "dirty")
        with transaction() as session:
            assert session.scalars(select(MaintenanceBlock)).all() == []

    def test_what_is_wrong_stands_at_the_field(self, staff: FlaskClient, scene: Rooms) -> None:
        path = f"/rooms/{scene.rooms['103'].id}/maintenance"
        page = press(staff, path, htmx=True, start_date="2026-03-12", end_date="2026-03-11")
        assert page.status_code == 422
        assert "Choose a day after the first one" in page.text
        assert 'value="2026-03-12"' in page.text
        past = press(staff, path, htmx=True, start_date="2026-03-01", end_date="2026-03-11")
        assert "Choose today or a later day" in past.text
        assert press(staff, path, htmx=True, start_date="tomorrow").status_code == 422

    def test_not_over_a_guest(self, staff: FlaskClient, scene: Rooms) -> None:
        room = scene.rooms["101"]
        assert "Beatriz Okamoto is in this room" in staff.get(f"/rooms/{room.id}/maintenance").text
        page = press(staff, f"/rooms/{room.id}/out-of-service", htmx=True)
        assert page.status_code == 409
        assert "A guest is checked in. Check out or move the guest first." in page.text
        assert state(room)[0] == "OCCUPIED"

    def test_who_has_booked_it_is_said(self, staff: FlaskClient, scene: Rooms) -> None:
        page = staff.get(f"/rooms/{scene.rooms['102'].id}/maintenance")
        assert "Ana Beatriz Nogueira has this room" in page.text


class TestCalendar:
    def test_bars_lead_to_stays(self, staff: FlaskClient, scene: Rooms) -> None:
        make_block(scene.rooms["103"], 6, 2, reason="Deck repair")
        page = staff.get("/rooms?view=calendar")
        assert page.status_code == 200
        for stay in scene.stays.values():
            assert f'href="/reservations/{stay.id}"' in page.text
        assert f'href="/rooms/{scene.rooms["103"].id}/maintenance"' in page.text
        assert "8–21 Mar" in page.text

    def test_every_row_has_all_its_columns(self, staff: FlaskClient, scene: Rooms) -> None:
        make_stay(scene.rooms["201"], check_in=day(1), nights=30, guest="Rival")
        for days in (7, 14, 28):
            page = staff.get(f"/rooms?view=calendar&days={days}")
            body = page.text.split("<tbody>", 1)[1].split("<tfoot>")[0]
            rows = [row for row in re.findall(r"<tr[^>]*>(.*?)</tr>", body, re.S) if "<td" in row]
            assert len(rows) == len(scene.rooms) + 1
            for row in rows:
                cells = re.findall(r"<td([^>]*)>", row)
                spans = [re.search(r'colspan="(\d+)"', cell) for cell in cells]
                assert sum(int(span[1]) if span else 1 for span in spans) == 2 * days

    def test_a_conflict_is_said_and_both_can_be_opened(
        self, staff: FlaskClient, scene: Rooms
    ) -> None:
        rival = make_stay(scene.rooms["201"], check_in=day(1), guest="Rival")
        page = staff.get("/rooms?view=calendar")
        assert "1 room is booked twice" in page.text
        for stay in (rival, scene.stays["clean"]):
            link = re.search(rf'<a class="(bk [^"]+)" href="/reservations/{stay.id}"', page.text)
            assert link
            assert "bk--problem" in link[1]

    def test_a_day_on_a_phone(self, staff: FlaskClient, scene: Rooms) -> None:
        page = staff.get("/rooms?view=calendar&day=2026-03-13")
        narrow = page.text.split('class="daystrip"', 1)[1]
        assert "Clara Vasconcelos" in narrow
        assert "Camille Dufour" not in narrow
        assert "Free" in narrow

    def test_a_poll_without_news(self, staff: FlaskClient, scene: Rooms) -> None:
        url = re.search(
            r'data-poll hx-get="([^"]+)"', staff.get("/rooms?view=calendar&days=7").text
        )
        assert url
        asked = {"HX-Request": "true", "HX-Target": "calendar"}
        same = staff.get(url[1].replace("&amp;", "&"), headers=asked)
        assert same.status_code == 204

    @pytest.mark.parametrize("query", ["start=tomorrow", "day=1", "start=0001-01-01"])
    def test_a_day_that_is_none(self, staff: FlaskClient, scene: Rooms, query: str) -> None:
        assert staff.get(f"/rooms?view=calendar&{query}").status_code == 422


class TestSync:
    def test_only_administrators_may_and_it_says_what_it_did(
        self, staff: FlaskClient, admin: FlaskClient, scene: Rooms
    ) -> None:
        with transaction() as session:
            session.get_one(Accommodation, scene.rooms["103"].id).status = "OCCUPIED"
        assert press(staff, "/rooms/sync").status_code == 403
        assert "/rooms/sync" not in staff.get("/rooms").text
        press(admin, "/rooms/sync")
        assert "1 room repaired" in admin.get("/rooms").text
        assert state(scene.rooms["103"])[0] == "RESERVED"
        press(admin, "/rooms/sync")
        assert "Every room agrees with its bookings" in admin.get("/rooms").text


class TestToday:
    def test_what_needs_a_hand(self, staff: FlaskClient, scene: Rooms) -> None:
        make_stay(scene.rooms["201"], check_in=day(1), guest="Rival", booked_at=NOON)
        press(staff, f"/rooms/{scene.rooms['101'].id}/housekeeping", housekeeping="dirty")
        page = staff.get("/").text
        facts = re.findall(r'<span class="strong">([^<]+)</span><p>', page)
        assert "201 Maré is booked twice" in facts
        assert "104 Sálvia: check-out was at 9 Mar 11:00" in facts
        assert "Free:" not in page  # both rooms of the type are taken
        assert "No other room of this type is free." in page

    def test_a_dirty_room_before_an_arrival_is_one_tap_away(
        self, staff: FlaskClient, scene: Rooms
    ) -> None:
        with transaction() as session:
            session.get_one(Accommodation, scene.rooms["201"].id).housekeeping = "dirty"
        page = staff.get("/")
        assert "201 Maré: not clean" in page.text
        assert f'id="clean-{scene.rooms["201"].id}"' in page.text
        path = f"/rooms/{scene.rooms['201'].id}/housekeeping?from=today"
        answer = press(staff, path, housekeeping="clean")
        assert answer.location == "/"
        assert "201 Maré: not clean" not in staff.get("/").text

    def test_a_late_arrival_has_two_answers(self, staff: FlaskClient, clock: Clock) -> None:
        scene = rooms_of_a_day()
        lock = make_mapping(scene.rooms["202"])
        make_credential(scene.stays["late"], lock.id)
        page = staff.get("/").text
        assert "202 Brisa: late check-in" in page
        late = scene.stays["late"].id
        assert f'href="/reservations/{late}/check-in?from=today"' in page
        assert f'href="/reservations/{late}/no-show?from=today"' in page

    def test_the_free_alternatives_are_named(self, staff: FlaskClient, scene: Rooms) -> None:
        own = make_stay(
            scene.rooms["102"],
            check_in=day(1),
            nights=1,
            guest="Rival",
            source="direct",
            booked_at=NOON,
        )
        page = staff.get("/").text
        assert "Ana Beatriz Nogueira both have this room. Free: 103 Manjericão, 104 Sálvia." in (
            " ".join(page.split())
        )
        assert f'href="/reservations/{own.id}/room?from=today"' in page

    def test_a_guest_in_a_closed_room(self, staff: FlaskClient, scene: Rooms) -> None:
        with transaction() as session:
            session.get_one(Accommodation, scene.rooms["101"].id).status = "OUT_OF_SERVICE"
        page = " ".join(staff.get("/").text.split())
        assert "101 Alecrim is out of service" in page
        assert "Beatriz Okamoto is here until Thu 12 Mar." in page

    def test_the_figures_of_the_rooms(self, staff: FlaskClient, scene: Rooms) -> None:
        page = " ".join(re.sub(r"<[^>]+>", " ", staff.get("/").text).split())
        assert "Rooms taken tonight 4 / 6 2 occupied, 2 free" in page
        assert "Rooms to clean 1 1 before an arrival" in page


def test_both_pages_speak_portuguese(staff: FlaskClient, scene: Rooms) -> None:
    page = staff.get("/rooms?lang=pt").text
    for word in ("Chegada e suja", "Ocupada", "Check-in atrasado", "Livre esta noite"):
        assert word in page
    stay = make_stay(scene.rooms["101"], check_in=day(3), guest="Zoë")
    refused = staff.get(f"/reservations/{stay.id}/check-in?lang=pt")
    assert reasons(refused) == [
        "A estadia começa em sex 13 mar.",
        "A acomodação 101 está ocupada por Beatriz Okamoto.",
    ]
