"""Channels: is everything coming in and going out, and with what a property is connected."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from app.errors import Conflict, Invalid, ServiceError, Unavailable
from app.integrations.errors import IntegrationError
from app.runtime import settings
from app.services import (
    accommodation_sync,
    channel_invites,
    channel_pages,
    channel_properties,
    channel_room_lists,
)
from app.services.channel_pages import Board, Card
from app.services.channel_properties import ChannelPropertyChanges, NewChannelProperty
from app.services.inputs import parse
from app.web import channel_wording as words
from app.web import navigation
from app.web.dates import gettext as _
from app.web.forms import Form, dialog, done, refused, sent, status_of
from app.web.rendering import is_htmx, render, unchanged
from app.web.sessions import current_actor, role_required

bp = Blueprint("channels", __name__, url_prefix="/channels")

BEDS24 = "beds24"
#: where Beds24 sends its webhooks (INTERFACES §6)
WEBHOOK = "api/integrations/beds24/webhook"
FIELDS = {
    "property_id": _l("Property"),
    "channel_property_id": _l("Number of the property in Beds24"),
    "invite_code": _l("Invite code"),
    "refresh_token": _l("Refresh token"),
}


@bp.get("")
@role_required("admin")
def index() -> ResponseReturnValue:
    """Every connection with its health; a poll that would see the same gets 204."""
    cards = channel_pages.cards(navigation.property_id())
    version = _version(cards)
    if (same := unchanged(version)) is not None:
        return same
    return render(
        "channels/index.html",
        fragments={"channels": "results"},
        cards=cards,
        version=version,
        words=words,
    )


@bp.get("/new")
@role_required("admin")
def new() -> ResponseReturnValue:
    """Connect a property to Beds24."""
    chosen = navigation.current_property()
    return _new(Form({"property_id": chosen.id if chosen else ""}))


@bp.post("")
@bp.post("/new")
@role_required("admin")
def create() -> ResponseReturnValue:
    """Connect it, make its webhook secret, and show that once with what comes next."""
    actor = current_actor()
    try:
        given = parse(NewChannelProperty, sent(NewChannelProperty))
        if not (given.invite_code or given.refresh_token or _has_account()):
            raise Invalid.field("invite_code", "is required")
        row = channel_properties.create(given, actor=actor)
    except (Invalid, Conflict, Unavailable) as error:
        return _new(refused(error, _typed(error)), _status(error))
    secret = channel_properties.new_webhook_secret(row.id, actor=actor)
    return _secret_once(row.id, secret, connected=True)


@bp.get("/<uuid:channel_property_id>")
@role_required("admin")
def show(channel_property_id: UUID) -> ResponseReturnValue:
    """One connection: its health, its mappings, its webhook and its access."""
    return show_board(channel_pages.board(channel_property_id))


@bp.post("/<uuid:channel_property_id>/rooms")
@role_required("admin")
def read_rooms(channel_property_id: UUID) -> ResponseReturnValue:
    """Read Beds24's rooms, so that they are chosen by name."""
    card = channel_pages.card(channel_property_id)
    try:
        found = channel_room_lists.read(channel_property_id)
    except Unavailable:
        flash(_("Beds24 is not set up: connect this property with an invite code."), "bad")
    except IntegrationError as error:
        flash(words.not_read(error.kind), "bad")
    else:
        ref = card.connection.channel_property_id
        if found:
            flash(
                ngettext(
                    "%(num)d room read from Beds24", "%(num)d rooms read from Beds24", len(found)
                ),
                "ok",
            )
        else:
            flash(_("Beds24 lists no rooms for property %(ref)s.", ref=ref), "warn")
    return redirect(url_for(".show", channel_property_id=channel_property_id), 303)


@bp.post("/<uuid:channel_property_id>/units")
@role_required("admin")
def create_rooms(channel_property_id: UUID) -> ResponseReturnValue:
    """Have Beds24's units read and made into rooms of ours, each mapped from the start."""
    channel_pages.card(channel_property_id)
    try:
        accommodation_sync.start(trigger="manual", channel=BEDS24, actor=current_actor())
    except Unavailable:
        flash(_("Beds24 is not set up: connect this property with an invite code."), "bad")
    except Conflict:
        flash(_("Beds24’s rooms are being read already. Load this page again in a moment."), "info")
    else:
        flash(_("Beds24’s rooms are being read. Load this page again in a moment."), "info")
    return redirect(url_for(".show", channel_property_id=channel_property_id), 303)


@bp.get("/<uuid:channel_property_id>/connect")
@role_required("admin")
def ask_connect(channel_property_id: UUID) -> ResponseReturnValue:
    """Ask for a new invite code."""
    return _connect(channel_pages.card(channel_property_id), Form({}))


