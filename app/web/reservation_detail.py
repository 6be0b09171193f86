"""One stay: is its PIN on the door, and if not why; for administrators, a new PIN or none."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from flask import Response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from jinja2_fragments.flask import render_block

from app import clock
from app.domain.pin_causes import Cause, Verdict
from app.domain.states import NEEDS_PIN, CredentialState, PinState
from app.errors import Conflict
from app.models import ChannelEvent
from app.services import booking_progress, credentials, diagnosis, event_lists
from app.services.audit import Actor
from app.services.booking_progress import Progress
from app.services.diagnosis import Explanation
from app.web import booking_edits, booking_words, event_wording, front_desk, reservations
from app.web.dates import gettext as _
from app.web.pin_history import history
from app.web.pin_sentences import room_of, say
from app.web.pin_steps import steps
from app.web.rendering import empty, is_htmx, render, unchanged
from app.web.sessions import current_actor, login_required, require_user, role_required

#: the stay's pages stand with the list they belong to
_pages = reservations.bp
MOVING = (PinState.GENERATING, PinState.DELIVERING, PinState.REVOKING)
FAST, SLOW = 10, 30


@_pages.get("/<uuid:reservation_id>")
@login_required
def show(reservation_id: UUID) -> ResponseReturnValue:
    """The stay and its PIN; a poll that would see the same gets 204."""
    explained = diagnosis.explain(reservation_id)
    told = event_lists.about(explained.reservation)
    progress = booking_progress.of(explained.reservation)
    if (same := unchanged(_version(explained, told, progress))) is not None:
        return same
    context = _context(explained, told, progress)
    return render("reservations/show.html", fragments={"stay": "stay"}, **context)


def _context(e: Explanation, told: Sequence[ChannelEvent], progress: Progress) -> dict[str, Any]:
    user = require_user()
    now = clock.utcnow()
    over = e.diagnosis.cause in (Cause.REMOVING, Cause.REVOKE_OVERDUE)
    return {
        "e": e,
        "r": e.reservation,
        "zone": e.house.timezone,
        "today": clock.local_today(e.house.timezone),
        "said": say(e, is_admin=user.is_admin),
        "steps": steps(e),
        "history": history(e),
        "leaving": over,
        "folded": e.diagnosis.verdict in (Verdict.YES, Verdict.NOT_NEEDED),
        "can_reveal": e.pin.can_reveal(user.role, now, e.reservation.check_out_at),
        "can_reprocess": user.is_admin and not no_reprocess(e),
        "can_revoke": user.is_admin and not no_revoke(e),
        "desk": front_desk.actions(e.reservation, e.house),
        "room": room_of(e),
        "told": told,
        "wording": event_wording,
        "progress": progress,
        "sync_error": _sync_error(e, progress),
        "can_edit": len(booking_edits.locked(e.reservation)) < len(booking_edits.FIELDS),
        "version": _version(e, told, progress),
        "poll": FAST if e.pin.state in MOVING or progress.is_moving else SLOW,
    }


def _sync_error(e: Explanation, progress: Progress) -> str:
    """Why the channel does not have the booking, or the change; empty when it has both."""
    order, fact = progress.failed, ""
    if order is not None and order.last_error_kind in event_wording.NAMED:
        fact = event_wording.kind_of(order.last_error_kind, order.source)
    return booking_words.sync_error(e.reservation.sync_error or "", fact)


def _version(e: Explanation, told: Sequence[ChannelEvent], progress: Progress) -> str:
    """What changes when the page would: rows, and what time alone makes of them."""
    rows: list[Any] = [e.reservation, e.house, *e.credentials, *e.orders, *told, *progress.orders]
    found = (e.lock, e.accommodation, e.rival, progress.hold)
    rows += [row for row in found if row is not None]
    seen = [
        *(row.updated_at.isoformat() for row in rows),
        *(str(entry.id) for entry in e.history[:1]),
        repr(e.diagnosis),
        e.pin.state,
        str(e.pin.can_reveal(require_user().role, clock.utcnow(), e.reservation.check_out_at)),
        str(clock.local_today(e.house.timezone)),
    ]
    return hashlib.sha256("\n".join(seen).encode()).hexdigest()[:16]


# --- a new PIN, or none --------------------------------------------------------------------------


def no_reprocess(e: Explanation) -> str:
    """Why a new PIN is refused right now; empty when it is not (C-48)."""
    stay = e.reservation
    if stay.status == "cancelled":
        return _("The booking is cancelled: it gets no PIN.")
    if stay.status in ("checked_out", "no_show") or stay.check_out_at <= clock.utcnow():
        return _("The stay is over: it gets no PIN.")
    if stay.status not in NEEDS_PIN:
        return _("The booking is not confirmed: it gets no PIN.")
    if e.accommodation is None:
        # One of its type is chosen first.
        return "" if e.room_type is not None else _("The booking has no room yet.")
    if e.lock is None:
        return _("No lock is connected to this room.")
    if e.diagnosis.cause == Cause.DOUBLE_BOOKED:
        return _("The room is booked twice: move one of the two stays first.")
    return ""


def no_revoke(e: Explanation) -> str:
    """Why there is nothing to revoke; empty while a PIN may open the door (DECISIONS 1)."""
    live = any(credential.state != CredentialState.REVOKED for credential in e.credentials)
    return "" if live else _("There is no PIN to revoke.")


@dataclass(frozen=True, slots=True)
class _Verb:
    """One of the two actions, with what differs between them."""

    template: str
    refusal: Callable[[Explanation], str]
    act: Callable[..., str]


_REPROCESS = _Verb("reservations/reprocess.html", no_reprocess, credentials.reprocess)
_REVOKE = _Verb("reservations/revoke.html", no_revoke, credentials.request_revoke)


@_pages.get("/<uuid:reservation_id>/reprocess")
@role_required("admin")
def ask_reprocess(reservation_id: UUID) -> ResponseReturnValue:
    """What a new PIN would mean, before it is ordered."""
    return _ask(_REPROCESS, reservation_id)


@_pages.post("/<uuid:reservation_id>/reprocess")
@role_required("admin")
def reprocess(reservation_id: UUID) -> ResponseReturnValue:
    """Take the old PIN off and put a new one on."""
    return _do(_REPROCESS, reservation_id)


@_pages.get("/<uuid:reservation_id>/revoke-pin")
@role_required("admin")
def ask_revoke(reservation_id: UUID) -> ResponseReturnValue:
    """What taking the PIN off would mean, before it is done."""
    return _ask(_REVOKE, reservation_id)


@_pages.post("/<uuid:reservation_id>/revoke-pin")
@role_required("admin")
def revoke(reservation_id: UUID) -> ResponseReturnValue:
    """Take the PIN off and put no new one on."""
    return _do(_REVOKE, reservation_id)


def _ask(verb: _Verb, reservation_id: UUID) -> Response:
    explained = diagnosis.explain(reservation_id)
    refusal = verb.refusal(explained)
    return _dialog(verb, explained, refusal, 409 if refusal else 200)


def _do(verb: _Verb, reservation_id: UUID) -> ResponseReturnValue:
    explained = diagnosis.explain(reservation_id)
    seen = request.form.get("plan")
    if seen is not None and seen != _plan(explained):
        return _dialog(verb, explained, verb.refusal(explained), 409, changed=True)
    actor: Actor = current_actor()
    try:
        verb.act(reservation_id, actor=actor)
    except Conflict as refused:
        explained = diagnosis.explain(reservation_id)
        refusal = verb.refusal(explained)
        if not refusal and explained.accommodation is None:
            refusal = _("No room of its type is free for these nights.")
        return _dialog(verb, explained, refusal or refused.message, 409)
    if not is_htmx():
        return redirect(f"/reservations/{reservation_id}", 303)
    return _done(verb, reservation_id)


def _dialog(
    verb: _Verb, e: Explanation, refusal: str, status: int, *, changed: bool = False
) -> Response:
    return render(
        verb.template,
        status,
        fragments={"dialog-host": "dialog"},
        e=e,
        r=e.reservation,
        zone=e.house.timezone,
        room=room_of(e),
        refusal=refusal,
        changed=changed,
        plan=_plan(e),
        in_page=not is_htmx(),
    )


def _plan(e: Explanation) -> str:
    """What the dialog promises; another plan by the time of the answer is asked about again."""
    promise = (e.pin.credential_id, e.pin.expires_at, e.pin.lock_id, e.reservation.status)
    return hashlib.sha256(repr(promise).encode()).hexdigest()[:16]


def _done(verb: _Verb, reservation_id: UUID) -> Response:
    """Close the dialog; the page behind it shows what is so now."""
    response = empty()
    behind = urlsplit(request.headers.get("HX-Current-URL", "")).path
    if behind == f"/reservations/{reservation_id}":
        explained = diagnosis.explain(reservation_id)
        stay = explained.reservation
        context = _context(explained, event_lists.about(stay), booking_progress.of(stay))
        response.set_data(render_block("reservations/show.html", "stay", oob=True, **context))
    else:
        new = verb is _REPROCESS
        text = _("A new PIN is on its way") if new else _("The PIN is being removed")
        response.set_data(render_template("reservations/_toast.html", text=text))
    return response
