"""The settings pages."""

from __future__ import annotations

from flask.testing import FlaskClient

from tests.factories import make_property, make_room_type
def test_smoke(admin: FlaskClient) -> None:
    for p in ("/settings", "/settings/room-types", "/settings/users", "/settings/properties/new", "/settings/room-types/new"):
        r = admin.get(p)
        assert r.status_code == 200, p
    house = make_property(name="Vila")
    kind = make_room_type(house)
    for p in ("/settings", "/settings/room-types", "/settings/users", "/settings/properties/new", f"/settings/properties/{house.id}", "/settings/room-types/new", f"/settings/room-types/{kind.id}",f"/settings/room-types/{kind.id}/delete",f"/settings/properties/{house.id}/delete"):
        r = admin.get(p)
        assert r.status_code == 200, p
    make_property(name="Vila 2")
    for p in ("/settings", "/settings/room-types"):
        r = admin.get(p)
        assert r.status_code == 200, p
