"""Suggest which lock opens which accommodation, and apply what was agreed to (MATCH-01…04, C-51).

A suggestion never changes anything. Applying one is a mapping like any other: the same rules,
the same log (MATCH-04).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein
from sqlalchemy import select
from sqlalchemy.orm import Session

from app import clock
from app.domain.name_matching import Confidence, Door, Matching, Note, Pair, Room, match
from app.errors import Conflict, Invalid, NotFound, ServiceError
from app.models import Accommodation, Lock, LockMapping, MatchDismissal, Property
from app.services import audit, list_args, mappings, match_reasons
from app.services.audit import Actor
from app.services.paging import whole
from app.transaction import transaction

DEFAULT_THRESHOLD = 0.8
MOST_IN_BULK = 1
MOST_FOR_ONE = 5
MOST_OF_ALL = 20
#: what may be agreed to at all; below it two names have nothing in common
LOWEST = 0.5


@dataclass(frozen=True, slots=True)
class MatchArgs:
    """How alike names must be, and how many locks to propose per accommodation."""

    threshold: float = DEFAULT_THRESHOLD
    most: int = MOST_IN_BULK

    @classmethod
    def from_args(cls, args: Mapping[str, str], most: int = MOST_IN_BULK) -> MatchArgs:
        """`threshold` and `maxSuggestions` of a request. Raises Invalid naming the faulty one."""
        raw = list_args.word(args, "threshold")
        try:
            threshold = DEFAULT_THRESHOLD if raw is None else float(raw)
        except ValueError:
            threshold = math.nan
        if not 0.0 <= threshold <= 1.0:
            raise Invalid.field("threshold", "must be a number from 0 to 1, such as 0.8")
        return cls(threshold, whole(args, "maxSuggestions", most, 1, MOST_OF_ALL))


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A lock for an accommodation; `notes` are the reason as codes, `reason` is it in words."""

    accommodation: Accommodation
    property_name: str
    lock: Lock
    score: float
    confidence: Confidence
    notes: tuple[Note, ...]
    reason: str
    #: what fits as well, when the confidence is ambiguous
    rival_locks: tuple[Lock, ...] = ()
    rival_accommodations: tuple[Accommodation, ...] = ()


