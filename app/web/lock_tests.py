"""Testing a lock: a PIN for an hour, step by step, typed at the door and taken off again."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l

from app import clock
from app.domain.states import LockTestState
from app.errors import Conflict, NotFound, Unavailable
from app.extensions import reveal_limit
from app.models import LockTest
from app.services import lock_pages, lock_tests
from app.web import locks as lock_list
from app.web import navigation
from app.web.dates import gettext as _
from app.web.lock_wording import cause_of
from app.web.rendering import is_htmx, render, unchanged
from app.web.reservations import SHOWN_FOR
from app.web.sessions import current_actor, role_required

_locks = lock_list.bp

STEPS = {
    "requested": _l("Ordered"),
    "accepted": _l("Accepted by Tuya"),
    "on_the_lock": _l("On the lock"),
    "typed": _l("Typed at the door"),
    "removing": _l("Being taken off"),
    "gone": _l("Off the lock"),
}
TEXTS = {
    "accepted": _l("A lock that sleeps fetches the PIN when its keypad is touched."),
    "on_the_lock": _l("Touch the keypad once: that wakes the lock."),
    "typed": _l("Show the PIN, type it at the door, and say here whether it opened."),
    "removing": _l("The PIN goes by itself after an hour, or as soon as you answer."),
}
MOVING, RESTING = 2, 5


@_locks.get("/<uuid:lock_id>/test")
@role_required("admin")
def test(lock_id: UUID) -> ResponseReturnValue:
    """The test under way, or the last one, or what a test is."""
    found = _latest(lock_id)
    if found is not None and (same := unchanged(_version(found))) is not None:
        return same
    return _page(lock_id, found)


@_locks.post("/<uuid:lock_id>/test")
@role_required("admin")
def start_test(lock_id: UUID) -> ResponseReturnValue:
    """Begin one; when one is under way already, show that."""
    try:
        found = lock_tests.start(lock_id, actor=current_actor())
    except (Conflict, Unavailable) as refused:
        latest = _latest(lock_id)
        if latest is not None and latest.state != LockTestState.GONE:
            return _after(lock_id, latest)
        said = _("No lock account is connected") if isinstance(refused, Unavailable) else ""
        return _page(
            lock_id, latest, 409, refusal=said or _("This lock is not in the account any more")
        )
    return _after(lock_id, found)


@_locks.post("/<uuid:lock_id>/test/result")
@role_required("admin")
def test_result(lock_id: UUID) -> ResponseReturnValue:
    """What happened at the door; the PIN goes."""
    opened = request.form.get("opened") == "true"
    return _do(
        lock_id, lambda test_id: lock_tests.typed(test_id, opened=opened, actor=current_actor())
    )


@_locks.post("/<uuid:lock_id>/test/stop")
@role_required("admin")
def stop_test(lock_id: UUID) -> ResponseReturnValue:
    """Take the PIN off now."""
    return _do(lock_id, lambda test_id: lock_tests.stop(test_id, actor=current_actor()))


@_locks.post("/<uuid:lock_id>/test/reveal")
@role_required("admin")
@reveal_limit
def reveal_test(lock_id: UUID) -> ResponseReturnValue:
    """Show the test PIN for a minute; who asked is on record before it leaves the server."""
    found = _needed(lock_id)
    try:
        shown = lock_tests.reveal(found.id, actor=current_actor())
    except Conflict:
        return _page(lock_id, _latest(lock_id), 409, refusal=_("The test is over"))
    return _page(
        lock_id, found, pin=shown.pin, until=min(clock.utcnow() + SHOWN_FOR, shown.expires_at)
    )


@_locks.get("/<uuid:lock_id>/test/pin")
@role_required("admin")
def hide_test(lock_id: UUID) -> ResponseReturnValue:
    """The masked PIN again."""
    if not is_htmx():
        return redirect(url_for("locks.test", lock_id=lock_id), 303)
    return _page(lock_id, _latest(lock_id))


def _latest(lock_id: UUID) -> LockTest | None:
    return next(iter(lock_tests.of_lock(lock_id, limit=1)), None)


def _needed(lock_id: UUID) -> LockTest:
    found = _latest(lock_id)
    if found is None:
        raise NotFound("no such test")
    return found


def _do(lock_id: UUID, act: Any) -> ResponseReturnValue:
    found = _needed(lock_id)
    try:
        found = act(found.id)
    except Conflict:  # it went on meanwhile: the page says how
        found = _needed(lock_id)
    return _after(lock_id, found)


def _after(lock_id: UUID, found: LockTest) -> ResponseReturnValue:
    if is_htmx():
        return _page(lock_id, found)
    return redirect(url_for("locks.test", lock_id=lock_id), 303)


def _page(
    lock_id: UUID, found: LockTest | None, status: int = 200, **context: Any
) -> ResponseReturnValue:
    row = lock_pages.get(lock_id)
    going = found is not None and found.state != LockTestState.GONE
    return render(
        "locks/test.html",
        status,
        fragments={"test": "test", "pinface": "pin_face"},
        row=row,
        test=found,
        going=going,
        can_type=found is not None
        and found.state in (LockTestState.ACCEPTED, LockTestState.INSTALLED),
        steps=lock_tests.steps(found) if found is not None else [],
        names=STEPS,
        texts=TEXTS,
        cause=cause_of(found.last_error_kind) if found is not None and found.last_error else "",
        version=_version(found) if found is not None else "",
        poll=_pace(found) if found is not None and going else 0,
        zone=row.house.timezone if row.house else navigation.timezone(),
        **context,
    )


def _pace(found: LockTest) -> int:
    """Seconds between polls: fast while something moves by itself."""
    return RESTING if found.state == LockTestState.INSTALLED else MOVING


def _version(found: LockTest) -> str:
    return hashlib.sha256(f"{found.id} {found.updated_at} {found.state}".encode()).hexdigest()[:16]
