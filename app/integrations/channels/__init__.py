"""Channels: the port, the one normalised reservation, the maps of dialects and of channels.

To add a channel: one module with a `ChannelClient`, one line in `CHANNELS` and one in `KNOWN`,
recorded payloads in tests/payloads/<name>/, and the contract suite in tests/contracts runs against
it. docs/extending.md leads through all of it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class ChannelReservation:
    """A booking as its channel has it now, in our words (contracts/stays.md §11).

    `status` is `pending`, `confirmed` or `cancelled`; None when the channel used a word we do not
    know (`raw_status`): the stored status is kept and the row is flagged. A None guest field, time
    or amount means "not said" and never erases a stored value. `check_in_at`/`check_out_at` are set
    only when the payload carried full instants; otherwise dates and optional local times.
    """

    channel: str  # a key of `KNOWN`
    external_id: str
    accommodation_ref: str
    status: str | None
    raw_status: str
    check_in_on: date
    check_out_on: date
    kind: str = "stay"  # stay | block | inquiry
    check_in_time: time | None = None
    check_out_time: time | None = None
    check_in_at: datetime | None = None
    check_out_at: datetime | None = None
    guest_name: str | None = None
    guest_email: str | None = None
    guest_phone: str | None = None
    adults: int | None = None
    children: int | None = None
    amount: Decimal | None = None
    currency: str | None = None
    code: str | None = None  # the short code people read aloud
    partner: str | None = None  # the OTA behind the channel, e.g. "booking.com"
    partner_ref: str | None = None
    booked_on: date | None = None
    modified_at: datetime | None = None
    property_ref: str | None = None  # the channel's id of the house, where the payload says it
    units: int = 1  # how many units of the room this one booking takes
    units_said: bool = True  # False: the payload names no number, and what is stored stands
    group_ref: str | None = None  # what the rooms of one multi-room booking have in common
    sweep_hash: str | None = None  # hash of the row a bulk sweep returned (external dialect)
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ItemError:
    """One item of an answer that could not be read; the rest went on. No guest data in `reason`."""

    external_id: str | None
    reason: str  # e.g. "check_out 2026-11-12 is not after check_in 2026-11-12"
    kind: str = "unreadable"
    waiting_for: str | None = None  # the channel's room that has to be mapped first


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """What a channel says has changed. Only a *complete* reading is returned; others raise.

    `swept` is the range of stay dates that was read whole, or None; `seen` are all ids in it. One
    of ours inside `swept` and not in `seen` may have vanished, and is confirmed by id before
    anything is cancelled (contracts/stays.md §10.4).
    """

    reservations: Sequence[ChannelReservation]
    errors: Sequence[ItemError] = ()
    fetched: int = 0
    swept: tuple[date, date] | None = None
    seen: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ChannelListing:
    """A unit as the channel lists it; `external_id` is what reservations refer to.

    Beds24 says `roomId:unitId`; its room is what is sold, `room_type`, in so many units.
    """

    external_id: str
    name: str
    code: str | None = None
    property_ref: str | None = None
    active: bool = True
    room_type: str | None = None
    room_type_units: int | None = None


class ChannelClient(Protocol):
    """What every channel can answer. Raises `app.integrations.errors.IntegrationError` only."""

    def changes(
        self, since: datetime, *, today: date, known: Mapping[str, str | None]
    ) -> ChangeSet:
        """Reservations changed at or after `since` (aware UTC). `known` maps the external ids of
        our active stays to the `sweep_hash` stored for them: a sweep reads only what differs."""
        ...

    def get(self, external_id: str) -> ChannelReservation:
        """One reservation by id; NotFound when the channel says it does not exist."""
        ...

    def listings(self) -> list[ChannelListing]:
        """Every unit of the account, all pages; raises instead of returning a part."""
        ...


class StaysClient(ChannelClient, Protocol):
    """What each dialect of Stays can answer besides."""

    def active(self, first: date, last: date, *, since: datetime) -> Iterator[ChangeSet]:
        """Every reservation that touches the days from `first` to `last`, in slices and without
        what it was read from; `since` is when the oldest of them may have been changed last. Others
        may be among them, and one of them twice. Only who has taken the last slice has read all."""
        ...


#: dialect -> dotted path of a factory that takes the app's Settings
CHANNELS: dict[str, str] = {
    "stays_simple": "app.integrations.channels.stays_simple:client_from_settings",
    "stays_external": "app.integrations.channels.stays_external:client_from_settings",
    "beds24": "app.integrations.channels.beds24:client_from_settings",
    "fake": "app.integrations.channels.fake:client_from_settings",
}


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel as the rest of the product knows it.

    `title` is what people read. `dialect` takes the app's Settings and names the entry of
    `CHANNELS` that speaks for the installation's one account, None while it is not set up;
    `variables` says what would set it up. A channel without `dialect` keeps its accounts in rows.
    """

    title: str
    variables: str
    dialect: Callable[[Any], str | None] | None = None


def _stays(settings: Any) -> str | None:
    return f"stays_{settings.stays_dialect}" if settings.stays_configured else None


#: channel, as rows name it -> what it is to the rest of the product
KNOWN: dict[str, Channel] = {
    "stays": Channel("Stays", "STAYS_API_URL and its companions", _stays),
    "beds24": Channel("Beds24", "BEDS24_REFRESH_TOKEN, or connect a property"),
}


def title(channel: str) -> str:
    """A channel's name for people; of one that is not known any more, its own with a capital."""
    known = KNOWN.get(channel)
    return known.title if known else channel.capitalize()


def load_channel(dialect: str) -> Callable[[object], ChannelClient]:
    """The factory of a dialect by name; KeyError for an unknown one."""
    module, _, attribute = CHANNELS[dialect].partition(":")
    factory: Callable[[object], ChannelClient] = getattr(importlib.import_module(module), attribute)
    return factory
