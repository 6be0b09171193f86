"""Cards leave a payload; ids, phones and everything else stay (EVT-38, P2-SEC)."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.card_data import REMOVED, is_card_number, without_cards

VISA = "4111111111111111"
AMEX = "378282246310005"
MASTER = "5555 5555 5555 4444"


@pytest.mark.parametrize("number", [VISA, AMEX, MASTER, "4111-1111-1111-1111", "2223003122003222"])
def test_card_numbers(number: str) -> None:
    assert is_card_number(number)


@pytest.mark.parametrize(
    "number", ["4111111111111112", "1234567890123452", "411111111111", "5511988887777", ""]
)
def test_other_numbers(number: str) -> None:
    assert not is_card_number(number)


@pytest.mark.parametrize(
    "key",
    [
        "card_number",
        "cardNumber",
        "cvv",
        "CVC",
        "ccv",
        "cc_number",
        "creditCard",
        "card",
        "card_expiry",
        "cardHolder",
        "pan",
        "security-code",
    ],
)
def test_card_fields_are_dropped(key: str) -> None:
    assert without_cards({"id": "S1", "deep": [{key: "anything", "x": 1}]}) == {
        "id": "S1",
        "deep": [{"x": 1}],
    }


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"pay with {VISA}, please", f"pay with {REMOVED}, please"),
        (f"{MASTER} / 12-29", f"{REMOVED} / 12-29"),
        ("call +55 11 98888 7777", "call +55 11 98888 7777"),
        ("2026-03-20T15:00:00Z", "2026-03-20T15:00:00Z"),
    ],
)
def test_card_numbers_in_text_are_replaced(text: str, left: str) -> None:
    assert without_cards({"note": text}) == {"note": left}


def test_a_number_may_be_a_json_number() -> None:
    assert without_cards({"extra": int(VISA)}) == {"extra": REMOVED}


@pytest.mark.parametrize(
    "key", ["id", "_id", "partnerCode", "reservation_id", "guestPhone", "iso", "eventId"]
)
def test_what_names_something_is_kept_whatever_its_digits(key: str) -> None:
    assert without_cards({key: VISA}) == {key: VISA}


def test_a_payload_without_cards_is_the_same_object() -> None:
    payload: dict[str, Any] = {"data": {"id": 1, "guests": ["Ana"], "amount": 560.1, "ok": True}}
    assert without_cards(payload) is payload


def test_words_that_only_contain_a_card_word_are_kept() -> None:
    payload = {"discard": 1, "span": 2, "cardinal": 3, "company": 4, "spare_card": 5}
    assert without_cards(payload) == payload
