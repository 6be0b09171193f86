"""Take payment cards out of what a channel sends: we never need them and must not keep them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

REMOVED = "[card removed]"

#: keys, without signs and in lower case, whose value is card data whatever it looks like
_CARD_KEYS = re.compile(
    r"(credit|debit|payment)?card(number|no|num|code|cvv|cvc|ccv|expiry|expiration|holder)?|"
    r"cc(number|no|num|code|cvv|cvc|v|exp|expiry|holder)|cv[vc]2?|pan|securitycode"
)
#: keys whose digits say who or where, and are never a card
_NAMING_KEYS = re.compile(r".*(id|ids|code|ref|reference|phone|phones|phonenumber|mobile|iso|url)")
_DIGITS = re.compile(r"(?<![\w.+-])\d(?:[ -]?\d){12,18}(?![\w-])")
#: what cards of the large brands begin with
_BRANDS = re.compile(
    r"4|5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)|3[47]|3(?:0[0-5]|[689])|35|6(?:011|4[4-9]|5)|"
    r"5[06-9]|6"
)


def without_cards(value: Any, key: str = "") -> Any:
    """`value` with card fields dropped and card numbers in free text replaced; the same object when
    there was none."""
    if isinstance(value, (dict, Mapping)):
        kept = {k: without_cards(v, str(k)) for k, v in value.items() if not _is_card_key(str(k))}
        same = len(kept) == len(value) and all(kept[k] is value[k] for k in kept)
        return value if same else kept
    if isinstance(value, list):
        items = [without_cards(item, key) for item in value]
        return value if all(a is b for a, b in zip(items, value, strict=True)) else items
    if _is_naming_key(key):
        return value
    if isinstance(value, str):
        cleaned = _DIGITS.sub(lambda m: REMOVED if is_card_number(m[0]) else m[0], value)
        return value if cleaned == value else cleaned
    if isinstance(value, int) and not isinstance(value, bool) and is_card_number(str(value)):
        return REMOVED
    return value


def is_card_number(text: str) -> bool:
    """Whether the digits have a card's length, beginning and check digit."""
    digits = re.sub(r"[ -]", "", text)
    if not (digits.isascii() and digits.isdigit() and 13 <= len(digits) <= 19):
        return False
    return _BRANDS.match(digits) is not None and _luhn(digits)


def _luhn(digits: str) -> bool:
    total = 0
    for place, char in enumerate(reversed(digits)):
        number = int(char) * (1 + place % 2)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


@lru_cache(maxsize=1024)
def _is_card_key(key: str) -> bool:
    return _CARD_KEYS.fullmatch(_plain(key)) is not None


@lru_cache(maxsize=1024)
def _is_naming_key(key: str) -> bool:
    return _NAMING_KEYS.fullmatch(_plain(key)) is not None


def _plain(key: str) -> str:
    return "".join(char for char in key.lower() if char.isalnum())
