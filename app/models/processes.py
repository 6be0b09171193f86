"""ProcessHeartbeat: which processes are alive (RQ's own list dies with Redis)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import DateTime, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.columns import Key, Moment, one_of


class ProcessHeartbeat(Base):
    """One process, seen lately."""

    __tablename__ = "process_heartbeats"

    id: Mapped[Key]
    kind: Mapped[str]
    name: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    seen_at: Mapped[Moment]

    __table_args__ = (UniqueConstraint("name"), one_of("kind", ("web", "worker", "clock")))
