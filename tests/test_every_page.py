"""Every page there is stands in the walk of tests/page_walk.py, and is built as design/UI.md §16
asks: one heading, one language, a title of its own, landmarks, the skip link first."""

from __future__ import annotations

from collections import defaultdict
from html.parser import HTMLParser

import pytest
from flask import Flask

from tests import street
from tests.conftest import Clock
from tests.factories import make_user
from tests.page_walk import AT_THE_GATE, NO_PAGE, SIGNED_IN, page_routes
from tests.web.conftest import signed_in

#: the same page, asked for from two places
ONE_PAGE = [
    {"/accommodations/{tucano}/map", "/matches/{tucano}?threshold=0.6"},
    {"/locks/{lock}", "/locks/{lock}/contents"},
]
TABBABLE = {"a", "button", "input", "select", "textarea", "summary"}


class Outline(HTMLParser):
    """What of a page its structure is judged by."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.title = ""
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data: str) -> None:
        if self._open == "title":
            self.title += data

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def count(self, tag: str) -> int:
        return sum(1 for each, _ in self.tags if each == tag)

    def faults(self) -> list[str]:
        """What is wrong with it, in words."""
        found = [f"{self.count(tag)} <{tag}>" for tag in ("h1", "main") if self.count(tag) != 1]
        if not dict(self.tags)["html"].get("lang"):
            found.append("no language")
        if not self.title.removesuffix(" · Turnkey").strip(" ·"):
            found.append("no title")
        first = next((attrs for tag, attrs in self.tags if tag in TABBABLE), {})
        if first.get("href") != "#main":
            found.append(f"the first stop is {first}, not the skip link")
        found += [
            f"tabindex {attrs['tabindex']} on <{tag}>"
            for tag, attrs in self.tags
            if int(attrs.get("tabindex") or 0) > 0
        ]
        ids = [attrs["id"] for _, attrs in self.tags if attrs.get("id")]
        return found + [f"id {each} twice" for each in sorted({i for i in ids if ids.count(i) > 1})]


def test_every_page_is_walked_and_every_walk_has_a_page(app: Flask) -> None:
    walked = SIGNED_IN.keys() | AT_THE_GATE.keys() | NO_PAGE.keys()
    there = page_routes(app).keys()
    assert sorted(there - walked) == [], "pages nobody looks at: add them to tests/page_walk.py"
    assert sorted(walked - there) == [], "pages that are gone: take them from tests/page_walk.py"


def test_every_address_is_one_of_its_route(app: Flask) -> None:
    routes = page_routes(app)
    for rule, addresses in SIGNED_IN.items():
        fixed = [part for part in rule.split("/") if not part.startswith("<")]
        for address in addresses:
            parts = address.partition("?")[0].split("/")
            assert [part for part in parts if not part.startswith("{")] == fixed, address
        assert addresses, rule
        assert rule in routes


def test_every_page_is_well_built(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = {role: make_user(role) for role in ("admin", "staff")}
    houses = street.build(app, people, clock, monkeypatch)
    client = signed_in(app, people["admin"])
    wrong: dict[str, object] = {}
    titles: dict[str, set[str]] = defaultdict(set)
    for addresses in SIGNED_IN.values():
        for number, address in enumerate(addresses):
            answer = client.get(houses.at(address))
            if answer.status_code != 200:
                wrong[address] = answer.status
                continue
            page = Outline(answer.text)
            if faults := page.faults():
                wrong[address] = faults
            if number == 0:
                titles[page.title].add(address)
    for title, same in titles.items():
        if len(same) > 1 and same not in ONE_PAGE:
            wrong[title] = same
    assert wrong == {}
