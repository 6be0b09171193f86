"""When access opens and closes for each stay of one door, so that no two ever overlap.

INTERFACES §2: a PIN opens from check-in - lead to check-out + grace, capped at the next stay's
start; the cap never falls before the stay's own check-out, and a next stay whose lead would begin
earlier begins there. Everything is in UTC instants, so a change of the clocks changes nothing.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

#: a stay sold without a room gets it this long before its PIN is sent
ROOM_AHEAD = timedelta(minutes=15)
#: a stay that should have its room for longer finds none
ROOM_PATIENCE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Policy:
    """A property's PIN hours: `lead` before check-in, `grace` after check-out, and `preload`, how
    much earlier than the opening the PIN is sent to the lock."""

    lead: timedelta
    grace: timedelta
    preload: timedelta


@dataclass(frozen=True, slots=True)
class Stay:
    """One stay at the door. `rank` orders claims to the room: the lower keeps it (DECISIONS 5)."""

    id: UUID
    check_in_at: datetime
    check_out_at: datetime
    rank: tuple[int, datetime, str]


@dataclass(frozen=True, slots=True)
class Window:
    """`send_at` is when the PIN goes to the lock; `rival` the stay that has the room instead."""

    opens_at: datetime
    closes_at: datetime
    send_at: datetime
    rival: UUID | None = None


def room_due(check_in_at: datetime, policy: Policy) -> datetime:
    """When a stay without a room has to be given one (DECISIONS 18): just before its PIN is due."""
    return check_in_at - policy.lead - policy.preload - ROOM_AHEAD


def lacks_room(due: datetime, booked_at: datetime, now: datetime) -> bool:
    """Whether a stay booked at `booked_at` should have had its room by now."""
    return max(due, booked_at) + ROOM_PATIENCE <= now


def plan_windows(stays: Iterable[Stay], policy: Policy) -> dict[UUID, Window]:
    """The window of every stay. Among stays that truly overlap the lowest rank keeps the room; the
    others get their uncapped window with `rival` set, and no PIN."""
    kept: list[tuple[datetime, datetime, UUID]] = []
    rivals: list[tuple[Stay, UUID]] = []
    for stay in sorted(stays, key=lambda s: (s.rank, s.id)):
        rival = _occupant(kept, stay)
        if rival is None:
            insort(kept, (stay.check_in_at, stay.check_out_at, stay.id))
        else:
            rivals.append((stay, rival))

    windows: dict[UUID, Window] = {}
    previous_check_out: datetime | None = None
    for position, (check_in, check_out, stay_id) in enumerate(kept):
        opens = check_in - policy.lead
        if previous_check_out is not None and opens < previous_check_out:
            opens = previous_check_out
        closes = check_out + policy.grace
        if position + 1 < len(kept):
            next_opens = kept[position + 1][0] - policy.lead
            closes = min(closes, max(check_out, next_opens))
        windows[stay_id] = Window(opens, closes, opens - policy.preload)
        previous_check_out = check_out
    for stay, rival in rivals:
        opens = stay.check_in_at - policy.lead
        closes = stay.check_out_at + policy.grace
        windows[stay.id] = Window(opens, closes, opens - policy.preload, rival)
    return windows


def _occupant(kept: list[tuple[datetime, datetime, UUID]], stay: Stay) -> UUID | None:
    """Who has the room during `stay`. Kept stays do not overlap, so only neighbours can."""
    position = bisect_right(kept, stay.check_in_at, key=lambda k: k[0])
    if position and kept[position - 1][1] > stay.check_in_at:
        return kept[position - 1][2]
    if position < len(kept) and kept[position][0] < stay.check_out_at:
        return kept[position][2]
    return None
