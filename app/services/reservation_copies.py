"""A channel's copy of a reservation turned into the row it should become."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from app.domain import change_detection, channel_rooms
from app.domain.folding import fold
from app.domain.states import ReservationStatus
from app.domain.stay_times import End, Said, instant, settle
from app.integrations.channels import ChannelReservation
from app.services.channel_places import MAPPED, Place

MIDNIGHT = time(0)
#: what a booking becomes that its channel does not call a guest's stay any more
ENDED_AS = {"block": ReservationStatus.CANCELLED, "inquiry": ReservationStatus.PENDING}
_WORDS = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A copy with its fingerprint and the moment it speaks of."""

    copy: ChannelReservation
    hash: str
    modified_at: datetime

    @property
    def is_stay(self) -> bool:
        """Blocks and inquiries only change the status of what was a stay before."""
        return self.copy.kind == "stay"


class OutOfOrder(ValueError):
    """The stay would end before it begins; says so without guest data."""


def prepare(
    copies: Sequence[ChannelReservation], *, as_of: datetime, now: datetime
) -> list[Candidate]:
    """Each booking once (the newest copy wins), in the order in which rows are locked.

    `as_of` is when a copy without a time of its own was true. A time in the future would make every
    later copy look old, so it counts as now. Of two copies of one moment a cancellation wins.
    """
    latest: dict[str, Candidate] = {}
    for said in copies:
        copy = said if said.kind == "stay" else replace(said, status=ENDED_AS[said.kind])
        moment = min(copy.modified_at or as_of, now)
        candidate = Candidate(copy, content_hash(copy), moment)
        known = latest.get(copy.external_id)
        if known is not None:
            tie = moment == known.modified_at
            if moment < known.modified_at or (tie and _undoes(copy, known.copy.status)):
                continue
        latest[copy.external_id] = candidate
    return [latest[key] for key in sorted(latest)]


def content_hash(copy: ChannelReservation) -> str:
    """A fingerprint of everything a copy says that we store; times of reading are no part of it."""
    said: tuple[object, ...] = (
        copy.accommodation_ref,
        copy.status or f"?{copy.raw_status}",
        copy.check_in_on,
        copy.check_out_on,
        copy.check_in_time,
        copy.check_out_time,
        copy.check_in_at,
        copy.check_out_at,
        copy.guest_name,
        copy.guest_email,
        copy.guest_phone,
        copy.adults,
        copy.children,
        copy.amount,
        copy.currency,
        copy.code,
        copy.partner,
        copy.partner_ref,
        copy.booked_on,
    )
    if copy.group_ref or copy.units > 1 or not copy.units_said:
        said += (copy.group_ref, copy.units if copy.units_said else "?")
    text = "\x1f".join(["" if value is None else str(value) for value in said])
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


def sweep_mark(copy: ChannelReservation) -> str | None:
    """What is stored to recognise this copy in a bulk answer, with the unit it named: once that id
    stands for another unit here, the copy has to be read again."""
    return copy.sweep_hash and f"{copy.sweep_hash} {copy.accommodation_ref}"


def is_stale(candidate: Candidate, stored: Mapping[str, Any]) -> bool:
    """Whether we know something newer: events arrive out of order."""
    known: datetime | None = stored["source_modified_at"]
    if known is None or candidate.modified_at > known:
        return False
    return candidate.modified_at < known or _undoes(candidate.copy, stored["status"])


def _undoes(copy: ChannelReservation, status: str | None) -> bool:
    """Whether `copy`, which says itself how old it is, takes a cancellation of that moment back."""
    cancelled = ReservationStatus.CANCELLED
    return copy.modified_at is not None and status == cancelled and copy.status != cancelled


def units_of(copy: ChannelReservation, stored: Sequence[Mapping[str, Any]]) -> int:
    """How many rooms the booking takes; as many as before when the copy does not say."""
    if copy.units_said or not stored:
        return copy.units
    here = [row for row in stored if row["status"] != ReservationStatus.CANCELLED]
    last: int = max(row["unit_no"] for row in here or stored)
    return last


