"""The accommodations page: list, forms, and the lock of a room."""

from __future__ import annotations

from flask.testing import FlaskClient

from tests.factories import make_accommodation, make_mapping, make_property
def test_smoke(admin: FlaskClient) -> None:
    house = make_property(name="Vila")
    a = make_accommodation(house, name="Alecrim", number="101")
    b = make_accommodation(house, name="Suíte Ipê", number="2")
    lock = make_mapping(a)
    for p in ("/accommodations","/accommodations?q=ipe&view=all", "/accommodations/new", f"/accommodations/{a.id}", f"/accommodations/{a.id}/map", f"/accommodations/{b.id}/map", f"/accommodations/{a.id}/unmap", f"/accommodations/{a.id}/delete","/locks","/locks?view=problems",f"/locks/{lock.id}", f"/locks/{lock.id}/map", f"/locks/{lock.id}/delete","/locks/new",f"/locks/{lock.id}/test"):
        r = admin.get(p)
        print(p, r.status_code)
        assert r.status_code == 200, p
def test_smoke2(admin: FlaskClient) -> None:
    from tests.web.conftest import token_in
    a = make_accommodation(name="Alecrim", number="101")
    lock = make_mapping(a)
    t = token_in(admin.get("/locks"))
    r = admin.get(f"/locks/{lock.id}/contents")
    assert r.status_code == 200
    r = admin.post(f"/locks/{lock.id}/test", data={"csrf_token": t})
    assert r.status_code == 303, r.text
    r = admin.get(f"/locks/{lock.id}/test")
    assert r.status_code == 200
    r = admin.post(f"/locks/{lock.id}/test/reveal", data={"csrf_token": t})
    assert r.status_code == 200
    assert "Copy" in r.text
    r = admin.post("/locks/refresh", data={"csrf_token": t})
    assert r.status_code == 303, r.text
    print(admin.get("/locks").text[3000:4500])
    r = admin.post("/accommodations/sync", data={"csrf_token": t})
    assert r.status_code == 303, r.text
    r = admin.get("/accommodations")
    assert "No channel" in r.text
