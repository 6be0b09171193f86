"""The way around: pages by role, and the property that is looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from flask import Flask, Response, current_app, g, request, url_for
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from app import clock
from app.models.properties import Property
from app.services import waiting
from app.services.waiting import Waiting
from app.transaction import transaction
from app.web.dates import clock_time
from app.web.languages import remember
from app.web.rendering import here


@dataclass(frozen=True, slots=True)
class Entry:
    """One page; it shows up once its endpoint exists."""

    endpoint: str
    label: object
    icon: str
    admin: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """A titled run of entries."""

    label: object
    titled: bool
    entries: tuple[Entry, ...]


GROUPS = (
    Group(
        _l("Front desk"),
        False,
        (
            Entry("today.index", _l("Today"), "today"),
            Entry("reservations.index", _l("Reservations"), "stays"),
            Entry("rooms.index", _l("Rooms"), "rooms"),
        ),
    ),
    Group(
        _l("Operations"),
        True,
        (
            Entry("alerts.index", _l("Alerts"), "bell", admin=True),
            Entry("events.index", _l("Events"), "failed"),
            Entry("discrepancies.index", _l("Discrepancies"), "scale", admin=True),
            Entry("reconciliation.index", _l("Reconciliation"), "sync"),
            Entry("channels.index", _l("Channels"), "signal", admin=True),
            Entry("holds.index", _l("Holds"), "hold", admin=True),
            Entry("figures.index", _l("Figures"), "chart", admin=True),
        ),
    ),
    Group(
        _l("Setup"),
        True,
        (
            Entry("accommodations.index", _l("Accommodations"), "home", admin=True),
            Entry("locks.index", _l("Locks"), "lock", admin=True),
            Entry("matches.index", _l("Matches"), "link", admin=True),
            Entry("settings.index", _l("Settings"), "gear", admin=True),
            Entry("audit.index", _l("Audit log"), "audit", admin=True),
        ),
    ),
)
FRONT_DESK = GROUPS[0]
#: pages that are a view of another entry's
PART_OF = {
    "availability": "rooms",
    "maintenance_blocks": "rooms",
    "rates": "rooms",
    "privacy": "settings",
}


def groups() -> list[Group]:
    """What this person can open, of what exists."""
    shown = (Group(g_.label, g_.titled, tuple(_open_to(g_.entries))) for g_ in GROUPS)
    return [group for group in shown if group.entries]


def _open_to(entries: Sequence[Entry]) -> Iterator[Entry]:
    user = g.get("user")
    for entry in entries:
        if entry.endpoint in current_app.view_functions and (
            not entry.admin or (user is not None and user.is_admin)
        ):
            yield entry


_WAITING = "turnkey.waiting"


def open_alerts() -> int:
    """How many alerts nobody is on, for those who may see them."""
    found = _waiting()
    return 0 if found is None else found.alerts


def open_discrepancies() -> int:
    """How many decisions wait, for those who may take them."""
    found = _waiting()
    return 0 if found is None else found.discrepancies


def _waiting() -> Waiting | None:
    """What waits for an administrator; read once per request."""
    if not _is_admin():
        return None
    properties()  # comes with them, when there are any
    if _WAITING not in request.environ:
        request.environ[_WAITING] = waiting.counts()
    found: Waiting = request.environ[_WAITING]
    return found


def _is_admin() -> bool:
    user = g.get("user")
    return user is not None and bool(user.is_admin)


def is_here(entry: Entry) -> bool:
    """Whether the page shown belongs to this entry."""
    blueprint = request.blueprint or ""
    return PART_OF.get(blueprint, blueprint) == entry.endpoint.split(".")[0]


def tabs() -> list[Entry]:
    """The tab bar of a phone: what the front desk uses all day."""
    return list(_open_to(FRONT_DESK.entries))


def in_tabs() -> bool:
    """Whether the page shown has a tab of its own."""
    return any(is_here(entry) for entry in tabs())


def properties() -> list[Property]:
    """Every property, by name; read once per request, with what waits for an administrator."""
    if "properties" not in g:
        further = waiting.columns() if _is_admin() else ()
        with transaction() as session:
            rows = session.execute(select(Property, *further).order_by(Property.name)).all()
        g.properties = [row[0] for row in rows]
        if rows and further:
            request.environ[_WAITING] = Waiting(*rows[0][1:])
    found: list[Property] = g.properties
    return found


def current_property() -> Property | None:
    """The property in `?property=`, else the one remembered on this device; None means all.

    With a single property there is nothing to choose.
    """
    known = properties()
    if len(known) == 1:
        return known[0]
    wanted = request.args.get("property") or request.cookies.get("property") or ""
    return next((p for p in known if str(p.id) == wanted), None)


def property_id() -> UUID | None:
    """The id of the property looked at; None means all."""
    chosen = current_property()
    return chosen.id if chosen is not None else None


def timezone() -> str:
    """The zone of the clock in the bar: the property's, or the first one's when all are shown."""
    known = properties()
    chosen = current_property() or (known[0] if known else None)
    return chosen.timezone if chosen is not None else "UTC"


def switch_property(choice: object) -> str:
    """This page for another property; a page about one thing leads to Today instead."""
    if request.view_args or request.method != "GET" or not request.endpoint:
        return url_for("today.index", property=choice)
    return here(property=choice, page=None)


def init(app: Flask) -> None:
    """Give templates the way around, and remember the property chosen."""
    app.jinja_env.globals.update(
        nav_groups=groups,
        nav_is_here=is_here,
        nav_tabs=tabs,
        nav_in_tabs=in_tabs,
        nav_open_alerts=open_alerts,
        nav_open_discrepancies=open_discrepancies,
        switch_property=switch_property,
        here_in=lambda lang: (
            here(lang=lang) if request.endpoint and request.method == "GET" else f"/?lang={lang}"
        ),
        all_properties=properties,
        current_property=current_property,
        page_timezone=timezone,
        endpoint_exists=lambda name: name in current_app.view_functions,
    )

    @app.after_request
    def tell_the_time(response: Response) -> Response:
        # Not on our own failures: the database that is asked for the zone may be the reason.
        if g.get("user") is not None and response.status_code < 500:
            response.headers["X-Clock"] = clock_time(clock.utcnow(), timezone())
        return response

    @app.after_request
    def remember_property(response: Response) -> Response:
        wanted = request.args.get("property")
        if g.get("user") is not None and wanted and wanted != request.cookies.get("property"):
            chosen = current_property()
            if wanted == "all" or (chosen is not None and str(chosen.id) == wanted):
                remember(response, "property", wanted)
        return response
