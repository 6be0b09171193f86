"""What a comparison of everything active amounts to: figures for one page, differences by id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

#: what two copies of a booking can differ in, gravest first
KINDS = ("only_here", "only_there", "status", "dates", "room", "currency", "amount", "guest")
#: why a booking was not compared: it cannot be read, its room is not mapped, it was on its way, it
#: was not in the reading and there were too many to ask for, or its channel has not been told
REASONS = ("unreadable", "unmapped", "moving", "not_asked", "unsent")
#: what a planned step or flag says about a difference
_KIND_OF = {
    "create": "only_there",
    "cancel": "status",
    "confirm": "status",
    "adjust_amount": "amount",
    "fill_guest": "guest",
    "missing": "only_here",
}

Side = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """A booking on which the sides differ, each side in plain values and without its guest: status,
    check_in, check_out, room, units, amount, currency."""

    external_id: str
    kinds: tuple[str, ...]
    ours: Side | None
    theirs: Side | None
    reservation_id: str | None = None

    def plain(self) -> dict[str, Any]:
        """As a report keeps it."""
        return {
            "id": self.external_id,
            "kinds": list(self.kinds),
            "ours": None if self.ours is None else dict(self.ours),
            "theirs": None if self.theirs is None else dict(self.theirs),
            "reservation_id": self.reservation_id,
        }


@dataclass(slots=True)
class Compared:
    """What came of comparing `ours`, the bookings of ours that had to be, and what only the channel
    has. `left` are those that were not compared, by reason; `unsent` have no id to name."""

    ours: AbstractSet[str]
    differences: list[Difference] = field(default_factory=list)
    left: dict[str, set[str]] = field(default_factory=dict)
    unsent: int = 0

    def leave(self, reason: str, external_id: str | None) -> None:
        """One that was not compared; of what has no id at least the number is known."""
        ids = self.left.setdefault(reason, set())
        ids.add(external_id or f"#{len(ids)}")


def kinds(words: Iterable[str]) -> tuple[str, ...]:
    """The kinds of a difference, gravest first, from what a plan would do about it."""
    said = {_KIND_OF.get(word, word) for word in words}
    return tuple(kind for kind in KINDS if kind in said)


def figures(compared: Compared) -> dict[str, Any]:
    """The numbers of the page, in bookings: of those compared, how many agree and how many differ
    in what; of the others, why they were not. A difference counts once in each of its kinds."""
    differing = {each.external_id for each in compared.differences}
    left = set[str]().union(*compared.left.values())
    total = len((compared.ours - left) | differing)
    counts = Counter(kind for each in compared.differences for kind in each.kinds)
    not_compared = {reason: len(ids) for reason, ids in compared.left.items()}
    if compared.unsent:
        not_compared["unsent"] = compared.unsent
    return {
        "compared": total,
        "agree": total - len(differing),
        "differ": len(differing),
        "kinds": {kind: counts[kind] for kind in KINDS if counts[kind]},
        "not_compared": {
            reason: not_compared[reason] for reason in REASONS if reason in not_compared
        },
        "money": _money(compared.differences),
    }


def ordered(differences: Collection[Difference]) -> Sequence[Difference]:
    """The gravest first, and by id."""
    rank = {kind: number for number, kind in enumerate(KINDS)}
    return sorted(differences, key=lambda d: (min(rank[k] for k in d.kinds), d.external_id))


def _money(differences: Iterable[Difference]) -> dict[str, dict[str, str]]:
    """By currency: how much more the channel says, of prices that differ (never across currencies),
    and what the bookings come to that only one side has."""
    sums: dict[str, dict[str, Decimal]] = {}
    for each in differences:
        ours, theirs = each.ours or {}, each.theirs or {}
        for name, side in (("only_here", ours), ("only_there", theirs)):
            if name in each.kinds and side.get("amount") and side.get("currency"):
                _add(sums, side["currency"], name, Decimal(side["amount"]))
        if "amount" in each.kinds and theirs.get("amount") is not None:
            more = Decimal(theirs["amount"]) - Decimal(ours.get("amount") or 0)
            if currency := theirs.get("currency") or ours.get("currency"):
                _add(sums, currency, "more" if more > 0 else "less", abs(more))
    return {
        currency: {name: f"{value:.2f}" for name, value in sorted(found.items())}
        for currency, found in sorted(sums.items())
    }


def _add(sums: dict[str, dict[str, Decimal]], currency: str, name: str, value: Decimal) -> None:
    found = sums.setdefault(currency, {})
    found[name] = found.get(name, Decimal(0)) + value
