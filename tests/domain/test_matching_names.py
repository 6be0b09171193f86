"""app/domain/name_matching/names.py: one spelling for all ways to write a name (C-51)."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.name_matching import normalise
from app.domain.name_matching import vocabulary as v
from app.domain.name_matching.names import read

WORDS = sorted(
    {*v.UNIT_KINDS, *v.BUILDINGS, *v.FLOORS, *v.STOP, *v.SAME, *v.NUMBER_WORDS, *v.ORDINAL_WORDS}
    | {*v.ROMAN, *v.COMMON, *v.LITTLE, "b", "n", "garça", "São", "vi", "te", "bem", "1º", "2nd"}
)
NUMBERS = st.integers(0, 3000).map(str)
PIECES = st.one_of(
    st.sampled_from(WORDS), NUMBERS, st.sampled_from(["007", "12b", "A1", "1o", "2 quartos"])
)
SEPARATORS = st.sampled_from([" ", "-", " - ", "", "/", ". ", " (", "º "])
NAMES = st.lists(st.tuples(PIECES, SEPARATORS), max_size=7).map(
    lambda parts: "".join(word + separator for word, separator in parts)
)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Apto 101", "apartamento 101"),
        ("APT. Nº 0101", "apartamento 101"),
        ("apto101", "apartamento 101"),
        ("Flat 101 - door", "apartamento 101"),
        ("Suíte Máster", "suite master"),
        ("Fechadura Smart WiFi Suíte Master", "suite master"),
        ("Habitación Dos", "quarto 2"),
        ("Room twenty-one", "quarto 21"),
        ("Casa Vinte e Um", "casa 21"),
        ("Casa dos Ventos", "casa ventos"),
        ("Casa à Beira Mar", "casa beira mar"),
        ("Casa das Três Marias", "casa tres marias"),
        ("Suíte II", "suite 2"),
        ("Suíte V", "suite v"),
        ("Bem-te-vi", "bemtevi"),
        ("Bloco A Apto 12", "bloco a apartamento 12"),
        ("Apto 12, Bloco A", "bloco a apartamento 12"),
        ("BL.A12", "bloco a 12"),
        ("Torre E 12", "torre e 12"),
        ("12A", "12 a"),
        ("1º andar 101", "andar 1 101"),
        ("101, 1o andar", "andar 1 101"),
        ("2nd floor 201", "andar 2 201"),
        ("Quarto andar, quarto 41", "andar 4 quarto 41"),
        ("Piso 2", "andar 2"),
        ("Studio", "studio"),
        ("Blue Room", "quarto azul"),
        ("Ana's Loft", "loft anas"),
        ("Ｒｏｏｍ １２", "quarto 12"),
        ("№ ٣", "3"),
        ("李 12", "李 12"),
        ("Apto 101 - 2 quartos, 45 m²", "apartamento 2quartos 45m2 101"),
        ("Porta da fechadura", ""),
        ("", ""),
    ],
)
def test_normalise(text: str, normal: str) -> None:
    assert normalise(text) == normal


def test_the_key_keeps_numbers_and_letters_in_order_from_the_building_in() -> None:
    assert read("Bloco 1 Apto 12").key == ("1", "12")
    assert read("Apto 12 Bloco 1").key == ("1", "12")
    assert read("Bloco 12 Apto 1").key == ("12", "1")
    assert read("Bloco A, Torre 2, 31").key == ("2", "a", "31")
    assert read("12B").key == ("12", "b") != read("B12").key


@given(NAMES)
@example("tres dois marias")
@example("12e 13")
@example("bloco e suite 2")
@example("garca 12 bloco")
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)
    assert read(normalise(text)).key == read(text).key


@given(st.text(max_size=60))
def test_any_text_can_be_read(text: str) -> None:
    normal = normalise(text)
    assert normal == normal.strip()
    assert "  " not in normal


@given(st.text(max_size=60))
def test_any_text_normalises_to_a_fixed_point(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(NAMES)
def test_case_and_stop_words_do_not_matter(text: str) -> None:
    assert normalise(text.upper()) == normalise(text)
    assert normalise(f"Fechadura Smart: {text}") == normalise(text)


@given(st.integers(0, 10**6), st.integers(0, 5))
def test_leading_zeros_do_not_matter(number: int, zeros: int) -> None:
    assert normalise(f"Apto {'0' * zeros}{number}") == f"apartamento {number}"
