"""Text as people search for it: without accents, in lower case."""

from __future__ import annotations

import re
import unicodedata


def fold(text: str) -> str:
    """`text` decomposed, without accents, lower case, runs of blanks as one.

    Both sides of a search go through it: what is stored and what is asked.
    """
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(char for char in decomposed if not unicodedata.combining(char)).casefold()
    return " ".join(text.lower().split())


def words(text: str) -> list[str]:
    """The folded words and numbers of `text`, without what stands between them.

    The parser of the text search reads "99999-8888" as a negative number and an e-mail address as
    one word; joined by blanks, every part can be found by its beginning.
    """
    return re.findall(r"[^\W_]+", fold(text))
