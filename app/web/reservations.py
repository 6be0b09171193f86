"""Reservations: the list, and showing a PIN on purpose (design/UI.md §4, §9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, redirect, request
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l

from app import clock
from app.errors import Conflict, Forbidden
from app.extensions import reveal_limit
from app.integrations import channels
from app.services import credentials, diagnosis, reservation_lists
from app.services.reservation_lists import ReservationFilter
from app.web import navigation
from app.web.rendering import here, is_htmx, render
from app.web.sessions import current_actor, login_required, require_user

bp = Blueprint("reservations", __name__, url_prefix="/reservations")

VIEWS = {
    "active": _l("Active"),
    "arriving": _l("Arriving today"),
    "in_house": _l("In house"),
    "leaving": _l("Leaving today"),
    "upcoming": _l("Upcoming"),
    "past": _l("Past"),
    "cancelled": _l("Cancelled"),
    "all": _l("All"),
}
STATUSES = {
    "pending": _l("Pending"),
    "pending_sync": _l("Waiting for channel"),
    "confirmed": _l("Confirmed"),
    "checked_in": _l("In house"),
    "checked_out": _l("Checked out"),
    "cancelled": _l("Cancelled"),
    "no_show": _l("No-show"),
    "failed": _l("Failed"),
}
SOURCES = {name: one.title for name, one in channels.KNOWN.items()} | {"direct": _l("Direct")}
LIMITS = (25, 50, 100)
SHOWN_FOR = timedelta(seconds=60)
#: the face of the PIN on the page of its stay
CARD = "pinface"


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    """The list, in one of its views; what is typed into the search looks everywhere."""
    filters, view = _filters()
    page = reservation_lists.search(filters)
    if page.total and page.page > page.total_pages:
        return redirect(here(page=page.total_pages), 303)
    narrowed = bool(filters.q or filters.status or filters.source or filters.from_ or filters.to)
    nothing_yet = (
        not page.total
        and not narrowed
        and not reservation_lists.search(ReservationFilter(limit=1)).total
    )
    return render(
        "reservations/index.html",
        fragments={"results": ("views", "results")},
        page=page,
        filters=filters,
        view=view,
        views=VIEWS,
        statuses=STATUSES,
        sources=SOURCES,
        limits=LIMITS,
        narrowed=narrowed,
        nothing_yet=nothing_yet,
        today_at={house.id: clock.local_today(house.timezone) for house in navigation.properties()},
    )


def _filters() -> tuple[ReservationFilter, str]:
    """What the address asks for, and the tab it stands under. Raises Invalid."""
    args = {name: ",".join(filter(None, values)) for name, values in request.args.lists()}
    view = args.pop("view", "") or ("all" if args.get("q") else "active")
    if view != "all":
        args["view"] = view
    filters = ReservationFilter.from_args(
        args, default_sort="check_in", default_limit=LIMITS[0], max_limit=LIMITS[-1]
    )
    if view in ("past", "cancelled", "all") and "order" not in args and "sort" not in args:
        filters = replace(filters, order="desc")  # what was last comes first
    return replace(filters, property_id=navigation.property_id()), view


@bp.post("/<uuid:reservation_id>/pin/reveal")
@login_required
@reveal_limit
def reveal(reservation_id: UUID) -> ResponseReturnValue:
    """Show the PIN for a minute; who asked is on record before it leaves the server.

    Without scripts the PIN stands on a page of its own: an address to redirect to would have to
    show it again to whoever opens it.
    """
    actor = current_actor()
    try:
        shown = credentials.reveal(reservation_id, actor=actor)
    except (Conflict, Forbidden) as refusal:
        if not is_htmx():
            raise
        return _refused(reservation_id, refusal)
    return render(
        "reservations/pin.html",
        fragments=_fragments(reservation_id, "open"),
        # The page of its own leaves by itself as well, scripts or not.
        headers={} if is_htmx() else {"Refresh": f"60; url=/reservations/{reservation_id}"},
        reservation_id=reservation_id,
        pin=shown.pin,
        until=clock.utcnow() + SHOWN_FOR,
        row=reservation_lists.get(reservation_id),
        **_seen(reservation_id),
    )


def _seen(reservation_id: UUID) -> dict[str, Any]:
    """For the stay's own page who has seen the PIN by now, whoever asked for it included."""
    if not is_htmx() or request.headers.get("HX-Target") != CARD:
        return {}
    explained = diagnosis.explain(reservation_id)
    return {"e": explained, "zone": explained.house.timezone}


@bp.get("/<uuid:reservation_id>/pin")
@login_required
def hide(reservation_id: UUID) -> ResponseReturnValue:
    """The masked PIN again."""
    if not is_htmx():
        return redirect(f"/reservations/{reservation_id}", 303)
    return _masked(reservation_id)


def _masked(reservation_id: UUID, status: int = 200, refusal: str = "") -> Response:
    row = reservation_lists.get(reservation_id)
    return render(
        "reservations/pin.html",
        status,
        fragments=_fragments(reservation_id, "masked"),
        reservation_id=reservation_id,
        row=row,
        can_reveal=not refusal
        and row.pin.can_reveal(require_user().role, clock.utcnow(), row.reservation.check_out_at),
        refusal=refusal,
    )


def _refused(reservation_id: UUID, refusal: Conflict | Forbidden) -> Response:
    """The masked PIN without its eye, and why."""
    return _masked(reservation_id, 409, refusal.message)


def _fragments(reservation_id: UUID, kind: str) -> dict[str, str | Sequence[str]]:
    """The PIN is the only element swapped, in a row or on its card; beside the card it is listed
    who has seen it."""
    card = ("card_open", "seen_too") if kind == "open" else f"card_{kind}"
    return {f"pin-{reservation_id}": f"row_{kind}", CARD: card}
