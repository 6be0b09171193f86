"""What a channel sent, for reading: indented, coloured, without what is private to a guest."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

from app.web.dates import gettext as _

#: keys whose values are nobody's business here; the reservation shows what the desk needs
PRIVATE = re.compile(
    r"(^|guest|first|last|full|sur|user|customer|holder)_?names?$"
    r"|e?mail|phone|mobile|address|street|city|postcode|zip|birth|gender|nationality"
    r"|document|passport|tax|cpf|iban|account|card|cvv|secret|token|password"
    r"|comment|note|message|remark",
    re.IGNORECASE,
)
INDENT = "  "


def shown(value: Any) -> Markup:
    """The JSON as markup for a `<pre>`."""
    return Markup("").join(_lines(value, ""))  # which escapes whatever is not markup already


def _lines(value: Any, indent: str) -> Iterator[str]:
    inner = indent + INDENT
    if isinstance(value, dict) and value:
        yield "{\n"
        for place, (key, item) in enumerate(value.items()):
            yield Markup('{}<span class="k">{}</span>: ').format(inner, _dump(str(key)))
            if PRIVATE.search(str(key)) and item not in (None, "", [], {}):
                yield Markup('<span class="x">{}</span>').format(_("hidden"))
            else:
                yield from _lines(item, inner)
            yield ",\n" if place < len(value) - 1 else "\n"
        yield indent + "}"
    elif isinstance(value, list) and value:
        yield "[\n"
        for place, item in enumerate(value):
            yield inner
            yield from _lines(item, inner)
            yield ",\n" if place < len(value) - 1 else "\n"
        yield indent + "]"
    else:
        kind = "s" if isinstance(value, str) else "n"
        yield Markup('<span class="{}">{}</span>').format(kind, _dump(value))


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
