"""Rooms: which are ready, who is in them, and what keeps them from being used (UI.md §4)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import ngettext

from app import clock
from app.domain.room_status import Housekeeping
from app.errors import Conflict, Invalid, ServiceError
from app.services import room_board, room_calendar, room_closing, room_rows, room_status, rooms
from app.services.inputs import parse
from app.services.room_board import Board, Show, Tile
from app.services.room_closing import Closing
from app.services.rooms import RoomChanges
from app.web import navigation
from app.web import room_wording as words
from app.web.dates import gettext as _
from app.web.dates import weekday
from app.web.forms import Form, dialog, done, refused, sent, status_of
from app.web.rendering import here, is_htmx, render, stand_for, unchanged
from app.web.sessions import current_actor, login_required, role_required

bp = Blueprint("rooms", __name__, url_prefix="/rooms")

BOARD_POLL, CALENDAR_POLL = 20, 60
#: days of the past that a calendar begins with
BEFORE = 2
WEEK = timedelta(days=7)
#: what the board's address may ask for
KEPT = ("show", "type", "housekeeping", "group", "property")


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    """The board, or the calendar with `?view=calendar`; a poll that sees the same gets 204."""
    if request.args.get("view") == "calendar":
        return _calendar()
    asked = _asked()
    version = room_rows.version(navigation.property_id(), *asked.values())
    if (same := unchanged(version)) is not None:
        return same
    return render(
        "rooms/index.html",
        fragments={"board": "board"},
        board=room_board.board(navigation.property_id(), **asked),
        version=version,
        poll=BOARD_POLL,
        **_asked_words(asked),
    )


@bp.post("/<uuid:room_id>/housekeeping")
@login_required
def housekeeping(room_id: UUID) -> ResponseReturnValue:
    """Set how clean the room is. Safe to press twice."""
    changes = parse(RoomChanges, {"housekeeping": request.form.get("housekeeping", "")})
    row = rooms.change(room_id, changes, actor=current_actor())
    if request.headers.get("HX-Target") == f"room-{room_id}" and is_htmx():
        return _tile(room_id)
    name = row.number or row.name
    if not is_htmx():
        flash(
            _("%(room)s: %(word)s", room=name, word=words.HOUSEKEEPING[row.housekeeping][2]), "ok"
        )
        return redirect("/" if request.args.get("from") == "today" else _board_url(), 303)
    return done("/")


@bp.get("/<uuid:room_id>/maintenance")
@login_required
def ask_maintenance(room_id: UUID) -> ResponseReturnValue:
    """The nights the room is closed for, and why; who has booked it is said."""
    tile = _find(room_id)
    if tile.is_closed:
        return _ask_reopen(tile)
    today = tile.room.today
    return _ask_close(tile, Form({"start_date": today, "end_date": today + timedelta(days=1)}))


@bp.post("/<uuid:room_id>/maintenance")
@login_required
def close(room_id: UUID) -> ResponseReturnValue:
    """Close the room for these nights."""
    try:
        closing = parse(Closing, sent(Closing))
        made = room_closing.close(room_id, closing, actor=current_actor())
    except (Conflict, Invalid) as error:
        return _ask_close(_find(room_id), _refused(error), status_of(error))
    said = _(
        "%(room)s is closed until %(day)s",
        room=_name(_find(room_id)),
        day=weekday(made.block.end_date),
    )
    return _finished(said)


@bp.get("/<uuid:room_id>/out-of-service")
@login_required
def ask_out_of_service(room_id: UUID) -> ResponseReturnValue:
    """What taking the room out of service means."""
    return _ask_out(_find(room_id), Form({}))


@bp.post("/<uuid:room_id>/out-of-service")
@login_required
def take_out(room_id: UUID) -> ResponseReturnValue:
    """Out of service until somebody opens it again."""
    reason = request.form.get("reason", "").strip() or None
    try:
        room_closing.take_out(room_id, reason, actor=current_actor())
    except (Conflict, Invalid) as error:
        return _ask_out(_find(room_id), _refused(error), status_of(error))
    return _finished(_("%(room)s is out of service", room=_name(_find(room_id))))


@bp.get("/<uuid:room_id>/reopen")
@login_required
def ask_reopen(room_id: UUID) -> ResponseReturnValue:
    """What opening the room again means."""
    return _ask_reopen(_find(room_id))


@bp.post("/<uuid:room_id>/reopen")
@login_required
def reopen(room_id: UUID) -> ResponseReturnValue:
    """End the maintenance; the room's bookings say what it is from now on."""
    dirty = "needs_cleaning" in request.form
    try:
        room_closing.reopen(room_id, needs_cleaning=dirty, actor=current_actor())
    except (Conflict, Invalid) as error:
        return _ask_reopen(_find(room_id), words.refusal(error), status_of(error))
    return _finished(_("%(room)s is open again", room=_name(_find(room_id))))


