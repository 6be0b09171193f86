"""ChannelEvent, its attempts and batches: facts received or owed, each try, and repairs of many."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    DateTime,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.states import EventStatus
from app.extensions import Base
from app.models.columns import Key, Moment, Stamped, one_of


class ChannelEvent(Stamped, Base):
    """A message as it came, never edited (EVT-01…25).

    `payload` is the parsed body without card data; `headers` keeps those that matter for a later
    proof. `next_attempt_at` is when it is due; `lease_until` belongs to the worker that has it.
    `entity_modified_at` is when the sender changed what the event tells of; `waiting_for` is the
    channel's room that has to be mapped before a failed one can be retried.

    Of an outbound one: `coalesce_key` is shared by changes that one delivery settles, `priority`
    is lowest first, `postponed` counts the channel's refusals for want of credits, and `sent_at`
    says that a write went out whose answer has not been recorded.
    """

    __tablename__ = "channel_events"

    id: Mapped[Key]
    channel_property_id: Mapped[UUID] = mapped_column(
        ForeignKey("channel_properties.id", ondelete="CASCADE")
    )
    direction: Mapped[str] = mapped_column(String(10))
    source: Mapped[str] = mapped_column(String(50))
    event_type: Mapped[str] = mapped_column(String(100))
    entity_type: Mapped[str] = mapped_column(String(50))
    entity_external_id: Mapped[str | None] = mapped_column(String(255))
    entity_internal_id: Mapped[UUID | None]
    idempotency_key: Mapped[str] = mapped_column(String(255))
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    normalized_payload: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    headers: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    raw_body: Mapped[str | None]
    status: Mapped[str] = mapped_column(String(20), server_default=text("'received'"))
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    max_attempts: Mapped[int] = mapped_column(server_default=text("3"))
    last_error: Mapped[str | None]
    last_error_kind: Mapped[str | None]
    next_attempt_at: Mapped[Moment | None]
    lease_until: Mapped[Moment | None]
    lease_token: Mapped[UUID | None]
    received_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now()
    )
    processed_at: Mapped[Moment | None]
    entity_modified_at: Mapped[Moment | None]
    waiting_for: Mapped[str | None] = mapped_column(String(255))
    coalesce_key: Mapped[str | None] = mapped_column(String(255))
    priority: Mapped[int] = mapped_column(server_default=text("0"))
    postponed: Mapped[int] = mapped_column(server_default=text("0"))
    sent_at: Mapped[Moment | None]
    emptied_at: Mapped[Moment | None]  # what it carried was forgotten (SEC-15)

    __table_args__ = (
        UniqueConstraint("idempotency_key"),
        one_of("direction", ("inbound", "outbound")),
        one_of("status", EventStatus),
        Index("ix_channel_events_entity_external_id", "entity_external_id"),
        Index("ix_channel_events_channel_property_id_status", "channel_property_id", "status"),
        Index("ix_channel_events_status_received_at", "status", "received_at"),
        Index("ix_channel_events_entity", "entity_type", "entity_internal_id"),
        Index(
            "ix_channel_events_dead_letters",
            "status",
            "received_at",
            postgresql_where=text("status = 'failed'"),
        ),
        # Counts and filters are answered from the index: a row is kilobytes of payload.
        Index(
            "ix_channel_events_received_at_id",
            "received_at",
            "id",
            postgresql_include=[
                "status",
                "direction",
                "source",
                "event_type",
                "channel_property_id",
                "entity_internal_id",
                "entity_external_id",
            ],
        ),
        Index(
            "ix_channel_events_to_empty",
            "processed_at",
            postgresql_where=text("emptied_at IS NULL AND processed_at IS NOT NULL"),
        ),
        Index(
            "ix_channel_events_due",
            "next_attempt_at",
            postgresql_where=text("next_attempt_at IS NOT NULL"),
        ),
        Index(
            "ix_channel_events_waiting_for",
            "channel_property_id",
            "waiting_for",
            postgresql_where=text("status = 'failed' AND waiting_for IS NOT NULL"),
        ),
        Index(
            "ix_channel_events_coalesce_key",
            "channel_property_id",
            "coalesce_key",
            postgresql_where=text("coalesce_key IS NOT NULL AND processed_at IS NULL"),
        ),
    )


#: the beginning of a channel's id as people type it, in any case
Index(
    "ix_channel_events_id_text",
    func.lower(ChannelEvent.entity_external_id).label("id_text"),
    postgresql_ops={"id_text": "text_pattern_ops"},
)


class ChannelEventAttempt(Base):
    """One try with its outcome; kept when the event is tried anew (C-34)."""

    __tablename__ = "channel_event_attempts"

    id: Mapped[Key]
    event_id: Mapped[UUID] = mapped_column(ForeignKey("channel_events.id", ondelete="CASCADE"))
    number: Mapped[int]
    started_at: Mapped[Moment]
    finished_at: Mapped[Moment | None]
    outcome: Mapped[str | None]
    error_kind: Mapped[str | None]
    error: Mapped[str | None]

    __table_args__ = (
        Index("ix_channel_event_attempts_event_id_started_at", "event_id", "started_at"),
    )


class EventBatch(Stamped, Base):
    """One repair of many events, or PIN orders, at once (DLQ-16).

    `position` counts the ids that are dealt with: first the orders, then the events. `skipped` says
    of each that was left as it is why.
    """

    __tablename__ = "event_batches"

    id: Mapped[Key]
    verb: Mapped[str]
    reason: Mapped[str | None]
    actor: Mapped[str]
    actor_id: Mapped[UUID | None]
    ip: Mapped[str | None]
    event_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid()))
    order_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid()))
    position: Mapped[int] = mapped_column(server_default=text("0"))
    done: Mapped[int] = mapped_column(server_default=text("0"))
    skipped: Mapped[list[dict[str, str]]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    finished_at: Mapped[Moment | None]

    __table_args__ = (
        one_of("verb", ("retry", "ignore", "replay")),
        Index("ix_event_batches_open", "updated_at", postgresql_where=text("finished_at IS NULL")),
    )

    @property
    def total(self) -> int:
        return len(self.order_ids) + len(self.event_ids)
