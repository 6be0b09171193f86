"""What both sides of a discrepancy say at this moment, and whether that is what was shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any, TypeAlias
from uuid import UUID

from app import clock
from app.domain.findings import DECIDING, PROVENANCE, Side, fingerprint
from app.domain.states import ReservationStatus
from app.integrations.channels import ChannelReservation
from app.models import Discrepancy, Reservation

#: fields that are numbers, however they are written
NUMBERS = frozenset({"amount", "price", "units", "available", "min_stay"})
#: what a room is called is the comparison's own; whether it moved is seen by its ids
NAMED = frozenset({"room", "units"})
#: what a channel may leave unsaid, and a comparison fill in
UNSAID = frozenset({"currency"})
_OVER = (ReservationStatus.CANCELLED, ReservationStatus.FAILED)


class Unseen(Enum):
    """A side that was not looked at, which is not one that has nothing."""

    UNSEEN = "unseen"


UNSEEN = Unseen.UNSEEN
Seen: TypeAlias = Side | Unseen | None


class Moved(Exception):
    """The world is not as it was shown; the sides as they are now."""

    def __init__(self, row_id: UUID, ours: Side | None, theirs: Side | None) -> None:
        super().__init__("the world has moved")
        self.row_id = row_id
        self.ours = ours
        self.theirs = theirs


def of_stay(rows: Sequence[Reservation]) -> dict[str, Any] | None:
    """Our side of a booking, by its units in order; None when there are none."""
    if not rows:
        return None
    live = [row for row in rows if row.status not in _OVER]
    first = (live or list(rows))[0]
    return {
        "status": first.status,
        "check_in": first.check_in_on.isoformat(),
        "check_out": first.check_out_on.isoformat(),
        "amount": _text(rows[0].amount),
        "currency": rows[0].currency,
        "guest_name": first.guest_name,
    }


def of_copy(copy: ChannelReservation) -> dict[str, Any]:
    """The channel's side of a booking."""
    return {
        "status": copy.status,
        "check_in": copy.check_in_on.isoformat(),
        "check_out": copy.check_out_on.isoformat(),
        "amount": _text(copy.amount),
        "currency": copy.currency,
        "guest_name": copy.guest_name,
    }


def check(row: Discrepancy, *, ours: Seen = UNSEEN, theirs: Seen = UNSEEN) -> None:
    """Raises Moved when a side, as it is now, says another thing than was shown about what the kind
    is about, or about the booking's being there at all."""
    now = clock.utcnow()
    pairs = {"ours": (row.ours, ours), "theirs": (row.theirs, theirs)}
    fresh: dict[str, Side | None] = {"ours": row.ours, "theirs": row.theirs}
    moved = False
    for name, (shown, is_) in pairs.items():
        if isinstance(is_, Unseen):
            continue
        if _differs(row.kind, shown, is_):
            moved = True
            fresh[name] = _refreshed(shown, is_, now)
    if moved:
        raise Moved(row.id, fresh["ours"], fresh["theirs"])


def agree(kind: str, ours: Side | None, theirs: Side | None) -> bool:
    """Whether the sides say the same about what the kind is about."""
    if ours is None or theirs is None:
        return ours is theirs
    if kind == "missing":
        return True  # it is there after all; what else differs is another question
    names = [name for name in DECIDING[kind] if name in ours or name in theirs]
    return all(same(name, ours.get(name), theirs.get(name)) for name in names)


def show_anew(row: Discrepancy, moved: Moved, now: datetime) -> None:
    """Keep the fresh sides, so that whoever looks decides on them."""
    row.ours = None if moved.ours is None else dict(moved.ours)
    row.theirs = None if moved.theirs is None else dict(moved.theirs)
    row.fingerprint = fingerprint(row.kind, row.ours, row.theirs)
    row.last_seen_at = max(row.last_seen_at, now)


def same(name: str, one: Any, other: Any) -> bool:
    """Whether two written values mean the same."""
    if one is None or other is None:
        return one is other
    if name in NUMBERS:
        try:
            return Decimal(str(one)) == Decimal(str(other))
        except InvalidOperation:
            return False
    return str(one) == str(other)


def _differs(kind: str, shown: Side | None, now: Side | None) -> bool:
    if shown is None or now is None:
        return shown is not now
    names = {*DECIDING[kind], "status"} - NAMED
    return any(
        not same(name, shown[name], now.get(name))
        for name in names
        if name in shown and not (name in UNSAID and None in (shown[name], now.get(name)))
    )


def _refreshed(shown: Side | None, now: Side | None, at: datetime) -> Mapping[str, Any] | None:
    """What was shown with the values of now; it keeps what was not looked at."""
    if now is None:
        return None
    kept = {k: v for k, v in (shown or {}).items() if k not in PROVENANCE}
    fresh = {k: v for k, v in now.items() if shown is None or k in shown or v is not None}
    return kept | fresh | {"as_of": at.isoformat().replace("+00:00", "Z"), "source": "look"}


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)
