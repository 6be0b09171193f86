"""Every rule about one booking on two sides, its boundaries, and that fixing converges (B24R)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.comparison import Action, Do, Ours, Theirs, compare, same_guest
from app.domain.states import ReservationStatus

IN, OUT = date(2026, 3, 20), date(2026, 3, 22)
STATUSES = [status.value for status in ReservationStatus]


def ours(**fields: Any) -> Ours:
    said: dict[str, Any] = {
            "status": "confirmed", "home": "h", "room": "r1", "room_type": "t", "guest": "Ana Sá",
            "amount": Decimal(200), "currency": "EUR", "check_in": IN,
            "check_out": OUT}  # fmt: skip
    return Ours(**(said | fields))


def theirs(**fields: Any) -> Theirs:
    said: dict[str, Any] = {
            "status": "confirmed", "home": "h", "room": "r1", "room_type": "t", "guest": "Ana Sá",
            "amount": Decimal(200), "currency": "EUR", "units": 1, "check_in": IN,
            "check_out": OUT}  # fmt: skip
    return Theirs(**(said | fields))


def said(actions: list[Action]) -> list[str]:
    """`adjust_amount`, or `dates high` for a flag."""
    return [
        f"{action.kind} {action.risk}" if action.do is Do.FLAG else action.do for action in actions
    ]


def test_two_that_agree() -> None:
    assert compare(ours(), theirs()) == []


@pytest.mark.parametrize(
    ("mine", "channel", "expected"),
    [
        # only there
        (None, {}, ["create"]),
        (None, {"status": "pending"}, ["create"]),
        (None, {"status": "cancelled"}, []),
        (None, {"kind": "block"}, []),
        (None, {"kind": "inquiry", "status": "pending"}, []),
        # only here
        ({}, None, ["missing high"]),
        ({"status": "pending"}, None, ["missing high"]),
        ({"status": "checked_in"}, None, ["missing high"]),
        ({"status": "checked_out"}, None, ["missing medium"]),
        ({"status": "no_show"}, None, []),
        ({"status": "cancelled"}, None, []),
        ({"status": "failed"}, None, []),
        # over there
        ({}, {"status": "cancelled"}, ["cancel"]),
        ({"status": "pending"}, {"status": "cancelled"}, ["cancel"]),
        ({"status": "pending_sync"}, {"status": "cancelled"}, ["cancel"]),
        ({"status": "checked_in"}, {"status": "cancelled"}, ["status high"]),
        ({"status": "checked_out"}, {"status": "cancelled"}, ["status medium"]),
        ({"status": "no_show"}, {"status": "cancelled"}, []),
        ({"status": "cancelled"}, {"status": "cancelled", "amount": Decimal(9)}, []),
        # what is cancelled says nothing about days or prices any more
        ({}, {"status": "cancelled", "check_in": date(2026, 3, 19), "amount": Decimal(9)},
         ["cancel"]),
        # over here
        ({"status": "cancelled"}, {}, ["status high"]),
        ({"status": "failed"}, {}, ["status high"]),
        ({"status": "cancelled"}, {"check_in": date(2026, 3, 19)}, ["status high"]),
        # what the front desk has recorded is not undone
        ({"status": "checked_in"}, {}, []),
        ({"status": "checked_out"}, {}, []),
        ({"status": "no_show"}, {"check_in": date(2026, 3, 19)}, []),
        ({"status": "checked_in"}, {"status": "pending"}, []),
        # requests
        ({"status": "pending"}, {}, ["confirm"]),
        ({}, {"status": "pending"}, ["status high"]),
        ({"status": "pending"}, {"status": "pending"}, []),
        ({"status": "pending_sync"}, {"status": "pending"}, []),
        # no stays any more
        ({}, {"kind": "block"}, ["status high"]),
        ({}, {"kind": "inquiry", "status": "pending"}, ["status high"]),
        ({"status": "pending"}, {"kind": "inquiry", "status": "pending"}, []),
        ({"status": "cancelled"}, {"kind": "block"}, []),
        # days
        ({}, {"check_in": date(2026, 3, 19)}, ["dates high"]),
        ({}, {"check_out": date(2026, 3, 23)}, ["dates high"]),
        ({"status": "checked_in"}, {"check_out": date(2026, 3, 23)}, ["dates high"]),
        # rooms
        ({}, {"room": "r2"}, ["room high"]),
        ({"room": None}, {}, ["room high"]),
        ({}, {"home": "other"}, ["room high"]),
        ({"room": "r2"}, {"room": None}, []),
        ({}, {"room": None, "room_type": "u"}, ["room high"]),
        ({"room_type": None}, {"room": None}, []),
        ({"status": "checked_out"}, {"room": "r2"}, []),
        ({"units": 2}, {"units": 3}, ["room high"]),
        ({"units": 2}, {"units": 1}, ["room high"]),
        ({"units": 2}, {"units": None}, []),
        # guests
        ({}, {"guest": "Rui Sá"}, ["guest medium"]),
        ({}, {"guest": None}, []),
        ({}, {"guest": ""}, []),
        ({}, {"guest": "SÁ, ana"}, []),
        ({"guest": None}, {}, ["fill_guest"]),
        ({"guest": None, "forgotten": True}, {}, []),
        # several at once
        ({"guest": "Rui"}, {"check_in": date(2026, 3, 19), "amount": Decimal(201)},
         ["dates high", "adjust_amount", "guest medium"]),
    ],
)  # fmt: skip
def test_the_rules(
    mine: dict[str, Any] | None, channel: dict[str, Any] | None, expected: list[str]
) -> None:
    one = None if mine is None else ours(**mine)
    other = None if channel is None else theirs(**channel)
    assert said(compare(one, other)) == expected


@pytest.mark.parametrize(
    ("mine", "channel", "expected"),
    [
        ("200", "200", []),
        ("200", "200.00", []),
        ("200", "210", ["adjust_amount"]),  # exactly 5 % is fixed
        ("200", "190", ["adjust_amount"]),
        ("200", "210.01", ["amount high"]),
        ("200", "189.99", ["amount high"]),
        ("0.20", "0.21", ["adjust_amount"]),  # 5 % in Decimal, which a float is not
        ("0.10", "0.11", ["amount high"]),
        ("100", "105.01", ["amount high"]),
        ("0", "1", ["amount high"]),
        (None, "1", ["amount high"]),
        ("0", "0", []),
        (None, "0", []),
        (None, None, []),
        ("200", None, []),
        ("200", "0", ["amount high"]),
        ("-200", "-210", ["adjust_amount"]),
        ("-200", "200", ["amount high"]),
    ],
)
def test_amounts(mine: str | None, channel: str | None, expected: list[str]) -> None:
    one = ours(amount=mine and Decimal(mine))
    other = theirs(amount=channel and Decimal(channel))
    assert said(compare(one, other)) == expected


@pytest.mark.parametrize(
    ("mine", "channel", "expected"),
    [
        (("200", "EUR"), ("200", "USD"), ["currency high"]),
        (("200", "EUR"), ("205", "USD"), ["currency high"]),
        (("200", None), ("205", "USD"), ["adjust_amount"]),
        (("0", "EUR"), ("0", "USD"), []),
        (("0", "EUR"), ("5", "USD"), ["amount high"]),
        (("200", "EUR"), ("0", "USD"), ["currency high"]),
    ],
)
def test_currencies_are_never_compared_across(
    mine: tuple[str, str | None], channel: tuple[str, str], expected: list[str]
) -> None:
    one = ours(amount=Decimal(mine[0]), currency=mine[1])
    other = theirs(amount=Decimal(channel[0]), currency=channel[1])
    assert said(compare(one, other)) == expected


def test_names_are_the_same_however_they_are_written() -> None:
    assert same_guest("José  Álvares", "alvares, JOSE")
    assert not same_guest("José Álvares", "José Álvarez")
    assert not same_guest("Ana Ana", "Ana")


DAYS = st.integers(0, 3).map(lambda n: date(2026, 3, 19 + n))
AMOUNTS = st.none() | st.decimals(Decimal(-5), Decimal(300), places=2)
SHARED = {
    "home": st.sampled_from(["h", "i"]),
    "room": st.sampled_from([None, "r1", "r2"]),
    "room_type": st.sampled_from([None, "t", "u"]),
    "amount": AMOUNTS,
    "currency": st.sampled_from([None, "EUR", "USD"]),
    "guest": st.sampled_from([None, "", "Ana", "Rui"]),
    "check_in": DAYS,
    "check_out": DAYS,
}
MINE = st.none() | st.builds(
    Ours, status=st.sampled_from(STATUSES), units=st.integers(1, 3), forgotten=st.booleans(),
    **SHARED,
)  # fmt: skip
CHANNEL = st.none() | st.builds(
    Theirs, status=st.sampled_from(["pending", "confirmed", "cancelled"]),
    kind=st.sampled_from(["stay", "stay", "block", "inquiry"]),
    units=st.none() | st.integers(1, 3), **SHARED,
)  # fmt: skip


def carried_out(mine: Ours | None, channel: Theirs | None) -> Ours | None:
    """Our side once everything but the flags is done."""
    for action in compare(mine, channel):
        if action.do is Do.CREATE:
            assert channel is not None
            return Ours(
                channel.status, channel.check_in, channel.check_out, channel.home, channel.room,
                channel.room_type, channel.units or 1, channel.amount, channel.currency,
                channel.guest,
            )  # fmt: skip
        if action.do is Do.FLAG:
            continue
        assert mine is not None
        assert channel is not None
        if action.do is Do.CANCEL:
            mine = replace(mine, status="cancelled")
        elif action.do is Do.CONFIRM:
            mine = replace(mine, status="confirmed")
        elif action.do is Do.ADJUST:
            mine = replace(mine, amount=channel.amount)
        elif action.do is Do.FILL:
            mine = replace(mine, guest=channel.guest)
    return mine


@given(MINE, CHANNEL)
def test_one_pass_leaves_nothing_but_flags(mine: Ours | None, channel: Theirs | None) -> None:
    first = compare(mine, channel)
    after = carried_out(mine, channel)
    second = compare(after, channel)
    assert all(action.do is Do.FLAG for action in second)
    assert carried_out(after, channel) == after
    cancelled = any(action.do is Do.CANCEL for action in first)
    flags = [action for action in first if action.do is Do.FLAG]
    assert second == ([] if cancelled else flags)


@given(MINE, CHANNEL)
def test_the_front_desk_is_never_overruled(mine: Ours | None, channel: Theirs | None) -> None:
    recorded = ("checked_in", "checked_out", "no_show")
    after = carried_out(mine, channel)
    if mine is not None and mine.status in recorded:
        assert after is not None
        assert after.status == mine.status


@given(MINE)
def test_what_is_missing_is_never_cancelled(mine: Ours | None) -> None:
    assert carried_out(mine, None) == mine
