"""What a comparison of calendars would do, and its doing: nights told again, and differences."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from itertools import chain
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app import clock
from app.domain import calendar_comparison
from app.domain.calendar_comparison import Decision
from app.domain.date_ranges import Range, nights
from app.domain.findings import DayRange, Finding, night_subject
from app.integrations.channels import ItemError
from app.services import audit, channel_calendars, contention, discrepancies, outbound
from app.services.audit import SYSTEM
from app.services.calendar_readings import SOURCE, Calendars, Room
from app.services.reconciliation_kinds import Plan, Tally
from app.services.reconciliation_rows import Work
from app.transaction import transaction

#: ranges of nights a plan spells out; its numbers and its hash cover all
SPELLED_OUT = 500
TELL, FLAG = "tell", "flag"
#: before any night that was ever compared
LONG_AGO = date(2000, 1, 1)
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Differing:
    """A night that is not the same on both sides; the values are plain JSON, None is nothing."""

    decision: Decision
    ours: Values | None
    theirs: Values | None


@dataclass(frozen=True, slots=True)
class Compared:
    """A room's nights: `days` are those that were compared, `nights` those that differ."""

    room: Room
    days: Sequence[date]
    nights: Mapping[date, Differing]


@dataclass(frozen=True, slots=True)
class Telling:
    """Nights of a room that are told again."""

    room: Room
    nights: Mapping[date, Differing]

    @property
    def ranges(self) -> list[Range]:
        return calendar_comparison.ranges(self.nights)


@dataclass(frozen=True, slots=True)
class Actions:
    """What a plan is made of."""

    event: str  # outbound.AVAILABILITY or RATES
    kinds: Sequence[str]  # of discrepancies that this comparison opens and closes
    calendars: Calendars
    tellings: Sequence[Telling] = ()
    findings: Sequence[Finding] = ()
    agreed: Sequence[DayRange | str] = ()  # compared, and not told: what is open there is closed


#: the room types that are being changed just now, and why
InMotion = Callable[[Session, Calendars], Mapping[UUID, str]]


@dataclass(slots=True)
class Draft:
    """A plan in the making."""

    event: str
    kind: str  # of a discrepancy
    calendars: Calendars
    rooms: list[Compared] = field(default_factory=list)
    waiting: dict[UUID, str] = field(default_factory=dict)
    errors: list[ItemError] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)  # of the property as a whole
    subjects: list[str] = field(default_factory=list)  # that were compared besides the nights
    other_kinds: tuple[str, ...] = ()


def make(draft: Draft) -> Plan:
    """The plan. Equal plans have equal hashes, whenever and in whatever order they were made."""
    calendars = draft.calendars
    as_of = _iso(clock.utcnow())
    ours = {"as_of": as_of, "source": "turnkey"}
    theirs = {"as_of": _iso(calendars.asked_at), "source": SOURCE}
    tellings: list[Telling] = []
    findings = list(draft.findings)
    agreed: list[DayRange | str] = list(draft.subjects)
    for compared in sorted(draft.rooms, key=lambda each: each.room.room_ref):
        room = compared.room
        told = {day: night for day, night in compared.nights.items() if night.decision.tell}
        if told:
            tellings.append(Telling(room, told))
        findings += [
            _finding(draft.kind, room, day, night, ours, theirs)
            for day, night in compared.nights.items()
            if night.decision.severity is not None
        ]
        # A night that is told has not agreed yet: the next run will see.
        settled = (day for day in compared.days if day not in told)
        agreed += [
            DayRange(room.room_ref, first, last)
            for first, last in calendar_comparison.ranges(settled)
        ]
    # A night that is over is nobody's question any more.
    over = calendars.first - timedelta(days=1)
    agreed += [DayRange(room.room_ref, LONG_AGO, over) for room in calendars.house.rooms]
    items = list(chain(_whole(draft.findings), *(_items(each) for each in draft.rooms)))
    told_nights = sum(len(telling.nights) for telling in tellings)
    return Plan(
        hash=_hash(draft.kind, items),
        summary={
            "counts": {TELL: told_nights, FLAG: len(findings)},
            "waiting": _waiting(draft),
            "risky": 0,
            "active": 0,
            "stopped": False,
            "items": items[:SPELLED_OUT],
            "more": max(0, len(items) - SPELLED_OUT),
        },
        fetched=len(calendars.house.rooms) * len(calendars.days),
        errors=draft.errors,
        actions=Actions(
            draft.event,
            (draft.kind, *draft.other_kinds),
            calendars,
            tellings,
            findings,
            agreed,
        ),
        noun="nights",
    )


