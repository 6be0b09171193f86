"""Which lock opens a room: connect, change and disconnect, from either side (LOCK-05…08, C-19)."""

from __future__ import annotations

from uuid import UUID

from flask import flash, request, url_for
from flask.typing import ResponseReturnValue

from app.errors import Conflict, NotFound
from app.services import accommodation_pages, locks, mapping_pages, mappings, matching
from app.services.accommodation_pages import Unit
from app.services.mapping_pages import Side
from app.services.matching import MatchArgs
from app.web import accommodations as accommodation_list
from app.web import locks as lock_list
from app.web.dates import gettext as _
from app.web.forms import Form, dialog, done
from app.web.rendering import is_htmx
from app.web.sessions import current_actor, role_required

_rooms = accommodation_list.bp
_locks = lock_list.bp


@_rooms.get("/<uuid:accommodation_id>/map")
@role_required("admin")
def ask_map(accommodation_id: UUID) -> ResponseReturnValue:
    """Choose a lock; the guests whose PIN would leave the old one are named."""
    unit = accommodation_pages.get(accommodation_id)
    chosen = request.args.get("lock_id", unit.lock.id if unit.lock else "")
    return _choose_lock(unit, Form({"lock_id": chosen}))


@_rooms.post("/<uuid:accommodation_id>/map")
@role_required("admin")
def map_lock(accommodation_id: UUID) -> ResponseReturnValue:
    """Connect the chosen lock. A refusal stays in the dialog, with the reason."""
    unit = accommodation_pages.get(accommodation_id)
    form = Form({"lock_id": request.form.get("lock_id", "")})
    if (lock_id := _key("lock_id")) is None:
        return _choose_lock(unit, form.with_error("lock_id", _("Choose a lock")), 422)
    error = _connect(accommodation_id, lock_id)
    if error is not None:
        if (said := _taken(lock_id, accommodation_id)) or isinstance(error, NotFound):
            said = said or _("This lock does not exist any more")
            return _choose_lock(unit, form.with_error("lock_id", said), 409)
        return _choose_lock(accommodation_pages.get(accommodation_id), form, 409, changed=True)
    return _done(_back(accommodation_id), _("The lock is connected"))


@_rooms.get("/<uuid:accommodation_id>/unmap")
@role_required("admin")
def ask_unmap(accommodation_id: UUID) -> ResponseReturnValue:
    """What disconnecting would mean, and for whom."""
    return _part(accommodation_pages.get(accommodation_id))


@_rooms.post("/<uuid:accommodation_id>/unmap")
@role_required("admin")
def unmap(accommodation_id: UUID) -> ResponseReturnValue:
    """Disconnect the lock; asked again when other guests are affected by now."""
    try:
        mappings.unmap(
            accommodation_id, actor=current_actor(), confirm=_confirmed(accommodation_id)
        )
    except Conflict:
        return _part(accommodation_pages.get(accommodation_id), 409, changed=True)
    except NotFound:  # somebody else was faster: it is as it should be
        accommodation_pages.get(accommodation_id)
    return _done(_back(accommodation_id), _("The lock is disconnected"))


@_locks.get("/<uuid:lock_id>/map")
@role_required("admin")
def ask_room(lock_id: UUID) -> ResponseReturnValue:
    """Choose a room for a lock that has none."""
    return _choose_room(lock_id, Form({}))


@_locks.post("/<uuid:lock_id>/map")
@role_required("admin")
def map_room(lock_id: UUID) -> ResponseReturnValue:
    """Connect the lock to the chosen room. A refusal stays in the dialog, with the reason."""
    form = Form({"accommodation_id": request.form.get("accommodation_id", "")})
    if (room := _key("accommodation_id")) is None:
        form = form.with_error("accommodation_id", _("Choose a room"))
        return _choose_room(lock_id, form, 422)
    error = _connect(room, lock_id)
    if error is not None:
        said = _taken(lock_id, room)
        if said or isinstance(error, NotFound):
            said = said or _("This room does not exist any more")
            return _choose_room(lock_id, form.with_error("accommodation_id", said), 409)
        return _choose_room(lock_id, form, 409, changed=True)
    return _done(url_for("locks.index"), _("The lock is connected"))


