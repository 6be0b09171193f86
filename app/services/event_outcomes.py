"""What comes of an event: its outcome, or why it can never have one."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.integrations.channels import ChannelReservation
from app.integrations.errors import IntegrationError
from app.models import Reservation
from app.models.columns import among
from app.services import reservations

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: an id, a name and a date at once
HARMLESS = "2030-01-01"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an event ended. `word` goes to its attempt: done, stale, ignored or noted.

    `modified_at` is the moment the event speaks of, as far as it counts against others.
    """

    word: str = "done"
    normalized: Mapping[str, Any] = field(default_factory=dict)
    reservation_id: UUID | None = None
    modified_at: datetime | None = None


class Malformed(Exception):
    """The stored message itself makes no sense and never will; says so without guest data."""


class Refused(Exception):
    """What the event says cannot be stored as things are; trying again does not help.

    `waiting_for` names the channel's room that has to be mapped first, `ref` what the message calls
    it, with its unit where one is named. `normalized` is what the message says, as far as it was
    read: whom it is about is worth knowing all the more.
    """

    normalized: Mapping[str, Any] | None = None

    def __init__(
        self,
        reason: str,
        kind: str = "invalid",
        waiting_for: str | None = None,
        *,
        ref: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.kind = kind
        self.waiting_for = waiting_for
        self.ref = ref


def reservation_of(session: Session, channel: str, external_id: str | None) -> UUID | None:
    """Our stay of a channel's booking; its first unit where it takes several."""
    return session.scalar(
        select(Reservation.id).where(
            Reservation.channel == channel,
            Reservation.external_id == external_id,
            Reservation.unit_no == 1,
        )
    )


def reservations_of(
    session: Session, channel: str, external_ids: Collection[str]
) -> dict[str, UUID]:
    """`reservation_of` for several bookings at once, by the channel's id."""
    rows = session.execute(
        select(Reservation.external_id, Reservation.id).where(
            Reservation.channel == channel,
            among(Reservation.external_id, external_ids),
            Reservation.unit_no == 1,
        )
    )
    return {str(external_id): id_ for external_id, id_ in rows}


def said(copy: ChannelReservation) -> dict[str, Any]:
    """Everything a copy says, as JSON (EVT-12)."""
    return {
        field.name: reservations.plain(getattr(copy, field.name))
        for field in fields(copy)
        if field.name != "raw" and getattr(copy, field.name) is not None
    }


def normalised(read: Callable[[Mapping[str, Any]], T], item: Mapping[str, Any], name: str) -> T:
    """What `read` makes of `item`, which goes by `name` in the message.

    A reader that breaks would break on every try: that is Malformed, and names the field without
    which the rest can be read.
    """
    try:
        return read(item)
    except IntegrationError:
        raise
    except Exception as error:
        broken = type(error).__name__
        field_name = f"{name}.{_culprit(read, item) or '?'}"
    log.error("event_normaliser_failed", field=field_name, error=broken)
    raise Malformed(f"{field_name}: could not be read ({broken})")


def _culprit(read: Callable[[Mapping[str, Any]], Any], item: Mapping[str, Any]) -> str | None:
    """The field without which the rest can be read; of those that must be there, the one that a
    harmless text in its place makes readable."""
    for key in item:
        if _reads(read, {name: value for name, value in item.items() if name != key}):
            return key if _NAME.fullmatch(key) else None
    for key in item:
        if _reads(read, {**item, key: HARMLESS}) is not False:
            return key if _NAME.fullmatch(key) else None
    return None


def _reads(read: Callable[[Mapping[str, Any]], Any], item: Mapping[str, Any]) -> bool | None:
    """Whether `read` takes the item; None when it refuses it in order, False when it breaks."""
    try:
        read(item)
    except IntegrationError:
        return None
    except Exception:
        return False
    return True
