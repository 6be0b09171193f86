"""More than a fifth and more than five (INTERFACES §5)."""

from __future__ import annotations

import pytest

from app.domain.safety_brake import explain, trips


@pytest.mark.parametrize(
    ("risky", "active", "stops"),
    [
        (0, 0, False),
        (5, 5, False),
        (6, 6, True),
        (6, 29, True),
        (6, 30, False),
        (20, 100, False),
        (21, 100, True),
        (6, 0, True),
    ],
)
def test_when_it_trips(risky: int, active: int, stops: bool) -> None:
    assert trips(risky, active) is stops


def test_it_says_what_it_saw() -> None:
    said = explain(6, 20, "Beds24")
    assert "6 of 20" in said
    assert "Check Beds24" in said
