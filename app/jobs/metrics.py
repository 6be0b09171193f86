"""Measurements over time, in the background."""

from __future__ import annotations

from app.services import metric_points


def collect() -> None:
    """Write down the last minutes."""
    metric_points.collect()
