"""A channel in memory, for tests and development: same promises, faults on demand."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from datetime import date, datetime

from app import clock
from app.integrations.channels import ChangeSet, ChannelListing, ChannelReservation, ItemError
from app.integrations.errors import IntegrationError, NotFound

VENDOR = "fake"


class FakeChannel:
    """Answers from what a test put in; every call is noted in `calls`."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything, as at the start."""
        self.units: list[ChannelListing] = []
        self.errors: list[ItemError] = []
        #: the range a `changes` answer claims to have read whole; None, as in the simple dialect
        self.swept: tuple[date, date] | None = None
        self.calls: list[tuple[str, str]] = []
        self._stays: dict[str, tuple[datetime, ChannelReservation]] = {}
        self._faults: dict[str, deque[IntegrationError]] = {}

    def put(self, *reservations: ChannelReservation, at: datetime | None = None) -> None:
        """Create or change reservations; the change counts as made `at`, else as they say, else
        now."""
        for reservation in reservations:
            moment = at or reservation.modified_at or clock.utcnow()
            self._stays[reservation.external_id] = (moment, reservation)

    def remove(self, external_id: str) -> None:
        """Let a reservation vanish, as Stays does with expired pre-reservations."""
        del self._stays[external_id]

    def fail(self, call: str, *errors: IntegrationError) -> None:
        """The next calls of `changes`, `active`, `get` or `listings` raise these, one each."""
        if call not in ("changes", "active", "get", "listings"):
            raise ValueError(f"no such call: {call}")
        self._faults.setdefault(call, deque()).extend(errors)

    def changes(
        self, since: datetime, *, today: date, known: Mapping[str, str | None]
    ) -> ChangeSet:
        """What was put at or after `since`; in a swept range, also what differs from `known`."""
        self._enter("changes", since.isoformat())
        inside = {
            external_id
            for external_id, (_, stay) in self._stays.items()
            if self.swept
            and stay.check_in_on <= self.swept[1]
            and stay.check_out_on >= self.swept[0]
        }
        changed = [
            stay
            for external_id, (moment, stay) in self._stays.items()
            if moment >= since
            or (
                external_id in inside
                and (stay.sweep_hash is None or known.get(external_id) != stay.sweep_hash)
            )
        ]
        return ChangeSet(
            reservations=changed,
            errors=list(self.errors),
            fetched=len(changed) + len(self.errors),
            swept=self.swept,
            seen=frozenset(inside | {e.external_id for e in self.errors if e.external_id})
            if self.swept
            else frozenset(),
        )

    def active(self, first: date, last: date, *, since: datetime) -> Iterator[ChangeSet]:
        """What touches these days, in two slices; a fault comes between them."""
        found = [
            stay
            for _, stay in self._stays.values()
            if stay.check_in_on <= last and stay.check_out_on >= first
        ]
        middle = (len(found) + 1) // 2
        yield ChangeSet(found[:middle], list(self.errors), fetched=middle + len(self.errors))
        self._enter("active", f"{first} {last} {since.isoformat()}")
        yield ChangeSet(found[middle:], fetched=len(found) - middle)

    def get(self, external_id: str) -> ChannelReservation:
        """One reservation."""
        self._enter("get", external_id)
        if external_id not in self._stays:
            raise NotFound(f"{VENDOR} has no reservation of this id", vendor=VENDOR, code="404")
        return self._stays[external_id][1]

    def listings(self) -> list[ChannelListing]:
        """Every unit."""
        self._enter("listings", "")
        return list(self.units)

    def _enter(self, call: str, argument: str) -> None:
        self.calls.append((call, argument))
        faults = self._faults.get(call)
        if faults:
            raise faults.popleft()


#: the instance the factory hands out, so that a test can script what a service will meet
channel = FakeChannel()


def client_from_settings(settings: object) -> FakeChannel:
    """The process's fake channel; settings play no part."""
    return channel
