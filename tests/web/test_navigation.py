"""The way around: pages by role, and only those that exist (design/UI.md §3)."""

from __future__ import annotations

import re

from flask import Flask
from flask.testing import FlaskClient

from app.web import navigation
from tests.factories import make_property


def links(page: str) -> list[str]:
    side = page.split('<section class="side"')[1].split('<div class="page">')[0]
    return re.findall(r'<a href="([^"?]+)"', side)


def test_every_link_leads_to_a_page_of_that_role(staff: FlaskClient, admin: FlaskClient) -> None:
    for desk in (staff, admin):
        found = links(desk.get("/more").text)
        assert found[:2] == ["/", "/reservations"]
        for path in found:
            assert desk.get(path).status_code == 200, path


def test_what_is_not_built_yet_is_not_linked(app: Flask, admin: FlaskClient) -> None:
    shown = {e.endpoint for group in navigation.GROUPS for e in group.entries}
    built = {e for e in shown if e in app.view_functions}
    assert len(links(admin.get("/").text)) == len(built)


def test_the_page_shown_is_marked(staff: FlaskClient) -> None:
    assert re.search(
        r'<a href="/reservations" aria-current="page">', staff.get("/reservations").text
    )
    assert len(re.findall(r'aria-current="page"', staff.get("/more").text)) == 1  # the tab bar's


def test_one_property_is_no_choice(staff: FlaskClient) -> None:
    vila = make_property(name="Pousada Vila Jasmim", timezone="America/Fortaleza")
    page = staff.get("/more").text
    assert "Pousada Vila Jasmim" in page
    assert "All properties" not in page
    assert "Times shown in Fortaleza time (GMT−3)" in page
    make_property(name="Casa do Rio")
    page = staff.get("/more").text
    assert "All properties" in page
    assert "Each time is that of its property" in page
    assert f'href="/more?property={vila.id}"' in page


def test_the_search_of_the_bar_looks_everywhere(staff: FlaskClient) -> None:
    page = staff.get("/").text
    bar = page.split('role="search"')[1].split("</form>")[0]
    assert 'action="/reservations"' in bar
    assert 'name="view" value="all"' in bar
