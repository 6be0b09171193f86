"""What becomes of a night on which the channel's calendar and ours differ: units and prices.

Told means: the channel is given our value again. Whatever could sell a unit twice, and whatever is
more than a slip, is left to a person (B24R-13…15).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal, TypeVar

#: units that may be put right without a person (B24R-13)
SLIP = 1
#: the share of our price that may be (B24R-08, B24R-09, C-32): exactly this much still is
SHARE = Decimal(5) / 100
CENT = Decimal("0.01")

Severity = Literal["high", "medium", "low"]
Value = TypeVar("Value")
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Decision:
    """`tell`: the channel is told ours; `raises`: by that it could sell more units than now.

    With a `severity` a person is to look, and `reason` says why in one sentence.
    """

    tell: bool = False
    raises: bool = False
    severity: Severity | None = None
    reason: str | None = None

    @property
    def agrees(self) -> bool:
        return not self.tell and self.severity is None


@dataclass(frozen=True, slots=True)
class Price:
    """What a night costs and how short a stay beginning on it may be; None is not said."""

    amount: Decimal | None = None
    min_stay: int | None = None


AGREED = Decision()
#: what was told so often lately and differs again is not told once more by itself
OFTEN = 3


def units(ours: int, theirs: int | None, *, unseen: int | None = 0) -> Decision:
    """Free units of a night, ours as counted and theirs as read, net of bookings on both sides.

    `unseen` are the units that bookings at the channel take and that we do not count; None when
    that could not be found out. While there is one, nothing is raised: the channel would sell its
    unit a second time. Nobody is told less than none, so what is compared with theirs is what they
    can be told; a night below zero, on either side, is overbooked and is looked at by a person.
    """
    told = max(ours, 0)
    if theirs is None:
        found = Decision(tell=True, raises=told > 0)  # what they never said they do not sell by
    elif theirs < 0 <= ours:
        return _high(f"The channel has sold {-theirs} more than it has, and we have not")
    elif theirs == told or theirs < 0:
        found = AGREED
    elif abs(told - theirs) <= SLIP:
        found = Decision(tell=True, raises=told > theirs)
    elif ours < 0:
        found = AGREED  # said below
    else:
        off = f"{abs(told - theirs)} {'fewer' if theirs < told else 'more'}"
        return _high(f"The channel sells {off} than are free here: possible overbooking")
    if found.raises and unseen is None:
        return _high("Whether the channel has bookings that we do not count could not be checked")
    if found.raises and unseen:
        return _high(f"The channel has {_bookings(unseen)} of this night that we do not count")
    if ours < 0:
        return Decision(found.tell, severity="high", reason=f"Overbooked by {-ours}")
    return found


def price(ours: Price | None, theirs: Price) -> Decision:
    """The price of a night in one currency, and its shortest stay; the caller has made sure of the
    currency. Both are told together, so while a price is left to a person its stay is as well.

    A night without a price of ours may be priced by the channel, and one without a shortest stay
    of ours restricted there: the latter is nobody's difference.
    """
    if ours is None or ours.amount is None:
        if theirs.amount is None:
            return AGREED
        return Decision(severity="low", reason="The channel has a price for it and we have none")
    mine = _cents(ours.amount)
    if theirs.amount is None:
        if not mine:
            return _high("Our price is zero and the channel has none")
        return Decision(tell=True)
    difference = abs(mine - _cents(theirs.amount))
    if difference and not mine:
        return _high("Our price is zero and the channel's is not")
    if difference > mine * SHARE:
        return _high("The prices differ by more than 5 %")
    if difference or ours.min_stay not in (None, theirs.min_stay):
        return Decision(tell=True)
    return AGREED


def patient(decision: Decision, told: int) -> Decision:
    """The decision after `told` times that the very same was told lately: somebody or something
    changes it back, or it is not taken, and a person has to find out."""
    if not decision.tell or told < OFTEN:
        return decision
    reason = decision.reason or f"The channel was told ours {told} times and differs again"
    return Decision(severity=decision.severity or "medium", reason=reason)


def runs(nights: Mapping[date, Value]) -> list[tuple[date, date, Value]]:
    """The nights in order, those that follow one another with an equal value as one range."""
    found: list[tuple[date, date, Value]] = []
    for day in sorted(nights):
        if found and found[-1][1] + _DAY == day and found[-1][2] == nights[day]:
            found[-1] = (found[-1][0], day, found[-1][2])
        else:
            found.append((day, day, nights[day]))
    return found


def ranges(days: Iterable[date]) -> list[tuple[date, date]]:
    """The days as ranges, both ends included."""
    return [(first, last) for first, last, _ in runs(dict.fromkeys(days))]


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


def _high(reason: str) -> Decision:
    return Decision(severity="high", reason=reason)


def _bookings(number: int) -> str:
    return "a booking" if number == 1 else f"{number} bookings"
