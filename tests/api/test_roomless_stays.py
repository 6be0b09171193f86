"""A stay that was sold without a room, as JSON (INTERFACES §5, DECISIONS 18)."""

from __future__ import annotations

from datetime import date, timedelta

from tests.api.conftest import Call
from tests.conftest import Clock
from tests.factories import make_accommodation, make_property, make_room_type, make_stay


def test_it_has_no_accommodation_and_a_planned_window(api: Call, clock: Clock) -> None:
    house = make_property()
    kind = make_room_type(house)
    stay = make_stay(
        make_accommodation(house),
        check_in=date(2026, 3, 12),
        accommodation_id=None,
        room_type_id=kind.id,
        created_at=clock.now - timedelta(days=1),
    )
    body = api("GET", f"/reservations/{stay.id}").json
    assert body is not None
    assert (body["accommodation"], body["room_type_id"]) == (None, str(kind.id))
    assert body["pin"] == {
        "state": "awaiting",
        "masked": None,
        "valid_from": "2026-03-12T16:00:00Z",
        "expires_at": "2026-03-15T14:00:00Z",
        "lock_id": None,
    }
    assert body["jobs"] == []
    refused = api("POST", f"/reservations/{stay.id}/reprocess")
    assert refused.status_code == 409
    assert "is free for these nights" in refused.text
