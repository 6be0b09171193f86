"""app/web/match_wording.py: every code of the matcher can be said on the page."""

from __future__ import annotations

from flask import Flask

from app.domain.name_matching import Note
from app.services.match_reasons import SENTENCES
from app.web.match_wording import NOTES, reasons


def test_every_code_has_words_for_the_page_and_for_the_api() -> None:
    assert NOTES.keys() == SENTENCES.keys()


def test_what_speaks_for_a_pair_comes_first(app: Flask) -> None:
    with app.test_request_context("/"):
        found = reasons((Note("served_twin"), Note("same_number", "101")))
    assert [each.kind for each in found] == ["ok", "no"]
    assert "101" in found[0].said
