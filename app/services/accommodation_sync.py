"""Keep the units as their channel lists them: create, update, retire, bring back (P2-ACC).

A unit that is no longer listed becomes inactive, never deleted; its guests keep their PINs. A list
that is empty although we know units is not believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from app import clock
from app.domain.states import RunStatus
from app.errors import NotFound, Unavailable
from app.integrations.channels import ChannelListing
from app.integrations.errors import IntegrationError
from app.models import Accommodation, AccommodationSync
from app.queue import client as queue
from app.services import alerts, audit, leases, listing, unit_listings, vendors
from app.services.audit import Actor
from app.services.inputs import conflicts
from app.services.leases import LEASE
from app.services.paging import Page
from app.services.unit_listings import Tally, UnitError
from app.transaction import in_transaction, transaction

log = structlog.get_logger(__name__)

STAYS = "stays"
CHANNELS = (STAYS, "beds24")
JOB = "accommodations.sync"
RUNNING = "the accommodations are being read already"
EMPTY = "The channel lists no accommodations at all; nothing was changed"
#: a sync that nobody has taken up for this long was lost with the queue
WAITING = timedelta(seconds=30)


class _Failed(Exception):
    """Why nothing could be done, in words for the row."""

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind


def start(*, trigger: str, channel: str = STAYS, actor: Actor = audit.SYSTEM) -> AccommodationSync:
    """Open a sync and put it in line; who asked for it by hand is audited. Raises Conflict while
    one is under way, Unavailable when the channel is not configured."""
    vendors.listings_clients(channel)
    with conflicts({"uq_accommodation_syncs_pending": (None, RUNNING)}), transaction() as session:
        row = AccommodationSync(channel=channel, trigger=trigger, requested_by=actor.user_id)
        session.add(row)
        session.flush()
        if actor is not audit.SYSTEM:
            after = {"channel": channel}
            audit.record(session, actor, "start", "accommodation", None, after=after)
        session.refresh(row)
        queue.enqueue(JOB, row.id)
    return row


def run(sync_id: UUID) -> None:
    """Carry out a sync; what came of it stands in its row."""
    if in_transaction():
        raise RuntimeError("a channel is never called inside a transaction")
    channel = _claim(sync_id)
    if channel is None:
        return
    with structlog.contextvars.bound_contextvars(sync_id=str(sync_id)):
        try:
            with leases.renewed(lambda: _renew(sync_id)):
                _carry_out(sync_id, channel)
        except _Failed as failed:
            _close(sync_id, RunStatus.FAILED, failed.message, failed.kind)
        except Exception as error:
            _close(sync_id, RunStatus.FAILED, "An internal error ended it", type(error).__name__)
            raise


def get(sync_id: UUID) -> AccommodationSync:
    """One sync. Raises NotFound."""
    with transaction() as session:
        row = session.get(AccommodationSync, sync_id)
    if row is None:
        raise NotFound("no such sync")
    return row


def latest(channel: str = STAYS) -> AccommodationSync | None:
    """The last sync that was started; None before the first."""
    with transaction() as session:
        return session.scalars(
            select(AccommodationSync)
            .where(AccommodationSync.channel == channel)
            .order_by(AccommodationSync.created_at.desc())
            .limit(1)
        ).first()


def search(args: Mapping[str, str]) -> Page[AccommodationSync]:
    """A page of syncs, newest first."""
    sorts = {"created_at": AccommodationSync.created_at}
    return listing.fetch(AccommodationSync, args, sorts=sorts, search=[AccommodationSync.message])


def queue_due(now: datetime) -> int:
    """For the sweep: syncs that nobody has, because their worker or their queue was lost."""
    with transaction() as session:
        lost = session.scalars(
            select(AccommodationSync.id).where(
                AccommodationSync.status == RunStatus.PENDING,
                or_(
                    AccommodationSync.lease_until < now,
                    AccommodationSync.lease_until.is_(None)
                    & (AccommodationSync.created_at < now - WAITING),
                ),
            )
        ).all()
    queue.enqueue_many([queue.Alarm(JOB, sync_id) for sync_id in lost])
    return len(lost)


def _claim(sync_id: UUID) -> str | None:
    now = clock.utcnow()
    with transaction() as session:
        return session.scalar(
            update(AccommodationSync)
            .where(
                AccommodationSync.id == sync_id,
                AccommodationSync.status == RunStatus.PENDING,
                or_(AccommodationSync.lease_until.is_(None), AccommodationSync.lease_until < now),
            )
            .values(lease_until=now + LEASE, started_at=now)
            .returning(AccommodationSync.channel)
        )


def _renew(sync_id: UUID) -> bool:
    with transaction() as session:
        kept = session.execute(
            update(AccommodationSync)
            .where(AccommodationSync.id == sync_id, AccommodationSync.status == RunStatus.PENDING)
            .values(lease_until=clock.utcnow() + LEASE)
        )
    return bool(kept.rowcount)  # type: ignore[attr-defined]


def _carry_out(sync_id: UUID, channel: str) -> None:
    listed, unread = _read(channel)
    with transaction() as session:
        if not listed and _knows_units(session, channel):
            raise _Failed(EMPTY, "empty_answer")
        tally = unit_listings.apply(session, channel, listed)
        tally.errors += unread
        row = session.get_one(AccommodationSync, sync_id, with_for_update=True)
        row.total, row.created, row.updated = len(listed), tally.created, tally.updated
        row.inactivated, row.returned = tally.inactivated, tally.returned
        row.items = [
            {"accommodationId": each.external_id, "error": each.reason, "action": each.action}
            for each in tally.errors
        ]
        row.status, row.message = RunStatus.SUCCESS, _message(tally)
        row.completed_at, row.lease_until = clock.utcnow(), None
        alerts.resolve(session, "run_failed", f"accommodations:{channel}")
    log.info(
        "accommodations_synced",
        total=len(listed),
        created=tally.created,
        updated=tally.updated,
        inactivated=tally.inactivated,
        errors=len(tally.errors),
    )


def _read(channel: str) -> tuple[list[ChannelListing], list[UnitError]]:
    """The lists of every account of the channel; one that fails keeps no other from being read."""
    listed: list[ChannelListing] = []
    failures: list[IntegrationError] = []
    try:
        clients = vendors.listings_clients(channel)
    except Unavailable as refusal:
        raise _Failed(refusal.message, "not_configured") from refusal
    for client in clients:
        try:
            listed += client.listings()
        except IntegrationError as error:
            failures.append(error)
    for failure in failures:
        vendors.note_error(channel, failure)
    if failures and len(failures) == len(clients):
        first = failures[0]
        raise _Failed(f"The accommodations cannot be read: {first}"[:500], first.kind) from first
    vendors.note_ok(channel)
    return listed, [UnitError(None, f"An account was not read: {e}", "fetch") for e in failures]


def _knows_units(session: Session, channel: str) -> bool:
    known = (
        select(Accommodation.id)
        .where(unit_listings.key_of(channel).is_not(None), Accommodation.absent_since.is_(None))
        .limit(1)
    )
    return session.scalar(known) is not None


def _message(tally: Tally) -> str:
    if not tally.errors:
        return "All accommodations were taken in"
    return f"{len(tally.errors)} accommodations could not be taken in"


def _close(sync_id: UUID, status: RunStatus, message: str, kind: str) -> None:
    with transaction() as session:
        row = session.get(AccommodationSync, sync_id, with_for_update=True)
        if row is None or row.status != RunStatus.PENDING:
            return
        row.status, row.message, row.error_kind = status, message, kind
        row.completed_at, row.lease_until = clock.utcnow(), None
        alerts.raise_alert(
            session,
            "run_failed",
            f"accommodations:{row.channel}",
            "warning",
            "The accommodations could not be synchronised",
            f"{message}. Check the listings in the channel, then start the sync again.",
        )
    log.warning("accommodations_not_synced", error_kind=kind)
