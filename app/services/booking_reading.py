"""Read a property's bookings from Beds24, and keep no more of them than there is to decide about.

Every page is compared with our rows as it comes: what agrees is reduced to its hash. So the memory
a reading takes grows with what differs, and not with the house.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from app import clock
from app.domain.comparison import Action, Theirs, compare
from app.integrations.channels import ChannelReservation, ItemError
from app.integrations.channels.beds24 import Beds24Client
from app.integrations.channels.beds24_wire import price_fault
from app.services import booking_rows, channel_places, vendors
from app.services.booking_rows import Span, Stored
from app.services.channel_accounts import BEDS24
from app.services.channel_places import Found, NoPlace, Place
from app.services.reconciliation_turns import Connection
from app.transaction import transaction

#: days compared before and after today (B24R-02)
BACK, AHEAD = timedelta(days=30), timedelta(days=90)
#: how far ahead at least, when all that is active is compared
FAR_AHEAD = timedelta(days=365)
#: copies compared with our rows in one statement
BATCH = 1000


@dataclass(frozen=True, slots=True)
class Suspect:
    """A booking on which the sides may differ; `copy` is None when Beds24 does not have it, and
    `state` what ours was when that was found."""

    external_id: str
    copy: ChannelReservation | None
    state: str | None


@dataclass(slots=True)
class Reading:
    """What a property's bookings at Beds24 amount to. `agreed` are id, hash of the item and state
    of ours; `compared` every id about which something is known by now."""

    connection: Connection
    as_of: datetime
    span: Span
    stamp: str
    fetched: int = 0
    suspects: dict[str, Suspect] = field(default_factory=dict)
    blocks: dict[str, ChannelReservation] = field(default_factory=dict)
    agreed: list[tuple[str, str, str]] = field(default_factory=list)
    errors: dict[str, ItemError] = field(default_factory=dict)
    compared: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)  # ids of ours that Beds24 does not know
    ours: frozenset[str] = frozenset()  # ids of ours in the span that are not over


def read(connection: Connection, since: datetime | None, *, everything: bool = False) -> Reading:
    """Every booking that touches the days compared, in any status, and by id those of ours that
    are not among them, or that a discrepancy stands open about: what is settled by now closes it,
    also where neither side has the booking any more. With `everything` the days reach to the end
    of our last stay, and what was seen to agree before is compared again. Raises IntegrationError
    when any of it cannot be read.
    """
    client = vendors.beds24_client(connection.id)
    as_of = clock.utcnow()
    today = as_of.astimezone(connection.zone).date()
    span = span_of(connection, since, today)
    with transaction() as session:
        if everything:
            far = booking_rows.last_day(session, span.home) or today
            span = replace(span, last=max(far, today + FAR_AHEAD))
        stamp = booking_rows.stamp(session, connection.id)
        known = {} if everything else booking_rows.known(session, span, stamp)
        ours = booking_rows.ids(session, span)
        expected = ours | booking_rows.blocks(session, span)
        disputed = booking_rows.disputed(session, connection.id)
    expected |= disputed
    reading = Reading(connection, as_of, span, stamp, ours=frozenset(ours))
    waiting: list[ChannelReservation] = []
    for page in client.sweep_pages(span.first, span.last, connection.ref, known=known):
        reading.compared |= page.seen
        expected -= page.seen
        _note_errors(reading, page.errors)
        waiting += _lean(reading, page.reservations)
        if len(waiting) >= BATCH:
            _sift(reading, waiting)
            waiting = []
    _sift(reading, waiting)
    reading.fetched = len(reading.compared)
    _ask_for(client, reading, expected, disputed)
    reading.compared -= reading.errors.keys()
    return reading


def span_of(connection: Connection, since: datetime | None, today: date) -> Span:
    """The days compared: 30 back and 90 ahead, or back to a day that a person has named."""
    first = today - BACK
    if since is not None:
        first = min(since.astimezone(connection.zone).date(), today)
    return Span(connection.property_id, first, today + AHEAD)


def theirs(copy: ChannelReservation, place: Place | None) -> Theirs:
    """A copy with our words for its room; `place` None where that is not mapped."""
    currency = copy.currency or (place.currency if place is not None else None)
    return Theirs(
        status=copy.status or "",
        check_in=copy.check_in_on,
        check_out=copy.check_out_on,
        kind=copy.kind,
        home=place and place.property_id,
        room=place and place.accommodation_id,
        room_type=place and place.room_type_id,
        units=copy.units if copy.units_said else None,
        amount=copy.amount,
        currency=currency,
        guest=copy.guest_name,
    )


def places_of(connection_id: UUID, copies: Iterable[ChannelReservation]) -> Found:
    """Where the copies' rooms are in our house, by the mappings."""
    refs = {copy.accommodation_ref for copy in copies}
    with transaction() as session:
        return channel_places.find(
            session, BEDS24, refs, channel_property_id=connection_id, create=False
        )