@bp.post("/<uuid:channel_property_id>/connect")
@role_required("admin")
def connect(channel_property_id: UUID) -> ResponseReturnValue:
    """Exchange the code, and use what it gives from now on."""
    card = channel_pages.card(channel_property_id)
    given = {
        name: value
        for name in ("invite_code", "refresh_token")
        if (value := request.form.get(name, "").strip())
    }
    if not given:
        missing = Form({}).with_error("invite_code", _("Fill this in"))
        return _connect(card, missing, 422)
    try:
        changes = parse(ChannelPropertyChanges, given)
        channel_properties.change(channel_property_id, changes, actor=current_actor())
    except (Invalid, Conflict, Unavailable) as error:
        return _connect(card, refused(error, {}), _status(error))
    said = _("%(property)s is connected again", property=card.house.name)
    return finished(url_for(".show", channel_property_id=channel_property_id), said)


@bp.get("/<uuid:channel_property_id>/secret")
@role_required("admin")
def ask_secret(channel_property_id: UUID) -> ResponseReturnValue:
    """What a new webhook secret means."""
    return dialog("channels/secret.html", card=channel_pages.card(channel_property_id))


@bp.post("/<uuid:channel_property_id>/secret")
@role_required("admin")
def make_secret(channel_property_id: UUID) -> ResponseReturnValue:
    """Make it and show it, this once: the answer is the only place it is ever in."""
    secret = channel_properties.new_webhook_secret(channel_property_id, actor=current_actor())
    return _secret_once(channel_property_id, secret)


@bp.get("/<uuid:channel_property_id>/switch")
@role_required("admin")
def ask_switch(channel_property_id: UUID) -> ResponseReturnValue:
    """What switching the connection off, or on again, means."""
    return dialog("channels/switch.html", card=channel_pages.card(channel_property_id), words=words)


@bp.post("/<uuid:channel_property_id>/switch")
@role_required("admin")
def switch(channel_property_id: UUID) -> ResponseReturnValue:
    """Do it; pressing twice changes nothing more."""
    changes = parse(ChannelPropertyChanges, {"status": request.form.get("status", "")})
    row = channel_properties.change(channel_property_id, changes, actor=current_actor())
    name = words.channel(row.channel_name)
    said = (
        _("%(channel)s is switched off", channel=name)
        if row.status == "inactive"
        else _("%(channel)s is switched on", channel=name)
    )
    return finished(url_for(".show", channel_property_id=channel_property_id), said)


def show_board(board: Board, status: int = 200) -> Response:
    """The page of a connection."""
    connection = board.card.connection
    rooms = channel_room_lists.known(connection.id) if connection.channel_name == BEDS24 else []
    own = connection.webhook_secret_encrypted is not None
    return render(
        "channels/show.html",
        status,
        fragments={"board": "board"},
        board=board,
        there=words.listed(rooms),
        choices={kind: words.choices(rooms, kind) for kind in words.KINDS},
        webhook_url=webhook_url(),
        own_secret=own,
        has_secret=own or settings().beds24_webhook_secret is not None,
        words=words,
    )


def finished(location: str, said: str) -> ResponseReturnValue:
    """What was done, as a toast over the page or as a notice on the one that follows."""
    if not is_htmx():
        flash(said, "ok")
    return done(location, said)


def webhook_url() -> str:
    """The address to paste in Beds24, as this page was reached."""
    return request.url_root + WEBHOOK


def _new(form: Form, status: int = 200) -> Response:
    taken = channel_pages.connected_houses(BEDS24)
    return render(
        "channels/new.html",
        status,
        form=form,
        fields=FIELDS,
        houses=[(each.id, each.name) for each in navigation.properties() if each.id not in taken],
        has_account=_has_account(),
    )


def _has_account() -> bool:
    """Whether the server has an account that can speak for any property."""
    return settings().beds24_refresh_token is not None


def _typed(error: ServiceError) -> dict[str, Any]:
    """What was typed; a code only while it may still be good, a token never."""
    names = ["property_id", "channel_property_id"]
    spent = error.message == channel_invites.LOST
    if not spent and all(each.field != "invite_code" for each in error.errors):
        names.append("invite_code")
    return {name: request.form.get(name, "") for name in names}


def _status(error: ServiceError) -> int:
    """As `status_of`; a channel that does not answer is the state of the world as well."""
    return 409 if isinstance(error, Unavailable) else status_of(error)


def _connect(card: Card, form: Form, status: int = 200) -> Response:
    return dialog("channels/connect.html", status, card=card, form=form, fields=FIELDS)


def _secret_once(channel_property_id: UUID, secret: str, *, connected: bool = False) -> Response:
    return render(
        "channels/secret_shown.html",
        card=channel_pages.card(channel_property_id),
        secret=secret,
        connected=connected,
        webhook_url=webhook_url(),
        words=words,
        headers={"Cache-Control": "no-store"},
    )


def _version(cards: Sequence[Card]) -> str:
    """What changes when the list would."""
    seen = [
        (
            str(card.connection.id),
            card.connection.updated_at,
            card.state,
            card.depths,
            card.completeness,
            card.connection.last_webhook_at,
            card.connection.last_sync_at,
            card.connection.last_outbound_success_at,
        )
        for card in cards
    ]
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]
