"""What a comparison of bookings would do: actions that are safe, and findings for a person."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import clock
from app.domain.comparison import OPEN, Action, Do, compare
from app.domain.findings import Finding, Side
from app.domain.states import FRONT_DESK, ReservationStatus
from app.integrations.channels import ChannelReservation, ItemError
from app.models import Reservation
from app.services import booking_blocks, booking_rows, reconciliation_consequences, reservations
from app.services.booking_blocks import BlockAction, Blocks
from app.services.booking_reading import Reading, Suspect, judge, places_of
from app.services.booking_rows import Stored
from app.services.channel_accounts import BEDS24
from app.services.channel_places import Found, NoPlace, Place
from app.services.reconciliation_consequences import Change
from app.services.reconciliation_kinds import Plan
from app.services.reservation_copies import content_hash
from app.transaction import transaction

#: items a plan spells out; its numbers and its hash cover all
SPELLED_OUT = 500
SOURCE = "beds24 reading"
#: the columns each action may change, and no others
COLUMNS: Mapping[Do, tuple[str, ...]] = {
    Do.CONFIRM: ("status", "unknown_status"),
    Do.ADJUST: ("amount", "currency"),
    Do.FILL: ("guest_name",),
}
_FIRST = {Do.CANCEL: 0, Do.FLAG: 1, Do.CONFIRM: 2, Do.ADJUST: 3, Do.FILL: 4, Do.CREATE: 5}


@dataclass(frozen=True, slots=True)
class Step:
    """One action on one booking; `stored` is ours as it was when that was decided."""

    do: Do
    copy: ChannelReservation
    stored: Stored | None
    reason: str
    places: Found


@dataclass(slots=True)
class Actions:
    """What a plan does: steps, blocks, and what is left to people."""

    reading: Reading
    steps: list[Step] = field(default_factory=list)
    blocks: list[BlockAction] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    compared: set[str] = field(default_factory=set)
    items: list[dict[str, Any]] = field(default_factory=list)  # all of them, as the plan shows them


def make(reading: Reading) -> Plan:
    """Decide about every suspect, with our rows as they are now; writes nothing.

    A booking in motion is left for the next run: one that is on its way in or out, was so since
    the reading began, or is another one here than when its copy was read.
    """
    copies = [s.copy for s in reading.suspects.values() if s.copy is not None]
    places = places_of(reading.connection.id, copies)
    with transaction() as session:
        ours = booking_rows.read(session, reading.suspects)
        refs, ids = booking_rows.moving(session, reading.connection.id, reading.as_of)
    made = _Making(reading, places, Actions(reading, compared=set(reading.compared)))
    for suspect in sorted(reading.suspects.values(), key=lambda each: each.external_id):
        stored = ours.get(suspect.external_id)
        moved = (stored.state if stored else None) != suspect.state
        if moved or suspect.external_id in refs or (stored is not None and stored.id in ids):
            made.actions.compared.discard(suspect.external_id)
        else:
            made.decide(suspect, stored)
    made.settle_new(ids)
    made.actions.items = [*made.items]
    with transaction() as session:
        blocks = booking_blocks.plan(
            session, reading, places_of(reading.connection.id, reading.blocks.values()), ours, refs
        )
        made.take_blocks(blocks)
        active = _active(session, reading.connection.property_id)
        changes = [_change(step, places) for step in made.actions.steps]
        consequences = reconciliation_consequences.count(session, changes)
    made.actions.compared -= {e.external_id for e in made.errors if e.external_id}
    return made.plan(active, consequences)


def sides(reading: Reading, step: Step) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Both sides of what a step settles, without the guest."""
    suspect = Suspect(step.copy.external_id, step.copy, None)
    ours, theirs = _sides(reading, suspect, step.stored, step.places, step.do, None)
    return _without_guest(ours), _without_guest(theirs) or {}


