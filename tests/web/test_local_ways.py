"""Days, hours and amounts as people write them there: the language is the person's, the hour the
property's, the currency the booking's (design/UI.md §11, §14)."""

from __future__ import annotations

import html
import re

import pytest
from flask.testing import FlaskClient

from app.models import User
from app.services import users
from tests.conftest import Clock
from tests.factories import make_accommodation, make_property, make_stay
from tests.web.scenes import TODAY

GERMAN = {"Accept-Language": "de-DE,de;q=0.9,en;q=0.8"}


def said(client: FlaskClient, path: str) -> str:
    """The words of the page, as a browser of somebody who reads German asks for it."""
    answer = client.get(path, headers=GERMAN)
    assert answer.status_code == 200, path
    text = re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", " ", answer.text, flags=re.DOTALL)
    return " ".join(html.unescape(text).replace("\xa0", " ").split())


@pytest.fixture
def street(clock: Clock) -> dict[str, str]:
    """A guest who arrives today at 15:00 in three places of the world; their pages."""
    pages = {}
    for zone, currency in (
        ("America/Sao_Paulo", "BRL"), ("Europe/Lisbon", "EUR"), ("Asia/Tokyo", "JPY")
    ):  # fmt: skip
        house = make_property(timezone=zone, currency=currency)
        stay = make_stay(
            make_accommodation(house), check_in=TODAY, nights=3, guest=f"Guest of {currency}",
            amount="1950.00", currency=currency,
        )  # fmt: skip
        pages[currency] = f"/reservations/{stay.id}"
    return pages


@pytest.mark.parametrize(
    ("language", "day", "nights", "amounts"),
    [
        (
            "pt", "ter 10 mar", "10–13 mar",
            {"BRL": "R$ 1.950,00", "EUR": "€ 1.950,00", "JPY": "JP¥ 1.950"},
        ),
        (
            "en", "Tue 10 Mar", "10–13 Mar",
            {"BRL": "R$1,950.00", "EUR": "€1,950.00", "JPY": "¥1,950"},
        ),
    ],
)  # fmt: skip
def test_a_stay_is_told_in_the_persons_language_at_the_hours_of_its_house(
    staff: FlaskClient,
    people: dict[str, User],
    street: dict[str, str],
    language: str,
    day: str,
    nights: str,
    amounts: dict[str, str],
) -> None:
    users.set_language(people["staff"].id, language)
    for currency, path in street.items():
        page = said(staff, path)
        assert f"{day}, 15:00" in page
        assert amounts[currency] in page
        assert nights in page


def test_a_list_of_several_houses_tells_each_hour_with_its_zone(
    staff: FlaskClient, street: dict[str, str]
) -> None:
    page = said(staff, "/?property=all")
    for zone in ("15:00 GMT−3", "15:00 GMT", "15:00 GMT+9"):
        assert f"{zone} " in page, zone


def test_the_person_comes_before_the_browser(
    staff: FlaskClient, people: dict[str, User], street: dict[str, str]
) -> None:
    assert "Chegadas" not in said(staff, "/")
    users.set_language(people["staff"].id, "pt")
    assert "Chegadas" in said(staff, "/")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/?property=all", ["Terça-feira, 10 de março de 2026", "Chegadas"]),
        ("/reservations?property=all", ["10–13 mar", "Confirmada"]),
        ("/rooms?property=all", ["Acomodações", "hoje 15:00"]),
        ("/settings/me", ["Idioma"]),
    ],
)
def test_the_main_pages_in_portuguese(
    staff: FlaskClient,
    people: dict[str, User],
    street: dict[str, str],
    path: str,
    words: list[str],
) -> None:
    users.set_language(people["staff"].id, "pt")
    page = said(staff, path)
    for word in words:
        assert re.search(word, page), word
