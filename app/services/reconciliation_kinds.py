"""What a kind of reconciliation has to be able to do, and which kinds there are."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from app.domain import safety_brake
from app.integrations import channels
from app.integrations.channels import ItemError
from app.services.reconciliation_rows import Work

#: what takes something away from a guest: listed first by every plan
RISKY = ("cancel", "move")


class NotOurs(Exception):
    """The lease lapsed and somebody else closed the run."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would change. `risky` of the `active` stays would be cancelled or moved.

    `hash` covers every action and what it would be applied to; `summary` is its JSON for pages, by
    ids, dates, states and amounts and without a guest; `actions` are for the comparison that made
    them. `errors` name what could not be compared.
    """

    hash: str
    summary: dict[str, Any]
    fetched: int = 0
    errors: Sequence[ItemError] = ()
    risky: int = 0
    active: int = 0
    actions: Any = ()
    noun: str = "reservations"  # what `fetched` counts

    @property
    def stopped(self) -> bool:
        """Whether a person has to agree first."""
        return safety_brake.trips(self.risky, self.active)

    def is_left_of(self, agreed: Mapping[str, Any]) -> bool:
        """Whether every stay it would cancel or move is one of those that the summary of an earlier
        plan has spelled out, in the very same way."""
        known = agreed.get("items", ())
        wanted = (item for item in self.summary["items"] if item["action"] in RISKY)
        return all(item in known for item in wanted)


@dataclass(slots=True)
class Tally:
    """What a run has done so far; a run that was handed back goes on counting.

    `notes` are faults that did not stop it, in words without guest data.
    """

    created: int = 0
    updated: int = 0
    deleted: int = 0
    orphaned: int = 0
    flagged: int = 0
    errors: list[ItemError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Comparison(Protocol):
    """One kind of comparison with a channel.

    `work.window` is the moment it reads from; with Beds24 that is when the run began, or the start
    that a person gave it, and `work.property_id` is set: its connection is
    `reconciliation_turns.connection(work.property_id)`. Calls made in `read` leave a reserve of the
    account's credits to urgent work; RateLimited has the run wait and be read anew.
    """

    channel: str  # a key of app.integrations.channels.KNOWN

    def read(self, work: Work) -> Any:
        """What the channel says, complete, read with no transaction open. Raises
        IntegrationError, Unavailable when the channel or the connection is not there any more."""
        ...

    def plan(self, work: Work, reading: Any) -> Plan:
        """Compare the reading with our rows, writing nothing."""
        ...

    def apply(self, work: Work, plan: Plan, keep: Callable[..., None]) -> Tally:
        """Carry out the plan, each action in a transaction of its own. `keep(**fields)` stores
        progress on the run's row and renews its lease; it raises when the run is not ours now."""
        ...


#: what a kind is compared by that is named like its channel: what has changed there since
CHANGES = "app.services.changes_comparison:ChangesComparison"
#: kind -> what compares it otherwise
KINDS: dict[str, str] = {
    "beds24_bookings": "app.services.booking_comparison:BookingComparison",
    "beds24_availability": "app.services.availability_comparison:AvailabilityComparison",
    "beds24_rates": "app.services.rate_comparison:RateComparison",
    "stays_deep": "app.services.deep_stays:StaysDeepComparison",
    "beds24_deep": "app.services.deep_beds24:Beds24DeepComparison",
}


def load(kind: str) -> Comparison:
    """A comparison of a kind; KeyError for an unknown one."""
    module, _, name = (CHANGES if kind in channels.KNOWN else KINDS[kind]).partition(":")
    make = getattr(importlib.import_module(module), name)
    return cast(Comparison, make(kind) if kind in channels.KNOWN else make())


def channel_of(kind: str) -> str:
    """The channel a kind is compared with; weekly comparisons of everything too."""
    return kind.partition("_")[0]