@bp.post("/sync")
@role_required("admin")
def sync() -> ResponseReturnValue:
    """Compare every room with its bookings and repair what differs."""
    found = room_status.sync(actor=current_actor().label)
    said = (
        ngettext("%(num)d room repaired", "%(num)d rooms repaired", found.fixed)
        if found.fixed
        else _("Every room agrees with its bookings")
    )
    if found.failed:
        said += ". " + ngettext(
            "%(num)d room could not be repaired",
            "%(num)d rooms could not be repaired",
            found.failed,
        )
    if not is_htmx():
        flash(said, "warn" if found.failed else "ok")
    return done(url_for("rooms.index"), said)


def _asked() -> dict[str, Any]:
    """What the board's address asks for; what is none of it is not asked for."""
    args = request.args
    show = args.get("show", "")
    try:
        kind = UUID(args.get("type", ""))
    except ValueError:
        kind = None
    keeping = args.get("housekeeping", "")
    return {
        "show": Show(show) if show in set(Show) else Show.ALL,
        "room_type_id": kind,
        "housekeeping": keeping if keeping in set(Housekeeping) else None,
        "by_floor": args.get("group") == "floor",
    }


def _asked_words(asked: dict[str, Any]) -> dict[str, Any]:
    kept = {name: request.args[name] for name in KEPT if request.args.get(name)}
    return {
        "asked": asked,
        "words": words,
        "kept": f"?{urlencode(kept)}" if kept else "",
    }


def _tile(room_id: UUID) -> Response:
    """The tile in its new state, with the counts above it; it stays where it is until the board is
    read again."""
    stand_for("rooms.index")
    request.view_args = {}
    asked = _asked()
    board = room_board.board(navigation.property_id(), **asked)
    tile = board.tiles.get(room_id) or _find(room_id)
    response = Response(
        render_template("rooms/_answer.html", board=board, tile=tile, **_asked_words(asked))
    )
    response.vary.update(("HX-Request", "HX-Target", "Cookie"))
    return response


def _find(room_id: UUID) -> Tile:
    """One room as the board has it. Raises NotFound."""
    row = rooms.get(room_id)
    found: Board = room_board.board(row.property_id)
    return found.tiles[room_id]


def _calendar() -> ResponseReturnValue:
    property_id = navigation.property_id()
    days = _days()
    today = clock.local_today(navigation.timezone())
    first = _date("start") or today - timedelta(days=BEFORE)
    day = _date("day") or max(first, min(today, first + WEEK - timedelta(days=1)))
    version = room_rows.version("calendar", property_id, first, days, day)
    if (same := unchanged(version)) is not None:
        return same
    week = [first + timedelta(days=n) for n in range(7)]
    return render(
        "rooms/calendar.html",
        fragments={"calendar": "calendar"},
        chart=room_calendar.chart(property_id, first, days),
        day=day if day in week else first,
        week=week,
        days=days,
        choices=room_calendar.DAYS,
        words=words,
        version=version,
        poll=CALENDAR_POLL,
        step=WEEK,
        start=lambda at: here(start=at, day=None),
    )


def _days() -> int:
    asked = request.args.get("days", "")
    return int(asked) if asked in {str(n) for n in room_calendar.DAYS} else 14


def _date(name: str) -> date | None:
    """The day in the address. Raises Invalid for what is none."""
    if not (raw := request.args.get(name)):
        return None
    try:
        found = date.fromisoformat(raw)
    except ValueError:
        found = date.min
    if not 2000 <= found.year <= 2100:
        raise Invalid.field(name, "must be a date like 2026-11-20")
    return found


def _ask_close(tile: Tile, form: Form, status: int = 200) -> Response:
    first, last = form.value("start_date"), form.value("end_date")
    booked = []
    if isinstance(first, date) and isinstance(last, date):
        booked = room_closing.booked_between(tile.room.row.id, first, last)
    return dialog(
        "rooms/maintenance.html",
        status,
        tile=tile,
        form=form,
        booked=booked,
        name=_name(tile),
        words=words,
    )


def _ask_out(tile: Tile, form: Form, status: int = 200) -> Response:
    return dialog(
        "rooms/out_of_service.html", status, tile=tile, form=form, name=_name(tile), words=words
    )


def _ask_reopen(tile: Tile, errors: list[str] | None = None, status: int = 200) -> Response:
    return dialog(
        "rooms/reopen.html", status, tile=tile, errors=errors or [], name=_name(tile), words=words
    )


def _refused(error: ServiceError) -> Form:
    """The form with the front desk's words for what is wrong."""
    form = refused(error)
    said = {each.field or "": words.sentence(each.message) for each in error.errors}
    return Form(form.values, said or {"": words.sentence(error.message)})


def _name(tile: Tile) -> str:
    row = tile.room.row
    return f"{row.number} {row.name}" if row.number and row.number not in row.name else row.name


def _finished(said: str) -> ResponseReturnValue:
    if not is_htmx():
        flash(said, "ok")
    return done(_board_url(), said)


def _board_url() -> str:
    """The board with the filters it had."""
    kept = {name: request.args[name] for name in KEPT if name in request.args}
    return url_for("rooms.index") + (f"?{urlencode(kept)}" if kept else "")
