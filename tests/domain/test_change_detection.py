"""What counts as a change, and what a channel may not do (C-17, C-20, DECISIONS 17)."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.change_detection import KEPT, SAID, changes, moved, settle_status
from app.domain.states import ReservationStatus

STORED: dict[str, Any] = {name: f"old {name}" for name in (*KEPT, *SAID)}


def test_the_same_is_no_change() -> None:
    assert changes(STORED, dict(STORED)) == {}


@pytest.mark.parametrize("name", [*KEPT, *SAID])
def test_every_field_is_watched(name: str) -> None:
    assert changes(STORED, STORED | {name: "new"}) == {name: "new"}


@pytest.mark.parametrize("name", KEPT)
def test_what_is_not_said_never_erases(name: str) -> None:
    assert changes(STORED, STORED | {name: None}) == {}


@pytest.mark.parametrize("name", ["unknown_status", "cancelled_at"])
def test_a_flag_can_go(name: str) -> None:
    assert changes(STORED, STORED | {name: None}) == {name: None}


@pytest.mark.parametrize(
    ("name", "is_move"),
    [("check_in_at", True), ("accommodation_id", True), ("guest_name", False), ("status", False)],
)
def test_moves(name: str, is_move: bool) -> None:
    assert moved({name: "new"}) is is_move


@pytest.mark.parametrize("stored", [None, *ReservationStatus])
@pytest.mark.parametrize("said", ["pending", "confirmed", "cancelled", None])
def test_every_pair_of_statuses(stored: str | None, said: str | None) -> None:
    status, unknown = settle_status(stored, said, "raw word")
    assert status in set(ReservationStatus)
    assert unknown == ("raw word" if said is None else None)
    if stored in ("checked_in", "checked_out", "no_show"):
        assert status == stored
    elif said is None:
        assert status == (stored or "pending")
    elif (stored, said) == ("pending_sync", "pending"):
        assert status == "pending_sync"
    else:
        assert status == said


def test_an_empty_word_is_still_named() -> None:
    assert settle_status("confirmed", None, "") == ("confirmed", "(empty)")
