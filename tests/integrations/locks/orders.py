"""PIN orders for tests: a stay that begins in ten minutes and lasts two nights."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.clock import utcnow
from app.domain.pins import Pin
from app.integrations.locks import LockTarget, PinOrder


def make_order(
    target: LockTarget,
    name: str = "PP-ABCDEFGHJK",
    digits: str = "4821736",
    *,
    valid_from: datetime | None = None,
    nights: int = 2,
) -> PinOrder:
    start = (valid_from or utcnow() + timedelta(minutes=10)).replace(microsecond=0)
    return PinOrder(target, name, Pin(digits), start, start + timedelta(days=nights))


#: §11.2 froze its clock here
VECTOR_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