def _connect(accommodation_id: UUID, lock_id: UUID) -> Conflict | NotFound | None:
    try:
        mappings.map_lock(
            accommodation_id,
            lock_id,
            actor=current_actor(),
            confirm=_confirmed(accommodation_id),
        )
    except (Conflict, NotFound) as error:
        return error
    return None


def _confirmed(accommodation_id: UUID) -> bool:
    """Whether the guests a person was shown are the ones who are affected now."""
    seen = request.form.get("seen", "")
    return bool(seen) and seen == mapping_pages.mark_of(mapping_pages.affected(accommodation_id))


def _taken(lock_id: UUID, accommodation_id: UUID) -> str:
    """Which other room this lock opens; empty when none."""
    for side in mapping_pages.locks():
        if side.lock is not None and side.lock.id == lock_id and side.accommodation is not None:
            if side.accommodation.id == accommodation_id:
                return ""
            return _(
                "%(lock)s opens %(room)s already, and a lock opens one room only.",
                lock=side.lock.name,
                room=side.accommodation.name,
            )
    return ""


def _choose_lock(
    unit: Unit, form: Form, status: int = 200, *, changed: bool = False
) -> ResponseReturnValue:
    guests = mapping_pages.affected(unit.accommodation.id) if unit.lock else ()
    own = unit.lock.id if unit.lock else None
    likely = _likely(unit) if unit.lock is None else set()
    free: list[Side] = []
    taken: list[Side] = []
    for side in mapping_pages.locks():
        assert side.lock is not None
        (free if side.accommodation is None or side.lock.id == own else taken).append(side)
    return dialog(
        "accommodations/map.html",
        status,
        unit=unit,
        form=form,
        likely=[(s.lock.id, _lock_name(s)) for s in free if s.lock and s.lock.id in likely],
        free=[(s.lock.id, _lock_name(s)) for s in free if s.lock and s.lock.id not in likely],
        taken=taken,
        guests=guests,
        seen=mapping_pages.mark_of(guests),
        changed=changed,
        back=_back(unit.accommodation.id),
    )


def _likely(unit: Unit) -> set[UUID]:
    """The locks whose names say that they may be this room's."""
    try:
        found = matching.suggest_for(unit.accommodation.id, MatchArgs(most=3))
    except (Conflict, NotFound):
        return set()
    return {each.lock.id for each in found.items}


def _choose_room(
    lock_id: UUID, form: Form, status: int = 200, *, changed: bool = False
) -> ResponseReturnValue:
    lock = locks.get(lock_id)
    rooms = [side for side in mapping_pages.rooms() if side.accommodation is not None]
    chosen = _key("accommodation_id") if changed else None
    guests = mapping_pages.affected(chosen) if chosen else ()
    return dialog(
        "locks/map.html",
        status,
        lock=lock,
        form=form,
        free=[(s.accommodation.id, _room_name(s)) for s in rooms if s.accommodation and not s.lock],
        others=[(s.accommodation.id, _room_name(s)) for s in rooms if s.accommodation and s.lock],
        guests=guests,
        seen=mapping_pages.mark_of(guests),
        changed=changed,
    )


def _part(unit: Unit, status: int = 200, *, changed: bool = False) -> ResponseReturnValue:
    guests = mapping_pages.affected(unit.accommodation.id)
    return dialog(
        "accommodations/unmap.html",
        status,
        unit=unit,
        guests=guests,
        seen=mapping_pages.mark_of(guests),
        changed=changed,
        back=_back(unit.accommodation.id),
    )


def _lock_name(side: Side) -> str:
    assert side.lock is not None
    if side.lock.location:
        return f"{side.lock.name} ({side.lock.location})"
    return side.lock.name


def _room_name(side: Side) -> str:
    assert side.accommodation is not None
    number, name = side.accommodation.number, side.accommodation.name
    full = f"{number} {name}" if number and not name.startswith(number) else name
    return f"{full}: {side.lock.name}" if side.lock else full


def _key(name: str) -> UUID | None:
    try:
        return UUID(request.form.get(name, ""))
    except ValueError:
        return None


def _back(accommodation_id: UUID) -> str:
    return url_for("accommodations.show", accommodation_id=accommodation_id)


def _done(location: str, said: str) -> ResponseReturnValue:
    """The page behind reads itself again; without scripts one goes back to it."""
    if not is_htmx():
        flash(said, "ok")
    return done(location, said)
