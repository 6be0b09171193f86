"""Store what channels send us, answer, and take it in later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import and_, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app import clock
from app.domain.card_data import without_cards
from app.domain.states import EventStatus
from app.errors import NotFound, Unavailable
from app.integrations.channels import ChannelReservation
from app.integrations.errors import IntegrationError, Rejected
from app.models import Accommodation, ChannelEvent, ChannelProperty, Property, Reservation
from app.queue import client as queue
from app.queue.interrupts import OutOfTime
from app.services import event_rows, leases, reservations, stays_events, vendors
from app.services.event_rows import INBOUND, WAITING, LeaseLost, Work
from app.services.stays_events import Finding, Malformed
from app.transaction import transaction

log = structlog.get_logger(__name__)

#: headers that a later proof of origin may need (contracts/stays.md §8); all others go
KEPT_HEADERS = frozenset(
    {
        "content-type",
        "user-agent",
        "x-webhook-signature",
        "x-stays-signature",
        "x-stays-client-id",
        "x-stays-api-hook",
        "x-stays-name",
    }
)
MAX_KEY = 255
#: a deadlock, a lock not had in time
CONTENTION = ("40P01", "55P03")
#: how exactly a property's last message is dated; a burst must not queue for one row
WEBHOOK_STAMP = timedelta(seconds=5)
#: events put in line by one sweep
SWEPT_AT_ONCE = 2000


class Received(NamedTuple):
    """The stored event, and whether it had been there before."""

    event_id: UUID
    duplicate: bool


class _Refused(Exception):
    """The reservation cannot be stored as it is; trying again does not help."""


def receive(
    body: Mapping[str, Any], raw: bytes, headers: Mapping[str, str], *, source: str = "stays"
) -> Received:
    """Store a message whose proof the door has checked, once however often it comes (C-24).

    Card data is dropped before anything is written. Raises Invalid for what names no booking and
    NotFound when no property of ours is connected.
    """
    message = stays_events.open_message(body)
    payload = without_cards(body)
    text = raw.decode("utf-8", "replace").replace("\0", "")
    if payload is not body:
        text = json.dumps(payload, ensure_ascii=False)
    now = clock.utcnow()
    with transaction() as session:
        values = {
            "channel_property_id": _channel_property(session, source, message.place_ref, now),
            "direction": "inbound",
            "source": source,
            "event_type": message.event_type,
            "entity_type": "booking" if message.concerns_us else message.event_type.split(".")[0],
            "entity_external_id": message.external_id,
            "idempotency_key": _key(source, message.event_id, raw),
            "payload": _storable(payload),
            "headers": {k.lower(): v for k, v in headers.items() if k.lower() in KEPT_HEADERS},
            "raw_body": text,
            "received_at": now,
            "created_at": now,
            "updated_at": now,
        }
        if message.concerns_us:
            values |= {"status": EventStatus.RECEIVED, "next_attempt_at": now}
        else:
            values |= {"status": EventStatus.IGNORED, "processed_at": now}
        event_id = session.scalar(
            insert(ChannelEvent).values(values).on_conflict_do_nothing().returning(ChannelEvent.id)
        )
        duplicate = event_id is None
        if event_id is None:
            event_id = session.scalars(
                select(ChannelEvent.id).where(
                    ChannelEvent.idempotency_key == values["idempotency_key"]
                )
            ).one()
        elif message.concerns_us:
            queue.enqueue_many([event_rows.alarm(event_id, source, INBOUND)])
    log.info(
        "event_received",
        event_id=str(event_id),
        event_type=message.event_type,
        duplicate=duplicate,
    )
    return Received(event_id, duplicate)


def known(event_id: str, *, source: str = "stays") -> bool:
    """Whether a message with the sender's id `event_id` is stored already (DECISIONS 12)."""
    with transaction() as session:
        found = session.scalar(
            select(ChannelEvent.id).where(
                ChannelEvent.idempotency_key == _key(source, event_id, b"")
            )
        )
    return found is not None


def process(event_id: UUID) -> None:
    """Take in what a stored message says, or note why not and when it is tried again (C-11).

    The change and the end of the event are one transaction: done means applied.
    """
    work = event_rows.claim(event_id)
    if work is None:
        return
    try:
        _take_in(work, _look_into(work))
    except LeaseLost:
        log.warning("event_lease_lost", event_id=str(event_id))
    except (Malformed, _Refused) as error:
        _fail(work, str(error), "invalid", heals=False)
    except Rejected as error:
        _fail(work, error.message, error.kind, heals=False)
    except IntegrationError as error:
        vendors.note_error(work.source, error)
        _fail(work, error.message, error.kind, heals=True, pause=error.retry_after)
    except Unavailable as error:
        _fail(work, error.message, "unavailable", heals=True)
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) not in CONTENTION:
            raise  # the database is away: the lease lapses and the sweep brings the event back
        _fail(work, "the reservation was being changed elsewhere", "contention", heals=True)
    except OutOfTime:
        _fail(work, "it took longer than a job may", "out_of_time", heals=True)
        raise
    except Exception as error:
        _fail(work, f"an internal error ({type(error).__name__})", "internal", heals=True)
        raise
    except BaseException:
        event_rows.hand_back(work)
        raise


