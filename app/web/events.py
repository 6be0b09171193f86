"""Events: what failed, why and whom it hits; and one event with all that was tried (UI.md §4)."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, redirect, request
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l

from app import clock
from app.domain.event_causes import Cause, cause_of
from app.domain.states import EventStatus
from app.services import event_desk, event_filters, event_lists, event_views
from app.services.event_filters import EventFilter
from app.web import event_wording as wording
from app.web import json_view, navigation
from app.web.rendering import here, render, unchanged
from app.web.reservations import STATUSES as STAY_STATUSES
from app.web.sessions import login_required, require_user

bp = Blueprint("events", __name__, url_prefix="/events")

#: the tabs, by what `status` says
VIEWS = {
    "failed": _l("Failed"),
    "retrying": _l("Trying again"),
    "received,processing": _l("In progress"),
    "ignored": _l("Ignored"),
    "done": _l("Done"),
    "any": _l("All"),
}
#: fifty ids are what an address can carry when they are chosen
LIMITS = (25, 50)
IN_FLIGHT = (EventStatus.RECEIVED, EventStatus.PROCESSING, EventStatus.RETRYING)
FAST, SLOW = 5, 30
#: what a link to an event takes along, so that the next one is the next of the same list
LIST_ARGS = ("status", "type", "direction", "from", "to", "q", "cause", "sort", "order")


def filters_of_page() -> EventFilter:
    """What the address asks for: failed events unless it says otherwise. Raises Invalid."""
    args = {name: ",".join(filter(None, values)) for name, values in request.values.lists()}
    status = args.pop("status", "") or "failed"
    if status != "any":
        args["status"] = status
    house = navigation.property_id()
    args["property_id"] = str(house) if house is not None else ""
    return EventFilter.from_args(
        args,
        zone=navigation.timezone(),
        default_limit=LIMITS[0],
        max_limit=LIMITS[-1],
    )


def list_args() -> dict[str, str]:
    """The part of the address that chose the list."""
    return {name: request.values[name] for name in LIST_ARGS if request.values.get(name)}


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    """What failed, by cause or as one list; a poll that would see the same gets 204."""
    filters = event_filters.look_up(filters_of_page())
    view = ",".join(filters.status) or "any"
    by_cause = view == "failed" and filters.cause is None and request.args.get("group") != "none"
    numbers = event_lists.numbers(filters)
    orders = event_views.pin_orders(filters)
    context: dict[str, Any] = {"page": None, "groups": [], "more": 0, "cause": None}
    if by_cause:
        context["groups"], context["more"] = event_views.by_cause(filters)
        shown = [row for group in context["groups"] for row in group.shown]
    else:
        total = numbers.of(filters.status) if filters.cause is None else None
        page = event_lists.search(filters, total)
        if page.total and page.page > page.total_pages:
            return redirect(here(page=page.total_pages), 303)
        shown = list(page.items)
        context["page"] = page
        if filters.cause is not None:
            context["cause"] = _cause(shown[0].event) if shown else None
            if orders and not shown:
                context["cause"] = orders[0].cause
    version = _version(
        [f"{row.event.id} {row.event.status} {row.event.updated_at}" for row in shown],
        [f"{group.cause.key} {len(group.ids)} {group.waiting}" for group in context["groups"]],
        [f"{each.order.id} {each.order.updated_at}" for group in orders for each in group.members],
        [repr(sorted(numbers.statuses.items())), str(context["more"])],
    )
    if (same := unchanged(version)) is not None:
        return same
    zone = navigation.timezone()
    return render(
        "events/index.html",
        fragments={"results": ("grouping", "views", "results")},
        filters=filters,
        view=view,
        views=VIEWS,
        numbers=numbers,
        types=[(each, each) for each in sorted({*numbers.types, filters.type or ""} - {""})],
        by_cause=by_cause,
        orders=orders,
        waiting=sum(len(group) for group in orders),
        version=version,
        zone=zone,
        tags=wording.tags(filters, zone),
        list_args=list_args(),
        limits=LIMITS,
        window=event_views.WINDOW,
        deeds=_deeds(filters.status) if require_user().is_admin else (),
        **words(),
        **context,
    )


def _deeds(statuses: tuple[str, ...]) -> tuple[str, ...]:
    """What can be done to events of these states; of all when none is named."""
    return tuple(
        deed.verb
        for deed in event_desk.DEEDS.values()
        if not statuses or not set(statuses).isdisjoint(deed.allowed)
    )


@bp.get("/<uuid:event_id>")
@login_required
def show(event_id: UUID) -> ResponseReturnValue:
    """One event; what the channel sent is for admins (UI.md §4)."""
    found = event_views.detail(event_id)
    event = found.row.event
    busy = event.status in IN_FLIGHT
    version = _version(
        [f"{event.id} {event.status} {event.attempts} {event.updated_at} {found.alike}"],
        [f"{each.id} {each.outcome}" for each in found.attempts],
        [str(each.id) for each in found.deeds[:1]],
        [str(found.waiting)],
    )
    if (same := unchanged(version)) is not None:
        return same
    return _show(found, version, FAST if busy else SLOW)


def _show(found: event_views.Detail, version: str, poll: int) -> Response:
    event, stay = found.row.event, found.row.stay
    admin = require_user().is_admin
    before, after = event_lists.neighbours(filters_of_page(), event)
    said = event.normalized_payload
    about = said if event.direction == "inbound" else wording.of_ours(event.payload)
    return render(
        "events/show.html",
        fragments={"event": "event"},
        row=found.row,
        event=event,
        stay=stay,
        cause=_cause(event) if event.last_error_kind else None,
        attempts=found.attempts,
        deeds=found.deeds,
        alike=found.alike,
        before=before,
        after=after,
        list_args=list_args(),
        waiting=found.waiting,
        sent=json_view.shown(event.payload) if admin else None,
        normal=json_view.shown(said) if admin and said is not None else None,
        differences=(
            wording.differences(stay, about, STAY_STATUSES)
            if admin and stay is not None and about
            else []
        ),
        can={
            deed.verb: admin
            and event.status in deed.allowed
            and not (deed.requeues and event.emptied_at is not None)
            for deed in event_desk.DEEDS.values()
        },
        zone=found.row.house.timezone,
        version=version,
        poll=poll,
        **words(),
    )


def _cause(event: Any) -> Cause:
    return cause_of(event.source, event.last_error_kind, event.last_error)


def words() -> dict[str, Any]:
    """What the templates need to speak."""
    return {
        "wording": wording,
        "statuses": wording.STATUSES,
        "stay_statuses": STAY_STATUSES,
        "today": lambda house: clock.local_today(house.timezone),
    }


def _version(*parts: list[str]) -> str:
    """What changes when the page would."""
    seen = [require_user().role, *(line for part in parts for line in part)]
    return hashlib.sha256("\n".join(seen).encode()).hexdigest()[:16]
