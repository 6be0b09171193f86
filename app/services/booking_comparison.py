"""A property's bookings compared with Beds24's: what is safe is done, the rest is flagged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from app.domain.comparison import Do
from app.integrations.channels import ItemError
from app.services import (
    audit,
    beds24_bookings,
    booking_blocks,
    booking_plans,
    booking_reading,
    booking_rows,
    discrepancies,
    reconciliation_failures,
    reconciliation_turns,
    reservations,
)
from app.services.audit import Actor
from app.services.beds24_bookings import LABEL
from app.services.booking_blocks import BlockAction
from app.services.booking_plans import COLUMNS, Actions, Step, sides
from app.services.booking_reading import Reading
from app.services.booking_rows import KINDS, Stored
from app.services.channel_accounts import BEDS24
from app.services.event_outcomes import Refused
from app.services.reconciliation_kinds import NotOurs, Plan, Tally
from app.services.reconciliation_rows import Work
from app.transaction import transaction

log = structlog.get_logger(__name__)

#: marks written in one transaction
SLICE = 5000
ACTOR = Actor(LABEL)


class BookingComparison:
    """Bookings from 30 days back to 90 ahead, in every status (B24R-02…10)."""

    channel = BEDS24

    def read(self, work: Work) -> Reading:
        """Every booking of the property in the days compared. Raises IntegrationError,
        Unavailable."""
        connection = reconciliation_turns.connection(work.property_id)
        return booking_reading.read(connection, work.since)

    def plan(self, work: Work, reading: Reading) -> Plan:
        """What would be done and what would be flagged."""
        return booking_plans.make(reading)

    def apply(self, work: Work, plan: Plan, keep: Callable[..., None]) -> Tally:
        """Carry it out booking by booking, then write down what is left to people."""
        actions: Actions = plan.actions
        tally = Tally(work.created, work.updated, work.deleted, errors=[*plan.errors])
        keep(fetched=plan.fetched)
        hand = _Hand(work, actions.reading, tally, keep)
        for step in actions.steps:
            hand.carry_out(step)
        for block in actions.blocks:
            hand.follow(block)
        tally.flagged = len(actions.findings)
        _flag(work, actions)
        keep(flagged=tally.flagged)
        _remember(actions.reading, tally)
        return tally


@dataclass(frozen=True, slots=True)
class _Hand:
    """Does one thing after the other, each in a transaction of its own with its count and its
    audit row: whoever takes the run up again finds what was done counted."""

    work: Work
    reading: Reading
    tally: Tally
    keep: Callable[..., None]

    def carry_out(self, step: Step) -> None:
        """One action on one booking, unless that has changed since it was planned."""
        external_id = step.copy.external_id
        with self._step(external_id) as session:
            beds24_bookings.take_turns(session, [external_id])
            now = booking_rows.read(session, [external_id]).get(external_id)
            if (now and now.state) != (step.stored and step.stored.state):
                log.info("booking_changed_meanwhile", external_id=external_id)
                return
            ids = self._do(step, now)
            for id_ in ids[:1]:
                _audit(session, self.work, self.reading, step, id_)

    def follow(self, block: BlockAction) -> None:
        """Make our block what theirs is."""
        with self._step(block.external_id) as session:
            booking_blocks.apply(session, block, self.reading)
            audit.record(
                session,
                ACTOR,
                "reconcile",
                "maintenance_block",
                block.external_id,
                before=block.ours.plain() if block.ours else None,
                after=block.theirs.plain() if block.theirs else None,
            )
            self._count("updated", 1)

    def _do(self, step: Step, stored: Stored | None) -> tuple[UUID, ...]:
        if step.do is Do.CANCEL and stored is not None:
            # Beds24 says so now, whatever moment it gives: nothing newer is known (see `moving`).
            moments = (step.copy.modified_at, stored.source_modified_at)
            as_of = max([moment for moment in moments if moment] or [self.reading.as_of])
            gone = reservations.cancel_vanished(
                BEDS24, [step.copy.external_id], actor_label=LABEL, as_of=as_of
            )
            self._count("deleted", len(gone))
            return tuple(gone)
        applied = reservations.apply_copies(
            [step.copy],
            actor_label=LABEL,
            as_of=self.reading.as_of,
            channel_property_id=self.reading.connection.id,
            force=COLUMNS.get(step.do),
        )
        self.tally.errors += applied.errors
        self._count("created", applied.created)
        self._count("updated", applied.updated)
        return applied.ids

    def _count(self, what: str, number: int) -> None:
        if number:
            setattr(self.tally, what, getattr(self.tally, what) + number)
            self.keep(**{what: getattr(self.tally, what)})

    @contextmanager
    def _step(self, external_id: str) -> Iterator[Session]:
        """A transaction whose failure is this booking's alone."""
        were = self.tally.created, self.tally.updated, self.tally.deleted
        try:
            with transaction() as session:
                yield session
        except (OperationalError, NotOurs):
            raise
        except Exception as error:
            self.tally.created, self.tally.updated, self.tally.deleted = were
            self.tally.errors.append(_error(external_id, error))


def _error(external_id: str, error: Exception) -> ItemError:
    """What went wrong, without a value of the booking's."""
    if isinstance(error, Refused):
        return ItemError(external_id, str(error), "refused")
    name = type(error).__name__
    log.warning(
        "booking_not_reconciled",
        external_id=external_id,
        error=name,
        exc_info=not isinstance(error, DBAPIError),
    )
    return ItemError(external_id, f"it could not be carried out ({name})", "not_stored")


def _audit(session: Session, work: Work, reading: Reading, step: Step, id_: UUID) -> None:
    """Both sides as they were, and what was done about it (B24R-20)."""
    ours, theirs = sides(reading, step)
    after: dict[str, Any] = {"action": step.do.value, "reason": step.reason, "run": str(work.id)}
    audit.record(
        session,
        ACTOR,
        "reconcile",
        "reservation",
        id_,
        before={"ours": ours, "theirs": theirs},
        after=after,
    )


def _flag(work: Work, actions: Actions) -> None:
    connection = actions.reading.connection.id
    with transaction() as session:
        # Of all that agrees, only what stands open can be closed.
        compared = actions.compared & booking_rows.flagged(session, connection, KINDS)
        settled = discrepancies.settle(
            session,
            connection,
            actions.findings,
            kinds=KINDS,
            compared=compared,
            run_id=work.id,
            seen_at=actions.reading.as_of,
        )
    log.info(
        "discrepancies_settled",
        opened=settled.opened,
        reopened=settled.reopened,
        closed=settled.closed,
        unchanged=settled.unchanged,
    )


def _remember(reading: Reading, tally: Tally) -> None:
    """Name what could not be compared, and mark what agrees for the next run."""
    with transaction() as session:
        reconciliation_failures.remember(session, BEDS24, tally.errors, {}, healed=reading.compared)
    for begin in range(0, len(reading.agreed), SLICE):
        with transaction() as session:
            booking_rows.mark(session, reading.stamp, reading.agreed[begin : begin + SLICE])