def queue_due(now: datetime) -> int:
    """For the sweep: put in line what is due and what a dead worker left, in both directions
    (EVT-30)."""
    waiting = ChannelEvent.status.in_(WAITING) & or_(
        ChannelEvent.next_attempt_at.is_(None), ChannelEvent.next_attempt_at <= now
    )
    left = (ChannelEvent.status == EventStatus.PROCESSING) & or_(
        ChannelEvent.lease_until.is_(None), ChannelEvent.lease_until < now
    )
    with transaction() as session:
        due = session.execute(
            select(ChannelEvent.id, ChannelEvent.source, ChannelEvent.direction)
            .where(or_(waiting, left))
            .order_by(ChannelEvent.received_at)
            .limit(SWEPT_AT_ONCE)
        ).all()
        queue.enqueue_many([event_rows.alarm(*row) for row in due])
    return len(due)


def _look_into(work: Work) -> Finding:
    if not stays_events.is_hint(work.payload):
        return stays_events.look_into(work.event_type, work.payload, work.received_at)
    with leases.renewed(lambda: event_rows.renew(work)):
        return stays_events.look_into(work.event_type, work.payload, work.received_at)


def _take_in(work: Work, finding: Finding) -> None:
    label = work.source.capitalize()
    with transaction() as session:
        outcome = "done"
        if finding.copy is not None:
            applied = reservations.apply_copies(
                [finding.copy], actor_label=label, as_of=finding.as_of
            )
            if applied.errors:
                raise _Refused(applied.errors[0].reason)
            if finding.copy.kind != "stay":
                outcome = "ignored"
            elif applied.stale:
                outcome = "stale"
        elif finding.gone is not None:
            reservations.cancel_vanished(
                work.source, [finding.gone], actor_label=label, as_of=finding.as_of
            )
        event_rows.finish(
            session,
            work,
            outcome=outcome,
            normalized=_normalized(finding),
            reservation_id=_reservation_id(session, work),
        )
    log.info("event_processed", event_id=str(work.id), outcome=outcome)


def _fail(work: Work, error: str, kind: str, *, heals: bool, pause: float | None = None) -> None:
    again = event_rows.fail(work, error, kind, heals=heals, pause=pause)
    log.warning(
        "event_failed",
        event_id=str(work.id),
        error=kind,
        retry_at=None if again is None else again.isoformat(),
    )


def _reservation_id(session: Session, work: Work) -> UUID | None:
    return session.scalar(
        select(Reservation.id).where(
            Reservation.channel == work.source,
            Reservation.external_id == work.entity_external_id,
            Reservation.unit_no == 1,
        )
    )


def _normalized(finding: Finding) -> dict[str, Any]:
    """The canonical form of what was taken in (EVT-12)."""
    if finding.copy is None:
        return {"external_id": finding.gone, "status": "cancelled"}
    copy: ChannelReservation = finding.copy
    return {
        field.name: reservations.plain(getattr(copy, field.name))
        for field in fields(copy)
        if field.name != "raw" and getattr(copy, field.name) is not None
    }


def _key(source: str, event_id: str | None, raw: bytes) -> str:
    """The sender's own id, else a digest of the bytes; unique across channels (C-23)."""
    key = f"in:{source}:{event_id}"
    if event_id is None or len(key) > MAX_KEY:
        digest = hashlib.sha256(raw if event_id is None else event_id.encode()).hexdigest()
        return f"in:{source}:{digest}"
    return key


def _storable(value: Any) -> Any:
    """JSON that the database takes: it has no NUL and no half characters."""
    if isinstance(value, Mapping):
        return {_storable(str(key)): _storable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, str) and not value.isprintable():
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    return value


def _channel_property(session: Session, source: str, place_ref: str | None, now: datetime) -> UUID:
    """The property's connection to the channel, made on first sight (DECISIONS 19)."""
    connection = (ChannelProperty.id, ChannelProperty.status, ChannelProperty.last_webhook_at)
    joined = and_(
        ChannelProperty.property_id == Property.id, ChannelProperty.channel_name == source
    )
    found = None
    if place_ref is not None:
        found = session.execute(
            select(Property.id.label("property_id"), *connection)
            .select_from(Accommodation)
            .join(Property, Property.id == Accommodation.property_id)
            .outerjoin(ChannelProperty, joined)
            .where(Accommodation.stays_id == place_ref)
        ).first()
    if found is None:
        found = session.execute(
            select(Property.id.label("property_id"), *connection)
            .outerjoin(ChannelProperty, joined)
            .order_by(Property.created_at, Property.id)
            .limit(1)
        ).first()
    if found is None:
        raise NotFound("no property is connected to this channel")
    if found.id is None:
        return _connect(session, source, found.property_id, now)
    if found.status == "inactive":
        raise NotFound("this property is not connected to the channel any more")
    if found.last_webhook_at is None or found.last_webhook_at < now - WEBHOOK_STAMP:
        session.execute(
            update(ChannelProperty)
            .where(ChannelProperty.id == found.id)
            .values(last_webhook_at=now)
        )
    connection_id: UUID = found.id
    return connection_id


def _connect(session: Session, source: str, property_id: UUID, now: datetime) -> UUID:
    session.execute(
        insert(ChannelProperty)
        .values(
            property_id=property_id,
            channel_name=source,
            channel_property_id=source,
            last_webhook_at=now,
        )
        .on_conflict_do_nothing()
    )
    return session.scalars(
        select(ChannelProperty.id).where(
            ChannelProperty.property_id == property_id, ChannelProperty.channel_name == source
        )
    ).one()
