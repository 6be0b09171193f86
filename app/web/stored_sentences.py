"""Sentences that rows keep in English, said in the language of a page.

Each is known by its shape, so that it can be said in another language; one that is new to us is
shown as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

from app.web.dates import gettext as _


def N_(sentence: str) -> str:  # noqa: N802 (the name that extraction looks for)
    """Marks a sentence for the catalog; it is translated when it is said."""
    return sentence


class Sentences:
    """What rows of one kind may say. Of two that begin alike the longer one is named first."""

    def __init__(self, sentences: Sequence[str]) -> None:
        self._sentences = sentences

    def said(self, text: str) -> str:
        """The sentence in the language of the page, and what is set into it as well; its own words
        when it is new to us."""
        for shape, sentence in self._shapes:
            if (found := shape.fullmatch(text)) is not None:
                parts = {name: self.said(part) for name, part in found.groupdict().items()}
                return _(sentence, **parts)
        return text

    @cached_property
    def _shapes(self) -> Sequence[tuple[re.Pattern[str], str]]:
        """The sentences without a gap first: "A PIN is not on its lock" names no room."""
        whole = [each for each in self._sentences if "%(" not in each]
        gapped = [each for each in self._sentences if "%(" in each]
        return [(_shape(each), each) for each in (*whole, *gapped)]


def _shape(sentence: str) -> re.Pattern[str]:
    parts = re.split(r"%\((\w+)\)s", sentence)
    return re.compile(
        "".join(
            f"(?P<{part}>.+?)" if position % 2 else re.escape(part.replace("%%", "%"))
            for position, part in enumerate(parts)
        ),
        re.DOTALL,
    )
