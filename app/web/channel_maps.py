"""Which room of Beds24 is which of ours: map, remove, bring back, and retry what waited."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import ngettext

from app.domain import channel_rooms
from app.errors import Conflict, Invalid
from app.models import ChannelEvent
from app.services import channel_mappings, channel_pages, channel_room_lists, event_desk
from app.services.channel_mappings import ChannelMappingChanges, Mapped, NewChannelMapping
from app.services.channel_pages import Board, Entry
from app.services.event_desk import Outcome
from app.services.inputs import parse
from app.web import channel_wording as words
from app.web import channels, event_wording
from app.web.channels import finished
from app.web.dates import gettext as _
from app.web.forms import Form, dialog, refused, status_of
from app.web.rendering import render
from app.web.sessions import current_actor, role_required

_pages = channels.bp

TYPES = ("room_type", "room", "rate", "property")
#: events named one by one after a retry
NAMED = 200


@_pages.get("/<uuid:channel_property_id>/map", endpoint="map")
@role_required("admin")
def ask_map(channel_property_id: UUID) -> ResponseReturnValue:
    """Map a room of Beds24 (`room`), or one of ours (`internal_id`), to its other side."""
    board = channel_pages.board(channel_property_id)
    room = request.args.get("room", "").strip()[:40]
    kind = _kind(board, request.args.get("type", ""), room)
    chosen = board.entry(kind, _key(request.args.get("internal_id", "")))
    external = chosen.mapping.external_id if chosen and chosen.mapping else _fit(kind, room)
    return _form(board, kind, chosen, Form({"external_id": external}), room=room)


@_pages.post("/<uuid:channel_property_id>/map")
@role_required("admin")
def map_room(channel_property_id: UUID) -> ResponseReturnValue:
    """Save it; the form again, as it was typed, when something is wrong with it."""
    board = channel_pages.board(channel_property_id)
    kind = _kind(board, request.form.get("mapping_type", ""), "")
    chosen = board.entry(kind, _key(request.form.get("internal_id", "")))
    try:
        mapped = _save(board, kind, chosen)
    except (Invalid, Conflict) as error:
        return _form(board, kind, chosen, refused(error), status_of(error))
    return finished(_back(board, kind), _said(board, mapped))


@_pages.get("/<uuid:channel_property_id>/mappings/<uuid:mapping_id>/remove")
@role_required("admin")
def ask_remove(channel_property_id: UUID, mapping_id: UUID) -> ResponseReturnValue:
    """What removing a mapping means for new bookings, and for those that are here."""
    board = channel_pages.board(channel_property_id)
    mapping = channel_pages.mapping_of(channel_property_id, mapping_id)
    entry = board.entry(mapping.mapping_type, mapping.internal_id)
    return dialog(
        "channels/remove.html",
        card=board.card,
        mapping=mapping,
        name=words.thing(entry) if entry else mapping.external_id,
    )


@_pages.post("/<uuid:channel_property_id>/mappings/<uuid:mapping_id>/remove")
@role_required("admin")
def remove(channel_property_id: UUID, mapping_id: UUID) -> ResponseReturnValue:
    """Take it away; it can be brought back."""
    mapping = channel_pages.mapping_of(channel_property_id, mapping_id)
    channel_mappings.delete(mapping_id, actor=current_actor())
    back = url_for(
        "channels.show",
        channel_property_id=channel_property_id,
        _anchor=words.ANCHORS[mapping.mapping_type],
    )
    return finished(back, _("The mapping is removed"))


@_pages.post("/<uuid:channel_property_id>/mappings/<uuid:mapping_id>/revive")
@role_required("admin")
def revive(channel_property_id: UUID, mapping_id: UUID) -> ResponseReturnValue:
    """Bring back a mapping that was taken away, if both sides are still free."""
    board = channel_pages.board(channel_property_id)
    mapping = channel_pages.mapping_of(channel_property_id, mapping_id)
    changes = ChannelMappingChanges(is_active=True)
    try:
        mapped = channel_mappings.update(mapping_id, changes, actor=current_actor())
    except (Invalid, Conflict) as error:
        chosen = board.entry(mapping.mapping_type, mapping.internal_id)
        form = refused(error, {"external_id": mapping.external_id})
        return _form(board, mapping.mapping_type, chosen, form, status_of(error))
    return finished(_back(board, mapping.mapping_type), _said(board, mapped))


@_pages.post("/<uuid:channel_property_id>/retry")
@role_required("admin")
def retry(channel_property_id: UUID) -> ResponseReturnValue:
    """Retry exactly the events that were shown as waiting for a room, and say what became of each.

    Nothing is done when others wait by now: then they are shown first.
    """
    board = channel_pages.board(channel_property_id)
    ref = request.form.get("room", "")
    waiting = next((each for each in board.waiting if each.ref == ref), None)
    if waiting is None or waiting.mark != request.form.get("seen"):
        flash(_("It has changed meanwhile: nothing was retried. Look again."), "warn")
        return redirect(_back(board), 303)
    rows = channel_pages.named(waiting.ids[:NAMED])
    outcome = event_desk.retry_many(waiting.ids, actor=current_actor())
    n = len(outcome.done)
    return render(
        "channels/outcome.html",
        card=board.card,
        room=ref,
        said=ngettext("%(num)d event is tried again", "%(num)d events are tried again", n),
        rows=_what_became(rows, outcome),
        more=max(0, len(waiting.ids) - NAMED),
        words=words,
    )


def _save(board: Board, kind: str, chosen: Entry | None) -> Mapped:
    """Change what is mapped, else map it. Raises Invalid and Conflict naming the fields."""
    external = request.form.get("external_id", "").strip()
    actor = current_actor()
    if chosen is not None and chosen.mapping is not None and chosen.is_mapped:
        changes = parse(ChannelMappingChanges, {"external_id": external})
        return channel_mappings.update(chosen.mapping.id, changes, actor=actor)
    new = {
        "channel_property_id": str(board.card.connection.id),
        "mapping_type": kind,
        "internal_id": request.form.get("internal_id", ""),
        "external_id": external,
    }
    return channel_mappings.create(parse(NewChannelMapping, new), actor=actor)


def _form(
    board: Board,
    kind: str,
    chosen: Entry | None,
    form: Form,
    status: int = 200,
    *,
    room: str = "",
) -> ResponseReturnValue:
    """The question, with Beds24's rooms by name when they were read."""
    rooms = channel_room_lists.known(board.card.connection.id)
    choices = words.choices(rooms, kind)
    typed = str(form.value("external_id"))
    if choices and typed and typed not in dict(choices):
        choices.append((typed, typed))
    entries = board.entries.get(kind, ())
    # Only what the page offered is fixed: a choice in a list stays one.
    fixed = chosen if "fixed" in request.form or "internal_id" in request.args else None
    return dialog(
        "channels/map.html",
        status,
        board=board,
        kind=kind,
        chosen=fixed,
        form=form,
        room=room,
        title=_title(kind, fixed, room),
        choices={kind: choices},
        free=[(each.id, words.thing(each)) for each in entries if not each.is_mapped],
        taken=[(each.id, _beside(each)) for each in entries if each.is_mapped],
        waiting=sum(len(each.ids) for each in board.waiting if each.ref == room),
        words=words,
    )


