"""Who did what: the list, one entry, PINs shown, the file, and whom it is open to."""

from __future__ import annotations

from uuid import uuid4

import pytest
from flask.testing import FlaskClient

from app.models import Reservation
from app.services import audit
from app.services.audit import SYSTEM, Actor, Deed
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import NO_SUCH_ID, make_accommodation, make_stay
from tests.web.forms import said_on

DAVI = Actor("davi@vila.example", uuid4(), "admin", "10.0.0.7")


def log(actor: Actor, *deeds: Deed) -> None:
    with transaction() as session:
        audit.record_many(session, actor, deeds)


@pytest.fixture
def stay(clock: Clock) -> Reservation:
    return make_stay(make_accommodation(name="Duna", number="204"), guest="Helena Prado")


def test_an_entry_says_who_what_on_what_and_from_where(
    admin: FlaskClient, stay: Reservation, clock: Clock
) -> None:
    coral = make_accommodation(name="Coral")
    before = {"check_out_on": "2026-03-14", "accommodation_id": str(stay.accommodation_id)}
    after = {"check_out_on": "2026-03-15", "accommodation_id": str(coral.id)}
    log(DAVI, Deed("update", "reservation", stay.id, before, after))
    page = admin.get("/audit")
    said = said_on(page)
    assert "09:00:00" in said
    assert "Davi Lacerda Booking changed Departure: 14 Mar → 15 Mar · Room: Duna → Coral" in said
    assert "Helena Prado, Duna Reservation 10.0.0.7" in said
    assert f'href="/reservations/{stay.id}"' in page.text


def test_one_entry_shows_both_sides(admin: FlaskClient, stay: Reservation, clock: Clock) -> None:
    before, after = {"guest_name": "Helena P", "adults": 2}, {"guest_name": "Helena", "adults": 2}
    log(DAVI, Deed("update", "reservation", stay.id, before, after))
    listed = admin.get("/audit?action=update").text
    path = listed.split('id="entry-')[1].split('"')[0]
    said = said_on(admin.get(f"/audit/{path}"))
    assert "Field Before After Guest Helena P Helena Facts" in said
    assert "10 Mar 2026, 09:00:00" in said
    assert "davi@vila.example" in said
    assert admin.get(f"/audit/{NO_SUCH_ID}").status_code == 404


def test_the_run_that_put_it_in_step_is_told_in_short(
    admin: FlaskClient, stay: Reservation, clock: Clock
) -> None:
    run = uuid4()
    log(SYSTEM, Deed("reconcile", "reservation", stay.id, None, {"run": str(run)}))
    listed = admin.get("/audit?action=reconcile").text
    assert str(run) not in listed
    path = listed.split('id="entry-')[1].split('"')[0]
    page = admin.get(f"/audit/{path}")
    assert f"Run {str(run)[:8]}" in said_on(page)
    assert page.text.count(str(run)) == page.text.count(f'href="/reconciliation/runs/{run}"') == 1


def test_pins_shown_have_their_own_tab(admin: FlaskClient, stay: Reservation, clock: Clock) -> None:
    log(SYSTEM, Deed("update", "reservation", stay.id))
    log(DAVI, Deed("reveal", "reservation", stay.id))
    page = admin.get("/audit?action=reveal")
    said = said_on(page)
    assert "PIN shown Helena Prado" in said
    assert "1–1 of 1" in said
    assert page.text.count('class="is-warned"') == 1
    assert 'aria-current="page"' in page.text.split('id="view-2"')[1][:80]


def test_filters_in_the_address_narrow_and_are_taken_away(
    admin: FlaskClient, stay: Reservation, clock: Clock
) -> None:
    log(SYSTEM, Deed("update", "reservation", stay.id), Deed("create", "lock", uuid4()))
    page = admin.get("/audit?q=helena&actor=system&from=2026-03-10&to=2026-03-10")
    said = said_on(page)
    assert "“helena”" in said
    assert "Who: System" in said
    assert "From 10 Mar" in said
    assert "To 10 Mar" in said
    assert "1–1 of 1" in said
    assert "No entry matches" in said_on(admin.get("/audit?q=nobody"))
    assert admin.get("/audit?sort=colour").status_code == 422


def test_the_file_holds_what_the_filters_say_and_taking_it_is_an_entry(
    admin: FlaskClient, stay: Reservation, clock: Clock
) -> None:
    log(DAVI, Deed("reveal", "reservation", stay.id))
    log(SYSTEM, Deed("create", "lock", uuid4()))
    clock.move(seconds=1)
    answer = admin.get("/audit/export?action=reveal")
    assert answer.mimetype == "text/csv"
    assert 'filename="audit-2026-03-10.csv"' in answer.headers["Content-Disposition"]
    lines = answer.text.splitlines()
    assert lines[0] == "\ufeffat,actor,action,entity,entity_id,before,after,ip"
    assert len(lines) == 2
    assert lines[1].startswith("2026-03-10T12:00:00.000Z,davi@vila.example,reveal,reservation,")
    assert "Audit log exported" in said_on(admin.get("/audit"))


def test_only_administrators_read_it(staff: FlaskClient) -> None:
    for path in ("/audit", "/audit/export", f"/audit/{NO_SUCH_ID}"):
        assert staff.get(path).status_code == 403


def test_what_is_gone_is_still_told(admin: FlaskClient, clock: Clock) -> None:
    log(SYSTEM, Deed("delete", "lock", NO_SUCH_ID, {"name": "Portão"}))
    log(SYSTEM, Deed("polish", "doorknob", "brass"))
    said = said_on(admin.get("/audit"))
    assert "Deleted Portão Lock" in said
    assert "Polish Doorknob" in said