def apply(work: Work, plan: Plan, keep: Callable[..., None], in_motion: InMotion) -> Tally:
    """Keep the reading, owe the channel what is told again, room by room, and write down what is
    left to people. A room that has come to be `in_motion` meanwhile is left to the next run."""
    actions: Actions = plan.actions
    calendars = actions.calendars
    tally = Tally(updated=work.updated, errors=list(plan.errors))
    keep(fetched=plan.fetched)  # reading takes a while: is the run still ours?
    with transaction() as session:
        channel_calendars.store_many(
            session,
            calendars.house.connection,
            calendars.kept,
            first=calendars.first,
            last=calendars.last,
            read_at=calendars.asked_at,
        )
    for telling in actions.tellings:
        tally.updated += contention.patient(partial(_tell, actions, telling, in_motion))
        keep(updated=tally.updated)
    contention.patient(partial(_settle, actions, work.id))
    tally.flagged = len(actions.findings)
    keep(flagged=tally.flagged)
    return tally


def _tell(actions: Actions, telling: Telling, in_motion: InMotion) -> int:
    """Owe the channel the nights of one room; how many. What is told is counted when it is told."""
    room = telling.room
    with transaction() as session:
        if room.room_type_id in in_motion(session, actions.calendars):
            return 0
        event_id = outbound.tell_again(session, actions.event, room.room_type_id, telling.ranges)
        if event_id is None:
            return 0
        for first, last in telling.ranges:
            told = {day: telling.nights[day] for day in nights([(first, last)])}
            where = {"room": room.room_ref, "event_id": str(event_id)}
            audit.record(
                session,
                SYSTEM,
                "reconcile",
                "room_type",
                room.room_type_id,
                where | {"nights": _side({day: night.theirs for day, night in told.items()})},
                where | {"nights": _side({day: night.ours for day, night in told.items()})},
            )
    return len(telling.nights)


def _settle(actions: Actions, run_id: UUID) -> None:
    calendars = actions.calendars
    with transaction() as session:
        discrepancies.settle(
            session,
            calendars.house.connection,
            actions.findings,
            kinds=actions.kinds,
            compared=actions.agreed,
            run_id=run_id,
            seen_at=calendars.asked_at,
            rooms={room.room_ref for room in calendars.house.rooms},
            today=calendars.first,
        )


def _side(values: Mapping[date, Values | None]) -> list[dict[str, Any]]:
    """One side's nights, equal ones in a row as one."""
    return [
        {"from": first.isoformat(), "to": last.isoformat(), **(said or {})}
        for first, last, said in calendar_comparison.runs(values)
    ]


def _finding(
    kind: str, room: Room, day: date, night: Differing, ours: Values, theirs: Values
) -> Finding:
    return Finding(
        kind=kind,
        subject=night_subject(room.room_ref, day),
        severity=night.decision.severity or "high",
        reason=night.decision.reason or "",
        ours=None if night.ours is None else {**night.ours, **ours},
        theirs=None if night.theirs is None else {**night.theirs, **theirs},
        external_id=room.room_ref,
        room_type_id=room.room_type_id,
        first_day=day,
        last_day=day,
    )


def _items(compared: Compared) -> Iterator[dict[str, Any]]:
    """The nights that differ, as ranges of equal ones; a night may be told and flagged."""
    room = compared.room
    for first, last, night in calendar_comparison.runs(compared.nights):
        about: dict[str, Any] = {
            "room": room.room_ref,
            "room_type_id": str(room.room_type_id),
            "room_type": room.name,
            "from": first.isoformat(),
            "to": last.isoformat(),
            "ours": night.ours,
            "theirs": night.theirs,
        }
        decision = night.decision
        if decision.tell:
            yield {"action": TELL, "raises": decision.raises} | about
        if decision.severity is not None:
            yield (
                {"action": FLAG}
                | about
                | {
                    "severity": decision.severity,
                    "reason": decision.reason,
                }
            )


def _whole(findings: Iterable[Finding]) -> Iterator[dict[str, Any]]:
    """What is said of the property rather than of nights."""
    for finding in findings:
        yield {
            "action": FLAG,
            "severity": finding.severity,
            "reason": finding.reason,
            "ours": finding.ours,
            "theirs": finding.theirs,
        }


def _waiting(draft: Draft) -> list[dict[str, str]]:
    return [
        {"room": room.room_ref, "room_type": room.name, "reason": draft.waiting[room.room_type_id]}
        for room in draft.calendars.house.rooms
        if room.room_type_id in draft.waiting
    ]


def _hash(kind: str, items: Sequence[Mapping[str, Any]]) -> str:
    lines = sorted(json.dumps(item, sort_keys=True) for item in items)
    return hashlib.sha256("\n".join([kind, *lines]).encode()).hexdigest()


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
