"""A channel compared with our reservations: what it changed since, and what it has no more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import structlog

from app.integrations import channels
from app.integrations.channels import ChannelReservation
from app.services import (
    reconciliation_cleanup,
    reconciliation_failures,
    reconciliation_plans,
    reconciliation_reading,
    reservations,
    vendors,
)
from app.services.reconciliation_kinds import Plan, Tally
from app.services.reconciliation_plans import Actions
from app.services.reconciliation_reading import Reading
from app.services.reconciliation_rows import Work
from app.transaction import transaction

log = structlog.get_logger(__name__)

#: reservations written in one transaction: short enough to be handed back in time
SLICE = 1000

CLEANUP_FAILED = "Partial cleanup failed, but processing succeeded"  # STAY-50, C-09


class ChangesComparison:
    """Everything a channel has changed since the run's window, for the whole account."""

    def __init__(self, channel: str = "stays") -> None:
        self.channel = channel

    def read(self, work: Work) -> Reading:
        """Changes, what failed before, and what has vanished. Raises IntegrationError."""
        client = vendors.channel_client(self.channel)
        return reconciliation_reading.read(client, self.channel, work.window or work.started_at)

    def plan(self, work: Work, reading: Reading) -> Plan:
        """What taking the reading in would change."""
        return reconciliation_plans.make(reading, self.channel)

    def apply(self, work: Work, plan: Plan, keep: Callable[..., None]) -> Tally:
        """Take it in slice by slice, cancel what is gone, and clear up."""
        actions: Actions = plan.actions
        reading, label = actions.reading, channels.title(self.channel)
        tally = Tally(work.created, work.updated, work.deleted)
        tally.errors += plan.errors
        if actions.todo or actions.gone:
            keep(fetched=plan.fetched)  # reading can take minutes: is the run still ours?
        # Room by room: a slice then plans few doors, and no door is planned twenty times.
        todo = sorted(actions.todo, key=lambda c: (c.copy.accommodation_ref, c.copy.external_id))
        for begin in range(0, len(todo), SLICE):
            part = todo[begin : begin + SLICE]
            applied = reservations.apply_candidates(part, actor_label=label)
            tally.created += applied.created
            tally.updated += applied.updated
            tally.errors += applied.errors
            keep(created=tally.created, updated=tally.updated)
        if actions.gone:
            as_of = reading.gone_as_of or reading.as_of
            gone = reservations.cancel_vanished(
                self.channel, actions.gone, actor_label=label, as_of=as_of
            )
            tally.deleted += len(gone)
            keep(deleted=tally.deleted)
        with transaction() as session:
            reconciliation_failures.remember(
                session,
                self.channel,
                tally.errors,
                _modified(reading.copies),
                healed=[*(copy.external_id for copy in reading.copies), *reading.gone],
            )
        _clean_up(tally)
        return tally


def _modified(copies: Sequence[ChannelReservation]) -> Mapping[str, datetime | None]:
    return {copy.external_id: copy.modified_at for copy in copies}


def _clean_up(tally: Tally) -> None:
    """Never a reason to fail: the next run does it again (STAY-50)."""
    try:
        tally.orphaned = reconciliation_cleanup.clean_up()
    except Exception as error:
        tally.notes.append(CLEANUP_FAILED)
        log.error("reconciliation_cleanup_failed", error=type(error).__name__)
