"""Whatever falls, in whatever order: afterwards every promise is checked from outside (issue 9).

A failing plan is made again by its seed: PLAN_SEED=… ; PLAN_SECONDS=… makes it longer, PLAN_RUNS=…
has that many, with PLAN_SEED the ones that follow it.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from tests.faults import plans
from tests.faults.chaos import Chaos, raging
from tests.faults.desk import Desk, Room, within
from tests.faults.disks import Disk
from tests.faults.guests import House, busy
from tests.faults.promises import Promises
from tests.local.product import Run

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(590),
    pytest.mark.xdist_group("product"),  # one whole product at a time on two cores
]

SECONDS = float(os.environ.get("PLAN_SECONDS", "60"))
RUNS = int(os.environ.get("PLAN_RUNS", "1"))
DOORS = 5
#: lines of the product's own words that a failure shows
TAIL = 150


@contextmanager
def told(run: Run, seed: int, steps: list[str]) -> Iterator[None]:
    """Should it fail, what is needed to find out why: the seed, what was done when, the log."""
    try:
        yield
    except BaseException as error:
        words = [line for line in run.said.splitlines() if "path=/api/admin/" not in line]
        again = f"PLAN_SEED={seed} PLAN_SECONDS={SECONDS:.0f} bin/test -m faults -k random_plan"
        error.add_note("\n".join(["The product's last words:", *words[-TAIL:]]))
        error.add_note("\n".join(["What was done to it:", *steps, f"Once more: {again}"]))
        raise


@pytest.mark.parametrize("number", range(RUNS), ids=lambda number: f"run{number + 1}")
def test_every_promise_holds_after_a_random_plan(
    cramped: tuple[Run, Disk], desk: Desk, number: int
) -> None:
    product, disk = cramped
    asked = os.environ.get("PLAN_SEED")
    seed = int(asked) + number if asked else random.randrange(10**6)
    done: list[str] = []
    *rooms, turnover = desk.rooms(DOORS + 2)
    house = House(desk, rooms, random.Random(seed))
    with told(product, seed, done):
        leaves_at = turn_over(house, turnover)
        chaos = Chaos(product, disk, desk.sandbox)
        with raging(chaos, plans.make(seed, SECONDS), done) as through, busy(house):
            assert through.wait(SECONDS * 4 + 120)
        assert within(120, lambda: datetime.now(UTC) > leaves_at)
        promises = Promises(product, desk, house.ledger)
        promises.each_booking_stands_once_at_each_side()
        promises.every_guest_opens_the_own_door_and_no_other()
        promises.every_event_is_final_or_due()
        promises.rooms_equal_bookings()
        promises.rows_hold_together_and_locks_hold_what_rows_say()
        promises.the_audit_is_complete()


def turn_over(house: House, room: Room) -> datetime:
    """One guest's stay ends in the midst of it all, and the next one's begins then; when."""
    now = datetime.now(UTC)
    # Stays begin and end on whole minutes; this one has time to see its PIN first.
    boundary = (now + timedelta(seconds=max(SECONDS, 60) + 59)).replace(second=0, microsecond=0)
    for guest, begin, end in (
        ("Aurora Leaving", boundary - timedelta(hours=30), boundary),
        ("Bruno Coming", boundary, boundary + timedelta(hours=40)),
    ):
        booking = house.desk.book(room, begin, end, guest)
        house.ledger.booked.add(booking)
    house.ledger.here["Bruno Coming"] = (booking, room)
    assert within(60, lambda: house.desk.pin_state("Aurora Leaving") == "active")
    digits = house.desk.reveal("Aurora Leaving")
    house.ledger.gone.append(("Aurora Leaving", room, digits))
    return boundary
