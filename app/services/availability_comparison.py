"""Free units of the coming year, night by night, as Beds24 would sell them and as we count them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from app.domain import calendar_comparison
from app.services import (
    availability,
    calendar_bookings,
    calendar_motion,
    calendar_plans,
    calendar_readings,
    channel_calendars,
    outbound,
    vendors,
)
from app.services.calendar_bookings import Live
from app.services.calendar_motion import Told
from app.services.calendar_plans import Compared, Differing, Draft
from app.services.calendar_readings import UNITS, Calendars, House, Room
from app.services.channel_calendars import Night
from app.services.outbound_places import CHANNEL
from app.services.reconciliation_kinds import Plan, Tally
from app.services.reconciliation_rows import Work
from app.transaction import transaction

KIND = "availability"
_DAY = timedelta(days=1)
#: room type -> night -> free units
Counts = Mapping[UUID, Mapping[date, int]]


@dataclass(frozen=True, slots=True)
class Reading:
    """Beds24's calendars, what we counted before they were read, and the bookings of the nights
    that would be raised."""

    calendars: Calendars
    counted: Counts
    live: Live


class AvailabilityComparison:
    """The mapped rooms of one property for 365 nights (B24R-11…14)."""

    channel = CHANNEL

    def read(self, work: Work) -> Reading:
        """The calendars, and the bookings of nights that Beds24 would sell again. Raises
        IntegrationError, Unavailable."""
        house = calendar_readings.house_of(work)
        client = vendors.beds24_client(house.connection)
        with transaction() as session:
            counted = _counted(session, house)
        calendars = calendar_readings.read(client, house)
        raised = {room.room_ref: days for room, days in _raised(calendars, counted).items()}
        return Reading(calendars, counted, calendar_bookings.read(client, raised))

    def plan(self, work: Work, reading: Reading) -> Plan:
        """What is told again, what a person has to look at, and what is left to the next run; the
        same few statements however many rooms and nights."""
        calendars = reading.calendars
        house = calendars.house
        with transaction() as session:
            waiting = calendar_motion.units_in_motion(session, calendars)
            counted = _counted(session, house)
            unseen = calendar_bookings.unseen(session, reading.live, _raised(calendars, counted))
            told = calendar_motion.told_lately(
                session, house, outbound.AVAILABILITY, calendars.asked_at
            )
        draft = Draft(outbound.AVAILABILITY, KIND, calendars, waiting=dict(waiting))
        draft.errors += calendars.errors([UNITS])
        for room in house.rooms:
            if room.room_type_id not in waiting:
                days = _comparable(reading, room, counted[room.room_type_id])
                draft.rooms.append(Compared(room, list(days), _differing(room, days, unseen, told)))
        return calendar_plans.make(draft)

    def apply(self, work: Work, plan: Plan, keep: Callable[..., None]) -> Tally:
        """Keep the calendars, tell room by room, write down what is left to people."""
        return calendar_plans.apply(work, plan, keep, calendar_motion.units_in_motion)


def _counted(session: Session, house: House) -> dict[UUID, dict[date, int]]:
    """Free units by the one function that bookings and pushes use as well (C-29)."""
    first, last = channel_calendars.horizon(house.today)
    found = availability.nights(session, house.room_type_ids, first, last + _DAY)
    return {
        id_: {night.date: night.available for night in found.get(id_, ())}
        for id_ in house.room_type_ids
    }


def _raised(calendars: Calendars, counted: Counts) -> dict[Room, list[date]]:
    """The nights of which telling ours would let Beds24 sell more, by room."""
    found: dict[Room, list[date]] = {}
    for room in calendars.house.rooms:
        theirs, ours = calendars.nights[room.room_ref], counted[room.room_type_id]
        days = [
            day
            for day in calendars.days
            if day in ours and calendar_comparison.units(ours[day], _said(theirs, day)).raises
        ]
        if days:
            found[room] = days
    return found


def _comparable(
    reading: Reading, room: Room, ours: Mapping[date, int]
) -> dict[date, tuple[int, int | None]]:
    """Ours and theirs of the nights that can be compared: theirs could be read, and ours has not
    changed while that was done."""
    calendars, before = reading.calendars, reading.counted[room.room_type_id]
    unread = calendars.unread(room, [UNITS])
    theirs = calendars.nights[room.room_ref]
    return {
        day: (ours[day], _said(theirs, day))
        for day in calendars.days
        if day not in unread and day in ours and ours[day] == before.get(day)
    }


def _differing(
    room: Room,
    days: Mapping[date, tuple[int, int | None]],
    unseen: Mapping[tuple[str, date], int | None],
    told: Told,
) -> dict[date, Differing]:
    found: dict[date, Differing] = {}
    for day, (ours, theirs) in days.items():
        decision = calendar_comparison.units(
            ours, theirs, unseen=unseen.get((room.room_ref, day), 0)
        )
        if decision.agrees:
            continue
        if decision.tell:
            sent = {"numAvail": max(ours, 0)}
            lately = calendar_motion.times(told, room.room_type_id, day, sent)
            decision = calendar_comparison.patient(decision, lately)
        found[day] = Differing(decision, {"available": ours}, {"available": theirs})
    return found


def _said(theirs: Mapping[date, Night], day: date) -> int | None:
    return theirs[day].available if day in theirs else None
