"""Types as narrow as what the tables hold, for the descriptions of what is answered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import WithJsonSchema
from pydantic.types import NonNegativeInt

from app.extensions import Base
from app.models.columns import A_NAME, rule_of
from app.services.inputs import CLOCK

#: an amount of money: two decimals, and a minus where something was given back
Money = Annotated[str, WithJsonSchema({"type": "string", "pattern": r"^-?\d+\.\d{2}$"})]
Name = Annotated[str, WithJsonSchema({"type": "string", "pattern": A_NAME})]
TimeOfDay = Annotated[str, WithJsonSchema({"type": "string", "pattern": f"^{CLOCK.pattern}$"})]
#: how many there are
Count = NonNegativeInt
#: between nothing and all
Share = Annotated[float, WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1})]


def one_of(words: Iterable[Any]) -> WithJsonSchema:
    """Text that is one of these words."""
    return WithJsonSchema({"type": "string", "enum": [str(each) for each in words]})


def as_stored(model: type[Base], column: str) -> WithJsonSchema:
    """Text that the table lets into the column: one of some words, or a name of ours."""
    rule = rule_of(model.__table__, column)
    if "words" in rule:
        return one_of(rule["words"])
    return WithJsonSchema({"type": "string", "pattern": rule["pattern"]})
