"""How much waits for a person, for the navigation of every page."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from sqlalchemy import ScalarSelect, func, select

from app.models import Alert
from app.services import discrepancy_cards
from app.transaction import transaction


@dataclass(frozen=True, slots=True)
class Waiting:
    """Alerts nobody is on, and discrepancies nobody has decided, as decisions."""

    alerts: int
    discrepancies: int


@cache
def columns() -> tuple[ScalarSelect[int], ScalarSelect[int]]:
    """Both numbers as columns of a statement that is sent anyway; `Waiting(*values)` reads them.

    Put together once: every page of an administrator sends them, and the second is a long text.
    """
    alerts = select(func.count()).where(Alert.status == "open").scalar_subquery()
    return alerts, discrepancy_cards.open_ones()


def counts() -> Waiting:
    """What waits right now."""
    with transaction() as session:
        return Waiting(*session.execute(select(*columns())).one())
