"""Sentences that rows keep in English are known again by their shape."""

from __future__ import annotations

import pytest

from app.web import stored_sentences
from app.web.stored_sentences import N_, Sentences

KNOWN = Sentences(
    (
        N_("%(what)s is not on its lock"),
        N_("A PIN is not on its lock"),
        N_("nobody answered"),
        N_("%(room)s: %(why)s"),
        N_("less than 5 %% of %(name)s is left"),
    )
)


@pytest.fixture(autouse=True)
def translated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A translation shows which sentence was found, and what was set into it."""

    def say(sentence: str, **parts: str) -> str:
        gap = "…" if parts else ""
        return f"«{gap}{sentence % parts}»"

    monkeypatch.setattr(stored_sentences, "_", say)


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ("nobody ever wrote this", "nobody ever wrote this"),
        ("The code is not on its lock", "«…The code is not on its lock»"),
        # a whole sentence is not taken for a gap and the rest
        ("A PIN is not on its lock", "«A PIN is not on its lock»"),
        ("12: nobody answered", "«…12: «nobody answered»»"),
        ("12: out\nof reach", "«…12: out\nof reach»"),
        ("less than 5 % of the battery is left", "«…less than 5 % of the battery is left»"),
        ("A PIN is not on its lock.", "A PIN is not on its lock."),
    ],
)
def test_a_sentence_is_known_by_its_shape(kept: str, said: str) -> None:
    assert KNOWN.said(kept) == said
