"""How long things are kept, what we hold about a guest, and erasing one; without JavaScript."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app import clock as app_clock
from app.models import AuditEntry, Reservation
from app.services import privacy_rules, retention
from app.transaction import transaction
from tests.conftest import Clock
from tests.factories import make_stay, reload
from tests.web.forms import press, said_on


@pytest.fixture
def stay(clock: Clock) -> Reservation:
    out = app_clock.utcnow() - timedelta(days=3)
    return make_stay(
        check_in=out - timedelta(days=2),
        check_out=out,
        guest="Helena Prado",
        guest_email="helena@prado.example",
        search_text="helena prado helena@prado.example example",
    )


def test_the_limits_with_what_would_go_tonight(
    admin: FlaskClient, stay: Reservation, clock: Clock
) -> None:
    said = said_on(admin.get("/settings/privacy"))
    assert "1 to 1,825, usually 30." in said
    assert "Nothing would go tonight." in said
    assert "No night has passed yet." in said
    out = app_clock.utcnow() - timedelta(days=30)
    make_stay(check_in=out - timedelta(days=2), check_out=out)
    said = said_on(admin.get("/settings/privacy"))
    assert "1 row would go tonight. Guests 1" in said
    retention.tick()
    said = said_on(admin.get("/settings/privacy"))
    assert "Finished 10 Mar 2026, 09:00:00 (just now) Guests 1" in said
    assert reload(stay).guest_name == "Helena Prado"


def test_limits_are_saved_and_a_bad_one_comes_back(admin: FlaskClient, clock: Clock) -> None:
    wanted: dict[str, Any] = privacy_rules.limits() | {"guest_days": 10}
    answer = press(admin, "/settings/privacy/edit", **wanted)
    assert (answer.status_code, answer.location) == (303, "/settings/privacy?saved=1")
    assert privacy_rules.limits()["guest_days"] == 10
    bad = press(admin, "/settings/privacy/edit", **(wanted | {"guest_days": "0", "ip": "x"}))
    assert bad.status_code == 422
    assert "Guest’s name, e-mail and phone: Write 1 or more" in said_on(bad)
    assert privacy_rules.limits()["guest_days"] == 10


def test_a_guest_is_found_and_shown(admin: FlaskClient, stay: Reservation) -> None:
    found = press(admin, "/settings/privacy/guests", q="helena@prado.example")
    assert f'value="{stay.id}"' in found.text
    assert "Helena Prado" in said_on(found)
    read = press(admin, "/settings/privacy/guests/export", ids=str(stay.id), format="html")
    said = said_on(read)
    assert "guest email helena@prado.example" in said
    assert "PINs, without their digits 0" in said
    file = press(admin, "/settings/privacy/guests/export", ids=str(stay.id), format="json")
    assert file.mimetype == "application/json"
    taken: Any = file.json
    assert taken["stays"][0]["guest_name"] == "Helena Prado"
    assert "attachment" in file.headers["Content-Disposition"]
    with transaction() as session:
        actions = session.scalars(select(AuditEntry.action)).all()
    assert actions.count("export") == 2


def test_nobody_and_nothing_chosen_are_said(admin: FlaskClient, stay: Reservation) -> None:
    assert "No stay of such a guest" in said_on(press(admin, "/settings/privacy/guests", q="Bruno"))
    assert press(admin, "/settings/privacy/guests", q="*").status_code == 422
    for verb in ("export", "erase"):
        answer = press(admin, f"/settings/privacy/guests/{verb}")
        assert answer.status_code == 422
        assert "No stay is chosen" in said_on(answer)
    assert press(admin, "/settings/privacy/guests/erase", ids="x").status_code == 422


def test_erasing_asks_first_and_says_what_stays(admin: FlaskClient, stay: Reservation) -> None:
    path = "/settings/privacy/guests/erase"
    asked = press(admin, path, ids=str(stay.id))
    said = said_on(asked)
    assert asked.status_code == 200
    assert "Name, e-mail and phone of the stays 1" in said
    assert "Amount, currency, booking number Tax law asks for them." in said
    assert reload(stay).guest_name == "Helena Prado"
    done = press(admin, path, ids=str(stay.id), confirm="erase")
    assert "The guest is erased" in said_on(done)
    assert "Erase for good" not in said_on(done)
    assert reload(stay).guest_name is None
    assert not re.search("helena|prado", said_on(done), re.IGNORECASE)


def test_a_guest_who_is_still_to_come_is_not_erased(admin: FlaskClient, clock: Clock) -> None:
    stay = make_stay(guest="Helena Prado")
    path = "/settings/privacy/guests/erase"
    asked = said_on(press(admin, path, ids=str(stay.id)))
    assert "The stay is still to come: cancel it first" in asked
    assert "Erase for good" not in asked
    refused = press(admin, path, ids=str(stay.id), confirm="erase")
    assert refused.status_code == 409
    assert reload(stay).guest_name == "Helena Prado"


def test_only_administrators(staff: FlaskClient) -> None:
    assert staff.get("/settings/privacy").status_code == 403
    assert staff.get("/settings/privacy/guests").status_code == 403
