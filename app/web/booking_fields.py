"""The stay part of a booking's form: dates, room type and room, with what is free right now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from flask import request

from app import clock
from app.domain.currencies import CURRENCIES
from app.integrations import channels
from app.services import booking_desk, list_args
from app.services.booking_desk import Kind, Offer
from app.web import amounts, booking_words, navigation
from app.web.dates import gettext as _
from app.web.forms import words_for

#: nights shown one by one; longer stays name the full ones
SHOWN = 28


@dataclass(frozen=True, slots=True)
class Choice:
    """What the stay part of a form says, as far as it can be read."""

    room_type_id: UUID | None
    check_in: date | None
    check_out: date | None
    units: int

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Choice:
        return cls(
            _key(values.get("room_type_id")),
            _day(values.get("check_in")),
            _day(values.get("check_out")),
            _count(values.get("units")),
        )

    def offer(self, *, but: UUID | None = None) -> Offer | None:
        """What is free; None while the choice is not complete."""
        if self.room_type_id is None or self.check_in is None or self.check_out is None:
            return None
        return booking_desk.offer(
            self.room_type_id, self.check_in, self.check_out, self.units, but=but
        )


def kinds(chosen: Any = None) -> list[Kind]:
    """The room types of the property that is looked at; of all, when the chosen one is not its."""
    found = booking_desk.kinds(navigation.property_id())
    wanted = _key(chosen)
    if wanted is not None and all(kind.room_type.id != wanted for kind in found):
        return booking_desk.kinds()
    return found


def kind_options(found: Sequence[Kind]) -> dict[str, list[tuple[Any, str]]]:
    """Room types by property, for a list with a heading per property where there are several."""
    options: dict[str, list[tuple[Any, str]]] = {}
    for kind in found:
        options.setdefault(kind.house.name, []).append((kind.room_type.id, kind.room_type.name))
    return options


def problems(offer: Offer | None) -> list[str]:
    """What is wrong with the dates, in words."""
    return [words_for(each.message) for each in offer.problems] if offer is not None else []


def typed() -> dict[str, Any]:
    """What the form says, as it was typed."""
    return {name: value.replace("\0", "") for name, value in request.form.items()}


def readable(data: dict[str, Any]) -> dict[str, Any]:
    """The same for the service: amounts and currencies as it reads them."""
    if isinstance(data.get("amount"), str):
        data["amount"] = amounts.typed(data["amount"])
    return data


def context(offer: Offer | None) -> dict[str, Any]:
    """What the templates of both forms need."""
    return {
        "offer": offer,
        "offer_problems": problems(offer),
        "full": booking_words.days(offer.full) if offer is not None else "",
        "most": SHOWN,
        "today": clock.local_today(offer.kind.house.timezone) if offer else None,
        "currencies": [(code, code) for code in sorted(CURRENCIES)],
        "channel_name": {name: one.title for name, one in channels.KNOWN.items()},
    }


def full_message(nights: Sequence[date]) -> str:
    """The field error that names the nights without a room."""
    return _("No room left on %(days)s", days=booking_words.days(nights))


def _key(value: Any) -> UUID | None:
    try:
        return UUID(str(value or ""))
    except ValueError:
        return None


def _day(value: Any) -> date | None:
    if isinstance(value, date):
        return value
    text = str(value or "").strip()
    try:
        return date.fromisoformat(text) if list_args.DAY.fullmatch(text) else None
    except ValueError:
        return None


def _count(value: Any) -> int:
    text = str(value or "").strip()
    return int(text) if text.isascii() and text.isdecimal() and 0 < len(text) < 5 else 1
