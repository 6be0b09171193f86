"""AccommodationSync: one reading of a channel's list of units, with what came of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.states import RunStatus
from app.extensions import Base
from app.models.columns import Key, Moment, Stamped, one_of


class AccommodationSync(Stamped, Base):
    """Totals and errors of one sync; `items` are the units that could not be taken in, and why."""

    __tablename__ = "accommodation_syncs"

    id: Mapped[Key]
    channel: Mapped[str]
    trigger: Mapped[str]
    requested_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    status: Mapped[str] = mapped_column(server_default=text("'pending'"))
    started_at: Mapped[Moment | None]
    completed_at: Mapped[Moment | None]
    lease_until: Mapped[Moment | None]
    message: Mapped[str | None]
    error_kind: Mapped[str | None]
    total: Mapped[int] = mapped_column(server_default=text("0"))
    created: Mapped[int] = mapped_column(server_default=text("0"))
    updated: Mapped[int] = mapped_column(server_default=text("0"))
    inactivated: Mapped[int] = mapped_column(server_default=text("0"))
    returned: Mapped[int] = mapped_column(server_default=text("0"))
    items: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))

    __table_args__ = (
        one_of("channel", ("stays", "beds24")),
        one_of("trigger", ("schedule", "manual")),
        one_of("status", RunStatus),
        Index(
            "uq_accommodation_syncs_pending",
            "channel",
            unique=True,
            postgresql_where=text("status = 'pending'"),
        ),
        Index("ix_accommodation_syncs_created_at", "created_at"),
    )
