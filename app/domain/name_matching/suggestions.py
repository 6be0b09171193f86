"""The pairs worth proposing, all rooms and locks considered together, and how sure they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from app.domain.name_matching.assignment import assign
from app.domain.name_matching.candidates import (
    Candidate,
    Candidates,
    Door,
    Room,
    Similar,
    candidates,
)
from app.domain.name_matching.comparing import Note

#: two pairs closer than this are told apart by a person
MARGIN = 0.05
HIGH = 0.9


class Confidence(StrEnum):
    HIGH = "high"
    MEDIUM = "medium"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True)
class Pair:
    """A proposal: places in the lists given, and the other locks and rooms that fit as well."""

    room: int
    door: int
    score: float
    confidence: Confidence
    notes: tuple[Note, ...]
    rival_doors: tuple[int, ...] = ()
    rival_rooms: tuple[int, ...] = ()


class Matching:
    """What `match` found; ask it for all rooms, or for one."""

    def __init__(self, found: Candidates, threshold: float, count: int) -> None:
        """`count` rooms want a lock; what comes after them has one, and is only looked at."""
        self._threshold = threshold
        self._count = count
        self._columns: dict[int, dict[int, Candidate]] = defaultdict(dict)
        for room, row in found.items():
            for door, pair in row.items():
                self._columns[door][room] = pair
        found = {room: row for room, row in found.items() if room < count}
        self._rows = found
        self._settled = {
            room: door
            for room, row in found.items()
            for door, pair in row.items()
            if self._is_beyond_doubt(room, door, pair)
        }
        settled_doors = set(self._settled.values())
        self._doors = self._settled | assign(
            {
                room: {
                    door: pair.weight
                    for door, pair in row.items()
                    if pair.score >= threshold and door not in settled_doors
                }
                for room, row in found.items()
                if room not in self._settled
            }
        )
        self._rooms = {door: room for room, door in self._doors.items()}

    def pairs(self, most: int = 1) -> list[Pair]:
        """For each room its lock, and up to `most` in all; no lock twice. The best first."""
        chosen = [self._pair(room, door) for room, door in self._doors.items()]
        used = set(self._rooms)
        count = dict.fromkeys(self._doors, 1)
        if most > 1:
            rest = sorted(
                (-pair.weight, room, door)
                for room, row in self._rows.items()
                for door, pair in row.items()
                if pair.score >= self._threshold
            )
            for _, room, door in rest:
                if door not in used and count.get(room, 0) < most:
                    used.add(door)
                    count[room] = count.get(room, 0) + 1
                    chosen.append(self._pair(room, door))
        return sorted(chosen, key=lambda each: (-each.score, each.room, each.door))

    def for_room(self, room: int, most: int) -> list[Pair]:
        """The locks that may be this room's, but those that are clearly another's."""
        row = self._rows.get(room, {})
        ranked = sorted(
            (-pair.weight, door)
            for door, pair in row.items()
            if pair.score >= self._threshold and not self._is_clearly_anothers(room, door)
        )
        return [self._pair(room, door) for _, door in ranked[:most]]

    def _is_beyond_doubt(self, room: int, door: int, pair: Candidate) -> bool:
        if not pair.certain or pair.score < max(HIGH, self._threshold):
            return False
        clear = pair.weight - MARGIN
        return all(
            other.weight <= clear for each, other in self._rows[room].items() if each != door
        ) and all(
            other.weight <= clear for each, other in self._columns[door].items() if each != room
        )

    def _is_clearly_anothers(self, room: int, door: int) -> bool:
        owner = self._rooms.get(door)
        if owner is None or owner == room:
            return False
        return self._rows[owner][door].weight >= self._rows[room][door].weight + MARGIN

    def _pair(self, room: int, door: int) -> Pair:
        found = self._rows[room][door]
        pair = Pair(room, door, round(found.score, 4), Confidence.MEDIUM, found.notes)
        if self._settled.get(room) == door:
            return replace(pair, confidence=Confidence.HIGH)
        near = found.weight - MARGIN
        doors = tuple(
            each
            for each, other in self._rows[room].items()
            if each != door and other.weight > near and not self._is_clearly_anothers(room, each)
        )
        others = [
            each
            for each, other in self._columns[door].items()
            if each != room and other.weight > near
        ]
        if any(each >= self._count for each in others):
            pair = replace(pair, notes=(*pair.notes, Note("served_twin")))
        rooms = tuple(
            each for each in others if each < self._count and not self._has_a_better(each, door)
        )
        if not doors and not rooms:
            return pair
        return replace(pair, confidence=Confidence.AMBIGUOUS, rival_doors=doors, rival_rooms=rooms)

    def _has_a_better(self, room: int, door: int) -> bool:
        """Whether the room was given a lock that fits it clearly better than this one."""
        given = self._doors.get(room)
        if given is None or given == door:
            return False
        return self._rows[room][given].weight >= self._rows[room][door].weight + MARGIN


def match(
    rooms: Sequence[Room],
    doors: Sequence[Door],
    similar: Similar,
    *,
    threshold: float = 0.8,
    dismissed: Collection[tuple[int, int]] = (),
    other_houses: Collection[str] = (),
    served: Sequence[Room] = (),
) -> Matching:
    """Compare all rooms with all doors. Only what nobody can mistake is of high confidence.

    `dismissed` pairs are left out; a lock that names one of `other_houses` is offered to no room.
    Rooms already `served` are offered nothing, but what would fit one of them as well is not sure:
    the other house's 101 may be getting a new lock.
    """
    found = candidates(
        [*rooms, *served],
        doors,
        similar,
        cutoff=threshold - MARGIN,
        dismissed=dismissed,
        other_houses=other_houses,
    )
    return Matching(found, threshold, len(rooms))
