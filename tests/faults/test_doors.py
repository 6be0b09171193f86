"""A guest's PIN opens the right door, in its window and not otherwise (issue "It is done when").

Real processes, real HTTP, the sandbox's locks; nothing is told to the product but by its channel,
its pages and its API.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.sandbox import control
from tests.faults.desk import Desk, within

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(400),
    pytest.mark.xdist_group("product"),  # one whole product at a time on two cores
]
MINUTE = timedelta(minutes=1)


def test_the_keypad_obeys_the_window_the_desk_and_the_channel(desk: Desk) -> None:
    turnover, revoked, cancelled = desk.rooms(3)
    now = datetime.now(UTC)
    boundary = now.replace(second=0, microsecond=0) + 3 * MINUTE

    desk.book(turnover, boundary - timedelta(hours=30), boundary, "Aurora Leaving")
    desk.book(turnover, boundary, boundary + timedelta(hours=40), "Bruno Coming")
    desk.book(revoked, now - MINUTE, now + timedelta(hours=40), "Carla Revoked")
    desk.book(cancelled, now - MINUTE, now + timedelta(hours=40), "Dario Cancelled")
    for guest in ("Aurora Leaving", "Carla Revoked", "Dario Cancelled"):
        assert within(60, lambda guest=guest: desk.pin_state(guest) == "active"), guest

    leaving = desk.reveal("Aurora Leaving")
    assert within(30, lambda: desk.opens(turnover, leaving)), "inside its window"
    assert not desk.opens(turnover, leaving[::-1])
    assert not desk.opens(revoked, leaving), "another door"

    pin = desk.reveal("Carla Revoked")
    assert within(30, lambda: desk.opens(revoked, pin))
    stay = desk.stay("Carla Revoked")
    assert stay is not None
    answer = desk.api.post(f"/reservations/{stay['id']}/revoke-pin")
    assert (answer.status_code, answer.json()["jobId"]) == (202, f"rev-{stay['id']}")
    assert within(40, lambda: desk.pin_state("Carla Revoked") == "revoked")
    assert not desk.opens(revoked, pin), "after a revoke"

    pin = desk.reveal("Dario Cancelled")
    assert within(30, lambda: desk.opens(cancelled, pin))
    booking = desk.stay("Dario Cancelled")
    assert booking is not None
    control.cancel_booking(booking["external_id"], base=desk.sandbox)
    assert within(60, lambda: desk.pin_state("Dario Cancelled") == "revoked")
    assert not desk.opens(cancelled, pin), "after a cancellation"

    until = (boundary - datetime.now(UTC)).total_seconds()
    if until > 5:  # the departing guest's PIN works to the last minute
        assert desk.opens(turnover, leaving)
    within(max(until, 0) + 1, lambda: datetime.now(UTC) > boundary)
    assert not desk.opens(turnover, leaving), "after its window"
    assert within(60, lambda: desk.pin_state("Bruno Coming") == "active")
    coming = desk.reveal("Bruno Coming")
    assert within(30, lambda: desk.opens(turnover, coming)), "the next guest"
    assert within(60, lambda: desk.pin_state("Aurora Leaving") == "expired")
    assert len(desk.on_lock(turnover)) == 1


def test_a_pin_sent_early_does_not_open_early(desk: Desk) -> None:
    """Preload puts it on the lock; the window keeps the door shut (INTERFACES §2)."""
    [room] = desk.rooms(1)
    [house] = [
        each
        for each in desk.api.get("/properties").json()["properties"]
        if each["name"] == room.place.name
    ]
    answer = desk.api.patch(f"/properties/{house['id']}", json={"pin_preload_hours": 24})
    assert answer.status_code == 200, answer.text
    begin = datetime.now(UTC) + timedelta(hours=5)
    desk.book(room, begin, begin + timedelta(hours=40), "Elena Early")
    assert within(60, lambda: desk.pin_state("Elena Early") == "active")
    assert not desk.opens(room, desk.reveal("Elena Early")), "before its window"
