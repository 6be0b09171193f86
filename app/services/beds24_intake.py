"""What Beds24 sends: proved, stored, answered; understood later (INTERFACES §6, DECISIONS 12)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NoReturn, cast
from uuid import uuid4

from sqlalchemy import Connection, Table, select

from app import clock, crypto
from app.domain.card_data import without_cards
from app.errors import Invalid, NotFound
from app.integrations.channels import beds24_wire
from app.integrations.channels.beds24_events import AVAILABILITY, Beds24Event, open_event
from app.integrations.errors import Unreadable
from app.models import ChannelEvent
from app.runtime import settings
from app.services import beds24_connections, event_intake, json_text
from app.services.beds24_connections import Caller, Spot
from app.services.channel_properties import BEDS24
from app.services.event_intake import Incoming, Received
from app.services.event_rows import WAITING
from app.transaction import statements, transaction

#: how far a signed message's time may be off before it counts as played back
FRESH = timedelta(minutes=5)
#: Beds24 sends one event at a time; a few may come together
MOST_EVENTS = 100
KEPT_HEADERS = frozenset({"content-type", "user-agent", "x-beds24-signature"})
TOKEN_HEADER = "x-webhook-token"  # noqa: S105 - a header's name
_EVENTS = cast(Table, ChannelEvent.__table__)
NOT_CONNECTED = "this property is not connected to Beds24"


class Unproven(Exception):
    """Nothing shows that the message comes from Beds24; nothing of it is kept."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What came with a message to show where it is from: a signature of its bytes, or the secret
    itself, which is all that Beds24 can send (contracts/beds24.md §8.1)."""

    raw: bytes = field(repr=False)
    signature: str | None = field(repr=False)
    token: str | None = field(repr=False)

    def signed_with(self, secret: str) -> bool:
        given = (self.signature or "").strip().lower()
        return bool(given) and crypto.same(given, crypto.signature(secret, self.raw))

    def knows(self, secret: str) -> bool:
        given = (self.token or "").strip()
        return bool(given) and crypto.same(given, secret)


@dataclass(frozen=True, slots=True)
class _Reading:
    """A body: its elements with the events they open to, or what is wrong with it."""

    elements: Sequence[Any] = ()
    events: Sequence[Beds24Event] = ()
    fault: Invalid | None = None


def receive(raw: bytes, headers: Mapping[str, str]) -> Received:
    """Store a message, one event per element, each once however often it comes (C-24).

    Answers with the first element's event, and `duplicate` when every one was known. Refuses in
    this order: Unproven without the secret of every property concerned or when a signed message is
    not from now, Invalid for what is no event, NotFound when a property is not connected. Then
    nothing is stored.
    """
    given = {name.lower(): value for name, value in headers.items()}
    proof = Proof(raw, given.get("x-beds24-signature"), given.get(TOKEN_HEADER))
    reading = _read(raw)
    spots = [_spot(element) for element in reading.elements] or [Spot()]
    now = clock.utcnow()
    # Several events are stored together or not at all; one needs no transaction around it.
    opened = statements if len(reading.elements) == 1 else _together
    with opened() as connection:
        callers = beds24_connections.find(connection, set(spots))
        signed = _prove(proof, [callers.get(spot) for spot in spots])
        if signed:
            _refuse_old(connection, reading, now)
        if reading.fault is not None:
            raise reading.fault
        if not all(spot in callers and callers[spot].connected for spot in spots):
            raise NotFound(NOT_CONNECTED)
        for caller in {callers[spot].id: callers[spot] for spot in spots}.values():
            event_intake.stamp(connection, caller.id, caller.last_webhook_at, now)
        owners = [callers[spot] for spot in spots]
        return _store(connection, reading, owners, raw, _kept(given), now)


@contextmanager
def _together() -> Iterator[Connection]:
    """A connection within a unit of work."""
    with transaction() as session:
        yield session.connection()


def _read(raw: bytes) -> _Reading:
    """Read the body without refusing it yet: proof comes first."""
    try:
        document = json_text.read(raw)
    except Invalid as error:
        return _Reading(fault=error)
    elements = document if isinstance(document, list) else [document]
    if not 0 < len(elements) <= MOST_EVENTS:
        fault = Invalid(f"the body must be an event, or an array of 1 to {MOST_EVENTS}")
        return _Reading(elements[:MOST_EVENTS], fault=fault)
    try:
        return _Reading(elements, [open_event(element) for element in elements])
    except Unreadable as error:
        name, _, expected = error.message.partition(": ")
        return _Reading(elements, fault=Invalid.field(name, expected))


def _spot(element: object) -> Spot:
    """Where an element says it belongs, also one that is no event."""
    if not isinstance(element, Mapping):
        return Spot()
    parts = [element.get("booking"), element]
    parts += [element.get(name) for name in ("availability", "room", "inventory", "data")]
    found = [part for part in parts if isinstance(part, Mapping)]
    return Spot(
        _first(beds24_wire.property_of(part) for part in found),
        _first(beds24_wire.room_of(part) for part in found),
    )


def _first(refs: Iterable[str | None]) -> str | None:
    return next((ref for ref in refs if ref is not None), None)


def _prove(proof: Proof, callers: Iterable[Caller | None]) -> bool:
    """Whether it was signed. A property's own secret stands in for the environment's, which proves
    what belongs to nobody as well. Raises Unproven."""
    shared = settings().beds24_webhook_secret
    secrets = {(caller and caller.secret) or shared for caller in callers}
    signed = False
    for secret in secrets:
        if not secret:
            _unproven("no webhook secret is configured")
        by_signature, by_token = proof.signed_with(secret), proof.knows(secret)
        if not by_signature and not by_token:
            _unproven("neither the signature nor the token is valid")
        signed = signed or by_signature
    return signed


def _refuse_old(connection: Connection, reading: _Reading, now: datetime) -> None:
    """A late second copy of what we have is harmless; refused, it would come again and again.

    Beds24's own body is never too old: it may be tried again for hours, has no id to know it by,
    and a copy of it is recognised by its content.
    """
    for element, event in zip(reading.elements, reading.events, strict=False):
        if event.sent_at is None or abs(now - event.sent_at) <= FRESH:
            continue
        if not {"event", "timestamp"} & set(element):
            continue
        if event.event_id is None or not event_intake.known(connection, BEDS24, event.event_id):
            _unproven("the timestamp is more than 5 minutes off")


def _unproven(reason: str) -> NoReturn:
    raise Unproven(reason)


def _kept(given: Mapping[str, str]) -> dict[str, str]:
    """The headers worth keeping; of the shared secret only that it was there."""
    kept = event_intake.kept(given, KEPT_HEADERS)
    return kept | ({TOKEN_HEADER: "given"} if TOKEN_HEADER in given else {})


def _store(
    connection: Connection,
    reading: _Reading,
    owners: Sequence[Caller],
    raw: bytes,
    headers: Mapping[str, str],
    now: datetime,
) -> Received:
    stored: dict[int, Received] = {}
    alone = len(reading.events) == 1
    # In the order of their keys: two bodies with the same events must not wait crosswise.
    order = sorted(range(len(reading.events)), key=lambda n: reading.events[n].key or "")
    for position in order:
        event, element = reading.events[position], reading.elements[position]
        waiting = _waiting(connection, owners[position], event) if event.key is None else None
        if waiting is not None:
            stored[position] = waiting
            continue
        payload = without_cards(beds24_wire.without_card_data(element))
        text = event_intake.raw_text(raw if alone else None, element, payload)
        incoming = Incoming(
            source=BEDS24,
            event_type=event.type,
            entity_type="availability" if event.type == AVAILABILITY else "booking",
            external_id=event.booking_id or event.room_ref,
            key=event.key or f"room-{event.room_ref}:{uuid4()}",
            payload=payload,
            raw_body=text,
            headers=headers,
            modified_at=event.modified_at,
        )
        stored[position] = event_intake.store(connection, owners[position].id, incoming, now)
    duplicate = all(each.duplicate for each in stored.values())
    return Received(stored[0].event_id, duplicate)


def _waiting(connection: Connection, owner: Caller, event: Beds24Event) -> Received | None:
    """The call about the same room that nobody has begun with.

    Two calls of the room webhook are alike to the letter and only say "look again" (§8.3). One that
    still waits will look after this one came, so it stands for both: a burst of changes costs one
    reading of the calendar, and credits are few.
    """
    found = connection.scalar(
        select(_EVENTS.c.id)
        .where(
            _EVENTS.c.channel_property_id == owner.id,
            _EVENTS.c.event_type == AVAILABILITY,
            _EVENTS.c.entity_external_id == event.room_ref,
            _EVENTS.c.status.in_(WAITING),
        )
        .limit(1)
    )
    return None if found is None else Received(found, duplicate=True)
