"""Names are found without their accents and in any case."""

from __future__ import annotations

import pytest

from app.domain.folding import fold


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("João Conceição", "joao conceicao"),
        ("  ANA\tMARIA ", "ana maria"),
        ("Größe", "grosse"),
        ("Zoë O’Neil", "zoe o’neil"),
        ("ﬁnca", "finca"),
        ("Łódź", "łodz"),  # a stroke is a letter, not an accent
        ("", ""),
        ("李 小龍", "李 小龍"),
    ],
)
def test_fold(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_composed_and_decomposed_text_meet() -> None:
    assert fold("São") == fold("Sa\u0303o") == "sao"


def test_folding_twice_changes_nothing() -> None:
    for text in ("İstanbul", "Ångström ß", "ＦＵＬＬ width"):
        assert fold(fold(text)) == fold(text)
