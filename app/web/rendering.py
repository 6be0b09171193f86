"""A whole page, or the part htmx asked for; and what every template can reach."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from urllib.parse import urlencode

from flask import Flask, Response, make_response, render_template, request, url_for
from jinja2_fragments.flask import render_block
from werkzeug.datastructures import MultiDict

from app import clock
from app.config import ROOT
from app.web import alert_wording, dates
from app.web.request_log import request_id

COMPONENTS = ROOT / "templates" / "_components"


def is_htmx() -> bool:
    """Whether htmx wants a fragment; a restored history page wants the whole."""
    return "HX-Request" in request.headers and "HX-History-Restore-Request" not in request.headers


def render(
    template: str,
    status: int = 200,
    *,
    fragments: Mapping[str, str | Sequence[str]] | None = None,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> Response:
    """The page, or its block(s) for the element htmx will replace.

    `fragments` maps the id of that element to the block that renders it, or to several blocks when
    others are swapped out of band with it. Anything unknown gets the whole page.
    """
    blocks = (fragments or {}).get(request.headers.get("HX-Target", "")) if is_htmx() else None
    if blocks is None:
        body = render_template(template, **context)
    else:
        names = [blocks] if isinstance(blocks, str) else blocks
        body = "".join(render_block(template, name, **context) for name in names)
    response = make_response(body, status)
    response.headers.update(headers or {})
    response.vary.update(("HX-Request", "HX-Target", "Cookie"))
    return response


def unchanged(version: str) -> Response | None:
    """204 for a poll that already has this version (`?v=`), None when there is news."""
    if is_htmx() and request.args.get("v") == version:
        response = make_response("", 204)
        response.vary.update(("HX-Request", "HX-Target", "Cookie"))
        return response
    return None


@cache
def asset(filename: str) -> str:
    """The address of a static file, with a mark that changes when the file does."""
    digest = hashlib.sha256((ROOT / "static" / filename).read_bytes()).hexdigest()[:10]
    return f"/static/{filename}?v={digest}"


def initials(name: str) -> str:
    """MQ, for Marta Queiroz."""
    words = name.split()
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()


def said(word: str, words: Mapping[str, str]) -> str:
    """The word people read for one of ours."""
    return str(words.get(word, word))


def empty() -> Response:
    """The answer that closes a dialog; out-of-band pieces may be appended to it."""
    return make_response("", 200)


_PAGE = "turnkey.page"


def stand_for(endpoint: str) -> None:
    """Let the links of this answer lead to that page, whatever was asked for."""
    request.environ[_PAGE] = endpoint


def here(**changes: Any) -> str:
    """The address of this page with some of its query changed; None takes a parameter out.

    An action that answers with the page it belongs to has said so with `stand_for`.
    """
    query: MultiDict[str, str] = MultiDict(request.args)
    path = dict(request.view_args or {})
    for name in ("v", "lang", *path):
        query.poplist(name)
    for name, value in changes.items():
        query.poplist(name)
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if one not in (None, ""):
                query.add(name, str(one))
    endpoint = request.environ.get(_PAGE) or request.endpoint or "today.index"
    # Put together here: to `url_for` some names of a query mean something (_scheme, endpoint).
    address = url_for(endpoint, **path)
    asked = urlencode(list(query.items(multi=True)), safe="!$'()*,/:;?@")
    return f"{address}{'&' if '?' in address else '?'}{asked}" if asked else address


class Components:
    """The macro families of `_components/`, as `ui.<family>.<macro>`.

    A global, because a block rendered alone does not run the imports at the top of its file.
    """

    def __init__(self, app: Flask) -> None:
        self._env = app.jinja_env
        self.families = frozenset(path.stem for path in COMPONENTS.glob("*.jinja"))

    def __getattr__(self, family: str) -> Any:
        if family.startswith("_") or family not in self.families:
            raise AttributeError(f"no macro family {family}")
        return self._env.get_template(f"_components/{family}.jinja").module


def init(app: Flask) -> None:
    """Filters and globals."""
    # Flask escapes by the end of the name and does not know our macros' .jinja.
    app.jinja_env.autoescape = True
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.jinja_env.policies["ext.i18n.trimmed"] = True
    app.jinja_env.globals.update(
        ui=Components(app), here=here, asset=asset, request_id=request_id, now=clock.utcnow
    )
    app.jinja_env.filters.update(
        dates.FILTERS, initials=initials, said=said, alert_said=alert_wording.said
    )
