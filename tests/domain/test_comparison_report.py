"""The figures of the weekly report, number by number."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.comparison_report import KINDS, Compared, Difference, figures, kinds, ordered


def side(amount: str | None = "100.00", currency: str | None = "BRL") -> dict[str, Any]:
    return {"amount": amount, "currency": currency}


def differs(external_id: str, *words: str, ours: Any = None, theirs: Any = None) -> Difference:
    return Difference(external_id, tuple(words), ours, theirs)


def test_nothing_at_all() -> None:
    assert figures(Compared(frozenset())) == {
        "compared": 0, "agree": 0, "differ": 0, "kinds": {}, "not_compared": {}, "money": {}
    }  # fmt: skip


def test_what_was_not_compared_neither_agrees_nor_differs() -> None:
    compared = Compared(
        {"a", "b", "c", "d"}, [differs("d", "dates", "room"), differs("x", "only_there")]
    )
    compared.leave("moving", "b")
    compared.leave("unreadable", "c")
    compared.leave("unreadable", None)
    compared.leave("unreadable", None)
    compared.leave("moving", "y")  # theirs alone
    compared.unsent = 3
    found = figures(compared)
    assert (found["compared"], found["agree"], found["differ"]) == (3, 1, 2)
    assert found["kinds"] == {"only_there": 1, "dates": 1, "room": 1}
    assert list(found["kinds"]) == ["only_there", "dates", "room"]
    assert found["not_compared"] == {"unreadable": 3, "moving": 2, "unsent": 3}


def test_money_is_added_up_per_currency_and_never_across() -> None:
    compared = Compared(
        {"a", "b", "c", "d", "e", "f"},
        [
            differs("a", "amount", ours=side("100.00"), theirs=side("110.10")),
            differs("b", "amount", ours=side("100.00"), theirs=side("79.80")),
            differs("c", "amount", ours=side(None, None), theirs=side("5.00", "EUR")),
            differs("d", "currency", ours=side(), theirs=side("900.00", "EUR")),
            differs("e", "only_here", ours=side("0.10")),
            differs("f", "only_here", ours=side(None, None)),
            differs("g", "only_there", theirs=side("0.20")),
            differs("h", "status", ours=side(), theirs=side("0.00")),
        ],
    )
    assert figures(compared)["money"] == {
        "BRL": {"less": "20.20", "more": "10.10", "only_here": "0.10", "only_there": "0.20"},
        "EUR": {"more": "5.00"},
    }


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["create"], ("only_there",)),
        (["missing"], ("only_here",)),
        (["cancel"], ("status",)),
        (["confirm", "adjust_amount"], ("status", "amount")),
        (["guest", "dates"], ("dates", "guest")),
        (["fill_guest", "guest"], ("guest",)),
    ],
)
def test_what_a_plan_would_do_says_what_differs(
    words: list[str], expected: tuple[str, ...]
) -> None:
    assert kinds(words) == expected


def test_the_gravest_come_first() -> None:
    found = [differs("b", "guest"), differs("a", "amount", "guest"), differs("c", *KINDS[:2]),
             differs("b2", "amount")]  # fmt: skip
    assert [each.external_id for each in ordered(found)] == ["c", "a", "b2", "b"]
