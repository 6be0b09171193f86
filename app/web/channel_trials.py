"""Try a webhook's body: where it would land, and what is missing. Nothing is written."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from flask import request
from flask.typing import ResponseReturnValue

from app.errors import Invalid
from app.services import channel_mapping_tests, channel_pages
from app.services.channel_mapping_tests import MappingTest
from app.services.channel_pages import Board
from app.web import channel_findings, channels
from app.web import channel_wording as words
from app.web.dates import gettext as _
from app.web.forms import Form
from app.web.rendering import render
from app.web.sessions import role_required

_pages = channels.bp

#: what a webhook may carry (INTERFACES §6)
LARGEST = 256 * 1024
EXAMPLE = {
    "booking": {
        "id": 70000123,
        "propertyId": 51001,
        "roomId": 610011,
        "unitId": 2,
        "status": "confirmed",
        "arrival": "2026-11-12",
        "departure": "2026-11-15",
        "firstName": "Marta",
        "lastName": "Example",
    }
}


@_pages.get("/<uuid:channel_property_id>/test", endpoint="trial")
@role_required("admin")
def ask_trial(channel_property_id: UUID) -> ResponseReturnValue:
    """A place to paste a body."""
    board = channel_pages.board(channel_property_id)
    return _page(board, Form({"mapping_type": "room"}))


@_pages.post("/<uuid:channel_property_id>/test")
@role_required("admin")
def try_body(channel_property_id: UUID) -> ResponseReturnValue:
    """What would become of it."""
    board = channel_pages.board(channel_property_id)
    typed = request.form.get("payload", "")
    kind = request.form.get("mapping_type", "")
    form = Form({"payload": typed, "mapping_type": kind})
    if kind not in words.THING:
        form = form.with_error("mapping_type", _("Choose one of the list"))
    if said := _unusable(typed):
        form = form.with_error("payload", said)
    if form.errors:
        return _page(board, form, 422)
    try:
        found = channel_mapping_tests.run(
            json.loads(typed), kind, channel_property_id=channel_property_id
        )
    except Invalid:  # a connection to Stays, which the page offers no test for
        return _page(board, form.with_error("payload", _("Only Beds24 can be tested.")), 422)
    return _page(board, form, found=found)


def _unusable(typed: str) -> str:
    """Why this is no body, empty when it is one."""
    if not typed.strip():
        return _("Paste the body of a webhook here")
    if len(typed.encode("utf-8", "replace")) > LARGEST:
        return _("This is larger than any webhook that is taken in (256 KB)")
    try:
        json.loads(typed)
    except json.JSONDecodeError as error:
        return _("This is not JSON: look at line %(line)s", line=error.lineno)
    except (RecursionError, ValueError):
        return _("This is not JSON")
    return ""


def _page(
    board: Board, form: Form, status: int = 200, found: MappingTest | None = None
) -> ResponseReturnValue:
    context: dict[str, Any] = {"found": found}
    if found is not None:
        context |= {
            "room": board.entry("room", found.accommodation_id),
            "room_type": board.entry("room_type", found.room_type_id),
            "mapped": board.entry(_sort(form), found.mapped_internal_id),
            "sentences": [channel_findings.said(each) for each in found.warnings],
            "unmapped": channel_findings.unmapped_room(found.warnings),
        }
    return render(
        "channels/trial.html",
        status,
        board=board,
        form=form,
        types=[(name, words.TYPES[name]) for name in words.TYPES],
        example=json.dumps(EXAMPLE, indent=2),
        words=words,
        **context,
    )


def _sort(form: Form) -> str:
    """Which of our things the chosen type names."""
    kind = str(form.value("mapping_type"))
    return "room_type" if kind == "rate" else kind
