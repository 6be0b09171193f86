"""A process's meters for one test: its own, and sent only when told to."""

from __future__ import annotations

import pytest

from app import meters
from app.meters import _Meters


def own_meters(monkeypatch: pytest.MonkeyPatch, redis_url: str | None = None) -> _Meters:
    """Fresh meters in place of this process's; without a URL they stay here."""
    fresh = _Meters()
    monkeypatch.setattr(meters, "_here", fresh)
    monkeypatch.setattr(meters, "FLUSH_SECONDS", 3600.0)
    if redis_url is not None:
        meters.start(redis_url)
    return fresh


def counted(here: _Meters, name: str) -> dict[tuple[str, ...], int]:
    """How many of a measure this process has noted, by the values of its labels."""
    return {series[1:]: cells[0] for series, cells in here.cells.items() if series[0] == name}


def seconds(here: _Meters, name: str, *labels: str) -> float:
    """The sum of a duration's measurements."""
    return here.cells[name, *labels][1] / 1_000_000
