"""Everything active compared with Stays, of the whole account, to be told and not to be changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any, cast

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from app import clock
from app.domain import comparison_report
from app.domain.comparison import Action, compare
from app.domain.comparison_report import Compared, Difference
from app.domain.states import EventStatus, RunStatus
from app.integrations.channels import ChangeSet, ChannelReservation, ItemError, StaysClient
from app.integrations.errors import NotFound, Unreadable
from app.models import ChannelEvent, ReconciliationLog, Reservation
from app.services import booking_rows, channel_places, comparison_reports, vendors
from app.services import reconciliation_reading as reading_again
from app.services.booking_reading import Suspect, theirs
from app.services.booking_rows import Stored
from app.services.channel_places import Found, Place
from app.services.reconciliation_kinds import Plan, Tally
from app.services.reconciliation_reading import ACTIVE
from app.services.reconciliation_rows import Work
from app.transaction import transaction

STAYS = "stays"
#: how far ahead at least, and how long ago a stay may have been changed last
FAR_AHEAD, LONG_AGO = timedelta(days=365), timedelta(days=730)
#: stays asked for by id that the reading did not bring, soonest first; each is a call
ASKED_AT_MOST = 200
#: copies compared with our rows at once
BATCH = 1000
_MOVING = (EventStatus.RECEIVED, EventStatus.PROCESSING, EventStatus.RETRYING)


@dataclass(slots=True)
class Reading:
    """What Stays says of all that is active, as far as it may differ from ours. `ours` are the ids
    of our stays that are not over, soonest first."""

    as_of: datetime
    today: date
    ours: dict[str, None]
    fetched: int = 0
    suspects: dict[str, Suspect] = field(default_factory=dict)
    errors: list[ItemError] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    not_asked: list[str] = field(default_factory=list)


class StaysDeepComparison:
    """Every stay that is not over, however old its last change."""

    channel = STAYS

    def read(self, work: Work) -> Reading:
        """All that is active, slice by slice, and by id what was not among it. Raises
        IntegrationError, Unavailable."""
        client = cast(StaysClient, vendors.channel_client(STAYS))
        now = clock.utcnow()
        with transaction() as session:
            ids, last, oldest = _ours(session, now)
        reading = Reading(now, now.date(), ids)
        first, since = reading.today - timedelta(days=1), now - LONG_AGO
        until = max(last or first, reading.today + FAR_AHEAD)
        for part in client.active(first, until, since=min(oldest or since, since)):
            _take(reading, part)
        _ask_for(client, reading)
        return reading

    def plan(self, work: Work, reading: Reading) -> Plan:
        """What differs, with our rows as they are now. What has changed meanwhile, here or there,
        is on its way and left to the half-hourly run."""
        compared = Compared(reading.ours.keys())
        for error in reading.errors:
            compared.leave("unreadable", error.external_id)
        for external_id in reading.not_asked:
            compared.leave("not_asked", external_id)
        with transaction() as session:
            moving, read_until = _moving(session, reading.as_of), _read_until(session)
        suspects = iter(sorted(reading.suspects.values(), key=lambda each: each.external_id))
        while part := list(islice(suspects, BATCH)):
            places, stored = _known(part)
            for suspect in part:
                own = stored.get(suspect.external_id)
                news = _is_news(suspect.copy, read_until)
                if news or suspect.external_id in moving or _state(own) != suspect.state:
                    compared.leave("moving", suspect.external_id)
                elif actions := _judge(suspect.copy, own, places):
                    compared.differences.append(_difference(suspect, own, places, actions))
        return comparison_reports.plan(compared, reading.fetched, reading.errors, "reservations")

    def apply(self, work: Work, plan: Plan, keep: Callable[..., None]) -> Tally:
        """Keep the report."""
        return comparison_reports.write(work, plan, keep)


def _ours(session: Session, now: datetime) -> tuple[dict[str, None], date | None, datetime | None]:
    """Our stays that are not over, their last departure, and how long ago one changed there."""
    rows = session.execute(
        select(Reservation.external_id, Reservation.check_out_on, Reservation.source_modified_at)
        .where(
            Reservation.channel == STAYS,
            Reservation.external_id.is_not(None),
            Reservation.status.in_(ACTIVE),
            Reservation.check_out_at > now,
        )
        .order_by(Reservation.check_in_at, Reservation.id)
    ).all()
    ids = {row.external_id: None for row in rows}
    return (
        cast(dict[str, None], ids),
        max((row.check_out_on for row in rows), default=None),
        min((row.source_modified_at for row in rows if row.source_modified_at), default=None),
    )


def _take(reading: Reading, part: ChangeSet) -> None:
    """Put aside what agrees, and drop what concerns nobody any more."""
    reading.fetched += part.fetched
    wanted = []
    for error in part.errors:
        if error.external_id is None or error.external_id not in reading.seen:
            reading.errors.append(error)
        reading.seen.update([error.external_id] if error.external_id else [])
    for copy in part.reservations:
        if copy.external_id in reading.seen or not _matters(reading, copy):
            continue
        reading.seen.add(copy.external_id)
        if copy.status is None:
            said = f"status: expected one of Stays', not {copy.raw_status[:20]!r}"
            reading.errors.append(ItemError(copy.external_id, said))
        else:
            wanted.append(replace(copy, raw={}))
    for begin in range(0, len(wanted), BATCH):
        copies = wanted[begin : begin + BATCH]
        places, stored = _known([Suspect(copy.external_id, copy, None) for copy in copies])
        for copy in copies:
            own = stored.get(copy.external_id)
            if _judge(copy, own, places):
                suspect = Suspect(copy.external_id, copy, _state(own))
                reading.suspects[copy.external_id] = suspect


def _matters(reading: Reading, copy: ChannelReservation) -> bool:
    alive = copy.kind == "stay" and copy.status != "cancelled"
    return copy.external_id in reading.ours or (alive and copy.check_out_on >= reading.today)


def _ask_for(client: StaysClient, reading: Reading) -> None:
    """By id, and twice before anything is called missing; no more than some hundred."""
    absent = [external_id for external_id in reading.ours if external_id not in reading.seen]
    reading.not_asked = absent[ASKED_AT_MOST:]
    missing = _ask(client, reading, absent[:ASKED_AT_MOST])
    if missing:
        reading_again.pause(reading_again.ASK_AGAIN_SECONDS)
        missing = _ask(client, reading, missing)
    with transaction() as session:
        stored = booking_rows.read(session, missing, STAYS)
    for external_id in missing:
        suspect = Suspect(external_id, None, _state(stored.get(external_id)))
        reading.suspects[external_id] = suspect


def _ask(client: StaysClient, reading: Reading, ids: Iterable[str]) -> list[str]:
    """Those that Stays does not have. What it cannot say legibly is an error of that one; any other
    fault ends the reading."""
    missing, found, errors = list[str](), list[ChannelReservation](), list[ItemError]()
    for external_id in ids:
        reading.fetched += 1
        try:
            found.append(client.get(external_id))
        except NotFound:
            missing.append(external_id)
        except Unreadable as error:
            errors.append(ItemError(external_id, error.message[:300]))
    _take(reading, ChangeSet(found, errors))
    return missing


def _known(suspects: Sequence[Suspect]) -> tuple[Found, dict[str, Stored]]:
    """Where the copies' units are in our house, and our bookings of these ids."""
    refs = {s.copy.accommodation_ref for s in suspects if s.copy is not None}
    with transaction() as session:
        places = channel_places.find(session, STAYS, refs, channel_property_id=None, create=False)
        return places, booking_rows.read(session, [s.external_id for s in suspects], STAYS)


