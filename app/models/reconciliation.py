"""Runs, what a run could not take in, what the two sides disagree on, and the weekly report."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.states import RunStatus
from app.extensions import Base
from app.models.columns import Key, Moment, Stamped, a_name, one_of

RUN_KINDS = ("stays", "beds24_bookings", "beds24_availability", "beds24_rates")
#: everything active compared once a week, writing nothing but its report
DEEP_KINDS = ("stays_deep", "beds24_deep")
DISCREPANCY_KINDS = (
    "missing",  # ours, and not at the channel
    "dates",
    "room",
    "status",
    "amount",
    "currency",
    "guest",
    "availability",
    "rate",
)


class ReconciliationLog(Stamped, Base):
    """One run: numbers, times and generic text only, never guest data (SEC-08).

    `last_run_at` is the watermark this run read from; `duration` is in milliseconds.
    """

    __tablename__ = "reconciliation_logs"

    id: Mapped[Key]
    kind: Mapped[str]
    property_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("properties.id", ondelete="SET NULL")
    )
    status: Mapped[str] = mapped_column(server_default=text("'pending'"))
    last_run_at: Mapped[Moment | None]
    started_at: Mapped[Moment]
    completed_at: Mapped[Moment | None]
    duration: Mapped[int | None]
    fetched: Mapped[int] = mapped_column(server_default=text("0"))
    created: Mapped[int] = mapped_column(server_default=text("0"))
    updated: Mapped[int] = mapped_column(server_default=text("0"))
    orphaned: Mapped[int] = mapped_column(server_default=text("0"))
    deleted: Mapped[int] = mapped_column(server_default=text("0"))
    errors: Mapped[int] = mapped_column(server_default=text("0"))
    message: Mapped[str | None]
    error_kind: Mapped[str | None]
    trigger: Mapped[str] = mapped_column(server_default=text("'schedule'"))
    requested_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    since: Mapped[Moment | None]  # an explicit start, for a backfill (C-07)
    retry_of: Mapped[UUID | None] = mapped_column(
        ForeignKey("reconciliation_logs.id", ondelete="SET NULL")
    )
    attempt: Mapped[int] = mapped_column(server_default=text("1"))
    next_attempt_at: Mapped[Moment | None]  # when the retry of this failed run is due (C-10)
    lease_until: Mapped[Moment | None]
    dry_run: Mapped[bool] = mapped_column(server_default=text("false"))
    plan: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    plan_hash: Mapped[str | None]
    flagged: Mapped[int] = mapped_column(server_default=text("0"))  # left to a person

    __table_args__ = (
        a_name("kind"),
        one_of("status", RunStatus),
        one_of("trigger", ("schedule", "manual", "retry", "command")),
        CheckConstraint("duration >= 0", name="duration"),
        Index("ix_reconciliation_logs_started_at", "started_at"),
        Index("ix_reconciliation_logs_status", "status"),
        Index("ix_reconciliation_logs_created_at", "created_at"),
        Index("ix_reconciliation_logs_kind_started_at", "kind", "started_at"),
        Index(
            "uq_reconciliation_logs_pending",
            "kind",
            text("coalesce(property_id, '00000000-0000-0000-0000-000000000000'::uuid)"),
            unique=True,
            postgresql_where=text("status = 'pending'"),
        ),
        Index(
            "ix_reconciliation_logs_due",
            "next_attempt_at",
            postgresql_where=text("next_attempt_at IS NOT NULL"),
        ),
    )


class ReconciliationFailure(Base):
    """An item that could not be taken in; asked for again by id until it can (C-08)."""

    __tablename__ = "reconciliation_failures"

    id: Mapped[Key]
    channel: Mapped[str]
    external_id: Mapped[str]
    kind: Mapped[str]
    reason: Mapped[str]
    attempts: Mapped[int] = mapped_column(server_default=text("1"))
    source_modified_at: Mapped[Moment | None]
    first_failed_at: Mapped[Moment]
    last_failed_at: Mapped[Moment]

    __table_args__ = (UniqueConstraint("channel", "external_id"),)


class Discrepancy(Stamped, Base):
    """What the two sides disagree on and no rule may decide (B24R-21).

    One row per connection, kind and `subject` ("84107733", or "610011 2026-12-01"): it is opened,
    closed and opened again. `ours` and `theirs` hold plain values, and since when they are known;
    they are guest data. `fingerprint` is of both: what was dismissed stays so while it is the same.
    """

    __tablename__ = "discrepancies"

    id: Mapped[Key]
    channel_property_id: Mapped[UUID] = mapped_column(
        ForeignKey("channel_properties.id", ondelete="CASCADE")
    )
    kind: Mapped[str] = mapped_column(String(30))
    subject: Mapped[str] = mapped_column(String(255))
    reservation_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("reservations.id", ondelete="SET NULL"), index=True
    )
    external_id: Mapped[str | None] = mapped_column(String(255))
    room_type_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("room_types.id", ondelete="CASCADE"), index=True
    )
    first_day: Mapped[date | None]  # of the stay or the nights, at the property; `last_day` too
    last_day: Mapped[date | None]
    status: Mapped[str] = mapped_column(String(20), server_default=text("'open'"))
    severity: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str]  # one sentence without guest data
    ours: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    theirs: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    fingerprint: Mapped[str] = mapped_column(String(64))
    opened_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    last_seen_at: Mapped[Moment]
    last_run_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("reconciliation_logs.id", ondelete="SET NULL")
    )
    times_opened: Mapped[int] = mapped_column(server_default=text("1"))
    note: Mapped[str | None]
    action: Mapped[str | None] = mapped_column(String(20))
    closed_at: Mapped[Moment | None]
    closed_by: Mapped[str | None]  # an e-mail address, or "system" when a comparison closed it

    __table_args__ = (
        UniqueConstraint("channel_property_id", "kind", "subject"),
        one_of("kind", DISCREPANCY_KINDS),
        one_of("status", ("open", "resolved", "dismissed")),
        one_of("severity", ("high", "medium", "low")),
        one_of("action", ("accept_channel", "accept_pms", "dismiss", "agreed", "over", "unmapped")),
        Index("ix_discrepancies_status_opened_at", "status", "opened_at"),
        Index("ix_discrepancies_external_id", "external_id"),
    )


class ComparisonReport(Base):
    """What a deep comparison found: figures and differences by id, never a guest."""

    __tablename__ = "comparison_reports"

    run_id: Mapped[UUID] = mapped_column(
        ForeignKey("reconciliation_logs.id", ondelete="CASCADE"), primary_key=True
    )
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    figures: Mapped[dict[str, Any]] = mapped_column(JSONB)
    differences: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
