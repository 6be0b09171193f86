"""Sort a batch of channel copies by what has to be done about each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app import clock
from app.domain import change_detection
from app.domain.states import FRONT_DESK, ReservationStatus
from app.integrations.channels import ItemError
from app.services import channel_places, reservation_rooms, reservation_rows
from app.services.channel_places import Found, NoPlace, Place
from app.services.reservation_copies import (
    ENDED_AS,
    Candidate,
    OutOfOrder,
    is_stale,
    search_text,
    sweep_mark,
    units_of,
    values,
)
from app.services.reservation_rooms import Kept, of_unit
from app.services.reservation_rows import Row

#: up to this many rows are fetched without asking first which of them differ
FEW = 1001


@dataclass(frozen=True, slots=True)
class Change:
    """A stored row, what a copy would make of it, and the fields in which they differ."""

    stored: Mapping[str, Any]
    row: dict[str, Any]
    fields: Mapping[str, Any]


@dataclass(slots=True)
class Difference:
    """A batch sorted by what has to be done about it, row by row: a booking of several units has
    as many. `adopted` are bookings of ours and the ids the channel gave them."""

    todo: list[Candidate] = field(default_factory=list)  # all that is to be written
    new: list[tuple[Candidate, dict[str, Any]]] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)
    said_anew: list[dict[str, Any]] = field(default_factory=list)
    adopted: dict[UUID, str] = field(default_factory=dict)
    unchanged: int = 0
    stale: int = 0
    errors: list[ItemError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    stale_refs: set[str] = field(default_factory=set)  # the bookings behind `stale`


def difference(
    session: Session,
    batch: Sequence[Candidate],
    *,
    create: bool,
    lock: bool,
    channel_property_id: UUID | None = None,
    force: Collection[str] | None = None,
) -> Difference:
    """What taking in `batch`, all of one channel, would change; a fixed number of statements.

    With `lock` the rows are locked for the writing that follows; with `create` units that nobody
    has entered are made; with `force` only these columns change, however old the copies are.
    """
    found = Difference()
    if not batch:
        return found
    channel = batch[0].copy.channel
    refs = {c.copy.accommodation_ref for c in batch if c.is_stay}
    places = channel_places.find(
        session, channel, refs, channel_property_id=channel_property_id, create=create
    )
    own: Mapping[UUID, datetime | None] = {}
    all_ = force is not None or (lock and len(batch) < FEW)
    suspects = batch if all_ else _sift(session, channel, batch, places)
    found.unchanged = len(batch) - len(suspects)
    ids = [candidate.copy.external_id for candidate in suspects]
    stored = reservation_rows.read(session, channel, ids, lock=lock)
    if channel == channel_places.MAPPED:
        suspects = _recognise(session, found, suspects, stored, lock=lock)
        own = reservation_rows.own_changes(session, [rows[0]["id"] for rows in stored.values()])
    kept = reservation_rooms.kept(session, suspects, places, stored)
    sorter = _Sorter(found, places, kept, own, clock.utcnow(), write=lock, force=force)
    for candidate in suspects:
        sorter.sort_in(candidate, stored.get(candidate.copy.external_id, []))
    return found


def _sift(
    session: Session, channel: str, batch: Sequence[Candidate], places: Found
) -> list[Candidate]:
    """Those that are new or may differ; the others are not even fetched."""
    said: dict[str, list[Any]] = {
        "external_id": [c.copy.external_id for c in batch],
        "hash": [c.hash for c in batch],
        "sweep": [sweep_mark(c.copy) for c in batch],
        "modified": [c.modified_at if c.copy.modified_at else None for c in batch],
    }
    if channel != channel_places.STAYS:
        of = [_place(places, c) for c in batch]
        said["accommodation"] = [place and place.accommodation_id for place in of]
        said["room_type"] = [place and place.room_type_id for place in of]
        positions = reservation_rows.compare_places(session, channel, said)
    else:
        said["ref"] = [c.copy.accommodation_ref for c in batch]
        positions = reservation_rows.compare(session, channel, said)
    return [batch[position] for position in positions]


def _place(places: Found, candidate: Candidate) -> Place | None:
    found = places.get(candidate.copy.accommodation_ref)
    return found if isinstance(found, Place) else None


def _recognise(
    session: Session,
    found: Difference,
    suspects: Sequence[Candidate],
    stored: dict[str, list[Row]],
    *,
    lock: bool,
) -> Sequence[Candidate]:
    """Find bookings of ours that come back under their reference (DECISIONS 3), and add their rows
    to `stored`. One that the channel has twice stays one: the second is an error, never a row."""
    unknown = [c for c in suspects if c.copy.partner_ref and c.copy.external_id not in stored]
    references = sorted({c.copy.partner_ref for c in unknown if c.copy.partner_ref})
    if not references:
        return suspects
    ours = reservation_rows.read_ours(session, references, lock=lock)
    refused = set()
    for candidate in unknown:
        rows = ours.get(candidate.copy.partner_ref or "", [])
        if not rows:
            continue
        external_id = candidate.copy.external_id
        known = rows[0]["external_id"] or found.adopted.get(rows[0]["id"])
        if known is None:
            found.adopted |= {row["id"]: external_id for row in rows}
        if known is None or known == external_id:  # or somebody else has just noted it
            stored[external_id] = rows
            continue
        refused.add(external_id)
        if candidate.copy.status != ReservationStatus.CANCELLED:
            reason = f"it repeats our own booking, which the channel has as {known}"
            found.errors.append(ItemError(external_id, reason, "duplicate"))
    return [c for c in suspects if c.copy.external_id not in refused]


def _is_late(
    candidate: Candidate, stored: Sequence[Row], own: Mapping[UUID, datetime | None]
) -> bool:
    """Whether we know something newer: said by the channel, or changed here and not in this copy
    yet. A cancellation does not wait for what was changed here."""
    if any(r["content_hash"] != candidate.hash and is_stale(candidate, r) for r in stored):
        return True
    if not stored or stored[0]["id"] not in own:
        return False
    told_at = own[stored[0]["id"]]
    late = told_at is None or candidate.modified_at < told_at.replace(microsecond=0)
    return late and candidate.copy.status != ReservationStatus.CANCELLED


class _Sorter:
    """Compares bookings with their rows, one by one."""

    def __init__(
        self,
        found: Difference,
        places: Found,
        kept: Kept,
        own: Mapping[UUID, datetime | None],
        now: datetime,
        *,
        write: bool,
        force: Collection[str] | None = None,
    ) -> None:
        self.found = found
        self.places = places
        self.kept = kept
        self.own = own
        self.now = now
        self.write = write
        self.force = force

    def sort_in(self, candidate: Candidate, stored: Sequence[Row]) -> None:
        """Find out what has to be done about one booking."""
        found, copy = self.found, candidate.copy
        place = self.places.get(copy.accommodation_ref)
        late = self.force is None and _is_late(candidate, stored, self.own)
        done = len(found.new) + len(found.changed) + len(found.said_anew)
        if candidate.is_stay and isinstance(place, Place):
            try:
                self._stay(candidate, place, stored, late=late)
            except OutOfOrder as exc:
                found.errors.append(ItemError(copy.external_id, str(exc), "invalid"))
        elif late:
            found.stale += 1
            found.stale_refs.add(copy.external_id)
        elif stored and (not candidate.is_stay or copy.status == ReservationStatus.CANCELLED):
            # It ends as a stay, which needs no place.
            status = ENDED_AS.get(copy.kind, ReservationStatus.CANCELLED)
            for row in stored if self._takes("status") else ():
                self._set_status(candidate, row, status)
        elif isinstance(place, NoPlace):
            found.errors.append(
                ItemError(copy.external_id, place.reason, place.kind, place.waiting_for)
            )
        if len(found.new) + len(found.changed) + len(found.said_anew) > done:
            found.todo.append(candidate)

    def _stay(
        self, candidate: Candidate, place: Place, stored: Sequence[Row], *, late: bool
    ) -> None:
        """A booking with a place: a row for each of its units, and none for more."""
        known = {row["unit_no"]: row for row in stored}
        wanted = units_of(candidate.copy, stored)
        differing = []
        for unit_no in range(1, wanted + 1):
            row = known.get(unit_no)
            there = of_unit(place, unit_no, row, self.kept)
            if row is not None and self.force is None and _is_known(candidate, there, row):
                self.found.unchanged += 1
            else:
                said = values(candidate, there, self.now, row, unit_no=unit_no)
                differing.append((row, there, said))
        if late:
            self.found.stale += 1
            self.found.stale_refs.add(candidate.copy.external_id)
        for row, there, said in differing:
            if row is not None:
                self._compare(candidate, there, row, said, late=late)
            elif not late and self._takes("units"):
                self._add(candidate, there, said)
        if late or not self._takes("units"):
            return
        self.found.warnings += place.warnings
        for row in stored:
            if row["unit_no"] > wanted:
                self._set_status(candidate, row, ReservationStatus.CANCELLED)

    def _add(self, candidate: Candidate, place: Place, row: dict[str, Any]) -> None:
        if self.write:
            row["search_text"] = search_text(row, place.name)
        self.found.new.append((candidate, row))

    def _compare(
        self, candidate: Candidate, place: Place, stored: Row, said: dict[str, Any], *, late: bool
    ) -> None:
        found = self.found
        if late:
            fields = change_detection.additions(stored, said)
            if stored["id"] in found.adopted:
                fields["external_id"] = said["external_id"]
            if fields:
                self._change(stored, fields, {}, stored["room_name"] or "")
            return
        fields = change_detection.changes(stored, said)
        if stored["id"] in found.adopted:
            fields["external_id"] = said["external_id"]
        marks = _marks(candidate, stored)
        taken = {name: value for name, value in fields.items() if self._takes(name)}
        if len(taken) < len(fields):
            marks = {}  # the row does not say all that the copy says
        if taken:
            self._change(stored, taken, marks, place.name)
        elif marks:
            self._say_anew(stored, marks)
        else:
            found.unchanged += 1

    def _takes(self, column: str) -> bool:
        """Whether this column may change; `units` stands for the number of rows."""
        return self.force is None or column in self.force or column == "external_id"

    def _set_status(self, candidate: Candidate, stored: Row, status: ReservationStatus) -> None:
        """The booking, or this unit of it, is a stay no more; what was recorded here stays."""
        was = stored["status"]
        marks = _marks(candidate, stored)
        open_ = was not in FRONT_DESK and was != status
        if status == ReservationStatus.PENDING:
            open_ = was == ReservationStatus.CONFIRMED
        if open_:
            fields: dict[str, Any] = {"status": status.value, "unknown_status": None}
            if status == ReservationStatus.CANCELLED:
                fields["cancelled_at"] = self.now
            self._change(stored, fields, marks, stored["room_name"] or "")
        elif any(stored[name] != value for name, value in marks.items() if value is not None):
            self._say_anew(stored, marks)
        else:
            self.found.unchanged += 1

    def _say_anew(self, stored: Row, marks: Mapping[str, Any]) -> None:
        # A single copy says nothing about bulk answers: what was recognised there still is.
        sweep_hash = marks["sweep_hash"] or stored["sweep_hash"]
        self.found.said_anew.append({"id": stored["id"], **marks, "sweep_hash": sweep_hash})

    def _change(
        self, stored: Row, fields: Mapping[str, Any], marks: Mapping[str, Any], room: str
    ) -> None:
        row = {**stored, **fields, **marks}
        row["search_text"] = search_text(row, room)
        self.found.changed.append(Change(stored, row, fields))


def _is_known(candidate: Candidate, place: Place, stored: Row) -> bool:
    """Whether the row holds this very copy already; says the same as the statements that sift."""
    mark, modified_at = sweep_mark(candidate.copy), stored["source_modified_at"]
    here = ("accommodation_id",) if place.accommodation_id else ("accommodation_id", "room_type_id")
    return bool(
        stored["content_hash"] == candidate.hash
        and all(stored[name] == getattr(place, name) for name in here)
        and (mark is None or stored["sweep_hash"] == mark)
        and (
            candidate.copy.modified_at is None
            or modified_at is None
            or candidate.modified_at <= modified_at
        )
    )


def _marks(candidate: Candidate, stored: Row) -> dict[str, Any]:
    """What the row keeps about the copy itself."""
    known: datetime | None = stored["source_modified_at"]
    said = candidate.modified_at
    return {
        "source_modified_at": said if known is None else max(known, said),
        "content_hash": candidate.hash,
        "sweep_hash": sweep_mark(candidate.copy),
    }
