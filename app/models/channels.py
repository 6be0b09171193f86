"""ChannelProperty and VendorState: a property as its channel knows it; how a vendor is doing."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Float, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.columns import Key, Moment, Stamped, one_of


class ChannelProperty(Stamped, Base):
    """One property as connected to one channel (CHAN-01…15)."""

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

    __table_args__ = (
        UniqueConstraint("property_id", "channel_name"),
        Index("ix_channel_properties_status", "status"),
        one_of("status", ("active", "inactive", "error")),
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
