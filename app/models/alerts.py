"""Alerts, the notices that tell of them, and the thresholds an admin has set."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, Index, String, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.columns import Key, Moment, Stamped, one_of

ALERT_KINDS = (
    "dead_letters",
    "failed_events",
    "success_rate",
    "channel_unreachable",
    "queue_depth",
    "run_failed",
    "no_run",
    "run_slow",
    "pin_late",
    "revoke_overdue",
    "lock_offline",
    "lock_battery",
    "vendor_quota",
    "clock_skew",
    "process_gone",
)


class Alert(Stamped, Base):
    """`subject` names what it is about ("reservation:<id>"), so that it is raised once."""

    __tablename__ = "alerts"

    id: Mapped[Key]
    kind: Mapped[str]
    subject: Mapped[str] = mapped_column(server_default=text("''"))
    severity: Mapped[str]
    title: Mapped[str]
    what_to_do: Mapped[str]
    status: Mapped[str] = mapped_column(server_default=text("'open'"))
    opened_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    acknowledged_at: Mapped[Moment | None]
    resolved_at: Mapped[Moment | None]
    acknowledged_by: Mapped[str | None]
    escalated_at: Mapped[Moment | None]  # when nobody had looked at it for too long
    notices: Mapped[int] = mapped_column(server_default=text("0"))  # told so far, of any kind

    __table_args__ = (
        one_of("kind", ALERT_KINDS),
        one_of("severity", ("info", "warning", "critical")),
        one_of("status", ("open", "acknowledged", "resolved")),
        Index(
            "uq_alerts_current",
            "kind",
            "subject",
            unique=True,
            postgresql_where=text("status <> 'resolved'"),
        ),
        Index("ix_alerts_status_opened_at", "status", "opened_at"),
    )


class AlertNotice(Stamped, Base):
    """One message about an alert (or a test: no alert) by one way; durable until it is sent.

    `number` counts the notices of an alert, so that none is written twice.
    """

    __tablename__ = "alert_notices"

    id: Mapped[Key]
    alert_id: Mapped[UUID | None] = mapped_column(ForeignKey("alerts.id", ondelete="CASCADE"))
    way: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str] = mapped_column(String(20))
    number: Mapped[int] = mapped_column(server_default=text("1"))
    status: Mapped[str] = mapped_column(String(10), server_default=text("'pending'"))
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_attempt_at: Mapped[Moment | None]
    lease_until: Mapped[Moment | None]
    sent_at: Mapped[Moment | None]
    last_error: Mapped[str | None]

    __table_args__ = (
        UniqueConstraint("alert_id", "way", "number"),
        one_of("way", ("email", "webhook")),
        one_of("reason", ("opened", "reminder", "escalated", "resolved", "test")),
        one_of("status", ("pending", "sent", "failed", "skipped")),
        Index(
            "ix_alert_notices_due",
            "next_attempt_at",
            postgresql_where=text("status = 'pending'"),
        ),
    )


class SystemSetting(Base):
    """A value an admin has set on a page, by its name ("alerts.dead_letters")."""

    __tablename__ = "system_settings"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    value: Mapped[Any] = mapped_column(JSONB)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    updated_by: Mapped[str]
