"""The matches page."""

from __future__ import annotations

from flask.testing import FlaskClient

from tests.factories import make_accommodation, make_lock, make_property
from tests.web.conftest import token_in


def test_smoke(admin: FlaskClient) -> None:
    assert admin.get("/matches").status_code == 200
    house = make_property(name="Vila")
    a = make_accommodation(house, name="Garça", number="A1")
    b = make_accommodation(house, name="Tucano", number="A3")
    la = make_lock(name="Garca A1")
    make_lock(name="Tucano 2")
    make_lock(name="Tucano")
    make_lock(name="Lavanderia")
    page = admin.get("/matches")
    assert page.status_code == 200
    t = token_in(page)
    print(page.text[5000:])
    assert admin.get(f"/matches/{b.id}").status_code == 200
    assert admin.get("/matches/apply").status_code == 200
    r = admin.post("/matches/apply", data={"csrf_token": t, "pair": f"{a.id}:{la.id}"})
    assert r.status_code == 303
    assert admin.get("/matches").status_code == 200
    r = admin.post("/matches/apply", data={"csrf_token": t, "pair": f"{b.id}:{la.id}"})
    assert r.status_code == 409
    assert admin.post("/matches/undo", data={"csrf_token": t, "accommodation_id": a.id, "lock_id": la.id}).status_code == 303
    assert admin.post("/matches/dismiss", data={"csrf_token": t, "accommodation_id": a.id, "lock_id": la.id}).status_code == 303
    assert admin.post("/matches/restore", data={"csrf_token": t, "accommodation_id": a.id, "lock_id": la.id}).status_code == 303
