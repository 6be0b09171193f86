"""Sort a batch of channel copies by what has to be done about each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from app import clock
from app.domain import change_detection
from app.integrations.channels import ItemError
from app.services import channel_places, reservation_rows
from app.services.channel_places import Place
from app.services.reservation_copies import (
    Candidate,
    OutOfOrder,
    is_stale,
    search_text,
    sweep_mark,
    values,
)

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
    """A batch sorted by what has to be done about it."""

    todo: list[Candidate] = field(default_factory=list)  # all that is to be written
    new: list[tuple[Candidate, dict[str, Any]]] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)
    said_anew: list[dict[str, Any]] = field(default_factory=list)
    unchanged: int = 0
    stale: int = 0
    errors: list[ItemError] = field(default_factory=list)


def difference(
    session: Session, batch: Sequence[Candidate], *, create: bool, lock: bool
) -> Difference:
    found = Difference()
    if not batch:
        return found
    channel = batch[0].copy.channel
    now = clock.utcnow()
    places = channel_places.find(session, {c.copy.accommodation_ref for c in batch}, create=create)
    suspects = batch if lock and len(batch) < FEW else _sift(session, channel, batch)
    found.unchanged = len(batch) - len(suspects)
    ids = [candidate.copy.external_id for candidate in suspects]
    stored = reservation_rows.read(session, channel, ids, lock=lock)
    for candidate in suspects:
        place = places.get(candidate.copy.accommodation_ref)
        if place is None:
            found.errors.append(
                ItemError(candidate.copy.external_id, channel_places.NO_PROPERTY, "no_property")
            )
            continue
        try:
            row = stored.get(candidate.copy.external_id)
            _sort_in(found, candidate, place, row, now, write=lock)
        except OutOfOrder as exc:
            found.errors.append(ItemError(candidate.copy.external_id, str(exc), "invalid"))
    return found


def _sift(session: Session, channel: str, batch: Sequence[Candidate]) -> list[Candidate]:
    """Those that are new or may differ; the others are not even fetched."""
    positions = reservation_rows.compare(
        session,
        channel,
        {
            "external_id": [c.copy.external_id for c in batch],
            "ref": [c.copy.accommodation_ref for c in batch],
            "hash": [c.hash for c in batch],
            "sweep": [sweep_mark(c.copy) for c in batch],
            "modified": [c.modified_at if c.copy.modified_at else None for c in batch],
        },
    )
    return [batch[position] for position in positions]


def _is_known(candidate: Candidate, place: Place, stored: Mapping[str, Any]) -> bool:
    """Whether the row holds this very copy already; says the same as the statement that sifts."""
    mark, modified_at = sweep_mark(candidate.copy), stored["source_modified_at"]
    return bool(
        stored["content_hash"] == candidate.hash
        and stored["accommodation_id"] == place.accommodation_id
        and (mark is None or stored["sweep_hash"] == mark)
        and (
            candidate.copy.modified_at is None
            or modified_at is None
            or candidate.modified_at <= modified_at
        )
    )


def _sort_in(
    found: Difference,
    candidate: Candidate,
    place: Place,
    stored: Mapping[str, Any] | None,
    now: datetime,
    *,
    write: bool,
) -> None:
    if stored is None:
        row = values(candidate, place, now)
        if write:
            row["search_text"] = search_text(row, place.name)
        found.todo.append(candidate)
        found.new.append((candidate, row))
        return
    if _is_known(candidate, place, stored):
        found.unchanged += 1
        return
    same = stored["content_hash"] == candidate.hash
    if not same and is_stale(candidate, stored):
        found.stale += 1
        return
    said = values(candidate, place, now, stored)
    fields = change_detection.changes(stored, said)
    found.todo.append(candidate)
    marks = {name: said[name] for name in reservation_rows.MARKS}
    known = stored["source_modified_at"]
    if known is not None:
        marks["source_modified_at"] = max(known, candidate.modified_at)
    if not fields:
        # A single copy says nothing about bulk answers: what was recognised there still is.
        marks["sweep_hash"] = marks["sweep_hash"] or stored["sweep_hash"]
        found.said_anew.append({"id": stored["id"], **marks})
        return
    row = dict(stored) | fields | marks
    row["search_text"] = search_text(row, place.name)
    found.changed.append(Change(stored, row, fields))
