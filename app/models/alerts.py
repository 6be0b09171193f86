"""Alert: something a person must know, once per subject until it is over."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import DateTime, Index, func, text
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
