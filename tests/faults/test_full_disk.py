"""A full disk is told of, nothing is promised that is not stored, and it heals by itself (issue 9).

What is full is the disk of the embedded engines: first their data, then PostgreSQL's log of writes
too, which ends the server.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.faults.desk import Desk, Room, csrf, within
from tests.faults.disks import Disk, FileLimits, use_up_the_log
from tests.faults.promises import operator
from tests.local.product import Run, engine_url

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(400),
    pytest.mark.xdist_group("product"),  # one whole product at a time on two cores
]
DAY = timedelta(days=1)
#: a vendor's message as the access log has it
MESSAGE = re.compile(r"\] request .*path=/api/webhooks/.*request_id=(\S+) status=(\d+)")
STORED = re.compile(r"\] event_received .*event_id=(\S+) .*request_id=(\S+)")


def test_a_full_disk_is_told_of_and_heals(cramped: tuple[Run, Disk], desk: Desk) -> None:
    product, disk = cramped
    here, later, last = desk.rooms(3)
    now = datetime.now(UTC)
    desk.book(here, now, now + 2 * DAY, "Ada Before")
    assert within(60, lambda: desk.pin_state("Ada Before") == "active"), desk.stay("Ada Before")
    stay = desk.stay("Ada Before")
    assert stay is not None

    token = csrf(desk.web.get("/reservations").text)
    booked: list[str] = []
    answers: list[int] = []
    shown: list[int] = []
    disk.fill()
    try:
        for number in range(24):
            if number == 12:
                use_up_the_log(engine_url(product, "postgres"))
            booked.append(book(desk, later, number))
            answers += [desk.web.get("/").status_code, desk.api.get("/reservations").status_code]
            shown.append(reveal(desk, stay["id"], token))
            time.sleep(0.25)
        desk.book(last, now, now + 2 * DAY, "Berta During")
    finally:
        disk.free()
    # Nobody is told anything but what is so: it is done, or it cannot be done now.
    # PostgreSQL has no word of its own for a file that may not grow, as it has for a full disk.
    refusals = {503, 500} if isinstance(disk, FileLimits) else {503}
    assert set(answers) <= {200} | refusals, answers
    assert set(shown) <= {200} | refusals, shown
    assert 503 in shown, "the disk was never full"

    # Without a hand: everything that was booked meanwhile is in, and the door opens.
    assert within(90, lambda: ready(desk)), product.said
    for guest in booked:
        assert within(120, lambda g=guest: desk.pin_state(g) != "unknown"), guest
    for guest, room in (("Ada Before", here), ("Berta During", last)):
        assert within(120, lambda g=guest: desk.pin_state(g) == "active"), desk.stay(guest)
        digits = desk.reveal(guest)
        assert within(60, lambda r=room, d=digits: desk.opens(r, d)), guest
    checked = operator(product, "consistency")
    assert checked.returncode == 0, checked.stdout + checked.stderr

    # A message was taken only with its row, and refused so that its sender tries again.
    messages = dict(MESSAGE.findall(product.said))
    assert {int(status) for status in messages.values()} <= {200} | refusals, messages
    assert "503" in messages.values()
    stored = {request: event for event, request in STORED.findall(product.said)}
    taken = [request for request, status in messages.items() if status == "200"]
    assert taken
    for request in taken:
        assert desk.api.get(f"/events/{stored[request]}").status_code == 200, request

    # Whoever saw a PIN stands in the audit, and nobody else.
    rows = desk.api.get(
        "/audit", params={"entity": "reservation", "entity_id": stay["id"], "action": "reveal"}
    ).json()
    assert rows["pagination"]["total"] == shown.count(200) + 1


def book(desk: Desk, room: Room, number: int) -> str:
    guest = f"Carla Number{number}"
    begin = datetime.now(UTC) + (10 + 3 * number) * DAY
    desk.book(room, begin, begin + DAY, guest)
    return guest


def reveal(desk: Desk, stay_id: str, token: str) -> int:
    answer = desk.web.post(
        f"/reservations/{stay_id}/pin/reveal?in=row",
        data={"csrf_token": token},
        headers={"HX-Request": "true", "HX-Target": f"pin-{stay_id}"},
    )
    assert ("pin__digits" in answer.text) == (answer.status_code == 200), answer.text
    return answer.status_code


def ready(desk: Desk) -> bool:
    try:
        return desk.web.get("/health/ready").status_code == 200
    except httpx.HTTPError:
        return False
