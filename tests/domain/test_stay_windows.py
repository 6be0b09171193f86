"""Windows of one door never overlap (C-04, INTERFACES §2, DECISIONS 5 and 16)."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from app.domain.stay_windows import Policy, Stay, plan_windows

DAY = datetime(2024, 2, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
DEFAULT = Policy(lead=2 * HOUR, grace=24 * HOUR, preload=timedelta(0))


def stay(check_in: datetime, check_out: datetime, booked: int = 0) -> Stay:
    stay_id = uuid4()
    return Stay(stay_id, check_in, check_out, (1, DAY + timedelta(minutes=booked), str(stay_id)))


def test_the_seed_example() -> None:
    """PIN-04, C-01: in at 10:00 gives 08:00; out at 14:00 gives 14:00 a day later."""
    one = stay(DAY + 10 * HOUR, DAY + timedelta(days=3) + 14 * HOUR)
    window = plan_windows([one], DEFAULT)[one.id]
    assert window.opens_at == window.send_at == datetime(2024, 2, 5, 8, tzinfo=UTC)
    assert window.closes_at == datetime(2024, 2, 9, 14, tzinfo=UTC)


def test_same_day_turnover_cuts_the_grace() -> None:
    leaving = stay(DAY, DAY + 11 * HOUR)
    coming = stay(DAY + 15 * HOUR, DAY + 48 * HOUR)
    windows = plan_windows([coming, leaving], DEFAULT)
    assert windows[leaving.id].closes_at == windows[coming.id].opens_at == DAY + 13 * HOUR


def test_a_tight_turnover_begins_at_the_check_out() -> None:
    """The cap never falls before the stay's own check-out."""
    leaving = stay(DAY, DAY + 11 * HOUR)
    coming = stay(DAY + 12 * HOUR, DAY + 48 * HOUR)
    windows = plan_windows([leaving, coming], DEFAULT)
    assert windows[leaving.id].closes_at == windows[coming.id].opens_at == DAY + 11 * HOUR


def test_preload_sends_earlier_and_opens_no_earlier() -> None:
    one = stay(DAY + 15 * HOUR, DAY + 48 * HOUR)
    window = plan_windows([one], Policy(2 * HOUR, HOUR, 20 * HOUR))[one.id]
    assert window.opens_at - window.send_at == 20 * HOUR
    assert window.opens_at == DAY + 13 * HOUR


def test_of_two_overlapping_stays_the_earlier_booked_keeps_the_room() -> None:
    late = stay(DAY + 15 * HOUR, DAY + 40 * HOUR, booked=9)
    early = stay(DAY + 20 * HOUR, DAY + 60 * HOUR, booked=1)
    windows = plan_windows([late, early], DEFAULT)
    assert windows[early.id].rival is None
    assert windows[late.id].rival == early.id


_hours = st.integers(min_value=0, max_value=24 * 30)
_stays = st.lists(st.tuples(_hours, st.integers(1, 240), st.integers(0, 500)), max_size=25)
_policies = st.builds(
    Policy,
    lead=st.integers(0, 72).map(lambda h: h * HOUR),
    grace=st.integers(0, 168).map(lambda h: h * HOUR),
    preload=st.integers(0, 48).map(lambda h: h * HOUR),
)


@given(_stays, _policies)
def test_no_two_windows_of_one_door_overlap(
    numbers: list[tuple[int, int, int]], policy: Policy
) -> None:
    stays = [stay(DAY + a * HOUR, DAY + (a + n) * HOUR, b) for a, n, b in numbers]
    by_id: dict[UUID, Stay] = {s.id: s for s in stays}
    windows = plan_windows(stays, policy)
    assert windows.keys() == by_id.keys()
    holders = sorted(((w.opens_at, w.closes_at, i) for i, w in windows.items() if w.rival is None))
    for (_, closes, _), (opens, _, _) in itertools.pairwise(holders):
        assert closes <= opens
    for opens, closes, stay_id in holders:
        assert opens <= by_id[stay_id].check_in_at
        assert closes >= by_id[stay_id].check_out_at
    for stay_id, window in windows.items():
        if window.rival is not None:
            other = by_id[window.rival]
            assert windows[other.id].rival is None
            assert other.check_in_at < by_id[stay_id].check_out_at
            assert other.check_out_at > by_id[stay_id].check_in_at
            assert other.rank <= by_id[stay_id].rank
