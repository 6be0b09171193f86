"""The page of one stay: who sees what, and what its buttons do."""

from __future__ import annotations

from flask.testing import FlaskClient

from tests.conftest import Clock
from tests.web.scenes import busy_house


def test_smoke(admin: FlaskClient, staff: FlaskClient, clock: Clock) -> None:
    house = busy_house()
    for name, stay in house.stays.items():
        for who in (admin, staff):
            page = who.get(f"/reservations/{stay.id}")
            assert page.status_code == 200, name
            assert "style=" not in page.text
