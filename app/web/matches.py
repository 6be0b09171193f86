"""Matches: which lock probably opens which room; nothing is connected until somebody applies it."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from app.errors import Conflict, Invalid, NotFound
from app.services import accommodation_pages, match_history, match_pages, matching
from app.services.matching import MOST_FOR_ONE, Applied, MatchArgs, Suggestion
from app.web import navigation, onboarding
from app.web.dates import gettext as _
from app.web.forms import dialog, done
from app.web.match_wording import reasons
from app.web.rendering import is_htmx, render
from app.web.sessions import current_actor, role_required

bp = Blueprint("matches", __name__, url_prefix="/matches")

THRESHOLDS = (90, 80, 70, 60, 50)
CONFIDENCES = {"high": _l("High"), "medium": _l("Medium"), "ambiguous": _l("Ambiguous")}
#: suggestions shown at once; applying them makes room for the next
SHOWN = 100
#: locks without a room shown here; the list of locks has them all
FREE_SHOWN = 20
ANSWERS_SHOWN = "8"


@bp.get("")
@role_required("admin")
def index() -> ResponseReturnValue:
    """The suggestions, the surest first, and the locks that fit no room."""
    args = MatchArgs.from_args(request.args)
    found = matching.suggest(args)
    items = [each for each in found.items if _is_here(each)]
    coverage = match_pages.coverage(navigation.property_id())
    suggested = {each.lock.id for each in found.items}
    free = [lock for lock in coverage.free_locks if lock.id not in suggested]
    return render(
        "matches/index.html",
        fragments={"results": "results"},
        items=items[:SHOWN],
        total=len(items),
        confident=[each for each in items if each.confidence == "high"],
        coverage=coverage,
        free=free,
        free_shown=FREE_SHOWN,
        answers=match_history.history({"limit": ANSWERS_SHOWN}).items,
        percent=round(args.threshold * 100),
        thresholds=sorted({*THRESHOLDS, round(args.threshold * 100)}, reverse=True),
        confidences=CONFIDENCES,
        reasons=reasons,
        zone=navigation.timezone(),
        **onboarding.context(),
    )


@bp.get("/apply")
@role_required("admin")
def ask_apply() -> ResponseReturnValue:
    """Exactly what "apply the confident ones" would connect."""
    found = matching.suggest(MatchArgs.from_args(request.args))
    confident = [each for each in found.confident if _is_here(each)]
    return dialog("matches/apply.html", items=confident, left=len(found.items) - len(confident))


@bp.post("/apply")
@role_required("admin")
def apply() -> ResponseReturnValue:
    """Connect the pairs that were shown, each by itself; what is refused is named."""
    pairs = _pairs()
    if not pairs:
        raise Invalid(_("Choose a lock"))
    results = matching.apply(pairs, actor=current_actor())
    refused = [each for each in results if not each.applied]
    if refused:
        return _refused(results, refused)
    said = str(ngettext("%(num)d lock connected", "%(num)d locks connected", len(results)))
    if not is_htmx():
        flash(said, "ok")
    return done(url_for(".index"), said)


@bp.get("/<uuid:accommodation_id>")
@role_required("admin")
def review(accommodation_id: UUID) -> ResponseReturnValue:
    """The locks that may be this room's, with what speaks for each."""
    unit = accommodation_pages.get(accommodation_id)
    args = MatchArgs.from_args(request.args, most=MOST_FOR_ONE)
    try:
        items = matching.suggest_for(accommodation_id, args).items
        refusal = ""
    except Conflict:
        items = []
        refusal = _("This room is connected or inactive by now.")
    return dialog(
        "matches/review.html",
        409 if refusal else 200,
        unit=unit,
        items=items,
        chosen=request.args.get("lock_id") or (str(items[0].lock.id) if items else ""),
        refusal=refusal,
        reasons=reasons,
        confidences=CONFIDENCES,
    )


@bp.post("/dismiss")
@role_required("admin")
def dismiss() -> ResponseReturnValue:
    """Never propose this pair again; it can be taken back."""
    accommodation_id, lock_id = _pair()
    match_history.dismiss(accommodation_id, lock_id, actor=current_actor())
    return _said(_("This pair is not suggested any more"), "restore", accommodation_id, lock_id)


@bp.post("/restore")
@role_required("admin")
def restore() -> ResponseReturnValue:
    """Let it be proposed again."""
    accommodation_id, lock_id = _pair()
    match_history.restore(accommodation_id, lock_id, actor=current_actor())
    return done(url_for(".index"), _("This pair may be suggested again"))


@bp.post("/undo")
@role_required("admin")
def undo() -> ResponseReturnValue:
    """Take an applied match back. With live PINs it is a disconnection like any other, and asks."""
    accommodation_id, lock_id = _pair()
    try:
        match_history.undo(accommodation_id, lock_id, actor=current_actor())
    except (Conflict, NotFound) as refused:
        if isinstance(refused, NotFound):
            return done(url_for(".index"), _("The lock is disconnected"))
        target = url_for("accommodations.ask_unmap", accommodation_id=accommodation_id)
        return redirect(target, 303)
    return done(url_for(".index"), _("The lock is disconnected"))


def _is_here(each: Suggestion) -> bool:
    of = navigation.property_id()
    return of is None or each.accommodation.property_id == of


def _pairs() -> list[tuple[UUID, UUID]]:
    """The pairs of the form: `pair` as accommodation:lock, or the two in fields of their own."""
    found = [each.partition(":") for each in request.form.getlist("pair")]
    if not found and request.form.get("lock_id"):
        return [_pair()]
    try:
        return [(UUID(unit), UUID(lock)) for unit, _colon, lock in found]
    except ValueError:
        raise Invalid.field("pair", "must be two ids") from None


def _pair() -> tuple[UUID, UUID]:
    try:
        return UUID(request.form["accommodation_id"]), UUID(request.form["lock_id"])
    except (KeyError, ValueError):
        raise Invalid.field("lock_id", "must be an id (UUID)") from None


def _refused(results: list[Applied], refused: list[Applied]) -> ResponseReturnValue:
    units = {
        unit.accommodation.id: unit
        for unit in accommodation_pages.named([each.accommodation_id for each in refused])
    }
    response = dialog(
        "matches/refused.html",
        409,
        refused=[(units.get(each.accommodation_id), each) for each in refused],
        applied=len(results) - len(refused),
    )
    response.headers["HX-Trigger"] = "changed"  # some may be connected: the list behind shows it
    return response


def _said(said: str, verb: str, accommodation_id: UUID, lock_id: UUID) -> ResponseReturnValue:
    """Done, with the way back in the toast; without scripts it stands in the list below."""
    if not is_htmx():
        flash(said, "ok")
    toast = render_template(
        "matches/_toast.html",
        text=said,
        action=f"/matches/{verb}",
        accommodation_id=accommodation_id,
        lock_id=lock_id,
    )
    return done(url_for(".index"), piece=toast)
