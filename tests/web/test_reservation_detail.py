"""The page of one stay: why there is (no) PIN, who sees what, and what its buttons do."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.domain.pin_causes import Cause, Help
from app.integrations import errors
from app.models import Property, Reservation
from app.transaction import transaction
from app.web.pin_wording import HELPS, VERDICTS
from tests.conftest import Clock
from tests.services.pin_bench import Door
from tests.web.conftest import token_in
from tests.web.scenes import PIN, House, busy_house

HOUR = timedelta(hours=1)
HTMX = {"HX-Request": "true", "HX-Target": "dialog-host"}
Statements = Callable[[], AbstractContextManager[list[str]]]


@pytest.fixture
def house(clock: Clock) -> House:
    return busy_house()


def ready(door: Door) -> Reservation:
    stay = door.stay(check_in=door.clock.now + HOUR, guest="Helena Prado")
    door.settle()
    return stay


def verdict(page: TestResponse) -> str:
    found = re.search(r'id="verdict">.*?<strong>(.*?)</strong>', page.text, re.S)
    assert found
    return found[1]


def post(client: FlaskClient, path: str, htmx: bool = False, **fields: str) -> TestResponse:
    """Press a button: the token comes from a page this browser has."""
    token = token_in(client.get("/"))
    headers = HTMX | {"HX-Current-URL": path.rpartition("/")[0]} if htmx else {}
    return client.post(path, data={"csrf_token": token} | fields, headers=headers)


def test_every_stay_has_a_page(admin: FlaskClient, staff: FlaskClient, house: House) -> None:
    for name, stay in house.stays.items():
        for who in (admin, staff):
            page = who.get(f"/reservations/{stay.id}")
            assert page.status_code == 200, name
            assert "style=" not in page.text
            assert PIN not in page.text.replace(" ", "")
            assert page.headers["Cache-Control"] == "no-store"
            assert 'hx-history="false"' in page.text


def test_a_stay_that_is_nowhere(staff: FlaskClient) -> None:
    assert staff.get(f"/reservations/{uuid4()}").status_code == 404


def test_without_signing_in(client: FlaskClient, house: House) -> None:
    path = f"/reservations/{house.stays['ready'].id}"
    assert client.get(path).status_code == 303
    assert client.get(f"{path}/reprocess").status_code == 303


def test_a_pin_on_its_lock(staff: FlaskClient, door: Door) -> None:
    page = staff.get(f"/reservations/{ready(door).id}")
    assert verdict(page) == "Yes, since 09:00."
    assert '<details class="steps-of">' in page.text  # folded when the answer is Yes
    assert "Stops opening the door" in page.text
    assert "What helps" not in page.text
    assert 'class="is-bad' not in page.text


def test_a_lock_that_does_not_answer(admin: FlaskClient, door: Door) -> None:
    with transaction() as session:
        property_ = session.get_one(Property, door.room.property_id)
        property_.contingency, property_.contact = "spare_card", "Ruth, +55 24 1234"
    door.locks.fail_next("create_pin", errors.LockOffline("the lock is offline"), times=9)
    stay = door.stay(check_in=door.clock.now + 2 * HOUR)
    door.work()
    page = admin.get(f"/reservations/{stay.id}")
    assert verdict(page).startswith("No. The lock of")
    assert '<details class="steps-of" open>' in page.text
    assert page.text.count("is-break") == 1
    broken = re.search(r'<li class="is-bad is-break">.*?</li>', page.text, re.S)
    assert broken
    assert "Put on the lock" in broken[0]
    assert "1 try. The lock is offline." in broken[0]
    assert "Next try at 09:00." in page.text
    assert "If it is not on the lock at 10:15, the administrators are alerted." in page.text
    assert "have the spare card of" in page.text
    assert "Whom to call: Ruth, +55 24 1234." in page.text


def test_a_planned_pin_says_when(staff: FlaskClient, house: House) -> None:
    page = staff.get(f"/reservations/{house.stays['planned'].id}")
    assert verdict(page) == "Not yet: it comes at 18:30."
    assert "That is 2 h before check-in." in page.text
    assert '<p class="soft">from 18:30</p>' in page.text
    assert "pin/reveal" not in page.text


def test_a_pin_that_has_ended(staff: FlaskClient, door: Door) -> None:
    stay = ready(door)
    door.clock.set(stay.check_out_at + 24 * HOUR)
    door.settle()
    page = staff.get(f"/reservations/{stay.id}")
    assert verdict(page) == "Not needed: the stay is over."
    assert '<p class="soft">Ended</p>' in page.text
    assert "pin/reveal" not in page.text


def test_a_removal_that_fails_asks_the_other_question(staff: FlaskClient, door: Door) -> None:
    stay = ready(door)
    door.locks.sleep(door.lock.device_id)
    door.change(stay, status="cancelled")
    door.work()
    door.clock.move(minutes=20)
    page = staff.get(f"/reservations/{stay.id}")
    assert "Is the PIN off the door?" in page.text
    assert verdict(page) == "No. It should be off the lock since 09:00."
    assert "Touch the keypad" in page.text


def test_what_the_stay_says(staff: FlaskClient, house: House) -> None:
    stay = house.stays["ready"]
    with transaction() as session:
        row = session.get_one(Reservation, stay.id)
        row.guest_email, row.guest_phone = "camille@example.com", "+33 6 12 34"
        row.partner, row.amount, row.currency = "Booking.com", 1950, "BRL"
    page = staff.get(f"/reservations/{stay.id}").text
    for said in ("camille@example.com", "tel:+3361234", "Booking.com", "2 adults", "R$1,950.00"):
        assert said in page


def test_what_a_guest_is_called_is_text(staff: FlaskClient, door: Door) -> None:
    stay = door.stay(check_in=door.clock.now + HOUR, guest="<script>alert(1)</script>")
    page = staff.get(f"/reservations/{stay.id}").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_staff_have_no_repairs(staff: FlaskClient, admin: FlaskClient, house: House) -> None:
    path = f"/reservations/{house.stays['ready'].id}"
    assert "Reprocess" not in staff.get(path).text
    assert "Revoke" not in staff.get(path).text
    assert "Reprocess PIN…" in admin.get(path).text
    for verb in ("reprocess", "revoke-pin"):
        assert staff.get(f"{path}/{verb}").status_code == 403
        assert post(staff, f"{path}/{verb}").status_code == 403


def test_the_button_that_helps_leads_to_the_room(
    staff: FlaskClient, admin: FlaskClient, house: House
) -> None:
    stay = house.stays["no_lock"]
    page = admin.get(f"/reservations/{stay.id}").text
    link = re.search(r'id="help-connect" href="([^"]+)"', page)
    assert link
    assert link[1] == f"/accommodations/{stay.accommodation_id}"
    assert admin.get(link[1]).status_code == 200
    assert "help-connect" not in staff.get(f"/reservations/{stay.id}").text


def test_staff_are_told_whom_to_ask(staff: FlaskClient, admin: FlaskClient, house: House) -> None:
    path = f"/reservations/{house.stays['no_lock'].id}"
    assert "An administrator can do that." in staff.get(path).text
    assert "An administrator can do that." not in admin.get(path).text


# --- showing ---------------------------------------------------------------------------------


def test_who_has_seen_it_is_told_to_everybody(staff: FlaskClient, house: House) -> None:
    path = f"/reservations/{house.stays['ready'].id}"
    assert "Nobody has shown this PIN yet." in staff.get(path).text
    shown = post(staff, f"{path}/pin/reveal")
    assert PIN in shown.text.replace(" ", "")
    page = staff.get(path).text
    assert "Marta Queiroz" in page
    assert "(you)" in page
    assert "PIN shown" in page
    assert PIN not in page.replace(" ", "")


# --- a new PIN, or none ----------------------------------------------------------------------


def test_reprocess_asks_first_and_then_does(admin: FlaskClient, door: Door) -> None:
    stay = ready(door)
    old = door.digits(stay)
    path = f"/reservations/{stay.id}/reprocess"
    asked = admin.get(path)
    assert asked.status_code == 200
    assert "Reprocess the PIN of Helena Prado?" in asked.text
    assert f"is removed from {door.lock.name} first" in asked.text
    assert "6 digits" in asked.text
    assert "must be told the new PIN" in asked.text
    done = post(admin, path)
    assert (done.status_code, done.location) == (303, f"/reservations/{stay.id}")
    door.settle()
    assert not door.opens(old)
    page = admin.get(f"/reservations/{stay.id}").text
    assert "New PIN ordered" in page
    assert "Davi Lacerda" in page


def test_the_dialog_closes_and_the_page_behind_it_is_new(admin: FlaskClient, door: Door) -> None:
    stay = ready(door)
    path = f"/reservations/{stay.id}/reprocess"
    asked = admin.get(path, headers=HTMX)
    assert asked.text.lstrip().startswith("<dialog")
    plan = re.search(r'name="plan" value="(\w+)"', asked.text)
    assert plan
    done = post(admin, path, htmx=True, plan=plan[1])
    assert done.status_code == 200
    assert "<dialog" not in done.text
    assert 'hx-swap-oob="outerHTML"' in done.text
    assert "Not yet: it is being put on the lock." in done.text


def test_from_the_list_a_word_is_enough(admin: FlaskClient, door: Door) -> None:
    stay = ready(door)
    done = admin.post(
        f"/reservations/{stay.id}/revoke-pin",
        data={"csrf_token": token_in(admin.get("/"))},
        headers=HTMX | {"HX-Current-URL": "http://localhost/reservations?view=active"},
    )
    assert "beforeend:#toasts" in done.text
    assert 'id="stay"' not in done.text


def test_a_plan_that_changed_is_asked_about_again(admin: FlaskClient, door: Door) -> None:
    stay = ready(door)
    path = f"/reservations/{stay.id}/reprocess"
    plan = re.search(r'name="plan" value="(\w+)"', admin.get(path).text)
    assert plan
    door.change(stay, check_out_at=stay.check_out_at + 24 * HOUR)
    refused = post(admin, path, htmx=True, plan=plan[1])
    assert refused.status_code == 409
    assert "Somebody changed this meanwhile" in refused.text
    assert door.credential(stay).revoke_reason is None


def test_a_cancelled_booking_gets_no_new_pin(admin: FlaskClient, door: Door) -> None:
    """C-48."""
    stay = ready(door)
    door.change(stay, status="cancelled")
    path = f"/reservations/{stay.id}"
    assert "Reprocess PIN…" not in admin.get(path).text
    for answer in (
        admin.get(f"{path}/reprocess"),
        post(admin, f"{path}/reprocess"),
        post(admin, f"{path}/reprocess", htmx=True),
    ):
        assert answer.status_code == 409
        assert "The booking is cancelled: it gets no PIN." in answer.text
        assert 'type="submit"><span class="spin"></span>Reprocess' not in answer.text


def test_revoke_leaves_none(admin: FlaskClient, door: Door) -> None:
    stay = ready(door)
    pin = door.digits(stay)
    path = f"/reservations/{stay.id}/revoke-pin"
    assert "btn--danger" in admin.get(path).text
    assert post(admin, path).status_code == 303
    door.settle()
    assert not door.opens(pin)
    page = admin.get(f"/reservations/{stay.id}")
    assert verdict(page) == "No. Davi Lacerda took it off the lock at 09:00."
    assert 'id="help-reprocess"' in page.text
    again = post(admin, path)
    assert again.status_code == 409
    assert "There is no PIN to revoke." in again.text


def test_a_cancelled_stay_can_still_lose_its_pin(admin: FlaskClient, door: Door) -> None:
    """DECISIONS 1."""
    stay = ready(door)
    door.locks.sleep(door.lock.device_id)
    door.change(stay, status="cancelled")
    door.work()
    assert post(admin, f"/reservations/{stay.id}/revoke-pin").status_code == 303


def test_a_button_without_its_token_does_nothing(admin: FlaskClient, door: Door) -> None:
    stay = ready(door)
    assert admin.post(f"/reservations/{stay.id}/reprocess").status_code == 403
    assert door.credential(stay).revoke_reason is None


# --- polling ---------------------------------------------------------------------------------


def test_a_poll_that_would_see_the_same_gets_nothing(staff: FlaskClient, door: Door) -> None:
    stay = door.stay(check_in=door.clock.now + HOUR)
    door.work()
    page = staff.get(f"/reservations/{stay.id}").text
    assert 'every 10s, refresh"' in page
    poll = re.search(r'hx-get="(/reservations/[^"]+\?v=\w+)"', page)
    assert poll
    headers = {"HX-Request": "true", "HX-Target": "stay"}
    assert staff.get(poll[1], headers=headers).status_code == 204
    door.settle()
    news = staff.get(poll[1], headers=headers)
    assert news.status_code == 200
    assert news.text.lstrip().startswith('<div id="stay"')
    assert "Yes, since" in news.text
    assert 'every 30s, refresh"' in news.text


def test_time_alone_is_news_too(staff: FlaskClient, door: Door) -> None:
    """A removal becomes overdue although no row has changed."""
    stay = ready(door)
    door.locks.sleep(door.lock.device_id)
    door.change(stay, status="cancelled")
    door.work()
    path = f"/reservations/{stay.id}"
    poll = re.search(r'hx-get="(/reservations/[^"]+\?v=\w+)"', staff.get(path).text)
    assert poll
    door.clock.move(minutes=20)
    headers = {"HX-Request": "true", "HX-Target": "stay"}
    assert staff.get(poll[1], headers=headers).status_code == 200


def test_the_number_of_statements_does_not_grow(
    staff: FlaskClient, admin: FlaskClient, door: Door, statements: Statements
) -> None:
    stay = ready(door)
    path = f"/reservations/{stay.id}"
    staff.get(path)
    with statements() as first:
        staff.get(path)
    for _ in range(3):
        post(staff, f"{path}/pin/reveal")
        post(admin, f"{path}/reprocess")
        door.settle()
    staff.get(path)
    with statements() as later:
        staff.get(path)
    assert len(later) <= len(first) + 1  # the people who appear in the history
    assert len(later) <= 16


# --- words -----------------------------------------------------------------------------------


def test_every_cause_and_every_help_has_words() -> None:
    assert set(VERDICTS) == set(Cause)
    assert set(HELPS) == set(Help) - {Help.NONE}


def test_in_portuguese(staff: FlaskClient, door: Door) -> None:
    page = staff.get(f"/reservations/{ready(door).id}?lang=pt")
    assert "O PIN está na porta?" in page.text
    assert verdict(page) == "Sim, desde 09:00."


def test_a_word_of_the_channel_that_we_do_not_know_is_shown(door: Door, staff: FlaskClient) -> None:
    """C-20: the stored status is kept and the row is flagged."""
    stay = door.stay(unknown_status="frozen?")
    page = staff.get(f"/reservations/{stay.id}").get_data(as_text=True)
    assert "The channel says “frozen?”, a status we do not know" in page