def values(
    candidate: Candidate,
    place: Place,
    now: datetime,
    stored: Mapping[str, Any] | None = None,
    *,
    unit_no: int = 1,
) -> dict[str, Any]:
    """Every column the copy decides for one of its units, given what is stored. Raises OutOfOrder.

    The amount and the party are the booking's, so they stand on its first unit alone.
    """
    copy = candidate.copy
    first = unit_no == 1
    arrival, departure = _ends(copy, place, stored)
    if departure.at <= arrival.at:
        raise OutOfOrder(
            f"check_out {departure.at.isoformat()} is not after check_in {arrival.at.isoformat()}"
        )
    status, unknown = change_detection.settle_status(
        stored["status"] if stored else None, copy.status, copy.raw_status
    )
    cancelled_at = None
    if status == ReservationStatus.CANCELLED:
        cancelled_at = (stored["cancelled_at"] if stored else None) or now
    booked_at = None
    if copy.booked_on is not None:
        booked_at = instant(copy.booked_on, MIDNIGHT, place.house.zone)
    partner_ref = copy.partner_ref
    if stored is not None and partner_ref == stored["api_reference"]:
        partner_ref = None  # it is ours
    amount = copy.amount if first else None
    guest = (copy.guest_name, copy.guest_email, copy.guest_phone)
    over = departure.at <= now or status == ReservationStatus.CANCELLED
    if stored is not None and stored["anonymised_at"] and over:
        guest = (None, None, None)  # forgotten for good: the channel may still know them
    return {
        "external_id": copy.external_id,
        "unit_no": unit_no,
        "property_id": place.property_id,
        "accommodation_id": place.accommodation_id,
        "room_type_id": place.room_type_id,
        "external_code": copy.code,
        "status": status,
        "unknown_status": unknown,
        "guest_name": guest[0],
        "guest_email": guest[1],
        "guest_phone": guest[2],
        "adults": copy.adults if first else None,
        "children": copy.children if first else None,
        "check_in_at": arrival.at,
        "check_out_at": departure.at,
        "check_in_on": arrival.day,
        "check_out_on": departure.day,
        "check_in_time_known": arrival.known,
        "check_out_time_known": departure.known,
        "amount": amount,
        "currency": copy.currency or (place.currency if amount is not None else None),
        "partner": copy.partner,
        "partner_ref": partner_ref,
        "booked_at": booked_at,
        "group_ref": copy.group_ref,
        "channel_room_ref": _room_ref(copy, first=first),
        "source_modified_at": candidate.modified_at,
        "content_hash": candidate.hash,
        "sweep_hash": sweep_mark(copy),
        "cancelled_at": cancelled_at,
    }


def _room_ref(copy: ChannelReservation, *, first: bool) -> str | None:
    """What the channel called the room; a unit that it named is the first one's."""
    if copy.channel != MAPPED:
        return None
    return copy.accommodation_ref if first else channel_rooms.split(copy.accommodation_ref)[0]


def search_text(row: Mapping[str, Any], place_name: str) -> str:
    """The words a stay is found by, folded. Texts with signs in them are there in parts as well,
    so that "marta" finds marta@example.org."""
    phone = "".join(char for char in row["guest_phone"] or "" if char.isdigit())
    words = [
        row["guest_name"],
        row["guest_email"],
        phone,
        row["external_id"],
        row["external_code"],
        row["partner_ref"],
        place_name,
    ]
    whole = [part for word in words if word for part in fold(word).split()]
    parts = [part for word in whole if not word.isalnum() for part in _WORDS.findall(word)]
    return " ".join(dict.fromkeys([*whole, *parts]))


def _ends(
    copy: ChannelReservation, place: Place, stored: Mapping[str, Any] | None
) -> tuple[End, End]:
    arrival = departure = zone = None
    if stored is not None:
        zone = ZoneInfo(stored["timezone"])
        arrival = End(stored["check_in_at"], stored["check_in_on"], stored["check_in_time_known"])
        departure = End(
            stored["check_out_at"], stored["check_out_on"], stored["check_out_time_known"]
        )
    return (
        settle(
            Said(copy.check_in_on, copy.check_in_time, copy.check_in_at),
            place.house,
            check_out=False,
            stored=arrival,
            stored_zone=zone,
        ),
        settle(
            Said(copy.check_out_on, copy.check_out_time, copy.check_out_at),
            place.house,
            check_out=True,
            stored=departure,
            stored_zone=zone,
        ),
    )
