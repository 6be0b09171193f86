"""Failures grouped by what mends them (issue 4, P2-DLQ)."""

from __future__ import annotations

import pytest

from app.domain.event_causes import cause_of, grouped


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("booking S1 has no room", "booking S22 has no room"),
        (
            "check_out 2026-03-10 is not after 2026-03-12",
            "check_out 2026-04-01 is not after 2026-4-2",
        ),
        (
            "no event 0193a7c2-4e1b-7c11-8a55-0d2f6a1b2c3d here",
            "no event 11111111-4e1b-7c11-8a55-0d2f6a1b2c3d here",
        ),
        ("status 'foo' is unknown", "status 'bar baz' is unknown"),
        ("it  took\n30.5 s", "it took 7 s"),
    ],
)
def test_the_same_failure_of_two_bookings_is_one_cause(one: str, other: str) -> None:
    assert cause_of("stays", "invalid", one) == cause_of("stays", "invalid", other)


def test_a_field_a_kind_and_a_source_make_causes_different() -> None:
    one = cause_of("stays", "invalid", "payload._id: expected an id")
    assert one != cause_of("stays", "invalid", "data.check_in: expected a day")
    assert one != cause_of("stays", "internal", "payload._id: expected an id")
    assert one != cause_of("beds24", "invalid", "payload._id: expected an id")
    assert "payload._id: expected an id" in one.text


def test_rooms_that_are_not_mapped_are_mended_one_by_one() -> None:
    said = "room {} of property 51001 is not mapped"
    causes = {cause_of("beds24", "unmapped_room", said.format(n)) for n in (610011, 610012)}
    assert len(causes) == 2
    assert {cause.text for cause in causes} == {said.format(610011), said.format(610012)}


def test_the_key_is_stable_short_and_made_for_an_address() -> None:
    key = cause_of("stays", "invalid", "booking S1").key
    assert key == cause_of("stays", "invalid", "booking S9").key
    assert len(key) == 12
    assert key.isalnum()


def test_an_event_that_says_nothing_has_a_cause_too() -> None:
    assert cause_of("stays", None, None).kind == "unknown"


def test_the_largest_group_stands_first_and_keeps_its_order() -> None:
    a, b = cause_of("stays", "invalid", "a"), cause_of("stays", "invalid", "b")
    groups = grouped([(a, 1), (b, 2), (b, 3)])
    assert [(group.cause, group.members) for group in groups] == [(b, (2, 3)), (a, (1,))]
