"""Today: what needs a hand first, then who comes and goes (design/UI.md §4)."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

from flask import Flask
from flask.testing import FlaskClient

from app.models import Alert, LockMapping, User
from app.services import today as service
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import make_accommodation, make_lock, make_mapping, make_property, make_stay
from tests.web.conftest import sign_in
from tests.web.scenes import NOON, PIN, TODAY, busy_house, make_credential, make_order

Statements = Callable[[], AbstractContextManager[list[str]]]
HTMX = {"HX-Request": "true", "HX-Target": "today", "HX-Current-URL": "http://localhost/"}


def facts(page: str) -> list[str]:
    """The lines of the attention list, in order."""
    found = re.findall(r'<span class="strong">([^<]+)</span><p>', page)
    return [text.strip() for text in found]


def guests(page: str, panel: str) -> list[str]:
    """The names in one panel."""
    section = page.split(f'id="{panel}"', 1)[1].split("</section>")[0]
    return re.findall(r'class="who" href="[^"]+">([^<]+)<', section)


def test_the_day_in_three_lists(staff: FlaskClient, clock: Clock) -> None:
    busy_house()
    page = staff.get("/").text
    assert sorted(guests(page, "arr")[:3]) == [
        "Ana Beatriz Nogueira",
        "Camille Dufour",
        "Tomasz Wiśniewski",
    ]
    assert guests(page, "arr")[3:] == ["Rafael Monteiro"]
    assert guests(page, "dep") == ["Duarte Menezes"]
    assert guests(page, "house") == ["Johanna Bergström"]


def test_the_list_is_ordered_by_the_arrival_it_endangers(staff: FlaskClient, clock: Clock) -> None:
    house = busy_house()
    early = make_accommodation(house.property, name="Ipê", number="301")
    make_mapping(early)
    stay = make_stay(early, check_in=NOON - timedelta(hours=1), guest="Inês Carvalhal")
    make_order(stay, run_at=NOON - timedelta(hours=3), next_attempt_at=NOON)
    assert facts(staff.get("/").text) == [
        "301 Ipê: the PIN is not on the lock yet",
        "203 Coral: the PIN is not on the lock",
        "207 Farol has no lock",
    ]


def test_a_problem_says_who_when_and_what_helps(staff: FlaskClient, clock: Clock) -> None:
    house = busy_house()
    page = " ".join(staff.get("/").text.split())
    assert (
        "Tomasz Wiśniewski arrives at 15:00. Next try at 09:04. Have the spare card ready." in page
    )
    assert f'href="/reservations/{house.stays["failed"].id}">See why' in page
    assert "2 things need you" in page


def test_a_sleeping_lock_asks_for_a_touch(staff: FlaskClient, clock: Clock) -> None:
    room = make_accommodation(name="Hortelã", number="102")
    lock = make_mapping(room, make_lock(radio="wifi", online=False))
    stay = make_stay(room, check_in=TODAY, guest="Ana Beatriz Nogueira")
    make_credential(stay, lock.id, state="pending", installed_at=None)
    page = staff.get("/").text
    assert facts(page) == ["102 Hortelã: the lock sleeps"]
    assert "Touch the keypad once" in page
    assert "touch the keypad</span>" in page


def test_a_double_booking_names_itself(staff: FlaskClient, clock: Clock) -> None:
    room = make_accommodation(name="Coral", number="203")
    make_mapping(room)
    stay = make_stay(room, check_in=TODAY)
    make_order(stay, status="failed", last_error_kind="double_booked", next_attempt_at=None)
    assert facts(staff.get("/").text) == ["203 Coral is booked twice"]


def test_a_late_check_out_is_seen_the_next_day_too(staff: FlaskClient, clock: Clock) -> None:
    room = make_accommodation(name="Sálvia", number="104")
    make_mapping(room)
    make_stay(
        room, check_in=TODAY - timedelta(days=3), nights=2, guest="Duarte", status="checked_in"
    )
    page = staff.get("/").text
    assert facts(page) == ["104 Sálvia: check-out was at 9 Mar 11:00"]
    assert "Late by 22 h" in page
    assert guests(page, "dep") == ["Duarte"]


def test_an_open_alert_about_a_stay_is_shown_once(staff: FlaskClient, clock: Clock) -> None:
    room = make_accommodation(name="Duna", number="204")
    lock = make_mapping(room)
    stay = make_stay(room, check_in=TODAY)
    make_credential(stay, lock.id)
    with transaction() as session:
        session.add(
            Alert(
                kind="lock_battery",
                subject=f"reservation:{stay.id}",
                severity="warning",
                title="The battery of this lock is low",
                what_to_do="Change it before the guest comes.",
            )
        )
    page = staff.get("/").text
    assert facts(page) == ["204 Duna: The battery of this lock is low"]
    assert "Change it before the guest comes." in page


def test_more_than_five_fold_away(staff: FlaskClient, clock: Clock) -> None:
    vila = make_property()
    for n in range(8):
        make_stay(make_accommodation(vila), check_in=TODAY, guest=f"Guest {n}")
    page = staff.get("/").text
    assert len(facts(page)) == 8
    assert "and 3 more" in page
    assert len(facts(page.split('class="attn__more"')[0])) == 5


def test_a_quiet_day_says_so(staff: FlaskClient, clock: Clock) -> None:
    room = make_accommodation(name="Duna", number="204")
    lock = make_mapping(room)
    make_credential(make_stay(room, check_in=TODAY, guest="Helena Prado"), lock.id)
    page = staff.get("/").text
    assert "Nothing needs you right now" in page
    assert "Next: Helena Prado, 15:00, 204 Duna." in page
    assert 'class="attn"' not in page


def test_an_empty_house_has_words_too(staff: FlaskClient, clock: Clock) -> None:
    page = staff.get("/").text
    for words in ("Nobody arrives today", "Nobody leaves today", "Nobody stays over"):
        assert words in page


def test_cancelled_and_no_show_are_not_expected(staff: FlaskClient, clock: Clock) -> None:
    vila = make_property()
    for status in ("cancelled", "no_show", "failed"):
        make_stay(make_accommodation(vila), check_in=TODAY, status=status, guest=status)
    page = staff.get("/").text
    assert guests(page, "arr") + guests(page, "dep") + guests(page, "house") == []
    assert "Nobody arrives today" in page


def test_the_day_is_the_property_s_own(staff: FlaskClient, clock: Clock) -> None:
    """22:30 UTC is the same evening in São Paulo and already tomorrow in Tokyo."""
    clock.set(datetime(2026, 3, 10, 22, 30, tzinfo=UTC))
    near = make_accommodation(make_property(timezone="America/Sao_Paulo"))
    far = make_accommodation(make_property(timezone="Asia/Tokyo"))
    make_stay(near, check_in=TODAY, guest="Paulista")
    make_stay(far, check_in=TODAY + timedelta(days=1), guest="Tokyoite")
    make_stay(far, check_in=TODAY, guest="Yesterday", nights=1)
    page = staff.get("/?property=all").text
    assert sorted(guests(page, "arr")) == ["Paulista", "Tokyoite"]
    assert guests(page, "dep") == ["Yesterday"]
    assert "GMT+9" in page


def test_another_day_is_looked_at_without_worries(staff: FlaskClient, clock: Clock) -> None:
    busy_house()
    page = staff.get("/?day=2026-03-15").text
    assert "Sunday, 15 March 2026" in page
    assert guests(page, "dep") == ["Tomasz Wiśniewski"]
    assert facts(page) == []
    assert 'href="/?day=2026-03-14"' in page
    assert staff.get("/?day=tomorrow").status_code == 422
    assert staff.get("/?day=0001-01-01").status_code == 422


def test_the_next_five_days_are_counted(app: Flask, clock: Clock) -> None:
    house = busy_house()
    make_stay(house.rooms[0], check_in=TODAY + timedelta(days=2), nights=1)
    make_stay(house.rooms[0], check_in=TODAY + timedelta(days=4), nights=1, status="cancelled")
    days = service.today(house.property.id).days
    assert [(d.day.day, d.arrivals, d.departures, d.taken) for d in days] == [
        (11, 0, 0, 5),
        (12, 1, 3, 3),
        (13, 0, 2, 1),
        (14, 0, 0, 1),
        (15, 0, 1, 0),
    ]
    assert service.today(house.property.id).taken == 5


def test_one_property_is_chosen_and_remembered(staff: FlaskClient, clock: Clock) -> None:
    house = busy_house()
    other = make_accommodation(make_property(name="Casa do Rio"))
    make_stay(other, check_in=TODAY, guest="Over There")
    assert "Over There" in guests(staff.get("/").text, "arr")
    chosen = staff.get(f"/?property={house.property.id}").text
    assert "Over There" not in guests(chosen, "arr")
    assert "Over There" not in guests(staff.get("/").text, "arr")
    assert "Over There" in guests(staff.get("/?property=all").text, "arr")
    assert "Over There" in guests(staff.get("/?property=nonsense").text, "arr")


def test_a_poll_without_news_costs_nothing_on_the_page(staff: FlaskClient, clock: Clock) -> None:
    house = busy_house()
    page = staff.get("/").text
    url = re.search(r'data-poll hx-get="([^"]+)"', page)
    assert url
    same = staff.get(url[1], headers=HTMX)
    assert (same.status_code, same.text) == (204, "")
    assert same.headers["X-Clock"] == "09:00"
    with transaction() as session:
        session.add(LockMapping(accommodation_id=house.rooms[6].id, lock_id=make_lock().id))
    news = staff.get(url[1], headers=HTMX)
    assert news.status_code == 200
    assert news.text.lstrip().startswith('<div class="stack" id="today"')
    assert "<html" not in news.text
    assert "HX-Target" in news.headers["Vary"]


def test_each_kind_of_news_changes_the_version(app: Flask, clock: Clock) -> None:
    house = busy_house()
    seen = {service.version(house.property.id)}

    def differs() -> bool:
        now = service.version(house.property.id)
        fresh = now not in seen
        seen.add(now)
        return fresh

    assert not differs()
    make_order(house.stays["ready"])
    assert differs()
    make_stay(house.rooms[3], check_in=TODAY)
    assert differs()
    make_mapping(house.rooms[6])
    assert differs()
    clock.move(minutes=6)  # what is said about the hour
    assert differs()


def test_back_gets_a_whole_page(staff: FlaskClient, clock: Clock) -> None:
    restored = staff.get("/", headers=HTMX | {"HX-History-Restore-Request": "true"})
    assert "<html" in restored.text


def test_the_number_of_statements_does_not_grow(
    app: Flask, people: dict[str, User], statements: Statements, clock: Clock
) -> None:
    vila = make_property()

    def opened() -> int:
        with statements() as seen:
            assert service.today(vila.id).rooms == rooms
        return len(seen)

    rooms = 2
    for _ in range(2):
        make_stay(make_accommodation(vila), check_in=TODAY)
    few = opened()
    rooms = 30
    for _ in range(28):
        room = make_accommodation(vila)
        stay = make_stay(room, check_in=TODAY)
        make_credential(stay, make_mapping(room).id)
    assert opened() == few
    client = app.test_client()
    sign_in(client, people["staff"].email)
    with statements() as seen:
        assert client.get("/").status_code == 200
    assert len(seen) <= 16
    poll = re.search(r'data-poll hx-get="([^"]+)"', client.get("/").text)
    assert poll
    with statements() as seen:
        assert client.get(poll[1], headers=HTMX).status_code == 204
    assert len(seen) <= 4


def test_no_pin_is_in_the_page(staff: FlaskClient, clock: Clock) -> None:
    busy_house()
    page = staff.get("/").text
    assert PIN not in page
    assert "•••••<b>17</b>" in page


def test_without_a_house_nothing_is_well(
    staff: FlaskClient, admin: FlaskClient, clock: Clock
) -> None:
    """Whoever signs in first is shown where to begin, not that all is done."""
    for client, offered in ((admin, True), (staff, False)):
        page = client.get("/").text
        assert "No property yet" in page
        assert "Nothing needs you right now" not in page
        assert ('href="/settings/properties/new"' in page) is offered
