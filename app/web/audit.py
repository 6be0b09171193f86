"""Who did what, to which thing, from where; one entry with what differs; all of it as a file."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from flask import Blueprint, Response, redirect, request, stream_with_context
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l

from app import clock
from app.services import audit_lists, audit_names, users
from app.services.audit_lists import AuditFilter
from app.web import audit_wording as wording
from app.web import navigation
from app.web.rendering import here, render
from app.web.sessions import current_actor, role_required

bp = Blueprint("audit", __name__, url_prefix="/audit")

#: the tabs, by the actions they show
VIEWS = {"": _l("Everything"), "reveal": _l("PINs shown")}
LIMITS: Final = (25, 50, 100)
#: what an address may say about which entries are meant
FILTERS: Final = ("q", "actor", "action", "entity", "entity_id", "from", "to")
#: entries that the page counts and leafs through; a million are told apart by filters
MOST: Final = 10_000


@bp.get("")
@role_required("admin")
def index() -> ResponseReturnValue:
    """The entries that fit, newest first."""
    zone = navigation.timezone()
    filters = _filters(zone)
    page = audit_lists.search(filters, most=MOST)
    if page.total and page.page > page.total_pages:
        return redirect(here(page=page.total_pages), 303)
    names = audit_names.of(page.items)
    people = _people()
    known = audit_lists.choices()
    return render(
        "audit/index.html",
        fragments={"results": ("views", "export", "results")},
        page=page,
        filters=filters,
        views=VIEWS,
        view=",".join(filters.action),
        limits=LIMITS,
        more=page.total >= MOST,
        asked={name: request.args[name] for name in FILTERS if request.args.get(name)},
        names=names,
        people=people,
        zone=zone,
        wording=wording,
        tags=wording.tags(filters, zone, people),
        actors=sorted(
            ((each, wording.who(each, people)) for each in known.actors), key=lambda each: each[1]
        ),
        actions=sorted(
            ((each, wording.action_label(each)) for each in known.actions),
            key=lambda each: each[1],
        ),
        entities=sorted(
            ((each, str(wording.THINGS.get(each, each))) for each in known.entities),
            key=lambda each: each[1],
        ),
    )


@bp.get("/<uuid:entry_id>")
@role_required("admin")
def show(entry_id: UUID) -> ResponseReturnValue:
    """One entry: before and after, field by field."""
    entry = audit_lists.get(entry_id)
    zone = navigation.timezone()
    names = audit_names.of([entry])
    return render(
        "audit/show.html",
        entry=entry,
        names=names,
        people=_people(),
        zone=zone,
        wording=wording,
        differences=wording.differences(entry, names, zone),
    )


@bp.get("/export")
@role_required("admin")
def export() -> ResponseReturnValue:
    """All that fit, as a file that is written while it is read."""
    pieces = audit_lists.export(_filters(navigation.timezone()), actor=current_actor())
    response = Response(
        stream_with_context(piece for pieces_ in (("\ufeff",), pieces) for piece in pieces_),
        mimetype="text/csv",
    )
    day = clock.local_today(navigation.timezone()).isoformat()
    response.headers["Content-Disposition"] = f'attachment; filename="audit-{day}.csv"'
    response.headers["Cache-Control"] = "no-store"
    return response


def _filters(zone: str) -> AuditFilter:
    return AuditFilter.from_args(
        request.args, zone=zone, default_limit=LIMITS[0], max_limit=LIMITS[-1]
    )


def _people() -> dict[str, str]:
    """Display names by address."""
    return {user.email: user.display_name for user in users.list_users()}
