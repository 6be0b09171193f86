"""Which property is known to which channel, and under what id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import Conflict, FieldError, Invalid, NotFound, Unavailable
from app.models import ChannelProperty, Property
from app.runtime import secret_vault
from app.services import audit, edits, listing
from app.services.audit import Actor
from app.services.inputs import Changes, ExternalId, Input, conflicts
from app.services.paging import Page
from app.transaction import transaction

BEDS24 = "beds24"
_TAKEN = {
    "uq_channel_properties_property_id_channel_name": (
        "property_id",
        "this property is connected to this channel already",
    )
}


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection as the webhook door needs it. `secret` is its own, None: the environment's;
    `currency` is what the property sells in."""

    id: UUID
    property_id: UUID
    channel_property_ref: str
    status: str
    secret: str | None = field(repr=False)
    currency: str


class NewChannelProperty(Input):
    """`channel_property_id` is the channel's own id of the property; Beds24's are numbers."""

    property_id: UUID
    channel_name: Literal["stays", "beds24"]
    channel_property_id: ExternalId
    config: dict[str, Any] = Field(default_factory=dict)
    status: Literal["active", "inactive"] = "active"


class ChannelPropertyChanges(Changes):
    """What can be changed of a connection."""

    channel_property_id: ExternalId = ""
    config: dict[str, Any] = Field(default_factory=dict)
    status: Literal["active", "inactive"] = "active"


def create(new: NewChannelProperty, *, actor: Actor) -> ChannelProperty:
    """Connect a property. Raises Invalid for ids that do not fit, Conflict when the property is
    connected to the channel already or the channel's property to another of ours."""
    with conflicts(_TAKEN), transaction() as session:
        if session.get(Property, new.property_id) is None:
            raise listing.unknown("property_id", "property")
        _check(session, new.channel_name, new.channel_property_id, None)
        row = ChannelProperty(**new.model_dump())
        session.add(row)
        session.flush()
        session.refresh(row)
        after = new.model_dump(mode="json")
        audit.record(session, actor, "connect", "channel_property", row.id, after=after)
    return row


def change(
    channel_property_id: UUID, changes: ChannelPropertyChanges, *, actor: Actor
) -> ChannelProperty:
    """Change a connection. Raises NotFound, Invalid, Conflict."""
    with transaction() as session:
        row = session.get(ChannelProperty, channel_property_id, with_for_update=True)
        if row is None:
            raise NotFound("No such channel property.")
        given = changes.given()
        if "channel_property_id" in given:
            _check(session, row.channel_name, given["channel_property_id"], row.id)
        before, after = edits.apply(row, given)
        if after:
            session.flush()
            session.refresh(row)
            audit.record(session, actor, "update", "channel_property", row.id, before, after)
    return row


def for_webhook(session: Session, channel: str, channel_property_ref: str) -> Connection | None:
    """The connection a message names, in one statement; None when there is none.

    Raises Unavailable when its own webhook secret cannot be opened: the message comes again.
    """
    row = session.execute(
        select(
            ChannelProperty.id,
            ChannelProperty.property_id,
            ChannelProperty.channel_property_id,
            ChannelProperty.status,
            ChannelProperty.webhook_secret_encrypted,
            Property.currency,
        )
        .join(Property, Property.id == ChannelProperty.property_id)
        .where(
            ChannelProperty.channel_name == channel,
            ChannelProperty.channel_property_id == channel_property_ref,
        )
        .order_by(ChannelProperty.created_at, ChannelProperty.id)
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    try:
        secret = secret_vault().open(row[4]) if row[4] is not None else None
    except ValueError:
        raise Unavailable("PIN_ENCRYPTION_KEYS: no key opens this webhook secret") from None
    return Connection(row[0], row[1], row[2], row[3], secret, row[5])


def get(channel_property_id: UUID) -> ChannelProperty:
    """One connection. Raises NotFound."""
    with transaction() as session:
        row = session.get(ChannelProperty, channel_property_id)
    if row is None:
        raise NotFound("No such channel property.")
    return row


def search(args: Mapping[str, str]) -> Page[ChannelProperty]:
    """A page of connections, newest first. Raises Invalid for a bad parameter."""
    return listing.fetch(
        ChannelProperty,
        args,
        sorts={
            "created_at": ChannelProperty.created_at,
            "channel_name": ChannelProperty.channel_name,
        },
        search=(ChannelProperty.channel_name, ChannelProperty.channel_property_id),
    )


def _check(session: Session, channel: str, external_id: str, own: UUID | None) -> None:
    if channel != BEDS24:
        return  # Stays has no id for a building
    if not (external_id.isascii() and external_id.isdecimal()):
        raise Invalid.field("channel_property_id", "must be Beds24's property id, a number")
    other = session.scalars(
        select(ChannelProperty.id).where(
            ChannelProperty.channel_name == channel,
            ChannelProperty.channel_property_id == external_id,
            ChannelProperty.id != own if own else ChannelProperty.id.is_not(None),
        )
    ).first()
    if other is not None:
        message = "another property of ours is connected to it already"
        raise Conflict(
            f"channel_property_id: {message}", [FieldError("channel_property_id", message)]
        )
