"""The reconciliation pages: figures, notices, running now, plans."""

from __future__ import annotations

from flask.testing import FlaskClient

from tests.conftest import Clock


def test_smoke(admin: FlaskClient, staff: FlaskClient, clock: Clock) -> None:
    for who in (admin, staff):
        page = who.get("/reconciliation")
        assert page.status_code == 200
        assert "No run yet" in page.text
