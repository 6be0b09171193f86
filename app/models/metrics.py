"""MetricPoint: how things went, minute by minute and hour by hour, for all processes together."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ARRAY, BigInteger, DateTime, Float, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.columns import one_of


class MetricPoint(Base):
    """What was measured in the step that begins `at`.

    A gauge has its last value in `total` and a `count` of 1; a counter how much it grew in both; a
    duration the number, the sum in seconds, and how many fell in each bucket.
    """

    __tablename__ = "metric_points"

    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    labels: Mapped[str] = mapped_column(String(200), primary_key=True)  # "queue=pins", or empty
    step: Mapped[str] = mapped_column(String(6), primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    total: Mapped[float] = mapped_column(Float, server_default=text("0"))
    buckets: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))

    __table_args__ = (
        one_of("step", ("minute", "hour")),
        Index("ix_metric_points_step_at", "step", "at"),
    )
