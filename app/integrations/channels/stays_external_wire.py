"""The objects of the Stays External API v1 as pydantic models (contracts/stays.md §3, §5, §6, §7).

Only what Turnkey uses is named. What is optional and of a wrong type counts as not said. A wrong
date, time or amount is an error, since a PIN or a balance would follow from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, time
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from app.integrations.channels import stays_payloads as values
from app.integrations.channels.stays_payloads import fault
from app.integrations.errors import Unreadable

Said = TypeVar("Said")
_PUNCTUATION = {ord(sign): None for sign in " ()-./\t"}


def _identifier(value: object) -> str:
    known = values.identifier(value)
    if known is None:
        raise ValueError("an id")
    return known


def _day(value: object) -> date:
    return _said(values.day, value)


def _clock(value: object) -> time | None:
    return _said(values.clock_time, value)


def _money(value: object) -> Decimal | None:
    return _said(values.money, value)


def _said(reader: Callable[[str, object], Said], value: object) -> Said:
    """Our readers raise Unreadable; pydantic collects ValueErrors and knows the place."""
    try:
        return reader("", value)
    except Unreadable as exc:
        raise ValueError(exc.message.removeprefix(": expected ")) from None


def _number(value: object) -> str | None:
    known = values.text(value)
    return known.translate(_PUNCTUATION) or None if known else None


def _object(value: object) -> object:
    return value if isinstance(value, Mapping) else None


def _objects(value: object) -> object:
    return [v for v in value if isinstance(v, Mapping)] if isinstance(value, list) else []


Id = Annotated[str, BeforeValidator(_identifier)]
OptionalId = Annotated[str | None, BeforeValidator(values.identifier)]
Text = Annotated[str | None, BeforeValidator(values.text)]
#: the export writes `+55 11 9…` and the client `+55119…`: one spelling, or every reading differs
Number = Annotated[str | None, BeforeValidator(_number)]
Count = Annotated[int | None, BeforeValidator(values.count)]
Day = Annotated[date, BeforeValidator(_day)]
Clock = Annotated[time | None, BeforeValidator(_clock)]
Money = Annotated[Decimal | None, BeforeValidator(_money)]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class Address(_Wire):
    """One entry of `contactEmails`."""

    adr: Text = None


class Phone(_Wire):
    """One entry of `phones`; `iso` is the number in E.164."""

    iso: Number = None


class Client(_Wire):
    """A guest (§5), also as the export writes it inline (§6)."""

    name: Text = None
    first_name: Text = Field(None, alias="fName")
    last_name: Text = Field(None, alias="lName")
    email: Text = None
    addresses: Annotated[list[Address], BeforeValidator(_objects)] = Field(
        [], alias="contactEmails"
    )
    phones: Annotated[list[Phone], BeforeValidator(_objects)] = []
    phone_number: Number = Field(None, alias="phoneNumber")

    def contact(self) -> Contact:
        """What we keep of a guest."""
        names = " ".join(part for part in (self.first_name, self.last_name) if part)
        return Contact(
            name=self.name or names or None,
            email=self.email or next((a.adr for a in self.addresses if a.adr), None),
            phone=next((p.iso for p in self.phones if p.iso), None) or self.phone_number,
        )


class Contact(_Wire):
    """A guest's name, e-mail and phone, as far as they are known."""

    name: str | None = None
    email: str | None = None
    phone: str | None = None

    @property
    def enough(self) -> bool:
        """Whether reading the client as well would add what we need (§5)."""
        return self.name is not None and self.email is not None

    def over(self, other: Contact) -> Contact:
        """This contact, its gaps filled from another."""
        return Contact(
            name=self.name or other.name,
            email=self.email or other.email,
            phone=self.phone or other.phone,
        )


class Person(_Wire):
    """One entry of `guestsDetails.list`."""

    name: Text = None
    primary: Any = None
    phones: Annotated[list[Phone], BeforeValidator(_objects)] = []


class Guests(_Wire):
    """`guestsDetails`."""

    adults: Count = None
    children: Count = None
    people: Annotated[list[Person], BeforeValidator(_objects)] = Field([], alias="list")


class Price(_Wire):
    """`price`; money is in major units."""

    currency: Any = None
    total: Money = Field(None, alias="_f_total")


class Partner(_Wire):
    """The OTA a booking came through."""

    name: Text = None


class Reservation(_Wire):
    """A reservation of the list, the detail or a webhook (§3)."""

    id: Id = Field(alias="_id")
    code: OptionalId = Field(None, alias="id")
    type: Any = None
    listing: Id = Field(alias="_idlisting")
    client: OptionalId = Field(None, alias="_idclient")
    check_in: Day = Field(alias="checkInDate")
    check_out: Day = Field(alias="checkOutDate")
    check_in_time: Clock = Field(None, alias="checkInTime")
    check_out_time: Clock = Field(None, alias="checkOutTime")
    created: Any = Field(None, alias="creationDate")
    guests: Annotated[Guests | None, BeforeValidator(_object)] = Field(None, alias="guestsDetails")
    price: Annotated[Price | None, BeforeValidator(_object)] = None
    partner: Annotated[Partner | None, BeforeValidator(_object)] = None
    partner_code: OptionalId = Field(None, alias="partnerCode")

    def primary_guest(self) -> Contact:
        """The guest named in the reservation itself; the detail alone carries one."""
        people = self.guests.people if self.guests else []
        main = next((p for p in people if p.primary is True and p.name), None)
        if main is None:
            return Contact()
        return Contact(name=main.name, phone=next((p.iso for p in main.phones if p.iso), None))


class RowListing(_Wire):
    """The unit of an export row: its short code only."""

    id: OptionalId = None


class ExportRow(_Wire):
    """A row of the reservations export (§6): contact inline, no times, no long listing id."""

    id: Id = Field(alias="_id")
    code: OptionalId = Field(None, alias="id")
    type: Any = None
    check_in: Day = Field(alias="checkInDate")
    check_out: Day = Field(alias="checkOutDate")
    created: Any = Field(None, alias="creationDate")
    listing: Annotated[RowListing | None, BeforeValidator(_object)] = None
    client: Annotated[Client | None, BeforeValidator(_object)] = None
    currency: Any = None
    total: Money = Field(None, alias="reserveTotal")
    partner_name: Text = Field(None, alias="partnerName")
    partner_code: OptionalId = Field(None, alias="partnerCode")


class Listing(_Wire):
    """A unit (§7)."""

    id: Id = Field(alias="_id")
    code: OptionalId = Field(None, alias="id")
    name: Text = Field(None, alias="internalName")
    titles: Annotated[dict[str, Any] | None, BeforeValidator(_object)] = Field(
        None, alias="_mstitle"
    )
    status: Text = None
    property: OptionalId = Field(None, alias="_idproperty")


Model = TypeVar("Model", bound=_Wire)


def read(model: type[Model], item: object) -> Model:
    """A wire object, or Unreadable naming the first field at fault; inputs are never repeated."""
    try:
        return model.model_validate(item)
    except ValidationError as exc:
        error = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(str(part) for part in error["loc"]) or model.__name__.lower()
        expected = error["msg"].removeprefix("Value error, ")
        if error["type"] == "missing":
            expected = "a value"
        elif error["type"] == "model_type":
            expected = "an object"
        raise fault(field, expected) from None
