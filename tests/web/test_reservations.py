"""The list of reservations, and showing a PIN on purpose (design/UI.md §4, §9)."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.models import AuditEntry, Reservation, User
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import make_accommodation, make_mapping, make_property, make_stay
from tests.web.conftest import sign_in, token_in
from tests.web.scenes import PIN, TODAY, busy_house, make_credential, make_order

Statements = Callable[[], AbstractContextManager[list[str]]]


def names(page: str) -> list[str]:
    """The guests on the page, in order."""
    return re.findall(r'class="who" href="[^"]+">([^<]+)<', page)


def reveals() -> list[AuditEntry]:
    with transaction() as session:
        return session.query(AuditEntry).filter_by(action="reveal").all()


def ready_stay(**fields: object) -> Reservation:
    room = make_accommodation(name="Duna", number="204")
    stay = make_stay(room, check_in=TODAY - timedelta(days=1), guest="Helena Prado", **fields)
    make_credential(stay, make_mapping(room).id)
    return stay


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["Duarte Menezes", "Johanna Bergström", "three at three", "Rafael Monteiro"]),
        ("?view=arriving", ["three at three", "Rafael Monteiro"]),
        ("?view=in_house", ["Duarte Menezes", "Johanna Bergström"]),
        ("?view=leaving", ["Duarte Menezes"]),
        ("?view=upcoming", []),
        ("?view=cancelled", ["Gone Astray"]),
        ("?q=wisni", ["Tomasz Wiśniewski"]),
        ("?q=WIŚNIEWSKI", ["Tomasz Wiśniewski"]),
        ("?q=gone", ["Gone Astray"]),
        ("?view=active&q=gone", []),
        ("?view=all&status=cancelled", ["Gone Astray"]),
        ("?source=beds24", []),
        ("?from=2026-03-11", []),
        ("?to=2026-03-10", ["Duarte Menezes"]),
        ("?view=active&status=&source=&from=&to=&q=", None),
    ],
)
def test_views_filters_and_search(
    staff: FlaskClient, clock: Clock, query: str, found: list[str] | None
) -> None:
    house = busy_house()
    with transaction() as session:
        session.get_one(
            Reservation, house.stays["failed"].id
        ).search_text = "tomasz wisniewski res-1"
    make_stay(house.rooms[0], check_in=TODAY, guest="Gone Astray", status="cancelled")
    page = staff.get("/reservations" + query)
    assert page.status_code == 200
    three = {"Ana Beatriz Nogueira", "Camille Dufour", "Tomasz Wiśniewski"}
    if found is None:
        assert len(names(page.text)) == 6
        return
    shown = names(page.text)
    if "three at three" in found:
        at = found.index("three at three")
        assert set(shown[at : at + 3]) == three
        shown[at : at + 3] = ["three at three"]
    assert shown == found
    if not found:
        assert 'class="empty"' in page.text


def test_pages_and_rows_per_page(staff: FlaskClient, clock: Clock) -> None:
    room = make_accommodation()
    for n in range(60):
        make_stay(room, check_in=TODAY + timedelta(days=3 * n), guest=f"Guest {n:02}")
    first = staff.get("/reservations").text
    assert names(first) == [f"Guest {n:02}" for n in range(25)]
    assert "1–25 of 60" in first
    last = staff.get("/reservations?page=3").text
    assert names(last) == [f"Guest {n:02}" for n in range(50, 60)]
    assert len(names(staff.get("/reservations?limit=100").text)) == 60
    assert staff.get("/reservations?page=9").location == "/reservations?page=3"
    assert names(staff.get("/reservations?sort=guest&order=desc").text)[0] == "Guest 59"
    for bad in ("?limit=101", "?page=0", "?sort=pin", "?status=eaten", "?from=soon", "?view=x"):
        assert staff.get("/reservations" + bad).status_code == 422, bad


def test_at_most_eight_statements_whatever_the_page_size(
    app: Flask, people: dict[str, User], statements: Statements, clock: Clock
) -> None:
    """Issue 2, Speed: sign-in and sidebar included."""
    room = make_accommodation()
    for n in range(60):
        stay = make_stay(room, check_in=TODAY + timedelta(days=3 * n))
        make_order(stay)
    client = app.test_client()
    sign_in(client, people["admin"].email)
    for query in ("", "?limit=100", "?q=ana&view=past", "?view=in_house", "?page=2&sort=guest"):
        with statements() as seen:
            assert client.get("/reservations" + query).status_code == 200
        assert len(seen) <= 8, seen


def test_first_use_says_where_they_come_from(staff: FlaskClient, admin: FlaskClient) -> None:
    for desk in (staff, admin):
        page = desk.get("/reservations").text
        assert "No reservations yet" in page
        assert "No reservation matches" not in page


def test_no_match_offers_the_way_out(staff: FlaskClient, clock: Clock) -> None:
    busy_house()
    page = staff.get("/reservations?view=upcoming&q=sampaoi").text
    assert "No reservation matches" in page
    assert 'href="/reservations?view=all&amp;q=sampaoi">Search every reservation' in page
    assert "Clear filters" in page


def test_htmx_gets_the_tabs_and_the_results_only(staff: FlaskClient, clock: Clock) -> None:
    busy_house()
    part = staff.get(
        "/reservations?view=arriving", headers={"HX-Request": "true", "HX-Target": "results"}
    )
    assert "<html" not in part.text
    assert 'id="views"' in part.text
    assert 'id="results"' in part.text
    assert 'id="filters"' not in part.text.replace('form="filters"', "")


def test_actions_that_a_role_may_not_use_are_absent(
    staff: FlaskClient, admin: FlaskClient, clock: Clock
) -> None:
    busy_house()
    for word in ("Reprocess PIN…", "Revoke PIN…"):
        assert word not in staff.get("/reservations").text
        assert word in admin.get("/reservations").text


def test_no_pin_before_it_is_asked_for(admin: FlaskClient, clock: Clock) -> None:
    busy_house()
    for path in ("/reservations", "/reservations?view=all", "/reservations?limit=100"):
        page = admin.get(path).text
        assert PIN not in page
        assert "482 1917" not in page
    assert names(admin.get(f"/reservations?q={PIN}").text) == []


@pytest.mark.parametrize(("where", "element"), [("row", "pin-{id}"), ("card", "pinface")])
def test_showing_a_pin_swaps_only_the_pin(
    staff: FlaskClient, clock: Clock, where: str, element: str
) -> None:
    stay = ready_stay()
    target = element.format(id=stay.id)
    headers = {
        "HX-Request": "true",
        "HX-Target": target,
        "X-CSRF-Token": token_in(staff.get("/more")),
    }
    shown = staff.post(f"/reservations/{stay.id}/pin/reveal?in={where}", headers=headers)
    assert shown.status_code == 200
    assert shown.headers["Cache-Control"] == "no-store"
    assert f'id="{target}"' in shown.text
    assert "482 1917" in shown.text
    assert "<html" not in shown.text
    assert 'hx-trigger="load delay:60s, hide"' in shown.text
    # Beside the card the page lists who has seen it, and does not ask again while it is shown.
    on_card = where == "card"
    assert ('id="seen" aria-labelledby="seen-h" hx-swap-oob="outerHTML"' in shown.text) == on_card
    assert ("Marta Queiroz" in shown.text) == on_card
    entry = reveals()[0]
    assert (entry.actor, entry.entity_id) == ("marta@vila.example", str(stay.id))
    assert PIN not in str(entry.after)
    hidden = staff.get(f"/reservations/{stay.id}/pin?in={where}", headers=headers)
    assert hidden.status_code == 200
    assert f'id="{target}"' in hidden.text
    assert PIN not in hidden.text
    assert "482 1917" not in hidden.text
    assert "<b>17</b>" in hidden.text
    assert len(reveals()) == 1


def test_without_scripts_the_pin_has_a_page_of_its_own(staff: FlaskClient, clock: Clock) -> None:
    stay = ready_stay()
    token = token_in(staff.get("/reservations"))
    page = staff.post(f"/reservations/{stay.id}/pin/reveal?in=row", data={"csrf_token": token})
    assert page.status_code == 200
    assert page.headers["Cache-Control"] == "no-store"
    assert "482 1917" in page.text
    assert "Helena Prado, 204 Duna" in page.text
    assert page.headers["Refresh"] == f"60; url=/reservations/{stay.id}"
    assert "482" not in page.text.split("</title>")[0]
    again = staff.get(f"/reservations/{stay.id}/pin")
    assert again.location == f"/reservations/{stay.id}"


def test_after_check_out_the_front_desk_is_refused(
    staff: FlaskClient, admin: FlaskClient, clock: Clock
) -> None:
    stay = ready_stay(nights=1)
    clock.move(hours=4)
    assert "Show PIN of" not in staff.get("/reservations?view=all").text
    for desk, status in ((staff, 403), (admin, 200)):
        token = token_in(desk.get("/more"))
        url = f"/reservations/{stay.id}/pin/reveal"
        assert desk.post(url, data={"csrf_token": token}).status_code == status
    assert [entry.actor for entry in reveals()] == ["davi@vila.example"]


def test_a_refusal_to_htmx_keeps_the_mask_and_says_why(staff: FlaskClient, clock: Clock) -> None:
    stay = ready_stay(nights=1)
    clock.move(hours=4)
    headers = {
        "HX-Request": "true",
        "HX-Target": f"pin-{stay.id}",
        "X-CSRF-Token": token_in(staff.get("/more")),
    }
    answer = staff.post(f"/reservations/{stay.id}/pin/reveal?in=row", headers=headers)
    assert answer.status_code == 409
    assert "<b>17</b>" in answer.text
    assert 'hx-swap-oob="beforeend:#notices"' in answer.text
    assert "only an administrator can show the PIN" in answer.text
    assert PIN not in answer.text
    assert "482 1917" not in answer.text


def test_a_stay_without_a_pin_has_none_to_show(admin: FlaskClient, clock: Clock) -> None:
    house = busy_house()
    token = token_in(admin.get("/more"))
    url = f"/reservations/{house.stays['planned'].id}/pin/reveal"
    assert admin.post(url, data={"csrf_token": token}).status_code == 409
    missing = admin.post(f"/reservations/{uuid4()}/pin/reveal", data={"csrf_token": token})
    assert missing.status_code == 404
    assert admin.post("/reservations/1/pin/reveal", data={"csrf_token": token}).status_code == 404


def test_showing_many_pins_is_slowed_down(staff: FlaskClient, clock: Clock) -> None:
    stay = ready_stay()
    token = token_in(staff.get("/more"))
    url = f"/reservations/{stay.id}/pin/reveal"
    answers = [staff.post(url, data={"csrf_token": token}) for _ in range(21)]
    assert [a.status_code for a in answers] == [200] * 20 + [429]
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert PIN not in answers[-1].text
    assert len(reveals()) == 20


def test_signing_in_again_shows_no_more_pins(
    staff: FlaskClient, admin: FlaskClient, people: dict[str, User], app: Flask, clock: Clock
) -> None:
    stay = ready_stay()
    url = f"/reservations/{stay.id}/pin/reveal"
    token = token_in(staff.get("/more"))
    assert {staff.post(url, data={"csrf_token": token}).status_code for _ in range(20)} == {200}
    again = app.test_client()
    sign_in(again, people["staff"].email)
    token = token_in(again.get("/more"))
    assert again.post(url, data={"csrf_token": token}).status_code == 429
    token = token_in(admin.get("/more"))
    assert admin.post(url, data={"csrf_token": token}).status_code == 200


def test_with_several_properties_each_row_says_where(staff: FlaskClient, clock: Clock) -> None:
    busy_house()
    make_stay(make_accommodation(make_property(name="Casa do Rio")), check_in=TODAY)
    page = staff.get("/reservations").text
    assert "Casa do Rio</span>" in page
