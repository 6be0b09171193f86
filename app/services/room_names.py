"""How a room is called in a sentence that is stored: "104 Quarto Ipê"."""

from __future__ import annotations

from sqlalchemy import ColumnElement, case, func, or_

from app.models import Accommodation


def called() -> ColumnElement[str]:
    """The room's number and name; the name alone where it has the number in it, or there is
    none."""
    named = or_(
        Accommodation.number.is_(None), func.strpos(Accommodation.name, Accommodation.number) > 0
    )
    return case((named, Accommodation.name), else_=Accommodation.number + " " + Accommodation.name)
