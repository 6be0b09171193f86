"""Accommodations and mappings as files: out, and in again after a look at what would happen."""

from __future__ import annotations

import contextlib
import re
from typing import Any

from flask import Response, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from app import clock
from app.errors import Invalid
from app.services import csv_io, csv_text
from app.services.csv_io import Imported
from app.web import accommodations as accommodation_list
from app.web import navigation
from app.web.forms import words_for
from app.web.rendering import render
from app.web.sessions import current_actor, role_required

_rooms = accommodation_list.bp

ACTIONS = {
    "create": ("ok", "plus", _l("New")),
    "update": ("info", "retry", _l("Changed")),
    "map": ("ok", "link", _l("Lock connected")),
    "remap": ("warn", "link", _l("Lock changed")),
    "unchanged": ("plain", "dash", _l("As it is")),
    "error": ("bad", "x", _l("Refused")),
}
COMPLAINTS: dict[str, Any] = {
    "no such property": _l("No property has this name"),
    "no such lock": _l("No lock has this device id"),
    "no such accommodation": _l("There is no such room"),
    "must be an id (UUID)": _l("This is no id of ours"),
    "several properties have this name; use its id": _l("Several properties have this name"),
    "this property has no such room type": _l("This property has no such room type"),
    "must be true or false": _l("Write true or false"),
    "several have this name; use the id": _l("Several rooms have this name: give the id"),
    "is required, or a stays_id, or a name": _l("Say which room: by id, Stays id or name"),
    "the line has more cells than the file has columns": _l(
        "The line has more cells than the file has columns"
    ),
    "the column name is missing": _l("The column “name” is missing"),
    "the file is empty: the first line names the columns": _l(
        "The file is empty: its first line names the columns"
    ),
    "a column is named twice": _l("A column is named twice"),
    "the file is not text": _l("The file is not text"),
    "the file is not text in UTF-8": _l("The file is not text"),
    "the file is too large: at most 2 MiB": _l("The file is too large: at most 2 MiB"),
}
SHAPES = (
    (
        re.compile(r"unknown columns: (?P<names>.+); known are (?P<known>.+)"),
        _l("Unknown columns: %(names)s. Known are %(known)s."),
    ),
    (re.compile(r"line (?P<n>\d+) is not CSV: .*"), _l("Line %(n)s cannot be read")),
    (
        re.compile(r"the file has (?P<n>\d+) lines; at most (?P<most>\d+) go at once"),
        _l("The file has %(n)s lines; at most %(most)s go at once"),
    ),
)
#: the text of a file and its form around it
ROOM = 3 * csv_text.MAX_BYTES


@_rooms.url_value_preprocessor
def make_room(endpoint: str | None, values: dict[str, Any] | None) -> None:
    """A file may be larger than other forms; said before anything reads the form."""
    if endpoint == f"{_rooms.name}.{import_file.__name__}":
        request.max_content_length = request.max_form_memory_size = ROOM


@_rooms.get("/export")
@role_required("admin")
def export() -> ResponseReturnValue:
    """The file of all accommodations, or of their locks with `kind=mappings`."""
    mappings = request.args.get("kind") == "mappings"
    text = csv_io.export_mappings() if mappings else csv_io.export_accommodations()
    name = "mappings" if mappings else "accommodations"
    today = clock.local_today(navigation.timezone())
    # The mark tells a spreadsheet that the accents are UTF-8.
    response = Response("\ufeff" + text, mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}-{today}.csv"'
    return response


@_rooms.get("/import")
@role_required("admin")
def import_form() -> ResponseReturnValue:
    """Choose a file."""
    return _page()


@_rooms.post("/import")
@role_required("admin")
def import_file() -> ResponseReturnValue:
    """Show what the file would do; take it in when that was seen. A bad line stops all of it."""
    text = request.form.get("text", "")
    try:
        if (sent := request.files.get("file")) is not None and sent.filename:
            with contextlib.closing(sent):
                text = csv_text.decoded(sent.read(csv_text.MAX_BYTES + 1))
        if request.form.get("apply") != "true":
            found = csv_io.preview(text)
            return _page(found=found, text=text, status=422 if found.errors else 200)
        found = csv_io.apply(text, actor=current_actor())
    except Invalid as error:
        return _page(refusal=said(error.message), text=text, status=422)
    if not found.written:
        return _page(found=found, text=text, status=409)
    changed = len(found.rows) - found.count("unchanged")
    flash(ngettext("%(num)d line taken in", "%(num)d lines taken in", changed), "ok")
    return redirect(url_for(".index", view="all"), 303)


def said(message: str) -> str:
    """A complaint about a file or a line, in the language of the page."""
    if message in COMPLAINTS:
        return str(COMPLAINTS[message])
    for shape, words in SHAPES:
        if (found := shape.fullmatch(message)) is not None:
            return str(words) % found.groupdict()
    return words_for(message)


def _page(
    *, found: Imported | None = None, text: str = "", refusal: str = "", status: int = 200
) -> ResponseReturnValue:
    shown = [row for row in found.rows if row.action != "unchanged"] if found else []
    return render(
        "accommodations/import.html",
        status,
        found=found,
        rows=sorted(shown, key=lambda row: (not row.errors, row.line)),
        text=text,
        refusal=refusal,
        said=said,
        actions=ACTIONS,
        columns=csv_io.ACCOMMODATIONS,
        mapping_columns=csv_io.MAPPINGS,
    )
