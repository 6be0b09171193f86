"""Availability: what is free each night and why, what is closed, and what a night costs."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from app.errors import NotFound
from app.services import inventory_calendar, list_args
from app.services.inventory_calendar import LENGTHS
from app.web import navigation
from app.web.forms import dialog
from app.web.rendering import here, render, unchanged
from app.web.sessions import login_required

bp = Blueprint("availability", __name__, url_prefix="/availability")

STEP = timedelta(days=7)
#: the years a night may be asked about
FIRST, LAST = date(2000, 1, 1), date(2100, 1, 1)


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    """The nights of every room type; a poll that would see the same gets 204."""
    property_id = navigation.property_id()
    first = list_args.day(request.args, "from")
    shown = inventory_calendar.calendar(property_id, first, _length())
    blocks = inventory_calendar.blocks(property_id, request.args.get("page", ""))
    version = _version(shown.version, blocks.items)
    if (same := unchanged(version)) is not None:
        return same
    return render(
        "availability/index.html",
        fragments={"availability": "availability"},
        shown=shown,
        blocks=blocks,
        rooms={room.id: room for room, _ in inventory_calendar.rooms_of(property_id)},
        kinds={line.room_type.id: line for line in shown.lines},
        version=version,
        lengths=LENGTHS,
        start=start,
        step=STEP,
    )


@bp.get("/<uuid:room_type_id>/<day>")
@login_required
def night(room_type_id: UUID, day: str) -> Response:
    """One night with everything that takes its rooms."""
    parts = inventory_calendar.parts(room_type_id, _day(day))
    return dialog("availability/night.html", parts=parts, following=parts.night.date + timedelta(1))


def start(first: date | None) -> str:
    """This page from another day on; None is today."""
    return here(**{"from": first, "page": None})


def back_to(first: date | None = None) -> str:
    """The page with that night in it."""
    args: dict[str, Any] = {"from": first}
    return url_for("availability.index", **args)


def _length() -> int:
    asked = request.args.get("days", "")
    return int(asked) if asked in {str(each) for each in LENGTHS} else LENGTHS[0]


def _version(grid: str, blocks: Any) -> str:
    changed = max((block.updated_at for block in blocks), default=None)
    mark = int(changed.timestamp() * 1000) if changed else 0
    return f"{grid}-{len(blocks)}-{mark}"


def _day(text: str) -> date:
    """A night of an address. Raises NotFound for what is none."""
    try:
        found = date.fromisoformat(text) if list_args.DAY.fullmatch(text) else None
    except ValueError:
        found = None
    if found is None or not FIRST <= found < LAST:
        raise NotFound("no such night")
    return found