def _judge(copy: ChannelReservation | None, own: Stored | None, places: Found) -> list[Action]:
    """What follows for one booking, by the rules for Beds24: what they say of a price or of a date
    holds for any channel."""
    ours = own.ours if own else None
    if copy is None:
        return compare(ours, None)
    place = _place(copy, places)
    said = theirs(copy, place)
    if place is None:
        said = replace(said, room=copy.accommodation_ref or None)  # a unit that we do not have
    return compare(ours, said)


def _place(copy: ChannelReservation, places: Found) -> Place | None:
    found = places.get(copy.accommodation_ref)
    known = isinstance(found, Place) and found.accommodation_id is not None
    return cast(Place, found) if known else None


def _state(own: Stored | None) -> str | None:
    return own.state if own else None


def _is_news(copy: ChannelReservation | None, read_until: datetime | None) -> bool:
    """Whether it changed there after the last run that could have taken it in."""
    changed = copy.modified_at if copy is not None else None
    return changed is not None and read_until is not None and changed >= read_until


def _moving(session: Session, since: datetime) -> set[str]:
    """Bookings with a message of Stays under way, or that had one since `since`."""
    found = session.scalars(
        select(ChannelEvent.entity_external_id).where(
            ChannelEvent.source == STAYS,
            ChannelEvent.entity_external_id.is_not(None),
            or_(
                ChannelEvent.status.in_(_MOVING),
                ChannelEvent.processed_at > since,
                ChannelEvent.received_at > since,
            ),
        )
    )
    return {external_id for external_id in found if external_id}


def _read_until(session: Session) -> datetime | None:
    """Until when changes at Stays have been taken in."""
    return session.scalar(
        select(func.max(ReconciliationLog.started_at)).where(
            ReconciliationLog.kind == STAYS,
            ReconciliationLog.status == RunStatus.SUCCESS,
            ReconciliationLog.dry_run.is_(False),
        )
    )


def _difference(
    suspect: Suspect, own: Stored | None, places: Found, actions: Sequence[Action]
) -> Difference:
    return Difference(
        suspect.external_id,
        comparison_report.kinds(_words(actions)),
        None if own is None else _our_side(own),
        None if suspect.copy is None else _their_side(suspect.copy, places),
        None if own is None else str(own.id),
    )


def _words(actions: Iterable[Action]) -> Iterator[str]:
    return (action.kind or action.do.value for action in actions)


def _our_side(own: Stored) -> dict[str, Any]:
    ours = own.ours
    return {
        "status": ours.status,
        "check_in": ours.check_in.isoformat(),
        "check_out": ours.check_out.isoformat(),
        "room": own.room_name,
        "amount": _money(ours.amount),
        "currency": ours.currency,
    }


def _their_side(copy: ChannelReservation, places: Found) -> dict[str, Any]:
    place = _place(copy, places)
    return {
        "status": copy.status,
        "check_in": copy.check_in_on.isoformat(),
        "check_out": copy.check_out_on.isoformat(),
        "room": place.name if place else copy.accommodation_ref or None,
        "amount": _money(copy.amount),
        "currency": copy.currency,
    }


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:.2f}"
