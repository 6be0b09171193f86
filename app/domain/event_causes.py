"""Why events failed, put into groups: one group is what one repair mends."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)

#: what differs between two failures of the same cause: ids, numbers, dates, quoted words
VARYING = re.compile(
    r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"  # a UUID
    r"|'[^']*'|\"[^\"]*\"|“[^”]*”"
    r"|\b(?=\w*\d)[\w.:+-]*\w",  # any word with a digit in it
    re.ASCII,
)
GAP = "…"
#: kinds whose numbers name what has to be repaired: each room is mended on its own
NAMED = "unmapped"
KEY_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Cause:
    """What a group of failures has in common; `key` is stable and fits into an address."""

    source: str
    kind: str
    text: str

    @property
    def key(self) -> str:
        joined = "\n".join((self.source, self.kind, self.text))
        return hashlib.sha256(joined.encode()).hexdigest()[:KEY_LENGTH]


@lru_cache(maxsize=4096)
def cause_of(source: str, kind: str | None, error: str | None) -> Cause:
    """The cause of one failure: its kind, and its text without what differs each time."""
    kind = kind or "unknown"
    text = " ".join((error or "").split())
    if not kind.startswith(NAMED):
        text = VARYING.sub(GAP, text)
    return Cause(source, kind, text)


@dataclass(frozen=True, slots=True)
class Group(Generic[T]):
    """A cause with what failed for it, in the order given."""

    cause: Cause
    members: tuple[T, ...]

    def __len__(self) -> int:
        return len(self.members)


def grouped(failures: Iterable[tuple[Cause, T]]) -> list[Group[T]]:
    """The failures by cause, the largest group first; ties stay in the order given."""
    found: dict[Cause, list[T]] = {}
    for cause, member in failures:
        found.setdefault(cause, []).append(member)
    groups = [Group(cause, tuple(members)) for cause, members in found.items()]
    return sorted(groups, key=len, reverse=True)
