"""Make a booking at Beds24 what it is here, knowing that any answer may be lost.

What is sent is what is true now, not what was when the change was recorded. Changes and
cancellations by id can be repeated. A create cannot: before it is sent again, its `apiReference` is
looked for, because Beds24 knows no idempotency key (contracts/beds24.md §9).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app import clock
from app.domain.booking_rules import Booking
from app.domain.states import EventStatus
from app.domain.states import ReservationStatus as Status
from app.integrations.channels import ChannelReservation, beds24_items
from app.integrations.channels.beds24 import Beds24Client
from app.integrations.channels.beds24_items import Order
from app.integrations.channels.beds24_writes import Written
from app.integrations.errors import (
    IntegrationError,
    NotFound,
    RateLimited,
    Rejected,
    Unauthorized,
    Unconfirmed,
    Unreachable,
)
from app.models import ChannelEvent, ChannelProperty, Property, Reservation
from app.services import (
    booking_notices,
    booking_outcomes,
    event_rows,
    outbound,
    outbound_claims,
    outbound_crossings,
    outbound_rows,
)
from app.services.event_rows import Work
from app.services.outbound import CANCEL, GONE, units_of
from app.services.outbound_places import CHANNEL, Place, place_of
from app.transaction import transaction

log = structlog.get_logger(__name__)

#: how long a write without an answer may still be on its way inside Beds24: not being found before
#: that proves nothing
SETTLES = timedelta(seconds=30)
VENDOR = "beds24"


class Settling(Unconfirmed):
    """A create without an answer is not to be seen yet; look again in `retry_after` seconds."""


class NotMapped(Rejected):
    """Beds24 has no room for it; `room_ref` would be the one to map, if it had one."""

    kind = "unmapped"


@dataclass(frozen=True, slots=True)
class Task:
    """One claimed event of a booking, as plain values."""

    work: Work
    key: str
    reservation_id: UUID
    order: Order
    external_id: str | None  # None: the channel's name for it is not known
    gone: bool  # cancelled, a no-show, or given up
    mapped: bool
    maybe_there: bool  # an earlier try may have made it
    sent_at: datetime | None  # when this event's create last went out
    last_sent_at: datetime | None  # ... or that of any event of the booking


@dataclass(frozen=True, slots=True)
class Done:
    """What Beds24 has now.

    `word` is `done`, `found` when an earlier try had arrived, `partial` when not all was taken, and
    `superseded` or `not_there` when nothing had to be sent.
    """

    external_id: str | None
    word: str = "done"
    missing: Sequence[str] = ()  # fields that Beds24 did not take
    detail: dict[str, Any] = field(default_factory=dict)


def load(work: Work) -> Task | None:
    """What is to be sent; None when the booking does not exist any more."""
    with transaction() as session:
        event = session.get_one(ChannelEvent, work.id)
        if event.entity_internal_id is None:
            return None
        rows = units_of(session, event.entity_internal_id)
        if not rows:
            return None
        first = rows[0]
        place = place_of(
            session, event.channel_property_id, first.room_type_id, first.accommodation_id
        )
        there = first.external_id if first.channel == CHANNEL else None
        last_sent_at = _last_sent_at(session, event)
        return Task(
            work=work,
            key=event.idempotency_key,
            reservation_id=first.id,
            order=_order(rows, place, _currency(session, first)),
            external_id=there,
            gone=_gone(rows, event.event_type),
            mapped=place is not None,
            maybe_there=event.event_type != outbound.CREATE or last_sent_at is not None,
            sent_at=event.sent_at,
            last_sent_at=last_sent_at,
        )


def send(client: Beds24Client, task: Task) -> Done:
    """Make Beds24 have it, or not have it. Raises IntegrationError; what it says is known then."""
    known = task.external_id or _found(client, task)
    if task.work.event_type == CANCEL:
        return _cancel(client, task, known)
    if task.gone:
        return Done(known, "superseded")  # a cancellation follows, or there is nothing to cancel
    if not task.mapped:
        raise NotMapped("its room is not mapped to one of Beds24's", vendor=VENDOR)
    if known is None:
        return _create(client, task)
    if task.external_id is None and task.work.event_type == outbound.CREATE:
        return Done(known, "found")
    return _change(client, task, known)


def record(task: Task, done: Done) -> None:
    """Write down what Beds24 has, in one transaction with the end of the event."""
    work, now = task.work, clock.utcnow()
    with transaction() as session:
        if done.external_id is not None and done.external_id != task.external_id:
            booking_outcomes.confirmed(session, task.reservation_id, done.external_id, now)
        _settle_error(session, task.reservation_id, _remark(done))
        idle = done.word in ("superseded", "not_there")
        event_rows.finish(
            session,
            work,
            status=EventStatus.IGNORED if idle else EventStatus.DONE,
            outcome="ignored" if idle else done.word,
            normalized={"external_id": done.external_id, "outcome": done.word} | done.detail,
        )
        event = session.get_one(ChannelEvent, work.id, populate_existing=True)
        event.entity_external_id = done.external_id or event.entity_external_id
        note_success(session, work.channel_property_id, now)
        _close_older(session, event, now)
        outbound_crossings.settle(session, task.reservation_id, event)
        outbound_claims.wake_followers(session, event)
    log.info("booking_delivered", event_id=str(work.id), outcome=done.word)


def give_up(session: Session, reservation_id: UUID, reason: str) -> None:
    """The channel will not hear of it by itself: say so where people look (HOLD-26).

    A change that it does not have is not in its calendar either: it is told what is free instead.
    """
    rows = units_of(session, reservation_id)
    if rows and rows[0].external_id is None and rows[0].status not in GONE:
        booking_outcomes.failed(session, rows[0].id, reason)
        return
    _settle_error(session, reservation_id, reason)
    spans = [booking_notices.span_of(session, row) for row in rows]
    booking_notices.everything_changed(session, {span.room_type_id for span in spans if span})


def note_success(session: Session, channel_property_id: UUID, now: datetime) -> None:
    """The connection works (OUT-09)."""
    session.execute(
        update(ChannelProperty)
        .where(ChannelProperty.id == channel_property_id)
        .values(last_outbound_success_at=now)
    )


def _currency(session: Session, first: Reservation) -> str:
    """What Beds24 takes every price to be in: a booking there names no currency (§4.3)."""
    return session.get_one(Property, first.property_id).currency


def _order(rows: Sequence[Reservation], place: Place | None, currency: str) -> Order:
    first = rows[0]
    units = sum(row.status not in GONE for row in rows)
    owner = Booking(first.source, first.partner, first.status, first.check_in_on).owner
    return Order(
        room_ref=place.room_ref if place else None,
        unit_ref=place.unit_ref if place and units <= 1 else None,
        arrival=first.check_in_on,
        departure=first.check_out_on,
        units=max(units, 1),
        guest_name=first.guest_name,
        guest_email=first.guest_email,
        guest_phone=first.guest_phone,
        adults=first.adults,
        children=first.children,
        amount=first.amount if first.currency in (None, currency) else None,
        reference=first.api_reference,
        sold_elsewhere=owner is not None,
    )


def _gone(rows: Sequence[Reservation], kind: str) -> bool:
    """Whether Beds24 is not to have it. One that was given up is sent all the same when somebody
    asks for its create again."""
    if kind == outbound.CREATE:
        return all(row.status in (Status.CANCELLED, Status.NO_SHOW) for row in rows)
    return all(row.status in GONE for row in rows)


def _last_sent_at(session: Session, event: ChannelEvent) -> datetime | None:
    """When any try of any event last sent this booking off."""
    assert event.entity_internal_id is not None
    return session.scalar(
        select(func.max(ChannelEvent.sent_at)).where(
            *outbound_rows.of(event.channel_property_id, "booking", event.entity_internal_id)
        )
    )


def _found(client: Beds24Client, task: Task) -> str | None:
    """The id of the booking that an earlier try made, if one did. Were it made twice, the first
    stays and the others are cancelled."""
    order, reference = task.order, task.order.reference
    if not task.maybe_there or reference is None:
        return None
    found = client.find_by_reference(reference)
    if not found and order.room_ref and order.arrival and order.departure:
        found = client.find_by_stay(order.room_ref, order.arrival, order.departure, reference)
    if not found and task.last_sent_at is not None:
        left = task.last_sent_at + SETTLES - clock.utcnow()
        if left > timedelta(0):
            raise Settling(
                "what was sent had no answer and is not to be seen yet",
                vendor=VENDOR,
                retry_after=left.total_seconds(),
            )
    live = sorted(_live(found) or found, key=lambda each: int(each.external_id))
    for extra in _live(live[1:]):
        log.error("booking_made_twice", event_id=str(task.work.id), external_id=extra.external_id)
        client.cancel_booking(extra.external_id, "duplicate", idempotency_key=f"{task.key}-extra")
    return live[0].external_id if live else None


def _live(found: Sequence[ChannelReservation]) -> list[ChannelReservation]:
    return [each for each in found if each.status != "cancelled"]


def _create(client: Beds24Client, task: Task) -> Done:
    item = beds24_items.new_booking(task.order)
    outbound_claims.mark_sent(task.work)
    try:
        written = client.write_bookings([item], idempotency_key=task.key)[0]
    except Unconfirmed as lost:
        return Done(_look_again(client, task, lost), "found")
    except (Unreachable, RateLimited, Unauthorized, Rejected):
        if task.sent_at is None:  # certainly not executed, and never sent before
            outbound_claims.unmark_sent(task.work)
        raise
    if written.ok and written.external_id is not None:
        return Done(written.external_id, detail=_remarks(written))
    # Not all right does not mean not written (§5).
    external_id = written.external_id or _find_now(client, task)
    if external_id is None:
        raise _refused("the booking", written)
    missing = beds24_items.not_taken(item, client.get(external_id))
    return Done(external_id, "partial" if missing else "done", missing, _remarks(written, missing))


def _look_again(client: Beds24Client, task: Task, lost: Unconfirmed) -> str:
    """The answer was lost: often the booking is there to be found. Raises `lost` when it is not."""
    with suppress(IntegrationError):
        found = _find_now(client, task)
        if found is not None:
            return found
    raise lost


def _find_now(client: Beds24Client, task: Task) -> str | None:
    reference = task.order.reference
    found = _live(client.find_by_reference(reference)) if reference else []
    return min((each.external_id for each in found), key=int, default=None)


def _change(client: Beds24Client, task: Task, external_id: str) -> Done:
    item = beds24_items.changed_booking(external_id, task.order)
    if item.keys() == {"id"}:
        return Done(external_id, "superseded")  # nothing of it is ours to write
    written = client.write_bookings([item], idempotency_key=task.key)[0]
    if written.ok:
        return Done(external_id, detail=_remarks(written))
    missing = beds24_items.not_taken(item, _read_back(client, external_id))
    if missing:
        raise _refused(", ".join(missing), written)
    return Done(external_id, detail=_remarks(written))


def _cancel(client: Beds24Client, task: Task, external_id: str | None) -> Done:
    if external_id is None:
        return Done(None, "not_there")
    written = client.cancel_booking(external_id, idempotency_key=task.key)
    if written.ok:
        return Done(external_id, detail=_remarks(written))
    try:
        there = client.get(external_id)
    except NotFound:
        return Done(external_id, "not_there")
    if there.status != "cancelled":
        raise _refused("the cancellation", written)
    return Done(external_id, detail=_remarks(written))


def _read_back(client: Beds24Client, external_id: str) -> ChannelReservation:
    try:
        return client.get(external_id)
    except NotFound:
        pass
    raise Rejected(f"Beds24 has no booking {external_id} any more", vendor=VENDOR)


def _refused(what: str, written: Written) -> Rejected:
    named = f" ({', '.join(written.fields)})" if written.fields else ""
    return Rejected(f"Beds24 did not take {what}{named}", vendor=VENDOR)


def _remarks(written: Written, missing: Sequence[str] = ()) -> dict[str, Any]:
    said = {"errors": written.fields, "warnings": written.warnings, "not_taken": missing}
    return {name: list(values) for name, values in said.items() if values}


def _remark(done: Done) -> str | None:
    if not done.missing:
        return None
    return f"Beds24 has the booking, but did not take {', '.join(done.missing)}"


def _settle_error(session: Session, reservation_id: UUID, reason: str | None) -> None:
    """What stands on the booking's page about its channel; None when all is well."""
    for row in units_of(session, reservation_id):
        # Why a booking failed stays said, though nothing is owed of it any more.
        if reason is not None or row.status != Status.FAILED:
            row.sync_error = reason
    session.flush()


def _close_older(session: Session, event: ChannelEvent, now: datetime) -> None:
    """Failed changes of this booking are made good: what was sent is all that is true by now."""
    assert event.entity_internal_id is not None
    session.execute(
        update(ChannelEvent)
        .where(
            *outbound_rows.of(event.channel_property_id, "booking", event.entity_internal_id),
            ChannelEvent.status == EventStatus.FAILED,
            ChannelEvent.received_at < event.received_at,
        )
        .values(
            status=EventStatus.IGNORED,
            processed_at=now,
            normalized_payload={"outcome": "superseded", "by": str(event.id)},
        )
        .execution_options(synchronize_session=False)
    )