class _Making:
    """Gathers what is decided, booking by booking."""

    def __init__(self, reading: Reading, places: Found, actions: Actions) -> None:
        self.reading = reading
        self.places = places
        self.actions = actions
        self.errors: list[ItemError] = [*reading.errors.values()]
        self.items: list[dict[str, Any]] = []
        self.fingerprints: list[str] = []

    def decide(self, suspect: Suspect, stored: Stored | None) -> None:
        """What follows for one booking."""
        if suspect.copy is None:
            judged: list[Action] | ItemError = compare(stored.ours if stored else None, None)
        else:
            judged = judge(suspect.copy, stored, self.places)
        if isinstance(judged, ItemError):
            self.errors.append(judged)
            return
        for action in judged:
            if action.do is Do.FLAG and stored is not None:
                finding = _finding(self.reading, suspect, stored, action, self.places)
                self.actions.findings.append(finding)
                self._list(action.do, finding.fingerprint, suspect, stored, action)
            elif suspect.copy is not None:
                step = Step(action.do, suspect.copy, stored, action.reason, self.places)
                self.actions.steps.append(step)
                if action.do is not Do.CREATE:
                    # Another price of theirs would be another plan, with ours as it was.
                    mark = f"{stored.state if stored else ''} {content_hash(suspect.copy)}"
                    self._list(action.do, mark, suspect, stored, action)

    def settle_new(self, moving: set[UUID]) -> None:
        """Foresee what taking in the new ones comes to: a room that is not mapped, a booking of our
        own that comes back under its reference (DECISIONS 3), or a second copy of it."""
        new = {s.copy.external_id: s for s in self.actions.steps if s.do is Do.CREATE}
        if not new:
            return
        reading = self.reading
        seen = reservations.foresee(
            [step.copy for step in new.values()],
            as_of=reading.as_of,
            channel_property_id=reading.connection.id,
        )
        for error in seen.errors:
            self.errors.append(error)
            new.pop(error.external_id or "", None)
        by_row = {change.stored["id"]: change for change in seen.changed}
        for id_, external_id in seen.adopted.items():
            if id_ in moving or id_ not in by_row:
                new.pop(external_id, None)
                self.actions.compared.discard(external_id)
        self.actions.steps = [
            step
            for step in self.actions.steps
            if step.do is not Do.CREATE or step.copy.external_id in new
        ]
        adopted = set(seen.adopted.values())
        for external_id, step in new.items():
            reason = "Beds24 has a booking of ours under this number"
            action = Action(Do.CREATE, "low", reason if external_id in adopted else step.reason)
            suspect = Suspect(external_id, step.copy, None)
            self._list(Do.CREATE, content_hash(step.copy), suspect, None, action)

    def take_blocks(self, blocks: Blocks) -> None:
        """What follows for blocked nights."""
        self.errors += blocks.errors
        self.actions.blocks = blocks.actions
        self.actions.findings += blocks.findings
        for block in blocks.actions:
            self.items.append(block.item())
            self.fingerprints.append(block.fingerprint)
        for finding in blocks.findings:
            self.fingerprints.append(f"flag {finding.subject} block {finding.fingerprint}")
            self.items.append(
                {
                    "action": Do.FLAG.value,
                    "kind": finding.kind,
                    "severity": finding.severity,
                    "external_id": finding.subject,
                    "reservation_id": None,
                    "reason": finding.reason,
                    "from": _without_guest(finding.ours),
                    "to": None,
                }
            )

    def _list(
        self, do: Do, mark: str, suspect: Suspect, stored: Stored | None, action: Action
    ) -> None:
        self.fingerprints.append(f"{do} {suspect.external_id} {action.kind} {mark}")
        ours, theirs = _sides(self.reading, suspect, stored, self.places, do, action.kind)
        item: dict[str, Any] = {
            "action": do.value,
            "external_id": suspect.external_id,
            "reservation_id": str(stored.id) if stored else None,
            "reason": action.reason,
            "from": _without_guest(ours),
            "to": _without_guest(theirs),
        }
        place = self.places.get(suspect.copy.accommodation_ref) if suspect.copy else None
        if do is Do.CREATE and isinstance(place, Place) and not place.name and item["to"]:
            # It names a room type: told by our name for it, not by the channel's number.
            item["to"] |= {"room": None, "room_type_id": str(place.room_type_id)}
        if do is Do.FLAG:
            item |= {"kind": action.kind, "severity": action.risk}
        self.items.append(item)

    def plan(self, active: int, consequences: Mapping[str, int]) -> Plan:
        """All of it, as the run keeps it."""
        now = clock.utcnow()
        cancels = [s for s in self.actions.steps if s.do is Do.CANCEL]
        risky = sum(1 for s in cancels if s.stored is not None and s.stored.leaves_at > now)
        counts = {do.value: 0 for do in Do} | {"block": 0}
        for item in self.items:
            counts[item["action"]] += 1
        order = {do.value: rank for do, rank in _FIRST.items()}
        listed = sorted(
            self.items, key=lambda i: (order.get(i["action"], 9), i["external_id"], i.get("kind"))
        )
        plan = Plan(
            hash=hashlib.sha256("\n".join(sorted(self.fingerprints)).encode()).hexdigest(),
            summary={},
            fetched=self.reading.fetched,
            errors=sorted(self.errors, key=lambda error: error.external_id or ""),
            risky=risky,
            active=active,
            actions=self.actions,
            noun="bookings",
        )
        plan.summary.update(
            counts=counts,
            risky=risky,
            active=active,
            stopped=plan.stopped,
            consequences=dict(consequences),
            items=listed[:SPELLED_OUT],
            more=max(0, len(listed) - SPELLED_OUT),
        )
        return plan