def _title(kind: str, chosen: Entry | None, room: str) -> str:
    if chosen is not None:
        return _("What is %(thing)s at Beds24?", thing=words.thing(chosen))
    if room:
        return _("What is Beds24 room %(ref)s here?", ref=room)
    return _("Map a room type") if kind in ("room_type", "rate") else _("Map a room")


def _beside(entry: Entry) -> str:
    assert entry.mapping is not None
    return f"{words.thing(entry)}: {entry.mapping.external_id}"


def _said(board: Board, mapped: Mapped) -> str:
    """What is mapped now, and how many events can go on because of it."""
    mapping = mapped.mapping
    entry = board.entry(mapping.mapping_type, mapping.internal_id)
    said = _(
        "%(thing)s is mapped to %(ref)s.",
        thing=words.thing(entry) if entry else board.card.house.name,
        ref=mapping.external_id,
    )
    if n := len(mapped.waiting_event_ids):
        waited = ngettext(
            "%(num)d event waited for this room: retry it now.",
            "%(num)d events waited for this room: retry them now.",
            n,
        )
        return f"{said} {waited}"
    return said


def _what_became(events: Sequence[ChannelEvent], outcome: Outcome) -> list[dict[str, Any]]:
    left = {each.id for each in outcome.skipped}
    return [
        {
            "id": each.id,
            "title": event_wording.title(each),
            "ref": each.entity_external_id,
            "left": each.id in left,
        }
        for each in events
    ]


def _kind(board: Board, given: str, room: str) -> str:
    """The type that is meant; a bare room of Beds24 is a room type, when there are any."""
    if given in TYPES:
        return given
    return "room_type" if ":" not in room and board.entries["room_type"] else "room"


def _fit(kind: str, room: str) -> str:
    """A room of Beds24 as this kind is written."""
    number, unit = channel_rooms.split(room)
    if not number or kind == "property":
        return ""
    return channel_rooms.unit_id(number, unit) if kind == "room" else number


def _back(board: Board, kind: str = "") -> str:
    """The page of the connection; what waits stands at its top."""
    anchor = words.ANCHORS.get(kind) if not board.waiting else None
    return url_for("channels.show", channel_property_id=board.card.connection.id, _anchor=anchor)


def _key(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
