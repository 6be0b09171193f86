"""Stays over a change of the clocks, and a machine whose clock is put back (issue 9, DECISIONS 23).

Doors, the desk's day and work in hand against the database, with the clock stepping through the
nights in which people turn theirs: by an hour, by half an hour, in both halves of the world.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from app.domain.states import PinJobKind
from app.models import Accommodation, PinJob, Reservation
from app.services import front_desk, pin_claims
from app.services.reservations import apply_copies
from app.transaction import transaction
from tests.channels import make_copy
from tests.conftest import Clock
from tests.factories import make_accommodation, make_mapping, make_property, make_stay
from tests.services.pin_bench import Door

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
LISBON, NEW_YORK = "Europe/Lisbon", "America/New_York"
SYDNEY, LORD_HOWE = "Australia/Sydney", "Australia/Lord_Howe"
#: the days in 2026 on which the clocks there are put forward and back
FORWARD = {
    LISBON: date(2026, 3, 29),
    NEW_YORK: date(2026, 3, 8),
    SYDNEY: date(2026, 10, 4),
    LORD_HOWE: date(2026, 10, 4),
}
BACK = {
    LISBON: date(2026, 10, 25),
    NEW_YORK: date(2026, 11, 1),
    SYDNEY: date(2026, 4, 5),
    LORD_HOWE: date(2026, 4, 5),
}
CHANGES = [(zone, day) for days in (FORWARD, BACK) for zone, day in days.items()]


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


def house(door: Door, zone: str, **fields: object) -> Accommodation:
    """The door's room stands in `zone` now; no lead and no grace unless said."""
    hours = {"pin_lead_hours": 0, "pin_grace_hours": 0, "pin_preload_hours": 6}
    home = make_property(timezone=zone, **(hours | fields))
    door.room = make_accommodation(home)
    door.lock = make_mapping(door.room)
    return door.room


def arrive(door: Door, external_id: str, first: date, last: date, **fields: object) -> Reservation:
    """A copy from the channel, taken in."""
    copy = make_copy(
        door.room,
        external_id,
        check_in_on=first,
        check_out_on=last,
        guest_name=external_id,
        **fields,
    )
    apply_copies([copy])
    with transaction() as session:
        wanted = select(Reservation).where(Reservation.external_id == external_id)
        return session.scalars(wanted).one()


def moments(first: date, days: int, tz: ZoneInfo) -> list[datetime]:
    """When people look at the wall: by day and in the night, twice where it is twice."""
    looks = (time(0), time(1, 30), time(2, 30), time(10, 59), time(11), time(14, 59), time(15))
    return sorted(
        {
            datetime.combine(first + n * DAY, look, tz).replace(fold=fold).astimezone(UTC)
            for n in range(days)
            for look in looks
            for fold in (0, 1)
        }
    )


# The nights of the change, at the door


@pytest.mark.faults
@pytest.mark.parametrize(("zone", "day"), CHANGES)
def test_doors_open_by_the_clock_on_the_wall(
    door: Door, clock: Clock, zone: str, day: date
) -> None:
    """Guests of one night each, from two nights before the change: at every step exactly the one
    whose stay the wall clock says it is gets in."""
    tz = ZoneInfo(zone)
    house(door, zone, check_in_time=time(15), check_out_time=time(11))
    begin = day - 2 * DAY
    clock.set(datetime.combine(begin, time(0), tz).astimezone(UTC))
    nights = {f"N{n}": begin + n * DAY for n in range(4)}
    stays = {name: arrive(door, name, on, on + DAY) for name, on in nights.items()}
    digits: dict[str, str] = {}
    for moment in moments(begin, 5, tz):
        clock.set(moment)
        door.work()
        door.locks.sync()
        wall = moment.astimezone(tz).replace(tzinfo=None)
        for name, on in nights.items():
            if name not in digits and door.view(stays[name]).state == "active":
                digits[name] = door.digits(stays[name])
            first, last = datetime.combine(on, time(15)), datetime.combine(on + DAY, time(11))
            inside = first <= wall < last
            if name in digits:
                assert door.opens(digits[name]) is inside, (name, wall)
            else:
                assert not inside, (name, wall)
    assert set(digits) == set(nights)
    door.settle()
    assert door.listed() == [], "nothing of theirs is left on the lock"


@pytest.mark.parametrize(
    ("zone", "day", "at", "opens"),
    [
        # no clock shows these: as late as the clock was put forward by
        (LISBON, FORWARD[LISBON], time(1, 30), utc(2026, 3, 29, 1, 30)),
        (NEW_YORK, FORWARD[NEW_YORK], time(2, 30), utc(2026, 3, 8, 7, 30)),
        (SYDNEY, FORWARD[SYDNEY], time(2, 30), utc(2026, 10, 3, 16, 30)),
        (LORD_HOWE, FORWARD[LORD_HOWE], time(2, 15), utc(2026, 10, 3, 15, 45)),
        # clocks show these twice: who arrives is let in the first time
        (LISBON, BACK[LISBON], time(1, 30), utc(2026, 10, 25, 0, 30)),
        (NEW_YORK, BACK[NEW_YORK], time(1, 30), utc(2026, 11, 1, 5, 30)),
        (SYDNEY, BACK[SYDNEY], time(2, 30), utc(2026, 4, 4, 15, 30)),
        (LORD_HOWE, BACK[LORD_HOWE], time(1, 45), utc(2026, 4, 4, 14, 45)),
    ],
)
def test_an_arrival_at_a_time_that_is_not_or_is_twice(
    door: Door, clock: Clock, zone: str, day: date, at: time, opens: datetime
) -> None:
    house(door, zone)
    clock.set(opens - 3 * HOUR)
    stay = arrive(door, "EARLY", day, day + 2 * DAY, check_in_time=at)
    assert stay.check_in_at == opens
    assert (stay.check_in_on, stay.check_out_on) == (day, day + 2 * DAY)
    door.settle()
    digits = door.digits(stay)
    clock.set(opens - SECOND)
    assert not door.opens(digits)
    clock.set(opens)
    assert door.opens(digits)