def _change(step: Step, places: Found) -> Change:
    place = places.get(step.copy.accommodation_ref)
    return Change(
        reservation_id=step.stored.id if step.stored else None,
        ends=step.do is Do.CANCEL,
        begins=step.do in (Do.CREATE, Do.CONFIRM) and step.copy.status == "confirmed",
        accommodation_id=place.accommodation_id
        if step.stored is None and isinstance(place, Place)
        else None,
    )


def _active(session: Session, property_id: UUID) -> int:
    return (
        session.scalar(
            select(func.count(func.distinct(Reservation.external_id))).where(
                Reservation.channel == BEDS24,
                Reservation.property_id == property_id,
                Reservation.status.in_((*OPEN, ReservationStatus.CHECKED_IN)),
                Reservation.check_out_at > clock.utcnow(),
            )
        )
        or 0
    )


def _finding(
    reading: Reading, suspect: Suspect, stored: Stored, action: Action, places: Found
) -> Finding:
    ours, theirs = _sides(reading, suspect, stored, places, action.do, action.kind)
    return Finding(
        kind=action.kind or "",
        subject=suspect.external_id,
        severity=action.risk,
        reason=action.reason,
        ours=ours,
        theirs=theirs,
        reservation_id=stored.id,
        external_id=suspect.external_id,
        first_day=stored.ours.check_in,
        last_day=stored.ours.check_out,
    )


def _sides(
    reading: Reading,
    suspect: Suspect,
    stored: Stored | None,
    places: Found,
    do: Do,
    kind: str | None,
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Both sides in plain values. A field that one of them does not say is on neither, unless it is
    what the action is about."""
    ours = None if stored is None else _ours(stored)
    theirs = None if suspect.copy is None else _theirs(reading, suspect.copy, stored, places, kind)
    if ours is not None and theirs is not None:
        about = {kind, *COLUMNS.get(do, ()), "guest_name" if kind == "guest" else None}
        for name in ("amount", "currency", "guest_name", "units"):
            if name not in about and (ours[name] is None or theirs[name] is None):
                del ours[name], theirs[name]
    return ours, theirs


def _ours(stored: Stored) -> dict[str, Any]:
    ours = stored.ours
    return {
        "status": ours.status,
        "check_in": ours.check_in.isoformat(),
        "check_out": ours.check_out.isoformat(),
        "room": stored.room_name or stored.room_type_name,
        "units": ours.units,
        "amount": _money(ours.amount),
        "currency": ours.currency,
        "guest_name": ours.guest,
        "as_of": _iso(stored.updated_at),
        "source": "desk" if ours.status in FRONT_DESK or stored.source == "direct" else "webhook",
    }


def _theirs(
    reading: Reading,
    copy: ChannelReservation,
    stored: Stored | None,
    places: Found,
    kind: str | None,
) -> dict[str, Any]:
    place = places.get(copy.accommodation_ref)
    found = None if place is None or isinstance(place, NoPlace) else place
    room = copy.accommodation_ref
    if found is not None and found.name:
        room = found.name
    elif stored is not None and found is not None and kind != "room":
        room = stored.room_name or stored.room_type_name or room  # it leaves the room to us
    return {
        "status": copy.status,
        "check_in": copy.check_in_on.isoformat(),
        "check_out": copy.check_out_on.isoformat(),
        "room": room,
        "units": copy.units if copy.units_said else None,
        "amount": _money(copy.amount),
        "currency": copy.currency or (found.currency if found is not None else None),
        "guest_name": copy.guest_name,
        "as_of": _iso(copy.modified_at or reading.as_of),
        "source": SOURCE,
    }


def _without_guest(side: Side | None) -> dict[str, Any] | None:
    if side is None:
        return None
    hidden = ("guest_name", "as_of", "source")
    return {name: value for name, value in side.items() if name not in hidden}


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:.2f}"


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
