"""ReconciliationLog and ReconciliationFailure: each run, and each item a run could not take in."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.states import RunStatus
from app.extensions import Base
from app.models.columns import Key, Moment, Stamped, one_of

RUN_KINDS = ("stays", "beds24_bookings", "beds24_availability", "beds24_rates")


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

    __table_args__ = (
        one_of("kind", RUN_KINDS),
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
