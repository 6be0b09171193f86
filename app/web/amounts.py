"""Amounts as people type them: 1.950,00 in Portuguese, 1,950.00 in English (design/UI.md §11)."""

from __future__ import annotations

import re
from decimal import Decimal

from app.web.languages import current

_TYPED = re.compile(r"[\d.,\s\u00a0]+", re.ASCII)
_WHOLE = re.compile(r"\d*|\d{1,3}(?:[.,]\d{3})*", re.ASCII)


def typed(text: str) -> str:
    """The amount as the services read it, 1950.00; what is none stays as it is, to be refused.

    The last sign of two kinds is the decimal one. A single sign before exactly three digits groups
    thousands only where the language of the page writes it so.
    """
    plain = re.sub(r"[\s\u00a0]", "", text)
    if not plain or not _TYPED.fullmatch(text):
        return text.strip()
    point, comma = plain.rfind("."), plain.rfind(",")
    if point >= 0 and comma >= 0:
        decimal = "." if point > comma else ","
    elif (sign := "." if point >= 0 else ",") in plain:
        groups = "." if _comma() else ","
        grouped = re.fullmatch(rf"\d{{1,3}}(?:{re.escape(sign)}\d{{3}})+", plain) is not None
        decimal = "" if sign == groups and grouped else sign
    else:
        return plain
    whole, found, cents = plain.rpartition(decimal) if decimal else (plain, "", "")
    if not _WHOLE.fullmatch(whole) or (found and not cents.isdecimal()):
        return text.strip()
    return re.sub(r"[.,]", "", whole or "0") + (f".{cents}" if found else "")


def shown(value: Decimal | None) -> str:
    """The amount as it stands in a field, ready to be typed over: 1950,00."""
    if value is None:
        return ""
    text = f"{value:.2f}"
    return text.replace(".", ",") if _comma() else text


def _comma() -> bool:
    return current() == "pt"
