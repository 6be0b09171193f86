"""What a comparison found that no rule may decide: the material of a discrepancy (B24R-21)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

#: what a side is not, but where and when it comes from
PROVENANCE = frozenset({"as_of", "source"})
#: the fields that each kind of discrepancy is about; the others are there to decide by
DECIDING: Mapping[str, tuple[str, ...]] = {
    "missing": ("status", "check_in", "check_out", "room"),
    "dates": ("check_in", "check_out"),
    "room": ("room", "units"),
    "status": ("status",),
    "amount": ("amount", "currency"),
    "currency": ("amount", "currency"),
    "guest": ("guest_name",),
    "availability": ("available",),
    "rate": ("price", "currency", "min_stay"),
}

Side = Mapping[str, Any]


class DayRange(NamedTuple):
    """Nights of one of the channel's rooms, `first` to `last`, both included."""

    room_ref: str
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference, as a run found it.

    `kind` is one of models.reconciliation.DISCREPANCY_KINDS. `subject` is the booking's external
    id, or for availability and rates one night: `night_subject(room_ref, day)`. `severity` is
    `high`, `medium` or `low`; `reason` one sentence without guest data. `ours` and `theirs` hold
    plain JSON values by field name (status, check_in, check_out, amount, currency, guest_name,
    room, units, available, price, min_stay …), a difference being two values that are not the
    same, and besides them `as_of` (ISO, UTC) and `source` (`webhook`, `desk`, `beds24 reading` …);
    None when that side has nothing.
    """

    kind: str
    subject: str
    severity: str
    reason: str
    ours: Side | None
    theirs: Side | None
    reservation_id: UUID | None = None
    external_id: str | None = None
    room_type_id: UUID | None = None
    first_day: date | None = None
    last_day: date | None = None

    @property
    def fingerprint(self) -> str:
        """The same while the two sides say the same about what this kind is about."""
        return fingerprint(self.kind, self.ours, self.theirs)


def fingerprint(kind: str, ours: Side | None, theirs: Side | None) -> str:
    """64 hexadecimal digits that change when one of the deciding fields does; neither the moment
    nor the source of a value counts, and a guest's new name reopens no question of dates."""
    fields = DECIDING.get(kind, ())
    said = [_deciding(fields, ours), _deciding(fields, theirs)]
    if not any(said):
        said = [_facts(ours), _facts(theirs)]
    written = json.dumps(said, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(written.encode()).hexdigest()


def differing(ours: Side | None, theirs: Side | None) -> tuple[str, ...]:
    """The fields that the sides say differently, in the order in which ours names them; all of
    them when one side has nothing."""
    names = [*dict.fromkeys([*(ours or {}), *(theirs or {})])]
    return tuple(
        name
        for name in names
        if name not in PROVENANCE and (ours or {}).get(name) != (theirs or {}).get(name)
    )


def night_subject(room_ref: str, day: date) -> str:
    """The subject of a night of one of the channel's rooms; nights of a room sort by day."""
    return f"{room_ref} {day.isoformat()}"


def _deciding(fields: tuple[str, ...], side: Side | None) -> dict[str, Any] | None:
    if side is None:
        return None
    return {name: side[name] for name in fields if side.get(name) is not None}


def _facts(side: Side | None) -> dict[str, Any] | None:
    if side is None:
        return None
    return {name: value for name, value in side.items() if name not in PROVENANCE}
