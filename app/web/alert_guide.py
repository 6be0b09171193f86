"""The runbook as a page: docs/alerts.md, from its second heading on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from markupsafe import Markup, escape

from app.config import ROOT

SOURCE = ROOT / "docs" / "alerts.md"
_MARKS = (
    (re.compile(r"\*\*(.+?)\*\*"), r"<strong>\1</strong>"),
    (re.compile(r"\*(.+?)\*"), r"<em>\1</em>"),
    (re.compile(r"`(.+?)`"), r"<code>\1</code>"),
)


@cache
def sections() -> Mapping[str, tuple[Markup, ...]]:
    """The paragraphs about each kind of alert, in the order of the document."""
    runbook = SOURCE.read_text(encoding="utf-8").partition("\n# Runbook\n")[2]
    found: dict[str, tuple[Markup, ...]] = {}
    for part in re.split(r"^## ", runbook, flags=re.MULTILINE)[1:]:
        kind, _, body = part.partition("\n")
        found[kind.strip()] = tuple(
            _inline(" ".join(paragraph.split()))
            for paragraph in body.split("\n\n")
            if paragraph.strip()
        )
    return found


def _inline(text: str) -> Markup:
    said = str(escape(text))
    for mark, replacement in _MARKS:
        said = mark.sub(replacement, said)
    return Markup(said)  # noqa: S704 (escaped above)
