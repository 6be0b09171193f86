"""Whatever is typed into a page's address: an answer or a refusal in words, never a breakdown."""

from __future__ import annotations

import itertools
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from flask import Flask, Request
from werkzeug.datastructures import ImmutableMultiDict

from tests import street
from tests.conftest import Clock
from tests.factories import make_user
from tests.page_walk import NO_PAGE, SIGNED_IN
from tests.web.conftest import signed_in

#: what no calendar, table or register may hold, and what only just fits
WORDS = (
    "0001-01-01",
    "9999-12-31",
    "9999-12-31T23:59:59-14:00",
    "9" * 40,
    "1e400",
    "a\0b",
    "\N{ARABIC-INDIC DIGIT THREE}",
)


class Asked(ImmutableMultiDict[str, str]):
    """The query of a request; notes the names that were looked for in it."""

    names: set[str]

    def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        self.names.add(key)
        return super().get(key, *args, **kwargs)

    def getlist(self, key: str, *args: Any, **kwargs: Any) -> Any:
        self.names.add(key)
        return super().getlist(key, *args, **kwargs)

    def __getitem__(self, key: str) -> str:
        self.names.add(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self.names.add(str(key))
        return super().__contains__(key)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What the pages asked for since look for in their addresses."""
    found: set[str] = set()
    kind = type("AskedHere", (Asked,), {"names": found})
    monkeypatch.setattr(Request, "parameter_storage_class", kind)
    return found


@pytest.mark.faults
def test_no_word_in_an_address_breaks_a_page(
    app: Flask, clock: Clock, names: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
    people = {role: make_user(role) for role in ("admin", "staff")}
    houses = street.build(app, people, clock, monkeypatch)
    client = signed_in(app, people["admin"])
    broken: dict[str, int] = {}
    everywhere: set[str] = set()
    asked = 0
    plain = [rule for rule in NO_PAGE if "<" not in rule]
    for address in ("/more", *(each[0] for each in SIGNED_IN.values()), *plain):
        names.clear()
        client.get(houses.at(address), buffered=True)
        parts = urlsplit(houses.at(address))
        query = dict(parse_qsl(parts.query))
        for name, word in itertools.product(sorted(names - everywhere), WORDS):
            place = f"{parts.path}?{urlencode(query | {name: word})}"
            asked += 1
            if (status := client.get(place, buffered=True).status_code) >= 500:
                broken[place] = status
        everywhere = everywhere or {*names}
    assert broken == {}
    assert asked > 100 * len(WORDS), "the names that pages look for were not noticed"