@pytest.mark.parametrize(
    ("zone", "at", "closes"),
    [
        # who leaves may stay for the second time
        (LISBON, time(1, 30), utc(2026, 10, 25, 1, 30)),
        (NEW_YORK, time(1, 30), utc(2026, 11, 1, 6, 30)),
        (SYDNEY, time(2, 30), utc(2026, 4, 4, 16, 30)),
        (LORD_HOWE, time(1, 45), utc(2026, 4, 4, 15, 15)),
    ],
)
def test_a_departure_at_a_time_that_is_twice(
    door: Door, clock: Clock, zone: str, at: time, closes: datetime
) -> None:
    house(door, zone)
    clock.set(closes - 12 * HOUR)
    day = BACK[zone]
    stay = arrive(door, "LATE", day - 2 * DAY, day, check_out_time=at)
    assert stay.check_out_at == closes
    door.settle()
    digits = door.digits(stay)
    clock.set(closes - SECOND)
    assert door.opens(digits)
    clock.set(closes)
    assert not door.opens(digits)


@pytest.mark.parametrize("zone", FORWARD)
def test_the_house_hours_move_by_the_wall(door: Door, clock: Clock, zone: str) -> None:
    """Lead and grace are hours that pass, not hours on the wall: two are two, also that night."""
    for day in (FORWARD[zone], BACK[zone]):
        house(door, zone, check_in_time=time(4), pin_lead_hours=3, pin_grace_hours=5)
        four = datetime.combine(day, time(4), ZoneInfo(zone)).astimezone(UTC)
        clock.set(four - 8 * HOUR)
        stay = arrive(door, f"LEAD{day}", day, day + DAY)
        door.settle()
        credential = door.credential(stay)
        assert (credential.valid_from, credential.expires_at) == (
            four - 3 * HOUR,
            stay.check_out_at + 5 * HOUR,
        )


# The day, at the desk


@pytest.mark.parametrize(("zone", "day"), CHANGES)
def test_tomorrows_guest_arrives_when_the_day_begins(
    door: Door, clock: Clock, zone: str, day: date
) -> None:
    """A day of 23, 25 or 24½ hours has one midnight: not an hour before, nor after."""
    house(door, zone)
    tomorrow = day + DAY
    midnight = datetime.combine(tomorrow, time(0), ZoneInfo(zone)).astimezone(UTC)
    stay = make_stay(door.room, check_in=tomorrow)
    clock.set(midnight - SECOND)
    assert not front_desk.foresee_check_in(stay.id).valid
    clock.set(midnight)
    assert front_desk.foresee_check_in(stay.id).valid


# A machine's own clock, which somebody or something sets


@pytest.mark.parametrize("back", [3 * SECOND, HOUR], ids=["by seconds", "by an hour"])
def test_a_clock_put_back_makes_no_second_pin(door: Door, clock: Clock, back: timedelta) -> None:
    house(door, LISBON)
    begin = clock.now + 2 * HOUR
    stay = make_stay(door.room, check_in=begin)
    door.plan(stay)
    door.work()
    clock.set(clock.now - back)  # between the order and its arrival
    door.work()
    door.locks.sync()
    door.settle(seconds=back.total_seconds() + 30)
    assert door.view(stay).state == "active"
    digits = door.digits(stay)
    clock.set(begin)
    assert door.opens(digits)
    clock.set(begin - back)  # once more, with the guest in the room: the lock's word counts
    door.settle()
    clock.set(begin + MINUTE)
    door.settle()
    assert len(door.listed()) == 1
    assert door.opens(digits)
    clock.set(stay.check_out_at)
    assert not door.opens(digits)
    door.settle()
    assert door.listed() == []


def test_work_of_a_dead_worker_is_taken_up_though_its_clock_was_put_back(
    door: Door, clock: Clock
) -> None:
    """A lease is as much longer as the clock was put back, and no more."""
    house(door, LISBON)
    stay = make_stay(door.room, check_in=clock.now + HOUR)
    door.plan(stay)
    with transaction() as session:
        mine = PinJob.reservation_id == stay.id
        assert pin_claims.claim(session, PinJobKind.GENERATE, mine) is not None
    clock.move(seconds=-3)
    door.work()
    assert door.listed() == [], "still in hand"
    clock.move(seconds=3 + 45 + 1)
    door.work()
    assert len(door.listed()) == 1
