"""The one rule for a room's status (DECISIONS 11, C-35…C-37, ROOM-03…08, ROOM-13)."""

from __future__ import annotations

import itertools

import pytest

from app.domain.room_status import (
    EMPTY,
    STICKY,
    RoomStatus,
    after_cleaning,
    implied,
    refusals,
)

S = RoomStatus
EVERY = list(RoomStatus)
FACTS = list(itertools.product((False, True), repeat=2))


@pytest.mark.parametrize(
    ("current", "occupied", "reserved", "left", "expected"),
    [
        (S.AVAILABLE, True, False, False, S.OCCUPIED),
        (S.RESERVED, True, True, False, S.OCCUPIED),
        (S.AVAILABLE, False, True, False, S.RESERVED),
        (S.OCCUPIED, True, True, False, S.OCCUPIED),
        (S.OCCUPIED, False, False, True, S.DIRTY),
        (S.OCCUPIED, False, True, True, S.RESERVED),
        (S.RESERVED, False, False, False, S.AVAILABLE),
        (S.OCCUPIED, False, False, False, S.AVAILABLE),
        (S.DIRTY, False, False, False, S.DIRTY),
        (S.CLEAN, False, False, False, S.CLEAN),
        (S.DIRTY, False, True, False, S.RESERVED),
    ],
)
def test_what_the_stays_imply(
    current: S, occupied: bool, reserved: bool, left: bool, expected: S
) -> None:
    verdict = implied(current, occupied=occupied, reserved=reserved, left=left)
    assert verdict.status == expected


@pytest.mark.parametrize("current", sorted(STICKY))
@pytest.mark.parametrize(("occupied", "reserved"), FACTS)
def test_a_closed_room_stays_closed(current: S, occupied: bool, reserved: bool) -> None:
    assert implied(current, occupied=occupied, reserved=reserved, left=True).status == current


def test_the_design_documents_reasons() -> None:
    """ROOM-15."""
    orphan = implied(S.OCCUPIED, occupied=False, reserved=False)
    assert orphan.reason == "No checked-in guest found"
    forgotten = implied(S.RESERVED, occupied=False, reserved=False)
    assert forgotten.reason == "No active reservations found"


@pytest.mark.parametrize("current", EVERY)
@pytest.mark.parametrize(("occupied", "reserved"), FACTS)
def test_the_rule_agrees_with_itself(current: S, occupied: bool, reserved: bool) -> None:
    """A second scan finds nothing left to do."""
    once = implied(current, occupied=occupied, reserved=reserved).status
    assert implied(once, occupied=occupied, reserved=reserved).status == once


@pytest.mark.parametrize("current", EVERY)
@pytest.mark.parametrize("wanted", EVERY)
@pytest.mark.parametrize(("occupied", "reserved"), FACTS)
def test_what_a_person_may_set_no_scan_takes_back(
    current: S, wanted: S, occupied: bool, reserved: bool
) -> None:
    if wanted == current or refusals(current, wanted, occupied=occupied, reserved=reserved):
        return
    assert implied(wanted, occupied=occupied, reserved=reserved).status == wanted


def test_all_reasons_come_at_once() -> None:
    found = refusals(S.DIRTY, S.AVAILABLE, occupied=True, reserved=False)
    assert len(found) == 2


def test_a_reserved_room_may_be_closed_but_not_an_occupied_one() -> None:
    """INTERFACES §5."""
    assert refusals(S.RESERVED, S.MAINTENANCE, occupied=False, reserved=True) == []
    assert refusals(S.OCCUPIED, S.OUT_OF_SERVICE, occupied=True, reserved=False)


def test_a_closed_room_opens_to_what_its_bookings_say() -> None:
    for closed in STICKY:
        assert refusals(closed, S.RESERVED, occupied=False, reserved=True) == []
        assert refusals(closed, S.AVAILABLE, occupied=False, reserved=True)
        for empty in EMPTY:
            assert refusals(closed, empty, occupied=False, reserved=False) == []


def test_cleaning() -> None:
    assert after_cleaning(S.DIRTY) == S.AVAILABLE
    assert after_cleaning(S.OCCUPIED) == S.OCCUPIED
    assert after_cleaning(S.MAINTENANCE) == S.MAINTENANCE
