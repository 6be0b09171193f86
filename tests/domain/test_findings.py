"""What a difference is about, and when it is still the same one."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from app.domain.findings import DECIDING, differing, fingerprint, night_subject
from app.models.reconciliation import DISCREPANCY_KINDS
from tests.discrepancies import side


def test_every_kind_says_what_it_is_about() -> None:
    assert set(DECIDING) == set(DISCREPANCY_KINDS)


@pytest.mark.parametrize(
    ("fields", "same"),
    [
        ({"as_of": "2026-03-11T00:00:00Z"}, True),
        ({"source": "webhook"}, True),
        ({"guest_name": "Ana de Souza"}, True),
        ({"check_out": "2026-03-16"}, False),
        ({"check_in": None}, False),
    ],
)
def test_only_what_the_kind_is_about_makes_it_another(fields: dict[str, Any], same: bool) -> None:
    theirs = side("beds24 reading", check_out="2026-03-15")
    before = fingerprint("dates", side(), theirs)
    assert (fingerprint("dates", side(), theirs | fields) == before) is same


def test_the_sides_are_not_the_same_the_other_way_round() -> None:
    here, there = side(), side(check_out="2026-03-15")
    assert fingerprint("dates", here, there) != fingerprint("dates", there, here)


def test_without_a_word_about_it_everything_counts() -> None:
    assert fingerprint("rate", {"a": 1}, {"a": 2}) != fingerprint("rate", {"a": 1}, {"a": 3})
    assert fingerprint("missing", {"a": 1}, None) != fingerprint("missing", {"a": 2}, None)


def test_where_and_when_are_no_difference() -> None:
    here, there = side("desk"), side("webhook", check_out="2026-03-15", as_of="later")
    assert differing(here, there) == ("check_out",)
    assert differing({"status": "confirmed"}, None) == ("status",)


def test_the_nights_of_a_room_sort_by_day() -> None:
    days = [date(2026, 12, 31), date(2027, 1, 1), date(2026, 2, 3)]
    assert sorted(night_subject("610011", day) for day in days) == [
        "610011 2026-02-03",
        "610011 2026-12-31",
        "610011 2027-01-01",
    ]
