"""Whom an alert is about: looked up when it is shown, never stored in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, union_all
from sqlalchemy.orm import Session

from app.models import Accommodation, Credential, Property, Reservation
from app.models.columns import among

#: how subjects that are a stay begin, and one that is the PIN of a stay
STAYS = ("reservation", "overbooked")
PIN = "credential"
LOCK = "lock"


@dataclass(frozen=True, slots=True)
class AlertStay:
    """The stay behind an alert, its house and its room."""

    reservation: Reservation
    house: Property
    accommodation: Accommodation | None


def stays(session: Session, subjects: Iterable[str]) -> Mapping[str, AlertStay]:
    """The stays of those subjects that have one, in one statement however many there are."""
    known = {subject: parts for subject in set(subjects) if (parts := parts_of(subject))}
    ids = {key for noun, key in known.values() if noun in STAYS}
    pins = {key for noun, key in known.values() if noun == PIN}
    if not ids and not pins:
        return {}
    keys = union_all(
        select(Reservation.id.label("key"), Reservation.id.label("stay")).where(
            among(Reservation.id, ids)
        ),
        select(Credential.id, Credential.reservation_id).where(among(Credential.id, pins)),
    ).subquery()
    rows = session.execute(
        select(keys.c.key, Reservation, Property, Accommodation)
        .join(Reservation, Reservation.id == keys.c.stay)
        .join(Property, Property.id == Reservation.property_id)
        .outerjoin(Accommodation, Accommodation.id == Reservation.accommodation_id)
    )
    found = {row[0]: AlertStay(*row[1:]) for row in rows}
    return {subject: found[key] for subject, (_, key) in known.items() if key in found}


def parts_of(subject: str) -> tuple[str, UUID] | None:
    """What kind of thing a subject names, and its id; None when it names none of ours."""
    noun, _, rest = subject.partition(":")
    try:
        return noun, UUID(rest)
    except ValueError:
        return None
