"""A property as its channel knows it: accounts, mappings, calendar and credits; vendors' health."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Numeric,
    String,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.columns import Key, Moment, Stamped, one_of

MAPPING_TYPES = ("room", "rate", "property", "room_type")


class ChannelAccount(Stamped, Base):
    """An account at a channel and its tokens, encrypted; several properties may share one.

    `seed_fingerprint` is the keyed digest of the refresh token it was made from: the same token
    given twice is the same account (DECISIONS 13), also after the channel has replaced it.
    """

    __tablename__ = "channel_accounts"

    id: Mapped[Key]
    channel_name: Mapped[str] = mapped_column(String(50))
    origin: Mapped[str] = mapped_column(String(20))
    seed_fingerprint: Mapped[str] = mapped_column(String(64))
    refresh_token_encrypted: Mapped[str]
    access_token_encrypted: Mapped[str | None]
    access_expires_at: Mapped[Moment | None]
    refreshed_at: Mapped[Moment | None]  # when the channel last gave an access token
    last_error: Mapped[str | None]
    last_error_at: Mapped[Moment | None]
    #: the one call that was refused ("POST /bookings"); null with an error: the refresh token
    refused_call: Mapped[str | None]

    __table_args__ = (
        UniqueConstraint("channel_name", "seed_fingerprint"),
        one_of("origin", ("invite", "token", "environment")),
    )


class ChannelProperty(Stamped, Base):
    """One property as connected to one channel (CHAN-01…15).

    `status_reason` says in words why `status` is `error`. Without an account or a webhook secret of
    its own the environment's are used (INTERFACES §2).
    """

    __tablename__ = "channel_properties"

    id: Mapped[Key]
    property_id: Mapped[UUID] = mapped_column(ForeignKey("properties.id", ondelete="CASCADE"))
    channel_name: Mapped[str] = mapped_column(String(50))
    channel_property_id: Mapped[str] = mapped_column(String(255))
    config: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    status: Mapped[str] = mapped_column(String(20), server_default=text("'active'"))
    last_sync_at: Mapped[Moment | None]
    last_webhook_at: Mapped[Moment | None]
    last_outbound_success_at: Mapped[Moment | None]
    failed_events_24h: Mapped[int] = mapped_column(server_default=text("0"))
    status_reason: Mapped[str | None]
    account_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("channel_accounts.id", ondelete="SET NULL"), index=True
    )
    webhook_secret_encrypted: Mapped[str | None]

    __table_args__ = (
        UniqueConstraint("property_id", "channel_name"),
        Index("ix_channel_properties_status", "status"),
        Index(
            "uq_channel_properties_beds24",
            "channel_property_id",
            unique=True,
            postgresql_where=text("channel_name = 'beds24'"),
        ),
        one_of("status", ("active", "inactive", "error")),
    )


class ChannelMapping(Stamped, Base):
    """The channel's id for one of ours (CHAN-17…32).

    `room_type` maps Beds24's roomId to a room type, `room` its `roomId:unitId` to an accommodation,
    `property` its property to ours, `rate` its room and price to a room type. A mapping taken away
    keeps its row, inactive, and comes back in it (CHAN-32).
    """

    __tablename__ = "channel_mappings"

    id: Mapped[Key]
    channel_property_id: Mapped[UUID] = mapped_column(
        ForeignKey("channel_properties.id", ondelete="CASCADE")
    )
    mapping_type: Mapped[str] = mapped_column(String(50))
    internal_id: Mapped[UUID]
    external_id: Mapped[str] = mapped_column(String(255))
    meta: Mapped[dict[str, Any]] = mapped_column(
        "metadata", JSONB, server_default=text("'{}'::jsonb")
    )
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))

    __table_args__ = (
        UniqueConstraint(
            "channel_property_id",
            "mapping_type",
            "internal_id",
            name="uq_channel_mappings_internal_id",
        ),
        UniqueConstraint(
            "channel_property_id",
            "mapping_type",
            "external_id",
            name="uq_channel_mappings_external_id",
        ),
        Index("ix_channel_mappings_active", "channel_property_id", "mapping_type", "is_active"),
        Index("ix_channel_mappings_internal", "mapping_type", "internal_id"),
        Index("ix_channel_mappings_external", "mapping_type", "external_id"),
        one_of("mapping_type", MAPPING_TYPES),
    )


class ChannelCalendarDay(Base):
    """A night of a room's calendar as the channel last said it: units left, first price, shortest
    stay. `external_id` is the channel's room."""

    __tablename__ = "channel_calendar_days"

    channel_property_id: Mapped[UUID] = mapped_column(
        ForeignKey("channel_properties.id", ondelete="CASCADE"), primary_key=True
    )
    external_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    available: Mapped[int | None]
    price: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))
    min_stay: Mapped[int | None]
    read_at: Mapped[Moment]


class RateLimitBucket(Base):
    """The credits of an account, in the row of the channel property that leads it (OUT-14…20).

    `capacity` and `refill_rate` are per 5 minutes. `blocked_until` is what the channel asked for.
    """

    __tablename__ = "rate_limit_buckets"

    channel_property_id: Mapped[UUID] = mapped_column(
        ForeignKey("channel_properties.id", ondelete="CASCADE"), primary_key=True
    )
    tokens: Mapped[int] = mapped_column(server_default=text("100"))
    capacity: Mapped[int] = mapped_column(server_default=text("100"))
    refill_rate: Mapped[int] = mapped_column(server_default=text("100"))
    last_refill_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now()
    )
    blocked_until: Mapped[Moment | None]
    updated_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), onupdate=func.now()
    )

    __table_args__ = (
        CheckConstraint("tokens >= 0", name="tokens"),
        CheckConstraint("capacity > 0", name="capacity"),
        CheckConstraint("refill_rate > 0", name="refill_rate"),
    )


class VendorState(Stamped, Base):
    """What real traffic has taught us about a vendor: up or down since when, paused until when."""

    __tablename__ = "vendor_states"

    vendor: Mapped[str] = mapped_column(primary_key=True)
    last_ok_at: Mapped[Moment | None]
    failing_since: Mapped[Moment | None]
    last_error_at: Mapped[Moment | None]
    last_error: Mapped[str | None]
    last_error_kind: Mapped[str | None]
    paused_until: Mapped[Moment | None]  # a spent quota pauses every order (INTERFACES §9)
    devices_read_at: Mapped[Moment | None]  # when its list of devices was last asked for
    clock_offset_seconds: Mapped[float | None] = mapped_column(Float)
    calls_on: Mapped[date | None]
    calls_today: Mapped[int] = mapped_column(server_default=text("0"))
