"""Read from a channel all that a run needs, with no transaction open."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import case, func, literal, select

from app import clock
from app.domain.states import ReservationStatus
from app.integrations.channels import ChangeSet, ChannelClient, ChannelReservation, ItemError
from app.integrations.errors import IntegrationError, NotFound
from app.models import Accommodation, Reservation
from app.services import reconciliation_failures
from app.transaction import transaction

log = structlog.get_logger(__name__)

#: stays that a channel can still cancel or move
ACTIVE = (
    ReservationStatus.PENDING,
    ReservationStatus.PENDING_SYNC,
    ReservationStatus.CONFIRMED,
    ReservationStatus.CHECKED_IN,
)
#: what the front desk has begun is not ended by a channel (DECISIONS 17)
MAY_VANISH = (ReservationStatus.PENDING, ReservationStatus.CONFIRMED)
#: between "not found" and asking once more (INTERFACES §2: within 30 s)
ASK_AGAIN_SECONDS = 5.0
#: failed items asked for by id in one run
RETRIED_AT_ONCE = 200
#: a stay is compared for a while after its end, as its window is
SWEEP_MEMORY = timedelta(days=2)


@dataclass(slots=True)
class Reading:
    """What the channel said: copies, what could not be read, and what is gone."""

    as_of: datetime
    fetched: int = 0
    copies: list[ChannelReservation] = field(default_factory=list)
    errors: list[ItemError] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    gone_as_of: datetime | None = None


class SweepHashes(Mapping[str, str | None]):
    """The stored sweep hashes of our active stays, read when a dialect first asks for one."""

    def __init__(self, channel: str, now: datetime) -> None:
        self._channel, self._now = channel, now
        self._loaded: dict[str, str | None] | None = None

    def _hashes(self) -> dict[str, str | None]:
        if self._loaded is None:
            with transaction() as session:
                # Stored as "<hash> <unit>"; it counts while the id still stands for that unit.
                unit = literal(" ") + Accommodation.stays_id
                mark = Reservation.sweep_hash
                known = case(
                    (
                        func.right(mark, func.length(unit)) == unit,
                        func.left(mark, -func.length(unit)),
                    )
                )
                # One object instead of a row per stay: the database builds it faster than we.
                found = session.scalar(
                    select(func.json_object_agg(Reservation.external_id, known))
                    .outerjoin(Accommodation, Accommodation.id == Reservation.accommodation_id)
                    .where(
                        Reservation.channel == self._channel,
                        Reservation.external_id.is_not(None),
                        Reservation.status.in_(ACTIVE),
                        Reservation.check_out_at > self._now - SWEEP_MEMORY,
                    )
                )
            self._loaded = found or {}
        return self._loaded

    def get(self, external_id: str, default: Any = None) -> Any:
        known = self._hashes() if self._loaded is None else self._loaded
        return known.get(external_id, default)

    def __getitem__(self, external_id: str) -> str | None:
        return self._hashes()[external_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._hashes())

    def __len__(self) -> int:
        return len(self._hashes())


def read(client: ChannelClient, channel: str, since: datetime) -> Reading:
    """Changes since `since`, failed items by id, and what has vanished from a complete sweep.

    Raises IntegrationError when the changes cannot be read whole; a single item that cannot be read
    is an error of its own (STAY-20, C-08).
    """
    now = clock.utcnow()
    answer = client.changes(since, today=now.date(), known=SweepHashes(channel, now))
    reading = Reading(now, answer.fetched, list(answer.reservations), list(answer.errors))
    known = {copy.external_id for copy in reading.copies}
    known.update(error.external_id for error in reading.errors if error.external_id)

    missing: list[str] = []
    for external_id in _waiting(channel, known):
        reading.fetched += 1
        _ask(client, reading, external_id, missing, keep_errors=True)
    for external_id in _vanished(channel, answer, known):
        _ask(client, reading, external_id, missing, keep_errors=False)
    if missing:
        _confirm_gone(client, reading, missing)
    return reading


def _waiting(channel: str, known: Collection[str]) -> list[str]:
    with transaction() as session:
        ids = reconciliation_failures.waiting(session, channel, RETRIED_AT_ONCE)
    return [external_id for external_id in ids if external_id not in known]


def _vanished(channel: str, answer: ChangeSet, known: Collection[str]) -> list[str]:
    """Our stays inside a range that was read whole without them (contracts/stays.md §10.4)."""
    if answer.swept is None:
        return []
    first, last = answer.swept
    with transaction() as session:
        ours = session.scalars(
            select(Reservation.external_id).where(
                Reservation.channel == channel,
                Reservation.external_id.is_not(None),
                Reservation.status.in_(MAY_VANISH),
                Reservation.check_in_on <= last,
                Reservation.check_out_on > first,
            )
        ).all()
    return sorted(
        external_id
        for external_id in ours
        if external_id and external_id not in answer.seen and external_id not in known
    )


def _ask(
    client: ChannelClient,
    reading: Reading,
    external_id: str,
    missing: list[str],
    *,
    keep_errors: bool,
) -> None:
    try:
        reading.copies.append(client.get(external_id))
    except NotFound:
        missing.append(external_id)
    except IntegrationError as error:
        log.warning("item_not_read", external_id=external_id, error=error.kind)
        if keep_errors:
            reading.errors.append(ItemError(external_id, error.message[:300], error.kind))


def _confirm_gone(client: ChannelClient, reading: Reading, missing: list[str]) -> None:
    """Ask once more for each: one answer is not enough to cancel a guest's stay."""
    pause(ASK_AGAIN_SECONDS)
    reading.gone_as_of = clock.utcnow()
    gone: list[str] = []
    for external_id in missing:
        _ask(client, reading, external_id, gone, keep_errors=False)
    reading.gone = sorted(gone)


def pause(seconds: float) -> None:
    """Wait in small steps, so that a signal is answered between two of them."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))
