"""A PIN is random, not trivial, and never shows itself (SEC-09…12, C-13)."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.pins import ALPHABET, Pin, generate, is_trivial, mask


@given(st.integers(4, 10))
def test_generated_pins_fit_the_lock(length: int) -> None:
    digits = generate(length).reveal()
    assert len(digits) == length
    assert set(digits) <= set(ALPHABET)
    assert not is_trivial(digits)


def test_a_taken_pin_is_not_handed_out() -> None:
    seen: list[Pin] = []

    def taken(pin: Pin) -> bool:
        seen.append(pin)
        return len(seen) < 4

    assert generate(6, taken) == seen[-1]
    assert len(seen) == 4
    with pytest.raises(RuntimeError):
        generate(6, lambda pin: True)


@pytest.mark.parametrize(
    "digits", ["1111111", "1234567", "7654321", "1212121", "1231231", "4444445"]
)
def test_trivial_codes(digits: str) -> None:
    assert is_trivial(digits)


@pytest.mark.parametrize("digits", ["4830157", "1234568", "1928374"])
def test_good_codes(digits: str) -> None:
    assert not is_trivial(digits)


def test_a_pin_prints_masked_everywhere() -> None:
    pin = Pin("4830157")
    for shown in (str(pin), repr(pin), f"{pin}", f"{pin!s:>12}", f"{[pin]}"):
        assert "48301" not in shown
        assert "57" in shown
    with pytest.raises(TypeError):
        json.dumps(pin)
    with pytest.raises(TypeError):
        pickle.dumps(pin)
    assert not hasattr(pin, "__dict__")


@pytest.mark.parametrize("digits", ["", "123", "12345678901", "12a4567", "１２３４５６"])
def test_only_digits_make_a_pin_and_the_error_does_not_repeat_them(digits: str) -> None:
    with pytest.raises(ValueError, match="4 to 10 digits") as caught:
        Pin(digits)
    if digits:
        assert digits not in str(caught.value)


def test_mask_before_there_is_one() -> None:
    assert mask(None) == "•••••"
    assert mask("57") == "•••••57"