@dataclass(frozen=True, slots=True)
class Suggestions:
    """The proposals, and among how many accommodations and locks they were found."""

    items: Sequence[Suggestion]
    args: MatchArgs
    accommodations: int
    locks: int
    at: datetime

    @property
    def confident(self) -> list[Suggestion]:
        """What "apply all" applies, and its preview shows."""
        return [each for each in self.items if each.confidence is Confidence.HIGH]


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of one pair. `code` is `applied`, `unchanged`, `not_found` or `refused`."""

    accommodation_id: UUID
    lock_id: UUID
    applied: bool
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class _World:
    """The accommodations without a lock, the locks without an accommodation."""

    units: Sequence[tuple[Accommodation, str]]
    served: Sequence[Room]
    locks: Sequence[Lock]
    dismissed: Collection[tuple[int, int]]
    houses: Sequence[str]

    def match(self, threshold: float) -> Matching:
        return match(
            [_room(unit, house) for unit, house in self.units],
            [_door(lock) for lock in self.locks],
            similar,
            threshold=threshold,
            dismissed=self.dismissed,
            other_houses=self.houses,
            served=self.served,
        )

    def suggestion(self, pair: Pair) -> Suggestion:
        unit, house = self.units[pair.room]
        rival_locks = tuple(self.locks[at] for at in pair.rival_doors)
        rival_units = tuple(self.units[at][0] for at in pair.rival_rooms)
        reason = match_reasons.sentence(
            pair.notes, [each.name for each in rival_locks], [each.name for each in rival_units]
        )
        return Suggestion(
            unit,
            house,
            self.locks[pair.door],
            pair.score,
            pair.confidence,
            pair.notes,
            reason,
            rival_locks,
            rival_units,
        )

    def suggestions(self, pairs: Sequence[Pair], args: MatchArgs) -> Suggestions:
        found = [self.suggestion(pair) for pair in pairs]
        return Suggestions(found, args, len(self.units), len(self.locks), clock.utcnow())


def similar(query: str, choices: Sequence[str], cutoff: float) -> list[tuple[int, float]]:
    """The places of the choices that are alike enough, by Levenshtein similarity, in C."""
    found = process.extract(
        query, choices, scorer=Levenshtein.normalized_similarity, score_cutoff=cutoff, limit=None
    )
    return [(at, score) for _, score, at in found]


def suggest(args: MatchArgs) -> Suggestions:
    """The best lock for each accommodation, all of them considered together; the surest first."""
    with transaction() as session:
        world = _world(session)
    return world.suggestions(world.match(args.threshold).pairs(args.most), args)


def suggest_for(accommodation_id: UUID, args: MatchArgs) -> Suggestions:
    """The locks that may be this accommodation's, the likeliest first.

    The others are considered too: a lock that is clearly theirs is not offered. Raises NotFound;
    Conflict when it has a lock, or is inactive.
    """
    with transaction() as session:
        unit = session.get(Accommodation, accommodation_id)
        if unit is None:
            raise NotFound("no such accommodation")
        if session.scalar(
            select(LockMapping.id).where(LockMapping.accommodation_id == accommodation_id)
        ):
            raise Conflict(f"{unit.name} has a lock already")
        _refuse_inactive(unit)
        world = _world(session)
    place = [each.id for each, _ in world.units].index(accommodation_id)
    return world.suggestions(world.match(args.threshold).for_room(place, args.most), args)


def apply(pairs: Sequence[tuple[UUID, UUID]], *, actor: Actor) -> list[Applied]:
    """Connect each (accommodation, lock), one by one: a refused pair does not stop the others.

    Never takes a lock from an accommodation that has one, nor joins two names that were not
    worth a suggestion; whoever knows better maps them by hand.
    """
    batch = str(uuid4())
    return [_apply(accommodation, lock, batch, actor) for accommodation, lock in pairs]


def _apply(accommodation_id: UUID, lock_id: UUID, batch: str, actor: Actor) -> Applied:
    agreed: list[Pair] = []
    with transaction() as session:

        def check(unit: Accommodation, lock: Lock) -> None:
            _refuse_inactive(unit)
            agreed.append(_agree(session, unit, lock))

        try:
            mapped = mappings.map_lock(
                accommodation_id, lock_id, actor=actor, replace=False, check=check
            )
        except ServiceError as error:
            # Nothing was written but the refusal's line in the log, which this block commits.
            code = "not_found" if isinstance(error, NotFound) else "refused"
            return Applied(accommodation_id, lock_id, False, code, error.message)
        if not mapped.changed:
            return Applied(accommodation_id, lock_id, True, "unchanged", "connected already")
        reason = match_reasons.sentence(agreed[0].notes)
        after = {
            "accommodation": mapped.row.accommodation.name,
            "lock_id": str(lock_id),
            "lock": mapped.row.lock.name,
            "score": agreed[0].score,
            "reason": reason,
            "batch": batch,
        }
        audit.record(
            session, actor, "match", "accommodation", accommodation_id, before=None, after=after
        )
    return Applied(accommodation_id, lock_id, True, "applied", reason)


def _agree(session: Session, unit: Accommodation, lock: Lock) -> Pair:
    """How alike the two are on their own. Raises Conflict when no threshold would propose them."""
    house = session.get_one(Property, unit.property_id)
    found = match(
        [_room(unit, house.name)],
        [_door(lock)],
        similar,
        threshold=LOWEST,
        other_houses=session.scalars(select(Property.name)).all(),
    ).pairs()
    if not found:
        raise Conflict(
            f"{unit.name} and {lock.name} do not match by name; map them by hand if they are one"
        )
    return found[0]


def _refuse_inactive(unit: Accommodation) -> None:
    if not unit.is_active:
        raise Conflict(f"{unit.name} is inactive")


def _world(session: Session) -> _World:
    mapped_units = set(session.scalars(select(LockMapping.accommodation_id)))
    mapped_locks = select(LockMapping.lock_id)
    units: list[tuple[Accommodation, str]] = []
    served: list[Room] = []
    for unit, house in session.execute(
        select(Accommodation, Property.name)
        .join(Property, Property.id == Accommodation.property_id)
        .order_by(Property.name, Accommodation.name, Accommodation.id)
    ):
        if unit.is_active and unit.id not in mapped_units:
            units.append((unit, house))
        else:
            served.append(_room(unit, house))
    locks = session.scalars(
        select(Lock)
        .where(Lock.gone_since.is_(None), Lock.id.not_in(mapped_locks))
        .order_by(Lock.name, Lock.id)
    ).all()
    unit_at = {unit.id: at for at, (unit, _) in enumerate(units)}
    lock_at = {lock.id: at for at, lock in enumerate(locks)}
    dismissed = {
        (unit_at[unit_id], lock_at[lock_id])
        for unit_id, lock_id in session.execute(
            select(MatchDismissal.accommodation_id, MatchDismissal.lock_id)
        )
        if unit_id in unit_at and lock_id in lock_at
    }
    houses = session.scalars(select(Property.name)).all()
    return _World(units, served, locks, dismissed, houses)


def _room(unit: Accommodation, house: str) -> Room:
    return Room(unit.name, unit.number, house)


def _door(lock: Lock) -> Door:
    return Door(lock.name, lock.location)
