"""Which property is known to which channel, and under what id."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import Conflict, FieldError, Invalid, NotFound
from app.integrations.channels import KNOWN
from app.integrations.channels.beds24_tokens import Tokens
from app.models import ChannelAccount, ChannelProperty, Property
from app.runtime import secret_vault
from app.services import (
    audit,
    channel_accounts,
    channel_invites,
    channel_units,
    contention,
    edits,
    listing,
)
from app.services.audit import Actor
from app.services.inputs import Changes, ExternalId, Input, conflicts
from app.services.paging import Page
from app.transaction import transaction

BEDS24 = "beds24"
_TAKEN = {
    "uq_channel_properties_property_id_channel_name": (
        "property_id",
        "this property is connected to this channel already",
    ),
    "uq_channel_properties_beds24": (
        "channel_property_id",
        "another property of ours is connected to it already",
    ),
}

SECRETS = ("invite_code", "refresh_token", "webhook_secret")
SHORTEST_SECRET = 16


def _header(value: str) -> str:
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise ValueError("must be letters, digits and signs without spaces, as Beds24 shows it")
    return value


def _secret(value: str) -> str:
    if not (value.isascii() and value.isprintable()):
        raise ValueError("must be letters, digits and signs that fit a header")
    if value and len(value) < SHORTEST_SECRET:
        raise ValueError(f"must have at least {SHORTEST_SECRET} characters")
    return value


def _known(channel: str) -> str:
    if channel not in KNOWN:
        raise ValueError("must be one of " + ", ".join(KNOWN))
    return channel


ChannelName = Annotated[
    str, AfterValidator(_known), WithJsonSchema({"type": "string", "enum": list(KNOWN)})
]
HeaderText = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_header)]
WebhookSecret = Annotated[str, StringConstraints(max_length=255), AfterValidator(_secret)]


class NewChannelProperty(Input):
    """`channel_property_id` is the channel's own id of the property; Beds24's are numbers.

    The last three are taken and never shown again, and for Beds24 only. Without an invite code or
    a refresh token the environment's account speaks for the property; without a webhook secret its
    secret proves the messages.
    """

    property_id: UUID
    channel_name: ChannelName
    channel_property_id: ExternalId
    config: dict[str, Any] = Field(default_factory=dict)
    status: Literal["active", "inactive"] = "active"
    invite_code: HeaderText | None = Field(default=None, repr=False)
    refresh_token: HeaderText | None = Field(default=None, repr=False)
    webhook_secret: WebhookSecret | None = Field(default=None, repr=False)


class ChannelPropertyChanges(Changes):
    """What can be changed of a connection. An empty invite code or refresh token says nothing; a
    webhook secret that is null or empty is taken away."""

    channel_property_id: ExternalId = ""
    config: dict[str, Any] = Field(default_factory=dict)
    status: Literal["active", "inactive"] = "active"
    invite_code: HeaderText | None = Field(default=None, repr=False)
    refresh_token: HeaderText | None = Field(default=None, repr=False)
    webhook_secret: WebhookSecret | None = Field(default=None, repr=False)


def create(new: NewChannelProperty, *, actor: Actor) -> ChannelProperty:
    """Connect a property. Raises Invalid for ids or secrets that do not fit and for an invite code
    that Beds24 refuses, Conflict when the property is connected to the channel already or the
    channel's property to another of ours, Unavailable when Beds24 does not answer.

    Beds24 is asked last, once nothing else can be wrong: an invite code works only once.
    """
    _check_secrets(new.channel_name, new)
    with transaction() as session:
        if session.get(Property, new.property_id) is None:
            raise listing.unknown("property_id", "property")
        _check(session, new.channel_name, new.channel_property_id, None)
        _check_free(session, new.property_id, new.channel_name)
    account_id = _account(new)
    return contention.patient(lambda: _connect(new, account_id, actor))


def _connect(new: NewChannelProperty, account_id: UUID | None, actor: Actor) -> ChannelProperty:
    plain = new.model_dump(exclude=set(SECRETS))
    with conflicts(_TAKEN), transaction() as session:
        row = ChannelProperty(**plain, account_id=account_id)
        if new.webhook_secret:
            row.webhook_secret_encrypted = secret_vault().seal(new.webhook_secret)
        session.add(row)
        session.flush()
        session.refresh(row)
        after = new.model_dump(mode="json", exclude=set(SECRETS)) | _given_secrets(new)
        audit.record(session, actor, "connect", "channel_property", row.id, after=after)
        if row.channel_name == BEDS24:
            channel_units.adopt(session, [row.property_id], actor=actor)
    return row


def change(
    channel_property_id: UUID, changes: ChannelPropertyChanges, *, actor: Actor
) -> ChannelProperty:
    """Change a connection. Raises NotFound, Invalid, Conflict, and Unavailable when Beds24 does not
    answer to an invite code.

    A new invite code or refresh token is used by every process from its next call on. Setting an
    erring connection active tries its account again.
    """
    with transaction() as session:
        row = session.get(ChannelProperty, channel_property_id)
        if row is None:
            raise NotFound("No such channel property.")
        _check_secrets(row.channel_name, changes)
        given = changes.given()
        if "channel_property_id" in given:
            _check(session, row.channel_name, given["channel_property_id"], row.id)
    account_id = _account(changes)
    with conflicts(_TAKEN), transaction() as session:
        row = session.get(ChannelProperty, channel_property_id, with_for_update=True)
        if row is None:
            raise NotFound("No such channel property.")
        values = {name: value for name, value in given.items() if name not in SECRETS}
        if account_id is not None:
            row.account_id = account_id
            if row.status == "error":
                values.setdefault("status", "active")
        if "webhook_secret" in given:
            secret = changes.webhook_secret
            row.webhook_secret_encrypted = secret_vault().seal(secret) if secret else None
        before, after = edits.apply(row, values)
        if "status" in after:
            row.status_reason = None
        after |= _given_secrets(changes)
        if after:
            session.flush()
            session.refresh(row)
            audit.record(session, actor, "update", "channel_property", row.id, before, after)
    return row


def new_webhook_secret(channel_property_id: UUID, *, actor: Actor) -> str:
    """Give a connection a webhook secret of its own and return it: this is the only time it can be
    read. Messages with the one before are refused from now on. Raises NotFound, Invalid."""
    secret = secrets.token_urlsafe(32)
    change(channel_property_id, ChannelPropertyChanges(webhook_secret=secret), actor=actor)
    return secret


def note_failure(channel_property_id: UUID, reason: str) -> None:
    """The channel refused our credentials in real traffic: the connection, and every other of the
    same account, is in error for this reason (without a full stop). Not for outages.

    Beds24's clients note this by themselves; a second note changes nothing.
    """
    with transaction() as session:
        row, account = _with_account(session, channel_property_id)
        if row is not None and account is None and row.status == "active":
            row.status, row.status_reason = "error", reason
    if account is not None:
        channel_accounts.note_refused(
            account.id, account.last_error or reason, account.refused_call
        )


def note_success(channel_property_id: UUID) -> None:
    """The channel took our credentials: what `note_failure` noted is over. An account that lacks
    one scope stays in error until the call it was refused works."""
    with transaction() as session:
        row, account = _with_account(session, channel_property_id)
        if row is None or row.status != "error":
            return
        if account is None:
            row.status, row.status_reason = "active", None
    if account is not None:
        channel_accounts.note_accepted(account.id, None)


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


def _check_secrets(channel: str, given: NewChannelProperty | ChannelPropertyChanges) -> None:
    named = [name for name in SECRETS if getattr(given, name)]
    if channel != BEDS24 and named:
        raise Invalid.field(named[0], "is for Beds24 only")
    if given.invite_code and given.refresh_token:
        raise Invalid.field("refresh_token", "give this or an invite code, not both")


def _account(given: NewChannelProperty | ChannelPropertyChanges) -> UUID | None:
    """The account of what was given, stored; None when neither code nor token was."""
    if given.invite_code:
        return channel_invites.exchange(given.invite_code)
    if given.refresh_token:
        with transaction() as session:
            return channel_accounts.adopt(session, Tokens(given.refresh_token), "token")
    return None


def _given_secrets(given: NewChannelProperty | ChannelPropertyChanges) -> dict[str, str]:
    """For the audit log: which secrets changed, and never what they are."""
    sent = [name for name in SECRETS if name in given.model_fields_set]
    return {
        name: "replaced" if getattr(given, name) else "removed"
        for name in sent
        if getattr(given, name) or (name == "webhook_secret" and isinstance(given, Changes))
    }


def _with_account(
    session: Session, channel_property_id: UUID
) -> tuple[ChannelProperty | None, ChannelAccount | None]:
    row = session.get(ChannelProperty, channel_property_id)
    if row is None or row.channel_name != BEDS24:
        return row, None
    account_id = row.account_id or channel_accounts.environment(session)
    return row, session.get(ChannelAccount, account_id) if account_id else None


def _check_free(session: Session, property_id: UUID, channel: str) -> None:
    taken = select(ChannelProperty.id).where(
        ChannelProperty.property_id == property_id, ChannelProperty.channel_name == channel
    )
    if session.scalar(taken) is not None:
        name, message = _TAKEN["uq_channel_properties_property_id_channel_name"]
        raise Conflict(f"{name}: {message}", [FieldError(name, message)])


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
