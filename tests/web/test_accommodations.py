"""The accommodations page: list, forms, and the lock of a room."""

from __future__ import annotations

from flask.testing import FlaskClient

from tests.factories import make_accommodation, make_mapping, make_property
def test_smoke(admin: FlaskClient) -> None:
    house = make_property(name="Vila")
    a = make_accommodation(house, name="Alecrim", number="101")
    b = make_accommodation(house, name="Suíte Ipê", number="2")
    lock = make_mapping(a)
    for p in ("/accommodations","/accommodations?q=ipe&view=all", "/accommodations/new", f"/accommodations/{a.id}", f"/accommodations/{a.id}/map", f"/accommodations/{b.id}/map", f"/accommodations/{a.id}/unmap", f"/accommodations/{a.id}/delete","/locks","/locks?view=problems",f"/locks/{lock.id}", f"/locks/{lock.id}/map", f"/locks/{lock.id}/delete","/locks/new"):
        r = admin.get(p)
        print(p, r.status_code)
        assert r.status_code == 200, p
