"""What people send to book a stay or to change one; what needs no database is checked here."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema

from app.domain.currencies import CURRENCIES
from app.errors import FieldError, Invalid
from app.services.inputs import Changes, Currency, Input, Name
from app.services.list_args import DAY

#: nights of one stay; days ahead that are sold
MAX_NIGHTS = 365
MAX_AHEAD = 3 * 366
MAX_AMOUNT = Decimal("1e12")
AMOUNT = re.compile(r"\d{1,12}(\.\d{1,2})?", re.ASCII)
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
PHONE = re.compile(r"\+?[\d\s()./-]+", re.ASCII)


def _day(value: object) -> object:
    if isinstance(value, str):
        try:
            if DAY.fullmatch(value):
                return date.fromisoformat(value)
        except ValueError:
            pass
        raise ValueError("must be a day written YYYY-MM-DD")
    return value


def _email(value: str) -> str:
    if not EMAIL.fullmatch(value):
        raise ValueError("must be an e-mail address")
    return value


def _phone(value: str) -> str:
    if not PHONE.fullmatch(value) or not 5 <= sum(char.isdigit() for char in value) <= 20:
        raise ValueError("must be a telephone number such as +55 48 99999-0000")
    return value


def _amount(value: object) -> object:
    """A decimal string or a number; never a float's last digits."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal | None):
        raise ValueError("must be an amount such as 450.00")
    if value is None:
        return None
    try:
        amount = Decimal(str(value).strip())
    except InvalidOperation:
        raise ValueError("must be an amount such as 450.00") from None
    if not amount.is_finite() or amount < 0 or amount >= MAX_AMOUNT:
        raise ValueError("must be an amount from 0 to below 1000000000000")
    exact = amount.quantize(Decimal("0.01"))
    if exact != amount:
        raise ValueError("must have at most two digits after the point")
    if isinstance(value, str) and not AMOUNT.fullmatch(value.strip()):
        raise ValueError("must be an amount such as 450.00")
    return exact


def _known_currency(value: str) -> str:
    if value not in CURRENCIES:
        raise ValueError("is not a currency of ISO 4217")
    return value


Day = Annotated[date, BeforeValidator(_day)]
Email = Annotated[
    str,
    StringConstraints(max_length=254),
    AfterValidator(_email),
    WithJsonSchema({"type": "string", "maxLength": 254, "pattern": f"^{EMAIL.pattern}$"}),
]
Phone = Annotated[
    str,
    StringConstraints(max_length=40),
    AfterValidator(_phone),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 5,
            "maxLength": 40,
            "pattern": "^" + PHONE.pattern.replace(r"\d", "0-9") + "$",
            "description": "A telephone number of 5 to 20 digits.",
            "examples": ["+55 48 99999-0000"],
        }
    ),
]
Amount = Annotated[
    Decimal,
    BeforeValidator(_amount),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "exclusiveMaximum": int(MAX_AMOUNT)},
                {"type": "string", "pattern": "^" + AMOUNT.pattern.replace(r"\d", "[0-9]") + "$"},
            ],
            "description": "At most two digits after the point.",
            "examples": ["450.00"],
        }
    ),
]
KnownCurrency = Annotated[Currency, AfterValidator(_known_currency)]
Units = Annotated[int, Field(ge=1, le=9999)]
Persons = Annotated[int, Field(ge=0, le=99)]


class NewBooking(Input):
    """A stay sold at the desk. `check_in_now` is a guest who stands there (a walk-in).

    `amount` is for all the units together.
    """

    property_id: UUID
    room_type_id: UUID
    check_in: Day
    check_out: Day
    guest_name: Name
    accommodation_id: UUID | None = None
    units: Units = 1
    guest_email: Email | None = None
    guest_phone: Phone | None = None
    adults: Persons | None = None
    children: Persons | None = None
    amount: Amount | None = None
    currency: KnownCurrency | None = None
    check_in_now: bool = False


class BookingChanges(Changes):
    """Some fields of a stay, as it was at `version`.

    `units` above one books that many less one more of the same, each a reservation of its own.
    """

    version: Annotated[int, Field(ge=1)]
    property_id: UUID = UUID(int=0)
    room_type_id: UUID = UUID(int=0)
    accommodation_id: UUID | None = None
    check_in: Day = date.min
    check_out: Day = date.min
    units: Units = 1
    guest_name: Name = ""
    guest_email: Email | None = None
    guest_phone: Phone | None = None
    adults: Persons | None = None
    children: Persons | None = None
    amount: Amount | None = None
    currency: KnownCurrency = ""

    def given(self) -> dict[str, Any]:
        """The fields that were sent, null where that was sent."""
        return self.model_dump(exclude_unset=True, exclude={"confirm", "version"})


def check_nights(
    check_in: date, check_out: date, today: date, *, arrival_moved: bool = True
) -> list[FieldError]:
    """What is wrong with the dates of a stay; `today` is the property's."""
    found: list[FieldError] = []
    nights = (check_out - check_in).days
    if arrival_moved and check_in < today:
        found.append(FieldError("check_in", "must not be in the past"))
    if (check_in - today).days > MAX_AHEAD:
        found.append(FieldError("check_in", "must be within the next three years"))
    if nights <= 0:
        found.append(FieldError("check_out", "must be after check_in"))
    elif nights > MAX_NIGHTS:
        found.append(FieldError("check_out", f"must be at most {MAX_NIGHTS} nights after check_in"))
    elif not arrival_moved and check_out < today:
        found.append(FieldError("check_out", "must not be in the past"))
    return found


def refuse(found: list[FieldError]) -> None:
    """Raises Invalid naming each field, when there is one."""
    if found:
        raise Invalid("; ".join(f"{each.field}: {each.message}" for each in found), found)
