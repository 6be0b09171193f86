"""Text as people search for it: without accents, in lower case."""

from __future__ import annotations

import unicodedata


def fold(text: str) -> str:
    """`text` decomposed, without accents, lower case, runs of blanks as one.

    Both sides of a search go through it: what is stored and what is asked.
    """
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(char for char in decomposed if not unicodedata.combining(char)).casefold()
    return " ".join(text.lower().split())