def judge(
    copy: ChannelReservation, stored: Stored | None, places: Found
) -> list[Action] | ItemError:
    """What follows for one booking, or why it cannot be compared."""
    place = places.get(copy.accommodation_ref)
    found = place if isinstance(place, Place) else None
    actions = compare(stored.ours if stored else None, theirs(copy, found))
    if not isinstance(place, NoPlace) or copy.status == "cancelled":
        return actions
    if not actions and stored is None:
        return actions  # nothing of it is taken in here, wherever it is
    return ItemError(copy.external_id, place.reason, place.kind, place.waiting_for)


def _lean(reading: Reading, copies: Iterable[ChannelReservation]) -> list[ChannelReservation]:
    """The copies that can be compared, without the bulk of what they were read from. What the
    tolerant reader of webhooks lets pass is an error here: it would be taken for an agreement."""
    found = []
    for copy in copies:
        fault = price_fault(copy.raw)
        if copy.status is None:
            fault = f"status: expected one of Beds24's, not {copy.raw_status[:20]!r}"
        if fault is not None:
            _note_errors(reading, [ItemError(copy.external_id, fault)])
            continue
        reading.errors.pop(copy.external_id, None)
        slim = replace(copy, raw={})
        if copy.kind == "block":
            reading.blocks[copy.external_id] = slim
        found.append(slim)
    return found


def _note_errors(reading: Reading, errors: Iterable[ItemError]) -> None:
    for error in errors:
        reading.errors[error.external_id or f"#{len(reading.errors)}"] = error


def _sift(reading: Reading, copies: Sequence[ChannelReservation]) -> None:
    """Put aside what agrees."""
    if not copies:
        return
    places = places_of(reading.connection.id, copies)
    with transaction() as session:
        ours = booking_rows.read(session, [copy.external_id for copy in copies])
    for copy in copies:
        external_id = copy.external_id
        stored = ours.get(external_id)
        reading.suspects.pop(external_id, None)
        if judge(copy, stored, places):
            reading.suspects[external_id] = Suspect(
                external_id, copy, stored.state if stored else None
            )
        elif stored is not None and copy.sweep_hash is not None:
            reading.agreed.append((external_id, copy.sweep_hash, stored.state))


def _ask_for(client: Beds24Client, reading: Reading, absent: set[str], disputed: set[str]) -> None:
    """By id, before anything is called missing: a booking may have other days or another house
    by now, and then the comparison of that one speaks of it. One that is only `disputed` and is
    not ours any more is not taken in for that."""
    if not absent:
        return
    answer = client.get_many(absent)
    _note_errors(reading, answer.errors)
    with transaction() as session:
        known = booking_rows.read(session, disputed & absent).keys()
    own = [
        copy
        for copy in answer.reservations
        if copy.property_ref in (None, reading.connection.ref)
        if copy.external_id in known or copy.external_id not in disputed
    ]
    _sift(reading, _lean(reading, own))
    reading.compared |= {copy.external_id for copy in own}
    reading.lost = absent - answer.seen
    with transaction() as session:
        ours = booking_rows.read(session, reading.lost)
    for external_id, stored in ours.items():
        reading.suspects[external_id] = Suspect(external_id, None, stored.state)
    reading.compared |= reading.lost
